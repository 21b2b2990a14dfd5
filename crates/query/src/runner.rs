//! One query from its text to its last row: planned, admitted, run, and ended in the same way for every endpoint.
//!
//! The work goes on on threads of its own ([`work`]) and hands batches over as they are taken ([`Rows`]); either side may end it,
//! and `queries` hears of every step. What says nothing about rows of tables needs no place and never waits. Not here: parsing
//! and planning (`engine`), who is next (`admission`), memory (`memory`).

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result as PlanResult;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::FutureExt;
use futures::stream::{Stream, StreamExt};
use runtime::Tasks;
use runtime::workers::Running;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::admission::{Admission, Admitted};
use crate::engine::{Query, bound, logical_plan, panicked};
use crate::error::{Stage, from_datafusion, to_datafusion};
use crate::planning::physical_plan;
use crate::queries::{LoggedQuery, Phase, Stop};
use crate::session::{SCHEMA, Sessions};
use crate::stopping::stoppable;
use crate::{Error, delete};

/// Batches computed before the reader has taken the one before.
const BATCHES_AHEAD: usize = 2;

/// A query and what it needs.
pub(crate) struct Job {
    pub(crate) session: SessionState,
    pub(crate) query: Query,
    pub(crate) logged: Arc<LoggedQuery>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) tasks: Tasks,
}

/// The two ends of a query's way to its reader.
pub(crate) struct Sender {
    schema: oneshot::Sender<Result<SchemaRef, Error>>,
    batches: mpsc::Sender<Item>,
}

pub(crate) struct Receiver {
    pub(crate) schema: oneshot::Receiver<Result<SchemaRef, Error>>,
    batches: mpsc::Receiver<Item>,
}

/// What is handed over: batches, and then that there are no more.
enum Item {
    Batch(Result<RecordBatch, Error>),
    End,
}

pub(crate) fn way() -> (Sender, Receiver) {
    let (schema, schema_receiver) = oneshot::channel();
    let (batches, batch_receiver) = mpsc::channel(BATCHES_AHEAD);
    (
        Sender { schema, batches },
        Receiver {
            schema: schema_receiver,
            batches: batch_receiver,
        },
    )
}

/// Does the work of a query, until it is done or stopped.
pub(crate) async fn work(job: Job, sender: Sender) {
    let logged = Arc::clone(&job.logged);
    tokio::select! {
        biased;
        // Also while the reader does not read: its place and its memory are free from here on.
        () = logged.stopped().cancelled() => {}
        () = run(job, sender) => {}
    }
}

/// Its reader says how it ended, having seen the end; nothing here does.
async fn run(job: Job, sender: Sender) {
    let admission = Arc::clone(&job.admission);
    let begun = match AssertUnwindSafe(plan(job)).catch_unwind().await {
        Ok(planned) => planned.map_err(|fault| from_datafusion(&fault, Stage::Planning)),
        Err(panic) => Err(panicked(panic.as_ref())),
    };
    let (schema, begun) = match begun {
        Ok(begun) => begun,
        Err(fault) => {
            // Whoever asked may have gone; then nobody needs the answer.
            let _ = sender.schema.send(Err(fault));
            return;
        }
    };
    if sender.schema.send(Ok(schema)).is_err() {
        return;
    }
    let (rows, _place) = match begun {
        Begun::Running(rows, place) => (Ok(rows), place),
        Begun::Planned(planned) => match planned.place(&admission).await {
            Ok(place) => (planned.execute(), place),
            Err(fault) => {
                let _ = sender.batches.send(Item::Batch(Err(fault))).await;
                return;
            }
        },
    };
    let mut rows = match rows {
        Ok(rows) => AssertUnwindSafe(rows).catch_unwind(),
        Err(fault) => {
            let fault = from_datafusion(&fault, Stage::Execution);
            let _ = sender.batches.send(Item::Batch(Err(fault))).await;
            return;
        }
    };
    while let Some(polled) = rows.next().await {
        let batch = match polled {
            Ok(batch) => batch.map_err(|fault| from_datafusion(&fault, Stage::Execution)),
            Err(panic) => Err(panicked(panic.as_ref())),
        };
        let is_last = batch.is_err();
        if sender.batches.send(Item::Batch(batch)).await.is_err() || is_last {
            return;
        }
    }
    let _ = sender.batches.send(Item::End).await;
}

/// How far a query comes before its schema is known.
enum Begun {
    /// A statement that deletes has done so by then, and keeps its place until its count is read.
    Running(SendableRecordBatchStream, Option<Admitted>),
    Planned(Box<Planned>),
}

struct Planned {
    plan: Arc<dyn ExecutionPlan>,
    needs_place: bool,
    /// Whether a table it reads lists them.
    shows_functions: bool,
    session: SessionState,
    sessions: Arc<Sessions>,
    logged: Arc<LoggedQuery>,
}

async fn plan(job: Job) -> PlanResult<(SchemaRef, Begun)> {
    let Job {
        mut session,
        query,
        logged,
        sessions,
        admission,
        tasks,
    } = job;
    let plan = logical_plan(&session, &query.text).await?;
    let plan = plan.with_param_values(bound(query.parameters)?)?;
    logged.logically_planned();
    if let LogicalPlan::Dml(statement) = &plan {
        if !query.may_delete {
            return Err(to_datafusion(Error::denied("deleting rows is not allowed")));
        }
        logged.physically_planned(None);
        let place = admission.admit().await.map_err(to_datafusion)?;
        logged.permitted(sessions.begin_memory());
        let rows = delete::run(&session, statement, &tasks).await?;
        return Ok((rows.schema(), Begun::Running(rows, Some(place))));
    }
    let needs_place = reads_tables(&plan)?;
    let shows_functions = reads_lists(&plan)?;
    let plan = physical_plan(&mut session, &plan).await?;
    let plan = stoppable(plan, logged.stopped())?;
    logged.physically_planned(Some(Arc::clone(&plan)));
    let schema = plan.schema();
    let planned = Planned {
        plan,
        needs_place,
        shows_functions,
        session,
        sessions,
        logged,
    };
    Ok((schema, Begun::Planned(Box::new(planned))))
}

impl Planned {
    async fn place(&self, admission: &Admission) -> Result<Option<Admitted>, Error> {
        match self.needs_place {
            true => admission.admit().await.map(Some),
            false => Ok(None),
        }
    }

    fn execute(self) -> PlanResult<SendableRecordBatchStream> {
        let memory = self.sessions.begin_memory();
        self.logged.permitted(memory.clone());
        let runtime = self.sessions.runtime_of(memory);
        let context = match self.shows_functions {
            true => TaskContext::from(&self.session).with_runtime(runtime),
            false => without_functions(&self.session, runtime),
        };
        execute_stream(self.plan, Arc::new(context))
    }
}

/// What a plan runs with that does not ask which functions there are: copying their registry would take longer than a small query.
fn without_functions(session: &SessionState, runtime: Arc<RuntimeEnv>) -> TaskContext {
    TaskContext::new(
        None,
        session.session_id().to_string(),
        session.config().clone(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        runtime,
    )
}

/// Whether a plan reads what is no table of the user, such as the list of functions.
fn reads_lists(plan: &LogicalPlan) -> PlanResult<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found |= scan
                .table_name
                .schema()
                .is_some_and(|schema| schema != SCHEMA);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Whether running a plan can take long: it reads a table of the user, or multiplies rows. What the node tells of itself, a constant
/// or a plan that is only explained does neither.
fn reads_tables(plan: &LogicalPlan) -> PlanResult<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= match node {
            // Its input is not run.
            LogicalPlan::Explain(_) => return Ok(TreeNodeRecursion::Stop),
            LogicalPlan::TableScan(scan) => {
                let schema = scan.table_name.schema();
                schema.is_none_or(|schema| schema == SCHEMA)
            }
            LogicalPlan::Join(_) | LogicalPlan::Unnest(_) | LogicalPlan::RecursiveQuery(_) => true,
            _ => false,
        };
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

/// Ends a query when dropped, if nothing else has.
pub(crate) struct Ending {
    logged: Arc<LoggedQuery>,
    _running: Running,
}

impl Ending {
    pub(crate) fn new(logged: Arc<LoggedQuery>, running: Running) -> Self {
        Self {
            logged,
            _running: running,
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.logged.stop(Stop::Dropped);
    }
}

/// The rows of a query as they come. Dropping it ends the query.
pub(crate) struct Rows {
    batches: mpsc::Receiver<Item>,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    is_over: bool,
    ending: Ending,
}

impl Rows {
    pub(crate) fn new(receiver: Receiver, ending: Ending) -> Self {
        Self {
            batches: receiver.batches,
            stopped: Box::pin(ending.logged.stopped().clone().cancelled_owned()),
            is_over: false,
            ending,
        }
    }

    fn over(&mut self, phase: Phase) {
        self.is_over = true;
        self.ending.logged.ended(phase);
    }

    /// What the reader is told of a query that was stopped, or whose worker is gone.
    fn broken(&mut self) -> Error {
        self.over(Phase::Fail);
        match self.ending.logged.stop_reason() {
            Some(stop) => stop.error(),
            None => Error::unavailable("the query engine is shut down"),
        }
    }
}

impl Stream for Rows {
    type Item = Result<RecordBatch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        // What has been computed already is of no use without the rest.
        if self.ending.logged.stop_reason().is_some() {
            return Poll::Ready(Some(Err(self.broken())));
        }
        match self.batches.poll_recv(context) {
            Poll::Ready(Some(Item::Batch(Ok(batch)))) => Poll::Ready(Some(Ok(batch))),
            Poll::Ready(Some(Item::Batch(Err(error)))) => {
                self.over(Phase::Fail);
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(Some(Item::End)) => {
                self.over(Phase::Success);
                Poll::Ready(None)
            }
            Poll::Ready(None) => Poll::Ready(Some(Err(self.broken()))),
            Poll::Pending => {
                if self.stopped.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                Poll::Ready(Some(Err(self.broken())))
            }
        }
    }
}
