//! The queries of a node: which run and which were the last to end, how far each is, what it took, and how to stop one.
//!
//! Every statement is received here before it is planned and ended here whatever becomes of it: by its last row, by a failure, by
//! a client that goes away, by somebody who stops it, by its own timeout. The first of these counts. What is kept of those that ended is
//! bounded in number and size, and holds nothing that was read. Not here: running (`runner`), the table that shows them
//! (`system/queries`).

mod entry;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use catalog::{Database, DatabaseId, TokenId};
use parking_lot::Mutex;
use runtime::{Clock, Random};
use uuid::Uuid;

use crate::{Access, Error};

pub use entry::{Figures, LoggedQuery};
pub(crate) use entry::{Snapshot, Stop};

/// The most bytes kept of a statement.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// What stands after a text that is longer.
const CUT: &str = "…";

/// The most bytes kept of a trace id.
const TRACE_ID_BYTES_MAX: usize = 128;

/// The language and way in which a statement was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueryKind {
    #[default]
    Sql,
    InfluxQl,
    FlightSql,
}

impl QueryKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::InfluxQl => "influxql",
            Self::FlightSql => "flightsql",
        }
    }
}

/// Where a statement comes from, and for how long it may run.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub kind: QueryKind,
    /// What the log says before the text: the command that carried it.
    pub command: Option<&'static str>,
    /// Whose it is, where tokens are asked for.
    pub token: Option<TokenId>,
    /// Of the request it belongs to, as its client names it.
    pub trace_id: Option<String>,
    /// What the query is to be called, if no query that runs is called so.
    pub id: Option<Uuid>,
    /// When it has to end, counted from its receipt. The node's own bound holds too.
    pub timeout: Option<Duration>,
}

/// How far a query is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Received,
    LogicallyPlanned,
    PhysicallyPlanned,
    ExecutionPermit,
    Success,
    Fail,
    Cancel,
}

impl Phase {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::LogicallyPlanned => "logically_planned",
            Self::PhysicallyPlanned => "physically_planned",
            Self::ExecutionPermit => "execution_permit",
            Self::Success => "success",
            Self::Fail => "fail",
            Self::Cancel => "cancel",
        }
    }

    /// Whether the query has ended.
    pub(crate) fn is_last(self) -> bool {
        matches!(self, Self::Success | Self::Fail | Self::Cancel)
    }
}

/// Is told how long each query took, from its receipt to its end.
pub type Observer = Box<dyn Fn(Duration) + Send + Sync>;

/// What became of the queries of a node since its start, and what they do now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryStatistics {
    /// Received and not ended, those that wait included.
    pub running: u64,
    /// Of these, those that wait for a place.
    pub waiting: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub cancelled: u64,
    /// Of the failed ones, those that found no place in time.
    pub refused: u64,
    /// How many may run at once.
    pub places: u64,
}

/// All queries of a node that are known.
pub(crate) struct Queries {
    clock: Arc<dyn Clock>,
    random: Random,
    /// Of those that have ended.
    kept_max: usize,
    kept: Mutex<Kept>,
    succeeded: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    observer: Option<Observer>,
}

#[derive(Default)]
struct Kept {
    received: u64,
    /// By the order of receipt.
    running: BTreeMap<u64, Arc<LoggedQuery>>,
    /// By the order of their ends.
    ended: VecDeque<Arc<LoggedQuery>>,
}

impl Queries {
    pub(crate) fn new(clock: Arc<dyn Clock>, random: Random, kept_max: usize) -> Self {
        Self {
            clock,
            random,
            kept_max,
            kept: Mutex::default(),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            observer: None,
        }
    }

    pub(crate) fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    /// Notes a statement that has come in.
    pub(crate) fn receive(
        self: &Arc<Self>,
        database: DatabaseId,
        text: &str,
        origin: &Origin,
    ) -> Result<Arc<LoggedQuery>, Error> {
        let mut drawn = [0; 16];
        self.random.fill(&mut drawn)?;
        let drawn = uuid::Builder::from_random_bytes(drawn).into_uuid();
        let mut kept = self.kept.lock();
        let is_taken = |id: &Uuid| kept.running.values().any(|query| query.id() == *id);
        let id = origin.id.filter(|id| !is_taken(id)).unwrap_or(drawn);
        let number = kept.received;
        kept.received += 1;
        let query = Arc::new(LoggedQuery::new(
            entry::Received {
                id,
                number,
                database,
                text: shown(text, origin.command),
                kind: origin.kind,
                token: origin.token,
                trace_id: origin
                    .trace_id
                    .as_deref()
                    .map(|id| cut(id, TRACE_ID_BYTES_MAX).to_string()),
            },
            self,
        ));
        kept.running.insert(number, Arc::clone(&query));
        Ok(query)
    }

    /// Puts a query from those that run to those that have ended.
    fn ended(&self, query: &LoggedQuery, phase: Phase, took: Duration) {
        let count = match phase {
            Phase::Success => &self.succeeded,
            Phase::Cancel => &self.cancelled,
            _ => &self.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if let Some(observer) = &self.observer {
            observer(took);
        }
        let mut kept = self.kept.lock();
        if let Some(query) = kept.running.remove(&query.number()) {
            kept.ended.push_back(query);
        }
        while kept.ended.len() > self.kept_max {
            kept.ended.pop_front();
        }
    }

    /// Stops the query of that id, for those who may: admins, and who asked it. It need not have stopped when this returns.
    ///
    /// Errors: `NotFound` when no such query runs, or for others.
    pub(crate) fn cancel(
        &self,
        id: Uuid,
        access: &Access,
        token: Option<TokenId>,
    ) -> Result<(), Error> {
        let found = {
            let kept = self.kept.lock();
            let mut running = kept.running.values();
            running.find(|query| query.id() == id).cloned()
        };
        match found {
            Some(query) if access.is_admin() || query.is_of(token) => {
                query.stop(Stop::Asked);
                Ok(())
            }
            _ => Err(Error::not_found(format!("no query {id} is running"))),
        }
    }

    /// Those that a statement on `database` may show, in the order of their receipt: of this database, in `_internal` of all; of
    /// these those of databases that may be read whole, and the caller's own.
    pub(crate) fn visible(
        &self,
        database: &Database,
        access: &Access,
        token: Option<TokenId>,
    ) -> Vec<Snapshot> {
        let mut known: Vec<Arc<LoggedQuery>> = {
            let kept = self.kept.lock();
            let all = kept.ended.iter().chain(kept.running.values());
            all.filter(|query| database.is_internal() || query.database() == database.id)
                .cloned()
                .collect()
        };
        known.retain(|query| access.may_read_all_of(query.database()) || query.is_of(token));
        known.sort_unstable_by_key(|query| query.number());
        known.iter().map(|query| query.snapshot()).collect()
    }

    pub(crate) fn statistics(&self) -> QueryStatistics {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        QueryStatistics {
            running: self.kept.lock().running.len() as u64,
            succeeded: count(&self.succeeded),
            failed: count(&self.failed),
            cancelled: count(&self.cancelled),
            ..QueryStatistics::default()
        }
    }
}

impl fmt::Debug for Queries {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Queries({:?})", self.statistics())
    }
}

/// A statement as the log shows it, after the command that carried it, and no longer than is kept.
fn shown(text: &str, command: Option<&str>) -> String {
    let mut shown = String::new();
    if let Some(command) = command {
        shown.push_str(command);
        shown.push(' ');
    }
    let kept = cut(text, TEXT_BYTES_MAX);
    shown.push_str(kept);
    if kept.len() < text.len() {
        shown.push_str(CUT);
    }
    shown
}

/// At most `bytes_max` bytes of `text`, whole characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
