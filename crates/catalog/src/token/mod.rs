//! Tokens: who may enter. Only SHA-512 digests are kept; a clear token exists only in a [`NewToken`].
//!
//! ```text
//! request ─> requests ─> plan ─> change          permission: what a token may do
//!                      decides                   secret: what is presented, and its digest
//! presented secret ─> Catalog::authenticate ─> Authenticated
//! ```
//! Rules: spec/auth-tokens.md §1-§15. Not here: how a credential arrives over HTTP, what an endpoint needs (`server`).

pub mod permission;

pub mod secret;

pub(crate) mod plan;

mod requests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::Snapshot;
use permission::{AskedPermissions, Permissions};
use secret::Digest;

/// The name of the operator token.
pub const OPERATOR_TOKEN: &str = "_admin";

/// In order of creation, from 0, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(pub u64);

/// A stored token. Times are milliseconds since the epoch.
#[derive(Clone, Debug)]
pub struct Token {
    pub id: TokenId,
    pub name: Arc<str>,
    pub description: Option<Arc<str>>,
    pub created_at_ms: i64,
    /// `None`: made by the node itself, or by whoever came first.
    pub created_by: Option<TokenId>,
    /// Of the last rotation.
    pub updated_at_ms: Option<i64>,
    pub updated_by: Option<TokenId>,
    /// `None`: never expires.
    pub expiry_ms: Option<i64>,
    pub permissions: Arc<Permissions>,
    /// Of the secret in force.
    pub digest: Digest,
    /// The secret before this one, while it lives on.
    pub previous: Option<PreviousSecret>,
    /// The secret after this one, until it is confirmed.
    pub staged: Option<StagedSecret>,
    pub(crate) last_used: LastUsed,
}

/// A secret that was replaced and is good for a while longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousSecret {
    pub digest: Digest,
    /// Dead from then on.
    pub until_ms: i64,
}

/// A secret that is good for being confirmed, and then becomes the one in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedSecret {
    pub digest: Digest,
    /// Dead from then on, unless it was confirmed.
    pub until_ms: i64,
    /// What becomes of the token's expiry then.
    pub expiry: NewExpiry,
    /// How long the secret it replaces lives on then.
    pub grace_ms: u64,
}

/// What a rotation makes of a token's expiry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewExpiry {
    #[default]
    Unchanged,
    Never,
    AtMs(i64),
}

impl NewExpiry {
    pub(crate) fn or(self, present_ms: Option<i64>) -> Option<i64> {
        match self {
            Self::Unchanged => present_ms,
            Self::Never => None,
            Self::AtMs(at_ms) => Some(at_ms),
        }
    }
}

impl Token {
    /// 128 lower-case hexadecimal digits: the SHA-512 of the secret in force.
    pub fn hash_hex(&self) -> String {
        self.digest.to_hex()
    }

    /// Strict: a token is dead in the very millisecond it expires (spec/auth-tokens.md §9).
    pub fn is_expired_at(&self, now_ms: i64) -> bool {
        is_over(self.expiry_ms, now_ms)
    }

    /// When a secret of this token was last accepted, in seconds since the epoch, since the node started.
    pub fn last_used_s(&self) -> Option<i64> {
        self.last_used.get()
    }

    /// The end of the overlap with the secret before this one, if it is not over.
    pub fn previous_until_ms(&self, now_ms: i64) -> Option<i64> {
        let previous = self.previous.as_ref()?;
        (previous.until_ms > now_ms).then_some(previous.until_ms)
    }

    /// Until when a staged secret can be confirmed, if there is one.
    pub fn staged_until_ms(&self, now_ms: i64) -> Option<i64> {
        let staged = self.staged.as_ref()?;
        (staged.until_ms > now_ms).then_some(staged.until_ms)
    }

    pub fn is_operator(&self) -> bool {
        &*self.name == OPERATOR_TOKEN
    }

    /// Which of its secrets this is the digest of, and whether that is good at `now_ms`.
    pub(crate) fn secret_of(&self, digest: &Digest, now_ms: i64) -> Option<(SecretKind, bool)> {
        let expired = self.is_expired_at(now_ms);
        if self.digest == *digest {
            return Some((SecretKind::Current, !expired));
        }
        if let Some(previous) = &self.previous
            && previous.digest == *digest
        {
            let good = !expired && previous.until_ms > now_ms;
            return Some((SecretKind::Previous, good));
        }
        let staged = self.staged.as_ref()?;
        if staged.digest != *digest {
            return None;
        }
        let expired = is_over(staged.expiry.or(self.expiry_ms), now_ms);
        Some((SecretKind::Staged, !expired && staged.until_ms > now_ms))
    }
}

fn is_over(expiry_ms: Option<i64>, now_ms: i64) -> bool {
    expiry_ms.is_some_and(|expiry_ms| expiry_ms <= now_ms)
}

/// When a token was last accepted: shared by all versions of a token, kept in memory alone.
#[derive(Clone)]
pub(crate) struct LastUsed(Arc<AtomicI64>);

const NEVER_USED: i64 = i64::MIN;

impl LastUsed {
    fn get(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|at_s| *at_s != NEVER_USED)
    }

    /// At most one store a second, so that busy callers do not fight over the memory.
    fn note(&self, now_s: i64) {
        if self.0.load(Ordering::Relaxed) != now_s {
            self.0.store(now_s, Ordering::Relaxed);
        }
    }
}

impl Default for LastUsed {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(NEVER_USED)))
    }
}

impl fmt::Debug for LastUsed {
    /// Always the same: it is no part of what a token is.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("..")
    }
}

/// A token just made or rotated: the only holder of its clear text.
pub struct NewToken {
    /// As it is now; after staging still with the secret in force.
    pub token: Arc<Token>,
    /// `apiv3_` and 86 characters of base64url; shown once.
    pub secret: String,
    /// Lower-case hexadecimal SHA-512 of `secret`.
    pub hash_hex: String,
}

impl fmt::Debug for NewToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NewToken")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl AsRef<Token> for NewToken {
    fn as_ref(&self) -> &Token {
        &self.token
    }
}

/// Which of a token's secrets was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    Current,
    /// Replaced, and good for a while longer.
    Previous,
    /// Good for being confirmed and nothing else.
    Staged,
}

/// A token that was accepted: whose it is, and by which secret.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// As it was then.
    pub token: Arc<Token>,
    /// Tells this secret from the ones before and after it under the same id.
    pub digest: Digest,
    pub kind: SecretKind,
}

/// Why a presented secret was not accepted.
#[derive(Clone, Debug)]
pub enum Rejected {
    /// No token has it, or none any more.
    Unknown,
    /// The token has expired, or this secret of it has.
    Expired(Arc<Token>),
}

/// Who asks for a change of tokens.
#[derive(Clone, Debug)]
pub enum Asker {
    /// The node itself: bootstrap, token files, the recovery listener. May do anything.
    Node,
    /// Whoever reaches the port; may only create the first token.
    Anyone,
    /// The owner of a token that was accepted, and must still be when the change is made.
    Token(Authenticated),
}

impl Asker {
    pub(crate) fn id(&self) -> Option<TokenId> {
        match self {
            Self::Node | Self::Anyone => None,
            Self::Token(authenticated) => Some(authenticated.token.id),
        }
    }
}

/// A token to be made.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// 1 to 250 bytes without control characters.
    pub name: String,
    pub description: Option<String>,
    /// `None`: never expires. A time that is over is accepted; the token is dead then.
    pub expiry_ms: Option<i64>,
    pub permissions: AskedPermissions,
}

/// How a token gets another secret.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    /// How long the secret that is replaced lives on.
    pub grace: Duration,
    pub expiry: NewExpiry,
    /// The new secret waits to be confirmed, at most so long; until then nothing changes.
    pub stage_for: Option<Duration>,
    /// Hexadecimal digits that the hash in force must begin with.
    pub if_match: Option<String>,
}

/// What became of a token that came with its own secret.
#[derive(Clone, Debug)]
pub enum Installed {
    Created(Arc<Token>),
    /// Nothing changed.
    NameExists {
        token: Arc<Token>,
        same_secret: bool,
    },
}

/// Whose secret was presented: one hash, one look-up, and a comparison that takes the same time for all.
pub(crate) fn authenticate(
    snapshot: &Snapshot,
    presented: &[u8],
    now_ms: i64,
) -> Result<Authenticated, Rejected> {
    let digest = Digest::of(presented);
    let token = snapshot.token_of_digest(&digest).ok_or(Rejected::Unknown)?;
    match token.secret_of(&digest, now_ms) {
        None => Err(Rejected::Unknown),
        Some((_, false)) => Err(Rejected::Expired(Arc::clone(token))),
        Some((kind, true)) => {
            token.last_used.note(now_ms.div_euclid(1_000));
            Ok(Authenticated {
                token: Arc::clone(token),
                digest,
                kind,
            })
        }
    }
}

#[cfg(test)]
mod tests;
