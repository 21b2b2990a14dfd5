//! The query engine: one statement in, a schema and a stream of batches out.
//!
//! Parse, plan, bind, optimize, run, all on threads of their own; a DELETE is worked out in `delete` and done by storage; every step reports its faults through `error`. What a statement may be is
//! spec/query-sql.md §4. Not here: how the answer looks on the wire (`server`).

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{DataFusionError, Result as PlanResult, ScalarValue, plan_err};
use datafusion::execution::context::SQLOptions;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use futures::FutureExt;
use futures::stream::{self, BoxStream, StreamExt};

use catalog::Catalog;
use runtime::{Tasks, Workers, World};
use storage::Engine;
use tokio::sync::{mpsc, oneshot};

use crate::database::DatabaseCatalog;
use crate::delete;
use crate::depth;
use crate::error::{Stage, from_datafusion, to_datafusion};
use crate::session::Sessions;
use crate::system::{NodeRow, TokenEventRows};
use crate::table::Source;
use crate::{Access, Error};

/// Batches computed before the reader has taken the one before.
const BATCHES_AHEAD: usize = 2;

const NS_PER_MS: i64 = 1_000_000;

/// Settings of the query engine.
#[derive(Clone, Debug)]
pub struct Config {
    /// Memory for sorts, joins and aggregates of all queries together.
    pub memory_bytes: usize,
    /// Partitions a query is split into.
    pub threads: usize,
}

/// A value for a `$name` placeholder.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    Null,
    Boolean(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    String(String),
    /// The one value of an array of length one, of whatever type; that of a union is the value within.
    Arrow(ArrayRef),
}

/// One SQL statement for one database.
#[derive(Clone, Debug)]
pub struct Query {
    pub database: String,
    pub text: String,
    /// By name, without the `$`.
    pub parameters: Vec<(String, Parameter)>,
    /// Whether a DELETE is carried out, for whom `access` allows it; otherwise it is `Denied`.
    pub may_delete: bool,
    /// What exists for the statement.
    pub access: Access,
}

/// A running query. Dropping the stream ends it.
pub struct QueryResult {
    pub schema: SchemaRef,
    pub batches: BoxStream<'static, Result<RecordBatch, Error>>,
}

/// Plans and runs queries.
pub struct QueryEngine {
    sessions: Sessions,
    partitions: usize,
    storage: Arc<Engine>,
    catalog: Arc<Catalog>,
    world: World,
    workers: Workers,
    token_events: TokenEventRows,
    node: Option<Arc<NodeRow>>,
    without_auth: bool,
}

impl QueryEngine {
    /// Builds what all queries share: memory pool, spill folder, functions. Spills go to the operating system's
    /// folder for temporary files, which is only touched when a query needs it.
    pub fn new(
        config: Config,
        storage: Arc<Engine>,
        catalog: Arc<Catalog>,
        world: World,
    ) -> Result<Self, Error> {
        let sessions =
            Sessions::new(&config).map_err(|fault| from_datafusion(&fault, Stage::Planning))?;
        Ok(Self {
            workers: Workers::start("query", config.threads)?,
            sessions,
            partitions: config.threads.max(1),
            storage,
            catalog,
            world,
            token_events: TokenEventRows::default(),
            node: None,
            without_auth: false,
        })
    }

    /// Shows these events of tokens in `system.token_events`, which has no rows otherwise.
    pub fn with_token_events(mut self, events: TokenEventRows) -> Self {
        self.token_events = events;
        self
    }

    /// Shows this node in `system.nodes`, which has no rows otherwise.
    pub fn with_node(mut self, node: NodeRow) -> Self {
        self.node = Some(Arc::new(node));
        self
    }

    /// Says that the node asks for no tokens, which leaves hashes out of `system.tokens`.
    pub fn with_authentication_off(mut self, off: bool) -> Self {
        self.without_auth = off;
        self
    }

    /// Memory that running queries hold for sorts, joins and aggregates.
    pub fn memory_bytes(&self) -> usize {
        self.sessions.memory_bytes()
    }

    /// Plans `query` and starts it. Errors have the kinds of spec/query-sql.md §1.4: `NotFound` for an unknown database (its
    /// message is `database not found: NAME`), `Denied` where nothing may be read, `Invalid` for syntax and planning, `Unsupported` for what DataFusion cannot do.
    /// A DELETE is over when this returns, even if nobody waits for it any more; its answer is one row, `count`. `Denied` without
    /// the right to delete, `Conflict` when the table or database is deleted itself.
    /// In the stream: `Unavailable` when memory runs out, storage's own kinds, otherwise `Internal`.
    pub async fn sql(&self, query: Query) -> Result<QueryResult, Error> {
        let session = self.session(&query.database, &query.access)?;
        let (planned, schema) = oneshot::channel();
        let (batches, receiver) = mpsc::channel(BATCHES_AHEAD);
        let running = self.workers.run(run(
            session,
            query,
            self.world.tasks.clone(),
            planned,
            batches,
        ));
        let schema = schema
            .await
            .map_err(|_| Error::unavailable("the query engine is shut down"))??;
        // Whoever drops the stream drops the work with it.
        let batches = stream::unfold((receiver, running), |(mut receiver, running)| async move {
            let batch = receiver.recv().await?;
            Some((batch, (receiver, running)))
        });
        Ok(QueryResult {
            schema,
            batches: batches.boxed(),
        })
    }

    pub(crate) fn workers(&self) -> &Workers {
        &self.workers
    }

    pub(crate) fn session(&self, database: &str, access: &Access) -> Result<SessionState, Error> {
        let snapshot = self.catalog.snapshot();
        if !access.may_enter(&snapshot, database) {
            return Err(Error::denied("reading the database is not allowed"));
        }
        let now_ns = self.world.clock.now_ns();
        // A deleted database answers under the name it was given then, until its data has to go.
        let Some(database) = snapshot
            .database_named(database)
            .filter(|database| !is_due(database.hard_delete_at_ms, now_ns))
        else {
            return Err(Error::not_found(format!("database not found: {database}")));
        };
        let source = Source {
            storage: Arc::clone(&self.storage),
            snapshot: Arc::clone(&snapshot),
            now_ns,
            partitions: self.partitions,
            token_events: self.token_events.clone(),
            node: self.node.clone(),
            without_auth: self.without_auth,
            access: access.clone(),
        };
        let tables = DatabaseCatalog::new(Arc::clone(database), source);
        Ok(self.sessions.session(Arc::new(tables), now_ns))
    }
}

impl fmt::Debug for QueryEngine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("QueryEngine")
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

fn is_due(hard_delete_at_ms: Option<i64>, now_ns: i64) -> bool {
    hard_delete_at_ms.is_some_and(|at_ms| at_ms <= now_ns.div_euclid(NS_PER_MS))
}

/// A query from its text to its last batch, on the workers' threads.
async fn run(
    session: SessionState,
    query: Query,
    tasks: Tasks,
    planned: oneshot::Sender<Result<SchemaRef, Error>>,
    batches: mpsc::Sender<Result<RecordBatch, Error>>,
) {
    let started = start(&session, query, &tasks);
    let running = match AssertUnwindSafe(started).catch_unwind().await {
        Ok(running) => running.map_err(|fault| from_datafusion(&fault, Stage::Planning)),
        Err(panic) => Err(panicked(panic.as_ref())),
    };
    let running = match running {
        Ok(running) => running,
        Err(fault) => {
            // Whoever asked may have gone; then nobody needs the answer.
            let _ = planned.send(Err(fault));
            return;
        }
    };
    if planned.send(Ok(running.schema())).is_err() {
        return;
    }
    let mut running = AssertUnwindSafe(running).catch_unwind();
    while let Some(polled) = running.next().await {
        let batch = match polled {
            Ok(batch) => batch.map_err(|fault| from_datafusion(&fault, Stage::Execution)),
            Err(panic) => Err(panicked(panic.as_ref())),
        };
        if batches.send(batch).await.is_err() {
            return;
        }
    }
}

async fn start(
    session: &SessionState,
    query: Query,
    tasks: &Tasks,
) -> PlanResult<SendableRecordBatchStream> {
    let plan = logical_plan(session, &query.text).await?;
    let plan = plan.with_param_values(bound(query.parameters)?)?;
    if let LogicalPlan::Dml(statement) = &plan {
        if !query.may_delete {
            return Err(to_datafusion(Error::denied("deleting rows is not allowed")));
        }
        return delete::run(session, statement, tasks).await;
    }
    let plan: Arc<dyn ExecutionPlan> = session.create_physical_plan(&plan).await?;
    execute_stream(plan, session.task_ctx())
}

/// One statement as a plan: it reads, or it deletes rows. Views, tables and settings are never changed through a query.
pub(crate) async fn logical_plan(session: &SessionState, text: &str) -> PlanResult<LogicalPlan> {
    depth::check(text)?;
    let dialect = session.config_options().sql_parser.dialect;
    let statement = session.sql_to_statement(text, &dialect)?;
    refuse_truncate(&statement)?;
    let plan = delete::explained(session.statement_to_plan(statement).await?);
    if delete::is_delete(&plan) {
        return Ok(plan);
    }
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)?;
    Ok(plan)
}

/// The contract counts TRUNCATE among the statements that cannot be planned, whatever the planner learns
/// (spec/query-sql.md §1.4).
fn refuse_truncate(statement: &Statement) -> PlanResult<()> {
    match statement {
        Statement::Statement(statement) if matches!(**statement, ast::Statement::Truncate(_)) => {
            let text = format!("Unsupported SQL statement: {statement}");
            Err(DataFusionError::NotImplemented(text))
        }
        _ => Ok(()),
    }
}

/// The last value wins when a name comes twice.
pub(crate) fn bound(
    parameters: Vec<(String, Parameter)>,
) -> PlanResult<Vec<(String, ScalarValue)>> {
    let scalar = |parameter| -> PlanResult<ScalarValue> {
        Ok(match parameter {
            Parameter::Null => ScalarValue::Null,
            Parameter::Boolean(value) => ScalarValue::Boolean(Some(value)),
            Parameter::Integer(value) => ScalarValue::Int64(Some(value)),
            Parameter::Unsigned(value) => ScalarValue::UInt64(Some(value)),
            Parameter::Float(value) => ScalarValue::Float64(Some(value)),
            Parameter::String(value) => ScalarValue::Utf8(Some(value)),
            Parameter::Arrow(value) => scalar_of(value)?,
        })
    };
    parameters
        .into_iter()
        .map(|(name, parameter)| Ok((name, scalar(parameter)?)))
        .collect()
}

fn scalar_of(mut value: ArrayRef) -> PlanResult<ScalarValue> {
    while let DataType::Union(..) = value.data_type() {
        if value.len() != 1 {
            break;
        }
        value = value.as_union().value(0);
    }
    match value.len() {
        1 => ScalarValue::try_from_array(&value, 0),
        length => plan_err!("a parameter must be one value, not {length}"),
    }
}

/// A fault inside DataFusion that should end one query and nothing else.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::internal(format!("query engine failed: {text}"))
}
