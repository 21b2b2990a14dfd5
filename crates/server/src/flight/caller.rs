//! Whose a call is: the `authorization` metadata, read as HTTP reads its header (spec/auth-tokens.md §4.2).
//!
//! Not here: which tokens are valid (`catalog`), what a credential looks like (`auth`).

use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use tonic::Status;

use crate::authenticator::{Refused, Secret, take_credential};
use crate::authorization::Caller;
use crate::http::{Services, Turned, counted};
use crate::token_events::Protocol;

/// Decides whose a call is, and strips the credential from its metadata.
///
/// Errors: `UNAUTHENTICATED` for what is no valid credential, `PERMISSION_DENIED` for an expired token, `RESOURCE_EXHAUSTED` after too
/// many attempts.
pub(super) fn admit(
    services: &Services,
    metadata: &mut HeaderMap,
    peer: IpAddr,
) -> Result<Caller, Status> {
    let admitted = services.gate.admit_call(&services.catalog, metadata);
    counted(services, admitted, peer, Protocol::Flight).map_err(|turned| match turned {
        Turned::Away(Refused::Expired(_)) => denied(),
        Turned::Away(_) => unauthenticated(),
        Turned::TooMany(wait) => Status::resource_exhausted(format!(
            "too many failed attempts, try again in {} seconds",
            wait.as_secs().max(1)
        )),
    })
}

/// What a valid token gets that does not allow what is asked.
pub(super) fn denied() -> Status {
    Status::permission_denied("Permission denied")
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
