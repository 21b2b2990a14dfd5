//! The physical operator: the first stage of a grouped aggregation, over input that comes in runs.
//!
//! Keeps the `AggregateExec` it stands for, which knows what comes out and takes over when runs are short. The work itself is
//! `stream`.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::{
    CardinalityEffect, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties,
};

use super::grouping::Grouping;
use super::stream;

/// The name in plans.
const NAME: &str = "RunAggregate";

/// Aggregates runs of rows to partial states, the same columns as those of the `AggregateExec` it replaces. A group may come out
/// more than once, even of one partition.
#[derive(Clone)]
pub(super) struct RunAggregate {
    /// In mode `Partial`; its input is this operator's input.
    replaced: Arc<AggregateExec>,
    grouping: Arc<Grouping>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl RunAggregate {
    /// `replaced` has mode `Partial`, and `grouping` was made of its group expressions.
    pub(super) fn new(replaced: AggregateExec, grouping: Grouping) -> Self {
        Self {
            properties: properties(&replaced),
            replaced: Arc::new(replaced),
            grouping: Arc::new(grouping),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// The same over another input.
    fn over(&self, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return internal_err!("{NAME} has one child");
        };
        let replaced = AggregateExec::try_new(
            *self.replaced.mode(),
            self.replaced.group_expr().clone(),
            self.replaced.aggr_expr().to_vec(),
            self.replaced.filter_expr().to_vec(),
            input,
            self.replaced.input_schema(),
        )?;
        Ok(Arc::new(Self {
            properties: properties(&replaced),
            replaced: Arc::new(replaced),
            grouping: Arc::clone(&self.grouping),
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }
}

/// Those of the replaced operator, but for what comes out when, and that a group may come out twice.
fn properties(replaced: &AggregateExec) -> Arc<PlanProperties> {
    let cache = replaced.cache();
    let equivalences = cache.equivalence_properties().clone();
    Arc::new(PlanProperties::new(
        equivalences.with_constraints(Default::default()),
        cache.output_partitioning().clone(),
        EmissionType::Both,
        cache.boundedness,
    ))
}

impl ExecutionPlan for RunAggregate {
    fn name(&self) -> &'static str {
        NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![self.replaced.input()]
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.replaced.apply_expressions(visit)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    /// The older name of [`ExecutionPlan::replace_children`], still without a default.
    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        stream::start(
            &self.replaced,
            &self.grouping,
            &self.metrics,
            partition,
            context,
        )
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::LowerEqual
    }
}

impl DisplayAs for RunAggregate {
    fn fmt_as(&self, format: DisplayFormatType, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<String> = self
            .replaced
            .group_expr()
            .expr()
            .iter()
            .map(|(expression, name)| match expression.to_string() {
                text if text == *name => text,
                text => format!("{text} as {name}"),
            })
            .collect();
        let aggregates: Vec<&str> = self
            .replaced
            .aggr_expr()
            .iter()
            .map(|function| function.name())
            .collect();
        let (groups, aggregates) = (groups.join(", "), aggregates.join(", "));
        match format {
            DisplayFormatType::TreeRender => write!(out, "gby={groups}\naggr={aggregates}"),
            _ => write!(out, "{NAME}: gby=[{groups}], aggr=[{aggregates}]"),
        }
    }
}

impl fmt::Debug for RunAggregate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct(NAME)
            .field("replaced", &self.replaced)
            .finish_non_exhaustive()
    }
}
