//! The optimizer rule that takes the marker functions out of a plan and says what is to be filled (spec/query-sql.md §7.1).
//!
//! `date_bin_gapfill(…)` in GROUP BY becomes `date_bin(…)`, and a [`GapFill`] stands above the aggregate. `locf(…)` and
//! `interpolate(…)` in the SELECT list become columns of that node. Comes first of all rules, while the plan still has the shape of
//! the statement. Whatever is left of the markers afterwards is where it must not be.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue, TableReference};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, Extension, LogicalPlan, Projection, ScalarUDF,
};
use datafusion::optimizer::optimizer::{OptimizerConfig, OptimizerRule};

use super::bounds::{Bounds, Constants, source};
use super::node::{Fill, FilledColumn, GapFill, Gaps};
use crate::binning::Binning;
use crate::error::to_datafusion;
use crate::functions::{GapFunction, GapMarker, date_bin, date_bin_wallclock, stride_of};
use crate::{Error, ErrorKind};

/// The most bins of one series. A range or stride that is wrong by a factor of a thousand is found out before it is run.
const BINS_MAX: u64 = 10_000_000;

/// Fields of a schema with the tables they are of.
type Fields = Vec<(Option<TableReference>, Arc<Field>)>;

/// The rule.
#[derive(Debug, Default)]
pub(crate) struct GapFillRule;

impl OptimizerRule for GapFillRule {
    fn name(&self) -> &'static str {
        "gap_fill"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        if first_marker(&plan)?.is_none() {
            return Ok(Transformed::no(plan));
        }
        let constants = Constants {
            options: config.options(),
            started_at: config.query_execution_start_time(),
        };
        let rewritten = plan.transform_down_with_subqueries(|node| {
            if !matches!(node, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_)) {
                return Ok(Transformed::no(node));
            }
            match marked_aggregate(&node)? {
                Some(aggregate) => Ok(Transformed::yes(level(&node, aggregate, &constants)?)),
                None => Ok(Transformed::no(node)),
            }
        })?;
        match first_marker(&rewritten.data)? {
            None => Ok(rewritten),
            Some(marker) if marker.is_bin() => Err(invalid(format!(
                "{} may only be used as a whole GROUP BY expression",
                marker.name()
            ))),
            Some(marker) => Err(invalid(format!(
                "{} may only be used in the SELECT list of a query that fills gaps, over an aggregate",
                marker.name()
            ))),
        }
    }
}

/// Some marker function that the plan still has.
fn first_marker(plan: &LogicalPlan) -> Result<Option<GapMarker>> {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                found = marker_of(part).map(|(marker, _)| marker);
                Ok(stop_if(found.is_some()))
            })?;
            Ok(stop_if(found.is_some()))
        })?;
        Ok(stop_if(found.is_some()))
    })?;
    Ok(found)
}

fn stop_if(found: bool) -> TreeNodeRecursion {
    if found {
        TreeNodeRecursion::Stop
    } else {
        TreeNodeRecursion::Continue
    }
}

/// The marker that an expression is a call of.
fn marker_of(expression: &Expr) -> Option<(GapMarker, &ScalarFunction)> {
    let Expr::ScalarFunction(call) = expression else {
        return None;
    };
    let function = call.func.inner().downcast_ref::<GapFunction>()?;
    Some((function.marker, call))
}

/// The aggregate that makes the rows of a SELECT list, if it asks for gaps to be filled. Between the two there can be HAVING and
/// window functions.
fn marked_aggregate(plan: &LogicalPlan) -> Result<Option<&Aggregate>> {
    let mut below = match plan {
        LogicalPlan::Projection(projection) => projection.input.as_ref(),
        other => other,
    };
    loop {
        match below {
            LogicalPlan::Filter(filter) => below = filter.input.as_ref(),
            LogicalPlan::Window(window) => below = window.input.as_ref(),
            LogicalPlan::Aggregate(aggregate) => {
                let is_marked = |expression: &Expr| {
                    marker_of(unaliased(expression)).is_some_and(|(marker, _)| marker.is_bin())
                };
                let marks = aggregate.group_expr.iter().filter(|one| is_marked(one));
                return match marks.count() {
                    0 => Ok(None),
                    1 => Ok(Some(aggregate)),
                    _ => Err(invalid(
                        "gaps may only be filled in one GROUP BY expression",
                    )),
                };
            }
            _ => return Ok(None),
        }
    }
}

fn unaliased(expression: &Expr) -> &Expr {
    match expression {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// Rewrites one query level, from its SELECT list down to its aggregate.
fn level(plan: &LogicalPlan, aggregate: &Aggregate, constants: &Constants) -> Result<LogicalPlan> {
    let mut calls = Vec::new();
    collect_calls(plan, &mut calls)?;
    let (filled, columns) = fill(aggregate, &calls, constants)?;
    let replaced: Vec<(Expr, Column)> = calls.into_iter().zip(columns).collect();
    replace_calls(plan, filled, &replaced)
}

/// Every different call of `locf` and `interpolate` above the aggregate.
fn collect_calls(plan: &LogicalPlan, calls: &mut Vec<Expr>) -> Result<()> {
    if matches!(plan, LogicalPlan::Aggregate(_)) {
        return Ok(());
    }
    plan.apply_expressions(|expression| {
        expression.apply(|part| match marker_of(part) {
            Some((marker, _)) if !marker.is_bin() => {
                if !calls.contains(part) {
                    calls.push(part.clone());
                }
                Ok(TreeNodeRecursion::Jump)
            }
            _ => Ok(TreeNodeRecursion::Continue),
        })
    })?;
    for input in plan.inputs() {
        collect_calls(input, calls)?;
    }
    Ok(())
}

/// The same level above `filled`, with the calls replaced by columns of it.
fn replace_calls(
    plan: &LogicalPlan,
    filled: LogicalPlan,
    replaced: &[(Expr, Column)],
) -> Result<LogicalPlan> {
    let input = match plan {
        LogicalPlan::Aggregate(_) => return Ok(filled),
        other => match other.inputs().as_slice() {
            [input] => replace_calls(input, filled, replaced)?,
            _ => return Err(invalid("gaps cannot be filled below several inputs")),
        },
    };
    let names = NamePreserver::new(plan);
    let mut expressions = Vec::new();
    for expression in plan.expressions() {
        let name = names.save(&expression);
        let rewritten = expression.transform_down(|part| {
            match replaced.iter().find(|(call, _)| *call == part) {
                Some((_, column)) => Ok(Transformed::new(
                    Expr::Column(column.clone()),
                    true,
                    TreeNodeRecursion::Jump,
                )),
                None => Ok(Transformed::no(part)),
            }
        })?;
        expressions.push(name.restore(rewritten.data));
    }
    plan.with_new_exprs(expressions, vec![input])
}

/// The aggregate with its gaps filled, and the columns that the calls become.
fn fill(
    aggregate: &Aggregate,
    calls: &[Expr],
    constants: &Constants,
) -> Result<(LogicalPlan, Vec<Column>)> {
    let mut group_expr = aggregate.group_expr.clone();
    let mut binned = None;
    for (at, expression) in group_expr.iter_mut().enumerate() {
        if let Some((marker, call)) = marker_of(unaliased(expression)) {
            let bins = Bins::of(marker, call, aggregate, constants)?;
            let name = expression.qualified_name().1;
            *expression = bins.expression.clone().alias(name);
            binned = Some((at, bins));
        }
    }
    let Some((time, bins)) = binned else {
        return Err(invalid("there are no gaps to fill"));
    };
    let groups = group_expr.len();
    let plain = Aggregate::try_new(
        Arc::clone(&aggregate.input),
        group_expr,
        aggregate.aggr_expr.clone(),
    )?;
    let mut fields: Fields = owned_fields(&aggregate.schema);
    let mut values = Vec::new();
    for (at, expression) in aggregate.aggr_expr.iter().enumerate() {
        let input = groups + at;
        let nothing = value_of_nothing(expression, aggregate.schema.field(input).data_type())?;
        if nothing.is_null() {
            make_nullable(&mut fields, input);
        }
        values.push(FilledColumn {
            input,
            fill: Fill::Value(nothing),
        });
    }
    let mut input = LogicalPlan::Aggregate(plain);
    let mut computed = Vec::new();
    let mut columns = Vec::new();
    let plain_columns = aggregate.schema.fields().len();
    for call in calls {
        let (fill, value) = filling(call, aggregate)?;
        let place = match unaliased(value) {
            Expr::Column(column) => aggregate.schema.index_of_column(column)?,
            value => {
                computed.push(
                    value
                        .clone()
                        .alias(format!("value of {}", call.schema_name())),
                );
                plain_columns + computed.len() - 1
            }
        };
        let name = call.schema_name().to_string();
        let kind = value.get_type(&aggregate.schema)?;
        fields.push((None, Arc::new(Field::new(&name, kind, true))));
        columns.push(Column::new_unqualified(name));
        values.push(FilledColumn { input: place, fill });
    }
    if !computed.is_empty() {
        let kept = aggregate
            .schema
            .iter()
            .map(|field| Expr::Column(Column::from(field)));
        let all = kept.chain(computed).collect();
        input = LogicalPlan::Projection(Projection::try_new(all, Arc::new(input))?);
    }
    let schema = DFSchema::new_with_metadata(fields, aggregate.schema.metadata().clone())?;
    let node = GapFill {
        input,
        gaps: Arc::new(Gaps {
            binning: bins.binning,
            from_ns: bins.from_ns,
            to_ns: bins.to_ns,
            time,
            series: (0..groups).filter(|at| *at != time).collect(),
            values,
        }),
        schema: Arc::new(schema),
    };
    let node = LogicalPlan::Extension(Extension {
        node: Arc::new(node),
    });
    Ok((node, columns))
}

fn owned_fields(schema: &DFSchema) -> Fields {
    schema
        .iter()
        .map(|(table, field)| (table.cloned(), Arc::clone(field)))
        .collect()
}

fn make_nullable(fields: &mut Fields, at: usize) {
    if let Some((_, field)) = fields.get_mut(at) {
        *field = Arc::new(field.as_ref().clone().with_nullable(true));
    }
}

/// What an aggregate answers over no rows: 0 for a count, null for most.
fn value_of_nothing(aggregate: &Expr, kind: &DataType) -> Result<ScalarValue> {
    match unaliased(aggregate) {
        Expr::AggregateFunction(call) => call.func.default_value(kind),
        _ => ScalarValue::try_from(kind),
    }
}

/// How a call of `locf` or `interpolate` fills, and what.
fn filling<'a>(call: &'a Expr, aggregate: &Aggregate) -> Result<(Fill, &'a Expr)> {
    let Some((marker, function)) = marker_of(call) else {
        return Err(invalid(format!("{call} fills no gaps")));
    };
    let fill = match marker {
        GapMarker::Interpolate => Fill::Linear,
        _ => Fill::Previous,
    };
    let groups = aggregate.group_expr.len();
    let is_aggregate = |column: &Column| {
        let place = aggregate.schema.index_of_column(column);
        place.is_ok_and(|place| place >= groups)
    };
    match function.args.as_slice() {
        [value]
            if !value.column_refs().is_empty()
                && value.column_refs().into_iter().all(is_aggregate)
                && !value.exists(|part| Ok(marker_of(part).is_some()))? =>
        {
            Ok((fill, value))
        }
        _ => Err(invalid(format!(
            "{} has to be around an aggregate, got {call}",
            marker.name()
        ))),
    }
}

/// The bins that a marker asks for.
struct Bins {
    binning: Binning,
    from_ns: i64,
    to_ns: i64,
    /// What says which bin a row is in.
    expression: Expr,
}

impl Bins {
    fn of(
        marker: GapMarker,
        call: &ScalarFunction,
        aggregate: &Aggregate,
        constants: &Constants,
    ) -> Result<Self> {
        let name = marker.name();
        let schema = aggregate.input.schema();
        let constant = |what: &str, at: usize| -> Result<Option<ScalarValue>> {
            let Some(argument) = call.args.get(at) else {
                return Ok(None);
            };
            match constants.simplify(argument.clone(), schema)? {
                Expr::Literal(value, _) if !value.is_null() => Ok(Some(value)),
                other => Err(invalid(format!(
                    "the {what} of {name} must be a constant, got {other}"
                ))),
            }
        };
        let Some(stride) = constant("stride", 0)? else {
            return Err(invalid(format!("{name} has no stride")));
        };
        let origin_ns = match constant("origin", 2)? {
            None => 0,
            Some(ScalarValue::TimestampNanosecond(Some(origin_ns), _)) => origin_ns,
            Some(other) => {
                return Err(invalid(format!(
                    "the origin of {name} is a time, got {other}"
                )));
            }
        };
        let Some(times) = call.args.get(1) else {
            return Err(invalid(format!("{name} has no time")));
        };
        let Some(column) = source(times) else {
            return Err(invalid(format!(
                "the time of {name} must be a column, got {times}"
            )));
        };
        let DataType::Timestamp(_, zone) = times.get_type(schema)? else {
            return Err(invalid(format!("{name} takes a time, got {times}")));
        };
        let Some(length) = stride_of(&stride)? else {
            return Err(invalid(format!("the stride of {name} is null")));
        };
        let (binning, function): (_, Arc<ScalarUDF>) = match marker {
            GapMarker::DateBinWallclock => (
                Binning::wall_clock(length, origin_ns, zone.as_deref()),
                date_bin_wallclock(),
            ),
            _ => (Binning::utc(length, origin_ns), date_bin()),
        };
        let origin_zone = zone.filter(|_| marker == GapMarker::DateBin);
        let mut arguments = vec![Expr::Literal(stride, None), times.clone()];
        if call.args.len() > 2 {
            let origin = ScalarValue::TimestampNanosecond(Some(origin_ns), origin_zone);
            arguments.push(Expr::Literal(origin, None));
        }
        let (from_ns, to_ns) = ends(constants.bounds(&aggregate.input, column)?, name, column)?;
        let cutter = binning.cutter().map_err(invalid)?;
        let bins = cutter.count(from_ns, to_ns);
        if bins > BINS_MAX {
            return Err(to_datafusion(Error::new(
                ErrorKind::Limit,
                format!(
                    "gap filling would make {bins} rows of each series, more than {BINS_MAX}: ask for longer bins or a shorter time"
                ),
            )));
        }
        Ok(Self {
            binning,
            from_ns,
            to_ns,
            expression: Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments)),
        })
    }
}

fn ends(bounds: Bounds, name: &str, column: &Column) -> Result<(i64, i64)> {
    let missing = match (bounds.start_ns(), bounds.to_ns) {
        (Some(from_ns), Some(to_ns)) => return Ok((from_ns, to_ns)),
        (None, Some(_)) => "a lower bound",
        (Some(_), None) => "an upper bound",
        (None, None) => "a lower and an upper bound",
    };
    Err(invalid(format!(
        "{name} needs {missing} of {}: add it to the WHERE clause",
        column.quoted_flat_name()
    )))
}

fn invalid(message: impl Into<String>) -> DataFusionError {
    to_datafusion(Error::invalid(message.into()))
}
