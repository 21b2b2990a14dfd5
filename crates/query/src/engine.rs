//! The query engine: one statement in, a schema and a stream of batches out.
//!
//! Parse, plan, bind, optimize, run, all on threads of their own (`runner`); a DELETE is worked out in `delete` and done by storage; every step reports its faults through `error`. What a statement may be is
//! spec/query-sql.md §4. Not here: how the answer looks on the wire (`server`).

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{DataFusionError, Result as PlanResult, ScalarValue, plan_err};
use datafusion::execution::SessionState;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use futures::stream::{BoxStream, StreamExt};
use tracing::Instrument;
use uuid::Uuid;

use catalog::{Catalog, Database, TokenId};
use runtime::{Workers, World};
use storage::Engine;

use crate::admission::Admission;
use crate::database::DatabaseCatalog;
use crate::delete;
use crate::depth;
use crate::error::{Stage, from_datafusion};
use crate::queries::{LoggedQuery, Observer, Origin, Phase, Queries, QueryStatistics, Stop};
use crate::runner::{self, Ending, Job, Rows};
use crate::session::Sessions;
use crate::spill::SpillFolder;
use crate::system::{NodeRow, TokenEventRows};
use crate::table::Source;
use crate::{Access, Error};

const NS_PER_MS: i64 = 1_000_000;

/// Settings of the query engine.
#[derive(Clone, Debug)]
pub struct Config {
    /// Memory for sorts, joins and aggregates of all queries together.
    pub memory_bytes: usize,
    /// And of one of them.
    pub query_memory_bytes: usize,
    /// Partitions a query is split into.
    pub threads: usize,
    /// Queries that run at once.
    pub concurrent_max: usize,
    /// Queries that wait for others to end.
    pub waiting_max: usize,
    /// How long each of these waits.
    pub wait_max: Duration,
    /// How long a query may take, from its receipt to its end.
    pub timeout: Option<Duration>,
    /// Queries remembered after their end.
    pub log_entries: usize,
}

impl Config {
    /// Limits that suit that much memory and so many threads.
    pub fn new(memory_bytes: usize, threads: usize) -> Self {
        Self {
            memory_bytes,
            query_memory_bytes: memory_bytes / 2,
            threads,
            concurrent_max: Self::concurrent_by_default(threads),
            waiting_max: 1_000,
            wait_max: Duration::from_secs(30),
            timeout: None,
            log_entries: 1_000,
        }
    }

    /// Enough that a page of dashboards never waits for itself, and few enough that each query gets on.
    pub fn concurrent_by_default(threads: usize) -> usize {
        threads.saturating_mul(16).max(64)
    }
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
    pub origin: Origin,
}

/// A running query. Dropping the stream ends it.
pub struct QueryResult {
    /// What is known of it while it runs and afterwards.
    pub query: Arc<LoggedQuery>,
    pub schema: SchemaRef,
    pub batches: BoxStream<'static, Result<RecordBatch, Error>>,
}

/// Plans and runs queries.
pub struct QueryEngine {
    sessions: Arc<Sessions>,
    admission: Arc<Admission>,
    queries: Arc<Queries>,
    timeout: Option<Duration>,
    /// At the start.
    concurrent_max: usize,
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
    /// Builds what all queries share: memory, places, functions. Without a folder for what exceeds their memory, the operating
    /// system's for temporary files is used, and only touched when a query needs it.
    pub fn new(
        config: Config,
        spill: Option<SpillFolder>,
        storage: Arc<Engine>,
        catalog: Arc<Catalog>,
        world: World,
    ) -> Result<Self, Error> {
        let sessions = Sessions::new(&config, spill)
            .map_err(|fault| from_datafusion(&fault, Stage::Planning))?;
        let places = config.concurrent_max.max(1);
        let clock = Arc::clone(&world.clock);
        Ok(Self {
            workers: Workers::start("query", config.threads)?,
            sessions: Arc::new(sessions),
            admission: Arc::new(Admission::new(places, config.waiting_max, config.wait_max)),
            queries: Arc::new(Queries::new(
                clock,
                world.random.clone(),
                config.log_entries,
            )),
            timeout: config.timeout,
            concurrent_max: places,
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

    /// Tells this of every query when it ends. Before any query only.
    pub fn with_observer(mut self, observer: Observer) -> Self {
        if let Some(queries) = Arc::get_mut(&mut self.queries) {
            queries.observe(observer);
        }
        self
    }

    /// Memory that running queries hold for sorts, joins and aggregates.
    pub fn memory_bytes(&self) -> usize {
        self.sessions.memory_bytes()
    }

    /// What the queries of this node do, and what became of those before.
    pub fn statistics(&self) -> QueryStatistics {
        QueryStatistics {
            waiting: self.admission.waiting() as u64,
            refused: self.admission.refused(),
            places: self.admission.places() as u64,
            ..self.queries.statistics()
        }
    }

    /// How many queries run at once.
    pub fn concurrent_max(&self) -> usize {
        self.admission.places()
    }

    /// Changes how many queries run at once, at least one; `None` is what it was at the start. Those that run go on.
    pub fn set_concurrent_max(&self, concurrent_max: Option<usize>) {
        let places = concurrent_max.unwrap_or(self.concurrent_max);
        self.admission.set_places(places.max(1));
    }

    /// Stops the query of that id. Whoever has its rows gets `Cancelled` instead of the rest.
    ///
    /// Errors: `NotFound` when no such query runs, and for everybody but admins and the owner of the token that asked it.
    pub fn cancel(&self, id: Uuid, access: &Access, token: Option<TokenId>) -> Result<(), Error> {
        self.queries.cancel(id, access, token)
    }

    /// Plans `query` and starts it. Errors have the kinds of spec/query-sql.md §1.4: `NotFound` for an unknown database (its
    /// message is `database not found: NAME`), `Denied` where nothing may be read, `Invalid` for syntax and planning, `Unsupported` for what DataFusion cannot do.
    /// A DELETE is over when this returns, even if nobody waits for it any more; its answer is one row, `count`. `Denied` without
    /// the right to delete, `Conflict` when the table or database is deleted itself.
    /// In the stream: `Unavailable` when memory runs out or no place becomes free, storage's own kinds, otherwise `Internal`.
    /// At any time: `Timeout`, and `Cancelled` by [`QueryEngine::cancel`].
    pub async fn sql(&self, query: Query) -> Result<QueryResult, Error> {
        let Query { origin, access, .. } = &query;
        let (database, session) = self.enter(&query.database, access, origin.token)?;
        let logged = self.queries.receive(database.id, &query.text, origin)?;
        let span = tracing::info_span!(
            "query",
            id = %logged.id(),
            database = %query.database,
            kind = origin.kind.name(),
        );
        span.in_scope(|| tracing::debug!(text = %query.text, "query received"));
        let timeout = self.timeout.into_iter().chain(origin.timeout).min();
        if let Some(timeout) = timeout {
            self.stop_after(timeout, &logged);
        }
        let job = Job {
            session,
            query,
            logged: Arc::clone(&logged),
            sessions: Arc::clone(&self.sessions),
            admission: Arc::clone(&self.admission),
            tasks: self.world.tasks.clone(),
        };
        let (sender, mut receiver) = runner::way();
        let running = self.workers.run(runner::work(job, sender).instrument(span));
        let ending = Ending::new(Arc::clone(&logged), running);
        let planned = tokio::select! {
            biased;
            () = logged.stopped().cancelled() => Err(logged
                .stop_reason()
                .unwrap_or(Stop::Dropped)
                .error()),
            planned = &mut receiver.schema => planned
                .unwrap_or_else(|_| Err(Error::unavailable("the query engine is shut down"))),
        };
        match planned {
            Ok(schema) => Ok(QueryResult {
                query: logged,
                schema,
                batches: Rows::new(receiver, ending).boxed(),
            }),
            Err(fault) => {
                logged.ended(Phase::Fail);
                Err(fault)
            }
        }
    }

    /// Stops a query that has not ended by then, whoever reads it or not.
    fn stop_after(&self, timeout: Duration, logged: &Arc<LoggedQuery>) {
        let logged = Arc::clone(logged);
        // Ends with the query.
        let _watch = self.world.tasks.detach(async move {
            tokio::select! {
                () = logged.stopped().cancelled() => {}
                () = tokio::time::sleep(timeout) => logged.stop(Stop::TimedOut(timeout)),
            }
        });
    }

    pub(crate) fn workers(&self) -> &Workers {
        &self.workers
    }

    /// A session for planning alone.
    pub(crate) fn session(&self, database: &str, access: &Access) -> Result<SessionState, Error> {
        self.enter(database, access, None)
            .map(|(_, session)| session)
    }

    fn enter(
        &self,
        database: &str,
        access: &Access,
        token: Option<TokenId>,
    ) -> Result<(Arc<Database>, SessionState), Error> {
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
            token,
            queries: Arc::clone(&self.queries),
        };
        let tables = DatabaseCatalog::new(Arc::clone(database), source);
        let session = self.sessions.session(Arc::new(tables), now_ns);
        Ok((Arc::clone(database), session))
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
