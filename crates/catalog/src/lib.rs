//! What exists and who may do what: databases, tables, columns, tokens.
//!
//! [`Catalog::snapshot`] gives an immutable view; the commit methods change it: validated against the newest
//! view, appended to a log in the object store by compare-and-swap, durable before they return, then visible.
//! Not here: rows (`storage`), how a credential arrives over HTTP (`server`).
//!
//! ```text
//! request ─> database · table · schema · token: plan ─> change: apply ─> log: append ─> snapshot
//!            decides on the newest snapshot     invariants       durable        visible
//! ```

pub mod database;

pub mod table;

pub mod column;

pub mod schema;

pub mod retention;

pub mod deletion;

pub mod limits;

pub mod token;

pub mod snapshot;

pub mod change;

pub mod log;

pub mod format;

pub mod inspect;

mod names;

mod shared_map;

pub use column::{Column, ColumnId, ColumnKind, FieldType};
pub use database::{Database, DatabaseId, INTERNAL_DATABASE};
pub use deletion::HardDelete;
pub use limits::Limits;
pub use names::validate_database_name;
pub use runtime::{Error, ErrorKind};
pub use schema::{TableAdditions, check_column, check_writable};
pub use snapshot::Snapshot;
pub use table::{Table, TableId};
pub use token::permission::{
    Action, Actions, AskedPermission, AskedPermissions, Grant, Permissions, Resource,
    SystemResource,
};
pub use token::secret::Digest;
pub use token::{
    Asker, Authenticated, Installed, NewExpiry, NewToken, OPERATOR_TOKEN, PreviousSecret, Rejected,
    Rotation, SecretKind, StagedSecret, Token, TokenId, TokenRequest,
};

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use runtime::{Random, World};

use crate::change::Change;
use crate::log::{Appended, Loaded, Log, Record};

/// How often a commit starts again because another process was faster.
const COMMIT_ATTEMPTS: usize = 64;

/// A log smaller than this is never checkpointed on its own account: some fifty small records.
const CHECKPOINT_LOG_MIN_BYTES: u64 = 256 * 1024;

/// The catalog of one node. Clones share it.
#[derive(Clone, Debug)]
pub struct Catalog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    world: World,
    limits: Limits,
    log: Log,
    /// Moves forward only, and only to what the log holds durably.
    newest: RwLock<Arc<Snapshot>>,
    /// Held by the one who commits.
    turn: tokio::sync::Mutex<()>,
    growth: Mutex<Growth>,
}

/// When the next checkpoint is due.
#[derive(Debug, Default)]
struct Growth {
    log_cost_bytes: u64,
    checkpoint_cost_bytes: u64,
    checkpointing: bool,
}

impl Catalog {
    /// Loads (or begins) the catalog below `prefix` in the world's store.
    ///
    /// Errors: `Corrupt` with the object and the offset, `Unavailable`.
    pub async fn open(prefix: &str, world: &World, limits: Limits) -> Result<Self, Error> {
        let log = Log::below(prefix, Arc::clone(&world.store));
        let loaded = log.load().await?;
        log.harden(loaded.snapshot.sequence()).await?;
        let catalog = Self {
            shared: Arc::new(Shared {
                world: world.clone(),
                limits,
                log,
                newest: RwLock::default(),
                turn: tokio::sync::Mutex::default(),
                growth: Mutex::default(),
            }),
        };
        catalog.shared.take_over(loaded);
        let mut uuid = [0; 16];
        world.random.fill(&mut uuid)?;
        let uuid: Arc<str> = uuid::Builder::from_random_bytes(uuid)
            .into_uuid()
            .to_string()
            .into();
        catalog
            .commit(move |snapshot| {
                let is_new = snapshot.sequence() == 0;
                let uuid = Arc::clone(&uuid);
                Ok((
                    is_new
                        .then_some(Change::Begin { uuid })
                        .into_iter()
                        .collect(),
                    (),
                ))
            })
            .await?;
        Ok(catalog)
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot()
    }

    pub fn limits(&self) -> Limits {
        self.shared.limits
    }

    /// Loads what other processes have committed to the same catalog.
    pub async fn refresh(&self) -> Result<Arc<Snapshot>, Error> {
        let _turn = self.shared.turn.lock().await;
        self.shared.catch_up().await
    }

    /// Creates what is missing of `database` and its tables and columns, all or nothing, and returns the view that has
    /// them. One durable append when anything is missing, none otherwise.
    ///
    /// Errors: `Conflict` when a column exists by now with another kind, `Limit`, `Invalid` name or deleted database.
    pub async fn extend_schema(
        &self,
        database: &str,
        additions: &[TableAdditions],
    ) -> Result<Arc<Snapshot>, Error> {
        let limits = self.shared.limits;
        let snapshot = self.snapshot();
        if schema::plan_extension(&snapshot, &limits, database, additions)
            .is_ok_and(|changes| changes.is_empty())
        {
            return Ok(snapshot);
        }
        let database = database.to_string();
        let additions = additions.to_vec();
        let (snapshot, ()) = self
            .commit(move |snapshot| {
                let changes = schema::plan_extension(snapshot, &limits, &database, &additions)?;
                Ok((changes, ()))
            })
            .await?;
        Ok(snapshot)
    }

    /// Retention is kept in whole milliseconds. Errors: `Invalid` name, `Conflict` when it exists, `Limit`.
    pub async fn create_database(
        &self,
        name: &str,
        retention: Option<Duration>,
    ) -> Result<Arc<Database>, Error> {
        let limits = self.shared.limits;
        let name = name.to_string();
        let (snapshot, id) = self
            .commit(move |snapshot| {
                let change = database::plan_create_database(snapshot, &limits, &name, retention)?;
                Ok((vec![change], snapshot.next_database_id()))
            })
            .await?;
        let created = snapshot.database_by_id(id);
        created
            .cloned()
            .ok_or_else(|| Error::internal("the new database is not in the catalog"))
    }

    /// Marks a database deleted and renames it `NAME-YYYYMMDDTHHMMSS` (spec/http-api.md §7.4); asked again under that
    /// name, changes when its data goes.
    ///
    /// Errors: `NotFound`, `Conflict` when it was deleted already with this schedule, `Invalid` for `_internal`.
    pub async fn delete_database(&self, name: &str, when: HardDelete) -> Result<(), Error> {
        let name = name.to_string();
        let now_ms = self.shared.world.clock.now_ms();
        self.commit(move |snapshot| {
            let change = deletion::plan_delete_database(snapshot, &name, when, now_ms)?;
            Ok((vec![change], ()))
        })
        .await?;
        Ok(())
    }

    /// Brings a deleted database back with all that was in it, under the name `wanted`, else under the one it had. Tables that were
    /// deleted by themselves stay deleted.
    ///
    /// Errors: `NotFound`, `Conflict` when it is not deleted or the name is taken, `Invalid` when its data has gone, or is going
    /// within seconds, or the name is bad, `Limit`. Returns the name.
    pub async fn undelete_database(
        &self,
        name: &str,
        wanted: Option<&str>,
    ) -> Result<Arc<str>, Error> {
        let limits = self.shared.limits;
        let name = name.to_string();
        let wanted = wanted.map(str::to_string);
        let clock = Arc::clone(&self.shared.world.clock);
        let (_, name) = self
            .commit(move |snapshot| {
                let (wanted, now_ms) = (wanted.as_deref(), clock.now_ms());
                let change =
                    deletion::plan_undelete_database(snapshot, &limits, &name, wanted, now_ms)?;
                let name = undeleted_name(&change)?;
                Ok((vec![change], name))
            })
            .await?;
        Ok(name)
    }

    /// Sets how long rows of a database are kept, in whole milliseconds; `None` is for ever.
    ///
    /// Errors: `NotFound`, `Conflict` when it is deleted, `Invalid` for `_internal`.
    pub async fn set_database_retention(
        &self,
        name: &str,
        retention: Option<Duration>,
    ) -> Result<(), Error> {
        let name = name.to_string();
        self.commit(move |snapshot| {
            let change = retention::plan_database_retention(snapshot, &name, retention)?;
            Ok((change.into_iter().collect(), ()))
        })
        .await?;
        Ok(())
    }

    /// Creates a table, and its database when it is missing. The columns get their ids in the order given, `time` last.
    ///
    /// Errors: `Invalid` name or column, `Conflict` when the table exists, `Limit`.
    pub async fn create_table(
        &self,
        database: &str,
        table: TableAdditions,
        retention: Option<Duration>,
    ) -> Result<(), Error> {
        let limits = self.shared.limits;
        let database = database.to_string();
        self.commit(move |snapshot| {
            let changes =
                table::plan_create_table(snapshot, &limits, &database, &table, retention)?;
            Ok((changes, ()))
        })
        .await?;
        Ok(())
    }

    /// Marks a table deleted and renames it `NAME-YYYYMMDDTHHMMSS` (spec/catalog-and-caches.md §6).
    ///
    /// Errors: `NotFound` table or database, `Conflict` when one of them is deleted already, `Invalid` for `_internal`.
    pub async fn delete_table(
        &self,
        database: &str,
        table: &str,
        when: HardDelete,
    ) -> Result<(), Error> {
        let (database, table) = (database.to_string(), table.to_string());
        let now_ms = self.shared.world.clock.now_ms();
        self.commit(move |snapshot| {
            let change = deletion::plan_delete_table(snapshot, &database, &table, when, now_ms)?;
            Ok((vec![change], ()))
        })
        .await?;
        Ok(())
    }

    /// Brings a deleted table back, under the name `wanted`, else under the one it had.
    ///
    /// Errors: `NotFound` table or database, `Conflict` when the table is not deleted, its database is, or the name is taken, `Invalid`
    /// when its data has gone, or is going within seconds, `Limit`. Returns the name.
    pub async fn undelete_table(
        &self,
        database: &str,
        table: &str,
        wanted: Option<&str>,
    ) -> Result<Arc<str>, Error> {
        let limits = self.shared.limits;
        let (database, table) = (database.to_string(), table.to_string());
        let wanted = wanted.map(str::to_string);
        let clock = Arc::clone(&self.shared.world.clock);
        let (_, name) = self
            .commit(move |snapshot| {
                let change = deletion::plan_undelete_table(
                    snapshot,
                    &limits,
                    &database,
                    &table,
                    wanted.as_deref(),
                    clock.now_ms(),
                )?;
                let name = undeleted_name(&change)?;
                Ok((vec![change], name))
            })
            .await?;
        Ok(name)
    }

    /// Sets how long rows of a table are kept, in whole milliseconds; `None` is as long as its database says.
    ///
    /// Errors: `NotFound` table or database, `Conflict` when one of them is deleted, `Invalid` for `_internal`.
    pub async fn set_table_retention(
        &self,
        database: &str,
        table: &str,
        retention: Option<Duration>,
    ) -> Result<(), Error> {
        let (database, table) = (database.to_string(), table.to_string());
        self.commit(move |snapshot| {
            let change = retention::plan_table_retention(snapshot, &database, &table, retention)?;
            Ok((change.into_iter().collect(), ()))
        })
        .await?;
        Ok(())
    }

    /// Removes the entries of deleted tables and databases that have no data any more; says how many went. One durable
    /// append when there are any, none otherwise.
    ///
    /// An entry goes when its hard delete time is before `deleted_before_ms` (of a table: its database's will do) and
    /// `is_empty` says that no data of the table is stored, in the buffer or the log either; a database when its last table has
    /// gone. Ids are never used again.
    pub async fn remove_deleted(
        &self,
        deleted_before_ms: i64,
        is_empty: impl Fn(TableId) -> bool + Send + Sync + 'static,
    ) -> Result<usize, Error> {
        let (_, removed) = self
            .commit(move |snapshot| {
                let changes = deletion::plan_remove_deleted(snapshot, deleted_before_ms, &is_empty);
                let removed = changes.len();
                Ok((changes, removed))
            })
            .await?;
        Ok(removed)
    }

    /// Stores the newest snapshot whole and removes what older checkpoints cover. Happens by itself as the log grows.
    pub async fn checkpoint(&self) -> Result<(), Error> {
        self.shared.checkpoint().await
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.shared.world.clock.now_ms()
    }

    pub(crate) fn random(&self) -> &Random {
        &self.shared.world.random
    }

    /// Runs a commit to its end even when the caller stops waiting, so that memory never falls behind the log because a
    /// client hung up.
    async fn commit<T: Send + 'static>(
        &self,
        plan: impl Fn(&Snapshot) -> Result<(Vec<Change>, T), Error> + Send + Sync + 'static,
    ) -> Result<(Arc<Snapshot>, T), Error> {
        let shared = Arc::clone(&self.shared);
        let running = self
            .shared
            .world
            .tasks
            .detach(async move { shared.commit(plan).await });
        running
            .await
            .map_err(|cause| Error::internal("a catalog commit did not end").with_source(cause))?
    }
}

impl Shared {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.newest.read())
    }

    /// Makes the changes that `plan` wants on the newest snapshot: durable first, then visible.
    async fn commit<T>(
        self: Arc<Self>,
        plan: impl Fn(&Snapshot) -> Result<(Vec<Change>, T), Error>,
    ) -> Result<(Arc<Snapshot>, T), Error> {
        let _turn = self.turn.lock().await;
        for _ in 0..COMMIT_ATTEMPTS {
            let current = self.snapshot();
            let (changes, outcome) = match plan(&current) {
                Ok(planned) => planned,
                // The request itself is wrong: no other state would make it right.
                Err(refusal) if refusal.kind() == ErrorKind::Invalid => return Err(refusal),
                Err(refusal) => {
                    // Refused by what we know; another process may have changed that.
                    if self.catch_up().await?.sequence() == current.sequence() {
                        return Err(refusal);
                    }
                    continue;
                }
            };
            if changes.is_empty() {
                return Ok((current, outcome));
            }
            let sequence = current.sequence().saturating_add(1);
            let next = change::apply(Snapshot::clone(&current), sequence, &changes)?;
            let record = Record::new(sequence, changes, &self.world.random)?;
            match self.log.append(&record).await? {
                Appended::Durable { cost_bytes } => {
                    let next = Arc::new(next);
                    *self.newest.write() = Arc::clone(&next);
                    self.grow(cost_bytes);
                    return Ok((next, outcome));
                }
                Appended::Overtaken => {
                    self.catch_up().await?;
                }
            }
        }
        Err(Error::unavailable(format!(
            "the catalog changes too fast: other processes were first {COMMIT_ATTEMPTS} times"
        )))
    }

    /// Follows the log to its end. Only by the one whose turn it is.
    async fn catch_up(&self) -> Result<Arc<Snapshot>, Error> {
        let current = self.snapshot();
        let loaded = self.log.catch_up(&current).await?;
        if loaded.snapshot.sequence() > current.sequence() {
            self.take_over(loaded);
        }
        Ok(self.snapshot())
    }

    fn take_over(&self, loaded: Loaded) {
        *self.newest.write() = Arc::new(loaded.snapshot);
        let mut growth = self.growth.lock();
        if loaded.checkpoint_cost_bytes > 0 {
            growth.checkpoint_cost_bytes = loaded.checkpoint_cost_bytes;
            growth.log_cost_bytes = 0;
        }
        growth.log_cost_bytes += loaded.log_cost_bytes;
    }

    /// Counts a new record and starts a checkpoint when the log has outgrown the last one, which keeps the cost of
    /// checkpoints in proportion to that of the changes.
    fn grow(self: &Arc<Self>, cost_bytes: u64) {
        let mut growth = self.growth.lock();
        growth.log_cost_bytes += cost_bytes;
        let due = growth.checkpoint_cost_bytes.max(CHECKPOINT_LOG_MIN_BYTES);
        if growth.log_cost_bytes <= due || growth.checkpointing || self.world.tasks.is_stopping() {
            return;
        }
        growth.checkpointing = true;
        drop(growth);
        let shared = Arc::clone(self);
        self.world.tasks.spawn("catalog checkpoint", async move {
            if let Err(cause) = shared.checkpoint().await {
                // Nothing is lost: the log still holds everything, and the next commit tries again.
                tracing::warn!(%cause, "cannot checkpoint the catalog");
            }
            shared.growth.lock().checkpointing = false;
        });
    }

    async fn checkpoint(&self) -> Result<(), Error> {
        let covered = self.growth.lock().log_cost_bytes;
        let snapshot = self.snapshot();
        let cost_bytes = self.log.checkpoint(&snapshot).await?;
        let mut growth = self.growth.lock();
        growth.log_cost_bytes = growth.log_cost_bytes.saturating_sub(covered);
        growth.checkpoint_cost_bytes = cost_bytes;
        drop(growth);
        tracing::debug!(
            sequence = snapshot.sequence(),
            cost_bytes,
            "catalog checkpoint"
        );
        Ok(())
    }
}

/// Under which name a change brings something back.
fn undeleted_name(change: &Change) -> Result<Arc<str>, Error> {
    match change {
        Change::UndeleteDatabase { name, .. } | Change::UndeleteTable { name, .. } => {
            Ok(Arc::clone(name))
        }
        _ => Err(Error::internal("nothing is brought back by this change")),
    }
}
