//! `/health`, `/ping` and `/ready`: that the node answers, what it is, and whether to send it work (spec/http-api.md §3); and the
//! endpoints that only say that there is nothing.
//!
//! Only `/ready` looks at the object store. Clients of versions 1 and 2 get their own forms where their requests tell them apart
//! (spec/clients.md §0.4 and §1.3). Not here: `/metrics`, looking (`readiness`).

use hyper::header::{ACCEPT, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use serde::Serialize;

use super::Services;
use super::error::Failure;
use super::readiness::State;
use super::request_id::RequestId;
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

/// `GET /ready`: 200 while the node takes writes and its object store answers, else 503.
pub(crate) async fn ready(
    services: &Services,
    head: &Parts,
) -> Result<Response<ResponseBody>, Failure> {
    #[derive(Serialize)]
    struct Body<'a> {
        status: &'a str,
        started: String,
        up: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
    }
    let state = services.readiness.state().await;
    let (status, word, reason) = match &state {
        State::Ready => (StatusCode::OK, "ready", None),
        State::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping", None),
        State::Failing(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            Some(reason.as_str()),
        ),
    };
    let mut response = if accepts(head, "application/json") {
        let body = json(&Body {
            status: word,
            started: services.readiness.started(),
            up: services.readiness.up(),
            reason,
        })?;
        typed(status, "application/json", body)
    } else {
        let text = match reason {
            None => word.to_string(),
            Some(reason) => format!("{word}: {reason}"),
        };
        typed(
            status,
            "text/plain; charset=utf-8",
            ResponseBody::full(text),
        )
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let soon = HeaderValue::from_static("1");
        response.headers_mut().insert(RETRY_AFTER, soon);
    }
    Ok(response)
}

/// `GET /api/v3/show/license`: there is none to have.
pub(crate) fn license() -> Result<Response<ResponseBody>, Failure> {
    #[derive(Serialize)]
    struct Body {
        license_type: &'static str,
        expires_at: Option<&'static str>,
        features: [(); 0],
        status: &'static str,
    }
    let body = json(&Body {
        license_type: "none",
        expires_at: None,
        features: [],
        status: "not required",
    })?;
    Ok(typed(StatusCode::OK, "application/json", body))
}

/// `/debug/pprof/heap`.
pub(crate) fn heap_profile() -> Failure {
    Failure::text(
        StatusCode::SERVICE_UNAVAILABLE,
        "heap profiling is off: this build has no profiler that MALLOC_CONF=prof:true could switch on",
    )
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
    let mut response = if head.method == Method::HEAD || accepts(head, "application/x-msgpack") {
        empty(StatusCode::NO_CONTENT)
    } else {
        typed(StatusCode::OK, "application/json", json(&body)?)
    };
    let headers = response.headers_mut();
    if let Some(request_id) = head.extensions.get::<RequestId>() {
        let name = HeaderName::from_static("request-id");
        headers.insert(name, request_id.header());
    }
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
