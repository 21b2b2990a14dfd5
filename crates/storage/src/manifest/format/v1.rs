//! Version 1 of the manifest's bytes: a checked envelope around JSON. Frozen once released.

use catalog::{DatabaseId, TableId};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::manifest::{Change, FileEntry, Manifest, TombstoneEntry, TombstoneScope};

/// First bytes of every change and checkpoint.
pub const MAGIC: &[u8; 8] = b"GNOMMAN1";

/// Magic, payload length, payload checksum.
const ENVELOPE_BYTES: usize = 8 + 4 + 4;

#[derive(Serialize, Deserialize)]
struct ChangeV1 {
    number: u64,
    epoch: u64,
    nonce: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    added: Vec<FileV1>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    removed: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    covered_sequence: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tombstones_added: Vec<TombstoneV1>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tombstones_removed: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
struct CheckpointV1 {
    number: u64,
    epoch: u64,
    covered_sequence: u64,
    next_file: u64,
    files: Vec<FileV1>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tombstones: Vec<TombstoneV1>,
}

#[derive(Serialize, Deserialize)]
struct TombstoneV1 {
    id: u64,
    database: u32,
    table: u32,
    sequence: u64,
    min_time: i64,
    max_time: i64,
    created_ms: i64,
    /// Of the object that lists its rows; absent when it covers all series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list: Option<ListV1>,
}

#[derive(Serialize, Deserialize)]
struct ListV1 {
    bytes: u64,
    crc32: u32,
}

#[derive(Serialize, Deserialize)]
struct FileV1 {
    id: u64,
    database: u32,
    table: u32,
    min_time: i64,
    max_time: i64,
    rows: u64,
    series: u64,
    bytes: u64,
    first_sequence: u64,
    last_sequence: u64,
    crc32: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    footer_bytes: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    footer_crc32: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    deletes_applied: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    created_ms: i64,
}

fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

pub fn encode_change(change: &Change) -> Result<Vec<u8>, Error> {
    envelope(&ChangeV1 {
        number: change.number,
        epoch: change.epoch,
        nonce: change.nonce,
        added: change.added.iter().map(FileV1::from).collect(),
        removed: change.removed.clone(),
        covered_sequence: change.covered_sequence,
        tombstones_added: change
            .tombstones_added
            .iter()
            .map(TombstoneV1::from)
            .collect(),
        tombstones_removed: change.tombstones_removed.clone(),
    })
}

pub fn decode_change(bytes: &[u8]) -> Result<Change, Error> {
    let change: ChangeV1 = open_envelope(bytes)?;
    Ok(Change {
        number: change.number,
        epoch: change.epoch,
        nonce: change.nonce,
        added: change.added.iter().map(FileEntry::from).collect(),
        removed: change.removed,
        covered_sequence: change.covered_sequence,
        tombstones_added: change
            .tombstones_added
            .iter()
            .map(TombstoneEntry::from)
            .collect(),
        tombstones_removed: change.tombstones_removed,
    })
}

pub fn encode_checkpoint(manifest: &Manifest) -> Result<Vec<u8>, Error> {
    envelope(&CheckpointV1 {
        number: manifest.number,
        epoch: manifest.epoch,
        covered_sequence: manifest.covered_sequence,
        next_file: manifest.next_file,
        files: manifest.files.values().map(FileV1::from).collect(),
        tombstones: manifest
            .tombstones
            .values()
            .map(TombstoneV1::from)
            .collect(),
    })
}

pub fn decode_checkpoint(bytes: &[u8]) -> Result<Manifest, Error> {
    let checkpoint: CheckpointV1 = open_envelope(bytes)?;
    Ok(Manifest {
        number: checkpoint.number,
        epoch: checkpoint.epoch,
        covered_sequence: checkpoint.covered_sequence,
        next_file: checkpoint.next_file,
        files: checkpoint
            .files
            .iter()
            .map(|file| (file.id, FileEntry::from(file)))
            .collect(),
        tombstones: checkpoint
            .tombstones
            .iter()
            .map(|tombstone| (tombstone.id, TombstoneEntry::from(tombstone)))
            .collect(),
    })
}

fn envelope(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let payload = serde_json::to_vec(value)
        .map_err(|cause| Error::internal("cannot encode the manifest").with_source(cause))?;
    let mut bytes = Vec::with_capacity(ENVELOPE_BYTES + payload.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(crc32fast::hash(&payload).to_le_bytes());
    bytes.extend(payload);
    Ok(bytes)
}

fn open_envelope<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    let number = |at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    if bytes.get(..8) != Some(MAGIC) {
        return Err(Error::corrupt(
            "not a manifest object, or one of a newer version",
        ));
    }
    let (Some(length), Some(checksum)) = (number(8), number(12)) else {
        return Err(Error::corrupt("the manifest object ends in its header"));
    };
    let payload = &bytes[ENVELOPE_BYTES..];
    if payload.len() != length as usize {
        return Err(Error::corrupt(format!(
            "the manifest object has {} bytes where it says {length}",
            payload.len()
        )));
    }
    if crc32fast::hash(payload) != checksum {
        return Err(Error::corrupt(
            "checksum of the manifest object does not match",
        ));
    }
    serde_json::from_slice(payload)
        .map_err(|cause| Error::corrupt("the manifest object cannot be read").with_source(cause))
}

impl From<&FileEntry> for FileV1 {
    fn from(file: &FileEntry) -> Self {
        Self {
            id: file.id,
            database: file.database.0,
            table: file.table.0,
            min_time: file.min_time,
            max_time: file.max_time,
            rows: file.rows,
            series: file.series,
            bytes: file.bytes,
            first_sequence: file.first_sequence,
            last_sequence: file.last_sequence,
            crc32: file.crc32,
            footer_bytes: file.footer_bytes,
            footer_crc32: file.footer_crc32,
            deletes_applied: file.deletes_applied,
            created_ms: file.created_ms,
        }
    }
}

impl From<&FileV1> for FileEntry {
    fn from(file: &FileV1) -> Self {
        Self {
            id: file.id,
            database: DatabaseId(file.database),
            table: TableId(file.table),
            min_time: file.min_time,
            max_time: file.max_time,
            rows: file.rows,
            series: file.series,
            bytes: file.bytes,
            first_sequence: file.first_sequence,
            last_sequence: file.last_sequence,
            crc32: file.crc32,
            footer_bytes: file.footer_bytes,
            footer_crc32: file.footer_crc32,
            deletes_applied: file.deletes_applied,
            created_ms: file.created_ms,
        }
    }
}

impl From<&TombstoneEntry> for TombstoneV1 {
    fn from(tombstone: &TombstoneEntry) -> Self {
        Self {
            id: tombstone.id,
            database: tombstone.database.0,
            table: tombstone.table.0,
            sequence: tombstone.sequence,
            min_time: tombstone.min_time,
            max_time: tombstone.max_time,
            created_ms: tombstone.created_ms,
            list: match tombstone.scope {
                TombstoneScope::AllSeries => None,
                TombstoneScope::Listed { bytes, crc32 } => Some(ListV1 { bytes, crc32 }),
            },
        }
    }
}

impl From<&TombstoneV1> for TombstoneEntry {
    fn from(tombstone: &TombstoneV1) -> Self {
        Self {
            id: tombstone.id,
            database: DatabaseId(tombstone.database),
            table: TableId(tombstone.table),
            sequence: tombstone.sequence,
            min_time: tombstone.min_time,
            max_time: tombstone.max_time,
            created_ms: tombstone.created_ms,
            scope: tombstone
                .list
                .as_ref()
                .map_or(TombstoneScope::AllSeries, |list| TombstoneScope::Listed {
                    bytes: list.bytes,
                    crc32: list.crc32,
                }),
        }
    }
}
