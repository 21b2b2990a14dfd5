//! Tokens: who may enter. Only SHA-512 digests are kept; a clear token exists only in a [`NewToken`].
//!
//! Rules: spec/auth-tokens.md §1-§9. The `plan_` functions decide what a request changes; `change` applies it. Not
//! here: how a credential arrives over HTTP (`server`).

use std::fmt;
use std::hash::{Hash, Hasher};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use runtime::Random;
use sha2::Digest as _;
use subtle::ConstantTimeEq;

use crate::change::Change;
use crate::{Error, ErrorKind, Snapshot};

/// The name of the operator token.
pub const OPERATOR_TOKEN: &str = "_admin";

const SECRET_PREFIX: &str = "apiv3_";
const SECRET_BYTES: usize = 64;

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
        formatter
            .debug_struct("NewToken")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// SHA-512 of a whole token string. Compared in constant time.
#[derive(Clone)]
pub struct Digest(pub(crate) [u8; 64]);

impl Digest {
    pub(crate) fn of(presented: &[u8]) -> Self {
        Self(sha2::Sha512::digest(presented).into())
    }

    /// 128 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex_of(&self.0)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

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

/// A token with the digest of its secret.
#[derive(Clone, Debug)]
pub(crate) struct StoredToken {
    pub(crate) token: Token,
    pub(crate) digest: Digest,
}

impl StoredToken {
    /// Strict: a token is dead in the very millisecond it expires (spec/auth-tokens.md §9).
    fn is_valid_at(&self, now_ms: i64) -> bool {
        self.token
            .expiry_ms
            .is_none_or(|expiry_ms| expiry_ms > now_ms)
    }
}

/// A fresh secret and its digest. Not `Debug`, so that it cannot be logged by accident.
pub(crate) struct Secret {
    pub(crate) clear: String,
    pub(crate) digest: Digest,
}

impl Secret {
    pub(crate) fn draw(random: &Random) -> Result<Self, Error> {
        let mut bytes = [0_u8; SECRET_BYTES];
        random.fill(&mut bytes)?;
        // Sized before it is filled: growing would leave a copy of the secret behind in freed memory.
        let mut clear = String::with_capacity(SECRET_PREFIX.len() + SECRET_BYTES.div_ceil(3) * 4);
        clear.push_str(SECRET_PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut clear);
        bytes.fill(0);
        // Keeps the wiping above from being removed as useless.
        std::hint::black_box(&bytes);
        let digest = Digest::of(clear.as_bytes());
        Ok(Self { clear, digest })
    }

    pub(crate) fn into_new_token(self, token: Token) -> NewToken {
        NewToken {
            token,
            hash_hex: self.digest.to_hex(),
            secret: self.clear,
        }
    }
}

/// Whose token was presented, if it is valid at `now_ms`.
pub(crate) fn authenticate(
    snapshot: &Snapshot,
    presented: &[u8],
    now_ms: i64,
) -> Option<Authenticated> {
    let digest = Digest::of(presented);
    let id = *snapshot.tokens_by_digest.get(&digest)?;
    let stored = snapshot.tokens.get(&id)?;
    (stored.digest == digest && stored.is_valid_at(now_ms)).then_some(Authenticated { id, digest })
}

/// What creating the operator token changes, and the token it makes.
pub(crate) fn plan_create_operator(
    snapshot: &Snapshot,
    digest: &Digest,
    now_ms: i64,
) -> Result<(Change, Token), Error> {
    if snapshot.token_named(OPERATOR_TOKEN).is_some() {
        return Err(Error::conflict(format!(
            "token name already exists, {OPERATOR_TOKEN}"
        )));
    }
    let token = Token {
        id: snapshot.next_token_id(),
        name: OPERATOR_TOKEN.to_string(),
        created_at_ms: now_ms,
        updated_at_ms: None,
        updated_by: None,
        expiry_ms: None,
    };
    let change = Change::CreateAdminToken {
        id: token.id,
        name: OPERATOR_TOKEN.into(),
        digest: digest.clone(),
        created_at_ms: now_ms,
        expiry_ms: None,
    };
    Ok((change, token))
}

/// What rotating the operator token changes, and the token as it is then.
///
/// `presented` must be the operator's by the secret it has in `snapshot`, so the second of two rotations that were
/// asked for with one secret is denied.
pub(crate) fn plan_regenerate_operator(
    snapshot: &Snapshot,
    presented: &Authenticated,
    digest: &Digest,
    now_ms: i64,
) -> Result<(Change, Token), Error> {
    let Some(operator) = snapshot.token_named(OPERATOR_TOKEN) else {
        return Err(Error::new(
            ErrorKind::Internal,
            "missing admin token, cannot update",
        ));
    };
    if presented.id != operator.token.id {
        return Err(Error::denied(format!(
            "token {} is not the operator token and cannot regenerate it",
            presented.id.0
        )));
    }
    if presented.digest != operator.digest {
        return Err(Error::denied(
            "the presented operator token has been regenerated meanwhile",
        ));
    }
    let token = Token {
        updated_at_ms: Some(now_ms),
        updated_by: Some(operator.token.id),
        ..operator.token.clone()
    };
    let change = Change::RegenerateAdminToken {
        id: token.id,
        digest: digest.clone(),
        updated_at_ms: now_ms,
    };
    Ok((change, token))
}

/// Lower-case hexadecimal.
pub(crate) fn hex_of(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::apply;

    #[test]
    fn a_digest_is_the_sha512_of_the_whole_string() {
        // The published test vector for "abc".
        assert_eq!(
            Digest::of(b"abc").to_hex(),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
    }

    #[test]
    fn an_expiry_is_strict() {
        let changes = [
            Change::Begin { uuid: "u".into() },
            Change::CreateAdminToken {
                id: TokenId(0),
                name: "ci".into(),
                digest: Digest::of(b"secret"),
                created_at_ms: 0,
                expiry_ms: Some(1_000),
            },
        ];
        let snapshot = apply(Snapshot::default(), 1, &changes).expect("apply");
        for (now_ms, valid) in [(0, true), (999, true), (1_000, false), (1_001, false)] {
            let accepted = authenticate(&snapshot, b"secret", now_ms);
            assert_eq!(accepted.is_some(), valid, "at {now_ms}");
        }
    }

    #[test]
    fn another_admin_token_cannot_rotate_the_operator() {
        let create = |id, name: &str, secret: &[u8]| Change::CreateAdminToken {
            id: TokenId(id),
            name: name.into(),
            digest: Digest::of(secret),
            created_at_ms: 0,
            expiry_ms: None,
        };
        let changes = [
            Change::Begin { uuid: "u".into() },
            create(0, OPERATOR_TOKEN, b"operator"),
            create(1, "ci", b"other"),
        ];
        let snapshot = apply(Snapshot::default(), 1, &changes).expect("apply");
        let new = Digest::of(b"new");
        let presented = |secret| authenticate(&snapshot, secret, 0).expect("valid");
        let refusal = plan_regenerate_operator(&snapshot, &presented(b"other"), &new, 1)
            .expect_err("not the operator");
        assert_eq!(refusal.kind(), ErrorKind::Denied);
        plan_regenerate_operator(&snapshot, &presented(b"operator"), &new, 1).expect("rotated");
    }
}
