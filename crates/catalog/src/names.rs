//! Which names are allowed.
//!
//! Only databases have rules: tables and columns may be called anything that line protocol can say, but for the
//! reserved columns (`schema`).

use crate::Error;

/// 255 bytes of a database, a slash, 255 bytes of a retention policy.
const DATABASE_NAME_MAX_BYTES: usize = 511;

/// The rule of spec/write-and-storage.md §2.3, in its order and with its texts; `Invalid` otherwise.
pub fn validate_database_name(name: &str) -> Result<(), Error> {
    let Some(first) = name.chars().next() else {
        return Err(Error::invalid("db name cannot be empty"));
    };
    if name.len() > DATABASE_NAME_MAX_BYTES {
        return Err(Error::invalid(format!(
            "db name too long: max {DATABASE_NAME_MAX_BYTES}"
        )));
    }
    if first.is_ascii() && !first.is_ascii_alphanumeric() {
        return Err(Error::invalid(
            "db name did not start with a number or letter",
        ));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/');
    if !name.bytes().all(allowed) {
        return Err(Error::invalid(
            "invalid character in database or rp name: must be ASCII, containing only letters, numbers, underscores, or hyphens",
        ));
    }
    match name.split_once('/') {
        Some((_, policy)) if policy.is_empty() || policy.contains('/') => Err(Error::invalid(
            "db name with invalid retention policy, if providing a retention policy name, must be of form '<db_name>/<rp_name>'",
        )),
        _ => Ok(()),
    }
}
