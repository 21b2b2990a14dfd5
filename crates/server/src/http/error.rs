//! Failed requests: which status, which body, which line in the log.
//!
//! [`Failure`] is what every handler returns instead of a response. Bodies are byte-exact contract (spec/http-api.md §1.8,
//! spec/auth-tokens.md §5); beside them goes what HTTP wants of a failure: the type of the body, and what to do about it
//! (`WWW-Authenticate`, `Retry-After`). Not here: errors after a status was sent; those end the body early.

use std::fmt::Display;
use std::net::IpAddr;
use std::time::Duration;

use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use query::{Blame, blame};
use serde::Serialize;

use super::request_id::RequestId;
use super::response::ResponseBody;
use super::router::Feature;
use crate::authenticator::{CredentialFault, Refused};
use crate::{Error, ErrorKind};

/// How long a client should wait when the node is stopping or overloaded: a write has waited ten seconds already.
const RETRY_AFTER_S: &str = "1";

const UNAUTHENTICATED: &str = r#"{"error": "the request was not authenticated"}"#;
const MALFORMED_CREDENTIAL: &str = r#"{"error": "Authorization header was malformed, the request was not in the form of 'Authorization: <auth-scheme> <token>', supported auth-schemes are Bearer, Token and Basic"}"#;
const UNREADABLE_CREDENTIAL: &str =
    r#"{"error": "to str error: failed to convert header to a str"}"#;
const TOO_MANY_FAILED_ATTEMPTS: &str = r#"{"error": "too many requests with an invalid token from this address, try again later; a valid token is still accepted"}"#;
const FORBIDDEN: &str = r#"{"error": "requestor is forbidden from requested resource"}"#;

const UNAUTHORIZED_ACTION: &str =
    r#"{"error": "unauthorized to perform requested action with the token"}"#;

/// Why a request failed, ready to be sent.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    body: String,
    /// What the log says; never a credential.
    reason: String,
    /// When a client should come again, where that is known better than by the status.
    retry_after_s: Option<u64>,
    content_type: &'static str,
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

impl Failure {
    /// A body of plain text.
    pub(crate) fn text(status: StatusCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status,
            reason: message.clone(),
            body: message,
            retry_after_s: None,
            content_type: TEXT,
        }
    }

    /// The body `{"error":"…"}`.
    pub(crate) fn json_error(status: StatusCode, message: impl Into<String>) -> Self {
        let reason = message.into();
        let body = serde_json::json!({ "error": reason }).to_string();
        Self {
            status,
            body,
            reason,
            retry_after_s: None,
            content_type: JSON,
        }
    }

    /// The body `{"error":"…","data":…}`.
    pub(crate) fn json_error_with_data(
        status: StatusCode,
        message: &'static str,
        data: &impl Serialize,
    ) -> Self {
        #[derive(Serialize)]
        struct Body<'a, T> {
            error: &'a str,
            data: &'a T,
        }
        let body = Body {
            error: message,
            data,
        };
        match serde_json::to_string(&body) {
            Ok(body) => Self {
                status,
                body,
                reason: message.to_string(),
                retry_after_s: None,
                content_type: JSON,
            },
            Err(fault) => Self::text(StatusCode::INTERNAL_SERVER_ERROR, fault.to_string()),
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::text(StatusCode::BAD_REQUEST, message)
    }

    /// Unknown path, or a method that the path does not have.
    pub(crate) fn no_route() -> Self {
        Self::text(StatusCode::NOT_FOUND, "Not found")
    }

    pub(crate) fn body_too_large(limit_bytes: usize) -> Self {
        Self::text(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("max request size ({limit_bytes} bytes) exceeded"),
        )
    }

    /// A body that does not come, or comes too slowly.
    pub(crate) fn body_too_slow(what: String) -> Self {
        Self::text(StatusCode::REQUEST_TIMEOUT, what)
    }

    /// What clients may ask for and this version does not have.
    pub(crate) fn not_implemented(feature: Feature) -> Self {
        Self::json_error(
            StatusCode::NOT_IMPLEMENTED,
            format!("{} are not implemented yet", feature.name()),
        )
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::literal(
            StatusCode::UNAUTHORIZED,
            UNAUTHENTICATED,
            "the request was not authenticated",
        )
    }

    /// A client whose credentials were invalid too often, and how long it should wait.
    pub(crate) fn too_many_failed_attempts(wait: Duration) -> Self {
        let wait_s = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self {
            retry_after_s: Some(wait_s.max(1)),
            ..Self::literal(
                StatusCode::TOO_MANY_REQUESTS,
                TOO_MANY_FAILED_ATTEMPTS,
                "too many requests with an invalid token from this client",
            )
        }
    }

    /// A valid token without the permission that is needed; says nothing of what exists.
    pub(crate) fn unauthorized_action() -> Self {
        Self::literal(
            StatusCode::FORBIDDEN,
            UNAUTHORIZED_ACTION,
            "unauthorized to perform requested action with the token",
        )
    }

    pub(crate) fn forbidden() -> Self {
        Self::literal(
            StatusCode::FORBIDDEN,
            FORBIDDEN,
            "requestor is forbidden from requested resource",
        )
    }

    pub(crate) fn bad_credential(fault: CredentialFault) -> Self {
        match fault {
            CredentialFault::Malformed => Self::literal(
                StatusCode::BAD_REQUEST,
                MALFORMED_CREDENTIAL,
                "the authorization header was malformed",
            ),
            CredentialFault::NotText => Self::literal(
                StatusCode::BAD_REQUEST,
                UNREADABLE_CREDENTIAL,
                "the authorization header was not text",
            ),
        }
    }

    /// Token endpoints while authentication is off.
    pub(crate) fn endpoint_disabled() -> Self {
        Self::text(
            StatusCode::METHOD_NOT_ALLOWED,
            "endpoint disabled, started without auth",
        )
    }

    /// The same failure with its message as `{"error":"…"}`.
    pub(crate) fn into_json_error(mut self) -> Self {
        self.body = serde_json::json!({ "error": self.reason }).to_string();
        self.content_type = JSON;
        self
    }

    /// The same failure as clients of version 2 read it: `{"code":"…","message":"…"}`.
    pub(crate) fn into_coded(mut self) -> Self {
        let code = match self.status {
            StatusCode::BAD_REQUEST | StatusCode::UNSUPPORTED_MEDIA_TYPE => "invalid",
            StatusCode::UNAUTHORIZED => "unauthorized",
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::NOT_FOUND => "not found",
            StatusCode::METHOD_NOT_ALLOWED => "method not allowed",
            StatusCode::CONFLICT => "conflict",
            StatusCode::PAYLOAD_TOO_LARGE => "request too large",
            StatusCode::UNPROCESSABLE_ENTITY => "unprocessable entity",
            StatusCode::REQUEST_TIMEOUT => "request timeout",
            StatusCode::TOO_MANY_REQUESTS => "too many requests",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            _ => "internal error",
        };
        self.body = serde_json::json!({ "code": code, "message": self.reason }).to_string();
        self.content_type = JSON;
        self
    }

    /// The same failure with `prefix` before its text.
    pub(crate) fn prefixed(mut self, prefix: &str) -> Self {
        self.reason.insert_str(0, prefix);
        self.body.insert_str(0, prefix);
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) fn into_response(self) -> Response<ResponseBody> {
        let is_empty = self.body.is_empty();
        let mut response = Response::new(ResponseBody::full(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if !is_empty {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        match self.status {
            StatusCode::UNAUTHORIZED => {
                let scheme = HeaderValue::from_static(r#"Bearer realm="influxdb""#);
                headers.insert(WWW_AUTHENTICATE, scheme);
            }
            // The rest of what the client is still sending is of no use to anybody.
            StatusCode::REQUEST_TIMEOUT => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        if matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            let wait = match self.retry_after_s {
                Some(wait_s) => HeaderValue::from(wait_s),
                None => HeaderValue::from_static(RETRY_AFTER_S),
            };
            response.headers_mut().insert(RETRY_AFTER, wait);
        }
        response
    }

    fn literal(status: StatusCode, body: &str, reason: &str) -> Self {
        Self {
            status,
            body: body.to_string(),
            reason: reason.to_string(),
            retry_after_s: None,
            content_type: JSON,
        }
    }
}

/// Unknown and expired tokens are told the same.
impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Disabled => Self::endpoint_disabled(),
            Refused::Unreadable(fault) => Self::bad_credential(fault),
            Refused::Missing | Refused::Unknown | Refused::Expired(_) => Self::unauthenticated(),
        }
    }
}

/// The shared mapping; handlers that differ for a kind say so themselves.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error.kind() {
            ErrorKind::Invalid => Self::text(StatusCode::BAD_REQUEST, message),
            ErrorKind::NotFound => Self::text(StatusCode::NOT_FOUND, message),
            ErrorKind::Conflict => Self::text(StatusCode::CONFLICT, message),
            ErrorKind::Denied => Self::forbidden(),
            ErrorKind::Limit => Self::json_error(StatusCode::UNPROCESSABLE_ENTITY, message),
            ErrorKind::TooLarge => Self::text(StatusCode::PAYLOAD_TOO_LARGE, message),
            ErrorKind::Unsupported => Self::text(StatusCode::METHOD_NOT_ALLOWED, message),
            ErrorKind::Unavailable => Self::text(StatusCode::SERVICE_UNAVAILABLE, message),
            // What a statement computes over the rows it meets is its own fault, and asking again does not help.
            ErrorKind::Internal if blame(&error) == Blame::Statement => {
                Self::text(StatusCode::BAD_REQUEST, message)
            }
            ErrorKind::Timeout => Self::text(StatusCode::GATEWAY_TIMEOUT, message),
            ErrorKind::Cancelled => Self::text(cancelled(), message),
            ErrorKind::Corrupt | ErrorKind::Internal => {
                Self::text(StatusCode::INTERNAL_SERVER_ERROR, message)
            }
        }
    }
}

/// Of a request that was ended on purpose; none of the registered statuses says so.
fn cancelled() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}

/// What the log may say of a request: never its query string, never a credential (spec/http-api.md §1.9).
#[derive(Debug)]
pub(crate) struct CallSummary {
    method: String,
    path: String,
    content_length: Option<String>,
    database: Option<String>,
    client_ip: String,
    request_id: Option<RequestId>,
}

impl CallSummary {
    pub(crate) fn of(head: &Parts, peer: IpAddr) -> Self {
        Self {
            method: cut(head.method.as_str(), 32),
            path: cut(head.uri.path(), 256),
            content_length: header_text(&head.headers, &CONTENT_LENGTH).map(|text| cut(text, 128)),
            database: head.uri.query().and_then(first_database),
            client_ip: client_ip(&head.headers, peer),
            request_id: head.extensions.get::<RequestId>().cloned(),
        }
    }

    /// Writes the one line that a failed request gets.
    pub(crate) fn log_failure(&self, error: &dyn Display) {
        tracing::error!(
            error = %one_line(&cut(&error.to_string(), 8_192)),
            method = %self.method,
            path = %self.path,
            content_length = self.content_length.as_deref().map(tracing::field::display),
            database = self.database.as_deref().map(one_line).map(tracing::field::display),
            client_ip = %self.client_ip,
            request_id = self.request_id.as_ref().map(tracing::field::display),
            "Error while handling request"
        );
    }
}

/// Who really asked: the first hop that proxies report, else the peer of the connection.
fn client_ip(headers: &HeaderMap, peer: IpAddr) -> String {
    let forwarded = HeaderName::from_static("x-forwarded-for");
    let real = HeaderName::from_static("x-real-ip");
    let reported = header_text(headers, &forwarded)
        .and_then(|hops| hops.split(',').next())
        .map(str::trim)
        .filter(|hop| !hop.is_empty())
        .or_else(|| header_text(headers, &real).map(str::trim));
    match reported {
        Some(address) => cut(address, 128),
        None => peer.to_string(),
    }
}

fn first_database(query: &str) -> Option<String> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).ok()?;
    pairs
        .into_iter()
        .find(|(key, _)| key == "db")
        .map(|(_, database)| cut(&database, 511))
}

fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A log line stays one line, of nothing that a terminal would obey.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// At most `bytes_max` bytes of `text`, whole characters.
fn cut(text: &str, bytes_max: usize) -> String {
    text[..text.floor_char_boundary(bytes_max)].to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_status_and_shape() {
        let cases = [
            (ErrorKind::Invalid, 400, "m"),
            (ErrorKind::NotFound, 404, "m"),
            (ErrorKind::Conflict, 409, "m"),
            (
                ErrorKind::Denied,
                403,
                r#"{"error": "requestor is forbidden from requested resource"}"#,
            ),
            (ErrorKind::Limit, 422, r#"{"error":"m"}"#),
            (ErrorKind::TooLarge, 413, "m"),
            (ErrorKind::Unsupported, 405, "m"),
            (ErrorKind::Unavailable, 503, "m"),
            (ErrorKind::Timeout, 504, "m"),
            (ErrorKind::Cancelled, 499, "m"),
            (ErrorKind::Corrupt, 500, "m"),
            (ErrorKind::Internal, 500, "m"),
        ];
        for (kind, status, body) in cases {
            let failure = Failure::from(Error::new(kind, "m"));
            assert_eq!(failure.status.as_u16(), status, "{kind:?}");
            assert_eq!(failure.body, body, "{kind:?}");
            let response = failure.into_response();
            assert_eq!(
                response.headers().contains_key(RETRY_AFTER),
                kind == ErrorKind::Unavailable,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn a_computation_that_fails_is_the_statements_fault() {
        let of = |message: &str| Failure::from(Error::internal(message)).status.as_u16();
        let introduction = "query error: error while executing plan: ";
        let fault = format!("{introduction}Arrow error: Divide by zero error");
        assert_eq!(of(&fault), 400);
        assert_eq!(of(&format!("{introduction}IO error: no disk")), 500);
    }

    #[test]
    fn who_fails_too_often_is_told_when_to_come_again() {
        for (wait_ms, told) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2")] {
            let failure = Failure::too_many_failed_attempts(Duration::from_millis(wait_ms));
            let response = failure.into_response();
            assert_eq!(response.status().as_u16(), 429);
            assert_eq!(response.headers()[RETRY_AFTER], told, "{wait_ms} ms");
        }
    }

    #[test]
    fn causes_are_told_and_quotes_escaped() {
        let error = Error::invalid("bad name").with_source(Error::invalid("a \"quote\""));
        let failure = Failure::from(error).into_json_error();
        assert_eq!(failure.body, r#"{"error":"bad name: a \"quote\""}"#);
    }

    #[test]
    fn the_log_knows_the_client_and_database_but_no_query() {
        let request = hyper::Request::get("/api/v3/write_lp?p=SECRET&db=a%20b&db=c&q=SECRET")
            .header("x-forwarded-for", " 10.0.0.1 , 10.0.0.2")
            .header("x-real-ip", "10.0.0.3")
            .header("content-length", "12")
            .body(())
            .expect("a request");
        let (mut head, ()) = request.into_parts();
        let peer = IpAddr::from([127, 0, 0, 1]);
        let summary = CallSummary::of(&head, peer);
        assert_eq!(summary.client_ip, "10.0.0.1");
        assert_eq!(summary.database.as_deref(), Some("a b"));
        assert_eq!(summary.path, "/api/v3/write_lp");
        assert!(!format!("{summary:?}").contains("SECRET"));

        head.headers.remove("x-forwarded-for");
        assert_eq!(CallSummary::of(&head, peer).client_ip, "10.0.0.3");
        head.headers.remove("x-real-ip");
        assert_eq!(CallSummary::of(&head, peer).client_ip, "127.0.0.1");
    }

    #[test]
    fn a_line_of_the_log_has_no_control_characters() {
        assert_eq!(one_line("a\nb\r\u{1b}[1mc\u{0}d"), "a b  [1mc d");
    }

    #[test]
    fn cutting_keeps_characters_whole() {
        assert_eq!(cut("aäb", 2), "a");
        assert_eq!(cut("aäb", 3), "aä");
        assert_eq!(cut("a", 10), "a");
    }
}
