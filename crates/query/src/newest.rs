//! Questions for the newest row of each series: an optimizer rule that has storage look for nothing else.
//!
//! `row_number() OVER (PARTITION BY tags ORDER BY time DESC) … WHERE rn = 1`, `DISTINCT ON (tags) … ORDER BY tags, time DESC`,
//! `last_value(x ORDER BY time)` and `max(time)` by tags all look at one row of each series only: rows of one series never differ in
//! their tags, so older ones cannot be the answer. The question itself is left as it is, and is asked of fewer rows.
//! Not here: finding those rows (`storage/scan`).

use std::sync::Arc;

use datafusion::catalog::default_table_source::DefaultTableSource;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::expr::{NullTreatment, Sort, WindowFunction};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, Expr, Filter, LogicalPlan, Operator, Projection, SubqueryAlias, Window,
    WindowFunctionDefinition,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::filter::TIME;
use crate::planning::stored_table;
use crate::table::StoredTable;

/// The rule. Comes after conditions and projections have been pushed down.
#[derive(Debug, Default)]
pub(crate) struct NewestOfSeries;

impl OptimizerRule for NewestOfSeries {
    fn name(&self) -> &str {
        "newest_of_series"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let is_wanted = match &plan {
            LogicalPlan::Filter(filter) => keeps_first_rows(filter),
            LogicalPlan::Aggregate(aggregate) => looks_at_newest_rows(aggregate),
            _ => false,
        };
        if is_wanted {
            plan.transform_down(narrowed)
        } else {
            Ok(Transformed::no(plan))
        }
    }
}

/// Has the one scan of a plan read the newest rows only.
fn narrowed(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::TableScan(mut scan) = plan else {
        return Ok(Transformed::no(plan));
    };
    let narrowed = stored_table(&scan).and_then(StoredTable::newest_of_series);
    let Some(table) = narrowed else {
        return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
    };
    scan.source = Arc::new(DefaultTableSource::new(Arc::new(table)));
    Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
}

/// Whether a filter keeps only the rows that a window function has numbered 1, and they are the newest of series.
fn keeps_first_rows(filter: &Filter) -> bool {
    split_conjunction(&filter.predicate)
        .into_iter()
        .filter_map(first_place)
        .any(|column| numbers_newest_rows(&filter.input, column))
}

/// The column that a condition wants to be 1, or at most 1.
fn first_place(condition: &Expr) -> Option<&Column> {
    let Expr::BinaryExpr(comparison) = condition else {
        return None;
    };
    let Expr::Column(column) = comparison.left.as_ref() else {
        return None;
    };
    let Expr::Literal(ScalarValue::UInt64(Some(place)), _) = comparison.right.as_ref() else {
        return None;
    };
    let is_first = matches!(
        (comparison.op, place),
        (Operator::Eq | Operator::LtEq, 1) | (Operator::Lt, 2)
    );
    is_first.then_some(column)
}

/// Whether `column` numbers the rows of a scan, the newest of each series first.
fn numbers_newest_rows(plan: &LogicalPlan, column: &Column) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => {
            origin(projection, column).is_some_and(|of| numbers_newest_rows(&projection.input, of))
        }
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => {
            let unqualified = Column::from_name(&column.name);
            numbers_newest_rows(input, &unqualified)
        }
        LogicalPlan::Window(Window {
            input, window_expr, ..
        }) => {
            // Another function of the same window might look at other rows.
            let [function] = window_expr.as_slice() else {
                return false;
            };
            let is_named = function.schema_name().to_string() == column.name;
            is_named && is_newest_first(function, input)
        }
        _ => false,
    }
}

/// The column that a projection passes on under this name.
fn origin<'a>(projection: &'a Projection, column: &Column) -> Option<&'a Column> {
    let at = projection.schema.maybe_index_of_column(column)?;
    match unaliased(projection.expr.get(at)?) {
        Expr::Column(of) => Some(of),
        _ => None,
    }
}

fn unaliased(expression: &Expr) -> &Expr {
    match expression {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

fn is_newest_first(function: &Expr, input: &LogicalPlan) -> bool {
    let Expr::WindowFunction(function) = unaliased(function) else {
        return false;
    };
    let WindowFunction { fun, params } = function.as_ref();
    let WindowFunctionDefinition::WindowUDF(fun) = fun else {
        return false;
    };
    matches!(fun.name(), "row_number" | "rank" | "dense_rank")
        && params.filter.is_none()
        && !params.distinct
        && Rows::of(input).is_some_and(|rows| {
            params.partition_by.iter().all(|by| rows.are_tags(by))
                && rows.is_by_time(&params.order_by, false)
        })
}

/// Whether an aggregation looks at the newest row of each series and at no other.
fn looks_at_newest_rows(aggregate: &Aggregate) -> bool {
    let Some(rows) = Rows::of(&aggregate.input) else {
        return false;
    };
    let is_grouping_set = |by: &Expr| matches!(by, Expr::GroupingSet(_));
    !aggregate.aggr_expr.is_empty()
        && !aggregate.group_expr.iter().any(is_grouping_set)
        && aggregate.group_expr.iter().all(|by| rows.are_tags(by))
        && aggregate.aggr_expr.iter().all(|function| {
            let Expr::AggregateFunction(function) = unaliased(function) else {
                return false;
            };
            let params = &function.params;
            let is_plain = !params.distinct
                && params.filter.is_none()
                && params.null_treatment != Some(NullTreatment::IgnoreNulls);
            is_plain
                && match function.func.name() {
                    // Of the whole table it is told by indexes (`known_rows`).
                    "max" if aggregate.group_expr.is_empty() => false,
                    "max" => matches!(params.args.as_slice(), [time] if rows.is_time(time)),
                    "last_value" => rows.is_by_time(&params.order_by, true),
                    "first_value" => rows.is_by_time(&params.order_by, false),
                    _ => false,
                }
        })
}

/// The rows of a scan without conditions that must be asked row by row, perhaps with other names.
struct Rows<'a> {
    table: &'a StoredTable,
    /// From the scan up.
    renamed: Vec<&'a LogicalPlan>,
}

impl<'a> Rows<'a> {
    fn of(plan: &'a LogicalPlan) -> Option<Self> {
        match plan {
            LogicalPlan::TableScan(scan) => {
                let table = stored_table(scan)?;
                let is_whole = scan.fetch.is_none() && table.decides(&scan.filters);
                is_whole.then_some(Self {
                    table,
                    renamed: Vec::new(),
                })
            }
            LogicalPlan::Projection(Projection { input, .. })
            | LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => {
                let mut rows = Self::of(input)?;
                rows.renamed.push(plan);
                Some(rows)
            }
            _ => None,
        }
    }

    /// What a column is called in the table, if it is one of the table's.
    fn name(&self, column: &Column) -> Option<String> {
        let mut column = column.clone();
        for plan in self.renamed.iter().rev() {
            column = match plan {
                LogicalPlan::Projection(projection) => origin(projection, &column)?.clone(),
                _ => Column::from_name(column.name),
            };
        }
        Some(column.name)
    }

    fn is_time(&self, expression: &Expr) -> bool {
        match unaliased(expression) {
            Expr::Column(column) => self.name(column).is_some_and(|name| name == TIME),
            _ => false,
        }
    }

    /// Whether an expression is a tag.
    fn are_tags(&self, expression: &Expr) -> bool {
        match unaliased(expression) {
            Expr::Column(column) => self
                .name(column)
                .is_some_and(|name| self.table.is_tag(&name)),
            _ => false,
        }
    }

    /// Whether rows are ordered by time before anything else. Every row has a time, so nulls have no say.
    fn is_by_time(&self, order: &[Sort], ascending: bool) -> bool {
        order
            .first()
            .is_some_and(|first| first.asc == ascending && self.is_time(&first.expr))
    }
}
