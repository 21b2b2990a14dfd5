//! Who may enter: how a credential arrives over HTTP, and which paths need none.
//!
//! [`Gate::admit`] is the one decision per request (spec/auth-tokens.md §4–§6); nothing is remembered per connection.
//! Not here: what tokens exist and whether one is valid (`catalog`), how a refusal looks (`http/error.rs`).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use catalog::{Authenticated, Catalog};
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use serde::Deserialize;

use crate::AuthorizationExempt;
use crate::http::error::Failure;

/// The unauthenticated bootstrap endpoint, under its own name and the one that documentation has.
const CREATE_OPERATOR_PATHS: [&str; 2] = [
    "/api/v3/configure/token/admin",
    "/api/v3/enterprise/configure/token/admin",
];
const REGENERATE_ALIAS_PATH: &str = "/api/v3/enterprise/configure/token/admin/regenerate";
const TOKEN_PATH_PREFIX: &str = "/api/v3/configure/token";

/// Endpoints of version 1 take a token from the query string too.
const QUERY_STRING_CREDENTIAL_PATHS: [&str; 2] = ["/query", "/write"];

/// A token in clear text, as presented. Neither shown nor kept longer than its request.
pub(crate) struct Secret(Vec<u8>);

impl Secret {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Who makes a request.
pub(crate) enum Caller {
    /// The path needs no token, or the node runs without authentication.
    Anyone,
    /// The owner of a valid token.
    Known {
        authenticated: Authenticated,
        secret: Secret,
    },
}

impl Caller {
    /// Whether the caller may delete rows and tables of `database`, and the database itself. The one place that decides it: every
    /// token there is today is an administrator's.
    pub(crate) fn may_delete(&self, _database: &str) -> bool {
        match self {
            Self::Anyone | Self::Known { .. } => true,
        }
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

    /// Whether the node asks nobody for a token.
    pub(crate) fn is_open(&self) -> bool {
        self.without_auth
    }

    /// Decides whether a request may go on, and strips the credential from its headers.
    pub(crate) fn admit(
        &self,
        catalog: &Catalog,
        path: &str,
        query: Option<&str>,
        headers: &mut HeaderMap,
    ) -> Result<Caller, Failure> {
        if self.without_auth && is_token_path(path) {
            return Err(Failure::endpoint_disabled());
        }
        if self.is_exempt(path) {
            headers.remove(AUTHORIZATION);
            return Ok(Caller::Anyone);
        }
        let credential = take_credential(path, query, headers).map_err(Failure::bad_credential)?;
        if self.without_auth {
            return Ok(Caller::Anyone);
        }
        let secret = credential.ok_or_else(Failure::unauthenticated)?;
        let authenticated = catalog
            .authenticate(secret.as_bytes())
            .ok_or_else(Failure::unauthenticated)?;
        Ok(Caller::Known {
            authenticated,
            secret,
        })
    }

    fn is_exempt(&self, path: &str) -> bool {
        let named = match path {
            "/health" | "/api/v1/health" => AuthorizationExempt::Health,
            "/ping" => AuthorizationExempt::Ping,
            "/metrics" => AuthorizationExempt::Metrics,
            "/ready" => AuthorizationExempt::Ready,
            "/debug/pprof/heap" => AuthorizationExempt::Pprof,
            "/api/v3/enterprise/configure/node/stop" => AuthorizationExempt::NodeStop,
            _ => return CREATE_OPERATOR_PATHS.contains(&path),
        };
        self.exempt.contains(&named)
    }
}

/// Whether `path` manages tokens, which makes no sense while nobody needs one.
fn is_token_path(path: &str) -> bool {
    path.starts_with(TOKEN_PATH_PREFIX)
        || CREATE_OPERATOR_PATHS.contains(&path)
        || path == REGENERATE_ALIAS_PATH
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
