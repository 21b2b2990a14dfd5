//! `database()`: the schema that holds the user's tables, which some query builders ask for (spec/query-sql.md §17.1).

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::session::SCHEMA;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DatabaseFunction {
    signature: Signature,
}

impl DatabaseFunction {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::nullary(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for DatabaseFunction {
    fn name(&self) -> &'static str {
        "database"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, _call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::from(SCHEMA)))
    }
}
