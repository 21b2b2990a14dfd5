//! Arrow schemas of catalog tables, with the metadata that clients read.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use catalog::{Column, ColumnKind, FieldType, Table};

/// Key of a field's metadata; clients rebuild points from it.
pub const COLUMN_TYPE: &str = "iox::column::type";

/// Keys of a schema's metadata.
pub const MEASUREMENT_NAME: &str = "iox::measurement::name";
pub const SERIES_KEY: &str = "iox::series::key";

/// The schema a query sees: columns in the order of their names, tags as `Dictionary(Int32, Utf8)`, `time` as
/// `Timestamp(Nanosecond, None)` and not null, each field with its `iox::column::type` (spec/query-sql.md §3).
pub fn table_schema(table: &Table) -> SchemaRef {
    let fields: Vec<FieldRef> = columns_by_name(table).into_iter().map(field).collect();
    Arc::new(Schema::new_with_metadata(fields, table_metadata(table)))
}

/// The columns in the order of [`table_schema`].
pub fn columns_by_name(table: &Table) -> Vec<&Column> {
    let mut columns: Vec<&Column> = table.columns().iter().collect();
    columns.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    columns
}

/// The Arrow field of a column.
pub fn field(column: &Column) -> FieldRef {
    let nullable = column.kind != ColumnKind::Time;
    let metadata = HashMap::from([(COLUMN_TYPE.to_string(), column.kind.type_name().to_string())]);
    Arc::new(
        Field::new(column.name.as_ref(), data_type(column.kind), nullable).with_metadata(metadata),
    )
}

/// The Arrow type of a column.
pub fn data_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Tag => {
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
        }
        ColumnKind::Time => DataType::Timestamp(TimeUnit::Nanosecond, None),
        ColumnKind::Field(FieldType::Float) => DataType::Float64,
        ColumnKind::Field(FieldType::Integer) => DataType::Int64,
        ColumnKind::Field(FieldType::Unsigned) => DataType::UInt64,
        ColumnKind::Field(FieldType::String) => DataType::Utf8,
        ColumnKind::Field(FieldType::Boolean) => DataType::Boolean,
    }
}

/// The schema-level metadata: the table's name and its series key, tags separated by `/`.
pub fn table_metadata(table: &Table) -> HashMap<String, String> {
    let series_key: Vec<&str> = table
        .series_key()
        .iter()
        .filter_map(|tag| table.column_by_id(*tag))
        .map(|tag| tag.name.as_ref())
        .collect();
    HashMap::from([
        (MEASUREMENT_NAME.to_string(), table.name.to_string()),
        (SERIES_KEY.to_string(), series_key.join("/")),
    ])
}
