//! `difference`, `derivative` and their non-negative kinds, as window functions: how a value changed since the one before
//! (spec/query-sql.md §6).
//!
//! Nulls are passed over: the value before is the last that is not null, and where there is none the answer is null. Derivatives are
//! per unit of time, a second unless said. The answers of unsigned values are signed, so that they can fall.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit,
    TimeUnit, TimestampNanosecondType, UInt64Type,
};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err, plan_err};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{
    LimitEffect, PartitionEvaluator, Signature, Volatility, WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;

use crate::binning::Stride;

const NS_PER_S: i64 = 1_000_000_000;

/// One of the functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Change {
    Difference,
    NonNegativeDifference,
    Derivative,
    NonNegativeDerivative,
}

impl Change {
    pub(super) const ALL: [Self; 4] = [
        Self::Difference,
        Self::NonNegativeDifference,
        Self::Derivative,
        Self::NonNegativeDerivative,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Difference => "difference",
            Self::NonNegativeDifference => "non_negative_difference",
            Self::Derivative => "derivative",
            Self::NonNegativeDerivative => "non_negative_derivative",
        }
    }

    fn is_per_time(self) -> bool {
        matches!(self, Self::Derivative | Self::NonNegativeDerivative)
    }

    /// Whether falling values have no answer.
    fn is_rising(self) -> bool {
        matches!(
            self,
            Self::NonNegativeDifference | Self::NonNegativeDerivative
        )
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ChangeFunction {
    change: Change,
    signature: Signature,
}

impl ChangeFunction {
    pub(super) fn new(change: Change) -> Self {
        Self {
            change,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl WindowUDFImpl for ChangeFunction {
    fn name(&self) -> &'static str {
        self.change.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name();
        let (value, rest) = match (self.change.is_per_time(), arguments) {
            (false, [value]) => (value, &[] as &[DataType]),
            (true, [value, rest @ ..]) if matches!(rest.len(), 1 | 2) => (value, rest),
            (false, _) => {
                return plan_err!("{name} takes a value, got {} arguments", arguments.len());
            }
            (true, _) => {
                return plan_err!(
                    "{name} takes a value, a time and perhaps a unit, got {} arguments",
                    arguments.len()
                );
            }
        };
        let mut coerced = vec![match value {
            unsigned if unsigned.is_unsigned_integer() => DataType::UInt64,
            signed if signed.is_signed_integer() => DataType::Int64,
            number if number.is_numeric() || number.is_null() => DataType::Float64,
            other => return plan_err!("{name} takes numbers, got {other}"),
        }];
        for (at, kind) in rest.iter().enumerate() {
            coerced.push(match (at, kind) {
                (0, DataType::Timestamp(_, zone)) => {
                    DataType::Timestamp(TimeUnit::Nanosecond, zone.clone())
                }
                (0, other) => return plan_err!("{name} takes a timestamp, got {other}"),
                (_, DataType::Interval(_) | DataType::Duration(_) | DataType::Utf8) => {
                    DataType::Interval(IntervalUnit::MonthDayNano)
                }
                (_, other) => return plan_err!("the unit of {name} is an interval, got {other}"),
            });
        }
        Ok(coerced)
    }

    fn field(&self, arguments: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        let value = arguments.get_input_field(0);
        let kind = match value.as_ref().map(|value| value.data_type()) {
            _ if self.change.is_per_time() => DataType::Float64,
            Some(DataType::UInt64) if self.change.is_rising() => DataType::UInt64,
            Some(DataType::Int64 | DataType::UInt64) => DataType::Int64,
            _ => DataType::Float64,
        };
        Ok(Arc::new(Field::new(arguments.name(), kind, true)))
    }

    fn partition_evaluator(
        &self,
        _arguments: PartitionEvaluatorArgs<'_>,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Evaluator {
            change: self.change,
            before: None,
        }))
    }

    fn limit_effect(&self, _arguments: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::None
    }
}

/// A value that is not null.
#[derive(Clone, Copy, Debug)]
enum Number {
    Integer(i64),
    Unsigned(u64),
    Float(f64),
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(formatter, "{value}"),
            Self::Unsigned(value) => write!(formatter, "{value}"),
            Self::Float(value) => write!(formatter, "{value}"),
        }
    }
}

/// The rows of one partition, one after the other.
#[derive(Debug)]
struct Evaluator {
    change: Change,
    /// The last value that was not null, and its time in nanoseconds if that matters.
    before: Option<(Number, i64)>,
}

impl Evaluator {
    fn next(&mut self, values: &[ArrayRef], row: usize) -> Result<ScalarValue> {
        let Some(column) = values.first() else {
            return internal_err!("{} got no values", self.change.name());
        };
        let number = if column.is_null(row) {
            None
        } else {
            Some(match column.data_type() {
                DataType::Int64 => Number::Integer(column.as_primitive::<Int64Type>().value(row)),
                DataType::UInt64 => {
                    Number::Unsigned(column.as_primitive::<UInt64Type>().value(row))
                }
                DataType::Float64 => Number::Float(column.as_primitive::<Float64Type>().value(row)),
                other => return internal_err!("{} got {other}", self.change.name()),
            })
        };
        let time_ns = match values.get(1) {
            None => Some(0),
            Some(times) if times.is_null(row) => None,
            Some(times) => Some(times.as_primitive::<TimestampNanosecondType>().value(row)),
        };
        let nothing = self.nothing(column.data_type());
        let Some((now, time_ns)) = number.zip(time_ns) else {
            return Ok(nothing);
        };
        let Some((before, before_ns)) = self.before else {
            self.before = Some((now, time_ns));
            return Ok(nothing);
        };
        if !self.change.is_per_time() {
            self.before = Some((now, time_ns));
            return self.difference(before, now);
        }
        if time_ns == before_ns {
            return Ok(nothing);
        }
        self.before = Some((now, time_ns));
        let unit_ns = match values.get(2) {
            None => NS_PER_S,
            Some(units) => unit_ns(units, row)?,
        };
        let rate = rise(before, now) / ns(i128::from(time_ns) - i128::from(before_ns))
            * ns(i128::from(unit_ns));
        let is_known = !self.change.is_rising() || rate >= 0.0;
        Ok(ScalarValue::Float64(is_known.then_some(rate)))
    }

    fn nothing(&self, values: &DataType) -> ScalarValue {
        match values {
            _ if self.change.is_per_time() => ScalarValue::Float64(None),
            DataType::UInt64 if self.change.is_rising() => ScalarValue::UInt64(None),
            DataType::UInt64 | DataType::Int64 => ScalarValue::Int64(None),
            _ => ScalarValue::Float64(None),
        }
    }

    fn difference(&self, before: Number, now: Number) -> Result<ScalarValue> {
        let (rise, is_unsigned) = match (before, now) {
            (Number::Integer(before), Number::Integer(now)) => {
                (i128::from(now) - i128::from(before), false)
            }
            (Number::Unsigned(before), Number::Unsigned(now)) => {
                (i128::from(now) - i128::from(before), true)
            }
            _ => {
                let rise = rise(before, now);
                let is_known = !self.change.is_rising() || rise >= 0.0;
                return Ok(ScalarValue::Float64(is_known.then_some(rise)));
            }
        };
        let is_known = !self.change.is_rising() || rise >= 0;
        if is_unsigned && self.change.is_rising() {
            return Ok(ScalarValue::UInt64(u64::try_from(rise).ok()));
        }
        match i64::try_from(rise) {
            _ if !is_known => Ok(ScalarValue::Int64(None)),
            Ok(rise) => Ok(ScalarValue::Int64(Some(rise))),
            Err(_) => exec_err!("the difference of {now} and {before} does not fit an integer"),
        }
    }
}

impl PartitionEvaluator for Evaluator {
    fn is_causal(&self) -> bool {
        true
    }

    fn supports_bounded_execution(&self) -> bool {
        true
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        self.next(values, range.start)
    }
}

#[expect(clippy::cast_precision_loss, reason = "the answer is a float")]
fn rise(before: Number, now: Number) -> f64 {
    match (before, now) {
        (Number::Integer(before), Number::Integer(now)) => {
            (i128::from(now) - i128::from(before)) as f64
        }
        (Number::Unsigned(before), Number::Unsigned(now)) => {
            (i128::from(now) - i128::from(before)) as f64
        }
        (Number::Float(before), Number::Float(now)) => now - before,
        _ => f64::NAN,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio of times is a float")]
fn ns(nanoseconds: i128) -> f64 {
    nanoseconds as f64
}

fn unit_ns(units: &ArrayRef, row: usize) -> Result<i64> {
    let parts = units.as_primitive::<IntervalMonthDayNanoType>().value(row);
    let (months, days, nanoseconds) = IntervalMonthDayNanoType::to_parts(parts);
    match Stride::of_parts(months, days, nanoseconds) {
        Ok(Stride::Nanoseconds(length)) if units.is_valid(row) => Ok(length),
        _ => exec_err!("the unit of a derivative is a time above zero, and not of months"),
    }
}
