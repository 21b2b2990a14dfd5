//! `tz(time[, zone])`: keeps the instant and attaches a zone to show it in (spec/query-sql.md §5).
//!
//! Not `AT TIME ZONE`, which on a timestamp without a zone reads its wall clock in that zone and so moves the instant.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::array::timezone::Tz as Zone;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit, TimestampNanosecondType};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

/// The zone when none is given.
const DEFAULT_ZONE: &str = "UTC";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Tz {
    signature: Signature,
}

impl Tz {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Tz {
    fn name(&self) -> &'static str {
        "tz"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let (time, zone) = match arguments {
            [time] => (time, None),
            [time, zone] => (time, Some(zone)),
            _ => {
                return plan_err!(
                    "tz takes a time and a zone, got {} arguments",
                    arguments.len()
                );
            }
        };
        let time = match time {
            DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()),
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Date32
            | DataType::Date64
            | DataType::Null => DataType::Timestamp(TimeUnit::Nanosecond, None),
            other => return plan_err!("tz takes a timestamp, got {other}"),
        };
        match zone {
            None => Ok(vec![time]),
            Some(DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => {
                Ok(vec![time, DataType::Utf8])
            }
            Some(other) => plan_err!("tz takes the name of a zone, got {other}"),
        }
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("tz derives its type from the zone's value")
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let zone = match call.scalar_arguments {
            [_] => DEFAULT_ZONE,
            [_, Some(ScalarValue::Utf8(Some(zone)))] => zone,
            _ => return plan_err!("tz takes the name of a zone as a constant"),
        };
        if zone.parse::<Zone>().is_err() {
            return plan_err!("tz does not know the zone '{zone}'");
        }
        let shown = DataType::Timestamp(TimeUnit::Nanosecond, Some(zone.into()));
        let nullable = call
            .arg_fields
            .first()
            .is_none_or(|time| time.is_nullable());
        Ok(Arc::new(Field::new(self.name(), shown, nullable)))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Timestamp(TimeUnit::Nanosecond, zone) = call.return_field.data_type() else {
            return internal_err!("tz returns a timestamp");
        };
        match call.args.first() {
            Some(ColumnarValue::Scalar(ScalarValue::TimestampNanosecond(time, _))) => {
                let shown = ScalarValue::TimestampNanosecond(*time, zone.clone());
                Ok(ColumnarValue::Scalar(shown))
            }
            Some(ColumnarValue::Array(times)) => {
                let Some(times) = times.as_primitive_opt::<TimestampNanosecondType>() else {
                    return internal_err!("tz got {} for a time", times.data_type());
                };
                let shown = times.clone().with_timezone_opt(zone.clone());
                Ok(ColumnarValue::Array(Arc::new(shown)))
            }
            other => internal_err!("tz got {other:?} for a time"),
        }
    }
}
