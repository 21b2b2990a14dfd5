//! Which names are allowed.

use crate::Error;

/// The rule of spec/write-and-storage.md §2.3, with its texts; `Invalid` otherwise.
pub fn validate_database_name(name: &str) -> Result<(), Error> {
    let _ = name;
    unimplemented!()
}
