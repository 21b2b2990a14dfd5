//! The operator token: making the first one, replacing it (spec/auth-tokens.md §7 and §8).
//!
//! The clear text leaves the node once, in the response here, and nowhere else. Not here: who may call (`auth`), storing
//! digests (`catalog`).

use std::sync::Arc;

use catalog::NewToken;
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
        .shielded(async move { catalog.create_admin_token().await })
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
        .shielded(async move { catalog.regenerate_admin_token(&authenticated).await })
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
                Some(_) => Err(Failure::forbidden()),
                None => Err(Failure::unauthenticated()),
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

#[cfg(test)]
mod tests {
    use catalog::{Token, TokenId};

    use super::*;

    #[test]
    fn the_body_of_a_new_token() {
        let mut created = NewToken {
            token: Token {
                id: TokenId(0),
                name: "_admin".to_string(),
                created_at_ms: 1_770_091_506_789,
                updated_at_ms: None,
                updated_by: None,
                expiry_ms: None,
            },
            secret: "apiv3_x".to_string(),
            hash_hex: "9f0c".to_string(),
        };
        let text = |created: &NewToken| {
            String::from_utf8(encode(created).expect("encodes")).expect("text")
        };
        assert_eq!(
            text(&created),
            r#"{"id":0,"name":"_admin","token":"apiv3_x","hash":"9f0c","created_at":"2026-02-03T04:05:06.789Z","expiry":null}"#
        );
        created.token.created_at_ms = 1_770_091_506_000;
        created.token.expiry_ms = Some(1_770_091_506_010);
        assert_eq!(
            text(&created),
            r#"{"id":0,"name":"_admin","token":"apiv3_x","hash":"9f0c","created_at":"2026-02-03T04:05:06Z","expiry":"2026-02-03T04:05:06.010Z"}"#
        );
    }
}
