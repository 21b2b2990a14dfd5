//! Leaving out rows of a file before all their columns are read: first by `time`, then by a condition on fields.
//!
//! Each narrowing reads its own columns of the rows that are still wanted, a row group at a time; the other columns are read of
//! what is left only, which passes over pages, too. Buffered rows are narrowed by fields in the same way. Not here: which
//! series are read (`scan/plan`), reading itself ([`super::pages`]).

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, RecordBatch, TimestampNanosecondArray, new_null_array,
};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{FieldRef, SchemaRef};
use catalog::ColumnId;

use super::pages::RowGroup;
use super::read::TIME;
use crate::Error;
use crate::batch::Batch;
use crate::merge::{Rows, Span};
use crate::scan::RowMatches;

/// Buffered rows are asked when at least one in so many is wanted otherwise.
const BATCH_PART: u64 = 8;

/// Rows of a file that a condition on fields is asked about at once.
const ASKED_ROWS: usize = 1 << 13;

/// What a condition on fields may keep of the values it looked at, for a row group that also gives them out.
const KEPT_BYTES_MAX: usize = 32 << 20;

/// Rows of a row group one after the other, all of one series, by rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub rank: u32,
    /// In the row group.
    pub rows: Range<usize>,
}

/// Runs in the order of their rows, of which the first are taken.
#[derive(Debug, Default)]
pub struct Runs {
    runs: Vec<Run>,
    /// Runs before this one were taken, and of it the rows before its start.
    next: usize,
}

/// Rows that were taken.
#[derive(Debug, Default)]
pub struct Taken {
    /// Where they are in the row group: ascending, without two that touch.
    pub rows: Vec<Range<usize>>,
    /// Of which series they are: rank, and rows.
    pub series: Vec<(u32, usize)>,
}

impl Runs {
    /// Appends rows behind all others; none is fine.
    pub fn push(&mut self, rank: u32, rows: Range<usize>) {
        match self.runs.last_mut() {
            _ if rows.is_empty() => {}
            Some(last) if last.rank == rank && last.rows.end == rows.start => {
                last.rows.end = rows.end;
            }
            _ => self.runs.push(Run { rank, rows }),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.next == self.runs.len()
    }

    /// What is not taken.
    pub fn rest(&self) -> &[Run] {
        &self.runs[self.next..]
    }

    /// Takes the first rows, at most `most`; fewer only at the end.
    pub fn take(&mut self, most: usize) -> Taken {
        let mut taken = Taken::default();
        let mut left = most;
        while left > 0
            && let Some(run) = self.runs.get_mut(self.next)
        {
            let rows = run.rows.start..run.rows.end.min(run.rows.start + left);
            left -= rows.len();
            run.rows.start = rows.end;
            if run.rows.is_empty() {
                self.next += 1;
            }
            match taken.series.last_mut() {
                Some((rank, of_rank)) if *rank == run.rank => *of_rank += rows.len(),
                _ => taken.series.push((run.rank, rows.len())),
            }
            match taken.rows.last_mut() {
                Some(last) if last.end == rows.start => last.end = rows.end,
                _ => taken.rows.push(rows),
            }
        }
        taken
    }
}

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

/// What is left of rows that were fetched when only those in a range of times are wanted, nanoseconds. `time` is the column's place.
///
/// Errors: `Corrupt`.
pub fn by_times(
    group: &mut RowGroup,
    time: usize,
    wanted: &Runs,
    range: &RangeInclusive<i64>,
) -> Result<Runs, Error> {
    let mut left = Runs::default();
    for run in wanted.rest() {
        group.each_times(time, run.rows.clone(), |first_row, times| {
            let first = times.partition_point(|time| time < range.start());
            let behind = times.partition_point(|time| time <= range.end());
            left.push(run.rank, first_row + first..first_row + behind.max(first));
        })?;
    }
    Ok(left)
}

/// What is left of rows that were fetched when those that a filter refuses are left out. `roots` are the places of its columns;
/// `None` where the file lacks one.
///
/// Errors: `Corrupt`.
pub fn by_fields(
    group: &mut RowGroup,
    filter: &FieldFilter,
    roots: &[Option<usize>],
    mut wanted: Runs,
) -> Result<Runs, Error> {
    let mut left = Runs::default();
    while !wanted.is_empty() {
        let asked = wanted.take(ASKED_ROWS);
        let rows = asked.rows.iter().map(Range::len).sum();
        let columns = roots.iter().zip(filter.schema.fields());
        let columns = columns.map(|(root, field)| match root {
            Some(root) => group.values(*root, &asked.rows),
            None => Ok(new_null_array(field.data_type(), rows)),
        });
        // Where the condition cannot be asked like this, whoever reads the rows asks it once more, and has the fault.
        let verdict = filter.verdict(columns.collect::<Result<_, Error>>()?, rows);
        asked.keep(verdict.as_ref(), &mut left);
        group.shrink(KEPT_BYTES_MAX);
    }
    Ok(left)
}

impl Taken {
    /// Appends those of the rows that the verdict has, which is without nulls; all, when there is none.
    fn keep(&self, verdict: Option<&BooleanArray>, left: &mut Runs) {
        // Number of the row among those taken.
        let mut number = 0;
        let mut series = self.series.iter().copied();
        let (mut rank, mut of_rank) = series.next().unwrap_or_default();
        for rows in &self.rows {
            let mut start = rows.start;
            while start < rows.end {
                while of_rank == 0 {
                    let Some(next) = series.next() else { return };
                    (rank, of_rank) = next;
                }
                let length = of_rank.min(rows.end - start);
                match verdict {
                    None => left.push(rank, start..start + length),
                    Some(verdict) => {
                        let of_run = verdict.values().slice(number, length);
                        for (from, to) in of_run.set_slices() {
                            left.push(rank, start + from..start + to);
                        }
                    }
                }
                number += length;
                start += length;
                of_rank -= length;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(of: &[(u32, Range<usize>)]) -> Runs {
        let mut runs = Runs::default();
        for (rank, rows) in of {
            runs.push(*rank, rows.clone());
        }
        runs
    }

    fn rest(runs: &Runs) -> Vec<(u32, Range<usize>)> {
        let runs = runs.rest().iter();
        runs.map(|run| (run.rank, run.rows.clone())).collect()
    }

    #[test]
    fn runs_are_taken_in_parts_and_put_together() {
        let mut runs = runs(&[(1, 0..2), (1, 2..5), (4, 5..5), (7, 5..6), (9, 8..20)]);
        assert_eq!(rest(&runs), [(1, 0..5), (7, 5..6), (9, 8..20)]);
        let taken = runs.take(4);
        assert_eq!(taken.rows.first(), Some(&(0..4)));
        assert_eq!(taken.series, [(1, 4)]);
        let taken = runs.take(4);
        assert_eq!(
            taken.rows,
            [4..6, 8..10],
            "rows of two series that touch are one range"
        );
        assert_eq!(taken.series, [(1, 1), (7, 1), (9, 2)]);
        assert_eq!(runs.take(100).rows.first(), Some(&(10..20)));
        assert!(runs.is_empty() && runs.take(1).rows.is_empty());
    }

    #[test]
    fn what_a_verdict_has_is_kept_series_by_series() {
        let all = [(3, 10..12), (4, 12..13), (4, 20..22), (5, 22..23)];
        let taken = runs(&all).take(100);
        let mut left = Runs::default();
        taken.keep(None, &mut left);
        assert_eq!(rest(&left), all);
        let verdict = BooleanArray::from(vec![false, true, true, false, true, true]);
        let mut left = Runs::default();
        taken.keep(Some(&verdict), &mut left);
        assert_eq!(
            rest(&left),
            [(3, 11..12), (4, 12..13), (4, 21..22), (5, 22..23)]
        );
    }

    #[test]
    fn a_condition_that_fails_has_no_verdict_and_null_is_no() {
        use arrow::array::Int64Array;
        use arrow::datatypes::{DataType, Field, Int64Type, Schema};

        let schema = Schema::new(vec![Field::new("v", DataType::Int64, true)]);
        let filter = |matches| FieldFilter {
            schema: Arc::new(schema.clone()),
            ids: [ColumnId(1)].into(),
            matches,
        };
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(1)]));
        let above: RowMatches = Arc::new(|rows: &RecordBatch| {
            use arrow::array::AsArray;
            let values = rows.column(0).as_primitive::<Int64Type>();
            Ok(values.iter().map(|value| value.map(|v| v > 4)).collect())
        });
        let verdict = filter(above).verdict(vec![Arc::clone(&values)], 3);
        assert_eq!(verdict, Some(BooleanArray::from(vec![true, false, false])));
        let faulty: RowMatches = Arc::new(|_: &RecordBatch| Err(Error::invalid("divides by zero")));
        assert_eq!(filter(faulty).verdict(vec![values], 3), None);
    }
}
