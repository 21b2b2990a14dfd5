//! Line protocol: text to points, zero-copy, with an exact error for each bad line.
//!
//! [`Parser`] walks a request body and yields one [`Line`] or one [`Rejected`] at a time. It reads the
//! measurement and tags only as one raw run of bytes, [`Line::series`]: whoever has met that run before knows the
//! series; whoever has not asks [`Series::parse`]. Fields land in a buffer that the caller reuses.
//!
//! A sound line is read once, straight through to its newline. Only when something stops that does the parser cut
//! the line out by the slower rules for line ends ([`lexer`]) and read it again from its start, so that the first
//! fault in the line is the one reported.
//! Not here: schemas, repeated fields, precision of stored timestamps beyond [`Precision`], I/O.

mod error;
mod fields;
mod keys;
mod lexer;
mod line;
mod precision;
mod series;

mod span;

pub use error::{Error, Rejected};
pub use line::{Field, Line, Name, Parser, Value};
pub use precision::Precision;
pub use series::{Measurement, Series};
pub use span::{next_span, spans_end};

/// The longest element (name, tag value or string field value) taken, in bytes after its escapes are resolved
/// (spec/write-and-storage.md §3.5).
pub const ELEMENT_MAX_BYTES: usize = 1_048_576;
