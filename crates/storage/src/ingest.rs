//! Points and schema to batches: what a write request means.

use crate::Error;
use line_protocol::Precision;

/// One write request, already decompressed and known to be UTF-8.
#[derive(Clone, Copy, Debug)]
pub struct WriteRequest<'a> {
    pub database: &'a str,
    pub text: &'a str,
    pub precision: Precision,
    /// Keep the good lines when some are bad.
    pub accept_partial: bool,
    /// Answer once in memory, without waiting for the log.
    pub no_sync: bool,
}

/// What was written. A partial write is one with rejected lines.
#[derive(Debug, Default)]
pub struct WriteOutcome {
    /// Lines that became rows.
    pub lines: usize,
    /// In the order of the request.
    pub rejected: Vec<LineError>,
}

/// A line that was not written, as clients see it (spec/write-and-storage.md §2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    pub error_message: String,
    /// 1-based over logical lines.
    pub line_number: usize,
    /// At most 20 bytes of the line.
    pub original_line: String,
}

/// Why nothing of a request was written.
#[derive(Debug)]
pub enum WriteError {
    /// No line in the body: `incoming write was empty`.
    Empty,
    /// `accept_partial` was off and this is the first bad line.
    Line(LineError),
    /// The whole request failed: name, database limit, log, shutdown.
    Failed(Error),
}
