//! Objects below a node's prefix that nothing names, and their removal.
//!
//! What a crashed persist, put or compaction leaves is harmless and takes room. Only what bears a name of ours is ever removed.

use std::fs;
use std::path::Path as FilePath;
use std::time::Duration;

use futures::TryStreamExt;
use runtime::object_store::{
    ObjectMeta, ObjectStore, ObjectStoreExt, Path, StoreError, cas, store_error,
};
use runtime::{ErrorKind, Store, World};

use super::{Finding, FindingKind, Findings, InUse, Options, Repaired, catalog_log};
use crate::Error;
use crate::delete::tombstone::Tombstone;
use crate::manifest::{Manifest, TombstoneScope};
use crate::paths::{Paths, number_in_name};

/// In a store whose server cannot be asked, an object that nothing names is only suspicious when it is older.
const ON_ITS_WAY_MAX: Duration = Duration::from_secs(3600);

/// One look at everything below a node's prefix.
pub(super) struct Sweep<'a> {
    pub(super) world: &'a World,
    pub(super) paths: &'a Paths,
    pub(super) options: &'a Options,
    pub(super) manifest: &'a Manifest,
    pub(super) in_use: InUse,
    pub(super) may_repair: bool,
}

/// What an object's name says.
enum Named {
    /// Catalog, manifest and log know it, or it is live.
    Known,
    /// Of a kind that something must name, and nothing names this one.
    Unnamed(&'static str),
    /// A log segment that was set aside.
    SetAside,
    /// Not ours.
    Stranger,
}

/// Reads every list of deleted rows that the manifest names; returns their number.
pub(super) async fn check_delete_lists(
    manifest: &Manifest,
    paths: &Paths,
    store: &Store,
    findings: &mut Findings<'_>,
) -> Result<u64, Error> {
    let mut lists = 0;
    for entry in manifest.tombstones.values() {
        if entry.scope == TombstoneScope::AllSeries {
            continue;
        }
        lists += 1;
        let path = paths.tombstone(entry.id);
        let fault = match Tombstone::load(store, &path, entry.clone()).await {
            Ok(_) => continue,
            Err(fault) if fault.kind() == ErrorKind::Corrupt => fault,
            Err(fault) => return Err(fault),
        };
        if cas::read(store, &path).await?.is_some() {
            findings.add(Finding::damaged(path, fault.to_string()));
            continue;
        }
        // Compaction may have done with the delete since the manifest was read.
        let now = super::manifest_log::read(paths, store).await?;
        if now
            .manifest
            .is_none_or(|now| now.tombstones.contains_key(&entry.id))
        {
            let message = "the manifest names this list of deleted rows";
            findings.add(Finding::new(FindingKind::Missing, path, message));
        }
    }
    Ok(lists)
}

impl Sweep<'_> {
    /// Looks at everything but what has just been set aside.
    pub(super) async fn run(
        &self,
        set_aside: &[Path],
        findings: &mut Findings<'_>,
    ) -> Result<(), Error> {
        let prefix = Path::from(self.options.node_id.as_str());
        let mut objects = self.world.store.list(Some(&prefix));
        while let Some(object) = objects
            .try_next()
            .await
            .map_err(|cause| store_error("list", &prefix, cause))?
        {
            if !set_aside.contains(&object.location) {
                self.look(&object, &prefix, findings).await?;
            }
        }
        drop(objects);
        if let Some(root) = &self.options.local_folder {
            self.look_for_staged(&root.join(prefix.as_ref()), root, findings)?;
        }
        Ok(())
    }

    async fn look(
        &self,
        object: &ObjectMeta,
        prefix: &Path,
        findings: &mut Findings<'_>,
    ) -> Result<(), Error> {
        let path = &object.location;
        let (kind, message, is_ours) = match self.named(path, prefix) {
            Named::Known => return Ok(()),
            Named::Unnamed(what) => match self.in_use {
                InUse::Yes => (
                    FindingKind::Note,
                    format!(
                        "nothing names this {what}: the server is about to name it, or to remove it"
                    ),
                    true,
                ),
                InUse::Unknown if self.is_young(object) => (
                    FindingKind::Note,
                    format!("nothing names this {what} of the last hour: a server may be about to"),
                    true,
                ),
                _ => (
                    FindingKind::Orphan,
                    format!("nothing names this {what} of {} bytes", object.size),
                    true,
                ),
            },
            Named::SetAside => (
                FindingKind::Orphan,
                format!(
                    "a damaged log segment of {} bytes that was set aside; nothing reads it",
                    object.size
                ),
                true,
            ),
            Named::Stranger => (
                FindingKind::Orphan,
                format!(
                    "nothing of a node has this name ({} bytes); it is left alone",
                    object.size
                ),
                false,
            ),
        };
        let mut finding = Finding::new(kind, path, message);
        if kind == FindingKind::Orphan && is_ours && self.may_repair {
            match self.world.store.delete(path).await {
                Ok(()) | Err(StoreError::NotFound { .. }) => finding.repaired = Repaired::Removed,
                Err(cause) => return Err(store_error("remove", path, cause)),
            }
        }
        findings.add(finding);
        Ok(())
    }

    fn is_young(&self, object: &ObjectMeta) -> bool {
        let age_ms = self
            .world
            .clock
            .now_ms()
            .saturating_sub(object.last_modified.timestamp_millis());
        age_ms < ON_ITS_WAY_MAX.as_millis() as i64
    }

    fn named(&self, path: &Path, prefix: &Path) -> Named {
        let Some(parts) = path.prefix_match(prefix) else {
            return Named::Stranger;
        };
        let parts: Vec<String> = parts.map(|part| part.as_ref().to_string()).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let known = |is_known: bool| match is_known {
            true => Named::Known,
            false => Named::Stranger,
        };
        match parts[..] {
            ["catalog", "log" | "checkpoint", name] => {
                known(catalog_log::number_of(name).is_some())
            }
            ["snapshots" | "snapshot-checkpoints", name] => {
                known(number_in_name(name, "manifest").is_some())
            }
            ["wal", "lock"] => Named::Known,
            // The server keeps its own bounds there (docs/formats/token_events.md).
            ["token_events", _] => Named::Known,
            ["wal", name] if number_in_name(name, "wal.damaged").is_some() => Named::SetAside,
            ["wal", name] => known(number_in_name(name, "wal").is_some()),
            ["dbs", _, _, name] => match number_in_name(name, "parquet") {
                None => Named::Stranger,
                Some(id) => {
                    let live = self.manifest.files.get(&id).is_some_and(|entry| {
                        self.paths.data_file(entry.database, entry.table, id) == *path
                    });
                    if live {
                        Named::Known
                    } else {
                        Named::Unnamed("data file")
                    }
                }
            },
            ["probe", ..] => Named::Unnamed("object with which a start tried the store"),
            ["deletes", name] => match number_in_name(name, "rows") {
                None => Named::Stranger,
                Some(id) if self.manifest.tombstones.contains_key(&id) => Named::Known,
                Some(_) => Named::Unnamed("list of deleted rows"),
            },
            _ => Named::Stranger,
        }
    }

    /// Files that a put left behind when its process died: object stores never list them, but the folder has them.
    fn look_for_staged(
        &self,
        folder: &FilePath,
        root: &FilePath,
        findings: &mut Findings<'_>,
    ) -> Result<(), Error> {
        let fault = |cause: std::io::Error| {
            Error::unavailable(format!("cannot look through folder {}", folder.display()))
                .with_source(cause)
        };
        let entries = match fs::read_dir(folder) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(fault)?,
        };
        for entry in entries {
            let entry = entry.map_err(fault)?;
            let path = entry.path();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                self.look_for_staged(&path, root, findings)?;
                continue;
            }
            let name = entry.file_name();
            let is_staged = name.to_str().and_then(|name| name.rsplit_once('#'));
            let is_staged = is_staged.is_some_and(|(object, number)| {
                !object.is_empty()
                    && !number.is_empty()
                    && number.bytes().all(|b| b.is_ascii_digit())
            });
            if !is_staged {
                continue;
            }
            let object = path
                .strip_prefix(root)
                .unwrap_or(&path)
                .display()
                .to_string();
            let mut finding = match self.in_use {
                InUse::No => Finding::new(
                    FindingKind::Orphan,
                    object,
                    "what is left of a put whose process died",
                ),
                _ => Finding::new(
                    FindingKind::Note,
                    object,
                    "an object that is just being put",
                ),
            };
            if finding.kind == FindingKind::Orphan && self.may_repair {
                fs::remove_file(&path).map_err(|cause| {
                    Error::unavailable(format!("cannot remove {}", path.display()))
                        .with_source(cause)
                })?;
                finding.repaired = Repaired::Removed;
            }
            findings.add(finding);
        }
        Ok(())
    }
}
