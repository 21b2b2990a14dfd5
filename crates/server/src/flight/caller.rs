//! Whose a call is: the `authorization` metadata, read as HTTP reads its header (spec/auth-tokens.md §4.2).
//!
//! Not here: which tokens are valid (`catalog`), what a credential looks like (`auth`).

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use tonic::Status;

use crate::auth::{Caller, Secret, take_credential};
use crate::http::Services;

/// Decides whose a call is, and strips the credential from its metadata.
///
/// Errors: `UNAUTHENTICATED`, whatever is wrong with the credential, so that a stranger learns nothing.
pub(super) fn admit(services: &Services, metadata: &mut HeaderMap) -> Result<Caller, Status> {
    let secret = presented(metadata)?;
    if services.gate.is_open() {
        return Ok(Caller::Anyone);
    }
    let secret = secret.ok_or_else(unauthenticated)?;
    let authenticated = services
        .catalog
        .authenticate(secret.as_bytes())
        .ok_or_else(unauthenticated)?;
    Ok(Caller::Known {
        authenticated,
        secret,
    })
}

/// The answer's `authorization` to a handshake that came with a credential: the same token as a bearer token, good or not.
pub(super) fn bearer(metadata: &mut HeaderMap) -> Result<Option<HeaderValue>, Status> {
    let Some(secret) = presented(metadata)? else {
        return Ok(None);
    };
    let mut text = b"Bearer ".to_vec();
    text.extend_from_slice(secret.as_bytes());
    let mut value = HeaderValue::from_bytes(&text).map_err(|_| unauthenticated())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn presented(metadata: &mut HeaderMap) -> Result<Option<Secret>, Status> {
    // Only paths of version 1 take a token in the query string.
    take_credential("", None, metadata).map_err(|_| unauthenticated())
}

fn unauthenticated() -> Status {
    Status::unauthenticated("Unauthenticated")
}
