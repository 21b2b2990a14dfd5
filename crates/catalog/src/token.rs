//! Tokens: who may enter. Only SHA-512 digests are kept; a clear token exists only in a [`NewToken`].

use std::fmt;

/// In order of creation, from 0, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(pub u64);

/// A stored token.
#[derive(Clone, Debug)]
pub struct Token {
    pub id: TokenId,
    pub name: String,
    pub created_at_ms: i64,
    pub updated_at_ms: Option<i64>,
    pub updated_by: Option<TokenId>,
    /// `None`: never expires.
    pub expiry_ms: Option<i64>,
}

/// A token just made: the only holder of its clear text.
pub struct NewToken {
    pub token: Token,
    /// `apiv3_` and 86 characters of base64url; shown once.
    pub secret: String,
    /// Lower-case hexadecimal SHA-512 of `secret`.
    pub hash_hex: String,
}

impl fmt::Debug for NewToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NewToken").field("token", &self.token).finish_non_exhaustive()
    }
}

/// SHA-512 of a whole token string.
#[derive(Clone)]
pub struct Digest(pub(crate) [u8; 64]);

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Digest(..)")
    }
}

/// A token that was accepted: whose it is, and by which secret.
#[derive(Clone, Debug)]
pub struct Authenticated {
    pub id: TokenId,
    /// Tells this secret from the ones before and after it under the same id.
    pub digest: Digest,
}
