//! `POST /api/v3/write_lp`: line protocol in, nothing or a list of bad lines out.
//!
//! Parameters, statuses and bodies: spec/http-api.md §4.1, spec/write-and-storage.md §2 and §6. The body goes to storage as it
//! came, without a copy. Not here: what a line means (`line_protocol`), what is written (`storage`).

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use storage::ingest::tables::tables_named;
use storage::{LineError, Precision, WriteError, WriteOutcome, WriteRequest};

use crate::ErrorKind;
use crate::authorization::{Permit, Reach};
use crate::http::error::Failure;
use crate::http::response::{ResponseBody, empty};
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
    permit.database_to_extend(&services.catalog.snapshot(), &parameters.db)?;
    let (body, admitted) = services.read_write(head, body).await?;
    // Again: while a slow body came in, the name may have become that of another database, or of none.
    let snapshot = services.catalog.snapshot();
    let reach = permit.database_to_extend(&snapshot, &parameters.db)?;
    if reach == Reach::Tables {
        // Nothing is written of a request that goes beyond the tables that the token is for.
        for table in tables_named(text_of(&body)?) {
            permit.table(&snapshot, &parameters.db, &table)?;
        }
    }
    let storage = Arc::clone(&services.storage);
    // A write that has begun is finished even if the client leaves: half a change of schema must not be dropped.
    services
        .shielded(async move {
            let text = text_of(&body)?;
            let request = WriteRequest {
                database: &parameters.db,
                text,
                precision: parameters.precision.into(),
                accept_partial: parameters.accept_partial,
                no_sync: parameters.no_sync,
            };
            let outcome = storage.write(request).await;
            drop(admitted);
            report(&outcome.map_err(refused)?)
        })
        .await??;
    Ok(empty(StatusCode::NO_CONTENT))
}

fn text_of(body: &[u8]) -> Result<&str, Failure> {
    simdutf8::compat::from_utf8(body)
        .map_err(|fault| Failure::bad_request(format!("body content is not valid utf8: {fault}")))
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

fn refused(error: WriteError) -> Failure {
    match error {
        WriteError::Empty => Failure::bad_request("incoming write was empty"),
        WriteError::Line(line) => Failure::json_error_with_data(
            StatusCode::BAD_REQUEST,
            "line protocol parsing error",
            &BadLine::from(&line),
        ),
        WriteError::Failed(error) => match error.kind() {
            ErrorKind::Invalid => Failure::from(error).into_json_error(),
            ErrorKind::Corrupt | ErrorKind::Internal => {
                Failure::from(error).prefixed("write buffer error: ")
            }
            _ => Failure::from(error),
        },
    }
}

#[derive(Serialize)]
struct BadLine<'a> {
    error_message: &'a str,
    line_number: usize,
    original_line: &'a str,
}

impl<'a> From<&'a LineError> for BadLine<'a> {
    fn from(line: &'a LineError) -> Self {
        Self {
            error_message: &line.error_message,
            line_number: line.line_number,
            original_line: &line.original_line,
        }
    }
}

#[cfg(test)]
mod tests;
