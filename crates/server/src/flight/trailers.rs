//! What the queries of a call took, for its trailers (spec/flight.md §4.1): the figures of `system.queries`.

use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use parking_lot::Mutex;
use query::LoggedQuery;

/// The queries that a call has led to: one, or as many as there were rows of values.
#[derive(Debug, Default)]
pub(super) struct Asked {
    queries: Mutex<Vec<Arc<LoggedQuery>>>,
}

impl Asked {
    pub(super) fn add(&self, query: Arc<LoggedQuery>) {
        self.queries.lock().push(query);
    }

    /// Says what they took together; nothing of a call that was no query.
    pub(super) fn add_to(&self, trailers: &mut HeaderMap) {
        let queries = self.queries.lock();
        if queries.is_empty() {
            return;
        }
        let figures: Vec<_> = queries.iter().map(|query| query.figures()).collect();
        let seconds = |took: &dyn Fn(usize) -> Option<Duration>| {
            let all = (0..figures.len())
                .filter_map(took)
                .reduce(|one, other| one + other);
            all.map(|took| format!("{:.6}", took.as_secs_f64()))
        };
        let count = |counted: &dyn Fn(usize) -> Option<u64>, join: fn(u64, u64) -> u64| {
            let all = (0..figures.len()).filter_map(counted).reduce(join);
            all.map(|count| count.to_string())
        };
        for (name, value) in [
            (
                "x-influxdata-queue-duration-seconds",
                seconds(&|at| figures[at].queue),
            ),
            (
                "x-influxdata-logical-planning-duration-seconds",
                seconds(&|at| figures[at].logical_planning),
            ),
            (
                "x-influxdata-physical-planning-duration-seconds",
                seconds(&|at| figures[at].physical_planning),
            ),
            (
                "x-influxdata-planning-duration-seconds",
                seconds(&|at| figures[at].planning),
            ),
            (
                "x-influxdata-execution-duration-seconds",
                seconds(&|at| figures[at].execution),
            ),
            (
                "x-influxdata-compute-duration-seconds",
                seconds(&|at| figures[at].compute),
            ),
            (
                "x-influxdata-partitions",
                count(&|at| figures[at].partitions, u64::saturating_add),
            ),
            (
                "x-influxdata-parquet-files",
                count(&|at| figures[at].parquet_files, u64::saturating_add),
            ),
            (
                "x-influxdata-max-memory-bytes",
                count(&|at| figures[at].memory_bytes_max, u64::max),
            ),
        ] {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                trailers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}
