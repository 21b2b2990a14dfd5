//! The schema a request needs beyond what exists: checked line by line, committed at once.
//!
//! A rejected line leaves no trace in it. Pure: it reads a catalog snapshot and changes nothing outside itself.

use std::borrow::Cow;
use std::sync::Arc;

use catalog::{
    ColumnKind, Database, Limits, Snapshot, Table, TableAdditions, check_column,
    schema::TIME_COLUMN,
};
use hashbrown::{HashMap, HashSet};
use line_protocol::{Field, Series};

use super::rows::{kind_of, repeated_field};
use crate::Error;

/// Tables and columns that a request needs and the catalog lacks.
#[derive(Debug)]
pub struct Draft<'a> {
    snapshot: &'a Snapshot,
    limits: Limits,
    database: Option<&'a Arc<Database>>,
    tables: Vec<DraftTable>,
    by_name: HashMap<String, usize>,
    new_tables: usize,
}

#[derive(Debug)]
struct DraftTable {
    name: String,
    existing: Option<Arc<Table>>,
    added: Vec<(String, ColumnKind)>,
    kinds: HashMap<String, ColumnKind>,
    tags: usize,
    columns: usize,
}

impl<'a> Draft<'a> {
    pub fn new(
        snapshot: &'a Snapshot,
        limits: Limits,
        database: Option<&'a Arc<Database>>,
    ) -> Self {
        Self {
            snapshot,
            limits,
            database,
            tables: Vec::new(),
            by_name: HashMap::new(),
            new_tables: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    pub fn additions(self) -> Vec<TableAdditions> {
        self.tables
            .into_iter()
            .map(|table| TableAdditions {
                table: table.name,
                columns: table.added,
            })
            .collect()
    }

    /// Checks a line's columns (spec/write-and-storage.md §5.4) and takes down what it needs. `accept` is asked last and may still
    /// refuse the line. True when nothing is needed.
    ///
    /// Errors are those of the line; then the draft is as it was before.
    pub fn require(
        &mut self,
        series: &Series<'_>,
        fields: &[Field<'_>],
        accept: impl FnOnce() -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let name = series.measurement.unescape();
        let drafted = self.by_name.get(name.as_ref()).copied();
        let existing = match drafted {
            Some(at) => self.tables[at].existing.clone(),
            None => self
                .database
                .and_then(|database| database.table(&name))
                .cloned(),
        };
        let is_new_table = drafted.is_none() && existing.is_none();
        if is_new_table {
            self.limits
                .check_new_table(self.snapshot.live_tables() + self.new_tables)?;
        }
        let table = drafted.map(|at| &self.tables[at]);
        let mut line = LineColumns {
            limits: &self.limits,
            existing: existing.as_deref(),
            table,
            tags: table.map_or_else(
                || existing.as_ref().map_or(0, |t| t.series_key().len()),
                |t| t.tags,
            ),
            columns: table.map_or_else(
                || existing.as_ref().map_or(0, |t| t.limited_columns()),
                |t| t.columns,
            ),
            added: Vec::new(),
            kinds: HashMap::new(),
        };
        for (key, _) in &series.tags {
            line.require(key.unescape(), ColumnKind::Tag)?;
        }
        let mut seen: HashSet<Cow<'_, str>> = HashSet::with_capacity(fields.len());
        for field in fields {
            line.require(field.key.unescape(), kind_of(&field.value))?;
        }
        for field in fields {
            if let Some(repeated) = seen.replace(field.key.unescape()) {
                return Err(repeated_field(&repeated));
            }
        }
        accept()?;
        let (tags, columns, added) = (line.tags, line.columns, line.added);
        if added.is_empty() && !is_new_table {
            return Ok(true);
        }
        let at = drafted.unwrap_or_else(|| {
            self.new_tables += usize::from(is_new_table);
            self.by_name.insert(name.to_string(), self.tables.len());
            self.tables.push(DraftTable {
                name: name.to_string(),
                existing,
                added: Vec::new(),
                kinds: HashMap::new(),
                tags: 0,
                columns: 0,
            });
            self.tables.len() - 1
        });
        let table = &mut self.tables[at];
        table.tags = tags;
        table.columns = columns;
        for (name, kind) in added {
            table.kinds.insert(name.clone(), kind);
            table.added.push((name, kind));
        }
        if is_new_table {
            // Its id comes behind those of the line that made the table (spec/write-and-storage.md §5.2).
            table
                .added
                .push((TIME_COLUMN.to_string(), ColumnKind::Time));
        }
        Ok(false)
    }
}

/// The columns of one line, as far as they were looked at.
struct LineColumns<'a> {
    limits: &'a Limits,
    existing: Option<&'a Table>,
    table: Option<&'a DraftTable>,
    tags: usize,
    columns: usize,
    added: Vec<(String, ColumnKind)>,
    /// Of `added`, by name.
    kinds: HashMap<String, ColumnKind>,
}

impl LineColumns<'_> {
    fn require(&mut self, name: Cow<'_, str>, kind: ColumnKind) -> Result<(), Error> {
        let present = self
            .existing
            .and_then(|table| table.column(&name))
            .map(|column| column.kind)
            .or_else(|| self.table?.kinds.get(name.as_ref()).copied())
            .or_else(|| self.kinds.get(name.as_ref()).copied());
        check_column(present, &name, kind)?;
        if present.is_none() {
            self.limits
                .check_new_column(self.columns, self.tags, kind)?;
            self.columns += 1;
            self.tags += usize::from(kind == ColumnKind::Tag);
            self.kinds.insert(name.to_string(), kind);
            self.added.push((name.into_owned(), kind));
        }
        Ok(())
    }
}
