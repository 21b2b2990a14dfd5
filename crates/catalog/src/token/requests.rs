//! What can be asked of the catalog about tokens. Each request is one commit, so it happened or it did not.
//!
//! A rotation that is interrupted anywhere leaves one of the two secrets in force, never none. Deciding is `plan`'s business.

use std::sync::Arc;
use std::time::Duration;

use super::secret::{Digest, Secret};
use super::{
    Asker, Authenticated, Installed, NewToken, Rejected, Rotation, Token, TokenId, TokenRequest,
    plan,
};
use crate::change::Change;
use crate::{Catalog, Error, Snapshot};

impl Catalog {
    /// Creates the operator token `_admin`.
    ///
    /// Errors: `Conflict` with `token name already exists, _admin`; also when another administrator exists and it is not one
    /// who asks.
    pub async fn create_operator_token(&self, by: &Asker) -> Result<NewToken, Error> {
        let by = by.clone();
        self.with_new_secret(move |snapshot, digest, now_ms| {
            plan::create_operator(snapshot, &by, digest, now_ms)
        })
        .await
    }

    /// Creates a token with a secret of its own.
    ///
    /// Errors: `Invalid` name, permission or time, `Conflict` with `token name already exists, NAME`, `Denied` unless an
    /// administrator asks, or the node itself.
    pub async fn create_token(&self, request: TokenRequest, by: &Asker) -> Result<NewToken, Error> {
        let by = by.clone();
        self.with_new_secret(move |snapshot, digest, now_ms| {
            plan::create(snapshot, &request, &by, digest, now_ms)
        })
        .await
    }

    /// Creates a token whose secret was made elsewhere; `digest` is its digest. For the node itself.
    ///
    /// Errors: `Invalid` name or permission, `Conflict` when another token has this secret.
    pub async fn install_token(
        &self,
        request: TokenRequest,
        digest: Digest,
    ) -> Result<Installed, Error> {
        let now_ms = self.now_ms();
        let name = request.name.clone();
        let sought = digest.clone();
        let (snapshot, created) = self
            .commit(move |snapshot| {
                if snapshot.token(&request.name).is_some() {
                    return Ok((Vec::new(), false));
                }
                let by = Asker::Node;
                let (change, _) = plan::create(snapshot, &request, &by, &digest, now_ms)?;
                Ok((vec![change], true))
            })
            .await?;
        let token = snapshot
            .token(&name)
            .ok_or_else(|| Error::internal("the new token is not in the catalog"))?;
        let token = Arc::clone(token);
        Ok(if created {
            Installed::Created(token)
        } else {
            let same_secret = token.digest == sought;
            Installed::NameExists { token, same_secret }
        })
    }

    /// Gives a token a secret that was made elsewhere, and an expiry; the old secret is dead when this returns. For the node
    /// itself.
    ///
    /// Errors: `NotFound`, `Conflict` when another token has this secret.
    pub async fn replace_secret(
        &self,
        name: &str,
        digest: Digest,
        expiry_ms: Option<i64>,
    ) -> Result<Arc<Token>, Error> {
        let name = name.to_string();
        let now_ms = self.now_ms();
        self.changed_token(move |snapshot| {
            plan::replace_secret(snapshot, &name, &digest, expiry_ms, now_ms)
        })
        .await
    }

    /// Gives a token another secret. The old one is dead when this returns, unless the rotation says otherwise.
    ///
    /// Errors: `Denied` when `by` may not, or is no longer valid itself; `NotFound`; `Invalid` for an expired token without a
    /// new expiry; `Conflict` when the hash in force is another than asked for, or the token's own former secret asks;
    /// `Internal` with `missing admin token, cannot update` when there is no operator token to rotate.
    pub async fn rotate_token(
        &self,
        name: &str,
        rotation: Rotation,
        by: &Asker,
    ) -> Result<NewToken, Error> {
        let name = name.to_string();
        let by = by.clone();
        self.with_new_secret(move |snapshot, digest, now_ms| {
            plan::rotate(snapshot, &name, &rotation, &by, digest, now_ms)
        })
        .await
    }

    /// Puts the staged secret in force that `by` was accepted with. The secret before it dies, at once or after `grace`;
    /// `None`: as was said when it was staged. Changes nothing when it is in force already and none is staged.
    ///
    /// Errors: `Conflict` when another secret is staged than the one presented, `Denied` when that is no longer valid.
    pub async fn confirm_rotation(
        &self,
        by: &Authenticated,
        grace: Option<Duration>,
    ) -> Result<Arc<Token>, Error> {
        let by = by.clone();
        let now_ms = self.now_ms();
        let id = by.token.id;
        let (snapshot, ()) = self
            .commit(move |snapshot| {
                let change = plan::confirm(snapshot, &by, grace, now_ms)?;
                Ok((change.into_iter().collect(), ()))
            })
            .await?;
        token_of(&snapshot, id)
    }

    /// Ends the overlap of a rotation. Errors: `Denied`, `NotFound` token or overlap.
    pub async fn drop_previous_secret(&self, name: &str, by: &Asker) -> Result<Arc<Token>, Error> {
        let name = name.to_string();
        let by = by.clone();
        let now_ms = self.now_ms();
        self.changed_token(move |snapshot| plan::drop_previous(snapshot, &name, &by, now_ms))
            .await
    }

    /// Forgets a staged secret. Errors: `Denied`, `NotFound` token or staged secret.
    pub async fn drop_staged_secret(&self, name: &str, by: &Asker) -> Result<Arc<Token>, Error> {
        let name = name.to_string();
        let by = by.clone();
        let now_ms = self.now_ms();
        self.changed_token(move |snapshot| plan::drop_staged(snapshot, &name, &by, now_ms))
            .await
    }

    /// Deletes a token and all its secrets at once; says what it was. The name is free again, the id is not.
    ///
    /// Errors: `Unsupported` with `cannot delete operator token`, `NotFound`, `Denied`.
    pub async fn delete_token(&self, name: &str, by: &Asker) -> Result<Arc<Token>, Error> {
        let name = name.to_string();
        let by = by.clone();
        let now_ms = self.now_ms();
        let (_, token) = self
            .commit(move |snapshot| {
                let (change, token) = plan::delete(snapshot, &name, &by, now_ms)?;
                Ok((vec![change], token))
            })
            .await?;
        Ok(token)
    }

    /// Whose secret this is, if it is good now. The work done depends neither on how much of it is right nor on how many
    /// tokens there are.
    pub fn authenticate(&self, presented: &[u8]) -> Result<Authenticated, Rejected> {
        super::authenticate(&self.snapshot(), presented, self.now_ms())
    }

    /// Whether a secret that was accepted before still is.
    pub fn is_accepted(&self, authenticated: &Authenticated) -> bool {
        let now_ms = self.now_ms();
        self.snapshot()
            .token_by_id(authenticated.token.id)
            .and_then(|token| token.secret_of(&authenticated.digest, now_ms))
            .is_some_and(|(_, is_good)| is_good)
    }

    /// Commits the change that `plan` makes with the digest of a fresh secret.
    async fn with_new_secret(
        &self,
        plan: impl Fn(&Snapshot, &Digest, i64) -> Result<(Change, TokenId), Error>
        + Send
        + Sync
        + 'static,
    ) -> Result<NewToken, Error> {
        let secret = Secret::draw(self.random())?;
        let digest = secret.digest.clone();
        let now_ms = self.now_ms();
        let token = self
            .changed_token(move |snapshot| plan(snapshot, &digest, now_ms))
            .await?;
        Ok(NewToken {
            token,
            hash_hex: secret.digest.to_hex(),
            secret: secret.clear,
        })
    }

    /// Commits one change of one token, and gives the token as it is then.
    async fn changed_token(
        &self,
        plan: impl Fn(&Snapshot) -> Result<(Change, TokenId), Error> + Send + Sync + 'static,
    ) -> Result<Arc<Token>, Error> {
        let (snapshot, id) = self
            .commit(move |snapshot| {
                let (change, id) = plan(snapshot)?;
                Ok((vec![change], id))
            })
            .await?;
        token_of(&snapshot, id)
    }
}

fn token_of(snapshot: &Snapshot, id: TokenId) -> Result<Arc<Token>, Error> {
    let token = snapshot.token_by_id(id).cloned();
    token.ok_or_else(|| Error::internal(format!("token {} is not in the catalog", id.0)))
}
