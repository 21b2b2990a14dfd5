//! A database: a name, its tables, how long its rows are kept.

use std::sync::Arc;
use std::time::Duration;

use crate::{Table, TableId};

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
    /// Milliseconds since the epoch.
    AtMs(i64),
}

#[derive(Clone, Debug)]
pub struct Database {
    pub id: DatabaseId,
    pub name: Arc<str>,
    pub retention: Option<Duration>,
    /// Set on deletion; milliseconds since the epoch.
    pub deleted_at_ms: Option<i64>,
    /// Set on deletion unless never; milliseconds since the epoch.
    pub hard_delete_at_ms: Option<i64>,
}

impl Database {
    /// A live table by its name.
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        let _ = name;
        unimplemented!()
    }

    pub fn table_by_id(&self, id: TableId) -> Option<&Arc<Table>> {
        let _ = id;
        unimplemented!()
    }

    /// Live tables in the order of their names.
    pub fn tables(&self) -> Vec<Arc<Table>> {
        unimplemented!()
    }
}
