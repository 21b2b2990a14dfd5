//! `selector_first|last|min|max(value, time[, others…])`: the row of each group that a value or its time picks
//! (spec/query-sql.md §8).
//!
//! The answer is a struct of that row's arguments. Rows without a value or a time do not count; a group without any gives null.
//! Which row wins depends on the rows alone, never on the order they come in: equal times are settled by the arguments, equal
//! values by the earliest time. The accumulating: [`winners`].

mod winners;

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility,
};

use winners::{SingleWinner, Winners};

/// Which row of a group is picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pick {
    First,
    Last,
    Min,
    Max,
}

impl Pick {
    pub(super) const ALL: [Self; 4] = [Self::First, Self::Last, Self::Min, Self::Max];
}

/// One of the functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Selector {
    pick: Pick,
    signature: Signature,
}

impl Selector {
    pub(super) fn new(pick: Pick) -> Self {
        Self {
            pick,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for Selector {
    fn name(&self) -> &'static str {
        match self.pick {
            Pick::First => "selector_first",
            Pick::Last => "selector_last",
            Pick::Min => "selector_min",
            Pick::Max => "selector_max",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [value, time, others @ ..] = arguments else {
            return plan_err!(
                "{} takes a value, a time and perhaps others, got {} arguments",
                self.name(),
                arguments.len()
            );
        };
        let time = match time {
            DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()),
            DataType::Null => DataType::Timestamp(TimeUnit::Nanosecond, None),
            other => {
                return plan_err!(
                    "the second argument of {} is a timestamp, got {other}",
                    self.name()
                );
            }
        };
        let mut coerced = vec![value.clone(), time];
        coerced.extend(others.iter().cloned());
        Ok(coerced)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(members(arguments)))
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(SingleWinner::new(self.winners(&arguments)?)))
    }

    fn groups_accumulator_supported(&self, _arguments: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.winners(&arguments)?))
    }

    /// The arguments of the winner: what it beats, it beats again.
    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let members = members_of(arguments.return_field.data_type())?;
        Ok(members
            .iter()
            .map(|member| {
                let name = format_state_name(arguments.name, member.name());
                Arc::new(Field::new(name, member.data_type().clone(), true))
            })
            .collect())
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

impl Selector {
    fn winners(&self, arguments: &AccumulatorArgs<'_>) -> Result<Winners> {
        let members = members_of(arguments.return_type())?;
        Winners::new(self.pick, members.clone())
    }
}

/// `value`, `time`, `other_1`, `other_2`…
fn members(arguments: &[DataType]) -> Fields {
    arguments
        .iter()
        .enumerate()
        .map(|(at, kind)| {
            let name = match at {
                0 => "value".to_string(),
                1 => "time".to_string(),
                other => format!("other_{}", other - 1),
            };
            Field::new(name, kind.clone(), true)
        })
        .collect()
}

fn members_of(kind: &DataType) -> Result<&Fields> {
    match kind {
        DataType::Struct(members) => Ok(members),
        other => internal_err!("a selector gives a struct, not {other}"),
    }
}

/// A scalar of the one row of an array.
fn only(row: &ArrayRef) -> Result<ScalarValue> {
    ScalarValue::try_from_array(row, 0)
}

#[cfg(test)]
mod tests;
