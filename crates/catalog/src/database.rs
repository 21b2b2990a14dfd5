//! A database: a name, its tables, how long its rows are kept; and how one comes and goes.
//!
//! The `plan_` functions decide what a request changes; `change` applies it. The rows go when `storage` says so.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;

use crate::change::Change;
use crate::shared_map::SharedMap;
use crate::{Error, ErrorKind, Limits, Snapshot, Table, TableId, validate_database_name};

/// The server's own database: exists from the start, is no client's to write or delete, counts towards no limit.
pub const INTERNAL_DATABASE: &str = "_internal";

/// How long the server's own rows are kept (spec/catalog-and-caches.md §2).
pub(crate) const INTERNAL_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// From a delete without a schedule to the end of the data (spec/http-api.md §7.4).
const HARD_DELETE_DEFAULT_MS: i64 = 72 * 60 * 60 * 1_000;

/// Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatabaseId(pub u32);

/// When a deleted database's data goes for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HardDelete {
    Never,
    Now,
    /// 72 hours from now.
    Default,
    /// Milliseconds since the epoch; a time in the past means now.
    AtMs(i64),
}

#[derive(Clone, Debug)]
pub struct Database {
    pub id: DatabaseId,
    pub name: Arc<str>,
    /// In whole milliseconds.
    pub retention: Option<Duration>,
    /// Set on deletion; milliseconds since the epoch.
    pub deleted_at_ms: Option<i64>,
    /// Set on deletion unless never; milliseconds since the epoch.
    pub hard_delete_at_ms: Option<i64>,
    tables: SharedMap<TableId, Arc<Table>>,
    by_name: SharedMap<Arc<str>, TableId>,
}

impl Database {
    pub(crate) fn new(id: DatabaseId, name: Arc<str>, retention: Option<Duration>) -> Self {
        Self {
            id,
            name,
            retention,
            deleted_at_ms: None,
            hard_delete_at_ms: None,
            tables: SharedMap::default(),
            by_name: SharedMap::default(),
        }
    }

    /// A live table by its name.
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.by_name.get(name).and_then(|id| self.tables.get(id))
    }

    pub fn table_by_id(&self, id: TableId) -> Option<&Arc<Table>> {
        self.tables.get(&id)
    }

    /// Live tables in the order of their names.
    pub fn tables(&self) -> Vec<Arc<Table>> {
        let mut tables: Vec<_> = self
            .tables
            .iter()
            .map(|(_, table)| Arc::clone(table))
            .collect();
        tables.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        tables
    }

    pub fn table_count(&self) -> usize {
        self.tables.len()
    }

    pub fn is_deleted(&self) -> bool {
        self.deleted_at_ms.is_some()
    }

    /// Whether this is the server's own database.
    pub fn is_internal(&self) -> bool {
        &*self.name == INTERNAL_DATABASE
    }

    /// Whether it and its tables count towards the limits.
    pub(crate) fn is_limited(&self) -> bool {
        !self.is_deleted() && !self.is_internal()
    }

    /// Adds a table whose id and name [`crate::change`] has checked.
    pub(crate) fn insert_table(&mut self, table: Arc<Table>) {
        self.by_name.insert(Arc::clone(&table.name), table.id);
        self.tables.insert(table.id, table);
    }

    /// The table, copied first when an older snapshot still shows it.
    pub(crate) fn table_mut(&mut self, id: TableId) -> Option<&mut Table> {
        self.tables.get_mut(&id).map(Arc::make_mut)
    }
}

/// What creating `name` changes. Errors: `Invalid` name, `Conflict` when it exists, `Limit`.
pub(crate) fn plan_create_database(
    snapshot: &Snapshot,
    limits: &Limits,
    name: &str,
    retention: Option<Duration>,
) -> Result<Change, Error> {
    validate_database_name(name)?;
    if snapshot.database_named(name).is_some() {
        return Err(Error::conflict(
            "attempted to create a resource that already exists",
        ));
    }
    limits.check_new_database(snapshot.live_databases())?;
    Ok(Change::CreateDatabase {
        id: snapshot.next_database_id(),
        name: name.into(),
        retention_ms: retention.map(|kept| u64::try_from(kept.as_millis()).unwrap_or(u64::MAX)),
    })
}

/// What deleting `name` changes (spec/http-api.md §7.4).
pub(crate) fn plan_delete_database(
    snapshot: &Snapshot,
    name: &str,
    when: HardDelete,
    now_ms: i64,
) -> Result<Change, Error> {
    let Some(database) = snapshot.database_named(name) else {
        return Err(Error::not_found(format!(
            "the requested resource was not found: {name}"
        )));
    };
    if database.is_internal() {
        return Err(Error::new(ErrorKind::Internal, "cannot delete internal db"));
    }
    let wanted_at_ms = match when {
        HardDelete::Never => None,
        HardDelete::Now => Some(now_ms),
        HardDelete::Default => Some(now_ms.saturating_add(HARD_DELETE_DEFAULT_MS)),
        HardDelete::AtMs(at_ms) => Some(at_ms.max(now_ms)),
    };
    if !database.is_deleted() {
        return Ok(Change::DeleteDatabase {
            id: database.id,
            renamed: free_deleted_name(snapshot, database, now_ms),
            deleted_at_ms: now_ms,
            hard_delete_at_ms: wanted_at_ms,
        });
    }
    let unchanged = match (database.hard_delete_at_ms, wanted_at_ms) {
        (Some(_), _) if when == HardDelete::Default => true,
        // Due is due: "now", said again later, is still the same schedule.
        (Some(present), Some(wanted)) => present == wanted || present.max(wanted) <= now_ms,
        (None, None) => true,
        _ => false,
    };
    if unchanged {
        return Err(Error::conflict(format!(
            "attempted to modify resource that was already deleted: {name}"
        )));
    }
    Ok(Change::RescheduleHardDelete {
        id: database.id,
        hard_delete_at_ms: wanted_at_ms,
    })
}

/// `NAME-YYYYMMDDTHHMMSS`, then `-ID` and as many further dashes as it takes to be nobody else's.
fn free_deleted_name(snapshot: &Snapshot, database: &Database, now_ms: i64) -> Arc<str> {
    let now = DateTime::from_timestamp_millis(now_ms).unwrap_or(DateTime::UNIX_EPOCH);
    let mut name = format!("{}-{}", database.name, now.format("%Y%m%dT%H%M%S"));
    if snapshot.database_named(&name).is_some() {
        name = format!("{name}-{}", database.id.0);
    }
    while snapshot.database_named(&name).is_some() {
        name.push('-');
    }
    name.into()
}
