//! Compaction: few large files instead of many small ones, without rows that are deleted or expired.

use catalog::{DatabaseId, TableId};

/// Something compaction did, newest last; kept in memory for `system.compaction`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactionEvent {
    /// Nanoseconds since the epoch, when it ended.
    pub time_ns: i64,
    pub database: DatabaseId,
    pub table: TableId,
    /// Why: `merge`, `split`, `delete`, `expire`, `drop`.
    pub reason: &'static str,
    /// Of the rows rewritten or dropped, nanoseconds, inclusive.
    pub min_time: i64,
    pub max_time: i64,
    pub files_before: u64,
    pub bytes_before: u64,
    pub rows_before: u64,
    pub files_after: u64,
    pub bytes_after: u64,
    pub rows_after: u64,
    pub duration_ms: u64,
    /// Why nothing came of it.
    pub error: Option<String>,
}
