//! `system.processing_engine_logs`: what plugins have logged (spec/system-tables.md §3.8). There are none yet, so it has no rows.

use datafusion::arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};

use super::schema_of;

pub(super) fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Nanosecond, None);
    schema_of(vec![
        Field::new("event_time", time, false),
        Field::new("trigger_name", DataType::Utf8, false),
        Field::new("log_level", DataType::Utf8, false),
        Field::new("log_text", DataType::Utf8, false),
    ])
}
