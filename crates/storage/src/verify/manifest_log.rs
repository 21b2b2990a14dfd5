//! The manifest's objects, each decoded, and what they say is live.
//!
//! Layout: docs/formats/manifest.md. Reads only: taking the manifest over would fence the server that owns it.

use futures::TryStreamExt;
use runtime::Store;
use runtime::object_store::{Path, cas, store_error};

use super::{Finding, FindingKind};
use crate::Error;
use crate::manifest::Manifest;
use crate::manifest::format::v1;
use crate::paths::{Paths, number_in_name};

/// How often to begin anew because objects vanished while they were read.
const ATTEMPTS_MAX: usize = 16;

/// What the manifest's objects say.
pub(super) struct ManifestRead {
    /// `None` when damage is in the way.
    pub(super) manifest: Option<Manifest>,
    pub(super) findings: Vec<Finding>,
    pub(super) objects: u64,
}

/// The numbers in the names of a folder's objects, ascending.
pub(super) async fn numbers(
    store: &Store,
    folder: &Path,
    number: impl Fn(&str) -> Option<u64>,
) -> Result<Vec<u64>, Error> {
    let mut numbers: Vec<u64> = store
        .list(Some(folder))
        .try_collect::<Vec<_>>()
        .await
        .map_err(|cause| store_error("list", folder, cause))?
        .iter()
        .filter_map(|object| number(object.location.filename()?))
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) async fn read(paths: &Paths, store: &Store) -> Result<ManifestRead, Error> {
    for _ in 0..ATTEMPTS_MAX {
        if let Some(read) = attempt(paths, store).await? {
            return Ok(read);
        }
    }
    Err(Error::unavailable(format!(
        "the manifest in {} changed again and again while it was read",
        paths.manifest_log()
    )))
}

/// `None` when an object vanished: the server has made a checkpoint.
async fn attempt(paths: &Paths, store: &Store) -> Result<Option<ManifestRead>, Error> {
    let in_name = |name: &str| number_in_name(name, "manifest");
    let checkpoints = numbers(store, &paths.manifest_checkpoints(), in_name).await?;
    let changes = numbers(store, &paths.manifest_log(), in_name).await?;
    let mut findings = Vec::new();
    let mut manifest = Some(Manifest::default());
    for number in &checkpoints {
        let path = paths.manifest_checkpoint(*number);
        let Some(bytes) = cas::read(store, &path).await? else {
            return Ok(None);
        };
        let decoded = v1::decode_checkpoint(&bytes).and_then(|decoded| {
            check_checkpoint(&decoded, *number)?;
            Ok(decoded)
        });
        // Ascending, so the newest is what remains.
        manifest = match decoded {
            Ok(decoded) => Some(decoded),
            Err(fault) => {
                findings.push(Finding::damaged(path, fault.to_string()));
                None
            }
        };
    }
    let newest = checkpoints.last().copied().unwrap_or(0);
    let mut expected = newest + 1;
    let objects = (checkpoints.len() + changes.len()) as u64;
    for number in changes {
        let path = paths.manifest_change(number);
        let Some(bytes) = cas::read(store, &path).await? else {
            return Ok(None);
        };
        let decoded = v1::decode_change(&bytes).and_then(|change| match change.number == number {
            true => Ok(change),
            false => Err(Error::corrupt(format!(
                "it holds number {} instead of {number}",
                change.number
            ))),
        });
        if number <= newest {
            // The checkpoint says the same; only the newest of these still matters, for its name.
            if let Err(fault) = decoded {
                findings.push(Finding::damaged(path, fault.to_string()));
            }
            continue;
        }
        if number > expected {
            findings.push(Finding::new(
                FindingKind::Gap,
                paths.manifest_log(),
                format!("changes {expected} to {} are not there", number - 1),
            ));
            manifest = None;
        }
        expected = number + 1;
        let applied = decoded.and_then(|change| match &mut manifest {
            Some(manifest) => manifest.apply(&change),
            None => Ok(()),
        });
        if let Err(fault) = applied {
            findings.push(Finding::damaged(path, fault.to_string()));
            manifest = None;
        }
    }
    Ok(Some(ManifestRead {
        manifest,
        findings,
        objects,
    }))
}

/// What a change is checked for when it is applied, a checkpoint is checked for here.
fn check_checkpoint(manifest: &Manifest, number: u64) -> Result<(), Error> {
    if manifest.number != number {
        return Err(Error::corrupt(format!(
            "it holds number {} instead of {number}",
            manifest.number
        )));
    }
    for file in manifest.files.values() {
        let possible = file.id < manifest.next_file
            && file.min_time <= file.max_time
            && file.first_sequence <= file.last_sequence
            && file.rows > 0;
        if !possible {
            return Err(Error::corrupt(format!(
                "file {} has impossible bounds",
                file.id
            )));
        }
    }
    Ok(())
}
