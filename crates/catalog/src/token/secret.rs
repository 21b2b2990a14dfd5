//! Secrets and their digests. A clear text is drawn here and leaves in a [`super::NewToken`]; nothing else ever holds one.
//!
//! Shape and hash: spec/auth-tokens.md §2.

use std::fmt;
use std::hash::{Hash, Hasher};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use runtime::Random;
use sha2::Digest as _;
use subtle::ConstantTimeEq;

use crate::Error;

const SECRET_PREFIX: &str = "apiv3_";
const SECRET_BYTES: usize = 64;

/// Digits of a hash that are shown to tell secrets apart (spec/auth-tokens.md §11).
const HASH_PREFIX_DIGITS: usize = 9;

/// SHA-512 of a whole token string. Compared in constant time.
#[derive(Clone)]
pub struct Digest(pub(crate) [u8; 64]);

impl Digest {
    /// Of a token as it is presented, with its prefix.
    pub fn of(presented: &[u8]) -> Self {
        Self(sha2::Sha512::digest(presented).into())
    }

    /// 128 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex_of(&self.0)
    }

    /// The first nine digits: as much of a digest as is ever shown.
    pub fn to_hex_prefix(&self) -> String {
        let mut prefix = hex_of(&self.0[..HASH_PREFIX_DIGITS.div_ceil(2)]);
        prefix.truncate(HASH_PREFIX_DIGITS);
        prefix
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

/// A fresh secret and its digest. Not `Debug`, so that it cannot be logged by accident.
pub struct Secret {
    /// `apiv3_` and 86 characters of base64url.
    pub clear: String,
    pub digest: Digest,
}

impl Secret {
    /// Errors: only when the operating system cannot give randomness.
    pub fn draw(random: &Random) -> Result<Self, Error> {
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

    #[test]
    fn a_digest_is_the_sha512_of_the_whole_string() {
        // The published test vector for "abc".
        let digest = Digest::of(b"abc");
        assert_eq!(
            digest.to_hex(),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
        assert_eq!(digest.to_hex_prefix(), "ddaf35a19");
    }
}
