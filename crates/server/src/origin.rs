//! Where a query comes from, as the request that carries it says: whose it is, whose trace it belongs to, how long it may take.
//!
//! The same for HTTP headers and for the metadata of calls. Not here: what the statement itself is (`http/v3/query`,
//! `flight/ticket`), what becomes of a query that takes too long (`query`).

use std::time::Duration;

use hyper::HeaderMap;
use query::{Origin, QueryKind};

use crate::authorization::Caller;
use crate::{Error, duration};

/// Bounds how long a query may take: `5s`, `1m 30s`.
const TIMEOUT: &str = "x-query-timeout";

/// Where trace ids stand: that of Jaeger, `TRACE:SPAN:PARENT:FLAGS`, and that of the W3C, `VERSION-TRACE-PARENT-FLAGS`.
const JAEGER_TRACE: &str = "uber-trace-id";
const W3C_TRACE: &str = "traceparent";

/// What `headers` and `caller` say of a query.
///
/// Errors: `Invalid` for a timeout that is none.
pub(crate) fn read(headers: &HeaderMap, caller: &Caller) -> Result<Origin, Error> {
    let timeout = match headers.get(TIMEOUT) {
        None => None,
        Some(value) => {
            let text = value.to_str();
            let text = text.map_err(|_| Error::invalid(format!("{TIMEOUT} is not text")))?;
            Some(timeout(text)?)
        }
    };
    Ok(Origin {
        kind: QueryKind::Sql,
        token: caller.authenticated().map(|known| known.token.id),
        trace_id: trace_id(headers),
        timeout,
        ..Origin::default()
    })
}

/// How long a query may take, as text.
pub(crate) fn timeout(text: &str) -> Result<Duration, Error> {
    let wrong = |why: &dyn std::fmt::Display| {
        Error::invalid(format!("invalid query timeout `{text}`: {why}"))
    };
    match duration::parse(text) {
        Ok(Duration::ZERO) => Err(wrong(&"it must be more than zero")),
        Ok(timeout) => Ok(timeout),
        Err(fault) => Err(wrong(&fault)),
    }
}

fn trace_id(headers: &HeaderMap) -> Option<String> {
    let part = |name: &str, separator: char, at: usize| {
        let text = headers.get(name)?.to_str().ok()?;
        let part = text.split(separator).nth(at)?;
        let is_id = !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_id.then(|| part.to_string())
    };
    part(JAEGER_TRACE, ':', 0).or_else(|| part(W3C_TRACE, '-', 1))
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn origin(name: &'static str, value: &'static str) -> Result<Origin, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        read(&headers, &Caller::Anyone)
    }

    #[test]
    fn timeouts_are_durations() {
        let timeout = |text| match origin(TIMEOUT, text) {
            Ok(origin) => format!("{:?}", origin.timeout.expect("given")),
            Err(error) => error.to_string(),
        };
        assert_eq!(timeout("250ms"), "250ms");
        assert_eq!(timeout("1m 30s"), "90s");
        assert_eq!(
            timeout("0s"),
            "invalid query timeout `0s`: it must be more than zero"
        );
        assert!(timeout("5").starts_with("invalid query timeout `5`: "));
        assert!(
            read(&HeaderMap::new(), &Caller::Anyone).is_ok_and(|origin| origin.timeout.is_none())
        );
    }

    #[test]
    fn both_kinds_of_trace_ids_are_read() {
        let trace = |name, value| origin(name, value).expect("no timeout").trace_id;
        assert_eq!(
            trace(JAEGER_TRACE, "4bf92f3577b34da6:00f067aa:0:1").as_deref(),
            Some("4bf92f3577b34da6")
        );
        assert_eq!(
            trace(
                W3C_TRACE,
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            )
            .as_deref(),
            Some("4bf92f3577b34da6a3ce929d0e0e4736")
        );
        for nonsense in ["", ":", "x:y"] {
            assert_eq!(trace(JAEGER_TRACE, nonsense), None, "{nonsense}");
        }
        assert_eq!(trace(W3C_TRACE, "00"), None);
    }
}
