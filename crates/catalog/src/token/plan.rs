//! Which change a request about tokens makes, and whether whoever asks may.
//!
//! Pure: the same snapshot, request and time give the same change. Rights are checked here, on the snapshot that the change
//! is made on, and not only where the request came in: whoever has been deleted or rotated away meanwhile changes nothing.
//!
//! The operator may rotate any token, an administrator any but the operator's, every token itself
//! (spec/auth-tokens.md §8.2, the stricter reading).

use std::sync::Arc;
use std::time::Duration;

use super::permission::{AskedPermissions, Permissions};
use super::secret::Digest;
use super::{
    Asker, Authenticated, NewExpiry, OPERATOR_TOKEN, Rotation, SecretKind, Token, TokenId,
    TokenRequest,
};
use crate::change::Change;
use crate::{Error, ErrorKind, Snapshot};

const NAME_MAX_BYTES: usize = 250;

/// Longer texts are no descriptions.
const DESCRIPTION_MAX_BYTES: usize = 1_024;

pub(crate) fn create_operator(
    snapshot: &Snapshot,
    by: &Asker,
    digest: &Digest,
    now_ms: i64,
) -> Result<(Change, TokenId), Error> {
    require_free_name(snapshot, OPERATOR_TOKEN)?;
    if let Asker::Anyone = by {
        // Otherwise a server whose administrator came from a file would belong to the first stranger.
        let is_admin = |token: &Arc<Token>| token.permissions.is_admin();
        if snapshot.tokens().iter().any(is_admin) {
            return Err(Error::conflict(
                "an admin token exists already: the operator token can only be created with it",
            ));
        }
    }
    if let Asker::Token(authenticated) = by {
        require_admin(accepted(snapshot, authenticated, now_ms)?)?;
    }
    let request = TokenRequest {
        name: OPERATOR_TOKEN.to_string(),
        description: None,
        expiry_ms: None,
        permissions: AskedPermissions::Admin,
    };
    let permissions = Permissions::admin();
    Ok(creation(
        snapshot,
        &request,
        permissions,
        by,
        digest,
        now_ms,
    ))
}

pub(crate) fn create(
    snapshot: &Snapshot,
    request: &TokenRequest,
    by: &Asker,
    digest: &Digest,
    now_ms: i64,
) -> Result<(Change, TokenId), Error> {
    let holder = match by {
        Asker::Node => None,
        Asker::Anyone => return Err(Error::denied("only administrators can create tokens")),
        Asker::Token(authenticated) => {
            let holder = accepted(snapshot, authenticated, now_ms)?;
            require_admin(holder)?;
            Some(holder)
        }
    };
    check_texts(request)?;
    require_free_name(snapshot, &request.name)?;
    if snapshot.token_of_digest(digest).is_some() {
        return Err(Error::conflict(format!(
            "the secret of token {} is that of another token",
            request.name
        )));
    }
    let permissions = request.permissions.resolve(snapshot)?;
    if request.name == OPERATOR_TOKEN && !permissions.is_admin() {
        return Err(Error::invalid(format!(
            "the name {OPERATOR_TOKEN} is reserved for the operator token"
        )));
    }
    if holder.is_some_and(|holder| !holder.permissions.covers(&permissions)) {
        return Err(Error::denied(
            "a token cannot be given more permissions than the one that creates it has",
        ));
    }
    Ok(creation(snapshot, request, permissions, by, digest, now_ms))
}

fn creation(
    snapshot: &Snapshot,
    request: &TokenRequest,
    permissions: Permissions,
    by: &Asker,
    digest: &Digest,
    now_ms: i64,
) -> (Change, TokenId) {
    let id = snapshot.next_token_id();
    let change = Change::CreateToken {
        id,
        name: request.name.as_str().into(),
        description: request.description.as_deref().map(Arc::from),
        digest: digest.clone(),
        created_at_ms: now_ms,
        created_by: by.id(),
        expiry_ms: request.expiry_ms,
        permissions: Arc::new(permissions),
    };
    (change, id)
}

pub(crate) fn rotate(
    snapshot: &Snapshot,
    name: &str,
    rotation: &Rotation,
    by: &Asker,
    digest: &Digest,
    now_ms: i64,
) -> Result<(Change, TokenId), Error> {
    let token = governed(snapshot, name, by, now_ms)?;
    if let Some(prefix) = &rotation.if_match
        && !token.hash_hex().starts_with(prefix.as_str())
    {
        return Err(Error::conflict(format!(
            "the hash of token {name} begins with {}, not with {prefix}",
            token.digest.to_hex_prefix()
        )));
    }
    if let Asker::Token(authenticated) = by
        && authenticated.token.id == token.id
        && token.digest != authenticated.digest
    {
        return Err(Error::conflict(format!(
            "the secret presented for token {name} has been replaced by a newer one"
        )));
    }
    let expiry = expiry_after(token, rotation.expiry, by, now_ms)?;
    let change = match rotation.stage_for {
        None => Change::RotateToken {
            id: token.id,
            digest: digest.clone(),
            updated_at_ms: now_ms,
            updated_by: by.id(),
            expiry,
            previous_until_ms: overlap_end(now_ms, rotation.grace),
        },
        Some(wait) => Change::StageToken {
            id: token.id,
            digest: digest.clone(),
            until_ms: now_ms.saturating_add(whole_ms(wait)),
            expiry,
            grace_ms: whole_ms(rotation.grace).unsigned_abs(),
        },
    };
    Ok((change, token.id))
}

/// What a rotation makes of the expiry. A token that has expired cannot be rotated into one that has expired as well, and who
/// is no administrator cannot give himself more time.
fn expiry_after(
    token: &Token,
    asked: NewExpiry,
    by: &Asker,
    now_ms: i64,
) -> Result<NewExpiry, Error> {
    if asked == NewExpiry::Unchanged {
        return match (token.is_expired_at(now_ms), by) {
            (false, _) => Ok(asked),
            // Recovery knows no options, and must not hand out a dead token.
            (true, Asker::Node) => Ok(NewExpiry::Never),
            (true, _) => Err(Error::invalid(format!(
                "token {} has expired: rotating it needs a new expiry",
                token.name
            ))),
        };
    }
    let is_later = match (token.expiry_ms, asked.or(token.expiry_ms)) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(present_ms), Some(asked_ms)) => asked_ms > present_ms,
    };
    if let Asker::Token(authenticated) = by
        && is_later
        && !authenticated.token.permissions.is_admin()
    {
        return Err(Error::denied("only administrators can extend an expiry"));
    }
    Ok(asked)
}

pub(crate) fn replace_secret(
    snapshot: &Snapshot,
    name: &str,
    digest: &Digest,
    expiry_ms: Option<i64>,
    now_ms: i64,
) -> Result<(Change, TokenId), Error> {
    let token = snapshot.token(name).ok_or_else(|| not_found(name))?;
    if snapshot.token_of_digest(digest).is_some() {
        return Err(Error::conflict(format!(
            "the new secret of token {name} is in use already"
        )));
    }
    let change = Change::RotateToken {
        id: token.id,
        digest: digest.clone(),
        updated_at_ms: now_ms,
        updated_by: None,
        expiry: expiry_ms.map_or(NewExpiry::Never, NewExpiry::AtMs),
        previous_until_ms: None,
    };
    Ok((change, token.id))
}

/// `None` when the secret presented is in force already.
pub(crate) fn confirm(
    snapshot: &Snapshot,
    by: &Authenticated,
    grace: Option<Duration>,
    now_ms: i64,
) -> Result<Option<Change>, Error> {
    let token = accepted_any(snapshot, by, now_ms)?;
    match token.secret_of(&by.digest, now_ms) {
        Some((SecretKind::Staged, true)) => {
            let staged_ms = token.staged.as_ref().map_or(0, |staged| staged.grace_ms);
            let grace = grace.unwrap_or_else(|| Duration::from_millis(staged_ms));
            Ok(Some(Change::ConfirmToken {
                id: token.id,
                updated_at_ms: now_ms,
                previous_until_ms: overlap_end(now_ms, grace),
            }))
        }
        Some((SecretKind::Current, true)) if token.staged_until_ms(now_ms).is_none() => Ok(None),
        _ => Err(Error::conflict(format!(
            "a rotation of token {} is confirmed with its new secret, and another one was presented",
            token.name
        ))),
    }
}

pub(crate) fn drop_previous(
    snapshot: &Snapshot,
    name: &str,
    by: &Asker,
    now_ms: i64,
) -> Result<(Change, TokenId), Error> {
    let token = governed(snapshot, name, by, now_ms)?;
    if token.previous_until_ms(now_ms).is_none() {
        return Err(Error::not_found(format!(
            "token {name} has no previous secret that is still good"
        )));
    }
    Ok((Change::DropPreviousSecret { id: token.id }, token.id))
}

pub(crate) fn drop_staged(
    snapshot: &Snapshot,
    name: &str,
    by: &Asker,
    now_ms: i64,
) -> Result<(Change, TokenId), Error> {
    let token = governed(snapshot, name, by, now_ms)?;
    if token.staged_until_ms(now_ms).is_none() {
        return Err(Error::not_found(format!(
            "token {name} has no staged secret"
        )));
    }
    Ok((Change::DropStagedSecret { id: token.id }, token.id))
}

pub(crate) fn delete(
    snapshot: &Snapshot,
    name: &str,
    by: &Asker,
    now_ms: i64,
) -> Result<(Change, Arc<Token>), Error> {
    if let Asker::Token(authenticated) = by {
        let holder = accepted(snapshot, authenticated, now_ms)?;
        if &*holder.name != name {
            require_admin(holder)?;
        }
    }
    if name == OPERATOR_TOKEN {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "cannot delete operator token",
        ));
    }
    let token = snapshot.token(name).ok_or_else(|| not_found(name))?;
    Ok((Change::DeleteToken { id: token.id }, Arc::clone(token)))
}

/// The token of that name, if it is for `by` to give it another secret. Who may not learns nothing of what exists.
fn governed<'a>(
    snapshot: &'a Snapshot,
    name: &str,
    by: &Asker,
    now_ms: i64,
) -> Result<&'a Arc<Token>, Error> {
    let found = snapshot.token(name);
    match by {
        Asker::Node => {}
        Asker::Anyone => return Err(Error::denied("only the owner of a token can rotate it")),
        Asker::Token(authenticated) => {
            let holder = accepted(snapshot, authenticated, now_ms)?;
            let is_own = &*holder.name == name;
            // That there is no operator token is no secret to an administrator, who can create it.
            let is_anothers = name == OPERATOR_TOKEN && found.is_some();
            let is_governed =
                holder.is_operator() || (holder.permissions.is_admin() && !is_anothers);
            if !is_own && !is_governed {
                return Err(Error::denied(format!(
                    "token {} cannot rotate token {name}",
                    holder.name
                )));
            }
        }
    }
    found.ok_or_else(|| {
        if name == OPERATOR_TOKEN {
            Error::internal("missing admin token, cannot update")
        } else {
            not_found(name)
        }
    })
}

/// The token as it is now that was accepted before, if it would be accepted again, for more than to be confirmed.
fn accepted<'a>(
    snapshot: &'a Snapshot,
    authenticated: &Authenticated,
    now_ms: i64,
) -> Result<&'a Arc<Token>, Error> {
    let token = accepted_any(snapshot, authenticated, now_ms)?;
    if let Some((SecretKind::Staged, _)) = token.secret_of(&authenticated.digest, now_ms) {
        return Err(Error::denied("a staged secret can only be confirmed"));
    }
    Ok(token)
}

fn accepted_any<'a>(
    snapshot: &'a Snapshot,
    authenticated: &Authenticated,
    now_ms: i64,
) -> Result<&'a Arc<Token>, Error> {
    snapshot
        .token_by_id(authenticated.token.id)
        .filter(|token| {
            matches!(
                token.secret_of(&authenticated.digest, now_ms),
                Some((_, true))
            )
        })
        .ok_or_else(|| Error::denied("the token presented is no longer valid"))
}

fn require_admin(holder: &Token) -> Result<(), Error> {
    if holder.permissions.is_admin() {
        return Ok(());
    }
    Err(Error::denied(format!(
        "token {} is not an administrator's",
        holder.name
    )))
}

fn require_free_name(snapshot: &Snapshot, name: &str) -> Result<(), Error> {
    match snapshot.token(name) {
        None => Ok(()),
        Some(_) => Err(Error::conflict(format!(
            "token name already exists, {name}"
        ))),
    }
}

fn check_texts(request: &TokenRequest) -> Result<(), Error> {
    let name = request.name.as_str();
    if name.is_empty() {
        return Err(Error::invalid("token name cannot be empty"));
    }
    if name.len() > NAME_MAX_BYTES {
        return Err(Error::invalid(format!(
            "token name too long: {} bytes, max {NAME_MAX_BYTES}",
            name.len()
        )));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::invalid(
            "token name cannot have control characters in it",
        ));
    }
    let description_bytes = request.description.as_deref().map_or(0, str::len);
    if description_bytes > DESCRIPTION_MAX_BYTES {
        return Err(Error::invalid(format!(
            "token description too long: {description_bytes} bytes, max {DESCRIPTION_MAX_BYTES}"
        )));
    }
    Ok(())
}

fn not_found(name: &str) -> Error {
    Error::not_found(format!("the requested resource was not found: {name}"))
}

/// `None` when the secret that is replaced dies at once.
fn overlap_end(now_ms: i64, grace: Duration) -> Option<i64> {
    (!grace.is_zero()).then(|| now_ms.saturating_add(whole_ms(grace)))
}

fn whole_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
