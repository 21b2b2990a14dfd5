//! A table: its columns and its series key.

use std::sync::Arc;

use crate::{Column, ColumnId};

/// Unique in the whole catalog, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub u32);

#[derive(Clone, Debug)]
pub struct Table {
    pub id: TableId,
    pub name: Arc<str>,
}

impl Table {
    /// All columns in the order of their ids, `time` among them.
    pub fn columns(&self) -> &[Column] {
        unimplemented!()
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        let _ = name;
        unimplemented!()
    }

    pub fn column_by_id(&self, id: ColumnId) -> Option<&Column> {
        let _ = id;
        unimplemented!()
    }

    /// The tag columns in series-key order, which is the order they were first seen; grows only at the end.
    pub fn series_key(&self) -> &[ColumnId] {
        unimplemented!()
    }

    /// Where `tag` stands in the series key.
    pub fn series_key_position(&self, tag: ColumnId) -> Option<usize> {
        self.series_key().iter().position(|column| *column == tag)
    }
}
