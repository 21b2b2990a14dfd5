//! The life of data: from a line of text to a row in a sorted file.
//!
//! ```text
//! ingest ─> wal ─> buffer ─> persist ─> manifest
//!                    │                      │
//!                    └──────> scan <────────┘       merge: one rule for duplicates, used by persist and scan
//! ```
//! Not here: what exists (`catalog`), SQL (`query`).

pub mod engine;

pub mod ingest;

pub mod scan;

pub mod schema;

pub use engine::{Config, Engine, Statistics};
pub use ingest::{LineError, WriteError, WriteOutcome, WriteRequest};
pub use runtime::{Error, ErrorKind};
pub use scan::{Scan, ScanRequest, SeriesFilter};
