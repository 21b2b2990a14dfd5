//! What each group adds up to: one aggregate function's state for every group.
//!
//! Counts, sums, averages and extremes of 64-bit numbers are reduced run by run, four runs side by side, because a sum waits for
//! itself; each run is still added up from its first row to its last. All other functions bring DataFusion's own accumulator, which
//! is told the group of every row. The states are those that DataFusion's final stage of the same function reads.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BooleanArray, Float64Array,
    Int64Array, PrimitiveArray, RecordBatch, UInt64Array,
};
use datafusion::arrow::buffer::{BooleanBuffer, NullBuffer};
use datafusion::arrow::datatypes::{
    DataType, Float64Type, Int64Type, Schema, TimeUnit, TimestampNanosecondType, UInt64Type,
};
use datafusion::common::Result;
use datafusion::functions_aggregate::average::Avg;
use datafusion::functions_aggregate::count::Count;
use datafusion::functions_aggregate::min_max::{Max, Min};
use datafusion::functions_aggregate::sum::Sum;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_plan::PhysicalExpr;

/// Runs that are reduced side by side.
const LANES: usize = 4;

/// A batch's runs and the groups they belong to.
#[derive(Clone, Copy)]
pub(super) struct RunGroups<'a> {
    /// The first row of each run.
    pub(super) starts: &'a [u32],
    /// The group of each run.
    pub(super) numbers: &'a [usize],
    /// Rows of the batch.
    pub(super) rows: usize,
    /// Groups there are by now.
    pub(super) groups: usize,
}

/// One aggregate function over all groups.
pub(super) struct Aggregate {
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    /// Rows for which it is not true do not count.
    filter: Option<Arc<dyn PhysicalExpr>>,
    state: State,
}

enum State {
    /// `COUNT` of something that may be null, or of rows.
    Count(Vec<i64>),
    Average {
        sums: Vec<f64>,
        counts: Vec<u64>,
    },
    Float(Fold<Float64Type>),
    Integer(Fold<Int64Type>),
    Unsigned(Fold<UInt64Type>),
    Time(Fold<TimestampNanosecondType>),
    Other(Box<dyn GroupsAccumulator>),
}

/// What becomes of two values.
#[derive(Clone, Copy)]
enum Kind {
    Sum,
    Least,
    Greatest,
}

/// One value per group.
struct Fold<T: ArrowPrimitiveType> {
    kind: Kind,
    /// Before the first value.
    start: T::Native,
    values: Vec<T::Native>,
    /// Whether the group has any value.
    seen: Vec<bool>,
}

impl RunGroups<'_> {
    fn range(&self, run: usize) -> Range<usize> {
        let end = self
            .starts
            .get(run + 1)
            .map_or(self.rows, |row| *row as usize);
        self.starts[run] as usize..end
    }
}

impl Aggregate {
    /// `function` has no DISTINCT and no ORDER BY; `input` is what its arguments read.
    pub(super) fn new(
        function: &Arc<AggregateFunctionExpr>,
        filter: Option<Arc<dyn PhysicalExpr>>,
        input: &Schema,
    ) -> Result<Self> {
        let arguments = function.expressions();
        let state = match State::of(function, &arguments, input) {
            Some(state) => state,
            None => State::Other(accumulator(function)?),
        };
        Ok(Self {
            arguments,
            filter,
            state,
        })
    }

    /// Whether [`Self::update`] must know the group of every row.
    pub(super) fn asks_rows(&self) -> bool {
        matches!(self.state, State::Other(_))
    }

    /// Takes a batch in. `row_groups` is the group of every row, or empty when no aggregate asks for it.
    pub(super) fn update(
        &mut self,
        batch: &RecordBatch,
        runs: &RunGroups<'_>,
        row_groups: &[usize],
    ) -> Result<()> {
        let filter = match &self.filter {
            Some(filter) => Some(filter.evaluate(batch)?.into_array(runs.rows)?),
            None => None,
        };
        let filter = filter.as_ref().map(|filter| filter.as_boolean());
        if let (State::Count(counts), [argument]) = (&mut self.state, self.arguments.as_slice())
            && counts_rows(argument)
        {
            counts.resize(runs.groups, 0);
            each_stretch(runs, valid(None, filter).as_ref(), |group, rows| {
                counts[group] += rows.len() as i64;
            });
            return Ok(());
        }
        let arguments: Vec<ArrayRef> = self
            .arguments
            .iter()
            .map(|argument| argument.evaluate(batch)?.into_array(runs.rows))
            .collect::<Result<_>>()?;
        if let State::Other(accumulator) = &mut self.state {
            return accumulator.update_batch(&arguments, row_groups, filter, runs.groups);
        }
        if let [argument] = arguments.as_slice() {
            let valid = valid(argument.logical_nulls().as_ref(), filter);
            self.state.update(argument, valid.as_ref(), runs);
        }
        Ok(())
    }

    /// The columns of the state, one value per group. None are left.
    pub(super) fn take(&mut self) -> Result<Vec<ArrayRef>> {
        let array: ArrayRef = match &mut self.state {
            State::Count(counts) => Arc::new(Int64Array::from(std::mem::take(counts))),
            State::Average { sums, counts } => {
                let seen = nulls(counts.iter().map(|count| *count > 0));
                let counts = UInt64Array::new(std::mem::take(counts).into(), seen.clone());
                let sums = Float64Array::new(std::mem::take(sums).into(), seen);
                return Ok(vec![Arc::new(counts), Arc::new(sums)]);
            }
            State::Float(fold) => fold.take(),
            State::Integer(fold) => fold.take(),
            State::Unsigned(fold) => fold.take(),
            State::Time(fold) => fold.take(),
            State::Other(accumulator) => return accumulator.state(EmitTo::All),
        };
        Ok(vec![array])
    }

    /// Memory in use.
    pub(super) fn bytes(&self) -> usize {
        match &self.state {
            State::Count(counts) => counts.capacity() * size_of::<i64>(),
            State::Average { sums, counts } => {
                sums.capacity() * size_of::<f64>() + counts.capacity() * size_of::<u64>()
            }
            State::Float(fold) => fold.bytes(),
            State::Integer(fold) => fold.bytes(),
            State::Unsigned(fold) => fold.bytes(),
            State::Time(fold) => fold.bytes(),
            State::Other(accumulator) => accumulator.size(),
        }
    }
}

impl State {
    /// The state of a function that is reduced run by run; `None` for all others.
    fn of(
        function: &AggregateFunctionExpr,
        arguments: &[Arc<dyn PhysicalExpr>],
        input: &Schema,
    ) -> Option<Self> {
        let implementation = function.fun().inner();
        let [argument] = arguments else {
            return None;
        };
        if implementation.downcast_ref::<Count>().is_some() {
            return Some(Self::Count(Vec::new()));
        }
        let data_type = argument.data_type(input).ok()?;
        if data_type != *function.field().data_type() {
            return None;
        }
        let kind = if implementation.downcast_ref::<Sum>().is_some() {
            Kind::Sum
        } else if implementation.downcast_ref::<Min>().is_some() {
            Kind::Least
        } else if implementation.downcast_ref::<Max>().is_some() {
            Kind::Greatest
        } else if implementation.downcast_ref::<Avg>().is_some() {
            return (data_type == DataType::Float64).then(|| Self::Average {
                sums: Vec::new(),
                counts: Vec::new(),
            });
        } else {
            return None;
        };
        let (float, integer, unsigned, time) = match kind {
            Kind::Sum => (0.0, 0, 0, None),
            Kind::Least => (f64::MAX, i64::MAX, u64::MAX, Some(i64::MAX)),
            Kind::Greatest => (f64::MIN, i64::MIN, u64::MIN, Some(i64::MIN)),
        };
        match data_type {
            DataType::Float64 => Some(Self::Float(Fold::new(kind, float))),
            DataType::Int64 => Some(Self::Integer(Fold::new(kind, integer))),
            DataType::UInt64 => Some(Self::Unsigned(Fold::new(kind, unsigned))),
            DataType::Timestamp(TimeUnit::Nanosecond, None) => {
                Some(Self::Time(Fold::new(kind, time?)))
            }
            _ => None,
        }
    }

    /// Takes in the values of a batch where they are valid.
    fn update(&mut self, values: &ArrayRef, valid: Option<&BooleanBuffer>, runs: &RunGroups<'_>) {
        match self {
            Self::Count(counts) => {
                counts.resize(runs.groups, 0);
                each_stretch(runs, valid, |group, rows| {
                    counts[group] += rows.len() as i64;
                });
            }
            Self::Average { sums, counts } => {
                sums.resize(runs.groups, 0.0);
                counts.resize(runs.groups, 0);
                let values = values.as_primitive::<Float64Type>().values();
                reduce(runs, valid, values, sums, |sum, value| sum + value);
                each_stretch(runs, valid, |group, rows| {
                    counts[group] += rows.len() as u64;
                });
            }
            Self::Float(fold) => fold.update(values, valid, runs),
            Self::Integer(fold) => fold.update(values, valid, runs),
            Self::Unsigned(fold) => fold.update(values, valid, runs),
            Self::Time(fold) => fold.update(values, valid, runs),
            Self::Other(_) => {}
        }
    }
}

impl<T: ArrowPrimitiveType> Fold<T>
where
    T::Native: ArrowNativeTypeOp,
{
    fn new(kind: Kind, start: T::Native) -> Self {
        Self {
            kind,
            start,
            values: Vec::new(),
            seen: Vec::new(),
        }
    }

    fn update(&mut self, values: &ArrayRef, valid: Option<&BooleanBuffer>, runs: &RunGroups<'_>) {
        self.values.resize(runs.groups, self.start);
        self.seen.resize(runs.groups, false);
        let values = values.as_primitive::<T>().values();
        let folded = &mut self.values;
        // A value that compares with nothing wins, as it does in DataFusion's own stages.
        match self.kind {
            Kind::Sum => reduce(runs, valid, values, folded, |sum, value| {
                sum.add_wrapping(value)
            }),
            Kind::Least => reduce(runs, valid, values, folded, |least, value| {
                match value.partial_cmp(&least) {
                    Some(Ordering::Less) | None => value,
                    _ => least,
                }
            }),
            Kind::Greatest => reduce(runs, valid, values, folded, |greatest, value| {
                match value.partial_cmp(&greatest) {
                    Some(Ordering::Greater) | None => value,
                    _ => greatest,
                }
            }),
        }
        let seen = &mut self.seen;
        each_stretch(runs, valid, |group, _| seen[group] = true);
    }

    fn take(&mut self) -> ArrayRef {
        let nulls = nulls(self.seen.drain(..));
        let values = std::mem::take(&mut self.values);
        Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))
    }

    fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<T::Native>() + self.seen.capacity()
    }
}

/// DataFusion's accumulator for many groups, or as many of those for one group.
fn accumulator(function: &Arc<AggregateFunctionExpr>) -> Result<Box<dyn GroupsAccumulator>> {
    if function.groups_accumulator_supported() {
        return function.create_groups_accumulator();
    }
    let function = Arc::clone(function);
    let one = move || function.create_accumulator();
    Ok(Box::new(GroupsAccumulatorAdapter::new(one)))
}

/// Whether an argument of COUNT counts every row, such as the 1 that `*` stands for.
fn counts_rows(argument: &Arc<dyn PhysicalExpr>) -> bool {
    argument
        .downcast_ref::<Literal>()
        .is_some_and(|literal| !literal.value().is_null())
}

/// The rows that count; none when all do.
fn valid(nulls: Option<&NullBuffer>, filter: Option<&BooleanArray>) -> Option<BooleanBuffer> {
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
    let filter = filter.map(|filter| match filter.nulls() {
        Some(nulls) => filter.values() & nulls.inner(),
        None => filter.values().clone(),
    });
    match (nulls, filter) {
        (Some(nulls), Some(filter)) => Some(nulls.inner() & &filter),
        (Some(nulls), None) => Some(nulls.inner().clone()),
        (None, filter) => filter,
    }
}

/// Null where nothing was seen; none when there is no such place.
fn nulls(seen: impl Iterator<Item = bool>) -> Option<NullBuffer> {
    let nulls = NullBuffer::from_iter(seen);
    (nulls.null_count() > 0).then_some(nulls)
}

/// Calls back with every longest stretch of valid rows within a run, and its group.
fn each_stretch(
    runs: &RunGroups<'_>,
    valid: Option<&BooleanBuffer>,
    mut found: impl FnMut(usize, Range<usize>),
) {
    let Some(valid) = valid else {
        for (run, group) in runs.numbers.iter().enumerate() {
            found(*group, runs.range(run));
        }
        return;
    };
    let mut run = 0;
    for (mut first, end) in valid.set_slices() {
        while first < end {
            let mut last = runs.range(run).end;
            while last <= first {
                run += 1;
                last = runs.range(run).end;
            }
            let upto = end.min(last);
            found(runs.numbers[run], first..upto);
            first = upto;
        }
    }
}

/// Folds every group's valid values into what it has, in the order of the rows.
fn reduce<N: Copy>(
    runs: &RunGroups<'_>,
    valid: Option<&BooleanBuffer>,
    values: &[N],
    folded: &mut [N],
    fold: impl Fn(N, N) -> N + Copy,
) {
    let all = |start: N, values: &[N]| values.iter().fold(start, |one, other| fold(one, *other));
    if valid.is_some() {
        each_stretch(runs, valid, |group, rows| {
            folded[group] = all(folded[group], &values[rows]);
        });
        return;
    }
    let mut run = 0;
    for groups in runs.numbers.chunks(LANES) {
        match <[usize; LANES]>::try_from(groups) {
            Ok(groups) if are_distinct(&groups) => {
                let lanes: [&[N]; LANES] =
                    std::array::from_fn(|lane| &values[runs.range(run + lane)]);
                let reduced = side_by_side(groups.map(|group| folded[group]), lanes, fold);
                for (group, value) in groups.into_iter().zip(reduced) {
                    folded[group] = value;
                }
            }
            _ => {
                for (lane, group) in groups.iter().enumerate() {
                    folded[*group] = all(folded[*group], &values[runs.range(run + lane)]);
                }
            }
        }
        run += groups.len();
    }
}

/// Folds each lane from its first value to its last; the processor need not finish one step before it begins the next.
fn side_by_side<N: Copy>(
    mut folded: [N; LANES],
    lanes: [&[N]; LANES],
    fold: impl Fn(N, N) -> N + Copy,
) -> [N; LANES] {
    let common = lanes.iter().map(|lane| lane.len()).min().unwrap_or(0);
    // Walked together, so that no step has to ask whether it is still inside.
    let [first, second, third, fourth] = lanes.map(|lane| lane[..common].iter());
    for (((first, second), third), fourth) in first.zip(second).zip(third).zip(fourth) {
        folded[0] = fold(folded[0], *first);
        folded[1] = fold(folded[1], *second);
        folded[2] = fold(folded[2], *third);
        folded[3] = fold(folded[3], *fourth);
    }
    for lane in 0..LANES {
        let tail = &lanes[lane][common..];
        folded[lane] = tail
            .iter()
            .fold(folded[lane], |one, other| fold(one, *other));
    }
    folded
}

fn are_distinct(groups: &[usize; LANES]) -> bool {
    let later = |place: usize| &groups[place + 1..];
    (0..LANES).all(|place| !later(place).contains(&groups[place]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(starts: &[u32], numbers: &[usize], valid: Option<Vec<bool>>) {
        let values: Vec<i64> = (1..=20).collect();
        let runs = RunGroups {
            starts,
            numbers,
            rows: values.len(),
            groups: numbers.iter().max().map_or(0, |group| group + 1),
        };
        let mut expected = vec![0; runs.groups];
        for (row, value) in values.iter().enumerate() {
            let run = starts.partition_point(|start| *start as usize <= row) - 1;
            if valid.as_ref().is_none_or(|valid| valid[row]) {
                expected[numbers[run]] += value;
            }
        }
        let valid = valid.map(BooleanBuffer::from);
        let mut sums = vec![0; runs.groups];
        reduce(&runs, valid.as_ref(), &values, &mut sums, |a, b| a + b);
        assert_eq!(sums, expected, "{starts:?} {numbers:?} {valid:?}");
    }

    #[test]
    fn runs_are_added_up_however_long_they_are() {
        let alternating: Vec<bool> = (0..20).map(|row| row % 3 != 1).collect();
        let late: Vec<bool> = (0..20).map(|row| row > 11).collect();
        for valid in [None, Some(alternating), Some(late), Some(vec![false; 20])] {
            check(&[0], &[0], valid.clone());
            check(&[0, 1, 5, 19], &[0, 1, 2, 3], valid.clone());
            check(&[0, 1, 5, 7, 9, 12], &[3, 4, 5, 0, 1, 2], valid.clone());
            check(&[0, 4, 8, 12, 16], &[0, 1, 0, 1, 0], valid);
        }
    }

    #[test]
    fn only_true_lets_a_row_count() {
        let filter = BooleanArray::from(vec![Some(true), Some(false), None, Some(true)]);
        let nulls = NullBuffer::from(vec![true, true, true, false]);
        let rows = valid(Some(&nulls), Some(&filter)).expect("some do not count");
        assert_eq!(rows.set_indices().collect::<Vec<_>>(), [0]);
        assert_eq!(valid(None, None), None);
    }
}
