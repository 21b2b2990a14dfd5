//! One column ready to be written: which writer its values get, chosen when a batch comes.

use arrow::array::{Array, ArrayRef, AsArray, LargeStringArray, StringArray, StringViewArray};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampNanosecondType, UInt64Type,
};
use arrow::error::ArrowError;

use super::labels::Labels;
use super::number;
use super::style::Style;
use super::text::{PADDING, Text};
use super::timestamp::Timestamps;

/// A column of the batch that is being written.
pub(super) struct Column {
    /// What every cell begins with, and padding.
    key: Vec<u8>,
    /// `None` also where no value is null, and where the writer looks itself.
    nulls: Option<NullBuffer>,
    values: Values,
}

enum Values {
    /// Of the type null.
    None,
    Booleans(BooleanBuffer),
    Integers(ScalarBuffer<i64>),
    ShortIntegers(ScalarBuffer<i32>),
    Unsigned(ScalarBuffer<u64>),
    Floats(ScalarBuffer<f64>),
    Timestamps(ScalarBuffer<i64>, Timestamps),
    Strings(StringArray),
    LargeStrings(LargeStringArray),
    StringViews(StringViewArray),
    Labels(Box<Labels>),
    /// Written by arrow; which of the layout's rare columns it is.
    Rare(usize),
}

impl Column {
    /// An empty column.
    pub(super) fn new<S: Style>(name: &str, column: usize) -> Self {
        let mut key = S::key(name, column);
        key.extend_from_slice(&PADDING);
        Self {
            key,
            nulls: None,
            values: Values::None,
        }
    }

    /// Takes the values of the next batch; those of a type that arrow has to write are added to `rare`.
    pub(super) fn load<S: Style>(&mut self, array: &ArrayRef, rare: &mut Vec<usize>, at: usize) {
        self.nulls = array
            .nulls()
            .filter(|nulls| nulls.null_count() > 0)
            .cloned();
        let before = std::mem::replace(&mut self.values, Values::None);
        self.values = match array.data_type() {
            DataType::Null => Values::None,
            DataType::Boolean => Values::Booleans(array.as_boolean().values().clone()),
            DataType::Int64 => Values::Integers(array.as_primitive::<Int64Type>().values().clone()),
            DataType::Int32 => {
                Values::ShortIntegers(array.as_primitive::<Int32Type>().values().clone())
            }
            DataType::UInt64 => {
                Values::Unsigned(array.as_primitive::<UInt64Type>().values().clone())
            }
            DataType::Float64 => {
                Values::Floats(array.as_primitive::<Float64Type>().values().clone())
            }
            DataType::Timestamp(TimeUnit::Nanosecond, None) => {
                let values = array.as_primitive::<TimestampNanosecondType>().values();
                let writer = match before {
                    Values::Timestamps(_, writer) => writer,
                    _ => Timestamps::new(S::QUOTES_TIMESTAMPS),
                };
                Values::Timestamps(values.clone(), writer)
            }
            DataType::Utf8 => Values::Strings(array.as_string().clone()),
            DataType::LargeUtf8 => Values::LargeStrings(array.as_string().clone()),
            DataType::Utf8View => Values::StringViews(array.as_string_view().clone()),
            _ => {
                let before = match before {
                    Values::Labels(labels) => Some(*labels),
                    _ => None,
                };
                self.nulls = None;
                match Labels::load(array, before) {
                    Some(labels) => Values::Labels(Box::new(labels)),
                    None => {
                        rare.push(at);
                        Values::Rare(rare.len() - 1)
                    }
                }
            }
        };
    }

    /// The column as one of labels, if it is that.
    pub(super) fn labels(&self) -> Option<&Labels> {
        match &self.values {
            Values::Labels(labels) => Some(labels),
            _ => None,
        }
    }

    /// Writes the cell of one row.
    #[inline]
    pub(super) fn push<S: Style>(
        &mut self,
        row: usize,
        rare: &mut [S::Rare<'_>],
        text: &mut Text,
    ) -> Result<(), ArrowError> {
        let Self { key, nulls, values } = self;
        let key_length = key.len() - PADDING.len();
        let push_key = |text: &mut Text| text.push_padded(key, 0..key_length);
        if let Some(nulls) = nulls
            && nulls.is_null(row)
        {
            if S::SHOWS_NULLS {
                push_key(text);
            }
            return Ok(());
        }
        match values {
            Values::Labels(labels) => labels.push::<S>(row, &key[..key_length], text),
            Values::Integers(values) => {
                push_key(text);
                number::push_signed(values[row], text);
            }
            Values::Floats(values) => {
                push_key(text);
                S::push_float(values[row], text);
            }
            Values::Timestamps(values, writer) => {
                push_key(text);
                writer.push(values[row], text);
            }
            Values::Strings(values) => {
                push_key(text);
                S::push_string(values.value(row), text);
            }
            Values::Unsigned(values) => {
                push_key(text);
                number::push_unsigned(values[row], text);
            }
            Values::ShortIntegers(values) => {
                push_key(text);
                number::push_signed(i64::from(values[row]), text);
            }
            Values::Booleans(values) => {
                push_key(text);
                text.push(match values.value(row) {
                    true => &b"true"[..],
                    false => &b"false"[..],
                });
            }
            Values::LargeStrings(values) => {
                push_key(text);
                S::push_string(values.value(row), text);
            }
            Values::StringViews(values) => {
                push_key(text);
                S::push_string(values.value(row), text);
            }
            Values::None if S::SHOWS_NULLS => push_key(text),
            Values::None => {}
            Values::Rare(which) => {
                let rare = &mut rare[*which];
                if !S::leaves_out(rare, row) {
                    push_key(text);
                    S::push_rare(rare, row, text)?;
                }
            }
        }
        Ok(())
    }
}
