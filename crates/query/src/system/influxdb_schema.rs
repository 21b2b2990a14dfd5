//! `system.influxdb_schema`: the columns of a database's tables in the words of line protocol (spec/system-tables.md §3.5).

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, StringViewArray};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::common::Result;

use catalog::{ColumnKind, Database, FieldType};

use super::schema_of;
use crate::table::Source;

pub(super) fn schema() -> SchemaRef {
    schema_of(vec![
        Field::new("measurement", DataType::Utf8View, false),
        Field::new("key", DataType::Utf8View, false),
        Field::new("data_type", DataType::Utf8View, false),
    ])
}

/// By table, and in it by column.
pub(super) fn rows(database: &Database, source: &Source) -> Result<RecordBatch> {
    let tables = database.tables();
    let mut columns: Vec<(&str, &str, &str)> = tables
        .iter()
        .filter(|table| source.access.may_read(database, table))
        .flat_map(|table| {
            let columns = table.columns().iter();
            columns.map(|column| (table.name.as_ref(), column.name.as_ref(), word(column.kind)))
        })
        .collect();
    columns.sort_unstable();
    let text = |value: fn(&(&str, &str, &str)) -> String| {
        let texts: StringViewArray = columns.iter().map(|column| Some(value(column))).collect();
        Arc::new(texts)
    };
    Ok(RecordBatch::try_new(
        schema(),
        vec![
            text(|(table, _, _)| (*table).to_string()),
            text(|(_, key, _)| (*key).to_string()),
            text(|(_, _, kind)| (*kind).to_string()),
        ],
    )?)
}

fn word(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Time => "time",
        ColumnKind::Tag => "tag",
        ColumnKind::Field(FieldType::Boolean) => "boolean",
        ColumnKind::Field(FieldType::Integer) => "integer",
        ColumnKind::Field(FieldType::Unsigned) => "uinteger",
        ColumnKind::Field(FieldType::Float) => "float",
        ColumnKind::Field(FieldType::String) => "string",
    }
}
