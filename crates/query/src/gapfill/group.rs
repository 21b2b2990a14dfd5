//! The rows of one series, with those that are missing put between them, a batch at a time.
//!
//! What a series has is held; what it lacks is made as it is asked for, so long gaps take no memory.

use std::iter::Peekable;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch, StructArray,
    TimestampNanosecondArray, UInt32Array,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::{interleave, take};
use datafusion::arrow::datatypes::{
    DataType, Float64Type, Int64Type, SchemaRef, TimeUnit, TimestampNanosecondType, UInt64Type,
};
use datafusion::common::{Result, internal_err};

use super::node::{Fill, FilledColumn, Gaps};
use crate::binning::{Bins, Cutter};

/// A series on its way out.
pub(super) struct Series {
    gaps: Arc<Gaps>,
    schema: SchemaRef,
    /// What there is, by time; rows without a time are last.
    rows: RecordBatch,
    times: TimestampNanosecondArray,
    next_row: usize,
    bins: Peekable<Bins>,
    values: Vec<Values>,
}

/// A part of a series: for each row which of the rows there are it is, if any, and its time.
struct Part {
    rows: Vec<Option<u32>>,
    times: Vec<Option<i64>>,
}

impl Series {
    /// `rows` are all rows of the series by time, in the columns of the input.
    pub(super) fn new(
        rows: RecordBatch,
        gaps: &Arc<Gaps>,
        cutter: &Cutter,
        schema: &SchemaRef,
    ) -> Result<Self> {
        let times = rows.column(gaps.time);
        let Some(times) = times.as_primitive_opt::<TimestampNanosecondType>() else {
            return internal_err!("bins start at {}", times.data_type());
        };
        let times = times.clone();
        let values = gaps
            .values
            .iter()
            .map(|column| Values::new(column, rows.column(column.input), &times))
            .collect::<Result<_>>()?;
        Ok(Self {
            gaps: Arc::clone(gaps),
            schema: Arc::clone(schema),
            rows,
            times,
            next_row: 0,
            bins: cutter.bins(gaps.from_ns, gaps.to_ns).peekable(),
            values,
        })
    }

    /// At most `rows_max` further rows, and how many of them were made; `None` after the last.
    pub(super) fn next_batch(&mut self, rows_max: usize) -> Result<Option<(RecordBatch, usize)>> {
        let part = self.next_part(rows_max)?;
        if part.rows.is_empty() {
            return Ok(None);
        }
        let made = part.rows.iter().filter(|row| row.is_none()).count();
        let mut values = self.values.iter_mut();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for at in 0..self.schema.fields().len() {
            columns.push(if at == self.gaps.time {
                let DataType::Timestamp(TimeUnit::Nanosecond, zone) = self.times.data_type() else {
                    return internal_err!("bins start at {}", self.times.data_type());
                };
                let times = TimestampNanosecondArray::from(part.times.clone());
                Arc::new(times.with_timezone_opt(zone.clone()))
            } else if self.gaps.series.contains(&at) {
                let first = UInt32Array::from(vec![0; part.rows.len()]);
                take(self.rows.column(at), &first, None)?
            } else {
                match values.next() {
                    Some(values) => values.fill(&part)?,
                    None => return internal_err!("column {at} is filled with nothing"),
                }
            });
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        Ok(Some((batch, made)))
    }

    fn next_part(&mut self, rows_max: usize) -> Result<Part> {
        let mut part = Part {
            rows: Vec::new(),
            times: Vec::new(),
        };
        while part.rows.len() < rows_max {
            let row = self.next_row;
            let has_row = row < self.times.len();
            let row_ns = (has_row && self.times.is_valid(row)).then(|| self.times.value(row));
            let bin_ns = self.bins.peek().copied();
            let is_made = match (bin_ns, row_ns) {
                (Some(bin), Some(row)) => bin < row,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if is_made {
                part.rows.push(None);
                part.times.push(bin_ns);
                self.bins.next();
            } else if has_row {
                let Ok(place) = u32::try_from(row) else {
                    return internal_err!("a series has {} rows", self.times.len());
                };
                part.rows.push(Some(place));
                part.times.push(row_ns);
                self.next_row += 1;
                if row_ns.is_some() && row_ns == bin_ns {
                    self.bins.next();
                }
            } else {
                break;
            }
        }
        Ok(part)
    }
}

/// The values of one column, and what is known of its gaps.
enum Values {
    Constant {
        known: ArrayRef,
        missing: ArrayRef,
    },
    Previous {
        known: ArrayRef,
        /// The last row so far that has a value.
        last: Option<u32>,
    },
    Linear(Line),
}

impl Values {
    fn new(
        column: &FilledColumn,
        known: &ArrayRef,
        times: &TimestampNanosecondArray,
    ) -> Result<Self> {
        let known = Arc::clone(known);
        Ok(match &column.fill {
            Fill::Value(value) => Self::Constant {
                missing: value.cast_to(known.data_type())?.to_array()?,
                known,
            },
            Fill::Previous => Self::Previous { known, last: None },
            Fill::Linear => Self::Linear(Line::new(known, times)?),
        })
    }

    fn fill(&mut self, part: &Part) -> Result<ArrayRef> {
        match self {
            Self::Constant { known, missing } if missing.is_null(0) => taken(known, &part.rows),
            Self::Constant { known, missing } => {
                let places: Vec<(usize, usize)> = part
                    .rows
                    .iter()
                    .map(|row| row.map_or((1, 0), |row| (0, row as usize)))
                    .collect();
                Ok(interleave(&[known.as_ref(), missing.as_ref()], &places)?)
            }
            Self::Previous { known, last } => {
                let mut rows = Vec::with_capacity(part.rows.len());
                for row in &part.rows {
                    if row.is_some_and(|row| known.is_valid(row as usize)) {
                        *last = *row;
                    }
                    rows.push(*last);
                }
                taken(known, &rows)
            }
            Self::Linear(line) => line.fill(part),
        }
    }
}

fn taken(known: &ArrayRef, rows: &[Option<u32>]) -> Result<ArrayRef> {
    Ok(take(known, &UInt32Array::from(rows.to_vec()), None)?)
}

/// Straight lines between the values that are known.
struct Line {
    /// Numbers, or what selectors give.
    known: ArrayRef,
    /// The numbers of it, null where there are none.
    numbers: ArrayRef,
    /// The times and rows of the numbers that are not null.
    points: Vec<(i64, usize)>,
    /// How many points are not after the time reached.
    passed: usize,
}

impl Line {
    fn new(known: ArrayRef, times: &TimestampNanosecondArray) -> Result<Self> {
        let numbers = match known.as_struct_opt() {
            Some(members) => match members.column_by_name("value") {
                Some(value) => masked(value, members.nulls())?,
                None => return internal_err!("nothing to interpolate in {}", known.data_type()),
            },
            None => Arc::clone(&known),
        };
        let points = (0..numbers.len())
            .filter(|row| numbers.is_valid(*row) && times.is_valid(*row))
            .map(|row| (times.value(row), row))
            .collect();
        Ok(Self {
            known,
            numbers,
            points,
            passed: 0,
        })
    }

    fn fill(&mut self, part: &Part) -> Result<ArrayRef> {
        let numbers = match self.numbers.data_type() {
            DataType::Int64 => self.numbers_of::<Int64Type>(part, |a, b, x| {
                i64::try_from(whole(i128::from(a), i128::from(b), x)?).ok()
            }),
            DataType::UInt64 => self.numbers_of::<UInt64Type>(part, |a, b, x| {
                u64::try_from(whole(i128::from(a), i128::from(b), x)?).ok()
            }),
            DataType::Float64 => {
                self.numbers_of::<Float64Type>(part, |a, b, x| Some(between(a, b, x)))
            }
            other => return internal_err!("{other} cannot be interpolated"),
        };
        let Some(members) = self.known.as_struct_opt() else {
            return Ok(numbers);
        };
        // The other members are of a row, and there is none.
        let rows: Vec<Option<u32>> = part
            .rows
            .iter()
            .map(|row| row.filter(|row| members.is_valid(*row as usize)))
            .collect();
        let validity: NullBuffer = rows
            .iter()
            .enumerate()
            .map(|(at, row)| row.is_some() || numbers.is_valid(at))
            .collect();
        let columns = members
            .fields()
            .iter()
            .zip(members.columns())
            .map(|(field, column)| match field.name().as_str() {
                "value" => Ok(Arc::clone(&numbers)),
                _ => taken(column, &rows),
            })
            .collect::<Result<Vec<_>>>()?;
        let filled = StructArray::try_new(members.fields().clone(), columns, Some(validity))?;
        Ok(Arc::new(filled))
    }

    fn numbers_of<T: ArrowPrimitiveType>(
        &mut self,
        part: &Part,
        on_line: impl Fn(T::Native, T::Native, Place) -> Option<T::Native>,
    ) -> ArrayRef {
        let numbers = self.numbers.as_primitive::<T>();
        let mut filled = Vec::with_capacity(part.rows.len());
        for (row, time) in part.rows.iter().zip(&part.times) {
            let known = row
                .map(|row| row as usize)
                .filter(|row| numbers.is_valid(*row));
            if let Some(row) = known {
                filled.push(Some(numbers.value(row)));
                continue;
            }
            let Some(time) = *time else {
                filled.push(None);
                continue;
            };
            while self
                .points
                .get(self.passed)
                .is_some_and(|(at, _)| *at <= time)
            {
                self.passed += 1;
            }
            let before = self
                .passed
                .checked_sub(1)
                .and_then(|at| self.points.get(at));
            let after = self.points.get(self.passed);
            filled.push(before.zip(after).and_then(|(before, after)| {
                let place = Place {
                    done: i128::from(time) - i128::from(before.0),
                    all: i128::from(after.0) - i128::from(before.0),
                };
                on_line(numbers.value(before.1), numbers.value(after.1), place)
            }));
        }
        let filled: PrimitiveArray<T> = filled.into_iter().collect();
        Arc::new(filled)
    }
}

/// How far between two points, in nanoseconds.
#[derive(Clone, Copy)]
struct Place {
    done: i128,
    all: i128,
}

/// Between two integers, exactly, towards zero.
fn whole(from: i128, to: i128, place: Place) -> Option<i128> {
    let from = from.checked_mul(place.all - place.done)?;
    let to = to.checked_mul(place.done)?;
    from.checked_add(to)?.checked_div(place.all)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a place within a gap, not a time"
)]
fn between(from: f64, to: f64, place: Place) -> f64 {
    let ratio = place.done as f64 / place.all as f64;
    from + (to - from) * ratio
}

/// The same values, null also where `nulls` says so.
fn masked(values: &ArrayRef, nulls: Option<&NullBuffer>) -> Result<ArrayRef> {
    let nulls = NullBuffer::union(values.nulls(), nulls);
    let masked = values.to_data().into_builder().nulls(nulls).build()?;
    Ok(datafusion::arrow::array::make_array(masked))
}
