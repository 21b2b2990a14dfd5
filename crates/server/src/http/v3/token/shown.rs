//! Tokens as JSON: with their secret when it is new, without it otherwise.
//!
//! Keys and their order: spec/auth-tokens.md §7.1; what goes beyond stands behind them.

use std::sync::Arc;

use catalog::{NewToken, SecretKind, Snapshot, Token, TokenId};
use chrono::{DateTime, SecondsFormat};
use serde::Serialize;

use crate::Error;

/// The answer to a change.
#[derive(Serialize)]
struct Changed<'a> {
    id: u64,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    hash: String,
    created_at: String,
    expiry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    staged_until: Option<String>,
}

impl<'a> Changed<'a> {
    fn of(token: &'a Token) -> Result<Self, Error> {
        let previous = token.previous.as_ref();
        let staged = token.staged.as_ref();
        Ok(Self {
            id: token.id.0,
            name: &token.name,
            token: None,
            hash: token.hash_hex(),
            created_at: rfc3339(token.created_at_ms)?,
            expiry: written(token.expiry_ms),
            permissions: None,
            previous_until: written(previous.map(|previous| previous.until_ms)),
            staged_until: written(staged.map(|staged| staged.until_ms)),
        })
    }

    fn with_secret(created: &'a NewToken) -> Result<Self, Error> {
        Ok(Self {
            token: Some(&created.secret),
            hash: created.hash_hex.clone(),
            ..Self::of(&created.token)?
        })
    }
}

/// A token in a listing.
#[derive(Serialize)]
struct Listed<'a> {
    id: u64,
    name: &'a str,
    hash: String,
    description: Option<&'a str>,
    created_at: String,
    created_by: Option<u64>,
    updated_at: Option<String>,
    updated_by: Option<u64>,
    expiry: Option<String>,
    permissions: Vec<String>,
    last_used_at: Option<String>,
    previous_until: Option<String>,
    staged_until: Option<String>,
    /// Which of the token's secrets was presented.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'static str>,
}

impl<'a> Listed<'a> {
    fn of(token: &'a Token, snapshot: &Snapshot, now_ms: i64) -> Result<Self, Error> {
        let id = |of: Option<TokenId>| of.map(|id| id.0);
        let last_used_ms = token.last_used_s().map(|at_s| at_s.saturating_mul(1_000));
        Ok(Self {
            id: token.id.0,
            name: &token.name,
            hash: token.digest.to_hex_prefix(),
            description: token.description.as_deref(),
            created_at: rfc3339(token.created_at_ms)?,
            created_by: id(token.created_by),
            updated_at: written(token.updated_at_ms),
            updated_by: id(token.updated_by),
            expiry: written(token.expiry_ms),
            permissions: token.permissions.to_strings(snapshot),
            last_used_at: written(last_used_ms),
            previous_until: written(token.previous_until_ms(now_ms)),
            staged_until: written(token.staged_until_ms(now_ms)),
            secret: None,
        })
    }
}

/// The body of an answer with a new secret (spec/auth-tokens.md §7.1).
pub(crate) fn encode(created: &NewToken) -> Result<Vec<u8>, Error> {
    to_json(&Changed::with_secret(created)?)
}

/// The same for a token with permissions of its own.
pub(super) fn encode_with_permissions(
    created: &NewToken,
    permissions: Vec<String>,
) -> Result<Vec<u8>, Error> {
    to_json(&Changed {
        permissions: Some(permissions),
        ..Changed::with_secret(created)?
    })
}

/// The body of an answer whose secret the client has already.
pub(super) fn encode_confirmed(token: &Token) -> Result<Vec<u8>, Error> {
    to_json(&Changed::of(token)?)
}

pub(super) fn encode_list(
    tokens: &[Arc<Token>],
    snapshot: &Snapshot,
    now_ms: i64,
) -> Result<Vec<u8>, Error> {
    let listed: Result<Vec<_>, _> = tokens
        .iter()
        .map(|token| Listed::of(token, snapshot, now_ms))
        .collect();
    to_json(&listed?)
}

pub(super) fn encode_own(
    token: &Token,
    kind: SecretKind,
    snapshot: &Snapshot,
    now_ms: i64,
) -> Result<Vec<u8>, Error> {
    to_json(&Listed {
        secret: Some(match kind {
            SecretKind::Current => "current",
            SecretKind::Previous => "previous",
            SecretKind::Staged => "staged",
        }),
        ..Listed::of(token, snapshot, now_ms)?
    })
}

fn to_json(shown: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(shown)
        .map_err(|fault| Error::internal("cannot encode the token").with_source(fault))
}

/// Nothing for a time beyond all calendars, which a token file can ask for: it is as good as never.
fn written(at_ms: Option<i64>) -> Option<String> {
    at_ms.and_then(|at_ms| rfc3339(at_ms).ok())
}

/// UTC with `Z`, and milliseconds unless they are zero.
fn rfc3339(at_ms: i64) -> Result<String, Error> {
    DateTime::from_timestamp_millis(at_ms)
        .map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
        .ok_or_else(|| Error::internal(format!("time {at_ms} ms is out of range")))
}
