//! From a statement's logical plan to its physical one, with no more work than the statement is worth.
//!
//! A statement of one table is over in less time than it takes to plan it for many threads. So its scan is planned first; when that
//! reads little, the rest is planned for one partition: no rows are dealt out to threads and gathered again. And where the optimizer's
//! rules leave nothing for each other to do, they are run once, not until nothing changes any more.
//! Not here: the rules (`session`), what a scan reads (`table`).

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::catalog::default_table_source::DefaultTableSource;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr_rewriter::unnormalize_cols;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use datafusion::physical_plan::ExecutionPlan;

use crate::scan::SeriesScan;
use crate::table::StoredTable;

/// Values that one thread reads and aggregates before a second one would be of use.
const FEW_VALUES: u64 = 1 << 18;

/// Optimizes a plan and turns it into one that can be run. Changes settings of the session, which is of this statement alone.
pub(crate) async fn physical_plan(
    session: &mut SessionState,
    plan: &LogicalPlan,
) -> Result<Arc<dyn ExecutionPlan>> {
    if is_settled_at_once(plan) {
        let options = session.config_mut().options_mut();
        options.optimizer.max_passes = 1;
    }
    let mut plan = session.optimize(plan)?;
    let scan = match only_scan(&plan)? {
        Some(scan) => planned(scan, session).await?,
        None => None,
    };
    if let Some(scan) = scan {
        if is_small(&scan) {
            let options = session.config_mut().options_mut();
            options.execution.target_partitions = 1;
        }
        plan = with_scan(plan, &scan)?;
    }
    let planner = Arc::clone(session.query_planner());
    planner.create_physical_plan(&plan, session).await
}

/// Whether the plan has a shape in which no rule makes work for one that comes before it: at most a sort above a projection above an
/// aggregation above a condition on rows of a table.
fn is_settled_at_once(plan: &LogicalPlan) -> bool {
    let mut plan = plan;
    let mut before = 0;
    loop {
        let (place, input) = match plan {
            LogicalPlan::Explain(explain) => (1, explain.plan.as_ref()),
            LogicalPlan::Analyze(analyze) => (1, analyze.input.as_ref()),
            LogicalPlan::Sort(sort) => (2, sort.input.as_ref()),
            LogicalPlan::Projection(projection) => (3, projection.input.as_ref()),
            LogicalPlan::Aggregate(aggregate) => (4, aggregate.input.as_ref()),
            LogicalPlan::Filter(filter) => (5, filter.input.as_ref()),
            LogicalPlan::TableScan(scan) => return stored_table(scan).is_some(),
            _ => return false,
        };
        if place <= before {
            return false;
        }
        (before, plan) = (place, input);
    }
}

/// The scan of a plan that reads one table, once, and makes no more rows of those it reads.
fn only_scan(plan: &LogicalPlan) -> Result<Option<&TableScan>> {
    let mut node = plan;
    let scan = loop {
        match node {
            LogicalPlan::TableScan(scan) if stored_table(scan).is_some() => break scan,
            // Windows take longer for each row the more there are in a partition.
            LogicalPlan::Window(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::Dml(_) => return Ok(None),
            _ => match node.inputs().as_slice() {
                [input] => node = *input,
                _ => return Ok(None),
            },
        }
    };
    // Expressions may ask questions of their own.
    let mut scans = 0;
    plan.apply_with_subqueries(|node| {
        scans += usize::from(matches!(node, LogicalPlan::TableScan(_)));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok((scans == 1).then_some(scan))
}

/// What reads the rows of a scan.
async fn planned(
    scan: &TableScan,
    session: &SessionState,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(table) = stored_table(scan) else {
        return Ok(None);
    };
    let filters = unnormalize_cols(scan.filters.iter().cloned());
    let filters: Vec<Expr> = filters.into_iter().collect();
    let projection = scan.projection.as_ref();
    let plan = table.scan(session, projection, &filters, scan.fetch).await;
    plan.map(Some)
}

/// Whether it reads so little that one thread is soon done with it.
fn is_small(plan: &Arc<dyn ExecutionPlan>) -> bool {
    if let Some(scan) = plan.downcast_ref::<SeriesScan>() {
        let columns = scan.schema().fields().len().max(1) as u64;
        return scan.scan().partitions() == 1 && scan.scan().rows_max() * columns <= FEW_VALUES;
    }
    match plan.children().as_slice() {
        [input] => is_small(input),
        // Nothing is read.
        _ => true,
    }
}

/// The same plan, whose one scan is planned already.
fn with_scan(plan: LogicalPlan, scan: &Arc<dyn ExecutionPlan>) -> Result<LogicalPlan> {
    plan.transform_up(|node| {
        let LogicalPlan::TableScan(mut of) = node else {
            return Ok(Transformed::no(node));
        };
        let Some(table) = stored_table(&of) else {
            return Ok(Transformed::no(LogicalPlan::TableScan(of)));
        };
        let table = table.with_scan(Arc::clone(scan));
        of.source = Arc::new(DefaultTableSource::new(Arc::new(table)));
        Ok(Transformed::yes(LogicalPlan::TableScan(of)))
    })
    .data()
}

/// The table of ours that a scan reads.
pub(crate) fn stored_table(scan: &TableScan) -> Option<&StoredTable> {
    let source = scan.source.downcast_ref::<DefaultTableSource>()?;
    source.table_provider.downcast_ref::<StoredTable>()
}
