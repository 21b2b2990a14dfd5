//! `system.compaction`: what compaction did lately, oldest first. A table of ours, not of the contract.
//!
//! In `_internal` that of every database, elsewhere that of the database itself. Kept in memory by storage: a start forgets it.
//! Names are those of now; what the catalog has forgotten has none.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, RecordBatch, StringArray, TimestampNanosecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use datafusion::common::Result;

use catalog::Database;
use storage::CompactionEvent;

use super::schema_of;
use crate::table::Source;

pub(super) fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let count = |name: &str| Field::new(name, DataType::UInt64, false);
    schema_of(vec![
        Field::new("time", time.clone(), false),
        Field::new("database_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, true),
        Field::new("reason", DataType::Utf8, false),
        Field::new("min_time", time.clone(), false),
        Field::new("max_time", time, false),
        count("files_before"),
        count("files_after"),
        count("bytes_before"),
        count("bytes_after"),
        count("rows_before"),
        count("rows_after"),
        count("duration_ms"),
        Field::new("error", DataType::Utf8, true),
    ])
}

pub(super) fn rows(database: &Database, source: &Source) -> Result<RecordBatch> {
    let mut events = source.storage.compaction_events();
    // In `_internal` are administrators alone, who may see every table.
    events.retain(|event| {
        database.is_internal()
            || (event.database == database.id
                && match database.table_by_id(event.table) {
                    Some(table) => source.access.may_read(database, table),
                    None => source.access.may_read_all(database),
                })
    });
    let count = |value: fn(&CompactionEvent) -> u64| -> ArrayRef {
        let counts: UInt64Array = events.iter().map(|event| Some(value(event))).collect();
        Arc::new(counts)
    };
    let time = |value: fn(&CompactionEvent) -> i64| -> ArrayRef {
        let times: TimestampNanosecondArray =
            events.iter().map(|event| Some(value(event))).collect();
        Arc::new(times)
    };
    let text = |value: &dyn Fn(&CompactionEvent) -> Option<String>| -> ArrayRef {
        Arc::new(events.iter().map(value).collect::<StringArray>())
    };
    Ok(RecordBatch::try_new(
        schema(),
        vec![
            time(|event| event.time_ns),
            text(&|event| {
                let database = source.snapshot.database_by_id(event.database)?;
                Some(database.name.to_string())
            }),
            text(&|event| {
                let (_, table) = source.snapshot.table_by_id(event.table)?;
                Some(table.name.to_string())
            }),
            text(&|event| Some(event.reason.to_string())),
            time(|event| event.min_time),
            time(|event| event.max_time),
            count(|event| event.files_before),
            count(|event| event.files_after),
            count(|event| event.bytes_before),
            count(|event| event.bytes_after),
            count(|event| event.rows_before),
            count(|event| event.rows_after),
            count(|event| event.duration_ms),
            text(&|event| event.error.clone()),
        ],
    )?)
}
