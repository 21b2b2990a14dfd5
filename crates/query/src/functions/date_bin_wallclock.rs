//! `date_bin_wallclock(stride, time[, origin])`: bins in the wall clock of the time's zone (spec/query-sql.md §9).
//!
//! A day is a day there, however many hours it has. The result keeps the zone. How bins are cut: `binning`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use datafusion::arrow::datatypes::{
    DataType, IntervalMonthDayNanoType, IntervalUnit, TimeUnit, TimestampNanosecondType,
};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::Error;
use crate::binning::{Binning, Stride};
use crate::error::to_datafusion;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DateBinWallclock {
    signature: Signature,
}

impl DateBinWallclock {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for DateBinWallclock {
    fn name(&self) -> &'static str {
        "date_bin_wallclock"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        coerce_wall_clock(self.name(), arguments)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        type_of_bins(self.name(), arguments)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Timestamp(TimeUnit::Nanosecond, zone) = call.return_field.data_type() else {
            return internal_err!("{} returns a timestamp", self.name());
        };
        let none = ColumnarValue::Scalar(ScalarValue::TimestampNanosecond(None, zone.clone()));
        let Some(ColumnarValue::Scalar(stride)) = call.args.first() else {
            return plan_err!("the stride of {} must be a constant", self.name());
        };
        let origin_ns = match call.args.get(2) {
            None => Some(0),
            Some(ColumnarValue::Scalar(ScalarValue::TimestampNanosecond(origin, _))) => *origin,
            Some(_) => return plan_err!("the origin of {} must be a constant", self.name()),
        };
        let (Some(stride), Some(origin_ns)) = (stride_of(stride)?, origin_ns) else {
            return Ok(none);
        };
        let cutter = Binning::wall_clock(stride, origin_ns, zone.as_deref())
            .cutter()
            .map_err(|what| to_datafusion(Error::invalid(what)))?;
        match call.args.get(1) {
            Some(ColumnarValue::Scalar(ScalarValue::TimestampNanosecond(at_ns, _))) => {
                let bin = at_ns.and_then(|at_ns| cutter.bin_of(at_ns));
                let bin = ScalarValue::TimestampNanosecond(bin, zone.clone());
                Ok(ColumnarValue::Scalar(bin))
            }
            Some(ColumnarValue::Array(times)) => {
                let Some(times) = times.as_primitive_opt::<TimestampNanosecondType>() else {
                    return internal_err!("{} got {} for a time", self.name(), times.data_type());
                };
                let bins: PrimitiveArray<TimestampNanosecondType> = times
                    .iter()
                    .map(|at_ns| at_ns.and_then(|at_ns| cutter.bin_of(at_ns)))
                    .collect();
                let bins: ArrayRef = Arc::new(bins.with_timezone_opt(zone.clone()));
                Ok(ColumnarValue::Array(bins))
            }
            other => internal_err!("{} got {other:?} for a time", self.name()),
        }
    }
}

/// The stride that an interval means; none for NULL. Errors: `Invalid` when bins cannot be so long.
pub(crate) fn stride_of(interval: &ScalarValue) -> Result<Option<Stride>> {
    let parts = match interval {
        value if value.is_null() => return Ok(None),
        ScalarValue::IntervalMonthDayNano(Some(parts)) => {
            IntervalMonthDayNanoType::to_parts(*parts)
        }
        other => {
            return plan_err!(
                "the stride of bins is an interval, got {}",
                other.data_type()
            );
        }
    };
    Stride::of_parts(parts.0, parts.1, parts.2)
        .map(Some)
        .map_err(|what| to_datafusion(Error::invalid(what)))
}

/// The types that a function of bins takes: an interval, a time in nanoseconds of any zone, and an origin.
pub(crate) fn coerce_bins(name: &str, arguments: &[DataType]) -> Result<Vec<DataType>> {
    let (stride, time, origin) = match arguments {
        [stride, time] => (stride, time, None),
        [stride, time, origin] => (stride, time, Some(origin)),
        _ => {
            return plan_err!(
                "{name} takes a stride, a time and perhaps an origin, got {} arguments",
                arguments.len()
            );
        }
    };
    let mut coerced = match stride {
        DataType::Interval(_)
        | DataType::Duration(_)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Null => vec![DataType::Interval(IntervalUnit::MonthDayNano)],
        other => return plan_err!("{name} takes an interval as its stride, got {other}"),
    };
    for time in std::iter::once(time).chain(origin) {
        coerced.push(match time {
            DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()),
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Date32
            | DataType::Date64
            | DataType::Null => DataType::Timestamp(TimeUnit::Nanosecond, None),
            other => return plan_err!("{name} takes timestamps, got {other}"),
        });
    }
    Ok(coerced)
}

/// The same for bins of a wall clock, whose origin is a local time and so has no zone.
pub(crate) fn coerce_wall_clock(name: &str, arguments: &[DataType]) -> Result<Vec<DataType>> {
    let coerced = coerce_bins(name, arguments)?;
    match coerced.get(2) {
        Some(DataType::Timestamp(_, Some(zone))) => {
            plan_err!("the origin of {name} is a local time and has no zone, got one in '{zone}'")
        }
        _ => Ok(coerced),
    }
}

/// Bins are of the type of the times in them.
pub(crate) fn type_of_bins(name: &str, arguments: &[DataType]) -> Result<DataType> {
    match arguments.get(1) {
        Some(time @ DataType::Timestamp(TimeUnit::Nanosecond, _)) => Ok(time.clone()),
        other => internal_err!("{name} got {other:?} for a time"),
    }
}
