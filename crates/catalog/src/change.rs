//! Every change the catalog can undergo, and how it is applied.
//!
//! The `plan_` functions of the nouns (`database`, `table`, `schema`, `retention`, `deletion`, `token`) turn a request into changes; [`apply`] turns
//! changes into the next snapshot, the same way when they are made and when the log is replayed. It checks
//! [`Invariant`]s, not wishes: limits, names and permissions are the planner's business, so that a log written under
//! other limits stays readable.

use std::sync::Arc;
use std::time::Duration;

use crate::database::{INTERNAL_DATABASE, INTERNAL_RETENTION};
use crate::token::LastUsed;
use crate::{
    Column, ColumnKind, Database, DatabaseId, Digest, Error, NewExpiry, Permissions,
    PreviousSecret, Snapshot, StagedSecret, Table, TableId, Token, TokenId,
};

/// One change. Ids are part of it, so replay gives every thing the id it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The first of all: gives the catalog its identity and makes `_internal`.
    Begin {
        uuid: Arc<str>,
    },
    CreateDatabase {
        id: DatabaseId,
        name: Arc<str>,
        retention_ms: Option<u64>,
    },
    SetDatabaseRetention {
        id: DatabaseId,
        retention_ms: Option<u64>,
    },
    /// Marks as deleted and renames; the tables go with their database.
    DeleteDatabase {
        id: DatabaseId,
        renamed: Arc<str>,
        deleted_at_ms: i64,
        hard_delete_at_ms: Option<i64>,
    },
    /// Makes a deleted database live again, under another name; tables that were deleted by themselves stay so.
    UndeleteDatabase {
        id: DatabaseId,
        name: Arc<str>,
    },
    /// Sets when the data of a deleted database goes for good; `None` is never.
    RescheduleHardDelete {
        id: DatabaseId,
        hard_delete_at_ms: Option<i64>,
    },
    CreateTable {
        database: DatabaseId,
        id: TableId,
        name: Arc<str>,
        columns: Vec<Column>,
        retention_ms: Option<u64>,
    },
    AddColumns {
        table: TableId,
        columns: Vec<Column>,
    },
    /// `None`: as the database says.
    SetTableRetention {
        id: TableId,
        retention_ms: Option<u64>,
    },
    /// Marks as deleted and renames.
    DeleteTable {
        id: TableId,
        renamed: Arc<str>,
        deleted_at_ms: i64,
        hard_delete_at_ms: Option<i64>,
    },
    /// Makes a deleted table of a live database live again, under another name.
    UndeleteTable {
        id: TableId,
        name: Arc<str>,
    },
    /// Forgets a deleted table, or one of a deleted database, whose data is gone.
    RemoveTable {
        id: TableId,
    },
    /// Forgets a deleted database that has no tables any more.
    RemoveDatabase {
        id: DatabaseId,
    },
    CreateToken {
        id: TokenId,
        name: Arc<str>,
        description: Option<Arc<str>>,
        digest: Digest,
        created_at_ms: i64,
        created_by: Option<TokenId>,
        expiry_ms: Option<i64>,
        permissions: Arc<Permissions>,
    },
    /// Puts another secret in force. A staged one is forgotten; the former lives on when `previous_until_ms` says so.
    RotateToken {
        id: TokenId,
        digest: Digest,
        updated_at_ms: i64,
        updated_by: Option<TokenId>,
        expiry: NewExpiry,
        previous_until_ms: Option<i64>,
    },
    /// Adds a secret that waits to be confirmed, in place of one that does.
    StageToken {
        id: TokenId,
        digest: Digest,
        until_ms: i64,
        expiry: NewExpiry,
        grace_ms: u64,
    },
    /// Puts the staged secret in force; the token counts as updated by itself.
    ConfirmToken {
        id: TokenId,
        updated_at_ms: i64,
        previous_until_ms: Option<i64>,
    },
    DropPreviousSecret {
        id: TokenId,
    },
    DropStagedSecret {
        id: TokenId,
    },
    DeleteToken {
        id: TokenId,
    },
}

/// What holds in every snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariant {
    BeginsOnce,
    SequenceGrowsByOne,
    IdsAreNeverReused,
    NamesAreUnique,
    ChangedThingExists,
    DeletedStaysDeleted,
    OnlyDeletedThingsComeBack,
    OnlyDeletedThingsAreRemoved,
    InternalDatabaseIsUntouched,
    ColumnIdsAreDense,
    ColumnNamesAreUnique,
    EveryTableHasOneTimeColumn,
    TokenDigestsAreUnique,
}

impl Invariant {
    pub fn name(self) -> &'static str {
        match self {
            Self::BeginsOnce => "a catalog begins once",
            Self::SequenceGrowsByOne => "record numbers grow by one",
            Self::IdsAreNeverReused => "ids are never reused",
            Self::NamesAreUnique => "names are unique",
            Self::ChangedThingExists => "what is changed exists",
            Self::DeletedStaysDeleted => "deleted stays deleted",
            Self::OnlyDeletedThingsComeBack => "only what is deleted comes back",
            Self::OnlyDeletedThingsAreRemoved => "only what is deleted is removed",
            Self::InternalDatabaseIsUntouched => "the internal database is untouched",
            Self::ColumnIdsAreDense => "column ids are dense",
            Self::ColumnNamesAreUnique => "column names are unique",
            Self::EveryTableHasOneTimeColumn => "every table has one time column",
            Self::TokenDigestsAreUnique => "token digests are unique",
        }
    }

    /// `Ok` when `holds`; otherwise an `Internal` error that names the invariant and `thing`.
    pub(crate) fn require(self, holds: bool, thing: impl FnOnce() -> String) -> Result<(), Error> {
        if holds {
            return Ok(());
        }
        Err(self.broken_by(thing()))
    }

    pub(crate) fn broken_by(self, thing: String) -> Error {
        Error::internal(format!(
            "catalog invariant '{}' is broken by {thing}",
            self.name()
        ))
    }
}

/// The snapshot after `changes`, all of them or an error. Pure; takes the snapshot by value so that replay, which
/// holds the only reference, changes it in place: keep a clone (it is cheap) to keep the former one.
///
/// `sequence` is the number of the record that carries the changes.
pub fn apply(mut snapshot: Snapshot, sequence: u64, changes: &[Change]) -> Result<Snapshot, Error> {
    Invariant::SequenceGrowsByOne
        .require(snapshot.sequence.checked_add(1) == Some(sequence), || {
            format!("record {sequence} after {}", snapshot.sequence)
        })?;
    for change in changes {
        apply_one(&mut snapshot, change)?;
    }
    snapshot.sequence = sequence;
    Ok(snapshot)
}

fn apply_one(snapshot: &mut Snapshot, change: &Change) -> Result<(), Error> {
    let begun = snapshot.uuid.is_some();
    Invariant::BeginsOnce.require(begun != matches!(change, Change::Begin { .. }), || {
        if begun {
            "a second beginning"
        } else {
            "a change before the beginning"
        }
        .to_string()
    })?;
    match change {
        Change::Begin { uuid } => begin(snapshot, uuid),
        Change::CreateDatabase {
            id,
            name,
            retention_ms,
        } => {
            let retention = retention_ms.map(Duration::from_millis);
            insert_database(snapshot, Database::new(*id, Arc::clone(name), retention))
        }
        Change::SetDatabaseRetention { id, retention_ms } => {
            let database = database_mut(snapshot, *id)?;
            Invariant::InternalDatabaseIsUntouched
                .require(!database.is_internal(), || "a retention".to_string())?;
            Invariant::DeletedStaysDeleted.require(!database.is_deleted(), || {
                format!("a retention of deleted database {}", id.0)
            })?;
            database.retention = retention_ms.map(Duration::from_millis);
            Ok(())
        }
        Change::DeleteDatabase {
            id,
            renamed,
            deleted_at_ms,
            hard_delete_at_ms,
        } => delete_database(snapshot, *id, renamed, *deleted_at_ms, *hard_delete_at_ms),
        Change::UndeleteDatabase { id, name } => undelete_database(snapshot, *id, name),
        Change::RescheduleHardDelete {
            id,
            hard_delete_at_ms,
        } => {
            let database = database_mut(snapshot, *id)?;
            Invariant::DeletedStaysDeleted.require(database.is_deleted(), || {
                format!("a hard delete of live database {}", id.0)
            })?;
            database.hard_delete_at_ms = *hard_delete_at_ms;
            Ok(())
        }
        Change::CreateTable {
            database,
            id,
            name,
            columns,
            retention_ms,
        } => {
            let mut table = Table::new(*id, Arc::clone(name));
            table.retention = retention_ms.map(Duration::from_millis);
            add_columns(&mut table, columns)?;
            Invariant::IdsAreNeverReused
                .require(id.0 >= snapshot.next_table, || format!("table {}", id.0))?;
            require_live(database_mut(snapshot, *database)?)?;
            insert_table(snapshot, *database, table)
        }
        Change::AddColumns { table, columns } => {
            let table = live_table_mut(snapshot, *table)?;
            Invariant::EveryTableHasOneTimeColumn.require(
                columns.iter().all(|column| column.kind != ColumnKind::Time),
                || format!("table '{}'", table.name),
            )?;
            add_columns(table, columns)
        }
        Change::SetTableRetention { id, retention_ms } => {
            live_table_mut(snapshot, *id)?.retention = retention_ms.map(Duration::from_millis);
            Ok(())
        }
        Change::DeleteTable {
            id,
            renamed,
            deleted_at_ms,
            hard_delete_at_ms,
        } => delete_table(snapshot, *id, renamed, *deleted_at_ms, *hard_delete_at_ms),
        Change::UndeleteTable { id, name } => undelete_table(snapshot, *id, name),
        Change::RemoveTable { id } => remove_table(snapshot, *id),
        Change::RemoveDatabase { id } => remove_database(snapshot, *id),
        Change::CreateToken {
            id,
            name,
            description,
            digest,
            created_at_ms,
            created_by,
            expiry_ms,
            permissions,
        } => {
            Invariant::IdsAreNeverReused
                .require(id.0 >= snapshot.next_token, || format!("token {}", id.0))?;
            let token = Token {
                id: *id,
                name: Arc::clone(name),
                description: description.clone(),
                created_at_ms: *created_at_ms,
                created_by: *created_by,
                updated_at_ms: None,
                updated_by: None,
                expiry_ms: *expiry_ms,
                permissions: Arc::clone(permissions),
                digest: digest.clone(),
                previous: None,
                staged: None,
                last_used: LastUsed::default(),
            };
            insert_token(snapshot, token)
        }
        Change::RotateToken {
            id,
            digest,
            updated_at_ms,
            updated_by,
            expiry,
            previous_until_ms,
        } => {
            require_new_digest(snapshot, *id, digest)?;
            change_token(snapshot, *id, |token| {
                replace_digest(token, digest, *previous_until_ms);
                token.staged = None;
                token.updated_at_ms = Some(*updated_at_ms);
                token.updated_by = *updated_by;
                token.expiry_ms = expiry.or(token.expiry_ms);
                Ok(())
            })
        }
        Change::StageToken {
            id,
            digest,
            until_ms,
            expiry,
            grace_ms,
        } => {
            require_new_digest(snapshot, *id, digest)?;
            change_token(snapshot, *id, |token| {
                token.staged = Some(StagedSecret {
                    digest: digest.clone(),
                    until_ms: *until_ms,
                    expiry: *expiry,
                    grace_ms: *grace_ms,
                });
                Ok(())
            })
        }
        Change::ConfirmToken {
            id,
            updated_at_ms,
            previous_until_ms,
        } => change_token(snapshot, *id, |token| {
            let staged = token
                .staged
                .take()
                .ok_or_else(|| missing_secret(token.id))?;
            replace_digest(token, &staged.digest, *previous_until_ms);
            token.updated_at_ms = Some(*updated_at_ms);
            token.updated_by = Some(token.id);
            token.expiry_ms = staged.expiry.or(token.expiry_ms);
            Ok(())
        }),
        Change::DropPreviousSecret { id } => change_token(snapshot, *id, |token| {
            let dropped = token.previous.take().map(|_| ());
            dropped.ok_or_else(|| missing_secret(token.id))
        }),
        Change::DropStagedSecret { id } => change_token(snapshot, *id, |token| {
            let dropped = token.staged.take().map(|_| ());
            dropped.ok_or_else(|| missing_secret(token.id))
        }),
        Change::DeleteToken { id } => remove_token(snapshot, *id).map(|_| ()),
    }
}

fn begin(snapshot: &mut Snapshot, uuid: &Arc<str>) -> Result<(), Error> {
    snapshot.uuid = Some(Arc::clone(uuid));
    let internal = Database::new(
        DatabaseId(0),
        INTERNAL_DATABASE.into(),
        Some(INTERNAL_RETENTION),
    );
    insert_database(snapshot, internal)
}

/// Adds a database without tables.
pub(crate) fn insert_database(snapshot: &mut Snapshot, database: Database) -> Result<(), Error> {
    let id = database.id;
    Invariant::IdsAreNeverReused.require(id.0 >= snapshot.next_database, || {
        format!("database {}", id.0)
    })?;
    let name = Arc::clone(&database.name);
    Invariant::NamesAreUnique.require(!snapshot.databases_by_name.contains(&*name), || {
        format!("database '{name}'")
    })?;
    snapshot.next_database = successor(id.0, "database")?;
    snapshot.live_databases += usize::from(database.is_limited());
    snapshot.databases_by_name.insert(name, id);
    snapshot.databases.insert(id, Arc::new(database));
    Ok(())
}

fn delete_database(
    snapshot: &mut Snapshot,
    id: DatabaseId,
    renamed: &Arc<str>,
    deleted_at_ms: i64,
    hard_delete_at_ms: Option<i64>,
) -> Result<(), Error> {
    Invariant::NamesAreUnique.require(!snapshot.databases_by_name.contains(&**renamed), || {
        format!("deleted database '{renamed}'")
    })?;
    let database = database_mut(snapshot, id)?;
    Invariant::InternalDatabaseIsUntouched
        .require(!database.is_internal(), || "its deletion".to_string())?;
    Invariant::DeletedStaysDeleted.require(!database.is_deleted(), || {
        format!("a second deletion of database {}", id.0)
    })?;
    let former = std::mem::replace(&mut database.name, Arc::clone(renamed));
    database.deleted_at_ms = Some(deleted_at_ms);
    database.hard_delete_at_ms = hard_delete_at_ms;
    let tables = database.live_tables();
    snapshot.live_databases -= 1;
    snapshot.live_tables -= tables;
    snapshot.databases_by_name.remove(&*former);
    snapshot.databases_by_name.insert(Arc::clone(renamed), id);
    Ok(())
}

fn undelete_database(
    snapshot: &mut Snapshot,
    id: DatabaseId,
    name: &Arc<str>,
) -> Result<(), Error> {
    Invariant::NamesAreUnique.require(!snapshot.databases_by_name.contains(&**name), || {
        format!("database '{name}' that comes back")
    })?;
    let database = database_mut(snapshot, id)?;
    Invariant::OnlyDeletedThingsComeBack
        .require(database.is_deleted(), || format!("database {}", id.0))?;
    let former = std::mem::replace(&mut database.name, Arc::clone(name));
    database.deleted_at_ms = None;
    database.hard_delete_at_ms = None;
    let tables = database.live_tables();
    snapshot.live_databases += 1;
    snapshot.live_tables += tables;
    snapshot.databases_by_name.remove(&*former);
    snapshot.databases_by_name.insert(Arc::clone(name), id);
    Ok(())
}

/// Adds a table with all its columns. Whether its id is new is the caller's to check: a checkpoint holds tables in the
/// order of their databases.
pub(crate) fn insert_table(
    snapshot: &mut Snapshot,
    database_id: DatabaseId,
    table: Table,
) -> Result<(), Error> {
    let id = table.id;
    Invariant::EveryTableHasOneTimeColumn.require(
        table
            .columns()
            .iter()
            .filter(|column| column.kind == ColumnKind::Time)
            .count()
            == 1,
        || format!("table '{}'", table.name),
    )?;
    Invariant::IdsAreNeverReused.require(!snapshot.table_owners.contains(&id), || {
        format!("table {}", id.0)
    })?;
    let next_table = successor(id.0, "table")?.max(snapshot.next_table);
    let database = database_mut(snapshot, database_id)?;
    Invariant::NamesAreUnique.require(database.table_named(&table.name).is_none(), || {
        format!("table '{}' in database '{}'", table.name, database.name)
    })?;
    let limited = database.is_limited() && !table.is_deleted();
    database.insert_table(Arc::new(table));
    snapshot.live_tables += usize::from(limited);
    snapshot.next_table = next_table;
    snapshot.table_owners.insert(id, database_id);
    Ok(())
}

fn delete_table(
    snapshot: &mut Snapshot,
    id: TableId,
    renamed: &Arc<str>,
    deleted_at_ms: i64,
    hard_delete_at_ms: Option<i64>,
) -> Result<(), Error> {
    let database = owner_mut(snapshot, id)?;
    Invariant::InternalDatabaseIsUntouched.require(!database.is_internal(), || {
        format!("the deletion of table {}", id.0)
    })?;
    Invariant::DeletedStaysDeleted.require(
        !database.is_deleted()
            && database
                .table_by_id(id)
                .is_some_and(|table| !table.is_deleted()),
        || format!("a second deletion of table {}", id.0),
    )?;
    Invariant::NamesAreUnique.require(database.table_named(renamed).is_none(), || {
        format!("deleted table '{renamed}'")
    })?;
    let table = database
        .rename_table(id, renamed)
        .ok_or_else(|| missing_table(id))?;
    table.deleted_at_ms = Some(deleted_at_ms);
    table.hard_delete_at_ms = hard_delete_at_ms;
    snapshot.live_tables -= 1;
    Ok(())
}

fn undelete_table(snapshot: &mut Snapshot, id: TableId, name: &Arc<str>) -> Result<(), Error> {
    let database = owner_mut(snapshot, id)?;
    require_live(database)?;
    Invariant::NamesAreUnique.require(database.table_named(name).is_none(), || {
        format!("table '{name}' that comes back")
    })?;
    let table = database
        .rename_table(id, name)
        .ok_or_else(|| missing_table(id))?;
    Invariant::OnlyDeletedThingsComeBack
        .require(table.is_deleted(), || format!("table {}", id.0))?;
    table.deleted_at_ms = None;
    table.hard_delete_at_ms = None;
    snapshot.live_tables += 1;
    Ok(())
}

fn remove_table(snapshot: &mut Snapshot, id: TableId) -> Result<(), Error> {
    let database = owner_mut(snapshot, id)?;
    let database_deleted = database.is_deleted();
    let removed = database.remove_table(id).ok_or_else(|| missing_table(id))?;
    Invariant::OnlyDeletedThingsAreRemoved
        .require(database_deleted || removed.is_deleted(), || {
            format!("the removal of table {}", id.0)
        })?;
    snapshot.table_owners.remove(&id);
    Ok(())
}

fn remove_database(snapshot: &mut Snapshot, id: DatabaseId) -> Result<(), Error> {
    let database = database_mut(snapshot, id)?;
    Invariant::OnlyDeletedThingsAreRemoved
        .require(database.is_deleted() && database.table_count() == 0, || {
            format!("the removal of database {}", id.0)
        })?;
    let name = Arc::clone(&database.name);
    snapshot.databases_by_name.remove(&*name);
    snapshot.databases.remove(&id);
    Ok(())
}

fn add_columns(table: &mut Table, columns: &[Column]) -> Result<(), Error> {
    columns
        .iter()
        .try_for_each(|column| add_column(table, column.clone()))
}

/// Appends a column.
pub(crate) fn add_column(table: &mut Table, column: Column) -> Result<(), Error> {
    Invariant::ColumnIdsAreDense.require(table.next_column_id() == Some(column.id), || {
        format!("column {} of table '{}'", column.id.0, table.name)
    })?;
    Invariant::ColumnNamesAreUnique.require(table.column(&column.name).is_none(), || {
        format!("column '{}' of table '{}'", column.name, table.name)
    })?;
    let is_time = column.kind == ColumnKind::Time;
    Invariant::EveryTableHasOneTimeColumn.require(
        is_time == (&*column.name == crate::schema::TIME_COLUMN),
        || format!("column '{}' of table '{}'", column.name, table.name),
    )?;
    table.push(column);
    Ok(())
}

/// Adds a token. Whether its id is new is the caller's to check, as with tables.
pub(crate) fn insert_token(snapshot: &mut Snapshot, token: Token) -> Result<(), Error> {
    let id = token.id;
    let name = Arc::clone(&token.name);
    Invariant::NamesAreUnique.require(!snapshot.tokens_by_name.contains(&*name), || {
        format!("token '{name}'")
    })?;
    Invariant::IdsAreNeverReused
        .require(!snapshot.tokens.contains(&id), || format!("token {}", id.0))?;
    let next =
        id.0.checked_add(1)
            .ok_or_else(|| Error::internal("no token ids are left"))?;
    snapshot.next_token = snapshot.next_token.max(next);
    for digest in digests_of(&token) {
        let former = snapshot.tokens_by_digest.insert(digest, id);
        Invariant::TokenDigestsAreUnique.require(former.is_none(), || format!("token '{name}'"))?;
    }
    snapshot.tokens_by_name.insert(name, id);
    snapshot.tokens.insert(id, Arc::new(token));
    Ok(())
}

fn remove_token(snapshot: &mut Snapshot, id: TokenId) -> Result<Arc<Token>, Error> {
    let Some(token) = snapshot.tokens.remove(&id) else {
        return Err(Invariant::ChangedThingExists.broken_by(format!("token {}", id.0)));
    };
    snapshot.tokens_by_name.remove(&*token.name);
    for digest in digests_of(&token) {
        snapshot.tokens_by_digest.remove(&digest);
    }
    Ok(token)
}

fn require_new_digest(snapshot: &Snapshot, id: TokenId, digest: &Digest) -> Result<(), Error> {
    Invariant::TokenDigestsAreUnique.require(!snapshot.tokens_by_digest.contains(digest), || {
        format!("token {}", id.0)
    })
}

/// Takes a token out and puts it back as `change` leaves it, its secrets found under their digests as they are then.
fn change_token(
    snapshot: &mut Snapshot,
    id: TokenId,
    change: impl FnOnce(&mut Token) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut token = Token::clone(&*remove_token(snapshot, id)?);
    change(&mut token)?;
    insert_token(snapshot, token)
}

fn replace_digest(token: &mut Token, digest: &Digest, previous_until_ms: Option<i64>) {
    let former = std::mem::replace(&mut token.digest, digest.clone());
    token.previous = previous_until_ms.map(|until_ms| PreviousSecret {
        digest: former,
        until_ms,
    });
}

/// Of all secrets that a token has.
fn digests_of(token: &Token) -> impl Iterator<Item = Digest> {
    let previous = token.previous.as_ref().map(|previous| &previous.digest);
    let staged = token.staged.as_ref().map(|staged| &staged.digest);
    [Some(&token.digest), previous, staged]
        .into_iter()
        .flatten()
        .cloned()
        .collect::<Vec<_>>()
        .into_iter()
}

fn missing_secret(id: TokenId) -> Error {
    Invariant::ChangedThingExists.broken_by(format!("a secret of token {}", id.0))
}

/// The database, copied first when an older snapshot still shows it.
fn database_mut(snapshot: &mut Snapshot, id: DatabaseId) -> Result<&mut Database, Error> {
    match snapshot.databases.get_mut(&id) {
        Some(database) => Ok(Arc::make_mut(database)),
        None => Err(Invariant::ChangedThingExists.broken_by(format!("database {}", id.0))),
    }
}

/// The database that a table is in, copied first when an older snapshot still shows it.
fn owner_mut(snapshot: &mut Snapshot, table: TableId) -> Result<&mut Database, Error> {
    let owner = *snapshot
        .table_owners
        .get(&table)
        .ok_or_else(|| missing_table(table))?;
    database_mut(snapshot, owner)
}

/// A table that can still change.
fn live_table_mut(snapshot: &mut Snapshot, id: TableId) -> Result<&mut Table, Error> {
    let database = owner_mut(snapshot, id)?;
    require_live(database)?;
    let table = database.table_mut(id).ok_or_else(|| missing_table(id))?;
    Invariant::DeletedStaysDeleted.require(!table.is_deleted(), || {
        format!("a change of deleted table '{}'", table.name)
    })?;
    Ok(table)
}

fn missing_table(id: TableId) -> Error {
    Invariant::ChangedThingExists.broken_by(format!("table {}", id.0))
}

fn require_live(database: &Database) -> Result<(), Error> {
    Invariant::DeletedStaysDeleted.require(!database.is_deleted(), || {
        format!("a new schema in deleted database '{}'", database.name)
    })
}

fn successor(id: u32, kind: &str) -> Result<u32, Error> {
    id.checked_add(1)
        .ok_or_else(|| Error::internal(format!("no {kind} ids are left")))
}

#[cfg(test)]
mod tests;
