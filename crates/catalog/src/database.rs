//! A database: a name, its tables, how long its rows are kept; and how one comes.
//!
//! The `plan_` function decides what a request changes; `change` applies it. How one goes: `deletion`.

use std::sync::Arc;
use std::time::Duration;

use crate::change::Change;
use crate::retention::to_ms;
use crate::shared_map::SharedMap;
use crate::{Error, Limits, Snapshot, Table, TableId, validate_database_name};

/// The server's own database: exists from the start, is no client's to write or delete, counts towards no limit.
pub const INTERNAL_DATABASE: &str = "_internal";

/// How long the server's own rows are kept (spec/catalog-and-caches.md §2).
pub(crate) const INTERNAL_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatabaseId(pub u32);

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

    /// A live (not deleted) table by its name.
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.table_named(name).filter(|table| !table.is_deleted())
    }

    /// Any table by its present name: a deleted one by the name it was given then.
    pub fn table_named(&self, name: &str) -> Option<&Arc<Table>> {
        self.by_name.get(name).and_then(|id| self.tables.get(id))
    }

    /// Any table by its id, deleted ones too.
    pub fn table_by_id(&self, id: TableId) -> Option<&Arc<Table>> {
        self.tables.get(&id)
    }

    /// All tables in the order of their names, deleted ones too.
    pub fn tables(&self) -> Vec<Arc<Table>> {
        let mut tables: Vec<_> = self
            .tables
            .iter()
            .map(|(_, table)| Arc::clone(table))
            .collect();
        tables.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        tables
    }

    /// How many tables there are, deleted ones too.
    pub fn table_count(&self) -> usize {
        self.tables.len()
    }

    /// How many of its tables have not been deleted themselves.
    pub(crate) fn live_tables(&self) -> usize {
        let live = self.tables.iter().filter(|(_, table)| !table.is_deleted());
        live.count()
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

    /// Gives a table another name, which [`crate::change`] has checked; `None` when there is no such table.
    pub(crate) fn rename_table(&mut self, id: TableId, name: &Arc<str>) -> Option<&mut Table> {
        let table = self.tables.get_mut(&id).map(Arc::make_mut)?;
        let former = std::mem::replace(&mut table.name, Arc::clone(name));
        self.by_name.remove(&*former);
        self.by_name.insert(Arc::clone(name), id);
        Some(table)
    }

    pub(crate) fn remove_table(&mut self, id: TableId) -> Option<Arc<Table>> {
        let table = self.tables.remove(&id)?;
        self.by_name.remove(&*table.name);
        Some(table)
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
        retention_ms: retention.map(to_ms),
    })
}
