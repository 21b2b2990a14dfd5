//! The optimizer rule that puts `RunAggregate` where DataFusion planned the first stage of an aggregation over a scan.
//!
//! Runs last of all rules, on plans whose distribution is settled. Looks at plans, never at rows: whether runs are long enough is
//! found out while they are read (`stream`).

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, InputOrderMode, Partitioning, PhysicalExpr,
};

use super::grouping::{Grouping, is_volatile};
use super::operator::RunAggregate;
use crate::filter::{TIME, is_tag};
use crate::scan::SeriesScan;

/// Replaces aggregation by hashing with aggregation over runs, wherever rows may come in runs.
#[derive(Debug)]
pub(crate) struct RunAggregation;

/// What is known of a column of an aggregation's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Tag,
    Time,
    /// Computed from tags and time alone, always the same from the same.
    Derived,
    /// Anything that may differ from row to row.
    Other,
}

impl PhysicalOptimizerRule for RunAggregation {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        with_aggregates_replaced(plan, replacement)
    }

    fn name(&self) -> &'static str {
        "RunAggregation"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan with every aggregation replaced for which there is something else.
pub(crate) fn with_aggregates_replaced(
    plan: Arc<dyn ExecutionPlan>,
    replacement: impl Fn(&AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|plan| {
        let replaced = match plan.downcast_ref::<AggregateExec>() {
            Some(aggregate) => replacement(aggregate)?,
            None => None,
        };
        Ok(replaced.map_or(Transformed::no(plan), Transformed::yes))
    })
    .data()
}

/// The same answer by way of runs; `None` when the rows cannot come in runs or the aggregates need more than that.
fn replacement(aggregate: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(grouping) = grouping(aggregate)? else {
        return Ok(None);
    };
    match aggregate.mode() {
        AggregateMode::Partial => {
            let runs = RunAggregate::new(aggregate.clone(), grouping);
            Ok(Some(Arc::new(runs)))
        }
        AggregateMode::Single | AggregateMode::SinglePartitioned
            if aggregate.input().output_partitioning().partition_count() == 1 =>
        {
            let first = AggregateExec::try_new(
                AggregateMode::Partial,
                aggregate.group_expr().clone(),
                aggregate.aggr_expr().to_vec(),
                aggregate.filter_expr().to_vec(),
                Arc::clone(aggregate.input()),
                aggregate.input_schema(),
            )?;
            let last = AggregateExec::try_new(
                AggregateMode::Final,
                aggregate.group_expr().as_final(),
                first.aggr_expr().to_vec(),
                aggregate.filter_expr().to_vec(),
                Arc::new(RunAggregate::new(first, grouping)),
                aggregate.input_schema(),
            )?;
            Ok(Some(Arc::new(last)))
        }
        _ => Ok(None),
    }
}

/// How the aggregation's rows are told apart; `None` when its shape is none of ours.
fn grouping(aggregate: &AggregateExec) -> Result<Option<Grouping>> {
    let group_by = aggregate.group_expr();
    let is_plain = !group_by.is_empty()
        && group_by.is_single()
        && group_by.groups().len() == 1
        && aggregate.limit_options().is_none()
        && *aggregate.input_order_mode() == InputOrderMode::Linear
        && aggregate
            .aggr_expr()
            .iter()
            .all(|function| !function.is_distinct() && function.order_bys().is_empty());
    if !is_plain {
        return Ok(None);
    }
    let Some(origins) = origins(aggregate.input()) else {
        return Ok(None);
    };
    let expressions = group_by.input_exprs();
    Grouping::new(&expressions, &origins, &aggregate.input().schema())
}

/// Where each column of `plan` comes from; `None` when it is not a scan whose rows arrive as they were read.
fn origins(plan: &Arc<dyn ExecutionPlan>) -> Option<Vec<Origin>> {
    if plan.downcast_ref::<SeriesScan>().is_some() {
        let schema = plan.schema();
        let origin = |name: &str| match name {
            TIME => Origin::Time,
            tag if is_tag(&schema, tag) => Origin::Tag,
            _ => Origin::Other,
        };
        let names = schema.fields().iter().map(|field| origin(field.name()));
        return Some(names.collect());
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let input = origins(filter.input())?;
        return match filter.projection() {
            Some(columns) => columns
                .iter()
                .map(|column| input.get(*column).copied())
                .collect(),
            None => Some(input),
        };
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let input = origins(projection.input())?;
        let columns = projection.expr().iter();
        return Some(columns.map(|column| origin(&column.expr, &input)).collect());
    }
    let keeps_batches = plan.downcast_ref::<CooperativeExec>().is_some()
        || plan
            .downcast_ref::<RepartitionExec>()
            .is_some_and(|repartition| {
                matches!(repartition.partitioning(), Partitioning::RoundRobinBatch(_))
            });
    match plan.children().as_slice() {
        [child] if keeps_batches => origins(child),
        _ => None,
    }
}

/// Where a projection's column comes from, given its input's columns.
fn origin(expression: &Arc<dyn PhysicalExpr>, input: &[Origin]) -> Origin {
    let of = |column: &Column| input.get(column.index()).copied().unwrap_or(Origin::Other);
    if let Some(column) = expression.downcast_ref::<Column>() {
        return of(column);
    }
    let columns = collect_columns(expression);
    let is_other = columns.iter().any(|column| of(column) == Origin::Other);
    if is_other || is_volatile(expression) {
        return Origin::Other;
    }
    Origin::Derived
}
