//! `approx_distinct`: stock, but it takes tags too (spec/query-sql.md §13); the stock one knows no dictionaries.

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions_aggregate::approx_distinct::ApproxDistinct;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, Signature, Volatility,
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ApproxDistinctOfTags {
    stock: ApproxDistinct,
    signature: Signature,
}

impl ApproxDistinctOfTags {
    pub(super) fn new() -> Self {
        Self {
            stock: ApproxDistinct::new(),
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for ApproxDistinctOfTags {
    fn name(&self) -> &str {
        self.stock.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [DataType::Dictionary(_, values)] => Ok(vec![values.as_ref().clone()]),
            [values] => Ok(vec![values.clone()]),
            _ => plan_err!(
                "{} takes one column, got {} arguments",
                self.name(),
                arguments.len()
            ),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.stock.return_type(arguments)
    }

    fn is_nullable(&self) -> bool {
        self.stock.is_nullable()
    }

    fn default_value(&self, kind: &DataType) -> Result<ScalarValue> {
        self.stock.default_value(kind)
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.stock.state_fields(arguments)
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.stock.accumulator(arguments)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }
}
