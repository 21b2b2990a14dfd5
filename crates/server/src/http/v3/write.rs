//! `POST /api/v3/write_lp`: line protocol in, nothing or a list of bad lines out.
//!
//! Parameters, statuses and bodies: spec/http-api.md §4.1, spec/write-and-storage.md §2 and §6. Not here: the write itself
//! (`http/write`), which all generations share.

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::Deserialize;
use storage::{Precision, WriteOutcome};

use crate::authorization::Permit;
use crate::http::error::Failure;
use crate::http::response::{ResponseBody, empty};
use crate::http::write::{BadLine, Write, write};
use crate::http::{Services, parameters};

/// Most bad lines that a response lists.
const LISTED_LINES_MAX: usize = 100;

/// How messages about limits begin: a retry cannot help, so they turn 400 into 422.
const LIMIT_MESSAGES: [&str; 2] = [
    "Update to schema would exceed number of",
    "Adding a new database would exceed limit of",
];

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Parameters {
    db: String,
    #[serde(default)]
    precision: PrecisionName,
    #[serde(default = "yes")]
    accept_partial: bool,
    #[serde(default)]
    no_sync: bool,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PrecisionName {
    #[default]
    Auto,
    #[serde(alias = "s")]
    Second,
    #[serde(alias = "ms")]
    Millisecond,
    #[serde(alias = "us", alias = "u")]
    Microsecond,
    #[serde(alias = "ns", alias = "n")]
    Nanosecond,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::Auto => Self::Auto,
            PrecisionName::Second => Self::Second,
            PrecisionName::Millisecond => Self::Millisecond,
            PrecisionName::Microsecond => Self::Microsecond,
            PrecisionName::Nanosecond => Self::Nanosecond,
        }
    }
}

/// Writes the body of a request.
pub(crate) async fn write_lp(
    services: &Services,
    head: &Parts,
    permit: Permit<'_>,
    body: Incoming,
) -> Result<Response<ResponseBody>, Failure> {
    let parameters = decode_parameters(head.uri.query())?;
    let asked = Write {
        database: parameters.db,
        precision: parameters.precision.into(),
        accept_partial: parameters.accept_partial,
        no_sync: parameters.no_sync,
    };
    report(&write(services, head, permit, body, asked).await?)?;
    Ok(empty(StatusCode::NO_CONTENT))
}

fn decode_parameters(query: Option<&str>) -> Result<Parameters, Failure> {
    if query.is_none() {
        return Err(Failure::bad_request("missing query parameter 'db'"));
    }
    parameters::decode(query)
}

/// A partial write is a failure to the client, though its good lines are stored.
fn report(outcome: &WriteOutcome) -> Result<(), Failure> {
    if outcome.rejected.is_empty() {
        return Ok(());
    }
    let over_limit = outcome.rejected.iter().any(|line| {
        LIMIT_MESSAGES
            .iter()
            .any(|start| line.error_message.starts_with(start))
    });
    let status = if over_limit {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::BAD_REQUEST
    };
    let listed: Vec<BadLine<'_>> = outcome
        .rejected
        .iter()
        .take(LISTED_LINES_MAX)
        .map(BadLine::from)
        .collect();
    Err(Failure::json_error_with_data(
        status,
        "partial write of line protocol occurred",
        &listed,
    ))
}

#[cfg(test)]
mod tests;
