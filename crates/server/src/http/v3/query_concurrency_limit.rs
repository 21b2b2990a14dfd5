//! `/api/v3/configure/query_concurrency_limit`: how many queries run at once, until the next start (spec/http-api.md §13.2).
//!
//! Not here: the limit at the start (`--max-concurrent-queries`), what becomes of queries beyond it (`query`).

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::http::body::from_json;
use crate::http::error::Failure;
use crate::http::response::{ResponseBody, empty, typed};
use crate::http::{Services, parameters};

/// Less than this has to be forced: dashboards would wait for themselves.
const UNFORCED_MIN: usize = 16;

#[derive(Serialize)]
struct Limit {
    max_concurrent_queries: usize,
}

/// A number, or null for what it was at the start.
#[derive(Deserialize)]
struct Asked {
    max_concurrent_queries: Option<usize>,
}

#[derive(Deserialize)]
struct Forced {
    #[serde(default)]
    force: bool,
}

pub(crate) fn show(services: &Services) -> Result<Response<ResponseBody>, Failure> {
    let limit = Limit {
        max_concurrent_queries: services.query.concurrent_max(),
    };
    let text = serde_json::to_string(&limit)
        .map_err(|fault| Error::internal("cannot encode the limit").with_source(fault))?;
    Ok(typed(
        StatusCode::OK,
        "application/json",
        ResponseBody::full(text),
    ))
}

pub(crate) async fn set(
    services: &Services,
    head: &Parts,
    body: Incoming,
) -> Result<Response<ResponseBody>, Failure> {
    let Forced { force } = parameters::decode(head.uri.query())?;
    let asked: Asked = from_json(&services.read_body(head, body).await?)?;
    match asked.max_concurrent_queries {
        Some(0) => {
            return Err(Failure::bad_request("must be a positive integer, got 0"));
        }
        Some(asked) if asked < UNFORCED_MIN && !force => {
            return Err(Failure::bad_request(format!(
                "max_concurrent_queries {asked} is less than {UNFORCED_MIN}: add force=true if that is meant"
            )));
        }
        asked => services.query.set_concurrent_max(asked),
    }
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(crate) fn clear(services: &Services) -> Result<Response<ResponseBody>, Failure> {
    services.query.set_concurrent_max(None);
    Ok(empty(StatusCode::NO_CONTENT))
}
