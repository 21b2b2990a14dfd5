//! `/api/v3/configure/token`: creating, rotating, deleting and listing tokens (spec/auth-tokens.md §7–§11, §15.4).
//!
//! A clear text leaves the node once, in the response here, and nowhere else. Who may touch which token is decided by `catalog`,
//! on the state that the change is made on; every change leaves its event before it is answered. Not here: storing digests
//! (`catalog`), how a token gets a secret from a file or through the recovery listener.

mod options;

mod shown;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use catalog::{
    AskedPermissions, Asker, Authenticated, Catalog, NewToken, OPERATOR_TOKEN, Rotation,
    SecretKind, Token, TokenRequest,
};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::Deserialize;

use self::options::{ConfirmOptions, RegenerateOptions, expiry_ms, if_match};
use crate::authorization::Caller;
use crate::http::body::{from_json, require_json};
use crate::http::error::Failure;
use crate::http::response::{ResponseBody, empty, typed};
use crate::http::{Services, parameters};
use crate::token_events::{Event, EventKind, Protocol, Reason, Refusal};
use crate::{Error, ErrorKind};

pub(crate) use self::shown::encode;

/// One request about tokens: who asks, and from where.
pub(crate) struct Call<'a> {
    pub(crate) services: &'a Services,
    pub(crate) head: &'a Parts,
    pub(crate) caller: &'a Caller,
    pub(crate) peer: IpAddr,
}

/// Which token a request is about, from the query string.
#[derive(Deserialize)]
struct Named {
    token_name: String,
}

type Answer = Result<Response<ResponseBody>, Failure>;

impl Call<'_> {
    /// `POST …/token/admin`: creates the operator token, once, for whoever asks first. An administrator who names a token in the
    /// body gets an admin token of that name, as documentation has it.
    pub(crate) async fn create_operator(&self, body: Incoming) -> Answer {
        #[derive(Deserialize)]
        struct Fields {
            name: String,
        }
        if let Caller::Known(_) = self.caller {
            let body = self.services.read_body(self.head, body).await?;
            if let Ok(fields) = serde_json::from_slice::<Fields>(&body) {
                if !self.caller.is_admin() {
                    return Err(Failure::unauthorized_action());
                }
                return self.create_admin(fields.name, None, None).await;
            }
        }
        // Any other credential is as good as none here.
        let by = if self.caller.is_admin() {
            self.caller.asker()
        } else {
            Asker::Anyone
        };
        let created = self
            .change(EventKind::Create, move |catalog| async move {
                catalog.create_operator_token(&by).await
            })
            .await
            .map_err(|error| self.refused(error, "create the operator token"))?;
        log_change("create admin token", &created.token, false);
        created_answer(&created)
    }

    /// `POST …/token/named_admin`.
    pub(crate) async fn create_named_admin(&self, body: Incoming) -> Answer {
        #[derive(Deserialize)]
        struct Fields {
            token_name: String,
            expiry_secs: Option<u64>,
            description: Option<String>,
        }
        require_json(&self.head.headers)?;
        let body = self.services.read_body(self.head, body).await?;
        let fields: Fields = from_json(&body)?;
        self.create_admin(fields.token_name, fields.expiry_secs, fields.description)
            .await
    }

    async fn create_admin(
        &self,
        name: String,
        expiry_secs: Option<u64>,
        description: Option<String>,
    ) -> Answer {
        let request = TokenRequest {
            name,
            description,
            expiry_ms: self.expiry_ms(expiry_secs)?,
            permissions: AskedPermissions::Admin,
        };
        let created = self.create_token(request).await?;
        log_change("create admin token", &created.token, false);
        created_answer(&created)
    }

    /// `POST …/token`: a token with the permissions that are listed.
    pub(crate) async fn create(&self, body: Incoming) -> Answer {
        #[derive(Deserialize)]
        struct Fields {
            token_name: String,
            permissions: Vec<options::ListedPermission>,
            expiry_secs: Option<u64>,
            description: Option<String>,
        }
        require_json(&self.head.headers)?;
        let body = self.services.read_body(self.head, body).await?;
        let fields: Fields = from_json(&body)?;
        if fields.permissions.is_empty() {
            return Err(Failure::bad_request(
                "a token needs at least one permission",
            ));
        }
        let listed: Result<_, Error> = fields
            .permissions
            .into_iter()
            .map(options::ListedPermission::into_asked)
            .collect();
        let request = TokenRequest {
            name: fields.token_name,
            description: fields.description,
            expiry_ms: self.expiry_ms(fields.expiry_secs)?,
            permissions: AskedPermissions::Listed(listed?),
        };
        let created = self.create_token(request).await?;
        log_change("create resource token", &created.token, false);
        let snapshot = self.services.catalog.snapshot();
        let permissions = created.token.permissions.to_strings(&snapshot);
        json(
            StatusCode::CREATED,
            shown::encode_with_permissions(&created, permissions)?,
        )
    }

    async fn create_token(&self, request: TokenRequest) -> Result<NewToken, Failure> {
        let by = self.caller.asker();
        self.change(EventKind::Create, move |catalog| async move {
            catalog.create_token(request, &by).await
        })
        .await
        .map_err(|error| self.refused(error, "create a token"))
    }

    /// `POST …/token/admin/regenerate`: another secret for the operator token; only its own holder may.
    pub(crate) async fn regenerate_operator(&self, body: Incoming) -> Answer {
        let options = self.regenerate_options(body).await?;
        self.rotate(OPERATOR_TOKEN.to_string(), options).await
    }

    /// `POST …/token/regenerate?token_name=…`: another secret for any token.
    pub(crate) async fn regenerate(&self, body: Incoming) -> Answer {
        let mut options = self.regenerate_options(body).await?;
        let name = options
            .token_name
            .take()
            .ok_or_else(|| Failure::bad_request("serde error: missing field `token_name`"))?;
        self.rotate(name, options).await
    }

    async fn regenerate_options(&self, body: Incoming) -> Result<RegenerateOptions, Failure> {
        let in_query: RegenerateOptions = parameters::decode(self.head.uri.query())?;
        let body = self.services.read_body(self.head, body).await?;
        Ok(in_query.or(RegenerateOptions::from_body(&body)?))
    }

    async fn rotate(&self, name: String, options: RegenerateOptions) -> Answer {
        let by = self.caller.asker();
        let if_match = if_match(&self.head.headers)?;
        let insists = if_match.is_some();
        let rotation = Rotation {
            if_match: if_match.flatten(),
            ..options.rotation(self.now_ms(), self.services.token_grace)?
        };
        let kind = match rotation.stage_for {
            Some(_) => EventKind::Stage,
            None => EventKind::Rotate,
        };
        let rotated = self
            .change(kind, move |catalog| async move {
                catalog.rotate_token(&name, rotation, &by).await
            })
            .await;
        let rotated = rotated.map_err(|error| {
            let is_conflict = error.kind() == ErrorKind::Conflict;
            let message = error.to_string();
            let failure = self.refused(error, "rotate a token");
            if insists && is_conflict {
                Failure::text(StatusCode::PRECONDITION_FAILED, message)
            } else {
                failure
            }
        })?;
        log_change("create admin token", &rotated.token, true);
        created_answer(&rotated)
    }

    /// `POST …/token/confirm`: the staged secret that is presented replaces the one in force. Can be repeated.
    pub(crate) async fn confirm(&self) -> Answer {
        let authenticated = self.authenticated()?;
        let options: ConfirmOptions = parameters::decode(self.head.uri.query())?;
        let grace = options.grace_secs.map(Duration::from_secs);
        let by = authenticated.clone();
        let confirmed = match authenticated.kind {
            SecretKind::Staged => {
                self.change(EventKind::Confirm, move |catalog| async move {
                    catalog.confirm_rotation(&by, grace).await
                })
                .await
            }
            // Nothing can change, so there is no event.
            SecretKind::Current | SecretKind::Previous => {
                self.services.catalog.confirm_rotation(&by, grace).await
            }
        };
        let token = confirmed.map_err(|error| self.refused(error, "confirm a rotation"))?;
        json(StatusCode::OK, shown::encode_confirmed(&token)?)
    }

    /// `DELETE …/token/previous`: ends an overlap.
    pub(crate) async fn drop_previous(&self) -> Answer {
        let named: Named = parameters::decode(self.head.uri.query())?;
        let by = self.caller.asker();
        self.change(EventKind::Revoke, move |catalog| async move {
            catalog.drop_previous_secret(&named.token_name, &by).await
        })
        .await
        .map_err(|error| self.refused(error, "revoke a previous secret"))?;
        Ok(empty(StatusCode::OK))
    }

    /// `DELETE …/token/staged`: forgets a secret that was not confirmed.
    pub(crate) async fn drop_staged(&self) -> Answer {
        let named: Named = parameters::decode(self.head.uri.query())?;
        let by = self.caller.asker();
        self.change(EventKind::Revoke, move |catalog| async move {
            catalog.drop_staged_secret(&named.token_name, &by).await
        })
        .await
        .map_err(|error| self.refused(error, "revoke a staged secret"))?;
        Ok(empty(StatusCode::OK))
    }

    /// `DELETE …/token?token_name=…`.
    pub(crate) async fn delete(&self) -> Answer {
        let named: Named = parameters::decode(self.head.uri.query())?;
        let by = self.caller.asker();
        let deleted = self
            .change(EventKind::Delete, move |catalog| async move {
                catalog.delete_token(&named.token_name, &by).await
            })
            .await
            .map_err(|error| self.refused(error, "delete a token"))?;
        tracing::info!(token_id = deleted.id.0, "delete token");
        Ok(empty(StatusCode::OK))
    }

    /// `GET …/token`: an administrator sees all tokens, everyone else his own.
    pub(crate) fn list(&self) -> Answer {
        let snapshot = self.services.catalog.snapshot();
        let mut tokens = snapshot.tokens();
        if !self.caller.is_admin() {
            let own = self.authenticated()?.token.id;
            tokens.retain(|token| token.id == own);
        }
        let now_ms = self.now_ms();
        json(
            StatusCode::OK,
            shown::encode_list(&tokens, &snapshot, now_ms)?,
        )
    }

    /// `GET …/token/self`: who asks, what he may do, and for how long.
    pub(crate) fn describe_own(&self) -> Answer {
        let authenticated = self.authenticated()?;
        let snapshot = self.services.catalog.snapshot();
        let token = snapshot
            .token_by_id(authenticated.token.id)
            .ok_or_else(Failure::unauthenticated)?;
        let shown = shown::encode_own(token, authenticated.kind, &snapshot, self.now_ms())?;
        json(StatusCode::OK, shown)
    }

    /// The path is never exempt, and disabled when the node asks for no tokens.
    fn authenticated(&self) -> Result<&Authenticated, Failure> {
        self.caller
            .authenticated()
            .ok_or_else(Failure::unauthenticated)
    }

    fn now_ms(&self) -> i64 {
        self.services.world.clock.now_ms()
    }

    fn expiry_ms(&self, expiry_secs: Option<u64>) -> Result<Option<i64>, Failure> {
        expiry_secs
            .map(|expiry_secs| expiry_ms(self.now_ms(), expiry_secs))
            .transpose()
    }

    /// Makes a change and then notes it, both to their end even when the client goes away.
    async fn change<T, F>(
        &self,
        kind: EventKind,
        change: impl FnOnce(Arc<Catalog>) -> F,
    ) -> Result<T, Error>
    where
        T: Send + AsRef<Token> + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let change = change(Arc::clone(&self.services.catalog));
        let events = self.services.token_events.clone();
        let by = self.caller.authenticated().map(|by| Arc::clone(&by.token));
        let peer = self.peer;
        self.services
            .shielded(async move {
                let changed = change.await?;
                let mut event = Event::done(kind, changed.as_ref()).from(peer, Protocol::Http);
                if let Some(by) = by {
                    event = event.by(&by);
                }
                events.record(event).await;
                Ok(changed)
            })
            .await?
    }

    /// How a refused change is answered, and noted where somebody tried what he may not.
    fn refused(&self, error: Error, what: &str) -> Failure {
        let reason = match error.kind() {
            ErrorKind::Denied => Reason::NotAllowed,
            ErrorKind::Conflict => Reason::Conflict,
            _ => return error.into(),
        };
        let mut refusal = Refusal::new(reason, self.peer, Protocol::Http).saying(what);
        if let Some(by) = self.caller.authenticated() {
            refusal = refusal.of(&by.token);
        }
        self.services.token_events.refused(refusal);
        if error.kind() != ErrorKind::Denied {
            return error.into();
        }
        match self.caller.authenticated() {
            // Rotated away or deleted since it was let in.
            Some(by) if !self.services.catalog.is_accepted(by) => Failure::unauthenticated(),
            _ => Failure::unauthorized_action(),
        }
    }
}

fn log_change(what: &'static str, token: &Token, regenerate: bool) {
    tracing::info!(token_id = token.id.0, regenerate, "{what}");
}

fn created_answer(created: &NewToken) -> Answer {
    json(StatusCode::CREATED, encode(created)?)
}

fn json(status: StatusCode, body: Vec<u8>) -> Answer {
    Ok(typed(status, "application/json", ResponseBody::full(body)))
}
