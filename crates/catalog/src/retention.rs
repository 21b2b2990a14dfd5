//! How long rows are kept: per database, and per table, which wins (spec/catalog-and-caches.md §4).
//!
//! Here is what is asked for. What it hides from an answer is cut off by `query`, what it frees on disk is `storage`'s.

use std::time::Duration;

use crate::change::Change;
use crate::deletion::already_deleted;
use crate::{Database, Error, Snapshot, Table};

impl Database {
    /// How long rows of `table`, one of its own, are kept; `None` is for ever. The table's own retention wins over the
    /// database's, be it shorter or longer.
    pub fn retention_of(&self, table: &Table) -> Option<Duration> {
        table.retention.or(self.retention)
    }
}

/// Whole milliseconds; what is longer than they can say is kept as long as they can.
pub(crate) fn to_ms(kept: Duration) -> u64 {
    u64::try_from(kept.as_millis()).unwrap_or(u64::MAX)
}

/// What setting the retention of database `name` changes: nothing when it is that already.
pub(crate) fn plan_database_retention(
    snapshot: &Snapshot,
    name: &str,
    retention: Option<Duration>,
) -> Result<Option<Change>, Error> {
    let database = changeable(snapshot, name)?;
    let retention_ms = retention.map(to_ms);
    let changes = database.retention.map(to_ms) != retention_ms;
    Ok(changes.then_some(Change::SetDatabaseRetention {
        id: database.id,
        retention_ms,
    }))
}

/// What setting the own retention of a table changes: nothing when it is that already.
pub(crate) fn plan_table_retention(
    snapshot: &Snapshot,
    database: &str,
    name: &str,
    retention: Option<Duration>,
) -> Result<Option<Change>, Error> {
    let database = changeable(snapshot, database)?;
    let table = database
        .table_named(name)
        .ok_or_else(|| Error::not_found(format!("the requested resource was not found: {name}")))?;
    if table.is_deleted() {
        return Err(already_deleted(name));
    }
    let retention_ms = retention.map(to_ms);
    let changes = table.retention.map(to_ms) != retention_ms;
    Ok(changes.then_some(Change::SetTableRetention {
        id: table.id,
        retention_ms,
    }))
}

/// Errors: `NotFound`, `Conflict` when it is deleted, `Invalid` for `_internal`.
fn changeable<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a Database, Error> {
    let Some(database) = snapshot.database_named(name) else {
        return Err(Error::not_found(format!(
            "the requested resource was not found: {name}"
        )));
    };
    if database.is_internal() {
        return Err(Error::invalid("cannot modify internal db"));
    }
    if database.is_deleted() {
        return Err(already_deleted(name));
    }
    Ok(database)
}
