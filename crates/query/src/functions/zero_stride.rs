//! Bins of no length: query builders round the width of a bin down to whole seconds, so a close look at little time asks for
//! `interval '0 second'` (spec/query-sql.md §17.1). Such bins are one second long, the shortest that they can ask for.
//!
//! Only constants are meant; what a statement computes has to be above zero.

use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;

/// The functions whose first argument is the length of a bin.
const BINNING: [&str; 4] = [
    "date_bin",
    "date_bin_gapfill",
    "date_bin_wallclock",
    "date_bin_wallclock_gapfill",
];

const ZERO: IntervalMonthDayNano = IntervalMonthDayNano::new(0, 0, 0);

const SECOND: IntervalMonthDayNano = IntervalMonthDayNano::new(0, 0, 1_000_000_000);

#[derive(Debug)]
pub(super) struct ZeroStride;

impl FunctionRewrite for ZeroStride {
    fn name(&self) -> &'static str {
        "zero_stride"
    }

    fn rewrite(
        &self,
        expression: Expr,
        _schema: &DFSchema,
        _options: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        match expression {
            Expr::ScalarFunction(mut call) if BINNING.contains(&call.name()) => {
                match call.args.first_mut() {
                    Some(Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(stride)), _))
                        if *stride == ZERO =>
                    {
                        *stride = SECOND;
                        Ok(Transformed::yes(Expr::ScalarFunction(call)))
                    }
                    _ => Ok(Transformed::no(Expr::ScalarFunction(call))),
                }
            }
            other => Ok(Transformed::no(other)),
        }
    }
}
