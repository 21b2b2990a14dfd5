//! `system.plugin_files`: the files of the plugins of all triggers (spec/system-tables.md §4.6). There are none yet, so it has no
//! rows.

use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};

use super::schema_of;

pub(super) fn schema() -> SchemaRef {
    schema_of(vec![
        Field::new("plugin_name", DataType::Utf8, false),
        Field::new("file_name", DataType::Utf8, false),
        Field::new("file_path", DataType::Utf8, false),
        Field::new("size_bytes", DataType::Int64, false),
        Field::new("last_modified", DataType::Int64, false),
    ])
}
