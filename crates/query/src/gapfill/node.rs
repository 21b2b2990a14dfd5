//! The logical node: what is filled, above the aggregate whose rows have gaps.
//!
//! Its columns are those of its input in the same places, and then further ones that repeat an input column with another way of
//! filling it. So equal aggregates may be filled differently (spec/query-sql.md §7.3).

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use chrono::DateTime;
use datafusion::common::{DFSchema, DFSchemaRef, Result, ScalarValue, internal_err};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use crate::binning::Binning;

/// What stands in the rows that are made, and for nulls.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fill {
    /// The value of an aggregate over nothing, in the rows that are made.
    Value(ScalarValue),
    /// The last value before that is not null.
    Previous,
    /// On the line from the value before to the value after; null where there is only one of them.
    Linear,
}

impl fmt::Display for Fill {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(formatter, "{value}"),
            Self::Previous => formatter.write_str("locf"),
            Self::Linear => formatter.write_str("interpolate"),
        }
    }
}

/// A column of values: where it comes from and how it is filled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FilledColumn {
    /// The place of its values in the input.
    pub(crate) input: usize,
    pub(crate) fill: Fill,
}

/// Which rows there should be, and how they are filled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Gaps {
    pub(crate) binning: Binning,
    /// The first and last instant of the query, in nanoseconds; inclusive. None when the second is earlier.
    pub(crate) from_ns: i64,
    pub(crate) to_ns: i64,
    /// The place of the bins' starts among the columns.
    pub(crate) time: usize,
    /// The places of the columns that say which series a row is of.
    pub(crate) series: Vec<usize>,
    /// All other columns, in their order; the first are those of the input.
    pub(crate) values: Vec<FilledColumn>,
}

/// Fills the gaps of its input's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GapFill {
    pub(crate) input: LogicalPlan,
    pub(crate) gaps: Arc<Gaps>,
    pub(crate) schema: DFSchemaRef,
}

impl Hash for GapFill {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.gaps.hash(state);
    }
}

impl PartialOrd for GapFill {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for GapFill {
    fn name(&self) -> &'static str {
        "GapFill"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    /// A condition on a series holds for all of its rows, those that are made included.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        let series: HashSet<&str> = self
            .gaps
            .series
            .iter()
            .map(|at| name(&self.schema, *at))
            .collect();
        let names = (0..self.schema.fields().len()).map(|at| name(&self.schema, at));
        names
            .filter(|name| !series.contains(name))
            .map(str::to_string)
            .collect()
    }

    fn fmt_for_explain(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "GapFill: {}",
            described(&self.gaps, |at| name(&self.schema, at))
        )
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (Ok([input]), true) = (<[LogicalPlan; 1]>::try_from(inputs), exprs.is_empty()) else {
            return internal_err!("gap filling has one input and no expressions");
        };
        Ok(Self {
            input,
            gaps: Arc::clone(&self.gaps),
            schema: Arc::clone(&self.schema),
        })
    }
}

fn name(schema: &DFSchema, at: usize) -> &str {
    schema.field(at).name()
}

/// The gaps as EXPLAIN tells them.
pub(crate) fn described<'a>(gaps: &Gaps, name: impl Fn(usize) -> &'a str) -> String {
    let series: Vec<&str> = gaps.series.iter().map(|at| name(*at)).collect();
    let from = DateTime::from_timestamp_nanos(gaps.from_ns).naive_utc();
    let to = DateTime::from_timestamp_nanos(gaps.to_ns).naive_utc();
    let fills: Vec<String> = gaps
        .values
        .iter()
        .map(|value| value.fill.to_string())
        .collect();
    format!(
        "series=[{}], time=[{from:?}, {to:?}], fill=[{}]",
        series.join(", "),
        fills.join(", ")
    )
}
