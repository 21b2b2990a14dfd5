//! `to_timestamp`: stock, but integers count nanoseconds as everywhere else in the product (spec/query-sql.md §5).

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::Result;
use datafusion::config::ConfigOptions;
use datafusion::functions::datetime::to_timestamp::ToTimestampFunc;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature,
};

/// Takes an integer (nanoseconds), a timestamp of any unit, a float or decimal (seconds), or a string and formats.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToTimestamp {
    stock: ToTimestampFunc,
}

impl ToTimestamp {
    pub(super) fn new() -> Self {
        Self {
            stock: ToTimestampFunc::new_with_config(&ConfigOptions::default()),
        }
    }
}

impl ScalarUDFImpl for ToTimestamp {
    fn name(&self) -> &'static str {
        "to_timestamp"
    }

    fn signature(&self) -> &Signature {
        self.stock.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.stock.return_type(arguments)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match call.args.as_slice() {
            [value] if value.data_type().is_integer() => value
                .cast_to(&DataType::Int64, None)?
                .cast_to(&DataType::Timestamp(TimeUnit::Nanosecond, None), None),
            _ => self.stock.invoke_with_args(call),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }
}
