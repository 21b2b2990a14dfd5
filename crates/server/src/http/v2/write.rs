//! `POST /api/v2/write`: line protocol as clients of InfluxDB 2 send it, all or nothing.
//!
//! A bucket is a database, whatever the organisation. Parameters and the envelope of errors: spec/http-api.md §4.4 and §4.5.
//! Not here: the write itself (`http/write`).

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::Deserialize;
use storage::WriteError;

use crate::ErrorKind;
use crate::authorization::Permit;
use crate::http::Services;
use crate::http::error::Failure;
use crate::http::response::{ResponseBody, empty};
use crate::http::write::{Refusal, UnitName, Write, check_namespace, write};

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    bucket: String,
    #[serde(default)]
    precision: UnitName,
}

/// Writes the body of a request; 204 when all of it is stored.
pub(crate) async fn write_lines(
    services: &Services,
    head: &Parts,
    permit: Permit<'_>,
    body: Incoming,
) -> Result<Response<ResponseBody>, Failure> {
    let asked = read(head.uri.query()).map_err(Failure::into_coded)?;
    write(services, head, permit, body, asked)
        .await
        .map_err(refused)?;
    Ok(empty(StatusCode::NO_CONTENT))
}

fn read(query: Option<&str>) -> Result<Write, Failure> {
    let query = query.ok_or_else(|| Failure::bad_request("no org/bucket destination provided"))?;
    let parameters: Parameters = serde_urlencoded::from_str(query).map_err(|fault| {
        Failure::bad_request(format!(
            "failed to deserialize org/bucket/precision in request: {fault}"
        ))
    })?;
    if parameters.bucket.is_empty() {
        return Err(Failure::bad_request("missing bucket value"));
    }
    check_namespace(&parameters.bucket)?;
    Ok(Write::all_or_nothing(
        parameters.bucket,
        parameters.precision,
    ))
}

/// Whatever is wrong with what was sent, limits too, is 400 in version 2.
fn refused(refusal: Refusal) -> Failure {
    let failure = match refusal {
        Refusal::Request(failure) => failure,
        Refusal::Write(WriteError::Empty) => {
            Failure::bad_request("write buffer error: incoming write was empty")
        }
        Refusal::Write(WriteError::Line(line)) => Failure::bad_request(format!(
            "write buffer error: line protocol parse failed: {}",
            line.error_message
        )),
        Refusal::Write(WriteError::Failed(error)) => match error.kind() {
            ErrorKind::Invalid => Failure::from(error),
            ErrorKind::Limit => {
                Failure::bad_request(format!("write buffer error: catalog update error: {error}"))
            }
            ErrorKind::Corrupt | ErrorKind::Internal => {
                Failure::from(error).prefixed("write buffer error: ")
            }
            _ => Failure::from(error),
        },
    };
    failure.into_coded()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use storage::LineError;

    use super::*;
    use crate::Error;

    fn outcome(query: Option<&str>) -> Result<String, String> {
        let asked = read(query).map_err(|failure| {
            assert_eq!(failure.status(), StatusCode::BAD_REQUEST);
            failure.reason().to_string()
        })?;
        assert!(!asked.accept_partial && !asked.no_sync);
        Ok(format!("{} {:?}", asked.database, asked.precision))
    }

    #[test]
    fn parameters() {
        let cases = [
            ("bucket=d", "d Nanosecond"),
            (
                "org=o&orgID=1&bucket=d%2Fweek&precision=ms",
                "d/week Millisecond",
            ),
            ("bucket=d&accept_partial=true&no_sync=true", "d Nanosecond"),
        ];
        for (query, expected) in cases {
            assert_eq!(outcome(Some(query)).as_deref(), Ok(expected), "{query}");
        }
    }

    #[test]
    fn bad_parameters() {
        let start = "failed to deserialize org/bucket/precision in request: ";
        let cases = [
            (None, "no org/bucket destination provided".to_string()),
            (Some(""), "missing bucket value".to_string()),
            (Some("org=o"), "missing bucket value".to_string()),
            (Some("bucket=&org=o"), "missing bucket value".to_string()),
            (
                Some("bucket=d&bucket=e"),
                format!("{start}duplicate field `bucket`"),
            ),
            (
                Some("bucket=d%3F"),
                "namespace name 'd?' contains invalid character, character number 1 is not allowed"
                    .to_string(),
            ),
        ];
        for (query, expected) in cases {
            assert_eq!(outcome(query), Err(expected), "{query:?}");
        }
        let refused = outcome(Some("bucket=d&precision=auto")).expect_err("no unit");
        assert!(refused.starts_with(start), "{refused}");
    }

    #[tokio::test]
    async fn refusals_and_their_codes() {
        let failed = |error| Refusal::Write(WriteError::Failed(error));
        let line = LineError {
            error_message: "No fields were provided".to_string(),
            line_number: 2,
            original_line: "t v=".to_string(),
        };
        let cases = [
            (
                Refusal::Request(Failure::unauthorized_action()),
                403,
                r#"{"code":"forbidden","message":"unauthorized to perform requested action with the token"}"#,
            ),
            (
                Refusal::Request(Failure::body_too_large(7)),
                413,
                r#"{"code":"request too large","message":"max request size (7 bytes) exceeded"}"#,
            ),
            (
                Refusal::Write(WriteError::Empty),
                400,
                r#"{"code":"invalid","message":"write buffer error: incoming write was empty"}"#,
            ),
            (
                Refusal::Write(WriteError::Line(line)),
                400,
                r#"{"code":"invalid","message":"write buffer error: line protocol parse failed: No fields were provided"}"#,
            ),
            (
                failed(Error::limit(
                    "Adding a new database would exceed limit of 5 databases",
                )),
                400,
                r#"{"code":"invalid","message":"write buffer error: catalog update error: Adding a new database would exceed limit of 5 databases"}"#,
            ),
            (
                failed(Error::invalid(
                    "db name did not start with a number or letter",
                )),
                400,
                r#"{"code":"invalid","message":"db name did not start with a number or letter"}"#,
            ),
            (
                failed(Error::not_found("nothing here")),
                404,
                r#"{"code":"not found","message":"nothing here"}"#,
            ),
            (
                failed(Error::unavailable("shutting down")),
                503,
                r#"{"code":"unavailable","message":"shutting down"}"#,
            ),
            (
                failed(Error::internal("error from wal: no space")),
                500,
                r#"{"code":"internal error","message":"write buffer error: error from wal: no space"}"#,
            ),
        ];
        for (refusal, status, body) in cases {
            let response = refused(refusal).into_response();
            assert_eq!(response.status().as_u16(), status, "{body}");
            let found = response.into_body().collect().await.expect("a body");
            assert_eq!(found.to_bytes(), body);
        }
    }
}
