//! What exists and who may do what: databases, tables, columns, tokens.
//!
//! [`Catalog::snapshot`] gives an immutable view; the commit methods change it: validated against the newest
//! view, appended to a log in the object store by compare-and-swap, durable before they return, then visible.
//! Not here: rows (`storage`), how a credential arrives over HTTP (`server`).

pub mod database;

pub mod table;

pub mod column;

pub mod token;

pub mod change;

pub mod log;

pub mod format;

mod names;

pub use column::{Column, ColumnId, ColumnKind, FieldType};
pub use database::{Database, DatabaseId, HardDelete};
pub use names::validate_database_name;
pub use runtime::{Error, ErrorKind};
pub use table::{Table, TableId};
pub use token::{Authenticated, Digest, NewToken, Token, TokenId};

use std::sync::Arc;
use std::time::Duration;

use runtime::World;

/// How much may exist (spec/write-and-storage.md §5.6).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Without `_internal` and deleted ones.
    pub databases: usize,
    /// In all databases together, without deleted ones.
    pub tables: usize,
    /// Without `time`.
    pub columns_per_table: usize,
    pub tag_columns_per_table: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            databases: 100,
            tables: 10_000,
            columns_per_table: 500,
            tag_columns_per_table: 4096,
        }
    }
}

/// Everything that exists, at one moment. Cheap to clone by `Arc`, never changes.
#[derive(Debug)]
pub struct Snapshot {}

impl Snapshot {
    /// The catalog's own identity, fixed when it was first made; sent as `cluster-uuid`.
    pub fn uuid(&self) -> &str {
        unimplemented!()
    }

    /// A live (not deleted) database by its name.
    pub fn database(&self, name: &str) -> Option<&Arc<Database>> {
        let _ = name;
        unimplemented!()
    }

    /// Any database by its id, deleted ones too.
    pub fn database_by_id(&self, id: DatabaseId) -> Option<&Arc<Database>> {
        let _ = id;
        unimplemented!()
    }

    /// All databases in the order of their names, deleted ones too.
    pub fn databases(&self) -> Vec<Arc<Database>> {
        unimplemented!()
    }
}

/// Columns that a write needs, in first-seen order; those that exist already are fine when of the same kind.
#[derive(Clone, Debug)]
pub struct TableAdditions {
    pub table: String,
    pub columns: Vec<(String, ColumnKind)>,
}

/// The catalog of one node.
#[derive(Debug)]
pub struct Catalog {}

impl Catalog {
    /// Loads (or begins) the catalog below `prefix` in the world's store.
    pub async fn open(prefix: &str, world: &World, limits: Limits) -> Result<Self, Error> {
        let _ = (prefix, world, limits);
        unimplemented!()
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        unimplemented!()
    }

    pub fn limits(&self) -> Limits {
        unimplemented!()
    }

    /// Creates what is missing of `database` and its tables and columns, all or nothing, and returns the view that has
    /// them. One durable append when anything is missing, none otherwise.
    ///
    /// Errors: `Conflict` when a column exists by now with another kind, `Limit`, `Invalid` name.
    pub async fn extend_schema(
        &self,
        database: &str,
        additions: &[TableAdditions],
    ) -> Result<Arc<Snapshot>, Error> {
        let _ = (database, additions);
        unimplemented!()
    }

    /// Errors: `Invalid` name, `Conflict` when it exists, `Limit`.
    pub async fn create_database(
        &self,
        name: &str,
        retention: Option<Duration>,
    ) -> Result<Arc<Database>, Error> {
        let _ = (name, retention);
        unimplemented!()
    }

    /// Marks a database deleted and renames it `NAME-YYYYMMDDTHHMMSS` (spec/http-api.md §7.4).
    pub async fn delete_database(&self, name: &str, when: HardDelete) -> Result<(), Error> {
        let _ = (name, when);
        unimplemented!()
    }

    /// Creates the operator token `_admin`. Errors: `Conflict` with `token name already exists, _admin`.
    pub async fn create_admin_token(&self) -> Result<NewToken, Error> {
        unimplemented!()
    }

    /// Replaces the operator token's secret; the old one is dead when this returns.
    ///
    /// `presented` is what [`Catalog::authenticate`] said of the caller's token: it must still be the operator's current
    /// one at the moment of the change, so that of two rotations with the same token only one succeeds. Errors: `Denied`
    /// when it is not, `Internal` with `missing admin token, cannot update` when there is no operator token.
    pub async fn regenerate_admin_token(
        &self,
        presented: &Authenticated,
    ) -> Result<NewToken, Error> {
        let _ = presented;
        unimplemented!()
    }

    /// Whose token this is, if it is valid now. The work done does not depend on how much of it is right.
    pub fn authenticate(&self, presented: &[u8]) -> Option<Authenticated> {
        let _ = presented;
        unimplemented!()
    }
}
