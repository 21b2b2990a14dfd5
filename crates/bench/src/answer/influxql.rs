//! Rows as InfluxDB 1 gives them: in series, whose tags are columns too. Times are nanoseconds since the epoch.

use super::checksum::{Cell, Sum};
use super::json::Value;
use super::{Kind, Shape};
use crate::Error;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow, default)]
    results: Vec<Outcome<'a>>,
    error: Option<String>,
}

/// What one statement gave.
#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(borrow, default)]
    series: Vec<Series<'a>>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Series<'a> {
    #[serde(borrow, default)]
    tags: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(borrow)]
    columns: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    values: Vec<Vec<Value<'a>>>,
    #[serde(default)]
    partial: bool,
}

/// Where a column of the question is.
enum Place<'a> {
    Tag(&'a str),
    Value(usize),
}

pub(super) fn read(bytes: &[u8], shape: &Shape, sum: &mut Sum) -> Result<(), Error> {
    let response: Response<'_> = serde_json::from_slice(bytes)
        .map_err(|error| format!("the answer is not of InfluxQL: {error}"))?;
    if let Some(error) = response.error {
        return Err(format!("the answer is an error: {error}").into());
    }
    for outcome in &response.results {
        if let Some(error) = &outcome.error {
            return Err(format!("the answer is an error: {error}").into());
        }
        if outcome.series.len() > 1 {
            sum.in_any_order();
        }
        for series in &outcome.series {
            read_series(series, shape, sum)?;
        }
    }
    Ok(())
}

fn read_series(series: &Series<'_>, shape: &Shape, sum: &mut Sum) -> Result<(), Error> {
    if series.partial {
        return Err("the server cut the answer off (max-row-limit)".into());
    }
    let place = |position: usize| {
        let is_it = |name: &str| shape.position(name) == Some(position);
        let tag = series.tags.iter().find(|(name, _)| is_it(name));
        match tag {
            Some((_, value)) => Ok(Place::Tag(value)),
            None => match series.columns.iter().position(|name| is_it(name)) {
                Some(column) => Ok(Place::Value(column)),
                None => Err(format!(
                    "the answer has no column {:?} but {}",
                    shape.columns[position].name,
                    series.columns.join(", ")
                )),
            },
        }
    };
    let places: Vec<(Place<'_>, Kind)> = (0..shape.columns.len())
        .map(|position| Ok::<_, String>((place(position)?, shape.columns[position].kind)))
        .collect::<Result<_, _>>()?;
    for row in &series.values {
        let cells: Vec<Cell<'_>> = places
            .iter()
            .map(|(place, kind)| match place {
                Place::Tag("") => Ok(Cell::Null),
                Place::Tag(value) => Ok(Cell::Text(value)),
                Place::Value(column) => match row.get(*column) {
                    Some(value) => value.cell(*kind),
                    None => Err("the answer has a row that is too short".into()),
                },
            })
            .collect::<Result<_, Error>>()?;
        sum.add(cells)?;
    }
    Ok(())
}
