//! `DELETE FROM table [WHERE …]`: which rows a statement means, as storage wants to hear it.
//!
//! The condition is sorted into terms just as that of a SELECT (`table`, `filter`), and storage does the deleting. Why not
//! DataFusion's own way: that collects conditions from the optimized plan, where a condition that is never true has vanished
//! together with the scan, and would then delete every row. Not here: who may delete (`engine`).

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::default_table_source::DefaultTableSource;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::expr_rewriter::unnormalize_col;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{DmlStatement, Explain, Expr, ExprSchemable, LogicalPlan, WriteOp};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;

use runtime::Tasks;
use storage::DeleteRequest;

use crate::Error;
use crate::error::to_datafusion;
use crate::table::StoredTable;

/// Whether the plan is a DELETE, and nothing around it.
pub(crate) fn is_delete(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Dml(statement) if statement.op == WriteOp::Delete)
}

/// EXPLAIN of a DELETE becomes that of finding its rows, since that is all it may do; any other plan stays as it is.
pub(crate) fn explained(plan: LogicalPlan) -> LogicalPlan {
    match plan {
        LogicalPlan::Explain(explain) => match explain.plan.as_ref() {
            LogicalPlan::Dml(statement) if statement.op == WriteOp::Delete => {
                LogicalPlan::Explain(Explain {
                    plan: Arc::clone(&statement.input),
                    ..explain
                })
            }
            _ => LogicalPlan::Explain(explain),
        },
        other => other,
    }
}

/// Deletes what the statement says; the answer is one row with the number of rows that are gone. Once storage has begun it is
/// not stopped by a caller who goes away.
pub(crate) async fn run(
    session: &SessionState,
    statement: &DmlStatement,
    tasks: &Tasks,
) -> Result<SendableRecordBatchStream> {
    let table = target(statement)?;
    let rows = match request(session, table, statement)? {
        Some(request) => {
            let storage = Arc::clone(table.storage());
            let deleted = tasks.detach(async move { storage.delete(request).await });
            let deleted = deleted.await.map_err(|fault| {
                to_datafusion(Error::internal("a delete did not finish").with_source(fault))
            })?;
            deleted.map_err(to_datafusion)?.rows
        }
        None => 0,
    };
    count(rows)
}

/// One row, one column: as DataFusion answers statements that change rows.
fn count(rows: u64) -> Result<SendableRecordBatchStream> {
    let schema = Arc::new(Schema::new(vec![Field::new(
        "count",
        DataType::UInt64,
        false,
    )]));
    let column = Arc::new(UInt64Array::from(vec![rows]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column])?;
    let stream = RecordBatchStreamAdapter::new(schema, stream::iter([Ok(batch)]));
    Ok(Box::pin(stream))
}

fn target(statement: &DmlStatement) -> Result<&StoredTable> {
    let provider = statement
        .target
        .downcast_ref::<DefaultTableSource>()
        .map(|source| &source.table_provider);
    match provider.and_then(|provider| provider.downcast_ref::<StoredTable>()) {
        Some(table) => Ok(table),
        None => plan_err!("rows of {} cannot be deleted", statement.table_name),
    }
}

fn request(
    session: &SessionState,
    table: &StoredTable,
    statement: &DmlStatement,
) -> Result<Option<DeleteRequest>> {
    let condition = match statement.input.as_ref() {
        LogicalPlan::TableScan(_) => None,
        LogicalPlan::Filter(filter)
            if matches!(filter.input.as_ref(), LogicalPlan::TableScan(_)) =>
        {
            Some(filter.predicate.clone())
        }
        LogicalPlan::Limit(_) => return plan_err!("DELETE with LIMIT is not supported"),
        other => return plan_err!("DELETE with {} is not supported", other.display()),
    };
    let terms = match condition {
        Some(condition) => terms(session, statement, condition)?,
        None => Vec::new(),
    };
    table.delete_request(session, &terms)
}

/// The terms of a WHERE clause as the optimizer would leave them, without the name of the table before their columns.
fn terms(session: &SessionState, statement: &DmlStatement, condition: Expr) -> Result<Vec<Expr>> {
    refuse_what_is_beyond_a_row(&condition)?;
    let schema = DFSchema::try_from(statement.target.schema())?;
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(schema.clone()))
        .with_config_options(Arc::clone(session.config_options()))
        .with_query_execution_start_time(session.execution_props().query_execution_start_time)
        .build();
    let simplifier = ExprSimplifier::new(context);
    let coerced = simplifier.coerce(unnormalize_col(condition), &schema)?;
    let kind = coerced.get_type(&schema)?;
    if !matches!(kind, DataType::Boolean | DataType::Null) {
        return plan_err!(
            "the WHERE clause of a DELETE must be a condition, and is of type {kind}"
        );
    }
    Ok(split_conjunction_owned(simplifier.simplify(coerced)?))
}

/// A condition can only be asked about the row at hand.
fn refuse_what_is_beyond_a_row(condition: &Expr) -> Result<()> {
    condition.apply(|node| {
        let what = match node {
            Expr::Exists(_)
            | Expr::InSubquery(_)
            | Expr::SetComparison(_)
            | Expr::ScalarSubquery(_) => "a subquery",
            Expr::AggregateFunction(_) => "an aggregate function",
            Expr::WindowFunction(_) => "a window function",
            Expr::Unnest(_) => "unnest",
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        plan_err!("DELETE with {what} is not supported: {node}")
    })?;
    Ok(())
}
