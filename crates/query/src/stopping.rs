//! Plans that can be stopped: operators that would compute for long without a pause get pauses, or notice that nobody waits.
//!
//! A task ends at its next pause, and DataFusion pauses where batches enter a plan. Joins make many batches of one, so [`PauseJoins`]
//! lets them pause at those they give out as well. A nested-loop join may look at billions of pairs before it gives out any;
//! [`stoppable`] lets its condition fail once the query is stopped. Not here: who stops a query (`queries`), dropping it (`runner`).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
};
use datafusion::physical_plan::unnest::UnnestExec;
use tokio_util::sync::CancellationToken;

use crate::error::to_datafusion;
use crate::queries::Stop;

/// Puts a pause above every operator that makes many batches of one.
#[derive(Debug)]
pub(crate) struct PauseJoins;

impl PhysicalOptimizerRule for PauseJoins {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            if !multiplies(node.as_ref()) {
                return Ok(Transformed::no(node));
            }
            let paused: Arc<dyn ExecutionPlan> = Arc::new(CooperativeExec::new(node));
            Ok(Transformed::yes(paused))
        })
        .data()
    }

    fn name(&self) -> &str {
        "PauseJoins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn multiplies(node: &dyn ExecutionPlan) -> bool {
    node.is::<NestedLoopJoinExec>()
        || node.is::<CrossJoinExec>()
        || node.is::<HashJoinExec>()
        || node.is::<SortMergeJoinExec>()
        || node.is::<UnnestExec>()
}

/// The same plan, whose nested-loop joins fail once `stopped` has fired.
pub(crate) fn stoppable(
    plan: Arc<dyn ExecutionPlan>,
    stopped: &CancellationToken,
) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() else {
            return Ok(Transformed::no(node));
        };
        let Some(filter) = join.filter() else {
            return Ok(Transformed::no(node));
        };
        let condition: Arc<dyn PhysicalExpr> = Arc::new(UntilStopped {
            condition: Arc::clone(filter.expression()),
            stopped: stopped.clone(),
        });
        let indices = filter.column_indices().to_vec();
        let filter = JoinFilter::new(condition, indices, Arc::clone(filter.schema()));
        let join = NestedLoopJoinExecBuilder::from(join).with_filter(Some(filter));
        let join: Arc<dyn ExecutionPlan> = Arc::new(join.build()?);
        Ok(Transformed::yes(join))
    })
    .data()
}

/// A condition that fails once a query is stopped.
#[derive(Debug)]
struct UntilStopped {
    condition: Arc<dyn PhysicalExpr>,
    stopped: CancellationToken,
}

impl PartialEq for UntilStopped {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for UntilStopped {}

impl Hash for UntilStopped {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl fmt::Display for UntilStopped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(formatter)
    }
}

impl PhysicalExpr for UntilStopped {
    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.condition.data_type(input)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.condition.nullable(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.stopped.is_cancelled() {
            return Err(to_datafusion(Stop::Dropped.error()));
        }
        self.condition.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.is_empty()) {
            (Some(condition), true) => Ok(Arc::new(Self {
                condition,
                stopped: self.stopped.clone(),
            })),
            _ => internal_err!("a condition has one child"),
        }
    }

    fn fmt_sql(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(formatter)
    }
}
