//! `system.processing_engine_trigger_arguments`: what the triggers of a database are given (spec/system-tables.md §3.7). There are
//! no triggers yet, so it has no rows.

use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};

use super::schema_of;

pub(super) fn schema() -> SchemaRef {
    schema_of(vec![
        Field::new("trigger_name", DataType::Utf8, false),
        Field::new("argument_key", DataType::Utf8, false),
        Field::new("argument_value", DataType::Utf8, false),
    ])
}
