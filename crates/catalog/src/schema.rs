//! Columns that appear because a write needs them: what may be added, and in which order.
//!
//! The rules of spec/write-and-storage.md §5 stand here once. `storage` uses [`check_column`] and [`Limits`] line by
//! line on the table it has in progress; [`plan_extension`] uses them again on the newest snapshot when all that a
//! batch needs is committed, so two writers that want the same column end with one column.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::change::Change;
use crate::database::plan_create_database;
use crate::{
    Column, ColumnId, ColumnKind, DatabaseId, Error, Limits, Snapshot, Table, TableId,
    validate_database_name,
};

/// The column every table has.
pub const TIME_COLUMN: &str = "time";

/// Names no tag or field can have.
pub const RESERVED_COLUMNS: [&str; 2] = [TIME_COLUMN, "__chunk_order"];

/// Columns that a write needs, in first-seen order; those that exist already are fine when of the same kind.
///
/// A new table gets its column ids in this order: tags of a line, its fields, and `time` at the end, or where `time`
/// stands in the list when it is named.
#[derive(Clone, Debug)]
pub struct TableAdditions {
    pub table: String,
    pub columns: Vec<(String, ColumnKind)>,
}

/// Whether a table whose column `name` is now of kind `existing` (`None`: it has no such column) can take a value of
/// kind `wanted` under that name (spec/write-and-storage.md §5.4). Limits are not looked at.
///
/// Errors: `Conflict` for another kind, `Invalid` for a reserved name.
pub fn check_column(
    existing: Option<ColumnKind>,
    name: &str,
    wanted: ColumnKind,
) -> Result<(), Error> {
    match existing {
        Some(present) if present == wanted => Ok(()),
        Some(present) => Err(Error::conflict(format!(
            "invalid column type for column '{name}', expected {}, got {}",
            present.type_name(),
            wanted.type_name()
        ))),
        None if wanted == ColumnKind::Time && name == TIME_COLUMN => Ok(()),
        None if wanted == ColumnKind::Time || RESERVED_COLUMNS.contains(&name) => {
            Err(Error::invalid(format!("'{name}' is a reserved column")))
        }
        None => Ok(()),
    }
}

/// Refuses a write to a database that is deleted or cannot be written by clients; `Ok` when it exists or could.
pub fn check_writable(snapshot: &Snapshot, database: &str) -> Result<(), Error> {
    match snapshot.database_named(database) {
        Some(found) if found.is_deleted() => Err(Error::invalid(format!(
            "cannot write to soft-deleted database '{database}' - it is marked for deletion"
        ))),
        Some(found) if !found.is_internal() => Ok(()),
        // The name of the internal database breaks the rule for names, which is what a client is told.
        _ => validate_database_name(database),
    }
}

/// What has to change so that `database` has all of `additions`; empty when it does. Linear in the additions.
pub fn plan_extension(
    snapshot: &Snapshot,
    limits: &Limits,
    database: &str,
    additions: &[TableAdditions],
) -> Result<Vec<Change>, Error> {
    check_writable(snapshot, database)?;
    let mut changes = Vec::new();
    let present = snapshot.database(database);
    let database_id = match present {
        Some(present) => present.id,
        None => {
            changes.push(plan_create_database(snapshot, limits, database, None)?);
            snapshot.next_database_id()
        }
    };

    let mut tables: Vec<GrowingTable<'_>> = Vec::with_capacity(additions.len());
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(additions.len());
    let mut new_tables = 0;
    for addition in additions {
        let place = match places.get(addition.table.as_str()) {
            Some(place) => *place,
            None => {
                let existing = present.and_then(|database| database.table_named(&addition.table));
                if existing.is_some_and(|table| table.is_deleted()) {
                    return Err(Error::invalid(format!(
                        "cannot write to soft-deleted table '{}' - it is marked for deletion",
                        addition.table
                    )));
                }
                if existing.is_none() {
                    limits.check_new_table(snapshot.live_tables() + new_tables)?;
                    new_tables += 1;
                }
                places.insert(&addition.table, tables.len());
                tables.push(GrowingTable::new(
                    &addition.table,
                    existing.map(|table| &**table),
                ));
                tables.len() - 1
            }
        };
        for (name, kind) in &addition.columns {
            tables[place].require(limits, name, *kind)?;
        }
    }

    let mut next_table = snapshot.next_table_id();
    for table in tables {
        if let Some(change) = table.into_change(database_id, &mut next_table)? {
            changes.push(change);
        }
    }
    Ok(changes)
}

/// A table as it will be.
struct GrowingTable<'a> {
    name: &'a str,
    existing: Option<&'a Table>,
    columns: usize,
    tags: usize,
    added: Vec<(&'a str, ColumnKind)>,
    added_kinds: HashMap<&'a str, ColumnKind>,
}

impl<'a> GrowingTable<'a> {
    fn new(name: &'a str, existing: Option<&'a Table>) -> Self {
        Self {
            name,
            existing,
            columns: existing.map_or(0, Table::limited_columns),
            tags: existing.map_or(0, |table| table.series_key().len()),
            added: Vec::new(),
            added_kinds: HashMap::new(),
        }
    }

    fn require(&mut self, limits: &Limits, name: &'a str, kind: ColumnKind) -> Result<(), Error> {
        let in_table = self.existing.and_then(|table| table.column(name));
        let existing = in_table
            .map(|column| column.kind)
            .or_else(|| self.added_kinds.get(name).copied());
        check_column(existing, name, kind)?;
        if existing.is_none() {
            limits.check_new_column(self.columns, self.tags, kind)?;
            self.columns += usize::from(kind != ColumnKind::Time);
            self.tags += usize::from(kind == ColumnKind::Tag);
            self.added.push((name, kind));
            self.added_kinds.insert(name, kind);
        }
        Ok(())
    }

    fn into_change(
        mut self,
        database: DatabaseId,
        next_table: &mut TableId,
    ) -> Result<Option<Change>, Error> {
        let first_id = self.existing.map_or(0, |table| table.columns().len());
        if self.existing.is_none() && !self.added_kinds.contains_key(TIME_COLUMN) {
            self.added.push((TIME_COLUMN, ColumnKind::Time));
        }
        if self.added.is_empty() {
            return Ok(None);
        }
        let columns = self
            .added
            .iter()
            .zip(first_id..)
            .map(|((name, kind), id)| {
                let id = u16::try_from(id).map_err(|_| {
                    Error::limit(format!("no column ids are left in table '{}'", self.name))
                })?;
                Ok(Column {
                    id: ColumnId(id),
                    name: Arc::from(*name),
                    kind: *kind,
                })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        if let Some(existing) = self.existing {
            return Ok(Some(Change::AddColumns {
                table: existing.id,
                columns,
            }));
        }
        let id = *next_table;
        next_table.0 = next_table
            .0
            .checked_add(1)
            .ok_or_else(|| Error::internal("no table ids are left"))?;
        Ok(Some(Change::CreateTable {
            database,
            id,
            name: self.name.into(),
            columns,
            retention_ms: None,
        }))
    }
}
