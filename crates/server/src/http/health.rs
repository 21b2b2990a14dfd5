//! `/health` and `/ping`: that the node answers, and what it is (spec/http-api.md §3).
//!
//! Neither looks at the object store. Clients of versions 1 and 2 get their own forms where their requests tell them apart
//! (spec/clients.md §0.4 and §1.3). Not here: `/metrics`.

use hyper::header::{ACCEPT, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use serde::Serialize;
use uuid::Uuid;

use runtime::World;

use super::Services;
use super::error::Failure;
use super::response::{ResponseBody, empty, typed};
use crate::Error;

// Clients tell the product's generation by these names, so a drop-in keeps them.
const PRODUCT_NAME: &str = "InfluxDB 3 Core";
const BUILD: &str = "Core";

/// `GET /health`, `GET /api/v1/health`: a word, or the object of version 2 to who asks for JSON by name.
pub(crate) fn health(services: &Services, head: &Parts) -> Result<Response<ResponseBody>, Failure> {
    #[derive(Serialize)]
    struct Body<'a> {
        name: &'a str,
        message: &'a str,
        status: &'a str,
        checks: [(); 0],
        version: &'a str,
        commit: &'a str,
    }
    if !accepts(head, "application/json") {
        return Ok(typed(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            ResponseBody::full("OK"),
        ));
    }
    let body = json(&Body {
        name: "influxdb",
        message: "ready for queries and writes",
        status: "pass",
        checks: [],
        version: &services.version_text,
        commit: &services.revision,
    })?;
    Ok(typed(StatusCode::OK, "application/json", body))
}

/// `GET /ping`, `POST /ping`, `HEAD /ping`. A client of version 1 insists on 204; it is known by the format it asks for.
pub(crate) fn ping(services: &Services, head: &Parts) -> Result<Response<ResponseBody>, Failure> {
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
    let request_id = HeaderValue::from_str(&request_id(&services.world)?.to_string())
        .map_err(|fault| Error::internal("cannot send a request id").with_source(fault))?;

    let mut response = if head.method == Method::HEAD || accepts(head, "application/x-msgpack") {
        empty(StatusCode::NO_CONTENT)
    } else {
        typed(StatusCode::OK, "application/json", json(&body)?)
    };
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

fn json(body: &impl Serialize) -> Result<ResponseBody, Error> {
    serde_json::to_vec(body)
        .map(ResponseBody::full)
        .map_err(|fault| Error::internal("cannot encode the answer").with_source(fault))
}

/// Whether a media type stands in `Accept` by its name; a wildcard does not count.
fn accepts(head: &Parts, media_type: &str) -> bool {
    head.headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case(media_type))
}

/// A fresh UUID of version 7: sortable by time.
fn request_id(world: &World) -> Result<Uuid, Error> {
    let mut chance = [0; 10];
    world.random.fill(&mut chance)?;
    let now_ms = u64::try_from(world.clock.now_ms()).unwrap_or_default();
    Ok(uuid::Builder::from_unix_timestamp_millis(now_ms, &chance).into_uuid())
}
