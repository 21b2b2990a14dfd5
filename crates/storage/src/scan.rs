//! Reading: a consistent view of one table's files and buffered rows, pruned, merged and streamed.

use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use futures::stream::BoxStream;

use catalog::{DatabaseId, Table};

use crate::Error;

/// Decides for many series at once: gets one row per series with the columns of [`ScanRequest::series_filter`]'s tags,
/// answers which may match. Null counts as no.
pub type SeriesFilter =
    Arc<dyn Fn(&RecordBatch) -> Result<BooleanArray, Error> + Send + Sync + 'static>;

/// What to read of a table.
#[derive(Clone)]
pub struct ScanRequest {
    pub database: DatabaseId,
    pub table: Arc<Table>,
    /// Indices into [`crate::schema::table_schema`], in output order.
    pub projection: Vec<usize>,
    /// Nanoseconds; rows outside are never returned.
    pub time_range: RangeInclusive<i64>,
    /// Rows of series it refuses are never returned. Its batches hold every tag column of the table, in schema order.
    pub series_filter: Option<SeriesFilter>,
    /// Most partitions wanted.
    pub partitions: usize,
}

/// A planned read. Holds its files and segments, so what happens meanwhile does not change the answer.
pub struct Scan {
    schema: SchemaRef,
    partitions: usize,
}

impl Scan {
    /// The projected schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// At least one.
    pub fn partitions(&self) -> usize {
        self.partitions
    }

    /// One line for EXPLAIN: what is read and what was pruned, such as `files=2/10, segments=1, series=3/1000`.
    pub fn description(&self) -> String {
        String::new()
    }

    /// Rows of one partition: sorted by series key, then time, no (series, time) twice in the whole scan.
    pub fn stream(&self, partition: usize) -> BoxStream<'static, Result<RecordBatch, Error>> {
        let _ = partition;
        unimplemented!()
    }
}
