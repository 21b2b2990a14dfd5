//! Everything that exists, at one moment.
//!
//! A snapshot is read by everyone and changed by nobody: `change` makes the next one from it, sharing all that stays
//! the same. Counters are kept along, so that a limit is checked without counting.

use std::fmt;
use std::sync::Arc;

use crate::database::INTERNAL_DATABASE;
use crate::shared_map::SharedMap;
use crate::{Database, DatabaseId, Digest, Table, TableId, Token, TokenId};

/// Everything that exists, at one moment. Cheap to clone by `Arc`, never changes.
#[derive(Clone, Default)]
pub struct Snapshot {
    pub(crate) sequence: u64,
    pub(crate) uuid: Option<Arc<str>>,
    pub(crate) next_database: u32,
    pub(crate) next_table: u32,
    pub(crate) next_token: u64,
    pub(crate) live_databases: usize,
    pub(crate) live_tables: usize,
    pub(crate) databases: SharedMap<DatabaseId, Arc<Database>>,
    pub(crate) databases_by_name: SharedMap<Arc<str>, DatabaseId>,
    pub(crate) table_owners: SharedMap<TableId, DatabaseId>,
    pub(crate) tokens: SharedMap<TokenId, Arc<Token>>,
    pub(crate) tokens_by_name: SharedMap<Arc<str>, TokenId>,
    pub(crate) tokens_by_digest: SharedMap<Digest, TokenId>,
}

impl Snapshot {
    /// The number of the log record that led here; 0 before the first.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The catalog's own identity, fixed when it was first made; sent as `cluster-uuid`.
    pub fn uuid(&self) -> &str {
        self.uuid.as_deref().unwrap_or_default()
    }

    /// A live (not deleted) database by its name.
    pub fn database(&self, name: &str) -> Option<&Arc<Database>> {
        self.database_named(name)
            .filter(|database| !database.is_deleted())
    }

    /// Any database by its present name: a deleted one by the name it was given then.
    pub fn database_named(&self, name: &str) -> Option<&Arc<Database>> {
        let id = self.databases_by_name.get(name)?;
        self.databases.get(id)
    }

    /// Any database by its id, deleted ones too.
    pub fn database_by_id(&self, id: DatabaseId) -> Option<&Arc<Database>> {
        self.databases.get(&id)
    }

    /// All databases in the order of their names, deleted ones too.
    pub fn databases(&self) -> Vec<Arc<Database>> {
        let mut databases: Vec<_> = self
            .databases
            .iter()
            .map(|(_, database)| Arc::clone(database))
            .collect();
        databases.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        databases
    }

    /// A table, live or deleted, by its id alone, with the database it is in.
    pub fn table_by_id(&self, id: TableId) -> Option<(&Arc<Database>, &Arc<Table>)> {
        let database = self.databases.get(self.table_owners.get(&id)?)?;
        Some((database, database.table_by_id(id)?))
    }

    /// How many databases count towards the limit: neither deleted nor `_internal`.
    pub fn live_databases(&self) -> usize {
        self.live_databases
    }

    /// How many tables count towards the limit: those of the databases that do, without deleted ones.
    pub fn live_tables(&self) -> usize {
        self.live_tables
    }

    /// All tokens in the order of their ids, expired ones too.
    pub fn tokens(&self) -> Vec<Arc<Token>> {
        let mut tokens: Vec<_> = self
            .tokens
            .iter()
            .map(|(_, token)| Arc::clone(token))
            .collect();
        tokens.sort_unstable_by_key(|token| token.id);
        tokens
    }

    /// A token by its name, an expired one too.
    pub fn token(&self, name: &str) -> Option<&Arc<Token>> {
        let id = self.tokens_by_name.get(name)?;
        self.tokens.get(id)
    }

    /// A token by its id, an expired one too.
    pub fn token_by_id(&self, id: TokenId) -> Option<&Arc<Token>> {
        self.tokens.get(&id)
    }

    /// The token one of whose secrets has this digest, whether that is good or not.
    pub(crate) fn token_of_digest(&self, digest: &Digest) -> Option<&Arc<Token>> {
        let id = self.tokens_by_digest.get(digest)?;
        self.tokens.get(id)
    }

    pub(crate) fn next_database_id(&self) -> DatabaseId {
        DatabaseId(self.next_database)
    }

    pub(crate) fn next_table_id(&self) -> TableId {
        TableId(self.next_table)
    }

    pub(crate) fn next_token_id(&self) -> TokenId {
        TokenId(self.next_token)
    }

    /// The server's own database; absent only before the first record.
    pub fn internal_database(&self) -> Option<&Arc<Database>> {
        self.database_named(INTERNAL_DATABASE)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Snapshot")
            .field("sequence", &self.sequence)
            .field("uuid", &self.uuid())
            .field("databases", &self.databases.len())
            .field("tables", &self.table_owners.len())
            .field("tokens", &self.tokens.len())
            .finish_non_exhaustive()
    }
}
