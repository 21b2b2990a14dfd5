//! `system.processing_engine_triggers`: the triggers of a database (spec/system-tables.md §3.6). There are none yet, so it has no
//! rows.

use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};

use super::schema_of;

pub(super) fn schema() -> SchemaRef {
    schema_of(vec![
        Field::new("trigger_name", DataType::Utf8, false),
        Field::new("plugin_filename", DataType::Utf8, false),
        Field::new("trigger_specification", DataType::Utf8, false),
        Field::new("disabled", DataType::Boolean, false),
        Field::new("error_behavior", DataType::Utf8, false),
    ])
}
