//! `system.databases`: every database, deleted ones under their new names too (spec/system-tables.md §4.1).

use std::sync::Arc;

use datafusion::arrow::array::{
    BooleanArray, RecordBatch, StringViewArray, TimestampSecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::common::Result;

use catalog::Snapshot;

use super::{schema_of, seconds_of_ms, seconds_utc};

pub(super) fn schema() -> SchemaRef {
    schema_of(vec![
        Field::new("database_name", DataType::Utf8View, false),
        Field::new("retention_period_ns", DataType::UInt64, true),
        Field::new("deleted", DataType::Boolean, false),
        Field::new("hard_deletion_time", seconds_utc(), true),
    ])
}

pub(super) fn rows(snapshot: &Snapshot) -> Result<RecordBatch> {
    let databases = snapshot.databases();
    let names: StringViewArray = databases
        .iter()
        .map(|database| Some(database.name.as_ref()))
        .collect();
    let retentions: UInt64Array = databases
        .iter()
        .map(|database| database.retention)
        .map(|kept| kept.map(|kept| u64::try_from(kept.as_nanos()).unwrap_or(u64::MAX)))
        .collect();
    let deleted: BooleanArray = databases
        .iter()
        .map(|database| Some(database.is_deleted()))
        .collect();
    let hard: TimestampSecondArray = databases
        .iter()
        .map(|database| database.hard_delete_at_ms.map(seconds_of_ms))
        .collect();
    Ok(RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(names),
            Arc::new(retentions),
            Arc::new(deleted),
            Arc::new(hard.with_timezone("UTC")),
        ],
    )?)
}
