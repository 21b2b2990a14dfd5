//! `system.tables`: the tables of every database, deleted ones under their new names too (spec/system-tables.md §4.2).
//!
//! A table of a deleted database counts as deleted, and goes when the first of the two has to.

use std::sync::Arc;

use datafusion::arrow::array::{
    BooleanArray, RecordBatch, StringViewArray, TimestampSecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::common::Result;

use catalog::{Database, Snapshot, Table};

use super::{schema_of, seconds_of_ms, seconds_utc};

pub(super) fn schema() -> SchemaRef {
    schema_of(vec![
        Field::new("database_name", DataType::Utf8View, false),
        Field::new("table_name", DataType::Utf8View, false),
        Field::new("column_count", DataType::UInt64, false),
        Field::new("series_key_columns", DataType::Utf8View, false),
        Field::new("last_cache_count", DataType::UInt64, false),
        Field::new("distinct_cache_count", DataType::UInt64, false),
        Field::new("deleted", DataType::Boolean, false),
        Field::new("hard_deletion_time", seconds_utc(), true),
    ])
}

pub(super) fn rows(snapshot: &Snapshot) -> Result<RecordBatch> {
    let tables: Vec<(Arc<Database>, Arc<Table>)> = snapshot
        .databases()
        .into_iter()
        .flat_map(|database| {
            let tables = database.tables();
            tables
                .into_iter()
                .map(move |table| (Arc::clone(&database), table))
        })
        .collect();
    let databases: StringViewArray = tables
        .iter()
        .map(|(database, _)| Some(database.name.as_ref()))
        .collect();
    let names: StringViewArray = tables
        .iter()
        .map(|(_, table)| Some(table.name.as_ref()))
        .collect();
    let columns: UInt64Array = tables
        .iter()
        .map(|(_, table)| Some(table.columns().len() as u64))
        .collect();
    let keys: StringViewArray = tables
        .iter()
        .map(|(_, table)| Some(series_key(table)))
        .collect();
    // There are no caches yet.
    let no_caches = Arc::new(UInt64Array::from(vec![0; tables.len()]));
    let deleted: BooleanArray = tables
        .iter()
        .map(|(database, table)| Some(database.is_deleted() || table.is_deleted()))
        .collect();
    let hard: TimestampSecondArray = tables
        .iter()
        .map(|(database, table)| {
            let times = [database.hard_delete_at_ms, table.hard_delete_at_ms];
            times.into_iter().flatten().min().map(seconds_of_ms)
        })
        .collect();
    Ok(RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(databases),
            Arc::new(names),
            Arc::new(columns),
            Arc::new(keys),
            Arc::clone(&no_caches) as _,
            no_caches,
            Arc::new(deleted),
            Arc::new(hard.with_timezone("UTC")),
        ],
    )?)
}

fn series_key(table: &Table) -> String {
    let tags: Vec<&str> = table
        .series_key()
        .iter()
        .filter_map(|id| table.column_by_id(*id))
        .map(|column| column.name.as_ref())
        .collect();
    tags.join(", ")
}
