//! What requests about tokens can say besides names: times, rotations, permissions, and which secret they mean.
//!
//! Not here: what becomes of it (`catalog`).

use std::time::Duration;

use catalog::{AskedPermission, NewExpiry, Rotation};
use hyper::header::{HeaderMap, IF_MATCH};
use serde::Deserialize;

use crate::Error;
use crate::http::body::from_json;
use crate::http::error::Failure;

/// 9999-12-31T23:59:59.999Z: the last time that can be written down everywhere.
const LAST_TIME_MS: i64 = 253_402_300_799_999;

/// How long a staged secret waits to be confirmed when the request does not say.
const STAGE_SECS: u64 = 3_600;

/// As many digits of a hash are shown in listings, and fewer may be met by chance.
const HASH_DIGITS_MIN: usize = 9;

/// How a token gets another secret; from the query string, or from a JSON object.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct RegenerateOptions {
    pub(super) token_name: Option<String>,
    grace_secs: Option<u64>,
    expiry_secs: Option<u64>,
    stage: Option<bool>,
    stage_secs: Option<u64>,
}

impl RegenerateOptions {
    /// A body that is no JSON object says nothing: the contract ignores it.
    pub(super) fn from_body(body: &[u8]) -> Result<Self, Failure> {
        let is_object =
            serde_json::from_slice(body).is_ok_and(|value: serde_json::Value| value.is_object());
        if !is_object {
            return Ok(Self::default());
        }
        from_json(body)
    }

    /// These, and where they say nothing, `others`.
    pub(super) fn or(self, others: Self) -> Self {
        Self {
            token_name: self.token_name.or(others.token_name),
            grace_secs: self.grace_secs.or(others.grace_secs),
            expiry_secs: self.expiry_secs.or(others.expiry_secs),
            stage: self.stage.or(others.stage),
            stage_secs: self.stage_secs.or(others.stage_secs),
        }
    }

    pub(super) fn rotation(&self, now_ms: i64, grace: Duration) -> Result<Rotation, Failure> {
        let grace = match self.grace_secs {
            None => grace,
            Some(secs) => reachable("grace_secs", now_ms, secs)?,
        };
        let stage_secs = self.stage_secs.unwrap_or(STAGE_SECS);
        let stage_for = match self.stage {
            Some(true) => Some(reachable("stage_secs", now_ms, stage_secs)?),
            Some(false) | None => None,
        };
        let expiry = match self.expiry_secs {
            None => NewExpiry::Unchanged,
            Some(secs) => NewExpiry::AtMs(expiry_ms(now_ms, secs)?),
        };
        Ok(Rotation {
            grace,
            expiry,
            stage_for,
            if_match: None,
        })
    }
}

#[derive(Deserialize)]
pub(super) struct ConfirmOptions {
    pub(super) grace_secs: Option<u64>,
}

/// A permission in either way of writing it.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum ListedPermission {
    Written(String),
    Parts {
        resource_type: String,
        resource_names: Vec<String>,
        actions: Vec<String>,
    },
}

impl ListedPermission {
    pub(super) fn into_asked(self) -> Result<AskedPermission, Error> {
        match self {
            Self::Written(text) => AskedPermission::parse(&text),
            Self::Parts {
                resource_type,
                resource_names,
                actions,
            } => Ok(AskedPermission {
                resource_type,
                resource_names,
                actions,
            }),
        }
    }
}

/// The time that lies so far ahead.
pub(super) fn expiry_ms(now_ms: i64, expiry_secs: u64) -> Result<i64, Failure> {
    let ahead = reachable("expiry_secs", now_ms, expiry_secs)?;
    let ahead_ms = i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX);
    Ok(now_ms.saturating_add(ahead_ms))
}

fn reachable(field: &str, now_ms: i64, secs: u64) -> Result<Duration, Failure> {
    let at_ms = i64::try_from(secs)
        .ok()
        .and_then(|secs| secs.checked_mul(1_000))
        .and_then(|ahead_ms| now_ms.checked_add(ahead_ms));
    if at_ms.is_none_or(|at_ms| at_ms > LAST_TIME_MS) {
        return Err(Failure::bad_request(format!(
            "{field} {secs} is too large: it ends after the year 9999"
        )));
    }
    Ok(Duration::from_secs(secs))
}

/// What the header `If-Match` wants: `None` without one, `Some(None)` for whatever secret is in force, otherwise the beginning
/// of its hash.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<Option<String>>, Failure> {
    let Some(value) = headers.get(IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(Some(None));
    }
    let digits = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    let is_prefix =
        digits.len() >= HASH_DIGITS_MIN && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_prefix {
        return Err(Failure::bad_request(format!(
            "If-Match must be * or at least the first {HASH_DIGITS_MIN} hexadecimal digits of the token's hash"
        )));
    }
    Ok(Some(Some(digits.to_ascii_lowercase())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_770_091_506_000;

    fn options(body: &str) -> Result<RegenerateOptions, String> {
        RegenerateOptions::from_body(body.as_bytes())
            .map_err(|failure| failure.reason().to_string())
    }

    #[test]
    fn a_body_that_is_no_object_says_nothing() {
        for body in ["", "null", "[1]", "\"x\"", "{\"a\"", "grace_secs=5"] {
            assert_eq!(options(body), Ok(RegenerateOptions::default()), "{body}");
        }
        let found = options(r#"{"grace_secs":5,"stage":true,"expiry_secs":null,"other":1}"#);
        let found = found.expect("an object");
        assert_eq!((found.grace_secs, found.stage), (Some(5), Some(true)));
        assert!(options(r#"{"grace_secs":-5}"#).is_err());
    }

    #[test]
    fn the_query_string_wins() {
        let of = |text: &str| options(text).expect(text);
        let both = of(r#"{"grace_secs":1}"#).or(of(r#"{"grace_secs":2,"stage":true}"#));
        assert_eq!((both.grace_secs, both.stage), (Some(1), Some(true)));
    }

    #[test]
    fn rotations() {
        let of = |text: &str| {
            let rotation = options(text)
                .expect(text)
                .rotation(NOW_MS, Duration::from_secs(7));
            rotation.map_err(|failure| failure.reason().to_string())
        };
        let plain = of("{}").expect("plain");
        assert_eq!(plain.grace, Duration::from_secs(7));
        assert_eq!(
            (plain.stage_for, plain.expiry),
            (None, NewExpiry::Unchanged)
        );
        let staged = of(r#"{"stage":true,"grace_secs":0,"expiry_secs":0}"#).expect("staged");
        assert_eq!(staged.grace, Duration::ZERO);
        assert_eq!(staged.stage_for, Some(Duration::from_secs(3_600)));
        assert_eq!(staged.expiry, NewExpiry::AtMs(NOW_MS));
        for (field, secs) in [
            ("expiry_secs", u64::MAX),
            ("expiry_secs", i64::MAX as u64),
            ("grace_secs", 300_000_000_000),
        ] {
            let refused = of(&format!(r#"{{"{field}":{secs}}}"#)).expect_err(field);
            assert!(refused.starts_with(field), "{refused}");
        }
    }

    #[test]
    fn which_secret_is_meant() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_MATCH, text.parse().expect("a header value"));
            if_match(&headers).map_err(|_| "refused")
        };
        let prefix = |text: &str| Ok(Some(Some(text.to_string())));
        assert_eq!(if_match(&HeaderMap::new()).ok(), Some(None));
        assert_eq!(of("*"), Ok(Some(None)));
        assert_eq!(of("\"0123456789ab\""), prefix("0123456789ab"));
        assert_eq!(of("012345ABC"), prefix("012345abc"));
        for text in ["", "\"\"", "12345678", "\"012345xyz\"", "W/\"0123456789\""] {
            assert_eq!(of(text), Err("refused"), "{text}");
        }
    }
}
