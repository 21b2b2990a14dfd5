//! `/health` and `/ping`: that the node answers, and what it is (spec/http-api.md §3).
//!
//! Neither looks at the object store. Not here: `/metrics`.

use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use uuid::Uuid;

use runtime::World;

use super::Services;
use super::error::Failure;
use super::response::{ResponseBody, typed};
use crate::Error;

// Clients tell the product's generation by these names, so a drop-in keeps them.
const PRODUCT_NAME: &str = "InfluxDB 3 Core";
const BUILD: &str = "Core";

/// `GET /health`, `GET /api/v1/health`.
pub(crate) fn health() -> Response<ResponseBody> {
    typed(
        StatusCode::OK,
        "text/plain; charset=utf-8",
        ResponseBody::full("OK"),
    )
}

/// `GET /ping`, `POST /ping`.
pub(crate) fn ping(services: &Services) -> Result<Response<ResponseBody>, Failure> {
    #[derive(Serialize)]
    struct Body<'a> {
        product_name: &'a str,
        version: &'a str,
        revision: &'a str,
        process_id: String,
    }
    let body = Body {
        product_name: PRODUCT_NAME,
        version: &services.version_text,
        revision: &services.revision,
        process_id: services.process_id.to_string(),
    };
    let body = serde_json::to_vec(&body)
        .map_err(|fault| Error::internal("cannot encode the answer").with_source(fault))?;
    let request_id = HeaderValue::from_str(&request_id(&services.world)?.to_string())
        .map_err(|fault| Error::internal("cannot send a request id").with_source(fault))?;

    let mut response = typed(StatusCode::OK, "application/json", ResponseBody::full(body));
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("request-id"), request_id.clone());
    headers.insert(HeaderName::from_static("x-request-id"), request_id);
    headers.insert(
        HeaderName::from_static("x-influxdb-version"),
        services.version.clone(),
    );
    headers.insert(
        HeaderName::from_static("x-influxdb-build"),
        HeaderValue::from_static(BUILD),
    );
    Ok(response)
}

/// A fresh UUID of version 7: sortable by time.
fn request_id(world: &World) -> Result<Uuid, Error> {
    let mut chance = [0; 10];
    world.random.fill(&mut chance)?;
    let now_ms = u64::try_from(world.clock.now_ms()).unwrap_or_default();
    Ok(uuid::Builder::from_unix_timestamp_millis(now_ms, &chance).into_uuid())
}
