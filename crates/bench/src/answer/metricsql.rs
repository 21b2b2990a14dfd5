//! Values over a range as Prometheus and VictoriaMetrics give them, one series for each field and host, put together into rows.

use super::checksum::{Cell, Sum};
use super::{Kind, Shape};
use crate::Error;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

const NS_PER_MS: i64 = 1_000_000;

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    data: Option<Data<'a>>,
    error: Option<String>,
    #[serde(default, rename = "isPartial")]
    is_partial: bool,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    result: Vec<Series<'a>>,
}

#[derive(Deserialize)]
struct Series<'a> {
    #[serde(borrow)]
    metric: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    /// Seconds since the epoch, and the value as text.
    #[serde(borrow)]
    values: Vec<(f64, Cow<'a, str>)>,
}

pub(super) fn read(bytes: &[u8], step_ms: i64, shape: &Shape, sum: &mut Sum) -> Result<(), Error> {
    let response: Response<'_> = serde_json::from_slice(bytes)
        .map_err(|error| format!("the answer is not of MetricsQL: {error}"))?;
    if let Some(error) = response.error {
        return Err(format!("the answer is an error: {error}").into());
    }
    if response.is_partial {
        return Err("the server says that the answer is partial".into());
    }
    let series = response.data.map_or(Vec::new(), |data| data.result);
    // Rows by time and then by what tells series apart besides the field.
    let mut rows: BTreeMap<(i64, Vec<&str>), Vec<Option<f64>>> = BTreeMap::new();
    for series in &series {
        let column = column_of(series, shape)?;
        let labels: Vec<&str> = texts(shape)
            .map(|name| series.metric.get(name).map_or("", |value| value))
            .collect();
        for (time_s, value) in &series.values {
            // The value stands for the step that ends a millisecond later.
            let time_ms = (time_s * 1_000.0).round() as i64 + 1 - step_ms;
            let value = value
                .parse()
                .map_err(|_| format!("the answer's value {value:?} is no number"))?;
            rows.entry((time_ms * NS_PER_MS, labels.clone()))
                .or_insert_with(|| vec![None; shape.columns.len()])[column] = Some(value);
        }
    }
    for ((time_ns, labels), values) in &rows {
        let mut labels = labels.iter();
        sum.add(shape.columns.iter().zip(values).map(|(column, value)| {
            match (column.kind, value) {
                (Kind::Time, _) => Cell::TimeNs(*time_ns),
                (Kind::Text, _) => labels
                    .next()
                    .filter(|label| !label.is_empty())
                    .map_or(Cell::Null, |label| Cell::Text(label)),
                (Kind::Number, Some(value)) => Cell::Number(*value),
                (Kind::Number, None) => Cell::Null,
            }
        }))?;
    }
    Ok(())
}

/// Names of the columns that are labels of series.
fn texts(shape: &Shape) -> impl Iterator<Item = &str> {
    let columns = shape.columns.iter();
    columns
        .filter(|column| column.kind == Kind::Text)
        .map(|column| column.name.as_str())
}

/// The column of the series' field: `cpu_usage_user` is of `max_usage_user` and `avg_usage_user`.
fn column_of(series: &Series<'_>, shape: &Shape) -> Result<usize, Error> {
    let after_first = |name: &str| name.split_once('_').map(|(_, field)| field.to_owned());
    let metric = series.metric.get("__name__").map_or("", |name| name);
    let field = after_first(metric);
    let column = shape.columns.iter().position(|column| {
        column.kind == Kind::Number && field.is_some() && after_first(&column.name) == field
    });
    column.ok_or_else(|| {
        format!("the answer has a series of {metric:?}, which was not asked for").into()
    })
}
