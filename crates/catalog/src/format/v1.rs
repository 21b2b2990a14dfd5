//! Version 1: a fixed header, then one JSON document. Frozen.
//!
//! The types here are the bytes: they exist only to be (de)serialised, and nothing else in the crate is. JSON keys
//! and their meaning: `docs/formats/catalog.md`.

mod token;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use self::token::{GrantV1, NewExpiryV1, TokenV1, digest_of_hex, grants, permissions_of};
use crate::change::{self, Change, Invariant};
use crate::database::INTERNAL_DATABASE;
use crate::log::Record;
use crate::retention::to_ms;
use crate::token::secret::hex_of;
use crate::{
    Column, ColumnId, ColumnKind, Database, DatabaseId, Error, ErrorKind, FieldType, NewExpiry,
    Permissions, Snapshot, Table, TableId, TokenId,
};

const LOG_MAGIC: [u8; 8] = *b"GNOMCLOG";
const CHECKPOINT_MAGIC: [u8; 8] = *b"GNOMCCHK";
const VERSION: u32 = 1;

const VERSION_AT: usize = 8;
const CHECKSUM_AT: usize = 12;
const LENGTH_AT: usize = 16;
const PAYLOAD_AT: usize = 24;

/// The bytes of a log record.
pub fn encode_log(record: &Record) -> Result<Bytes, Error> {
    frame(LOG_MAGIC, &LogV1::from(record))
}

/// The record in `bytes`. Errors: `Corrupt`.
pub fn decode_log(bytes: &[u8]) -> Result<Record, Error> {
    unframe::<LogV1>(LOG_MAGIC, bytes)?.try_into()
}

/// The bytes of a snapshot; the same snapshot always gives the same bytes.
pub fn encode_checkpoint(snapshot: &Snapshot) -> Result<Bytes, Error> {
    frame(CHECKPOINT_MAGIC, &CheckpointV1::from(snapshot))
}

/// The snapshot in `bytes`, with every invariant checked. Errors: `Corrupt`.
pub fn decode_checkpoint(bytes: &[u8]) -> Result<Snapshot, Error> {
    unframe::<CheckpointV1>(CHECKPOINT_MAGIC, bytes)?
        .into_snapshot()
        .map_err(|cause| corrupt(PAYLOAD_AT, cause.message()))
}

fn frame(magic: [u8; 8], payload: &impl Serialize) -> Result<Bytes, Error> {
    let payload = serde_json::to_vec(payload)
        .map_err(|cause| Error::internal("cannot write catalog JSON").with_source(cause))?;
    let length = (payload.len() as u64).to_le_bytes();
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&length);
    checksum.update(&payload);
    let mut framed = Vec::with_capacity(PAYLOAD_AT + payload.len());
    framed.extend_from_slice(&magic);
    framed.extend_from_slice(&VERSION.to_le_bytes());
    framed.extend_from_slice(&checksum.finalize().to_le_bytes());
    framed.extend_from_slice(&length);
    framed.extend_from_slice(&payload);
    Ok(framed.into())
}

/// The header of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub magic: String,
    pub version: u32,
    /// As it is stored.
    pub checksum: u32,
    /// What it should be.
    pub computed: u32,
    /// Of the JSON.
    pub length_bytes: u64,
}

impl Frame {
    pub fn is_sound(&self) -> bool {
        self.checksum == self.computed
    }
}

/// The header and the JSON of any object of this version, whose checksum may be wrong. Errors: `Corrupt`.
pub fn look(bytes: &[u8]) -> Result<(Frame, &[u8]), Error> {
    let magic: [u8; 8] = field(bytes, 0)?;
    if ![LOG_MAGIC, CHECKPOINT_MAGIC].contains(&magic) {
        return Err(corrupt(0, "it begins like no object of a catalog"));
    }
    let version = u32::from_le_bytes(field(bytes, VERSION_AT)?);
    if version != VERSION {
        return Err(corrupt(
            VERSION_AT,
            &format!("version {version} is unknown"),
        ));
    }
    let checksum = u32::from_le_bytes(field(bytes, CHECKSUM_AT)?);
    let length_bytes = u64::from_le_bytes(field(bytes, LENGTH_AT)?);
    let payload = bytes.get(PAYLOAD_AT..).unwrap_or_default();
    if payload.len() as u64 != length_bytes {
        return Err(corrupt(
            LENGTH_AT,
            &format!(
                "the payload should have {length_bytes} bytes and has {}",
                payload.len()
            ),
        ));
    }
    let frame = Frame {
        magic: String::from_utf8_lossy(&magic).into_owned(),
        version,
        checksum,
        computed: crc32fast::hash(bytes.get(LENGTH_AT..).unwrap_or_default()),
        length_bytes,
    };
    Ok((frame, payload))
}

fn unframe<T: DeserializeOwned>(magic: [u8; 8], bytes: &[u8]) -> Result<T, Error> {
    if field::<8>(bytes, 0)? != magic {
        let wanted = String::from_utf8_lossy(&magic).into_owned();
        return Err(corrupt(0, &format!("it does not begin with {wanted}")));
    }
    let (frame, payload) = look(bytes)?;
    if !frame.is_sound() {
        let Frame {
            checksum, computed, ..
        } = frame;
        return Err(corrupt(
            CHECKSUM_AT,
            &format!("the checksum should be {checksum:08x} and is {computed:08x}"),
        ));
    }
    // Written on one line, so that a column is an offset.
    serde_json::from_slice(payload).map_err(|cause| {
        let place = if cause.line() == 1 {
            cause.column().saturating_sub(1)
        } else {
            0
        };
        corrupt(PAYLOAD_AT + place, &format!("the JSON is wrong: {cause}"))
    })
}

fn field<const SIZE: usize>(bytes: &[u8], at: usize) -> Result<[u8; SIZE], Error> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<SIZE>())
        .copied()
        .ok_or_else(|| {
            let wanted = at + SIZE;
            corrupt(
                bytes.len(),
                &format!("it ends inside its first {wanted} bytes"),
            )
        })
}

fn corrupt(offset: usize, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("at offset {offset}: {what}"))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogV1 {
    sequence: u64,
    nonce: String,
    changes: Vec<ChangeV1>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum ChangeV1 {
    Begin {
        uuid: String,
    },
    CreateDatabase {
        id: u32,
        name: String,
        retention_ms: Option<u64>,
    },
    SetDatabaseRetention {
        id: u32,
        retention_ms: Option<u64>,
    },
    DeleteDatabase {
        id: u32,
        renamed: String,
        deleted_at_ms: i64,
        hard_delete_at_ms: Option<i64>,
    },
    UndeleteDatabase {
        id: u32,
        name: String,
    },
    RescheduleHardDelete {
        id: u32,
        hard_delete_at_ms: Option<i64>,
    },
    RemoveDatabase {
        id: u32,
    },
    CreateTable {
        database: u32,
        id: u32,
        name: String,
        columns: Vec<ColumnV1>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retention_ms: Option<u64>,
    },
    AddColumns {
        table: u32,
        columns: Vec<ColumnV1>,
    },
    SetTableRetention {
        id: u32,
        retention_ms: Option<u64>,
    },
    DeleteTable {
        id: u32,
        renamed: String,
        deleted_at_ms: i64,
        hard_delete_at_ms: Option<i64>,
    },
    UndeleteTable {
        id: u32,
        name: String,
    },
    RemoveTable {
        id: u32,
    },
    CreateAdminToken {
        id: u64,
        name: String,
        digest: String,
        created_at_ms: i64,
        expiry_ms: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created_by: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
    },
    CreateResourceToken {
        id: u64,
        name: String,
        digest: String,
        created_at_ms: i64,
        expiry_ms: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created_by: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        permissions: Vec<GrantV1>,
    },
    /// Read, and not written any more: what `RotateToken` says in another way.
    RegenerateAdminToken {
        id: u64,
        digest: String,
        updated_at_ms: i64,
    },
    RotateToken {
        id: u64,
        digest: String,
        updated_at_ms: i64,
        updated_by: Option<u64>,
        expiry: NewExpiryV1,
        previous_until_ms: Option<i64>,
    },
    StageToken {
        id: u64,
        digest: String,
        until_ms: i64,
        expiry: NewExpiryV1,
        grace_ms: u64,
    },
    ConfirmToken {
        id: u64,
        updated_at_ms: i64,
        previous_until_ms: Option<i64>,
    },
    DropPreviousSecret {
        id: u64,
    },
    DropStagedSecret {
        id: u64,
    },
    DeleteToken {
        id: u64,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnV1 {
    id: u16,
    name: String,
    kind: ColumnKindV1,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ColumnKindV1 {
    Tag,
    Time,
    Float,
    Integer,
    Unsigned,
    String,
    Boolean,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointV1 {
    sequence: u64,
    uuid: String,
    next_database_id: u32,
    next_table_id: u32,
    next_token_id: u64,
    databases: Vec<DatabaseV1>,
    tokens: Vec<TokenV1>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DatabaseV1 {
    id: u32,
    name: String,
    retention_ms: Option<u64>,
    deleted_at_ms: Option<i64>,
    hard_delete_at_ms: Option<i64>,
    tables: Vec<TableV1>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableV1 {
    id: u32,
    name: String,
    columns: Vec<ColumnV1>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retention_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deleted_at_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hard_delete_at_ms: Option<i64>,
}

impl From<&Record> for LogV1 {
    fn from(record: &Record) -> Self {
        Self {
            sequence: record.sequence,
            nonce: hex_of(&record.nonce),
            changes: record.changes.iter().map(ChangeV1::from).collect(),
        }
    }
}

impl TryFrom<LogV1> for Record {
    type Error = Error;

    fn try_from(log: LogV1) -> Result<Self, Error> {
        Ok(Self {
            sequence: log.sequence,
            nonce: bytes_of_hex("nonce", &log.nonce)?,
            changes: log
                .changes
                .into_iter()
                .map(Change::try_from)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Change> for ChangeV1 {
    fn from(change: &Change) -> Self {
        match change.clone() {
            Change::Begin { uuid } => Self::Begin {
                uuid: uuid.to_string(),
            },
            Change::CreateDatabase {
                id,
                name,
                retention_ms,
            } => Self::CreateDatabase {
                id: id.0,
                name: name.to_string(),
                retention_ms,
            },
            Change::SetDatabaseRetention { id, retention_ms } => Self::SetDatabaseRetention {
                id: id.0,
                retention_ms,
            },
            Change::DeleteDatabase {
                id,
                renamed,
                deleted_at_ms,
                hard_delete_at_ms,
            } => Self::DeleteDatabase {
                id: id.0,
                renamed: renamed.to_string(),
                deleted_at_ms,
                hard_delete_at_ms,
            },
            Change::UndeleteDatabase { id, name } => Self::UndeleteDatabase {
                id: id.0,
                name: name.to_string(),
            },
            Change::RescheduleHardDelete {
                id,
                hard_delete_at_ms,
            } => Self::RescheduleHardDelete {
                id: id.0,
                hard_delete_at_ms,
            },
            Change::RemoveDatabase { id } => Self::RemoveDatabase { id: id.0 },
            Change::CreateTable {
                database,
                id,
                name,
                columns,
                retention_ms,
            } => Self::CreateTable {
                database: database.0,
                id: id.0,
                name: name.to_string(),
                columns: columns.iter().map(ColumnV1::from).collect(),
                retention_ms,
            },
            Change::AddColumns { table, columns } => Self::AddColumns {
                table: table.0,
                columns: columns.iter().map(ColumnV1::from).collect(),
            },
            Change::SetTableRetention { id, retention_ms } => Self::SetTableRetention {
                id: id.0,
                retention_ms,
            },
            Change::DeleteTable {
                id,
                renamed,
                deleted_at_ms,
                hard_delete_at_ms,
            } => Self::DeleteTable {
                id: id.0,
                renamed: renamed.to_string(),
                deleted_at_ms,
                hard_delete_at_ms,
            },
            Change::UndeleteTable { id, name } => Self::UndeleteTable {
                id: id.0,
                name: name.to_string(),
            },
            Change::RemoveTable { id } => Self::RemoveTable { id: id.0 },
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
                let (id, name, digest) = (id.0, name.to_string(), digest.to_hex());
                let created_by = created_by.map(|by| by.0);
                let description = description.map(|text| text.to_string());
                match grants(&permissions) {
                    None => Self::CreateAdminToken {
                        id,
                        name,
                        digest,
                        created_at_ms,
                        expiry_ms,
                        created_by,
                        description,
                    },
                    Some(permissions) => Self::CreateResourceToken {
                        id,
                        name,
                        digest,
                        created_at_ms,
                        expiry_ms,
                        created_by,
                        description,
                        permissions,
                    },
                }
            }
            Change::RotateToken {
                id,
                digest,
                updated_at_ms,
                updated_by,
                expiry,
                previous_until_ms,
            } => Self::RotateToken {
                id: id.0,
                digest: digest.to_hex(),
                updated_at_ms,
                updated_by: updated_by.map(|by| by.0),
                expiry: expiry.into(),
                previous_until_ms,
            },
            Change::StageToken {
                id,
                digest,
                until_ms,
                expiry,
                grace_ms,
            } => Self::StageToken {
                id: id.0,
                digest: digest.to_hex(),
                until_ms,
                expiry: expiry.into(),
                grace_ms,
            },
            Change::ConfirmToken {
                id,
                updated_at_ms,
                previous_until_ms,
            } => Self::ConfirmToken {
                id: id.0,
                updated_at_ms,
                previous_until_ms,
            },
            Change::DropPreviousSecret { id } => Self::DropPreviousSecret { id: id.0 },
            Change::DropStagedSecret { id } => Self::DropStagedSecret { id: id.0 },
            Change::DeleteToken { id } => Self::DeleteToken { id: id.0 },
        }
    }
}

impl TryFrom<ChangeV1> for Change {
    type Error = Error;

    fn try_from(change: ChangeV1) -> Result<Self, Error> {
        Ok(match change {
            ChangeV1::Begin { uuid } => Self::Begin { uuid: uuid.into() },
            ChangeV1::CreateDatabase {
                id,
                name,
                retention_ms,
            } => Self::CreateDatabase {
                id: DatabaseId(id),
                name: name.into(),
                retention_ms,
            },
            ChangeV1::SetDatabaseRetention { id, retention_ms } => Self::SetDatabaseRetention {
                id: DatabaseId(id),
                retention_ms,
            },
            ChangeV1::DeleteDatabase {
                id,
                renamed,
                deleted_at_ms,
                hard_delete_at_ms,
            } => Self::DeleteDatabase {
                id: DatabaseId(id),
                renamed: renamed.into(),
                deleted_at_ms,
                hard_delete_at_ms,
            },
            ChangeV1::UndeleteDatabase { id, name } => Self::UndeleteDatabase {
                id: DatabaseId(id),
                name: name.into(),
            },
            ChangeV1::RescheduleHardDelete {
                id,
                hard_delete_at_ms,
            } => Self::RescheduleHardDelete {
                id: DatabaseId(id),
                hard_delete_at_ms,
            },
            ChangeV1::RemoveDatabase { id } => Self::RemoveDatabase { id: DatabaseId(id) },
            ChangeV1::CreateTable {
                database,
                id,
                name,
                columns,
                retention_ms,
            } => Self::CreateTable {
                database: DatabaseId(database),
                id: TableId(id),
                name: name.into(),
                columns: columns.into_iter().map(Column::from).collect(),
                retention_ms,
            },
            ChangeV1::AddColumns { table, columns } => Self::AddColumns {
                table: TableId(table),
                columns: columns.into_iter().map(Column::from).collect(),
            },
            ChangeV1::SetTableRetention { id, retention_ms } => Self::SetTableRetention {
                id: TableId(id),
                retention_ms,
            },
            ChangeV1::DeleteTable {
                id,
                renamed,
                deleted_at_ms,
                hard_delete_at_ms,
            } => Self::DeleteTable {
                id: TableId(id),
                renamed: renamed.into(),
                deleted_at_ms,
                hard_delete_at_ms,
            },
            ChangeV1::UndeleteTable { id, name } => Self::UndeleteTable {
                id: TableId(id),
                name: name.into(),
            },
            ChangeV1::RemoveTable { id } => Self::RemoveTable { id: TableId(id) },
            ChangeV1::CreateAdminToken {
                id,
                name,
                digest,
                created_at_ms,
                expiry_ms,
                created_by,
                description,
            } => Self::CreateToken {
                id: TokenId(id),
                name: name.into(),
                description: description.map(Arc::from),
                digest: digest_of_hex(&digest)?,
                created_at_ms,
                created_by: created_by.map(TokenId),
                expiry_ms,
                permissions: Arc::new(Permissions::admin()),
            },
            ChangeV1::CreateResourceToken {
                id,
                name,
                digest,
                created_at_ms,
                expiry_ms,
                created_by,
                description,
                permissions,
            } => Self::CreateToken {
                id: TokenId(id),
                name: name.into(),
                description: description.map(Arc::from),
                digest: digest_of_hex(&digest)?,
                created_at_ms,
                created_by: created_by.map(TokenId),
                expiry_ms,
                permissions: Arc::new(permissions_of(permissions)?),
            },
            ChangeV1::RegenerateAdminToken {
                id,
                digest,
                updated_at_ms,
            } => Self::RotateToken {
                id: TokenId(id),
                digest: digest_of_hex(&digest)?,
                updated_at_ms,
                updated_by: Some(TokenId(id)),
                expiry: NewExpiry::Unchanged,
                previous_until_ms: None,
            },
            ChangeV1::RotateToken {
                id,
                digest,
                updated_at_ms,
                updated_by,
                expiry,
                previous_until_ms,
            } => Self::RotateToken {
                id: TokenId(id),
                digest: digest_of_hex(&digest)?,
                updated_at_ms,
                updated_by: updated_by.map(TokenId),
                expiry: expiry.into(),
                previous_until_ms,
            },
            ChangeV1::StageToken {
                id,
                digest,
                until_ms,
                expiry,
                grace_ms,
            } => Self::StageToken {
                id: TokenId(id),
                digest: digest_of_hex(&digest)?,
                until_ms,
                expiry: expiry.into(),
                grace_ms,
            },
            ChangeV1::ConfirmToken {
                id,
                updated_at_ms,
                previous_until_ms,
            } => Self::ConfirmToken {
                id: TokenId(id),
                updated_at_ms,
                previous_until_ms,
            },
            ChangeV1::DropPreviousSecret { id } => Self::DropPreviousSecret { id: TokenId(id) },
            ChangeV1::DropStagedSecret { id } => Self::DropStagedSecret { id: TokenId(id) },
            ChangeV1::DeleteToken { id } => Self::DeleteToken { id: TokenId(id) },
        })
    }
}

impl From<&Column> for ColumnV1 {
    fn from(column: &Column) -> Self {
        let kind = match column.kind {
            ColumnKind::Tag => ColumnKindV1::Tag,
            ColumnKind::Time => ColumnKindV1::Time,
            ColumnKind::Field(FieldType::Float) => ColumnKindV1::Float,
            ColumnKind::Field(FieldType::Integer) => ColumnKindV1::Integer,
            ColumnKind::Field(FieldType::Unsigned) => ColumnKindV1::Unsigned,
            ColumnKind::Field(FieldType::String) => ColumnKindV1::String,
            ColumnKind::Field(FieldType::Boolean) => ColumnKindV1::Boolean,
        };
        Self {
            id: column.id.0,
            name: column.name.to_string(),
            kind,
        }
    }
}

impl From<ColumnV1> for Column {
    fn from(column: ColumnV1) -> Self {
        let kind = match column.kind {
            ColumnKindV1::Tag => ColumnKind::Tag,
            ColumnKindV1::Time => ColumnKind::Time,
            ColumnKindV1::Float => ColumnKind::Field(FieldType::Float),
            ColumnKindV1::Integer => ColumnKind::Field(FieldType::Integer),
            ColumnKindV1::Unsigned => ColumnKind::Field(FieldType::Unsigned),
            ColumnKindV1::String => ColumnKind::Field(FieldType::String),
            ColumnKindV1::Boolean => ColumnKind::Field(FieldType::Boolean),
        };
        Self {
            id: ColumnId(column.id),
            name: column.name.into(),
            kind,
        }
    }
}

impl From<&Snapshot> for CheckpointV1 {
    fn from(snapshot: &Snapshot) -> Self {
        let mut databases: Vec<_> = snapshot.databases().iter().map(DatabaseV1::from).collect();
        databases.sort_unstable_by_key(|database| database.id);
        let mut tokens: Vec<_> = snapshot
            .tokens
            .iter()
            .map(|(_, token)| TokenV1::from(&**token))
            .collect();
        tokens.sort_unstable_by_key(|token| token.id);
        Self {
            sequence: snapshot.sequence,
            uuid: snapshot.uuid().to_string(),
            next_database_id: snapshot.next_database,
            next_table_id: snapshot.next_table,
            next_token_id: snapshot.next_token,
            databases,
            tokens,
        }
    }
}

impl From<&Arc<Database>> for DatabaseV1 {
    fn from(database: &Arc<Database>) -> Self {
        let mut tables: Vec<_> = database
            .tables()
            .iter()
            .map(|table| TableV1 {
                id: table.id.0,
                name: table.name.to_string(),
                columns: table.columns().iter().map(ColumnV1::from).collect(),
                retention_ms: table.retention.map(to_ms),
                deleted_at_ms: table.deleted_at_ms,
                hard_delete_at_ms: table.hard_delete_at_ms,
            })
            .collect();
        tables.sort_unstable_by_key(|table| table.id);
        Self {
            id: database.id.0,
            name: database.name.to_string(),
            retention_ms: database.retention.map(to_ms),
            deleted_at_ms: database.deleted_at_ms,
            hard_delete_at_ms: database.hard_delete_at_ms,
            tables,
        }
    }
}

impl CheckpointV1 {
    fn into_snapshot(self) -> Result<Snapshot, Error> {
        let mut snapshot = Snapshot {
            sequence: self.sequence,
            uuid: Some(self.uuid.into()),
            ..Snapshot::default()
        };
        for stored in self.databases {
            let id = DatabaseId(stored.id);
            let retention = stored.retention_ms.map(Duration::from_millis);
            let mut database = Database::new(id, stored.name.into(), retention);
            database.deleted_at_ms = stored.deleted_at_ms;
            database.hard_delete_at_ms = stored.hard_delete_at_ms;
            Invariant::DeletedStaysDeleted.require(
                database.is_deleted() || database.hard_delete_at_ms.is_none(),
                || format!("a hard delete of live database {}", id.0),
            )?;
            change::insert_database(&mut snapshot, database)?;
            for stored in stored.tables {
                let mut table = Table::new(TableId(stored.id), stored.name.into());
                table.retention = stored.retention_ms.map(Duration::from_millis);
                table.deleted_at_ms = stored.deleted_at_ms;
                table.hard_delete_at_ms = stored.hard_delete_at_ms;
                Invariant::DeletedStaysDeleted.require(
                    table.is_deleted() || table.hard_delete_at_ms.is_none(),
                    || format!("a hard delete of live table {}", stored.id),
                )?;
                for column in stored.columns {
                    change::add_column(&mut table, column.into())?;
                }
                change::insert_table(&mut snapshot, id, table)?;
            }
        }
        for stored in self.tokens {
            change::insert_token(&mut snapshot, stored.try_into()?)?;
        }
        let internal = snapshot.database(INTERNAL_DATABASE);
        Invariant::InternalDatabaseIsUntouched
            .require(internal.is_some_and(|database| database.id.0 == 0), || {
                "its absence".to_string()
            })?;
        Invariant::IdsAreNeverReused.require(
            self.next_database_id >= snapshot.next_database
                && self.next_table_id >= snapshot.next_table
                && self.next_token_id >= snapshot.next_token,
            || "a next id that is in use".to_string(),
        )?;
        snapshot.next_database = self.next_database_id;
        snapshot.next_table = self.next_table_id;
        snapshot.next_token = self.next_token_id;
        Ok(snapshot)
    }
}

fn bytes_of_hex<const SIZE: usize>(key: &str, hex: &str) -> Result<[u8; SIZE], Error> {
    let wrong = || {
        let digits = SIZE * 2;
        corrupt(
            PAYLOAD_AT,
            &format!("{key} is not {digits} lower-case hexadecimal digits"),
        )
    };
    let digits = hex.as_bytes();
    if digits.len() != SIZE * 2 {
        return Err(wrong());
    }
    let mut bytes = [0_u8; SIZE];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return Err(wrong()),
            };
            *byte = *byte << 4 | value;
        }
    }
    Ok(bytes)
}
