//! The one error type of the library crates, grouped by what the caller can do about it.
//!
//! `catalog` and `storage` use it as it is and `query` converts into it, so that the HTTP status is one match
//! over [`ErrorKind`]. Not here: how an error looks on the wire (`server/http/error.rs`).

use std::error::Error as StdError;
use std::fmt;

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong: change it.
    Invalid,
    /// The named thing does not exist.
    NotFound,
    /// The thing exists already, or has changed meanwhile.
    Conflict,
    /// Not allowed.
    Denied,
    /// A configured limit (databases, tables, columns) would be exceeded.
    Limit,
    /// The request itself is larger than allowed.
    TooLarge,
    /// Understood, but not something this server does.
    Unsupported,
    /// Try again later: shutting down, overloaded, store unreachable.
    Unavailable,
    /// It took longer than it was allowed to: ask for less, or allow more.
    Timeout,
    /// Somebody ended it: ask again if it is still wanted.
    Cancelled,
    /// Stored bytes are damaged.
    Corrupt,
    /// A fault of ours, or of the machine.
    Internal,
}

/// An error with its remedy, a message naming the wrong value, and its cause.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// The same error with the fault that led to it; the cause is appended to the displayed message.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message alone, without its cause.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, message)
    }

    pub fn limit(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Limit, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(formatter, "{}: {source}", self.message),
            None => formatter.write_str(&self.message),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_ref()
            .map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}
