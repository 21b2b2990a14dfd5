//! Compaction: few large files instead of many small ones, without rows that are deleted or expired.
//!
//! Always on. What is done next is [`plan`]'s, pure; [`rewrite`] does it, one job at a time, on a thread of its own that steps
//! back ([`pace`]) while others need the machine. A job's files are stored first, then one change of the manifest swaps them for
//! the old ones, then those go ([`gc`]) once no reader holds them: a crash leaves the old set or the new one.

pub mod gc;

pub mod pace;

pub mod plan;

pub mod rewrite;

pub mod settings;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, DatabaseId, TableId};
use hashbrown::HashMap;
use parking_lot::Mutex;
use runtime::{Workers, World};
use tokio::sync::{Notify, oneshot};

use crate::Error;
use crate::file::DataFile;
use crate::live::{Live, TableAddress};
use crate::manifest::{Change, FileEntry, TombstoneEntry};
use gc::Garbage;
use pace::{Foreground, Pace};
use plan::{Job, Output, State};
use rewrite::Rewrite;
pub use settings::Settings;

/// Events kept for `system.compaction`.
const EVENTS_MAX: usize = 10_000;

/// Jobs of one table before the next table has its turn.
const JOBS_IN_TURN: usize = 8;

/// Files a job may have before compaction counts as behind and does not wait for anybody.
const INPUTS_BEHIND: usize = 64;

/// From one look at all tables to the next, when nothing says that there is something to do.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// How long a table is left alone after a job has failed.
const RETRY_WAIT_MS: i64 = 60_000;

/// What clocks may differ by, and take to be read: nothing is expired on disk before it is expired for every query.
const EXPIRY_MARGIN: Duration = Duration::from_secs(60);

/// Something compaction did, newest last; kept in memory for `system.compaction`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactionEvent {
    /// Nanoseconds since the epoch, when it ended.
    pub time_ns: i64,
    pub database: DatabaseId,
    pub table: TableId,
    /// Why: `merge`, `split`, `delete`, `expire`, `drop`.
    pub reason: &'static str,
    /// Of the rows rewritten or dropped, nanoseconds, inclusive.
    pub min_time: i64,
    pub max_time: i64,
    pub files_before: u64,
    pub bytes_before: u64,
    pub rows_before: u64,
    pub files_after: u64,
    pub bytes_after: u64,
    pub rows_after: u64,
    pub duration_ms: u64,
    /// Why nothing came of it.
    pub error: Option<String>,
}

/// Running totals of compaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub jobs: u64,
    pub jobs_failed: u64,
    pub files_before: u64,
    pub files_after: u64,
    pub bytes_before: u64,
    pub bytes_after: u64,
    pub rows_before: u64,
    pub rows_after: u64,
    /// Files waiting for their last reader.
    pub garbage: u64,
}

/// Whether a table has had all its jobs.
enum Progress {
    Done,
    More,
}

/// Compacts the files of one node.
#[derive(Debug)]
pub struct Compactor {
    live: Arc<Live>,
    catalog: Arc<Catalog>,
    settings: Settings,
    /// From a table's hard delete to the end of its entry in the catalog.
    delete_grace: Duration,
    /// Where jobs run.
    workers: Workers,
    /// Held by whoever looks for jobs and does them.
    turn: tokio::sync::Mutex<()>,
    /// There may be something to do.
    wanted: Notify,
    pub foreground: Foreground,
    garbage: Garbage,
    events: Mutex<VecDeque<CompactionEvent>>,
    totals: Mutex<Totals>,
    /// Tables where a job failed, and when to try again; milliseconds.
    failed: Mutex<HashMap<TableAddress, i64>>,
}

impl Compactor {
    pub fn new(
        live: Arc<Live>,
        catalog: Arc<Catalog>,
        settings: Settings,
        delete_grace: Duration,
    ) -> Result<Self, Error> {
        Ok(Self {
            live,
            catalog,
            settings,
            delete_grace,
            workers: Workers::start("compact", 1)?,
            turn: tokio::sync::Mutex::default(),
            wanted: Notify::new(),
            foreground: Foreground::default(),
            garbage: Garbage::default(),
            events: Mutex::default(),
            totals: Mutex::default(),
            failed: Mutex::default(),
        })
    }

    /// Compacts in the background until the node stops.
    pub fn start(self: &Arc<Self>) {
        let compactor = Arc::clone(self);
        let World { tasks, .. } = self.live.world.clone();
        let watch = tasks.clone();
        tasks.spawn("compact", async move {
            let first = Arc::clone(&compactor);
            let begun = compactor.on_workers(async move { first.remove_orphans().await });
            begun.await;
            loop {
                tokio::select! {
                    () = watch.stopping() => return,
                    () = compactor.wanted.notified() => {}
                    () = tokio::time::sleep(LOOK_INTERVAL) => {}
                }
                if let Err(fault) = compactor.compact_all().await
                    && !watch.is_stopping()
                {
                    tracing::warn!(error = %fault, "compaction did not get through; it will be tried again");
                }
            }
        });
    }

    /// Says that there may be something to do.
    pub fn wake(&self) {
        self.wanted.notify_one();
    }

    pub fn events(&self) -> Vec<CompactionEvent> {
        self.events.lock().iter().cloned().collect()
    }

    pub fn totals(&self) -> Totals {
        let mut totals = *self.totals.lock();
        totals.garbage = self.garbage.len() as u64;
        totals
    }

    /// Does every job there is, in every table. Errors: the first one met; the other tables are compacted all the same.
    pub async fn compact_all(self: &Arc<Self>) -> Result<(), Error> {
        let compactor = Arc::clone(self);
        self.on_workers(async move { compactor.round().await })
            .await
            .unwrap_or_else(|| Err(Error::unavailable("compaction is shut down")))
    }

    /// Runs work on the compaction thread; `None` when that has ended.
    async fn on_workers<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (done, wait) = oneshot::channel();
        let _running = self.workers.run(async move {
            // Whoever asked may have gone.
            let _ = done.send(work.await);
        });
        wait.await.ok()
    }

    async fn remove_orphans(&self) {
        // While files are being replaced, it is not certain which are left over.
        let _turn = self.turn.lock().await;
        match gc::remove_orphans(&self.live, &self.garbage).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed objects that an earlier process left"),
            Err(fault) => tracing::warn!(error = %fault, "cannot look for left-over objects"),
        }
    }

    async fn round(self: Arc<Self>) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        let mut outcome = Ok(());
        let mut tables = self.live.tables().await;
        // Each in turn does a few jobs, so that one with a large backlog does not hold up the others.
        while !tables.is_empty() {
            let mut unfinished = Vec::new();
            for address in tables {
                match self.compact_table(address).await {
                    Ok(Progress::Done) => {}
                    Ok(Progress::More) => unfinished.push(address),
                    Err(fault) => outcome = outcome.and(Err(fault)),
                }
                if self.live.world.tasks.is_stopping() {
                    return outcome;
                }
            }
            tables = unfinished;
        }
        self.remove_dead_tombstones().await?;
        self.garbage.collect(&self.live).await;
        self.forget_deleted_tables().await?;
        outcome
    }

    /// Does some jobs of a table.
    async fn compact_table(&self, address: TableAddress) -> Result<Progress, Error> {
        let clock = &self.live.world.clock;
        let retry_at = self.failed.lock().get(&address).copied();
        if retry_at.is_some_and(|at_ms| clock.now_ms() < at_ms) {
            return Ok(Progress::Done);
        }
        self.failed.lock().remove(&address);
        for _ in 0..JOBS_IN_TURN {
            self.live.settled().await?;
            let Some(job) = self.next_job(address) else {
                return Ok(Progress::Done);
            };
            let done = self.run(address, &job).await;
            self.garbage.collect(&self.live).await;
            if let Err(fault) = done {
                let at_ms = clock.now_ms().saturating_add(RETRY_WAIT_MS);
                self.failed.lock().insert(address, at_ms);
                return Err(fault);
            }
            if self.live.world.tasks.is_stopping() {
                break;
            }
        }
        Ok(Progress::More)
    }

    fn next_job(&self, address: TableAddress) -> Option<Job> {
        let view = self.live.buffer.table(address.0, address.1).view();
        let files: Vec<FileEntry> = view.files.iter().map(|file| file.entry.clone()).collect();
        let tombstones: Vec<TombstoneEntry> = view
            .tombstones
            .iter()
            .map(|tombstone| tombstone.entry.clone())
            .collect();
        let now_ms = self.live.world.clock.now_ms();
        let state = State {
            files: &files,
            tombstones: &tombstones,
            is_gone: self.catalog.snapshot().is_data_due(address.1, now_ms),
            oldest_visible: self.oldest_visible(address.1),
            now_ms,
        };
        plan::plan(&state, &self.settings)
    }

    /// Rows before this time, nanoseconds, no query will see again.
    fn oldest_visible(&self, table: TableId) -> i64 {
        let snapshot = self.catalog.snapshot();
        let retention = snapshot
            .table_by_id(table)
            .and_then(|(database, table)| database.retention_of(table));
        retention.map_or(i64::MIN, |kept| {
            let kept = kept.saturating_add(EXPIRY_MARGIN).as_nanos();
            let kept = i64::try_from(kept).unwrap_or(i64::MAX);
            self.live.world.clock.now_ns().saturating_sub(kept)
        })
    }

    async fn run(&self, address: TableAddress, job: &Job) -> Result<(), Error> {
        let clock = &self.live.world.clock;
        let started = clock.monotonic();
        let buffer = self.live.buffer.table(address.0, address.1);
        let view = buffer.view();
        let inputs: Vec<Arc<DataFile>> = view
            .files
            .iter()
            .filter(|file| job.inputs.contains(&file.entry.id))
            .cloned()
            .collect();
        let mut event = self.event(address, job, &inputs);
        let mut made = Vec::new();
        let rewritten = match job.output {
            Output::Nothing => Ok(()),
            Output::Rows { cut_level } => {
                let snapshot = self.catalog.snapshot();
                match snapshot.table_by_id(address.1) {
                    Some((_, table)) => {
                        let rewrite = Rewrite {
                            live: &self.live,
                            settings: &self.settings,
                            table,
                            buffer: &buffer,
                            view: &view,
                            inputs: inputs.clone(),
                            cut_level,
                            oldest_visible: self.oldest_visible(address.1),
                        };
                        let is_behind = inputs.len() >= INPUTS_BEHIND;
                        let world = &self.live.world;
                        let mut pace = Pace::new(world, &self.foreground, is_behind);
                        rewrite.run(&mut pace, &mut made).await
                    }
                    None => Err(Error::internal(
                        "a table has left the catalog before its files",
                    )),
                }
            }
        };
        drop(view);
        let outcome = match rewritten {
            Ok(()) => {
                let change = Change {
                    added: made.clone(),
                    removed: job.inputs.clone(),
                    ..Change::default()
                };
                self.live.commit(change).await
            }
            Err(fault) => {
                self.live.discard(&made).await;
                made.clear();
                Err(fault)
            }
        };
        if outcome.is_ok() {
            self.garbage.add_files(inputs);
            event.files_after = made.len() as u64;
            event.bytes_after = made.iter().map(|file| file.bytes).sum();
            event.rows_after = made.iter().map(|file| file.rows).sum();
        }
        event.error = outcome.as_ref().err().map(ToString::to_string);
        event.time_ns = clock.now_ns();
        event.duration_ms = (clock.monotonic().saturating_sub(started)).as_millis() as u64;
        self.record(event);
        outcome
    }

    fn event(&self, address: TableAddress, job: &Job, inputs: &[Arc<DataFile>]) -> CompactionEvent {
        let entries = || inputs.iter().map(|file| &file.entry);
        CompactionEvent {
            time_ns: 0,
            database: address.0,
            table: address.1,
            reason: job.reason.name(),
            min_time: entries().map(|entry| entry.min_time).min().unwrap_or(0),
            max_time: entries().map(|entry| entry.max_time).max().unwrap_or(0),
            files_before: inputs.len() as u64,
            bytes_before: entries().map(|entry| entry.bytes).sum(),
            rows_before: entries().map(|entry| entry.rows).sum(),
            files_after: 0,
            bytes_after: 0,
            rows_after: 0,
            duration_ms: 0,
            error: None,
        }
    }

    fn record(&self, event: CompactionEvent) {
        match &event.error {
            None => tracing::info!(
                database = event.database.0,
                table = event.table.0,
                reason = event.reason,
                files_before = event.files_before,
                files_after = event.files_after,
                bytes_before = event.bytes_before,
                bytes_after = event.bytes_after,
                rows_after = event.rows_after,
                milliseconds = event.duration_ms,
                "compacted"
            ),
            Some(error) => tracing::warn!(
                database = event.database.0,
                table = event.table.0,
                reason = event.reason,
                error,
                "a compaction job failed"
            ),
        }
        let mut totals = self.totals.lock();
        totals.jobs += 1;
        if event.error.is_some() {
            totals.jobs_failed += 1;
        } else {
            totals.files_before += event.files_before;
            totals.files_after += event.files_after;
            totals.bytes_before += event.bytes_before;
            totals.bytes_after += event.bytes_after;
            totals.rows_before += event.rows_before;
            totals.rows_after += event.rows_after;
        }
        drop(totals);
        let mut events = self.events.lock();
        if events.len() == EVENTS_MAX {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// Takes back the tombstones that nothing refers to any more.
    async fn remove_dead_tombstones(&self) -> Result<(), Error> {
        self.live.settled().await?;
        let tombstones = self.live.tombstones().await;
        if tombstones.is_empty() {
            return Ok(());
        }
        let covered = self.live.covered_sequence().await;
        let mut by_table: HashMap<TableAddress, Vec<TombstoneEntry>> = HashMap::new();
        for tombstone in tombstones {
            let address = (tombstone.database, tombstone.table);
            by_table.entry(address).or_default().push(tombstone);
        }
        let mut dead = Vec::new();
        for (address, tombstones) in by_table {
            let view = self.live.buffer.table(address.0, address.1).view();
            let files: Vec<FileEntry> = view.files.iter().map(|file| file.entry.clone()).collect();
            dead.extend(plan::dead_tombstones(&files, &tombstones, covered));
        }
        if dead.is_empty() {
            return Ok(());
        }
        let lists: Vec<_> = dead
            .iter()
            .map(|id| self.live.paths.tombstone(*id))
            .collect();
        let change = Change {
            tombstones_removed: dead,
            ..Change::default()
        };
        self.live.commit(change).await?;
        self.garbage.add_lists(lists);
        Ok(())
    }

    /// Lets the catalog forget tables that were deleted for good long enough ago and have no rows left.
    async fn forget_deleted_tables(&self) -> Result<(), Error> {
        let grace_ms = i64::try_from(self.delete_grace.as_millis()).unwrap_or(i64::MAX);
        let now_ms = self.live.world.clock.now_ms();
        let live = Arc::clone(&self.live);
        let is_empty = move |table: TableId| live.buffer.is_empty(table);
        let removed = self
            .catalog
            .remove_deleted(now_ms.saturating_sub(grace_ms), is_empty)
            .await?;
        if removed > 0 {
            tracing::info!(removed, "forgot deleted tables and databases");
        }
        Ok(())
    }
}
