//! Who may enter: how a credential arrives over HTTP, and which paths need none.
//!
//! [`Gate::admit`] is the one decision per request (spec/auth-tokens.md §4–§6); nothing is remembered per connection.
//! Not here: what tokens exist and whether one is valid (`catalog`), what its owner may do (`authorization`), how a refusal looks
//! (`http/error.rs`).

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use catalog::{Catalog, Rejected, SecretKind, Token};
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use serde::Deserialize;

use crate::AuthorizationExempt;
use crate::authorization::Caller;

/// The unauthenticated bootstrap endpoint, under its own name and the one that documentation has.
const CREATE_OPERATOR_PATHS: [&str; 2] = [
    "/api/v3/configure/token/admin",
    "/api/v3/enterprise/configure/token/admin",
];
const TOKEN_PATH_PREFIXES: [&str; 2] = [
    "/api/v3/configure/token",
    "/api/v3/enterprise/configure/token",
];

/// Endpoints of version 1 take a token from the query string too.
const QUERY_STRING_CREDENTIAL_PATHS: [&str; 2] = ["/query", "/write"];

/// A token in clear text, as presented. Neither shown nor kept beyond the gate.
pub(crate) struct Secret(Vec<u8>);

impl Secret {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Why a credential could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CredentialFault {
    /// Not `Authorization: <Bearer|Token|Basic> <token>`.
    Malformed,
    /// The header has bytes that are not visible ASCII.
    NotText,
}

/// Why a request is not let in.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The path manages tokens, and nobody is asked for one.
    Disabled,
    Missing,
    Unreadable(CredentialFault),
    Unknown,
    Expired(Arc<Token>),
}

/// What became of a request at the gate, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    /// Nobody was asked.
    NotNeeded,
    Disabled,
    Missing,
    Unreadable,
    Unknown,
    Expired,
    /// Unknown or expired, from a client that had too many of those.
    TooMany,
}

impl Outcome {
    pub(crate) const ALL: [Self; 8] = [
        Self::Accepted,
        Self::NotNeeded,
        Self::Disabled,
        Self::Missing,
        Self::Unreadable,
        Self::Unknown,
        Self::Expired,
        Self::TooMany,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::NotNeeded => "not_needed",
            Self::Disabled => "disabled",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::TooMany => "too_many",
        }
    }
}

impl From<&Refused> for Outcome {
    fn from(refused: &Refused) -> Self {
        match refused {
            Refused::Disabled => Self::Disabled,
            Refused::Missing => Self::Missing,
            Refused::Unreadable(_) => Self::Unreadable,
            Refused::Unknown => Self::Unknown,
            Refused::Expired(_) => Self::Expired,
        }
    }
}

/// The settings that decide who may enter.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    without_auth: bool,
    exempt: Vec<AuthorizationExempt>,
}

impl Gate {
    pub(crate) fn new(without_auth: bool, exempt: Vec<AuthorizationExempt>) -> Self {
        Self {
            without_auth,
            exempt,
        }
    }

    /// Decides whether a request may go on, and strips the credential from its headers.
    pub(crate) fn admit(
        &self,
        catalog: &Catalog,
        path: &str,
        query: Option<&str>,
        headers: &mut HeaderMap,
    ) -> Result<Caller, Refused> {
        if self.without_auth && is_token_path(path) {
            return Err(Refused::Disabled);
        }
        let credential = take_credential(path, query, headers);
        if self.is_exempt(path) {
            return Ok(Caller::Anyone);
        }
        if CREATE_OPERATOR_PATHS.contains(&path) {
            // Whoever comes here needs no token, and a bad one does no harm; an administrator's allows more.
            let caller = credential
                .ok()
                .and_then(|credential| authenticate(catalog, credential).ok());
            return Ok(caller.unwrap_or(Caller::Anyone));
        }
        let credential = credential.map_err(Refused::Unreadable)?;
        if self.without_auth {
            return Ok(Caller::Anyone);
        }
        authenticate(catalog, credential)
    }

    /// Decides whether a call of Arrow Flight may go on, and strips the credential from its metadata. A secret that waits to be
    /// confirmed is good for nothing there.
    pub(crate) fn admit_call(
        &self,
        catalog: &Catalog,
        metadata: &mut HeaderMap,
    ) -> Result<Caller, Refused> {
        let credential = take_credential("", None, metadata).map_err(Refused::Unreadable)?;
        if self.without_auth {
            return Ok(Caller::Anyone);
        }
        match authenticate(catalog, credential)? {
            Caller::Known(authenticated) if authenticated.kind == SecretKind::Staged => {
                Err(Refused::Unknown)
            }
            caller => Ok(caller),
        }
    }

    fn is_exempt(&self, path: &str) -> bool {
        let named = match path {
            "/health" | "/api/v1/health" => AuthorizationExempt::Health,
            "/ping" => AuthorizationExempt::Ping,
            "/metrics" => AuthorizationExempt::Metrics,
            "/ready" => AuthorizationExempt::Ready,
            "/debug/pprof/heap" => AuthorizationExempt::Pprof,
            "/api/v3/enterprise/configure/node/stop" => AuthorizationExempt::NodeStop,
            _ => return false,
        };
        self.exempt.contains(&named)
    }
}

fn authenticate(catalog: &Catalog, credential: Option<Secret>) -> Result<Caller, Refused> {
    let secret = credential.ok_or(Refused::Missing)?;
    match catalog.authenticate(secret.as_bytes()) {
        Ok(authenticated) => Ok(Caller::Known(authenticated)),
        Err(Rejected::Unknown) => Err(Refused::Unknown),
        Err(Rejected::Expired(token)) => Err(Refused::Expired(token)),
    }
}

/// Whether `path` manages tokens, which makes no sense while nobody needs one.
fn is_token_path(path: &str) -> bool {
    TOKEN_PATH_PREFIXES
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

/// Reads the credential of a request and removes the `Authorization` header, so that nothing later can show it.
pub(crate) fn take_credential(
    path: &str,
    query: Option<&str>,
    headers: &mut HeaderMap,
) -> Result<Option<Secret>, CredentialFault> {
    let header = headers.remove(AUTHORIZATION);
    if QUERY_STRING_CREDENTIAL_PATHS.contains(&path)
        && let Some(secret) = query.and_then(query_string_credential)
    {
        return Ok(Some(secret));
    }
    let Some(header) = header else {
        return Ok(None);
    };
    let text = header.to_str().map_err(|_| CredentialFault::NotText)?;
    parse_authorization(text).map(Some)
}

/// The value of `p`, when there is exactly one; an empty one is a token too, just never a valid one.
fn query_string_credential(query: &str) -> Option<Secret> {
    #[derive(Deserialize)]
    struct Presented {
        p: Option<String>,
    }
    let presented: Presented = serde_urlencoded::from_str(query).ok()?;
    presented.p.map(|token| Secret(token.into_bytes()))
}

fn parse_authorization(text: &str) -> Result<Secret, CredentialFault> {
    let mut words = text.split(' ');
    let (Some(scheme), Some(token), None) = (words.next(), words.next(), words.next()) else {
        return Err(CredentialFault::Malformed);
    };
    match scheme {
        "Bearer" | "Token" => Ok(Secret(token.as_bytes().to_vec())),
        "Basic" => parse_basic(token),
        _ => Err(CredentialFault::Malformed),
    }
}

/// The password of `base64(user:password)`; the user is ignored but must not hold a colon.
fn parse_basic(encoded: &str) -> Result<Secret, CredentialFault> {
    let decoded = BASE64_STANDARD
        .decode(encoded)
        .map_err(|_| CredentialFault::Malformed)?;
    let pair = String::from_utf8(decoded).map_err(|_| CredentialFault::Malformed)?;
    match pair.rsplit_once(':') {
        Some((user, token)) if !user.contains(':') => Ok(Secret(token.as_bytes().to_vec())),
        _ => Err(CredentialFault::Malformed),
    }
}

#[cfg(test)]
mod tests;
