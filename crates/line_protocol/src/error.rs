//! What can be wrong with a line.

use std::fmt;

/// Why a line was rejected; displays as the message of spec/write-and-storage.md §3.6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub(crate) String);

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// A line that could not be parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected<'a> {
    /// 1-based, counting logical lines: blank lines and comments are not counted.
    pub number: usize,
    /// The physical text of the line, whole.
    pub text: &'a str,
    pub error: Error,
}
