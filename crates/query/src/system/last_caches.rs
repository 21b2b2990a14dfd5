//! `system.last_caches`: the last value caches of a database (spec/system-tables.md §3.3). There are none yet, so it has no rows.

use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};

use super::{list_of, schema_of};

pub(super) fn schema() -> SchemaRef {
    schema_of(vec![
        Field::new("table", DataType::Utf8View, false),
        Field::new("name", DataType::Utf8View, false),
        Field::new("key_column_ids", list_of(DataType::UInt16), false),
        Field::new("key_column_names", list_of(DataType::Utf8View), false),
        // Null when all other columns are kept, whichever there will be.
        Field::new("value_column_ids", list_of(DataType::UInt16), true),
        Field::new("value_column_names", list_of(DataType::Utf8View), true),
        Field::new("count", DataType::UInt64, false),
        Field::new("ttl", DataType::UInt64, false),
    ])
}
