//! `system.distinct_caches`: the distinct value caches of a database (spec/system-tables.md §3.4). There are none yet, so it has
//! no rows.

use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};

use super::{list_of, schema_of};

pub(super) fn schema() -> SchemaRef {
    schema_of(vec![
        Field::new("table", DataType::Utf8View, false),
        Field::new("name", DataType::Utf8View, false),
        Field::new("column_ids", list_of(DataType::UInt16), false),
        Field::new("column_names", list_of(DataType::Utf8View), false),
        Field::new("max_cardinality", DataType::UInt64, false),
        Field::new("max_age_seconds", DataType::UInt64, false),
    ])
}
