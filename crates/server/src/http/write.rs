//! The one way in for lines, whichever generation's endpoint they came by.
//!
//! An endpoint reads its own parameters into a [`Write`] and tells the outcome in its own words; permission, body, memory and the
//! write itself are here. The body goes to storage as it came, without a copy. Not here: what a line means (`line_protocol`),
//! what is written (`storage`), parameters (`v1`, `v2`, `v3`).

use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use serde::{Deserialize, Serialize};
use storage::ingest::tables::tables_named;
use storage::{LineError, Precision, WriteError, WriteOutcome, WriteRequest};

use super::Services;
use super::error::Failure;
use crate::authorization::{Permit, Reach};
use crate::{Error, ErrorKind};

/// Longest name of a database that versions 1 and 2 write to, characters (spec/http-api.md §4.5).
const NAMESPACE_CHARS_MAX: usize = 64;

/// What a request asks for, beside its lines.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) database: String,
    pub(crate) precision: Precision,
    /// Keep the good lines when some are bad.
    pub(crate) accept_partial: bool,
    /// Answer once in memory, without waiting for the log.
    pub(crate) no_sync: bool,
}

impl Write {
    /// As versions 1 and 2 mean it: all or nothing, and durable when answered, whatever else the request says.
    pub(crate) fn all_or_nothing(database: String, unit: UnitName) -> Self {
        Self {
            database,
            precision: unit.into(),
            accept_partial: false,
            no_sync: false,
        }
    }
}

/// Why nothing was written.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The request never came to its lines: permission, body, memory.
    Request(Failure),
    /// The lines, the database or the storage.
    Write(WriteError),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Request(failure)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Request(error.into())
    }
}

/// Writes the body of a request. With `accept_partial` the outcome may have rejected lines.
pub(crate) async fn write(
    services: &Services,
    head: &Parts,
    permit: Permit<'_>,
    body: Incoming,
    write: Write,
) -> Result<WriteOutcome, Refusal> {
    permit.database_to_extend(&services.catalog.snapshot(), &write.database)?;
    let (body, admitted) = services.read_write(head, body).await?;
    // Again: while a slow body came in, the name may have become that of another database, or of none.
    let snapshot = services.catalog.snapshot();
    let reach = permit.database_to_extend(&snapshot, &write.database)?;
    if reach == Reach::Tables {
        // Nothing is written of a request that goes beyond the tables that the token is for.
        for table in tables_named(text_of(&body)?) {
            permit.table(&snapshot, &write.database, &table)?;
        }
    }
    let storage = Arc::clone(&services.storage);
    // A write that has begun is finished even if the client leaves: half a change of schema must not be dropped.
    services
        .shielded(async move {
            let text = text_of(&body)?;
            let request = WriteRequest {
                database: &write.database,
                text,
                precision: write.precision,
                accept_partial: write.accept_partial,
                no_sync: write.no_sync,
            };
            let outcome = storage.write(request).await;
            drop(admitted);
            outcome.map_err(Refusal::Write)
        })
        .await?
}

fn text_of(body: &[u8]) -> Result<&str, Failure> {
    simdutf8::compat::from_utf8(body)
        .map_err(|fault| Failure::bad_request(format!("body content is not valid utf8: {fault}")))
}

/// The answer of versions 1 and 3 (spec/http-api.md §4.1).
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Request(failure) => failure,
            Refusal::Write(WriteError::Empty) => Self::bad_request("incoming write was empty"),
            Refusal::Write(WriteError::Line(line)) => Self::json_error_with_data(
                StatusCode::BAD_REQUEST,
                "line protocol parsing error",
                &BadLine::from(&line),
            ),
            Refusal::Write(WriteError::Failed(error)) => match error.kind() {
                ErrorKind::Invalid => Self::from(error).into_json_error(),
                ErrorKind::Corrupt | ErrorKind::Internal => {
                    Self::from(error).prefixed("write buffer error: ")
                }
                _ => Self::from(error),
            },
        }
    }
}

/// A line that was not written, as responses show it.
#[derive(Serialize)]
pub(crate) struct BadLine<'a> {
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

/// The unit of timestamps as versions 1 and 2 spell it; minutes and hours are version 1's. None given is nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UnitName {
    #[serde(alias = "h")]
    Hour,
    #[serde(alias = "m")]
    Minute,
    #[serde(alias = "s")]
    Second,
    #[serde(alias = "ms")]
    Millisecond,
    #[serde(alias = "us", alias = "u")]
    Microsecond,
    #[default]
    #[serde(alias = "ns", alias = "n", alias = "")]
    Nanosecond,
}

impl From<UnitName> for Precision {
    fn from(name: UnitName) -> Self {
        match name {
            UnitName::Hour => Self::Hour,
            UnitName::Minute => Self::Minute,
            UnitName::Second => Self::Second,
            UnitName::Millisecond => Self::Millisecond,
            UnitName::Microsecond => Self::Microsecond,
            UnitName::Nanosecond => Self::Nanosecond,
        }
    }
}

/// What versions 1 and 2 allow of a database's name, before the rule of all databases (spec/http-api.md §4.5).
pub(crate) fn check_namespace(name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.chars().count() > NAMESPACE_CHARS_MAX {
        return Err(Failure::bad_request(format!(
            "namespace name {name} length must be between 1 and {NAMESPACE_CHARS_MAX} characters"
        )));
    }
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '-');
    match name.chars().position(|c| !is_allowed(c)) {
        None => Ok(()),
        Some(at) => Err(Failure::bad_request(format!(
            "namespace name '{name}' contains invalid character, character number {at} is not allowed"
        ))),
    }
}

#[cfg(test)]
mod tests;
