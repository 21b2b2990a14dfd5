//! The manifest: which files are live, and up to which sequence they cover the log.
//!
//! A log of numbered changes, each created only if its number is free (the compare-and-swap), with a checkpoint whenever the
//! changes since the last one outgrow it. The epoch fences: a process that begins writes a change with a higher one, and
//! an older process finds its next number taken. Byte layout: docs/formats/manifest.md.

pub mod format;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use catalog::{DatabaseId, TableId};
use futures::TryStreamExt;
use runtime::World;
use runtime::object_store::cas::{self, Created};
use runtime::object_store::{ObjectStoreExt, Path, Store, store_error};

use crate::paths::{Paths, number_in_name};
use crate::{Error, ErrorKind};
use format::v1;

/// Changes whose size does not matter: a checkpoint comes only when they are larger, too.
const CHECKPOINT_BYTES_LEAST: usize = 64 << 10;

/// How often a start that was overtaken tries again.
const TAKES_MAX: usize = 16;

/// A live Parquet file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Never reused.
    pub id: u64,
    pub database: DatabaseId,
    pub table: TableId,
    /// Nanoseconds, inclusive.
    pub min_time: i64,
    pub max_time: i64,
    pub rows: u64,
    pub series: u64,
    pub bytes: u64,
    /// The earliest and the latest write in it; decides between duplicates.
    pub first_sequence: u64,
    pub last_sequence: u64,
    /// Of the whole file.
    pub crc32: u32,
    /// Its last bytes, from the series index on, which are read first; and of them, too.
    pub footer_bytes: u64,
    pub footer_crc32: u32,
    /// Rows that deletes up to this id cover are not in it.
    pub deletes_applied: u64,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
}

/// A delete that some live file or buffered row may still have to be freed of; see [`crate::delete`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TombstoneEntry {
    /// From the same numbers as file ids; a later delete has a larger one.
    pub id: u64,
    pub database: DatabaseId,
    pub table: TableId,
    /// Covers rows of writes up to this sequence, and none of later ones.
    pub sequence: u64,
    /// Nanoseconds, inclusive; nothing outside is covered.
    pub min_time: i64,
    pub max_time: i64,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    pub scope: TombstoneScope,
}

/// Which rows between its times a tombstone covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TombstoneScope {
    AllSeries,
    /// Those listed in the object of [`Paths::tombstone`].
    Listed {
        bytes: u64,
        crc32: u32,
    },
}

/// What is live after change `number`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Of the last change; 0 before the first.
    pub number: u64,
    pub epoch: u64,
    /// Every write up to here is in a file: the log needs it no more.
    pub covered_sequence: u64,
    pub next_file: u64,
    /// By id.
    pub files: BTreeMap<u64, FileEntry>,
    /// By id.
    pub tombstones: BTreeMap<u64, TombstoneEntry>,
}

/// One step from a manifest to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub number: u64,
    pub epoch: u64,
    /// Drawn at random, so that no two processes write the same bytes.
    pub nonce: u64,
    pub added: Vec<FileEntry>,
    pub removed: Vec<u64>,
    pub covered_sequence: Option<u64>,
    pub tombstones_added: Vec<TombstoneEntry>,
    pub tombstones_removed: Vec<u64>,
}

impl Manifest {
    /// The manifest after `change`, checked. Pure.
    ///
    /// Errors: `Corrupt` when an invariant would break.
    pub fn apply(&mut self, change: &Change) -> Result<(), Error> {
        self.check(change)?;
        self.number = change.number;
        self.epoch = change.epoch;
        if let Some(sequence) = change.covered_sequence {
            self.covered_sequence = sequence;
        }
        for id in &change.removed {
            self.files.remove(id);
        }
        for file in &change.added {
            self.next_file = self.next_file.max(file.id.saturating_add(1));
            self.files.insert(file.id, file.clone());
        }
        for id in &change.tombstones_removed {
            self.tombstones.remove(id);
        }
        for tombstone in &change.tombstones_added {
            self.next_file = self.next_file.max(tombstone.id.saturating_add(1));
            self.tombstones.insert(tombstone.id, tombstone.clone());
        }
        Ok(())
    }

    fn check(&self, change: &Change) -> Result<(), Error> {
        let broken = |what: String| {
            Err(Error::corrupt(format!(
                "manifest change {} {what}",
                change.number
            )))
        };
        if change.number != self.number + 1 {
            return broken(format!("does not follow {}", self.number));
        }
        if change.epoch < self.epoch {
            return broken(format!("has epoch {} after {}", change.epoch, self.epoch));
        }
        if let Some(sequence) = change.covered_sequence
            && sequence < self.covered_sequence
        {
            return broken(format!(
                "covers sequence {sequence} after {}",
                self.covered_sequence
            ));
        }
        let mut removed = BTreeSet::new();
        for id in &change.removed {
            if !self.files.contains_key(id) || !removed.insert(id) {
                return broken(format!("removes file {id}, which is not live"));
            }
        }
        let mut added = BTreeSet::new();
        for file in &change.added {
            if self.files.contains_key(&file.id) || !added.insert(file.id) {
                return broken(format!("adds file {}, which is live already", file.id));
            }
            if file.min_time > file.max_time
                || file.first_sequence > file.last_sequence
                || file.rows == 0
            {
                return broken(format!("adds file {} with impossible bounds", file.id));
            }
        }
        let mut removed = BTreeSet::new();
        for id in &change.tombstones_removed {
            if !self.tombstones.contains_key(id) || !removed.insert(id) {
                return broken(format!("removes tombstone {id}, which is not live"));
            }
        }
        let mut last = self.tombstones.keys().next_back().copied();
        for tombstone in &change.tombstones_added {
            if last
                .replace(tombstone.id)
                .is_some_and(|last| tombstone.id <= last)
            {
                return broken(format!(
                    "adds tombstone {} behind a later one",
                    tombstone.id
                ));
            }
            if tombstone.min_time > tombstone.max_time {
                return broken(format!(
                    "adds tombstone {} with impossible bounds",
                    tombstone.id
                ));
            }
        }
        Ok(())
    }
}

/// The manifest of one node, held by the process that owns it.
#[derive(Debug)]
pub struct ManifestLog {
    store: Store,
    paths: Paths,
    world: World,
    manifest: Manifest,
    /// Bytes of the changes since the last checkpoint, and of that.
    log_bytes: usize,
    checkpoint_bytes: usize,
    /// Numbers of the changes still stored.
    stored: Vec<u64>,
    /// Nonces of changes of the next number that may or may not be stored.
    unanswered: Vec<u64>,
}

impl ManifestLog {
    /// Loads the manifest and takes it over: whoever had it before is fenced.
    ///
    /// Errors: `Conflict` when others commit faster than this can follow, `Corrupt`, `Unavailable`.
    pub async fn open(paths: Paths, world: World) -> Result<Self, Error> {
        let mut attempt = 1;
        loop {
            match Self::take(paths.clone(), world.clone()).await {
                // Whoever has it committed once more between our reading and our change.
                Err(fault) if fault.kind() == ErrorKind::Conflict && attempt < TAKES_MAX => {
                    attempt += 1;
                }
                taken => return taken,
            }
        }
    }

    async fn take(paths: Paths, world: World) -> Result<Self, Error> {
        let mut log = Self {
            store: Store::clone(&world.store),
            paths,
            world,
            manifest: Manifest::default(),
            log_bytes: 0,
            checkpoint_bytes: 0,
            stored: Vec::new(),
            unanswered: Vec::new(),
        };
        log.load().await?;
        let change = Change {
            epoch: log.manifest.epoch + 1,
            ..Change::default()
        };
        log.commit(change).await?;
        Ok(log)
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether a change was asked for whose fate is not known.
    pub fn is_unsettled(&self) -> bool {
        !self.unanswered.is_empty()
    }

    /// Finds out what became of changes whose answer was lost: afterwards each is in the manifest, or never will be.
    pub async fn settle(&mut self) -> Result<(), Error> {
        if self.is_unsettled() {
            self.commit(Change::default()).await?;
        }
        Ok(())
    }

    /// Makes a change durable, then takes it over. Number and nonce are filled in; an epoch of 0 is this process's own.
    ///
    /// Errors: `Conflict` when another process has taken over the manifest: nothing has changed then. `Unavailable` when the store
    /// did not say: the change may be found to have happened by a later commit or a later start, so what it names must stay as it is.
    pub async fn commit(&mut self, mut change: Change) -> Result<(), Error> {
        if change.epoch == 0 {
            change.epoch = self.manifest.epoch;
        }
        let mut nonce = [0; 8];
        self.world.random.fill(&mut nonce)?;
        // JSON readers elsewhere keep 53 bits of a number.
        change.nonce = u64::from_le_bytes(nonce) >> 11;
        loop {
            change.number = self.manifest.number + 1;
            self.manifest.check(&change)?;
            let bytes = v1::encode_change(&change)?;
            let size = bytes.len();
            let path = self.paths.manifest_change(change.number);
            // Noted before the store is asked: whoever awaits this may go before the answer comes.
            self.unanswered.push(change.nonce);
            match cas::create(&self.store, &path, bytes.into()).await? {
                Created::Yes => {
                    self.take_over(&change, size).await?;
                    break;
                }
                Created::Taken => {
                    let (stored, size) = self.own_change(&path).await?;
                    self.take_over(&stored, size).await?;
                }
            }
        }
        if self.log_bytes > self.checkpoint_bytes.max(CHECKPOINT_BYTES_LEAST) {
            // The change itself is safe; a checkpoint that fails is made after the next one.
            if let Err(fault) = self.checkpoint().await {
                tracing::warn!(error = %fault, "cannot checkpoint the manifest");
            }
        }
        Ok(())
    }

    /// The change at `path` when it is an earlier one of this process whose answer was lost.
    async fn own_change(&self, path: &Path) -> Result<(Change, usize), Error> {
        let bytes = cas::read(&self.store, path)
            .await?
            .ok_or_else(|| fenced(path))?;
        v1::decode_change(&bytes)
            .ok()
            .filter(|stored| self.unanswered.contains(&stored.nonce))
            .map(|stored| (stored, bytes.len()))
            .ok_or_else(|| fenced(path))
    }

    /// Follows a change that is stored.
    async fn take_over(&mut self, change: &Change, size: usize) -> Result<(), Error> {
        // The change that fenced this process may be gone, removed behind a checkpoint, and its number free again. The
        // checkpoint is there before that, so a change that came in behind one means nothing.
        let checkpoints = list_numbers(&self.store, &self.paths.manifest_checkpoints()).await?;
        if checkpoints
            .last()
            .is_some_and(|newest| *newest >= change.number)
        {
            return Err(fenced(&self.paths.manifest_change(change.number)));
        }
        self.manifest.apply(change)?;
        self.unanswered.clear();
        self.log_bytes += size;
        self.stored.push(change.number);
        Ok(())
    }

    async fn checkpoint(&mut self) -> Result<(), Error> {
        let number = self.manifest.number;
        let bytes = v1::encode_checkpoint(&self.manifest)?;
        let size = bytes.len();
        let path = self.paths.manifest_checkpoint(number);
        cas::create(&self.store, &path, bytes.into()).await?;
        self.checkpoint_bytes = size;
        self.log_bytes = 0;
        // The newest change stays: its name is what fences an older process.
        for stored in std::mem::take(&mut self.stored) {
            if stored < number {
                self.remove(&self.paths.manifest_change(stored)).await;
            } else {
                self.stored.push(stored);
            }
        }
        for older in list_numbers(&self.store, &self.paths.manifest_checkpoints()).await? {
            if older < number {
                self.remove(&self.paths.manifest_checkpoint(older)).await;
            }
        }
        Ok(())
    }

    async fn remove(&self, path: &Path) {
        if let Err(cause) = self.store.delete(path).await {
            let fault = store_error("remove", path, cause);
            tracing::warn!(error = %fault, "cannot remove an outdated manifest object");
        }
    }

    async fn load(&mut self) -> Result<(), Error> {
        let checkpoints = list_numbers(&self.store, &self.paths.manifest_checkpoints()).await?;
        if let Some(newest) = checkpoints.last() {
            let path = self.paths.manifest_checkpoint(*newest);
            let bytes = self.read(&path).await?;
            self.manifest = v1::decode_checkpoint(&bytes).map_err(|cause| damaged(&path, cause))?;
            self.checkpoint_bytes = bytes.len();
        }
        for number in list_numbers(&self.store, &self.paths.manifest_log()).await? {
            self.stored.push(number);
            if number <= self.manifest.number {
                continue;
            }
            let path = self.paths.manifest_change(number);
            let bytes = self.read(&path).await?;
            let change = v1::decode_change(&bytes).map_err(|cause| damaged(&path, cause))?;
            self.manifest
                .apply(&change)
                .map_err(|cause| damaged(&path, cause))?;
            self.log_bytes += bytes.len();
        }
        Ok(())
    }

    async fn read(&self, path: &Path) -> Result<Bytes, Error> {
        cas::read(&self.store, path)
            .await?
            .ok_or_else(|| Error::corrupt(format!("manifest object {path} is gone")))
    }
}

fn fenced(path: &Path) -> Error {
    Error::conflict(format!(
        "another process has taken over the manifest: {path} is not ours"
    ))
}

fn damaged(path: &Path, cause: Error) -> Error {
    Error::corrupt(format!("manifest object {path} is damaged")).with_source(cause)
}

async fn list_numbers(store: &Store, folder: &Path) -> Result<Vec<u64>, Error> {
    let mut numbers: Vec<u64> = store
        .list(Some(folder))
        .try_collect::<Vec<_>>()
        .await
        .map_err(|cause| store_error("list", folder, cause))?
        .iter()
        .filter_map(|object| number_in_name(object.location.filename()?, "manifest"))
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests;
