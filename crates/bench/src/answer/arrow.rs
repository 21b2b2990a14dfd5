//! Rows as batches of Arrow: numbers of any width, strings plain, large, as views, or in a dictionary.

use super::checksum::{Cell, Sum};
use super::{Column, Kind, Shape};
use crate::Error;
use ::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use ::arrow::compute::cast;
use ::arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampNanosecondType};

pub(super) fn read(batches: &[RecordBatch], shape: &Shape, sum: &mut Sum) -> Result<(), Error> {
    for batch in batches {
        let columns: Vec<Values> = shape
            .columns
            .iter()
            .enumerate()
            .map(|(position, column)| Values::of(column, found(batch, shape, position)?))
            .collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            sum.add(columns.iter().map(|column| column.cell(row)))?;
        }
    }
    Ok(())
}

fn found<'a>(
    batch: &'a RecordBatch,
    shape: &Shape,
    position: usize,
) -> Result<&'a ArrayRef, Error> {
    let schema = batch.schema_ref();
    let mut fields = schema.fields().iter();
    match fields.position(|field| shape.position(field.name()) == Some(position)) {
        Some(place) => Ok(batch.column(place)),
        None => {
            let names: Vec<&str> = schema
                .fields()
                .iter()
                .map(|field| field.name().as_str())
                .collect();
            let name = &shape.columns[position].name;
            Err(format!("the answer has no column {name:?} but {}", names.join(", ")).into())
        }
    }
}

/// A column in the one type that its kind is read in.
enum Values {
    Times(TimestampNanosecondArray),
    Texts(StringArray),
    Numbers(Float64Array),
}

impl Values {
    fn of(column: &Column, array: &ArrayRef) -> Result<Self, Error> {
        let as_type = |data_type: &DataType| {
            cast(array, data_type).map_err(|error| {
                let (name, kind) = (&column.name, column.kind.name());
                format!("column {name:?} of the answer is no {kind}: {error}")
            })
        };
        Ok(match column.kind {
            Kind::Time => {
                let data_type = DataType::Timestamp(TimeUnit::Nanosecond, None);
                let times = as_type(&data_type)?;
                Self::Times(times.as_primitive::<TimestampNanosecondType>().clone())
            }
            Kind::Text => Self::Texts(as_type(&DataType::Utf8)?.as_string::<i32>().clone()),
            Kind::Number => {
                let numbers = as_type(&DataType::Float64)?;
                Self::Numbers(numbers.as_primitive::<Float64Type>().clone())
            }
        })
    }

    fn cell(&self, row: usize) -> Cell<'_> {
        match self {
            Self::Times(times) if times.is_valid(row) => Cell::TimeNs(times.value(row)),
            Self::Texts(texts) if texts.is_valid(row) => Cell::Text(texts.value(row)),
            Self::Numbers(numbers) if numbers.is_valid(row) => Cell::Number(numbers.value(row)),
            _ => Cell::Null,
        }
    }
}
