//! What a token needs that is made without a server, for a file that one reads at its start (spec/auth-tokens.md §13): a secret, and
//! permissions that are some.
//!
//! Not here: the files themselves (written by `cli`), reading them (`token_files`).

use catalog::AskedPermission;
use catalog::token::secret::Secret;
use runtime::{Error, Random};

/// A fresh secret of the machine's own randomness: `apiv3_` and 86 characters of base64url.
///
/// Errors: only when the operating system gives no randomness.
pub fn draw() -> Result<String, Error> {
    Ok(Secret::draw(&Random::System)?.clear)
}

/// Whether a server could take `text` for a permission, if it has the databases that are named. Errors: `Invalid` with the texts of
/// spec/auth-tokens.md §15.3.
pub fn check_permission(text: &str) -> Result<(), Error> {
    AskedPermission::parse(text)?.check()
}
