//! Deleting rows: gone from every answer at once, gone from disk when their files are next rewritten.
//!
//! A delete is worked out when it is asked for, not when it is read: what it matches becomes a [`Tombstone`], a list of series
//! with stretches of time, made durable by the manifest under the sequence of the last write it covers. Scans and rewrites
//! leave out what a tombstone covers of every source that is not newer. Not here: SQL (`query`), dropping whole tables (`compact`).

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use catalog::{DatabaseId, Table};

use crate::{Error, SeriesFilter};

/// Decides row by row what a delete takes, looking at merged rows.
#[derive(Clone)]
pub struct RowFilter {
    /// Indices into [`crate::schema::table_schema`]: the columns of the batches shown to `matches`, in this order.
    pub columns: Vec<usize>,
    /// One answer per row; null counts as no.
    pub matches: Arc<dyn Fn(&RecordBatch) -> Result<BooleanArray, Error> + Send + Sync + 'static>,
}

/// Which rows of a table to delete: those that every part accepts.
#[derive(Clone)]
pub struct DeleteRequest {
    pub database: DatabaseId,
    pub table: Arc<Table>,
    /// Nanoseconds.
    pub time_range: RangeInclusive<i64>,
    pub series_filter: Option<SeriesFilter>,
    pub row_filter: Option<RowFilter>,
}

impl fmt::Debug for DeleteRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DeleteRequest")
            .field("database", &self.database)
            .field("table", &self.table.name)
            .field("time_range", &self.time_range)
            .finish_non_exhaustive()
    }
}

/// What a delete did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// Rows that were visible before and are not any more.
    pub rows: u64,
}
