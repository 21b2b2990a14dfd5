//! The languages that questions are put into, and the few ways in which the dialects of SQL differ.

use super::window::{Window, rfc3339};

/// A language of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// As InfluxDB 3 and DataFusion speak it.
    Sql,
    /// SQL of DuckDB, over views named like the tables.
    Duckdb,
    /// SQL of ClickHouse, over views named like the tables.
    Chdb,
    /// Of InfluxDB 1.
    Influxql,
    /// Of VictoriaMetrics.
    Metricsql,
}

/// A question in some language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Statement {
    Text(String),
    /// Evaluated at `start_ms`, `start_ms + step_ms` and so on up to `end_ms`; each value stands for the step that ends a millisecond
    /// later.
    Range {
        query: String,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    },
}

impl Statement {
    /// What a person reads.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Range { query, .. } => query,
        }
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Range {
                query,
                start_ms,
                end_ms,
                step_ms,
            } => serde_json::json!({
                "query": query, "start_ms": start_ms, "end_ms": end_ms, "step_ms": step_ms,
            }),
        }
    }
}

impl Language {
    pub(crate) const ALL: [Self; 5] = [
        Self::Sql,
        Self::Duckdb,
        Self::Chdb,
        Self::Influxql,
        Self::Metricsql,
    ];

    /// As programs read it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Duckdb => "duckdb",
            Self::Chdb => "chdb",
            Self::Influxql => "influxql",
            Self::Metricsql => "metricsql",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Sql => "SQL",
            Self::Duckdb => "SQL of DuckDB",
            Self::Chdb => "SQL of ClickHouse",
            Self::Influxql => "InfluxQL",
            Self::Metricsql => "MetricsQL",
        }
    }

    /// The start of the bucket that a row's time is in. For dialects of SQL.
    pub(super) fn bucket(self, width: Width) -> String {
        self.bucket_of(width, "time")
    }

    /// The start of the bucket that the time `column` is in.
    pub(super) fn bucket_of(self, width: Width, column: &str) -> String {
        let interval = width.interval();
        match self {
            Self::Chdb => format!("toStartOfInterval({column}, INTERVAL {interval})"),
            Self::Duckdb => format!("time_bucket(INTERVAL '{interval}', {column})"),
            _ => format!("date_bin(INTERVAL '{interval}', {column})"),
        }
    }

    /// The seconds since the epoch of the time `column`, as a float.
    pub(super) fn seconds(self, column: &str) -> String {
        format!("date_part('epoch', {column})")
    }

    /// A point in time as a literal.
    pub(super) fn moment(self, seconds: i64) -> String {
        let text = rfc3339(seconds);
        let plain = text.replace('T', " ").replace('Z', "");
        match self {
            Self::Duckdb => format!("TIMESTAMP_NS '{plain}'"),
            Self::Chdb => format!("toDateTime64('{plain}', 9, 'UTC')"),
            _ => format!("'{text}'"),
        }
    }

    /// A condition that holds for the times in `window`.
    pub(super) fn within(self, window: Window) -> String {
        let (start, end) = (self.moment(window.start_s), self.moment(window.end_s));
        format!("time >= {start} AND time < {end}")
    }
}

/// How long a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Minute,
    TenMinutes,
    Hour,
    Day,
}

impl Width {
    pub(super) fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::TenMinutes => 600,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// The name of the column with the buckets' starts.
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::TenMinutes => "ten_minutes",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    fn interval(self) -> &'static str {
        match self {
            Self::Minute => "1 minute",
            Self::TenMinutes => "10 minute",
            Self::Hour => "1 hour",
            Self::Day => "1 day",
        }
    }

    /// As InfluxQL and MetricsQL write it.
    pub(super) fn duration(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::TenMinutes => "10m",
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }
}
