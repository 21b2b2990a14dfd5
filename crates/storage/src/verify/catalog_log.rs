//! The catalog's objects, each decoded, and the snapshot they lead to.
//!
//! Layout and which objects may be missing: docs/formats/catalog.md. Reads only; taking part in the log is `catalog`'s.

use catalog::{Snapshot, change, format};
use runtime::Store;
use runtime::object_store::{Path, cas};

use super::{Finding, FindingKind};
use crate::Error;

/// How often to begin anew because objects vanished while they were read.
const ATTEMPTS_MAX: usize = 16;

/// What the catalog's objects say.
pub(super) struct CatalogRead {
    /// `None` when damage is in the way.
    pub(super) snapshot: Option<Snapshot>,
    pub(super) findings: Vec<Finding>,
    pub(super) objects: u64,
}

/// Folder of the records.
pub(super) fn records(node_id: &str) -> Path {
    Path::from(node_id).join("catalog").join("log")
}

/// Folder of the checkpoints.
pub(super) fn checkpoints(node_id: &str) -> Path {
    Path::from(node_id).join("catalog").join("checkpoint")
}

/// The number in an object's name: exactly twenty digits.
pub(super) fn number_of(name: &str) -> Option<u64> {
    let is_number = name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| name.parse().ok()).flatten()
}

fn numbered(folder: &Path, number: u64) -> Path {
    folder.clone().join(format!("{number:020}"))
}

pub(super) async fn read(node_id: &str, store: &Store) -> Result<CatalogRead, Error> {
    let (records, checkpoints) = (records(node_id), checkpoints(node_id));
    for _ in 0..ATTEMPTS_MAX {
        if let Some(read) = attempt(&records, &checkpoints, store).await? {
            return Ok(read);
        }
    }
    Err(Error::unavailable(format!(
        "the catalog in {checkpoints} changed again and again while it was read"
    )))
}

/// `None` when an object vanished: somebody has made a checkpoint.
async fn attempt(
    records: &Path,
    checkpoints: &Path,
    store: &Store,
) -> Result<Option<CatalogRead>, Error> {
    let mut findings = Vec::new();
    let stored = super::manifest_log::numbers(store, checkpoints, number_of).await?;
    let record_numbers = super::manifest_log::numbers(store, records, number_of).await?;
    let objects = (stored.len() + record_numbers.len()) as u64;
    let mut snapshot = Some(Snapshot::default());
    for number in &stored {
        let path = numbered(checkpoints, *number);
        let Some(bytes) = cas::read(store, &path).await? else {
            return Ok(None);
        };
        let decoded = format::decode_checkpoint(&bytes).and_then(|decoded| {
            same_number(decoded.sequence(), *number)?;
            Ok(decoded)
        });
        // Ascending, so the newest is what remains.
        snapshot = match decoded {
            Ok(decoded) => Some(decoded),
            Err(fault) => {
                findings.push(Finding::damaged(path, told(&fault)));
                None
            }
        };
    }
    let newest = stored.last().copied().unwrap_or(0);
    let mut before: Option<u64> = None;
    for number in record_numbers {
        let path = numbered(records, number);
        let expected = before.map_or(newest.saturating_add(1).min(number), |before| before + 1);
        if number > expected {
            findings.push(Finding::new(
                FindingKind::Gap,
                records,
                format!("records {expected} to {} are not there", number - 1),
            ));
            snapshot = snapshot.filter(|_| number <= newest);
        }
        before = Some(number);
        let Some(bytes) = cas::read(store, &path).await? else {
            return Ok(None);
        };
        let decoded = format::decode_log(&bytes).and_then(|record| {
            same_number(record.sequence, number)?;
            Ok(record)
        });
        let next = match (decoded, snapshot.take()) {
            (Ok(_), Some(current)) if number <= current.sequence() => Ok(Some(current)),
            (Ok(record), Some(current)) => {
                change::apply(current, record.sequence, &record.changes).map(Some)
            }
            (Ok(_), None) => Ok(None),
            // A record that a checkpoint covers is not needed to know what exists.
            (Err(fault), current) if number <= newest => {
                findings.push(Finding::damaged(&path, told(&fault)));
                Ok(current)
            }
            (Err(fault), _) => Err(fault),
        };
        snapshot = next.unwrap_or_else(|fault| {
            findings.push(Finding::damaged(path, told(&fault)));
            None
        });
    }
    Ok(Some(CatalogRead {
        snapshot,
        findings,
        objects,
    }))
}

fn same_number(stored: u64, expected: u64) -> Result<(), Error> {
    if stored == expected {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "it holds number {stored} instead of {expected}"
    )))
}

fn told(fault: &Error) -> String {
    fault.to_string()
}
