//! The operator token: making the first one, replacing it (spec/auth-tokens.md §7 and §8).
//!
//! The clear text leaves the node once, in the response here, and nowhere else. Not here: who may call (`auth`), storing
//! digests (`catalog`).

use std::sync::Arc;

use catalog::{Asker, NewToken, OPERATOR_TOKEN, Rotation};
use chrono::{DateTime, SecondsFormat};
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::auth::Caller;
use crate::http::Services;
use crate::http::error::Failure;
use crate::http::response::{ResponseBody, typed};
use crate::{Error, ErrorKind};

/// `POST …/token/admin`: creates the operator token, once, for whoever asks first.
pub(crate) async fn create_admin(services: &Services) -> Result<Response<ResponseBody>, Failure> {
    let catalog = Arc::clone(&services.catalog);
    let created = services
        .shielded(async move { catalog.create_operator_token(&Asker::Anyone).await })
        .await??;
    tracing::info!(
        token_id = created.token.id.0,
        regenerate = false,
        "create admin token"
    );
    respond(&created)
}

/// `POST …/token/admin/regenerate`: replaces the operator token; only its own holder may.
pub(crate) async fn regenerate_admin(
    services: &Services,
    caller: Caller,
) -> Result<Response<ResponseBody>, Failure> {
    let Caller::Known {
        authenticated,
        secret,
    } = caller
    else {
        // The path is never exempt, and disabled when the node asks for no tokens.
        return Err(Failure::unauthenticated());
    };
    let catalog = Arc::clone(&services.catalog);
    let regenerated = services
        .shielded(async move {
            let by = Asker::Token(authenticated);
            let rotation = Rotation::default();
            catalog.rotate_token(OPERATOR_TOKEN, rotation, &by).await
        })
        .await?;
    match regenerated {
        Ok(created) => {
            tracing::info!(
                token_id = created.token.id.0,
                regenerate = true,
                "create admin token"
            );
            respond(&created)
        }
        Err(error) if error.kind() == ErrorKind::Denied => {
            // Either never the operator's, or replaced by someone else since this request was admitted.
            match services.catalog.authenticate(secret.as_bytes()) {
                Ok(_) => Err(Failure::forbidden()),
                Err(_) => Err(Failure::unauthenticated()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

fn respond(created: &NewToken) -> Result<Response<ResponseBody>, Failure> {
    Ok(typed(
        StatusCode::CREATED,
        "application/json",
        ResponseBody::full(encode(created)?),
    ))
}

fn encode(created: &NewToken) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Body<'a> {
        id: u64,
        name: &'a str,
        token: &'a str,
        hash: &'a str,
        created_at: String,
        expiry: Option<String>,
    }
    let token = &created.token;
    let body = Body {
        id: token.id.0,
        name: &token.name,
        token: &created.secret,
        hash: &created.hash_hex,
        created_at: rfc3339(token.created_at_ms)?,
        expiry: token.expiry_ms.map(rfc3339).transpose()?,
    };
    serde_json::to_vec(&body)
        .map_err(|fault| Error::internal("cannot encode the token").with_source(fault))
}

/// UTC with `Z`, and milliseconds unless they are zero.
fn rfc3339(at_ms: i64) -> Result<String, Error> {
    DateTime::from_timestamp_millis(at_ms)
        .map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
        .ok_or_else(|| Error::internal(format!("time {at_ms} ms is out of range")))
}
