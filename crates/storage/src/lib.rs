//! The life of data: from a line of text to a row in a sorted file.
//!
//! ```text
//! ingest ─> wal ─> buffer ─> persist ─> manifest
//!                    │          │           │
//!                    │          └─> file    │
//!                    └────────> scan <──────┘       merge: one rule for duplicates, used by persist and scan
//! ```
//! A [`batch`] is what travels; a [`series`] number says which series a row belongs to.
//! Not here: what exists (`catalog`), SQL (`query`).

pub mod engine;

pub mod ingest;

pub mod wal;

pub mod buffer;

pub mod persist;

pub mod manifest;

pub mod compact;

pub mod live;

pub mod delete;

pub mod file;

pub mod merge;

pub mod scan;

pub mod verify;

pub mod batch;

pub mod series;

pub mod schema;

pub mod paths;

pub mod window;

pub mod varint;

pub use engine::{Config, Engine, Memory, Statistics};
pub use line_protocol::Precision;

pub use compact::CompactionEvent;
pub use delete::{DeleteRequest, Deleted};
pub use ingest::{LineError, WriteError, WriteOutcome, WriteRequest};
pub use runtime::{Error, ErrorKind};
pub use scan::{Asked, KnownRows, RowFilter, Scan, ScanRequest, SeriesFilter, Wanted};
pub use wal::LogSettings;
