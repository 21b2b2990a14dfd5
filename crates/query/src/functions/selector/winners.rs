//! The row that wins in each group so far.
//!
//! Rows are compared by times, or by values brought into a form that compares as they do. Whole rows are only looked at when those
//! are equal. The columns of a batch in which somebody won are kept as they are; once most of what is kept has been beaten, the
//! winners are copied together.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, StructArray, make_comparator, new_null_array,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::{SortOptions, cast, interleave};
use datafusion::arrow::datatypes::{
    DataType, Fields, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType, UInt64Type,
};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::{Pick, only};

/// Rows kept beyond those that win, before the winners are copied together.
const BEATEN_ROWS_MAX: usize = 65_536;

/// A row that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    batch: u32,
    row: u32,
}

impl Place {
    fn new(batch: usize, row: usize) -> Result<Self> {
        match (u32::try_from(batch), u32::try_from(row)) {
            (Ok(batch), Ok(row)) => Ok(Self { batch, row }),
            _ => internal_err!("a selector cannot keep row {row} of batch {batch}"),
        }
    }
}

/// The winners of all groups.
#[derive(Debug)]
pub(super) struct Winners {
    pick: Pick,
    members: Fields,
    groups: Vec<Option<Place>>,
    /// The columns of batches with winners in them; the key is of their values, where values decide.
    batches: Vec<Batch>,
    rows_kept: usize,
}

#[derive(Debug)]
struct Batch {
    columns: Vec<ArrayRef>,
    values: Key,
}

impl Winners {
    pub(super) fn new(pick: Pick, members: Fields) -> Result<Self> {
        if members.len() < 2 {
            return internal_err!("a selector has a value and a time");
        }
        Ok(Self {
            pick,
            members,
            groups: Vec::new(),
            batches: Vec::new(),
            rows_kept: 0,
        })
    }

    fn batch(&self, columns: Vec<ArrayRef>) -> Result<Batch> {
        let values = match (self.pick, columns.first()) {
            (Pick::Min | Pick::Max, Some(values)) => Key::of(values)?,
            _ => Key::None,
        };
        Ok(Batch { columns, values })
    }

    /// Lets the rows of a batch compete for their groups.
    fn compete(
        &mut self,
        columns: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        group_count: usize,
    ) -> Result<()> {
        self.groups.resize(group_count, None);
        let [values, times, ..] = columns else {
            return internal_err!("a selector got {} columns", columns.len());
        };
        let number = self.batches.len();
        let nulls = NullBuffer::union(
            values.logical_nulls().as_ref(),
            times.logical_nulls().as_ref(),
        );
        self.batches.push(self.batch(columns.to_vec())?);
        let mut has_winner = false;
        for (row, group) in groups.iter().enumerate() {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            if filter.is_some_and(|filter| filter.is_null(row) || !filter.value(row)) {
                continue;
            }
            let place = Place::new(number, row)?;
            let wins = match self.groups[*group] {
                Some(winner) => self.beats(place, winner)?,
                None => true,
            };
            if wins {
                self.groups[*group] = Some(place);
                has_winner = true;
            }
        }
        if has_winner {
            self.rows_kept += groups.len();
        } else {
            self.batches.pop();
        }
        if self.rows_kept > 4 * self.groups.len() + BEATEN_ROWS_MAX {
            self.compact()?;
        }
        Ok(())
    }

    fn beats(&self, one: Place, other: Place) -> Result<bool> {
        let (left, right) = (
            &self.batches[one.batch as usize],
            &self.batches[other.batch as usize],
        );
        let (left_row, right_row) = (one.row as usize, other.row as usize);
        let by_time = || -> Ordering {
            let time = |batch: &Batch, row: usize| {
                batch.columns[1]
                    .as_primitive::<TimestampNanosecondType>()
                    .value(row)
            };
            time(left, left_row).cmp(&time(right, right_row))
        };
        let order = match self.pick {
            Pick::First => by_time(),
            Pick::Last => by_time().reverse(),
            Pick::Min => left
                .values
                .compare(left_row, &right.values, right_row)
                .then_with(by_time),
            Pick::Max => left
                .values
                .compare(left_row, &right.values, right_row)
                .reverse()
                .then_with(by_time),
        };
        if order.is_ne() {
            return Ok(order.is_lt());
        }
        for (left, right) in left.columns.iter().zip(&right.columns) {
            let comparator = make_comparator(left, right, SortOptions::default())?;
            let order = comparator(left_row, right_row);
            if order.is_ne() {
                return Ok(order.is_lt());
            }
        }
        Ok(false)
    }

    /// The columns of the winners of some groups; null where there is none.
    fn columns(&self, groups: &[Option<Place>]) -> Result<Vec<ArrayRef>> {
        let places: Vec<(usize, usize)> = groups
            .iter()
            .map(|place| {
                place.map_or((0, 0), |place| {
                    (place.batch as usize + 1, place.row as usize)
                })
            })
            .collect();
        self.members
            .iter()
            .enumerate()
            .map(|(at, member)| {
                let nothing = new_null_array(member.data_type(), 1);
                let mut sources: Vec<&dyn Array> = vec![nothing.as_ref()];
                sources.extend(self.batches.iter().map(|batch| batch.columns[at].as_ref()));
                Ok(interleave(&sources, &places)?)
            })
            .collect()
    }

    /// Copies the winners together and lets go of all others.
    fn compact(&mut self) -> Result<()> {
        let columns = self.columns(&self.groups)?;
        for (group, place) in self.groups.iter_mut().enumerate() {
            if let Some(place) = place {
                *place = Place::new(0, group)?;
            }
        }
        self.rows_kept = self.groups.len();
        self.batches = vec![self.batch(columns)?];
        Ok(())
    }

    /// Removes groups and gives the columns of their winners.
    fn emit(&mut self, emit_to: EmitTo) -> Result<(Vec<ArrayRef>, NullBuffer)> {
        let groups = emit_to.take_needed(&mut self.groups);
        let columns = self.columns(&groups)?;
        if self.groups.is_empty() {
            self.batches.clear();
            self.rows_kept = 0;
        } else {
            self.compact()?;
        }
        let validity = groups.iter().map(Option::is_some).collect();
        Ok((columns, validity))
    }
}

impl GroupsAccumulator for Winners {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.compete(values, group_indices, opt_filter, total_num_groups)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.compete(values, group_indices, None, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let members = self.members.clone();
        let (columns, validity) = self.emit(emit_to)?;
        Ok(Arc::new(StructArray::try_new(
            members,
            columns,
            Some(validity),
        )?))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(self.emit(emit_to)?.0)
    }

    /// A row is the winner of itself, unless it does not count.
    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let (Some(filter), Some((first, others))) = (opt_filter, values.split_first()) else {
            return Ok(values.to_vec());
        };
        let left_out: BooleanArray = filter
            .iter()
            .map(|holds| Some(!holds.unwrap_or(false)))
            .collect();
        let kept = datafusion::arrow::compute::nullif(first, &left_out)?;
        Ok(std::iter::once(kept)
            .chain(others.iter().cloned())
            .collect())
    }

    fn size(&self) -> usize {
        let columns = self.batches.iter().flat_map(|batch| &batch.columns);
        let keys: usize = self.batches.iter().map(|batch| batch.values.bytes()).sum();
        self.groups.capacity() * size_of::<Option<Place>>()
            + columns
                .map(|column| column.get_array_memory_size())
                .sum::<usize>()
            + keys
    }
}

/// The winner where there are no groups.
#[derive(Debug)]
pub(super) struct SingleWinner {
    winners: Winners,
}

impl SingleWinner {
    pub(super) fn new(winners: Winners) -> Self {
        Self { winners }
    }

    fn compete(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |values| values.len());
        self.winners.compete(values, &vec![0; rows], None, 1)
    }
}

impl Accumulator for SingleWinner {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.compete(values)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.compete(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.winners.groups.resize(1, None);
        let groups = self.winners.groups.clone();
        let columns = self.winners.columns(&groups)?;
        let validity = groups.iter().map(Option::is_some).collect();
        let members = self.winners.members.clone();
        let winner = StructArray::try_new(members, columns, Some(validity))?;
        only(&(Arc::new(winner) as ArrayRef))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.winners.groups.resize(1, None);
        let columns = self.winners.columns(&self.winners.groups)?;
        columns.iter().map(only).collect()
    }

    fn size(&self) -> usize {
        self.winners.size()
    }
}

/// Values in a form that is quick to compare.
#[derive(Debug)]
enum Key {
    /// Nobody compares them.
    None,
    Integers(Vec<i64>),
    Unsigned(Vec<u64>),
    /// Floats, in the total order: NaN is greatest.
    Floats(Vec<f64>),
    Booleans(BooleanArray),
    /// Everything else, as it is.
    Other(ArrayRef),
}

impl Key {
    fn of(values: &ArrayRef) -> Result<Self> {
        let values = match values.data_type() {
            DataType::Dictionary(_, kind) => cast(values, kind)?,
            _ => Arc::clone(values),
        };
        Ok(match values.data_type() {
            DataType::Int64 => Self::Integers(values.as_primitive::<Int64Type>().values().to_vec()),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Self::Integers(
                values
                    .as_primitive::<TimestampNanosecondType>()
                    .values()
                    .to_vec(),
            ),
            DataType::UInt64 => {
                Self::Unsigned(values.as_primitive::<UInt64Type>().values().to_vec())
            }
            DataType::Float64 => {
                Self::Floats(values.as_primitive::<Float64Type>().values().to_vec())
            }
            DataType::Boolean => Self::Booleans(values.as_boolean().clone()),
            _ => Self::Other(values),
        })
    }

    /// Both rows have values.
    fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        match (self, other) {
            (Self::Integers(one), Self::Integers(other)) => one[row].cmp(&other[other_row]),
            (Self::Unsigned(one), Self::Unsigned(other)) => one[row].cmp(&other[other_row]),
            (Self::Floats(one), Self::Floats(other)) => one[row].total_cmp(&other[other_row]),
            (Self::Booleans(one), Self::Booleans(other)) => {
                one.value(row).cmp(&other.value(other_row))
            }
            (Self::Other(one), Self::Other(other)) => {
                if let (Some(one), Some(other)) =
                    (one.as_string_opt::<i32>(), other.as_string_opt::<i32>())
                {
                    return one.value(row).cmp(other.value(other_row));
                }
                make_comparator(one, other, SortOptions::default())
                    .map_or(Ordering::Equal, |comparator| comparator(row, other_row))
            }
            _ => Ordering::Equal,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Integers(values) => size_of_val(values.as_slice()),
            Self::Unsigned(values) => size_of_val(values.as_slice()),
            Self::Floats(values) => size_of_val(values.as_slice()),
            Self::Booleans(values) => values.get_array_memory_size(),
            Self::Other(values) => values.get_array_memory_size(),
        }
    }
}
