//! What can be wrong with a line, and in which words.
//!
//! While reading, a fault is a [`Fault`]: a kind and some offsets, cheap to make and to throw away. Only a line that
//! is given up gets an [`Error`], which holds the message. Not here: status codes, response bodies.

use std::fmt;

use crate::lexer;

/// Why a line was rejected; displays as the message of spec/write-and-storage.md §3.6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub(crate) message: String,
    pub(crate) at: usize,
}

impl Error {
    /// Where the fault is: bytes from the first character of the line that is not indentation.
    pub fn at(&self) -> usize {
        self.at
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// A line that could not be parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected<'a> {
    /// 1-based, counting logical lines: blank lines and comments are not counted.
    pub number: usize,
    /// The physical text of the line, whole: with its indentation, without its line ending.
    pub text: &'a str,
    pub error: Error,
}

/// What stopped the reading of a line. Offsets are bytes into the text being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    NoMeasurement,
    /// The series does not end with a space.
    NoSpace {
        at: usize,
    },
    NoTagKey {
        at: usize,
    },
    /// The tag that starts at `at` has no equals sign.
    NoTagEquals {
        at: usize,
    },
    NoTagValue {
        at: usize,
    },
    /// The first field could not be read.
    NoFields,
    Trailing {
        at: usize,
    },
    Integer {
        start: usize,
        end: usize,
    },
    Unsigned {
        start: usize,
        end: usize,
    },
    Float {
        start: usize,
        end: usize,
    },
    Timestamp {
        start: usize,
        end: usize,
    },
    EndsWithBackslash,
    TooLong,
}

/// How much of the offending text a message quotes, in characters.
const CONTEXT_MAX_CHARACTERS: usize = 10;

impl Fault {
    /// The message for this fault in `text`, the line from its series to its end.
    pub(crate) fn explain(self, text: &str) -> Error {
        let at = self.at(text);
        let message = match self {
            Self::NoMeasurement => "Invalid measurement was provided".to_owned(),
            Self::NoSpace { at } => {
                let found = match &text[at..] {
                    "" => "end of input".to_owned(),
                    rest => format!("`{rest}`"),
                };
                format!("Expected at least one space character, got {found}")
            }
            Self::NoTagKey { at } => format!("Expected tag key, got {}", found(&text[at..])),
            Self::NoTagEquals { at } => format!(
                "Tag set malformed: could not find equals sign in `{}`",
                context(&text[at..])
            ),
            Self::NoTagValue { at } => format!("Expected tag value, got {}", found(&text[at..])),
            Self::NoFields => "No fields were provided".to_owned(),
            Self::Trailing { at } => format!(
                "Could not parse entire line. Found trailing content: `{}`",
                context(&text[at..])
            ),
            Self::Integer { start, end } => {
                format!("Unable to parse integer value `{}`", &text[start..end])
            }
            Self::Unsigned { start, end } => format!(
                "Unable to parse unsigned integer value `{}`",
                &text[start..end]
            ),
            Self::Float { start, end } => format!(
                "Unable to parse floating-point value `{}`",
                &text[start..end]
            ),
            Self::Timestamp { start, end } => {
                format!("Unable to parse timestamp value `{}`", &text[start..end])
            }
            Self::EndsWithBackslash => {
                "Measurements, tag keys and values, and field keys may not end with a backslash"
                    .to_owned()
            }
            Self::TooLong => "String is greater than 1MB".to_owned(),
        };
        Error { message, at }
    }

    /// Where in `text` the fault is; at its start when that is not known.
    fn at(self, text: &str) -> usize {
        match self {
            Self::NoSpace { at }
            | Self::NoTagKey { at }
            | Self::NoTagEquals { at }
            | Self::NoTagValue { at }
            | Self::Trailing { at }
            | Self::Integer { start: at, .. }
            | Self::Unsigned { start: at, .. }
            | Self::Float { start: at, .. }
            | Self::Timestamp { start: at, .. } => at,
            Self::NoFields => lexer::series_end(text.as_bytes(), 0).unwrap_or(0),
            Self::NoMeasurement | Self::EndsWithBackslash | Self::TooLong => 0,
        }
    }
}

fn found(rest: &str) -> String {
    match rest {
        "" => "end of input".to_owned(),
        rest => format!("`{}`", context(rest)),
    }
}

/// The head of `rest`, with dots if that is not all of it.
fn context(rest: &str) -> String {
    match rest.char_indices().nth(CONTEXT_MAX_CHARACTERS) {
        Some((end, _)) => format!("{}...", &rest[..end]),
        None => rest.to_owned(),
    }
}
