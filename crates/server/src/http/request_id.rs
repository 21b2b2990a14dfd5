//! The name of one request: in its answer, its log line and its traces (spec/conventions.md §4).
//!
//! A client or proxy that has named its request already keeps that name, so that one name runs through all logs on the way; else
//! the server draws one. Not here: ids of queries (`query`).

use std::fmt;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use runtime::World;

/// The header in requests and answers.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest name that is taken over; it goes into every log line of the request.
const TAKEN_BYTES_MAX: usize = 128;

/// A name without spaces or anything else that could break a line of a log.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The name that a request brings, or a new one.
    pub(crate) fn of(headers: &HeaderMap, world: &World) -> Self {
        match headers.get(REQUEST_ID) {
            Some(brought) if is_sane(brought.as_bytes()) => Self(brought.clone()),
            _ => Self::drawn(world),
        }
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// A fresh UUID of version 7: sortable by time.
    fn drawn(world: &World) -> Self {
        let mut chance = [0; 10];
        // Without chance the name is still unique by its time, nearly always; a request does not fail for it.
        let _ = world.random.fill(&mut chance);
        let now_ms = u64::try_from(world.clock.now_ms()).unwrap_or_default();
        let id = uuid::Builder::from_unix_timestamp_millis(now_ms, &chance).into_uuid();
        let mut text = uuid::Uuid::encode_buffer();
        let text = id.hyphenated().encode_lower(&mut text);
        Self(HeaderValue::from_str(text).expect("hexadecimal digits and dashes are a header"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.to_str().unwrap_or_default())
    }
}

fn is_sane(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() <= TAKEN_BYTES_MAX
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sane_names_are_taken_over() {
        for name in ["a", "0198-a_b.c:d/e+f=@", &"x".repeat(128)] {
            assert!(is_sane(name.as_bytes()), "{name}");
        }
        for name in ["", "a b", "a\"", "a;b", "ä", &"x".repeat(129)] {
            assert!(!is_sane(name.as_bytes()), "{name}");
        }
    }
}
