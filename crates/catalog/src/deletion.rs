//! How databases and tables go (spec/catalog-and-caches.md §6).
//!
//! ```text
//! live ── delete ─> deleted, renamed ── hard delete time ─> data due ── storage has removed it ─> gone from the catalog
//!   ^────── undelete ──────┘
//! ```
//! A deleted thing frees its name and its place under the limits at once. Its data goes when its time has come, which
//! [`Snapshot::is_data_due`] says and `storage` does; its entry goes last, and its id is never used again. Tables go with their
//! database, without names or times of their own, and come back with it. The `plan_` functions decide; `change` applies.

use std::sync::Arc;

use chrono::DateTime;

use crate::change::Change;
use crate::{Error, Limits, Snapshot, TableId, validate_database_name};

/// From a delete without a schedule to the end of the data (spec/http-api.md §7.4).
const HARD_DELETE_DEFAULT_MS: i64 = 72 * 60 * 60 * 1_000;

/// Something is not brought back this shortly before its data goes: until the change is durable, storage may have begun.
const UNDELETE_MARGIN_MS: i64 = 30_000;

/// When the data of something deleted goes for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HardDelete {
    Never,
    Now,
    /// 72 hours from now.
    Default,
    /// Milliseconds since the epoch; a time in the past means now.
    AtMs(i64),
}

impl HardDelete {
    fn at_ms(self, now_ms: i64) -> Option<i64> {
        match self {
            Self::Never => None,
            Self::Now => Some(now_ms),
            Self::Default => Some(now_ms.saturating_add(HARD_DELETE_DEFAULT_MS)),
            Self::AtMs(at_ms) => Some(at_ms.max(now_ms)),
        }
    }
}

impl Snapshot {
    /// Whether the data of a table has to go: its own or its database's hard delete time has come, or nobody knows it.
    /// Such a table has no rows for anybody, whatever is still stored.
    pub fn is_data_due(&self, table: TableId, now_ms: i64) -> bool {
        let Some((database, table)) = self.table_by_id(table) else {
            return true;
        };
        [database.hard_delete_at_ms, table.hard_delete_at_ms]
            .into_iter()
            .flatten()
            .any(|at_ms| at_ms <= now_ms)
    }
}

/// What deleting database `name` changes (spec/http-api.md §7.4).
pub(crate) fn plan_delete_database(
    snapshot: &Snapshot,
    name: &str,
    when: HardDelete,
    now_ms: i64,
) -> Result<Change, Error> {
    let Some(database) = snapshot.database_named(name) else {
        return Err(not_found(name));
    };
    if database.is_internal() {
        return Err(Error::invalid("cannot delete internal db"));
    }
    let wanted_at_ms = when.at_ms(now_ms);
    if !database.is_deleted() {
        return Ok(Change::DeleteDatabase {
            id: database.id,
            renamed: free_name(&database.name, database.id.0, now_ms, |name| {
                snapshot.database_named(name).is_some()
            }),
            deleted_at_ms: now_ms,
            hard_delete_at_ms: wanted_at_ms,
        });
    }
    let unchanged = match (database.hard_delete_at_ms, wanted_at_ms) {
        (Some(_), _) if when == HardDelete::Default => true,
        // Due is due: the data may be gone already, so no other time can be given any more.
        (Some(present), _) if present <= now_ms => true,
        (Some(present), Some(wanted)) => present == wanted,
        (None, None) => true,
        _ => false,
    };
    if unchanged {
        return Err(already_deleted(name));
    }
    Ok(Change::RescheduleHardDelete {
        id: database.id,
        hard_delete_at_ms: wanted_at_ms,
    })
}

/// What deleting a table changes. Unlike a database, a deleted table cannot be given another time.
pub(crate) fn plan_delete_table(
    snapshot: &Snapshot,
    database: &str,
    name: &str,
    when: HardDelete,
    now_ms: i64,
) -> Result<Change, Error> {
    let Some(owner) = snapshot.database_named(database) else {
        return Err(not_found(database));
    };
    if owner.is_internal() {
        return Err(Error::invalid("cannot modify internal db"));
    }
    if owner.is_deleted() {
        return Err(already_deleted(database));
    }
    let table = owner.table_named(name).ok_or_else(|| not_found(name))?;
    if table.is_deleted() {
        return Err(already_deleted(name));
    }
    Ok(Change::DeleteTable {
        id: table.id,
        renamed: free_name(&table.name, table.id.0, now_ms, |name| {
            owner.table_named(name).is_some()
        }),
        deleted_at_ms: now_ms,
        hard_delete_at_ms: when.at_ms(now_ms),
    })
}

/// What bringing database `name` back changes, as `wanted`, else under the name that it had.
pub(crate) fn plan_undelete_database(
    snapshot: &Snapshot,
    limits: &Limits,
    name: &str,
    wanted: Option<&str>,
    now_ms: i64,
) -> Result<Change, Error> {
    let database = snapshot
        .database_named(name)
        .ok_or_else(|| not_found(name))?;
    if database.is_internal() {
        return Err(Error::invalid("cannot modify internal db"));
    }
    let deleted_at_ms = database.deleted_at_ms.ok_or_else(|| not_deleted(name))?;
    require_data(name, database.hard_delete_at_ms, now_ms)?;
    let new_name = match wanted {
        Some(wanted) => {
            validate_database_name(wanted)?;
            wanted
        }
        None => former_name(&database.name, deleted_at_ms),
    };
    if snapshot.database_named(new_name).is_some() {
        return Err(already_exists());
    }
    limits.check_new_database(snapshot.live_databases())?;
    if let Some(more) = database.live_tables().checked_sub(1) {
        limits.check_new_table(snapshot.live_tables() + more)?;
    }
    Ok(Change::UndeleteDatabase {
        id: database.id,
        name: new_name.into(),
    })
}

/// What bringing a table back changes. Its database has to be live.
pub(crate) fn plan_undelete_table(
    snapshot: &Snapshot,
    limits: &Limits,
    database: &str,
    name: &str,
    wanted: Option<&str>,
    now_ms: i64,
) -> Result<Change, Error> {
    let owner = snapshot
        .database_named(database)
        .ok_or_else(|| not_found(database))?;
    if owner.is_internal() {
        return Err(Error::invalid("cannot modify internal db"));
    }
    if owner.is_deleted() {
        return Err(already_deleted(database));
    }
    let table = owner.table_named(name).ok_or_else(|| not_found(name))?;
    let deleted_at_ms = table.deleted_at_ms.ok_or_else(|| not_deleted(name))?;
    require_data(name, table.hard_delete_at_ms, now_ms)?;
    let new_name = wanted.unwrap_or_else(|| former_name(&table.name, deleted_at_ms));
    if new_name.is_empty() {
        return Err(Error::invalid("table name cannot be empty"));
    }
    if owner.table_named(new_name).is_some() {
        return Err(already_exists());
    }
    limits.check_new_table(snapshot.live_tables())?;
    Ok(Change::UndeleteTable {
        id: table.id,
        name: new_name.into(),
    })
}

/// Fails when the data of something deleted has gone, or is about to go.
fn require_data(name: &str, hard_delete_at_ms: Option<i64>, now_ms: i64) -> Result<(), Error> {
    match hard_delete_at_ms {
        Some(at_ms) if at_ms <= now_ms.saturating_add(UNDELETE_MARGIN_MS) => Err(Error::invalid(
            format!("cannot bring '{name}' back: its data is gone, or is going now"),
        )),
        _ => Ok(()),
    }
}

/// What removing everything changes whose hard delete time is before a moment and which has no data left: tables, each by
/// itself, and databases without tables.
pub(crate) fn plan_remove_deleted(
    snapshot: &Snapshot,
    deleted_before_ms: i64,
    is_empty: impl Fn(TableId) -> bool,
) -> Vec<Change> {
    let is_over = |at_ms: Option<i64>| at_ms.is_some_and(|at_ms| at_ms < deleted_before_ms);
    let mut changes = Vec::new();
    for database in snapshot.databases() {
        let database_over = is_over(database.hard_delete_at_ms);
        let mut left = 0;
        for table in database.tables() {
            if (database_over || is_over(table.hard_delete_at_ms)) && is_empty(table.id) {
                changes.push(Change::RemoveTable { id: table.id });
            } else {
                left += 1;
            }
        }
        if database_over && left == 0 {
            changes.push(Change::RemoveDatabase { id: database.id });
        }
    }
    changes
}

fn not_found(name: &str) -> Error {
    Error::not_found(format!("the requested resource was not found: {name}"))
}

/// What is said when something deleted is deleted or changed.
pub(crate) fn already_deleted(name: &str) -> Error {
    Error::conflict(format!(
        "attempted to modify resource that was already deleted: {name}"
    ))
}

fn not_deleted(name: &str) -> Error {
    Error::conflict(format!(
        "attempted to bring back a resource that is not deleted: {name}"
    ))
}

fn already_exists() -> Error {
    Error::conflict("attempted to create a resource that already exists")
}

/// The name before [`free_name`] changed it.
fn former_name(renamed: &str, deleted_at_ms: i64) -> &str {
    let mark = deletion_mark(deleted_at_ms);
    match renamed.rfind(&mark) {
        Some(at) => &renamed[..at],
        None => renamed,
    }
}

/// What deletion puts behind a name first.
fn deletion_mark(at_ms: i64) -> String {
    let at = DateTime::from_timestamp_millis(at_ms).unwrap_or(DateTime::UNIX_EPOCH);
    at.format("-%Y%m%dT%H%M%S").to_string()
}

/// `NAME-YYYYMMDDTHHMMSS`, then `-ID` and as many further dashes as it takes to be nobody else's.
fn free_name(former: &str, id: u32, now_ms: i64, is_taken: impl Fn(&str) -> bool) -> Arc<str> {
    let mut name = format!("{former}{}", deletion_mark(now_ms));
    if is_taken(&name) {
        name = format!("{name}-{id}");
    }
    while is_taken(&name) {
        name.push('-');
    }
    name.into()
}
