//! `system.generation_durations`: how much time the files of each generation span (spec/system-tables.md §4.4).
//!
//! Clients know one generation, whose length they may read here. Storage cuts files as the amount of data suggests, so what a file
//! really spans is in `system.parquet_files`.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, UInt8Array, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::common::Result;

use super::schema_of;

/// The generation that rows come to first.
const FIRST_LEVEL: u8 = 1;

/// What clients are told of it.
const FIRST_DURATION_SECONDS: u64 = 600;

pub(super) fn schema() -> SchemaRef {
    schema_of(vec![
        Field::new("level", DataType::UInt8, false),
        Field::new("duration_seconds", DataType::UInt64, false),
    ])
}

pub(super) fn rows() -> Result<RecordBatch> {
    Ok(RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(UInt8Array::from(vec![FIRST_LEVEL])),
            Arc::new(UInt64Array::from(vec![FIRST_DURATION_SECONDS])),
        ],
    )?)
}
