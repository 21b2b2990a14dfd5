//! `system.queries`: what is asked of the node, running or ended, oldest first (spec/system-tables.md §3.1).
//!
//! In a database its own queries, in `_internal` all; of these those that the caller may see (`queries`). The statement that reads
//! the table is among them. Parameters are not shown: they may be secret.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, DurationNanosecondArray, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use datafusion::common::Result;

use catalog::Database;

use super::schema_of;
use crate::queries::{Figures, Phase, Snapshot};
use crate::table::Source;

pub(super) fn schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    let duration = |name: &str| Field::new(name, DataType::Duration(TimeUnit::Nanosecond), true);
    let flag = |name: &str| Field::new(name, DataType::Boolean, false);
    let time = DataType::Timestamp(TimeUnit::Nanosecond, None);
    schema_of(vec![
        text("id", false),
        text("phase", false),
        Field::new("issue_time", time, false),
        text("query_type", false),
        text("query_text", false),
        number("partitions"),
        number("parquet_files"),
        duration("plan_duration"),
        duration("permit_duration"),
        duration("execute_duration"),
        duration("end2end_duration"),
        duration("compute_duration"),
        number("max_memory"),
        flag("success"),
        flag("running"),
        flag("cancelled"),
        text("trace_id", true),
    ])
}

pub(super) fn rows(database: &Database, source: &Source) -> Result<RecordBatch> {
    let queries = source
        .queries
        .visible(database, &source.access, source.token);
    batch(&queries)
}

fn batch(queries: &[Snapshot]) -> Result<RecordBatch> {
    let text = |value: &dyn Fn(&Snapshot) -> Option<String>| -> ArrayRef {
        Arc::new(queries.iter().map(value).collect::<StringArray>())
    };
    let number = |value: fn(&Figures) -> Option<u64>| -> ArrayRef {
        let numbers = queries.iter().map(|query| value(&query.figures));
        let numbers = numbers.map(|number| number.map(|number| clamped(u128::from(number))));
        Arc::new(numbers.collect::<Int64Array>())
    };
    let duration = |value: fn(&Figures) -> Option<Duration>| -> ArrayRef {
        let durations = queries.iter().map(|query| value(&query.figures));
        let durations = durations.map(|took| took.map(|took| clamped(took.as_nanos())));
        Arc::new(durations.collect::<DurationNanosecondArray>())
    };
    let flag = |value: fn(Phase) -> bool| -> ArrayRef {
        let flags = queries.iter().map(|query| Some(value(query.phase)));
        Arc::new(flags.collect::<BooleanArray>())
    };
    let times = queries.iter().map(|query| query.issue_time_ns);
    let times = TimestampNanosecondArray::from_iter_values(times);
    Ok(RecordBatch::try_new(
        schema(),
        vec![
            text(&|query| Some(query.id.to_string())),
            text(&|query| Some(query.phase.name().to_string())),
            Arc::new(times),
            text(&|query| Some(query.kind.name().to_string())),
            text(&|query| Some(query.text.clone())),
            number(|figures| figures.partitions),
            number(|figures| figures.parquet_files),
            duration(|figures| figures.planning),
            duration(|figures| figures.queue),
            duration(|figures| figures.execution),
            duration(|figures| figures.end_to_end),
            duration(|figures| figures.compute),
            number(|figures| figures.memory_bytes_max),
            flag(|phase| phase == Phase::Success),
            flag(|phase| !phase.is_last()),
            flag(|phase| phase == Phase::Cancel),
            text(&|query| query.trace_id.clone()),
        ],
    )?)
}

fn clamped(value: u128) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
