//! Leaving out rows of a file before all their columns are read: first by `time`, then by a condition on fields.
//!
//! The Parquet reader shows each narrowing its columns of the rows that are still wanted, a row group at a time, and reads the other columns of
//! what is left only, which skips pages, too. Buffered rows are narrowed by fields in the same way. Rows come in the order of the file, so what is known of them beforehand is how many are of
//! each series ([`Runs`]); each narrowing takes such runs and gives shorter ones. Not here: which series are read (`scan/plan`).

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, RecordBatch,
    TimestampNanosecondArray, new_null_array,
};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{FieldRef, SchemaRef, TimestampNanosecondType};
use arrow::error::ArrowError;
use catalog::ColumnId;
use parking_lot::Mutex;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowPredicate;

use super::read::TIME;
use crate::batch::Batch;
use crate::merge::{Rows, Span};
use crate::scan::RowMatches;

/// Buffered rows are asked when at least one in so many is wanted otherwise.
const BATCH_PART: u64 = 8;

/// Rows of a file one after the other: of which series, by rank, and how many.
#[derive(Debug, Default)]
pub struct Runs(VecDeque<(u32, u64)>);

impl Runs {
    pub fn push(&mut self, rank: u32, rows: u64) {
        match self.0.back_mut() {
            _ if rows == 0 => {}
            Some((last, known)) if *last == rank => *known += rows,
            _ => self.0.push_back((rank, rows)),
        }
    }

    /// Takes the next rows, all of one series and at most `most`; `None` when there are none.
    pub fn take(&mut self, most: u64) -> Option<(u32, u64)> {
        let (rank, left) = self.0.front_mut()?;
        let taken = (*rank, most.min(*left));
        *left -= taken.1;
        if *left == 0 {
            self.0.pop_front();
        }
        Some(taken)
    }
}

/// Runs that a narrowing gives and the next reader takes.
pub type SharedRuns = Arc<Mutex<Runs>>;

/// A condition on fields and `time` that need not be asked of every row.
#[derive(Clone)]
pub struct FieldFilter {
    /// The columns that `matches` looks at.
    pub schema: SchemaRef,
    /// The same columns.
    pub ids: Arc<[ColumnId]>,
    pub matches: RowMatches,
}

impl FieldFilter {
    /// What is left of the spans of buffered rows, which stand as they are.
    pub fn spans(&self, batch: &Batch, rows: &Rows, spans: Vec<Span>) -> Vec<Span> {
        let length = |span: &Span| u64::from(span.end - span.start);
        let looked_at: u64 = spans.iter().map(length).sum();
        // All rows of the batch would be asked for a few.
        let is_worthwhile = looked_at * BATCH_PART >= batch.rows() as u64;
        if !is_worthwhile || !matches!(rows, Rows::Sorted) {
            return spans;
        }
        let column = |(field, id): (&FieldRef, &ColumnId)| match batch.column(*id) {
            _ if field.name() == TIME => {
                Arc::new(TimestampNanosecondArray::new(batch.times.clone(), None)) as ArrayRef
            }
            Some(values) => Arc::clone(values),
            None => new_null_array(field.data_type(), batch.rows()),
        };
        let columns = self.schema.fields().iter().zip(self.ids.iter());
        let Some(verdict) = self.verdict(columns.map(column).collect(), batch.rows()) else {
            return spans;
        };
        let mut left = Vec::with_capacity(spans.len());
        for span in spans {
            let of_span = verdict
                .values()
                .slice(span.start as usize, length(&span) as usize);
            left.extend(of_span.set_slices().map(|(from, to)| Span {
                start: span.start + from as u32,
                end: span.start + to as u32,
                ..span
            }));
        }
        left
    }

    /// What it says of each of so many rows, without nulls; `None` when it cannot say.
    fn verdict(&self, columns: Vec<ArrayRef>, rows: usize) -> Option<BooleanArray> {
        let shown = RecordBatch::try_new(SchemaRef::clone(&self.schema), columns).ok()?;
        let verdict = (self.matches)(&shown).ok()?;
        (verdict.len() == rows).then(|| match verdict.null_count() {
            0 => verdict,
            _ => prep_null_mask_filter(&verdict),
        })
    }
}

impl fmt::Debug for FieldFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FieldFilter")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// What decides.
pub enum Condition {
    /// The column `time` alone, in nanoseconds.
    Times(RangeInclusive<i64>),
    Fields {
        filter: FieldFilter,
        /// Where each column of the filter is among those shown; `None` when the file lacks it.
        positions: Vec<Option<usize>>,
    },
}

/// One narrowing.
pub struct Narrowing {
    pub shown: ProjectionMask,
    pub condition: Condition,
    pub wanted: SharedRuns,
    pub left: SharedRuns,
}

impl ArrowPredicate for Narrowing {
    fn projection(&self) -> &ProjectionMask {
        &self.shown
    }

    fn evaluate(&mut self, batch: RecordBatch) -> Result<BooleanArray, ArrowError> {
        let rows = batch.num_rows();
        match &self.condition {
            Condition::Times(range) => {
                let times = times(&batch)?;
                let mut kept = BooleanBufferBuilder::new(rows);
                self.each_series(rows, |of_series| {
                    let times = &times[of_series];
                    let first = times.partition_point(|time| time < range.start());
                    let behind = times.partition_point(|time| time <= range.end());
                    let inside = behind.saturating_sub(first);
                    kept.append_n(first, false);
                    kept.append_n(inside, true);
                    kept.append_n(times.len() - first - inside, false);
                    inside
                })?;
                Ok(BooleanArray::new(kept.finish(), None))
            }
            Condition::Fields { filter, positions } => {
                // Where the condition cannot be asked like this, whoever reads the rows asks it once more, and has the fault.
                let verdict = verdict(filter, positions, &batch)
                    .unwrap_or_else(|| BooleanArray::from(vec![true; rows]));
                self.each_series(rows, |of_series| {
                    let of_series = verdict.values().slice(of_series.start, of_series.len());
                    of_series.count_set_bits()
                })?;
                Ok(verdict)
            }
        }
    }
}

impl Narrowing {
    /// Takes so many rows, a run at a time; `kept` gets where the run is among them and says how many of it are left.
    fn each_series(
        &self,
        rows: usize,
        mut kept: impl FnMut(Range<usize>) -> usize,
    ) -> Result<(), ArrowError> {
        let (mut wanted, mut left) = (self.wanted.lock(), self.left.lock());
        let mut start = 0;
        while start < rows {
            let most = (rows - start) as u64;
            let (rank, taken) = wanted.take(most).ok_or_else(too_many_rows)?;
            let end = start + taken as usize;
            left.push(rank, kept(start..end) as u64);
            start = end;
        }
        Ok(())
    }
}

/// What a filter says of each row, without nulls; `None` when it cannot say.
fn verdict(
    filter: &FieldFilter,
    positions: &[Option<usize>],
    batch: &RecordBatch,
) -> Option<BooleanArray> {
    let columns = positions
        .iter()
        .zip(filter.schema.fields())
        .map(|(position, field)| match position {
            Some(at) => Arc::clone(batch.column(*at)),
            None => new_null_array(field.data_type(), batch.num_rows()),
        });
    filter.verdict(columns.collect(), batch.num_rows())
}

fn times(batch: &RecordBatch) -> Result<&[i64], ArrowError> {
    batch
        .columns()
        .first()
        .and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>())
        .map(|times| &times.values()[..])
        .ok_or_else(|| ArrowError::SchemaError("a time column of another type".to_string()))
}

fn too_many_rows() -> ArrowError {
    ArrowError::InvalidArgumentError("more rows than the series index has".to_string())
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::Error;

    fn runs(of: &[(u32, u64)]) -> SharedRuns {
        let mut runs = Runs::default();
        for (rank, rows) in of {
            runs.push(*rank, *rows);
        }
        Arc::new(Mutex::new(runs))
    }

    fn all(runs: &SharedRuns) -> Vec<(u32, u64)> {
        let mut runs = runs.lock();
        std::iter::from_fn(|| runs.take(u64::MAX)).collect()
    }

    fn narrowing(condition: Condition, wanted: &[(u32, u64)]) -> Narrowing {
        Narrowing {
            shown: ProjectionMask::all(),
            condition,
            wanted: runs(wanted),
            left: SharedRuns::default(),
        }
    }

    fn batch(column: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([("v", column, true)]).expect("one column")
    }

    fn kept(verdict: &BooleanArray) -> Vec<bool> {
        verdict.values().iter().collect()
    }

    #[test]
    fn runs_are_taken_in_parts_and_put_together() {
        let shared = runs(&[(1, 2), (1, 3), (4, 0), (7, 1)]);
        let mut runs = shared.lock();
        assert_eq!(runs.take(4), Some((1, 4)));
        assert_eq!(runs.take(4), Some((1, 1)));
        assert_eq!(runs.take(4), Some((7, 1)));
        assert_eq!(runs.take(4), None);
    }

    #[test]
    fn times_are_cut_series_by_series_and_across_batches() {
        let mut narrowing = narrowing(Condition::Times(3..=5), &[(0, 4), (2, 3), (9, 2)]);
        let times = |of: Vec<i64>| batch(Arc::new(TimestampNanosecondArray::from(of)));
        let first = narrowing
            .evaluate(times(vec![1, 3, 4, 6, 2]))
            .expect("judges");
        assert_eq!(kept(&first), [false, true, true, false, false]);
        let second = narrowing.evaluate(times(vec![5, 6, 8, 9])).expect("judges");
        assert_eq!(kept(&second), [true, false, false, false]);
        assert_eq!(all(&narrowing.left), [(0, 2), (2, 1)]);
        assert!(narrowing.evaluate(times(vec![1])).is_err());
    }

    #[test]
    fn a_condition_on_fields_counts_what_is_left_of_each_series() {
        let schema = Schema::new(vec![
            Field::new("v", DataType::Int64, true),
            Field::new("missing", DataType::Int64, true),
        ]);
        let filter = |matches| FieldFilter {
            schema: Arc::new(schema.clone()),
            ids: [ColumnId(1), ColumnId(2)].into(),
            matches,
        };
        let positions = vec![Some(0), None];
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(1), Some(7)]));
        let above: RowMatches = Arc::new(|rows: &RecordBatch| {
            assert_eq!(rows.column(1).null_count(), 4, "the file lacks it");
            let values = rows.column(0).as_primitive::<arrow::datatypes::Int64Type>();
            Ok(values.iter().map(|value| value.map(|v| v > 4)).collect())
        });
        let condition = Condition::Fields {
            filter: filter(above),
            positions: positions.clone(),
        };
        let mut asked = narrowing(condition, &[(3, 3), (4, 1)]);
        let verdict = asked.evaluate(batch(Arc::clone(&values))).expect("judges");
        assert_eq!(kept(&verdict), [true, false, false, true]);
        assert_eq!(verdict.null_count(), 0);
        assert_eq!(all(&asked.left), [(3, 1), (4, 1)]);

        let faulty: RowMatches = Arc::new(|_: &RecordBatch| Err(Error::invalid("divides by zero")));
        let condition = Condition::Fields {
            filter: filter(faulty),
            positions,
        };
        let mut asked = narrowing(condition, &[(3, 3), (4, 1)]);
        let verdict = asked.evaluate(batch(values)).expect("leaves it to others");
        assert_eq!(kept(&verdict), [true; 4]);
        assert_eq!(all(&asked.left), [(3, 3), (4, 1)]);
    }
}
