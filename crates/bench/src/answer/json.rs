//! Rows as JSON objects, in one array or one on each line. Read as a stream: an answer may be larger than memory would hold as values.

use super::checksum::{Cell, Sum};
use super::{Kind, Shape, parse_time};
use crate::Error;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

pub(super) fn read_array(bytes: &[u8], shape: &Shape, sum: &mut Sum) -> Result<(), Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let rows = Rows { shape, sum };
    deserializer
        .deserialize_seq(rows)
        .and_then(|()| deserializer.end())
        .map_err(|error| format!("the answer is no array of rows: {error}").into())
}

pub(super) fn read_lines(bytes: &[u8], shape: &Shape, sum: &mut Sum) -> Result<(), Error> {
    let lines = bytes.split(|byte| *byte == b'\n').zip(1..);
    for (line, number) in lines.filter(|(line, _)| !line.trim_ascii().is_empty()) {
        let mut deserializer = serde_json::Deserializer::from_slice(line);
        Row { shape, sum }
            .deserialize(&mut deserializer)
            .and_then(|()| deserializer.end())
            .map_err(|error| format!("line {number} of the answer is no row: {error}"))?;
    }
    Ok(())
}

/// A value where it lies in the answer.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Null,
    Integer(i64),
    Number(f64),
    Boolean,
    Text(Cow<'a, str>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

/// Takes strings without copying them where they have no escapes, which `Cow` in a derived type does not.
struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value that is neither array nor object")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Value::Boolean)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or(Value::Number(value as f64), Value::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(value.to_owned())))
    }
}

impl Value<'_> {
    /// The value as the cell of a column of that kind.
    pub(super) fn cell(&self, kind: Kind) -> Result<Cell<'_>, Error> {
        Ok(match (self, kind) {
            (Self::Null, _) => Cell::Null,
            (Self::Integer(time_ns), Kind::Time) => Cell::TimeNs(*time_ns),
            (Self::Text(text), Kind::Time) => Cell::TimeNs(parse_time(text)?),
            (Self::Integer(number), Kind::Number) => Cell::Number(*number as f64),
            (Self::Number(number), Kind::Number) => Cell::Number(*number),
            (Self::Text(text), Kind::Text) => Cell::Text(text),
            _ => return Err(format!("{self:?} is no {}", kind.name()).into()),
        })
    }
}

struct Rows<'a> {
    shape: &'a Shape,
    sum: &'a mut Sum,
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        let Self { shape, sum } = self;
        while rows.next_element_seed(Row { shape, sum })?.is_some() {}
        Ok(())
    }
}

struct Row<'a> {
    shape: &'a Shape,
    sum: &'a mut Sum,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        use serde::de::Error as _;
        let Self { shape, sum } = self;
        let mut values = vec![Value::Null; shape.columns.len()];
        let mut found = false;
        while let Some(name) = fields.next_key::<Value<'de>>()? {
            let position = match &name {
                Value::Text(name) => shape.position(name),
                _ => None,
            };
            match position {
                Some(position) => {
                    values[position] = fields.next_value()?;
                    found = true;
                }
                None => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        if !found {
            return Err(A::Error::custom("it has none of the question's columns"));
        }
        let cells: Result<Vec<_>, _> = values
            .iter()
            .zip(&shape.columns)
            .map(|(value, column)| {
                value
                    .cell(column.kind)
                    .map_err(|error| format!("column {:?}: {error}", column.name).into())
            })
            .collect();
        cells
            .and_then(|cells: Vec<_>| sum.add(cells))
            .map_err(|error: Error| A::Error::custom(error))
    }
}
