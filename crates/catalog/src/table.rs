//! A table: its columns and its series key; and how one is made by name.
//!
//! Columns come by `change` only and are never removed, so the ids of a table are 0, 1, 2 and so on without gaps. Tables
//! that a write needs come by `schema`; how they go is in `deletion`.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};

use crate::change::Change;
use crate::deletion::already_deleted;
use crate::retention::to_ms;
use crate::{Column, ColumnId, ColumnKind, Error, Limits, Snapshot, TableAdditions, schema};

/// Unique in the whole catalog, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub u32);

#[derive(Clone, Debug)]
pub struct Table {
    pub id: TableId,
    pub name: Arc<str>,
    /// Its own, which wins over the database's: see [`crate::Database::retention_of`]. In whole milliseconds.
    pub retention: Option<Duration>,
    /// Set when the table itself was deleted; milliseconds since the epoch. Its database may be deleted all the same.
    pub deleted_at_ms: Option<i64>,
    /// Set on deletion unless never; milliseconds since the epoch.
    pub hard_delete_at_ms: Option<i64>,
    /// In the order of their ids; the id of a column is its place here.
    columns: Vec<Column>,
    by_name: HashMap<Arc<str>, ColumnId>,
    series_key: Vec<ColumnId>,
    /// For every column, where it stands in `series_key`.
    key_positions: Vec<Option<u16>>,
}

impl Table {
    pub(crate) fn new(id: TableId, name: Arc<str>) -> Self {
        Self {
            id,
            name,
            retention: None,
            deleted_at_ms: None,
            hard_delete_at_ms: None,
            columns: Vec::new(),
            by_name: HashMap::new(),
            series_key: Vec::new(),
            key_positions: Vec::new(),
        }
    }

    /// Whether the table itself was deleted.
    pub fn is_deleted(&self) -> bool {
        self.deleted_at_ms.is_some()
    }

    /// All columns in the order of their ids, `time` among them.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.by_name.get(name).and_then(|id| self.column_by_id(*id))
    }

    pub fn column_by_id(&self, id: ColumnId) -> Option<&Column> {
        self.columns.get(usize::from(id.0))
    }

    /// The `time` column, which every table has.
    pub fn time_column(&self) -> Option<&Column> {
        self.column(crate::schema::TIME_COLUMN)
    }

    /// How many columns count towards the limit: all but `time`.
    pub fn limited_columns(&self) -> usize {
        self.columns.len() - usize::from(self.time_column().is_some())
    }

    /// The tag columns in series-key order, which is the order they were first seen; grows only at the end.
    pub fn series_key(&self) -> &[ColumnId] {
        &self.series_key
    }

    /// Where `tag` stands in the series key.
    pub fn series_key_position(&self, tag: ColumnId) -> Option<usize> {
        let position = self
            .key_positions
            .get(usize::from(tag.0))
            .copied()
            .flatten();
        position.map(usize::from)
    }

    /// The id the next new column gets; `None` when all are taken.
    pub(crate) fn next_column_id(&self) -> Option<ColumnId> {
        u16::try_from(self.columns.len()).ok().map(ColumnId)
    }

    /// Appends a column whose id and name [`crate::change`] has checked.
    pub(crate) fn push(&mut self, column: Column) {
        debug_assert_eq!(self.next_column_id(), Some(column.id));
        let position = (column.kind == ColumnKind::Tag)
            .then(|| u16::try_from(self.series_key.len()).ok())
            .flatten();
        if position.is_some() {
            self.series_key.push(column.id);
        }
        self.key_positions.push(position);
        self.by_name.insert(Arc::clone(&column.name), column.id);
        self.columns.push(column);
    }
}

/// What creating a table with these columns changes; its database too when it is missing (spec/http-api.md §7.5).
///
/// Errors: `Invalid` name or column, `Conflict` when the table exists or the database is deleted, `Limit`.
pub(crate) fn plan_create_table(
    snapshot: &Snapshot,
    limits: &Limits,
    database: &str,
    table: &TableAdditions,
    retention: Option<Duration>,
) -> Result<Vec<Change>, Error> {
    if table.table.is_empty() {
        return Err(Error::invalid("table name cannot be empty"));
    }
    let mut names = HashSet::with_capacity(table.columns.len());
    for (name, _) in &table.columns {
        if name.is_empty() {
            return Err(Error::invalid("column name cannot be empty"));
        }
        if !names.insert(name.as_str()) {
            return Err(Error::invalid(format!("duplicate column name '{name}'")));
        }
    }
    let present = snapshot.database_named(database);
    if present.is_some_and(|database| database.is_deleted()) {
        return Err(already_deleted(database));
    }
    if present.is_some_and(|database| database.table_named(&table.table).is_some()) {
        return Err(Error::conflict(
            "attempted to create a resource that already exists",
        ));
    }
    let mut changes =
        schema::plan_extension(snapshot, limits, database, std::slice::from_ref(table))?;
    for change in &mut changes {
        if let Change::CreateTable { retention_ms, .. } = change {
            *retention_ms = retention.map(to_ms);
        }
    }
    Ok(changes)
}
