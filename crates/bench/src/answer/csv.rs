//! Rows as CSV, the names of the columns on the first line.

use super::checksum::{Cell, Sum};
use super::{Column, Kind, Shape, parse_time};
use crate::Error;
use std::borrow::Cow;

pub(super) fn read(bytes: &[u8], shape: &Shape, sum: &mut Sum) -> Result<(), Error> {
    let mut rest = std::str::from_utf8(bytes)?;
    let mut values = Vec::new();
    next_line(&mut rest, &mut values)?;
    // An answer without rows may be without names too.
    let names = std::mem::take(&mut values);
    let mut places = Vec::with_capacity(shape.columns.len());
    for (position, column) in shape.columns.iter().enumerate() {
        let place = names
            .iter()
            .position(|name| shape.position(name) == Some(position));
        places.push((place.ok_or_else(|| missing(column, &names)), column));
    }
    if rest.is_empty() {
        return Ok(());
    }
    let places: Vec<_> = places
        .into_iter()
        .map(|(place, column)| Ok::<_, Error>((place?, column)))
        .collect::<Result<_, _>>()?;
    let mut number = 1;
    while !rest.is_empty() {
        number += 1;
        next_line(&mut rest, &mut values)?;
        if values.len() != names.len() {
            let (found, expected) = (values.len(), names.len());
            let wrong =
                format!("line {number} of the answer has {found} values instead of {expected}");
            return Err(wrong.into());
        }
        let cells: Vec<Cell<'_>> = places
            .iter()
            .map(|(place, column)| cell(&values[*place], column))
            .collect::<Result<_, _>>()
            .map_err(|error| format!("line {number} of the answer: {error}"))?;
        sum.add(cells)?;
    }
    Ok(())
}

fn missing(column: &Column, names: &[Cow<'_, str>]) -> String {
    let names = names.join(", ");
    format!("the answer has no column {:?} but {names}", column.name)
}

fn cell<'a>(value: &'a str, column: &Column) -> Result<Cell<'a>, Error> {
    if value.is_empty() {
        return Ok(Cell::Null);
    }
    Ok(match column.kind {
        Kind::Time => Cell::TimeNs(parse_time(value)?),
        Kind::Text => Cell::Text(value),
        Kind::Number => Cell::Number(
            value
                .parse()
                .map_err(|_| format!("column {:?}: {value:?} is no number", column.name))?,
        ),
    })
}

/// Takes a line off `rest` and puts its values in place of those before. Within quotes, two quotes are one, and lines may end.
fn next_line<'a>(rest: &mut &'a str, values: &mut Vec<Cow<'a, str>>) -> Result<(), Error> {
    values.clear();
    loop {
        let ended_by = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (value, after) = take_quoted(quoted)?;
                values.push(value);
                let mut ends = after.chars();
                let end = ends.next();
                *rest = ends.as_str();
                end
            }
            None => {
                let end = rest.find([',', '\n', '\r']).unwrap_or(rest.len());
                values.push(Cow::Borrowed(&rest[..end]));
                let mut ends = rest[end..].chars();
                let end = ends.next();
                *rest = ends.as_str();
                end
            }
        };
        match ended_by {
            Some(',') => {}
            Some('\r') => {
                *rest = rest.strip_prefix('\n').unwrap_or(rest);
                return Ok(());
            }
            Some('\n') | None => return Ok(()),
            Some(other) => return Err(format!("the answer has {other:?} behind a quote").into()),
        }
    }
}

fn take_quoted(text: &str) -> Result<(Cow<'_, str>, &str), Error> {
    let mut from = 0;
    loop {
        let Some(quote) = text[from..].find('"').map(|found| from + found) else {
            return Err("the answer ends within quotes".into());
        };
        if !text[quote + 1..].starts_with('"') {
            let (value, after) = (&text[..quote], &text[quote + 1..]);
            let value = match from {
                0 => Cow::Borrowed(value),
                _ => Cow::Owned(value.replace("\"\"", "\"")),
            };
            return Ok((value, after));
        }
        from = quote + 2;
    }
}
