//! One query as the node knows it: when it came how far, what it holds while it runs, and what is left of that afterwards.
//!
//! Not here: which queries are kept, and for whom (`queries`).

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use catalog::{DatabaseId, TokenId};
use datafusion::physical_plan::ExecutionPlan;
use parking_lot::Mutex;
use runtime::Clock;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Phase, Queries, QueryKind};
use crate::memory::QueryMemory;
use crate::scan::SeriesScan;
use crate::{Error, ErrorKind};

/// Why a query ends before its last row, though it has not failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Somebody asked for it.
    Asked,
    /// It ran longer than this, which was allowed.
    TimedOut(Duration),
    /// Nobody wants its rows any more.
    Dropped,
}

impl Stop {
    pub(crate) fn error(self) -> Error {
        match self {
            Self::Asked | Self::Dropped => {
                Error::new(ErrorKind::Cancelled, "the query was cancelled")
            }
            Self::TimedOut(timeout) => Error::new(
                ErrorKind::Timeout,
                format!("the query did not end within its timeout of {timeout:?}"),
            ),
        }
    }
}

/// What is known of a query from the beginning.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) id: Uuid,
    /// In the order of receipt.
    pub(super) number: u64,
    pub(super) database: DatabaseId,
    pub(super) text: String,
    pub(super) kind: QueryKind,
    pub(super) token: Option<TokenId>,
    pub(super) trace_id: Option<String>,
}

/// A query, running or ended.
pub struct LoggedQuery {
    received: Received,
    /// Which keeps this one.
    log: Weak<Queries>,
    clock: Arc<dyn Clock>,
    /// Nanoseconds since the epoch.
    issue_time_ns: i64,
    /// On the monotonic clock, as all moments here.
    received_at: Duration,
    /// Fires when the query has ended or has to.
    stopped: CancellationToken,
    progress: Mutex<Progress>,
}

struct Progress {
    phase: Phase,
    logically_planned_at: Option<Duration>,
    physically_planned_at: Option<Duration>,
    permitted_at: Option<Duration>,
    ended_at: Option<Duration>,
    stop: Option<Stop>,
    scans: Option<Scans>,
    /// While it runs.
    plan: Option<Arc<dyn ExecutionPlan>>,
    memory: Option<QueryMemory>,
    /// Once it has ended.
    compute: Option<Duration>,
    memory_bytes_max: Option<usize>,
}

/// How much a plan reads.
#[derive(Clone, Copy, Debug, Default)]
struct Scans {
    partitions: usize,
    files: usize,
}

/// A query at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) id: Uuid,
    pub(crate) phase: Phase,
    pub(crate) issue_time_ns: i64,
    pub(crate) kind: QueryKind,
    pub(crate) text: String,
    pub(crate) trace_id: Option<String>,
    pub(crate) figures: Figures,
}

/// What a query took, as far as it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub logical_planning: Option<Duration>,
    pub physical_planning: Option<Duration>,
    /// Both of them.
    pub planning: Option<Duration>,
    /// Waiting for a place.
    pub queue: Option<Duration>,
    /// From its place to its end.
    pub execution: Option<Duration>,
    /// From its receipt to its end.
    pub end_to_end: Option<Duration>,
    /// Computing, of all threads together.
    pub compute: Option<Duration>,
    /// Streams its tables are read in.
    pub partitions: Option<u64>,
    pub parquet_files: Option<u64>,
    /// The most that sorts, joins and aggregates held at once.
    pub memory_bytes_max: Option<u64>,
}

impl LoggedQuery {
    pub(super) fn new(received: Received, log: &Arc<Queries>) -> Self {
        Self {
            received,
            issue_time_ns: log.clock.now_ns(),
            received_at: log.clock.monotonic(),
            log: Arc::downgrade(log),
            clock: Arc::clone(&log.clock),
            stopped: CancellationToken::new(),
            progress: Mutex::new(Progress {
                phase: Phase::Received,
                logically_planned_at: None,
                physically_planned_at: None,
                permitted_at: None,
                ended_at: None,
                stop: None,
                scans: None,
                plan: None,
                memory: None,
                compute: None,
                memory_bytes_max: None,
            }),
        }
    }

    /// What it is called; unique among those that run.
    pub fn id(&self) -> Uuid {
        self.received.id
    }

    /// What it took, as far as it has come.
    pub fn figures(&self) -> Figures {
        self.figures_of(&self.progress.lock())
    }

    pub(super) fn number(&self) -> u64 {
        self.received.number
    }

    pub(super) fn database(&self) -> DatabaseId {
        self.received.database
    }

    /// Whether the owner of this token asked it.
    pub(super) fn is_of(&self, token: Option<TokenId>) -> bool {
        token.is_some() && token == self.received.token
    }

    pub(crate) fn logically_planned(&self) {
        let now = self.clock.monotonic();
        let mut progress = self.progress.lock();
        if !progress.phase.is_last() {
            progress.phase = Phase::LogicallyPlanned;
            progress.logically_planned_at = Some(now);
        }
    }

    /// `plan` is missing for a statement that has none, as one that deletes.
    pub(crate) fn physically_planned(&self, plan: Option<Arc<dyn ExecutionPlan>>) {
        let now = self.clock.monotonic();
        let scans = plan.as_ref().map(Scans::of);
        let mut progress = self.progress.lock();
        if !progress.phase.is_last() {
            progress.phase = Phase::PhysicallyPlanned;
            progress.physically_planned_at = Some(now);
            progress.scans = scans;
            progress.plan = plan;
        }
    }

    pub(crate) fn permitted(&self, memory: QueryMemory) {
        let now = self.clock.monotonic();
        let mut progress = self.progress.lock();
        if !progress.phase.is_last() {
            progress.phase = Phase::ExecutionPermit;
            progress.permitted_at = Some(now);
            progress.memory = Some(memory);
        }
    }

    /// Ends it by its last row, or by a failure. Of several ends the first counts.
    pub(crate) fn ended(&self, phase: Phase) {
        self.end(phase, None);
    }

    /// Ends it before that.
    pub(crate) fn stop(&self, why: Stop) {
        self.end(Phase::Cancel, Some(why));
    }

    /// Fires when it has ended or has to.
    pub(crate) fn stopped(&self) -> &CancellationToken {
        &self.stopped
    }

    /// Why it had to end, if it had to.
    pub(crate) fn stop_reason(&self) -> Option<Stop> {
        self.progress.lock().stop
    }

    fn end(&self, phase: Phase, stop: Option<Stop>) {
        let now = self.clock.monotonic();
        let held = {
            let mut progress = self.progress.lock();
            if progress.phase.is_last() {
                return;
            }
            progress.phase = phase;
            progress.stop = stop;
            progress.ended_at = Some(now);
            let plan = progress.plan.take();
            let memory = progress.memory.take();
            progress.compute = plan.as_ref().map(compute_time);
            progress.memory_bytes_max = memory.as_ref().map(QueryMemory::most_bytes);
            (plan, memory)
        };
        // What a plan holds is given back without the lock.
        drop(held);
        self.stopped.cancel();
        let took = now.saturating_sub(self.received_at);
        tracing::debug!(
            query_id = %self.received.id,
            phase = phase.name(),
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "query ended"
        );
        if let Some(log) = self.log.upgrade() {
            log.ended(self, phase, took);
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let progress = self.progress.lock();
        Snapshot {
            id: self.received.id,
            phase: progress.phase,
            issue_time_ns: self.issue_time_ns,
            kind: self.received.kind,
            text: self.received.text.clone(),
            trace_id: self.received.trace_id.clone(),
            figures: self.figures_of(&progress),
        }
    }

    fn figures_of(&self, progress: &Progress) -> Figures {
        let between = |from: Option<Duration>, to: Option<Duration>| {
            from.zip(to).map(|(from, to)| to.saturating_sub(from))
        };
        let received_at = Some(self.received_at);
        let as_u64 = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let memory = progress.memory.as_ref().map(QueryMemory::most_bytes);
        Figures {
            logical_planning: between(received_at, progress.logically_planned_at),
            physical_planning: between(
                progress.logically_planned_at,
                progress.physically_planned_at,
            ),
            planning: between(received_at, progress.physically_planned_at),
            queue: between(progress.physically_planned_at, progress.permitted_at),
            execution: between(progress.permitted_at, progress.ended_at),
            end_to_end: between(received_at, progress.ended_at),
            compute: progress
                .compute
                .or_else(|| progress.plan.as_ref().map(compute_time)),
            partitions: progress.scans.map(|scans| as_u64(scans.partitions)),
            parquet_files: progress.scans.map(|scans| as_u64(scans.files)),
            memory_bytes_max: progress.memory_bytes_max.or(memory).map(as_u64),
        }
    }
}

impl fmt::Debug for LoggedQuery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LoggedQuery({})", self.received.id)
    }
}

impl Scans {
    fn of(plan: &Arc<dyn ExecutionPlan>) -> Self {
        let mut all = Self::default();
        for_each(plan, &mut |node| {
            if let Some(scan) = node.downcast_ref::<SeriesScan>() {
                all.partitions += scan.scan().partitions();
                all.files += scan.scan().files();
            }
        });
        all
    }
}

/// What the operators of a plan have computed so far, all threads together.
fn compute_time(plan: &Arc<dyn ExecutionPlan>) -> Duration {
    let mut ns = 0_u64;
    for_each(plan, &mut |node| {
        let metrics = node.metrics();
        let own = metrics.and_then(|metrics| metrics.elapsed_compute());
        ns = ns.saturating_add(own.unwrap_or(0) as u64);
    });
    Duration::from_nanos(ns)
}

fn for_each(plan: &Arc<dyn ExecutionPlan>, visit: &mut dyn FnMut(&Arc<dyn ExecutionPlan>)) {
    visit(plan);
    for child in plan.children() {
        for_each(child, visit);
    }
}
