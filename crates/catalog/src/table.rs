//! A table: its columns and its series key.
//!
//! Columns come by `change` only and are never removed, so the ids of a table are 0, 1, 2 and so on without gaps.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::{Column, ColumnId, ColumnKind};

/// Unique in the whole catalog, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub u32);

#[derive(Clone, Debug)]
pub struct Table {
    pub id: TableId,
    pub name: Arc<str>,
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
            columns: Vec::new(),
            by_name: HashMap::new(),
            series_key: Vec::new(),
            key_positions: Vec::new(),
        }
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
