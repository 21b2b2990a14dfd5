//! Secrets for tokens that are made without a server, for a file that one reads at its start (spec/auth-tokens.md §13).
//!
//! Not here: the files themselves (written by `cli`), reading them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use runtime::{Error, Random};

/// A fresh secret of the machine's own randomness: `apiv3_` and 86 characters of base64url.
///
/// Fails only when the operating system gives no randomness.
pub fn draw() -> Result<String, Error> {
    let mut bytes = [0_u8; 64];
    Random::System.fill(&mut bytes)?;
    Ok(format!("apiv3_{}", URL_SAFE_NO_PAD.encode(bytes)))
}
