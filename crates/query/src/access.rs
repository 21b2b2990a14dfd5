//! What of a database a statement may see: where it may go in, which tables exist for it, whose rows it may delete.
//!
//! A table that may not be read does not exist for the statement: not by name, not in `SHOW TABLES` or `information_schema`, not in
//! the rows of `system`. Not here: what permissions are (`catalog`), which endpoint asks (`server`).

use std::sync::Arc;

use catalog::{Action, Database, DatabaseId, Permissions, Resource, Snapshot, Table};

/// Who asks.
#[derive(Clone, Debug)]
pub enum Access {
    /// Nothing is forbidden.
    Everything,
    /// What these permissions allow.
    Of(Arc<Permissions>),
}

impl Access {
    /// Whether statements may be made in the database of that name: all or some of it can be read. One that does not exist is
    /// closed to whoever may not read all databases.
    pub(crate) fn may_enter(&self, snapshot: &Snapshot, database: &str) -> bool {
        let Self::Of(held) = self else {
            return true;
        };
        match snapshot.database_named(database) {
            Some(database) => held.allows_within(Action::Read, database.id),
            None => held.allows(Action::Read, Resource::EveryDatabase),
        }
    }

    pub(crate) fn may_read_all(&self, database: &Database) -> bool {
        self.may_read_all_of(database.id)
    }

    /// As [`Access::may_read_all`], also of a database that is gone.
    pub(crate) fn may_read_all_of(&self, database: DatabaseId) -> bool {
        match self {
            Self::Everything => true,
            Self::Of(held) => held.allows(Action::Read, Resource::Database(database)),
        }
    }

    /// Whether what belongs to the node as a whole is this caller's to decide.
    pub(crate) fn is_admin(&self) -> bool {
        match self {
            Self::Everything => true,
            Self::Of(held) => held.is_admin(),
        }
    }

    pub(crate) fn may_read(&self, database: &Database, table: &Table) -> bool {
        self.may(Action::Read, database, table)
    }

    pub(crate) fn may_delete(&self, database: &Database, table: &Table) -> bool {
        self.may(Action::Delete, database, table)
    }

    fn may(&self, action: Action, database: &Database, table: &Table) -> bool {
        match self {
            Self::Everything => true,
            Self::Of(held) => held.allows(action, Resource::Table(database.id, table.id)),
        }
    }
}
