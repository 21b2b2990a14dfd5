//! Where the runs of a batch begin.
//!
//! Keys of tags are compared as integers, 64 rows at a glance. A monotone function of time is asked about few rows: where two
//! rows of a sorted stretch agree, so do all between them. Everything else is evaluated and compared row by row.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, TimestampNanosecondArray, UInt32Array,
};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::kernels::cmp::distinct;
use datafusion::arrow::datatypes::{Int32Type, TimestampNanosecondType};
use datafusion::common::{Result, internal_datafusion_err};

use super::grouping::{Grouping, Step};

/// Rows that one word of marks stands for.
const WORD_ROWS: usize = u64::BITS as usize;

/// Rows between the first questions to a function of time.
const STRIDE_ROWS: usize = 64;

/// Parts into which a stretch is cut that holds a change.
const PARTS: usize = 8;

/// Rows per run from which asking a function of time about few rows is cheaper than asking about all.
const LONG_RUN_ROWS: usize = 48;

/// Finds the runs of one batch after another; keeps its memory.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// One bit per row: whether a run begins there.
    marks: Vec<u64>,
    /// The first row of each run.
    starts: Vec<u32>,
    rows: usize,
    /// Of the batch before; nothing is known before the first.
    rows_per_run: Option<usize>,
}

impl Runs {
    /// Looks at a batch, which has rows.
    pub(super) fn find(&mut self, grouping: &Grouping, batch: &RecordBatch) -> Result<()> {
        self.rows = batch.num_rows();
        self.marks.clear();
        self.marks.resize(self.rows.div_ceil(WORD_ROWS), 0);
        self.mark(0);
        for column in &grouping.marks {
            self.mark_column(batch.column(*column))?;
        }
        for step in &grouping.steps {
            self.mark_step(step, batch)?;
        }
        if !grouping.others.is_empty() {
            let columns = grouping.columns_of(batch)?;
            for expression in &grouping.others {
                let values = expression.evaluate(&columns)?.into_array(self.rows)?;
                self.mark_changes(&changes(&values)?);
            }
        }
        self.starts.clear();
        let (marks, starts) = (&self.marks, &mut self.starts);
        for_each(marks, |row| starts.push(row as u32));
        self.rows_per_run = Some(self.rows / self.starts.len().max(1));
        Ok(())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The first row of each run.
    pub(super) fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// The first row of each run, to take them.
    pub(super) fn first_rows(&self) -> UInt32Array {
        UInt32Array::from(self.starts.clone())
    }

    /// All rows that were looked at.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    fn mark(&mut self, row: usize) {
        self.marks[row / WORD_ROWS] |= 1 << (row % WORD_ROWS);
    }

    /// `changes[i]` tells whether row `i + 1` differs from row `i`.
    fn mark_changes(&mut self, changes: &BooleanBuffer) {
        for row in changes.set_indices() {
            self.mark(row + 1);
        }
    }

    fn mark_column(&mut self, column: &ArrayRef) -> Result<()> {
        if let Some(tag) = column.as_dictionary_opt::<Int32Type>()
            && tag.keys().null_count() == 0
        {
            self.mark_keys(tag.keys().values());
            return Ok(());
        }
        // Two keys for one value make two runs of one group, which are put together in the end.
        let changes = match column.as_any_dictionary_opt() {
            Some(dictionary) => changes(dictionary.keys())?,
            None => changes(column)?,
        };
        self.mark_changes(&changes);
        Ok(())
    }

    fn mark_keys(&mut self, keys: &[i32]) {
        let Some(mut previous) = keys.first().copied() else {
            return;
        };
        for (word, chunk) in keys.chunks(WORD_ROWS).enumerate() {
            let difference = chunk.iter().fold(0, |all, key| all | (key ^ previous));
            if difference == 0 {
                continue;
            }
            for (place, key) in chunk.iter().enumerate() {
                if *key != previous {
                    self.marks[word] |= 1 << place;
                    previous = *key;
                }
            }
        }
    }

    /// Marks the changes of a function of time.
    fn mark_step(&mut self, step: &Step, batch: &RecordBatch) -> Result<()> {
        let column = batch.column(step.time);
        let times = column
            .as_primitive_opt::<TimestampNanosecondType>()
            .filter(|times| times.null_count() == 0);
        let is_long = self.rows_per_run.is_none_or(|rows| rows >= LONG_RUN_ROWS);
        if let Some(times) = times
            && is_long
            && self.mark_step_in_few_rows(step, times.values())?
        {
            return Ok(());
        }
        let values = step.evaluate(Arc::clone(column))?;
        self.mark_changes(&changes(&values)?);
        Ok(())
    }

    /// Asks about the ends of every sorted stretch and a few rows between; then about rows between two that differ. Gives up, and
    /// says so, when there is a null: times too far out have no value on either side, so two nulls say nothing of those between.
    fn mark_step_in_few_rows(&mut self, step: &Step, times: &[i64]) -> Result<bool> {
        let mut points = self.first_points(times);
        let values = step.evaluate(taken(times, &points))?;
        if values.null_count() > 0 {
            return Ok(false);
        }
        let differ = changes(&values)?;
        let mut open = Vec::new();
        for end in differ.set_indices() {
            self.narrow(points[end], points[end + 1], &mut open);
        }
        while !open.is_empty() {
            points.clear();
            for (first, last) in &open {
                let stride = ((last - first) as usize).div_ceil(PARTS);
                points.extend((*first..*last).step_by(stride));
                points.push(*last);
            }
            let values = step.evaluate(taken(times, &points))?;
            let differ = changes(&values)?;
            let mut next = Vec::new();
            let mut place = 0;
            for (_, last) in &open {
                while points[place] != *last {
                    if differ.value(place) {
                        self.narrow(points[place], points[place + 1], &mut next);
                    }
                    place += 1;
                }
                place += 1;
            }
            open = next;
        }
        Ok(true)
    }

    /// Two rows of which the later one belongs to another run than the earlier one.
    fn narrow(&mut self, earlier: u32, later: u32, open: &mut Vec<(u32, u32)>) {
        if later == earlier + 1 {
            self.mark(later as usize);
        } else {
            open.push((earlier, later));
        }
    }

    /// First and last row of every stretch in which nothing is marked yet and times do not fall, and every 64th row between.
    fn first_points(&self, times: &[i64]) -> Vec<u32> {
        let mut ends = self.marks.clone();
        for (place, pair) in times.windows(2).enumerate() {
            if pair[1] < pair[0] {
                ends[(place + 1) / WORD_ROWS] |= 1 << ((place + 1) % WORD_ROWS);
            }
        }
        let mut points = Vec::with_capacity(2 * times.len().div_ceil(STRIDE_ROWS));
        let mut first = 0;
        let mut stretch = |first: usize, end: usize| {
            let last = end - 1;
            points.extend((first..last).step_by(STRIDE_ROWS).map(|row| row as u32));
            points.push(last as u32);
        };
        for_each(&ends, |row| {
            if row > first {
                stretch(first, row);
                first = row;
            }
        });
        stretch(first, times.len());
        points
    }
}

impl Step {
    /// Its values at `times`, which are nanoseconds.
    fn evaluate(&self, times: ArrayRef) -> Result<ArrayRef> {
        let rows = times.len();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), vec![times])?;
        self.expression.evaluate(&batch)?.into_array(rows)
    }
}

fn taken(times: &[i64], rows: &[u32]) -> ArrayRef {
    let taken = rows.iter().map(|row| times[*row as usize]);
    Arc::new(TimestampNanosecondArray::from_iter_values(taken))
}

/// Whether each value but the first differs from the one before; null is a value.
fn changes(values: &dyn Array) -> Result<BooleanBuffer> {
    let Some(pairs) = values.len().checked_sub(1) else {
        return Err(internal_datafusion_err!("an empty batch has no runs"));
    };
    let (earlier, later) = (values.slice(0, pairs), values.slice(1, pairs));
    Ok(distinct(&earlier, &later)?.values().clone())
}

/// Calls back with every set bit's number, in order.
fn for_each(bits: &[u64], mut found: impl FnMut(usize)) {
    for (place, word) in bits.iter().enumerate() {
        let mut left = *word;
        while left != 0 {
            found(place * WORD_ROWS + left.trailing_zeros() as usize);
            left &= left - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{DictionaryArray, Int32Array, StringArray};
    use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
    use datafusion::common::DFSchema;
    use datafusion::prelude::SessionContext;

    use super::super::rule::Origin;
    use super::*;

    /// Compares with looking at every row.
    fn check(group: &[&str], batch: &RecordBatch) {
        let schema = DFSchema::try_from(batch.schema()).expect("names differ");
        let context = SessionContext::new();
        let expressions: Vec<_> = group
            .iter()
            .map(|text| {
                let expression = context.parse_sql_expr(text, &schema).expect("it parses");
                context
                    .create_physical_expr(expression, &schema)
                    .expect("it can be planned")
            })
            .collect();
        let origins = [Origin::Tag, Origin::Time];
        let grouping = Grouping::new(&expressions, &origins, &batch.schema())
            .expect("the types are known")
            .expect("it can be grouped");
        let mut runs = Runs::default();
        for long in [None, Some(1), Some(1_000)] {
            runs.rows_per_run = long;
            runs.find(&grouping, batch).expect("it can be evaluated");
            let starts = naive(&expressions, batch);
            assert_eq!(runs.starts(), starts, "{group:?} {long:?}");
            assert_eq!(runs.len(), starts.len());
        }
    }

    fn naive(
        expressions: &[Arc<dyn datafusion::physical_plan::PhysicalExpr>],
        batch: &RecordBatch,
    ) -> Vec<u32> {
        let rows = batch.num_rows();
        let columns: Vec<ArrayRef> = expressions
            .iter()
            .map(|one| {
                one.evaluate(batch)
                    .and_then(|values| values.into_array(rows))
                    .expect("it works")
            })
            .collect();
        let differs = |row: usize| {
            columns.iter().any(|column| {
                let pair = (column.slice(row - 1, 1), column.slice(row, 1));
                distinct(&pair.0, &pair.1).expect("they compare").value(0)
            })
        };
        (0..rows)
            .filter(|row| *row == 0 || differs(*row))
            .map(|row| row as u32)
            .collect()
    }

    fn batch(keys: Int32Array, times: Vec<i64>) -> RecordBatch {
        let names = Arc::new(StringArray::from(vec!["a", "b", "c", "d"]));
        let tag = DictionaryArray::try_new(keys, names).expect("four names");
        let tag: ArrayRef = Arc::new(tag);
        let time: ArrayRef = Arc::new(TimestampNanosecondArray::from(times));
        let schema = Schema::new(vec![
            Field::new("host", tag.data_type().clone(), true),
            Field::new(
                "time",
                DataType::Timestamp(TimeUnit::Nanosecond, None),
                false,
            ),
        ]);
        RecordBatch::try_new(Arc::new(schema), vec![tag, time]).expect("two columns")
    }

    #[test]
    fn runs_begin_where_any_group_expression_changes() {
        let second = 1_000_000_000;
        let mut dice = 1_u64;
        let mut roll = |below: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (dice >> 33) % below
        };
        for rows in [1, 2, 63, 64, 65, 129, 700] {
            for change in [3, 50, 400] {
                let (mut key, mut time) = (0, 0_i64);
                let (mut keys, mut times) = (Vec::new(), Vec::new());
                for _ in 0..rows {
                    match roll(change) {
                        0 => key = roll(5) as i32,
                        1 => time -= 500 * second,
                        2 => time += 7_200 * second,
                        _ => time += roll(3) as i64 * 10 * second,
                    }
                    keys.push((key < 4).then_some(key));
                    times.push(time);
                }
                let without_null = keys.iter().map(|key| key.unwrap_or(3)).collect();
                for keys in [
                    Int32Array::from(keys),
                    Int32Array::from_iter_values::<Vec<i32>>(without_null),
                ] {
                    let batch = batch(keys, times.clone());
                    check(&["host"], &batch);
                    check(&["date_bin(INTERVAL '1 minute', time)"], &batch);
                    check(&["date_bin(INTERVAL '1 hour', time)", "host"], &batch);
                    check(
                        &[
                            "date_trunc('day', time)",
                            "date_bin(INTERVAL '5 minutes', time)",
                        ],
                        &batch,
                    );
                    check(&["date_part('minute', time)", "host"], &batch);
                }
            }
        }
    }
}
