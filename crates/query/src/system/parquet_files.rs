//! `system.parquet_files`: the live data files of a database's tables (spec/system-tables.md §3.2).
//!
//! A table whose data has to go has no files any more, whatever is still stored.

use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::common::Result;

use catalog::Database;

use super::schema_of;
use crate::table::Source;

/// The column by which a statement can choose one table.
pub(super) const TABLE_NAME: &str = "table_name";

pub(super) fn schema() -> SchemaRef {
    schema_of(vec![
        Field::new(TABLE_NAME, DataType::Utf8, false),
        Field::new("path", DataType::Utf8, false),
        Field::new("size_bytes", DataType::UInt64, false),
        Field::new("row_count", DataType::UInt64, false),
        Field::new("min_time", DataType::Int64, false),
        Field::new("max_time", DataType::Int64, false),
    ])
}

/// Of one table, or of all.
pub(super) fn rows(
    database: &Database,
    source: &Source,
    only: Option<&str>,
) -> Result<RecordBatch> {
    let tables = match only {
        Some(name) => database.table_named(name).cloned().into_iter().collect(),
        None => database.tables(),
    };
    let now_ms = source.now_ns.div_euclid(1_000_000);
    let files: Vec<_> = tables
        .iter()
        .filter(|table| source.access.may_read(database, table))
        .filter(|table| !source.snapshot.is_data_due(table.id, now_ms))
        .flat_map(|table| {
            let files = source.storage.files(database.id, table.id);
            files.into_iter().map(move |file| (&table.name, file))
        })
        .collect();
    let names: StringArray = files
        .iter()
        .map(|(table, _)| Some(table.as_ref()))
        .collect();
    let paths: StringArray = files
        .iter()
        .map(|(_, file)| Some(file.path.as_ref()))
        .collect();
    let of = |value: fn(&storage::manifest::FileEntry) -> u64| -> UInt64Array {
        files
            .iter()
            .map(|(_, file)| Some(value(&file.entry)))
            .collect()
    };
    let time_of = |value: fn(&storage::manifest::FileEntry) -> i64| -> Int64Array {
        files
            .iter()
            .map(|(_, file)| Some(value(&file.entry)))
            .collect()
    };
    Ok(RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(names),
            Arc::new(paths),
            Arc::new(of(|file| file.bytes)),
            Arc::new(of(|file| file.rows)),
            Arc::new(time_of(|file| file.min_time)),
            Arc::new(time_of(|file| file.max_time)),
        ],
    )?)
}
