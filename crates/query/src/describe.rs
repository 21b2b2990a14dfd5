//! What a statement asks for and what it answers with, without running it; and which tables there are.
//!
//! For clients that prepare statements or browse: [`QueryEngine::describe`] plans a statement up to its physical plan, because
//! only that one's schema is exactly what the rows will have, and [`QueryEngine::tables`] lists without planning anything.
//! Not here: running (`engine`), how any of it looks on the wire (`server/flight`).

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result as PlanResult, ScalarValue, TableReference};
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, LogicalPlan};
use futures::FutureExt;
use tokio::sync::oneshot;

use crate::access::Access;
use crate::engine::{Query, QueryEngine, bound, logical_plan, panicked};
use crate::error::{Stage, from_datafusion};
use crate::placeholders::placeholder_names;
use crate::session::{CATALOG, SCHEMA};
use crate::system::SYSTEM_SCHEMA;
use crate::{Error, delete};

/// Where DataFusion describes all other tables.
const INFORMATION_SCHEMA: &str = "information_schema";

/// A statement as its caller has to know it.
#[derive(Clone, Debug)]
pub struct Description {
    /// Of the rows that it answers with.
    pub schema: SchemaRef,
    /// What its placeholders are called, without `$`, and the types that suit them: numbers first, in their order, then names
    /// in that of their first appearance. What could be anything is text.
    pub parameters: Vec<(String, DataType)>,
    /// Whether it deletes rows.
    pub is_delete: bool,
}

/// One table of a database, as a list names it.
#[derive(Clone, Debug)]
pub struct ListedTable {
    pub schema: &'static str,
    pub name: String,
    /// Of DataFusion's own, which describe the others.
    pub is_view: bool,
    /// Its columns, when they were asked for.
    pub columns: Option<SchemaRef>,
}

impl QueryEngine {
    /// The catalog that every database is.
    pub const CATALOG: &'static str = CATALOG;

    /// The schema of the tables that users write, where a statement looks for names.
    pub const DEFAULT_SCHEMA: &'static str = SCHEMA;

    /// The schemas that every database has, sorted.
    pub const SCHEMAS: [&'static str; 3] = [INFORMATION_SCHEMA, SCHEMA, SYSTEM_SCHEMA];

    /// Plans `query` with the parameters it has, and with nulls for those it has not. Nothing is read or deleted, whatever the
    /// statement is.
    ///
    /// Errors: as of [`QueryEngine::sql`] before its first row.
    pub async fn describe(&self, query: Query) -> Result<Description, Error> {
        let session = self.session(&query.database, &query.access)?;
        let (answer, described) = oneshot::channel();
        let _running = self.workers().run(async move {
            let described = AssertUnwindSafe(describe(&session, query)).catch_unwind();
            let described = match described.await {
                Ok(described) => {
                    described.map_err(|fault| from_datafusion(&fault, Stage::Planning))
                }
                Err(panic) => Err(panicked(panic.as_ref())),
            };
            // Whoever asked may have gone; then nobody needs the answer.
            let _ = answer.send(described);
        });
        described
            .await
            .map_err(|_| Error::unavailable("the query engine is shut down"))?
    }

    /// All tables of `database` that a statement can name, by schema and name, with their columns if `with_columns`.
    ///
    /// Errors: `NotFound` with the message `database not found: NAME`, `Denied`.
    pub async fn tables(
        &self,
        database: &str,
        access: &Access,
        with_columns: bool,
    ) -> Result<Vec<ListedTable>, Error> {
        let session = self.session(database, access)?;
        tables(&session, with_columns)
            .await
            .map_err(|fault| from_datafusion(&fault, Stage::Planning))
    }
}

async fn describe(session: &SessionState, query: Query) -> PlanResult<Description> {
    let plan = logical_plan(session, &query.text).await?;
    let parameters = parameters(&plan, &query.text)?;
    let is_given = |name: &String| query.parameters.iter().any(|(given, _)| given == name);
    let missing: Vec<(String, Option<DataType>)> = parameters
        .iter()
        .filter(|(name, _)| !is_given(name))
        .cloned()
        .collect();
    let mut values = bound(query.parameters.clone())?;
    for (name, wanted) in &missing {
        let kind = wanted.as_ref().unwrap_or(&DataType::Utf8);
        values.push((name.clone(), ScalarValue::try_from(kind)?));
    }
    let is_delete = delete::is_delete(&plan);
    let schema = match schema(session, plan.clone(), values.clone()).await {
        // Text does not suit everywhere; a null without a type nearly does, where its type could not be told.
        Err(fault) if missing.iter().any(|(_, wanted)| wanted.is_none()) => {
            let untyped = |name: &String| {
                missing
                    .iter()
                    .any(|(missing, wanted)| missing == name && wanted.is_none())
            };
            for (name, value) in &mut values {
                if untyped(name) {
                    *value = ScalarValue::Null;
                }
            }
            schema(session, plan, values).await.map_err(|_| fault)?
        }
        outcome => outcome?,
    };
    let text_by_default = |(name, kind): (String, Option<DataType>)| {
        let kind = match kind {
            // Tags; nobody hands in a dictionary of one value.
            Some(DataType::Dictionary(_, values)) => *values,
            Some(kind) => kind,
            None => DataType::Utf8,
        };
        (name, kind)
    };
    Ok(Description {
        schema,
        parameters: parameters.into_iter().map(text_by_default).collect(),
        is_delete,
    })
}

/// Of the rows that the plan answers with once `values` are in their places.
async fn schema(
    session: &SessionState,
    plan: LogicalPlan,
    values: Vec<(String, ScalarValue)>,
) -> PlanResult<SchemaRef> {
    let plan = plan.with_param_values(values)?;
    if delete::is_delete(&plan) {
        return Ok(Arc::clone(plan.schema().inner()));
    }
    Ok(session.create_physical_plan(&plan).await?.schema())
}

/// The placeholders of a statement and the types that planning found for them.
fn parameters(plan: &LogicalPlan, text: &str) -> PlanResult<Vec<(String, Option<DataType>)>> {
    let mut found: HashMap<String, Option<DataType>> = HashMap::new();
    plan.apply_with_subqueries(|plan| {
        let counts_rows = matches!(plan, LogicalPlan::Limit(_));
        plan.apply_expressions(|expression| {
            expression.apply(|node| {
                if let Expr::Placeholder(Placeholder { id, field }) = node {
                    let kind = match field {
                        Some(field) => Some(field.data_type().clone()),
                        None if counts_rows => Some(DataType::Int64),
                        None => None,
                    };
                    // In two places of two types the first counts: the value is coerced in the other.
                    let known = found.entry(name_of(id).to_string()).or_default();
                    *known = known.take().or(kind);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    let mut names = placeholder_names(text);
    names.retain(|name| found.contains_key(name));
    // Planning may know names that the text does not show in this way.
    let mut others: Vec<&String> = found.keys().filter(|name| !names.contains(name)).collect();
    others.sort();
    names.extend(others.into_iter().cloned().collect::<Vec<_>>());
    Ok(names
        .into_iter()
        .map(|name| {
            let kind = found.remove(&name).flatten();
            (name, kind)
        })
        .collect())
}

fn name_of(placeholder: &str) -> &str {
    placeholder.trim_start_matches(['$', '?', ':'])
}

async fn tables(session: &SessionState, with_columns: bool) -> PlanResult<Vec<ListedTable>> {
    let mut tables = Vec::new();
    for schema in QueryEngine::SCHEMAS {
        let listed = session.schema_for_ref(TableReference::full(CATALOG, schema, ""))?;
        let mut names = listed.table_names();
        names.sort();
        for name in names {
            let columns = match with_columns {
                true => {
                    let table = listed.table(&name).await?.ok_or_else(|| {
                        DataFusionError::Plan(format!(
                            "table {schema}.{name} is listed but is not there"
                        ))
                    })?;
                    Some(table.schema())
                }
                false => None,
            };
            tables.push(ListedTable {
                schema,
                name,
                is_view: schema == INFORMATION_SCHEMA,
                columns,
            });
        }
    }
    Ok(tables)
}
