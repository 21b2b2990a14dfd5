//! Line protocol: text to points, zero-copy, with an exact error for each bad line.
//!
//! [`Parser`] walks a request body and yields one [`Line`] or one [`Rejected`] at a time. It reads the
//! measurement and tags only as one raw run of bytes, [`Line::series`]: whoever has met that run before knows the
//! series; whoever has not asks [`Series::parse`]. Fields land in a buffer that the caller reuses.
//! Not here: schemas, precision of stored timestamps beyond [`Precision`], I/O.

mod error;
mod lexer;
mod line;
mod precision;

pub use error::{Error, Rejected};
pub use line::{Field, Line, Name, Parser, Series, Value};
pub use precision::Precision;
