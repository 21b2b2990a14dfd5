//! How databases and tables go (spec/catalog-and-caches.md §6).
//!
//! ```text
//! live ── delete ─> deleted, renamed ── hard delete time ─> data due ── storage has removed it ─> gone from the catalog
//! ```
//! A deleted thing frees its name and its place under the limits at once. Its data goes when its time has come, which
//! [`Snapshot::is_data_due`] says and `storage` does; its entry goes last, and its id is never used again. Tables go with their
//! database, without names or times of their own. The `plan_` functions decide; `change` applies.

use std::sync::Arc;

use chrono::DateTime;

use crate::change::Change;
use crate::{Error, ErrorKind, Snapshot, TableId};

/// From a delete without a schedule to the end of the data (spec/http-api.md §7.4).
const HARD_DELETE_DEFAULT_MS: i64 = 72 * 60 * 60 * 1_000;

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
        return Err(Error::new(ErrorKind::Internal, "cannot delete internal db"));
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
        return Err(Error::new(ErrorKind::Internal, "cannot modify internal db"));
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

/// `NAME-YYYYMMDDTHHMMSS`, then `-ID` and as many further dashes as it takes to be nobody else's.
fn free_name(former: &str, id: u32, now_ms: i64, is_taken: impl Fn(&str) -> bool) -> Arc<str> {
    let now = DateTime::from_timestamp_millis(now_ms).unwrap_or(DateTime::UNIX_EPOCH);
    let mut name = format!("{former}-{}", now.format("%Y%m%dT%H%M%S"));
    if is_taken(&name) {
        name = format!("{name}-{id}");
    }
    while is_taken(&name) {
        name.push('-');
    }
    name.into()
}
