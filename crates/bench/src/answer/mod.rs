//! What came back, and what it says: rows counted, and a checksum that two servers' answers to the same question share.
//!
//! ```text
//! Body (json, csv, Arrow, InfluxQL's …) ─> cells of the question's columns, row by row ─> Contents { rows, checksum }
//! ```
//! The same rows have the same checksum whatever form they come in: [`checksum`] says how. Not here: what is asked (`queries`) and
//! how (`client`).

mod arrow;
mod checksum;
mod csv;
mod influxql;
mod json;
mod metricsql;
mod parquet;

#[cfg(test)]
mod tests;

use crate::Error;
use ::arrow::array::RecordBatch;
use bytes::Bytes;
use checksum::Sum;
pub(crate) use checksum::{Checksum, of_answers};
use std::ops::RangeInclusive;
use std::time::Duration;

/// What answers to a question look like.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    /// In the order in which the checksum takes them. An answer may have others besides.
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: RangeInclusive<usize>,
    pub(crate) order: Order,
}

impl Shape {
    pub(crate) fn new(columns: Vec<Column>, rows: RangeInclusive<usize>, order: Order) -> Self {
        Self {
            columns,
            rows,
            order,
        }
    }

    /// The place of the column of that name. `time` is also the column of times, whatever its name.
    fn position(&self, name: &str) -> Option<usize> {
        let named = |column: &Column| column.name == name;
        self.columns.iter().position(named).or_else(|| {
            let is_time = |column: &Column| column.kind == Kind::Time;
            (name == "time").then(|| self.columns.iter().position(is_time))?
        })
    }

    /// Fails if the answer cannot be right.
    fn check_rows(&self, rows: usize) -> Result<(), Error> {
        if self.rows.contains(&rows) {
            return Ok(());
        }
        let (least, most) = (self.rows.start(), self.rows.end());
        let expected = match least == most {
            true => format!("{least}"),
            false => format!("{least} to {most}"),
        };
        Err(format!("the answer has {rows} rows instead of {expected}").into())
    }
}

/// The order that a question asks for, by its first column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Any,
    Ascending,
    Descending,
}

impl Order {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Ascending => "ascending",
            Self::Descending => "descending",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

impl Column {
    pub(crate) fn time(name: impl Into<String>) -> Self {
        Self::of_kind(name, Kind::Time)
    }

    pub(crate) fn text(name: impl Into<String>) -> Self {
        Self::of_kind(name, Kind::Text)
    }

    pub(crate) fn number(name: impl Into<String>) -> Self {
        Self::of_kind(name, Kind::Number)
    }

    fn of_kind(name: impl Into<String>, kind: Kind) -> Self {
        let name = name.into();
        Self { name, kind }
    }
}

/// What a column holds. Forms that know only strings, or only numbers, are read by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Time,
    Text,
    Number,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Text => "text",
            Self::Number => "number",
        }
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: Body,
    /// As many as came over the wire, headers of HTTP and HTTP/2 aside.
    pub(crate) bytes: usize,
    /// From the request to the last byte.
    pub(crate) duration: Duration,
}

#[derive(Debug)]
pub(crate) enum Body {
    /// One array of objects.
    Json(Bytes),
    /// One array of objects, series after series, as InfluxDB 3 answers InfluxQL.
    JsonOfSeries(Bytes),
    /// An object on each line.
    Jsonl(Bytes),
    Csv(Bytes),
    Parquet(Bytes),
    Batches(Vec<RecordBatch>),
    /// JSON as InfluxDB 1 gives it, times in nanoseconds.
    Influxql(Bytes),
    /// JSON as Prometheus gives it for a range, with a value for each step.
    Metricsql {
        json: Bytes,
        step_ms: i64,
    },
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) rows: usize,
    /// None for forms that only tell how many rows they have.
    pub(crate) checksum: Option<Checksum>,
}

impl Answer {
    /// Reads the answer to a question; fails if it is not of that shape or has a number of rows that it cannot have.
    pub(crate) fn read(&self, shape: &Shape) -> Result<Contents, Error> {
        let contents = self.body.read(shape)?;
        shape.check_rows(contents.rows)?;
        Ok(contents)
    }
}

impl Body {
    /// The bytes as text where they are text.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Json(bytes)
            | Self::JsonOfSeries(bytes)
            | Self::Jsonl(bytes)
            | Self::Csv(bytes)
            | Self::Influxql(bytes)
            | Self::Metricsql { json: bytes, .. } => String::from_utf8_lossy(bytes).into_owned(),
            Self::Parquet(bytes) => format!("Parquet, {} bytes", bytes.len()),
            Self::Batches(batches) => {
                let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
                format!("{} batches of Arrow, {rows} rows", batches.len())
            }
        }
    }

    fn read(&self, shape: &Shape) -> Result<Contents, Error> {
        if let Self::Parquet(bytes) = self {
            let (rows, checksum) = (parquet::rows(bytes)?, None);
            return Ok(Contents { rows, checksum });
        }
        let mut sum = Sum::new(shape);
        match self {
            Self::Json(bytes) => json::read_array(bytes, shape, &mut sum)?,
            Self::JsonOfSeries(bytes) => {
                // Where series are told apart, each begins anew.
                if shape.columns.iter().any(|column| column.kind == Kind::Text) {
                    sum.in_any_order();
                }
                json::read_array(bytes, shape, &mut sum)?;
            }
            Self::Jsonl(bytes) => json::read_lines(bytes, shape, &mut sum)?,
            Self::Csv(bytes) => csv::read(bytes, shape, &mut sum)?,
            Self::Batches(batches) => arrow::read(batches, shape, &mut sum)?,
            Self::Influxql(bytes) => influxql::read(bytes, shape, &mut sum)?,
            Self::Metricsql { json, step_ms } => metricsql::read(json, *step_ms, shape, &mut sum)?,
            Self::Parquet(_) => {}
        }
        Ok(sum.contents())
    }
}

/// A time as text, with or without a zone, in nanoseconds.
fn parse_time(text: &str) -> Result<i64, Error> {
    let wrong = || format!("{text:?} is not a time in UTC");
    let time = humantime::parse_rfc3339_weak(text).map_err(|_| wrong())?;
    let since_epoch = time
        .duration_since(std::time::UNIX_EPOCH)
        .map_err(|_| wrong())?;
    Ok(i64::try_from(since_epoch.as_nanos())?)
}
