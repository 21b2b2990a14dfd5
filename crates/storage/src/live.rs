//! What is live: files and tombstones, durable in the manifest first, then visible in the tables.
//!
//! Persist, compaction and deletes all change it here and nowhere else. What a change leaves unsaid, because the store gave no
//! answer, is found out before the next one, so that memory always follows what is durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use catalog::{DatabaseId, TableId};
use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use runtime::World;
use runtime::object_store::{ObjectStoreExt, PutPayload, store_error};

use crate::buffer::{Buffer, Publication};
use crate::delete::tombstone::Tombstone;
use crate::file::DataFile;
use crate::file::cache::FileCache;
use crate::file::write::WrittenFile;
use crate::manifest::{Change, FileEntry, Manifest, ManifestLog, TombstoneEntry};
use crate::paths::Paths;
use crate::wal::lost::Lost;
use crate::{Error, ErrorKind};

/// A table in its database.
pub type TableAddress = (DatabaseId, TableId);

/// The live files and tombstones of one node.
#[derive(Debug)]
pub struct Live {
    pub world: World,
    pub buffer: Arc<Buffer>,
    pub paths: Paths,
    manifest: tokio::sync::Mutex<ManifestLog>,
    /// Id of the next file or tombstone. Never goes back: a commit that seemed to fail may have named those of its attempt.
    next_id: AtomicU64,
    /// Tombstones read or made, by id.
    tombstones: Mutex<HashMap<u64, Arc<Tombstone>>>,
    /// Told when another process has taken over.
    lost: Lost,
    pub totals: Totals,
    /// What was needed of live files lately: footers, and pages that queries read.
    pub cache: Arc<FileCache>,
}

/// Sizes of all live files.
#[derive(Debug, Default)]
pub struct Totals {
    pub files: AtomicU64,
    pub bytes: AtomicU64,
    pub rows: AtomicU64,
}

impl Live {
    /// Tells every table its files and tombstones.
    pub async fn open(
        world: World,
        buffer: Arc<Buffer>,
        paths: Paths,
        manifest: ManifestLog,
        lost: Lost,
        cache_bytes_max: usize,
    ) -> Result<Self, Error> {
        let state = manifest.manifest();
        // Ids of an epoch lie above those of all earlier ones, whatever those have left behind.
        let next_id = state.next_file.max(state.epoch << 32);
        let live = Self {
            world,
            buffer,
            paths,
            manifest: tokio::sync::Mutex::new(manifest),
            next_id: AtomicU64::new(next_id),
            tombstones: Mutex::default(),
            lost,
            totals: Totals::default(),
            cache: Arc::new(FileCache::new(cache_bytes_max)),
        };
        let manifest = live.manifest.lock().await;
        live.reconcile(manifest.manifest()).await?;
        drop(manifest);
        Ok(live)
    }

    /// An id for a file or tombstone, larger than all before.
    pub fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The epoch of this process.
    pub async fn epoch(&self) -> u64 {
        self.manifest.lock().await.manifest().epoch
    }

    /// Every write up to here is in files.
    pub async fn covered_sequence(&self) -> u64 {
        self.manifest.lock().await.manifest().covered_sequence
    }

    /// Every live tombstone.
    pub async fn tombstones(&self) -> Vec<TombstoneEntry> {
        let manifest = self.manifest.lock().await;
        manifest.manifest().tombstones.values().cloned().collect()
    }

    /// The ids of all files and tombstones that are live.
    pub async fn named_ids(&self) -> HashSet<u64> {
        let manifest = self.manifest.lock().await;
        let state = manifest.manifest();
        let ids = state.files.keys().chain(state.tombstones.keys());
        ids.copied().collect()
    }

    /// Every table that has live files.
    pub async fn tables(&self) -> Vec<TableAddress> {
        let manifest = self.manifest.lock().await;
        let files = manifest.manifest().files.values();
        let mut tables: Vec<TableAddress> = files.map(|file| (file.database, file.table)).collect();
        tables.sort_unstable();
        tables.dedup();
        tables
    }

    /// Stores a file; it is live only once a change names it.
    pub async fn put_file(
        &self,
        (database, table): TableAddress,
        file: WrittenFile,
        (first_sequence, last_sequence): (u64, u64),
        deletes_applied: u64,
    ) -> Result<FileEntry, Error> {
        let id = self.new_id();
        let entry = FileEntry {
            id,
            database,
            table,
            min_time: file.min_time,
            max_time: file.max_time,
            rows: file.rows,
            series: file.series,
            bytes: file.bytes.len() as u64,
            first_sequence,
            last_sequence,
            crc32: crc32fast::hash(&file.bytes),
            footer_bytes: file.footer_bytes,
            footer_crc32: file.footer_crc32,
            deletes_applied,
            created_ms: self.world.clock.now_ms(),
        };
        let path = self.paths.data_file(database, table, id);
        self.world
            .store
            .put(&path, PutPayload::from(file.bytes))
            .await
            .map_err(|cause| store_error("write", &path, cause))?;
        Ok(entry)
    }

    /// Removes files that no change has been asked to name.
    pub async fn discard(&self, entries: &[FileEntry]) {
        for entry in entries {
            let path = self.paths.data_file(entry.database, entry.table, entry.id);
            if let Err(cause) = self.world.store.delete(&path).await {
                let fault = store_error("remove", &path, cause);
                tracing::warn!(error = %fault, "cannot remove a file of a failed attempt");
            }
        }
    }

    /// Makes it known that a tombstone with this entry is about to be committed.
    pub fn expect(&self, tombstone: Arc<Tombstone>) {
        let id = tombstone.entry.id;
        self.tombstones.lock().insert(id, tombstone);
    }

    /// Makes a change durable, then visible.
    ///
    /// Errors: `Conflict` when another process has taken over, `Unavailable` when the store did not say: the change may be
    /// found to have happened later, so the objects it names must stay.
    pub async fn commit(&self, change: Change) -> Result<(), Error> {
        let mut manifest = self.manifest.lock().await;
        self.settle(&mut manifest).await?;
        let mut by_table = removals(&change, manifest.manifest());
        let Err(fault) = manifest.commit(change.clone()).await else {
            return self.publish(&change, &mut by_table).await;
        };
        if fault.kind() == ErrorKind::Unavailable && self.settle(&mut manifest).await.is_ok() {
            // Now it is known what became of it, and memory has followed.
            if has_happened(&change, manifest.manifest()) {
                return Ok(());
            }
            return Err(Error::new(ErrorKind::Internal, fault.to_string()));
        }
        self.lost.note(&fault);
        Err(fault)
    }

    /// Finds out what became of changes without an answer, and follows. To be called before anything that counts on what is live.
    pub async fn settled(&self) -> Result<(), Error> {
        let mut manifest = self.manifest.lock().await;
        self.settle(&mut manifest).await
    }

    async fn settle(&self, manifest: &mut ManifestLog) -> Result<(), Error> {
        if manifest.is_unsettled() {
            let settled = manifest.settle().await;
            settled.inspect_err(|fault| self.lost.note(fault))?;
            self.reconcile(manifest.manifest()).await?;
        }
        Ok(())
    }

    async fn publish(
        &self,
        change: &Change,
        by_table: &mut HashMap<TableAddress, Publication>,
    ) -> Result<(), Error> {
        for entry in &change.added {
            let address = (entry.database, entry.table);
            let publication = by_table.entry(address).or_default();
            publication.added.push(self.live_file(entry.clone()));
        }
        for entry in &change.tombstones_added {
            let tombstone = self.tombstone(entry).await?;
            let publication = by_table.entry((entry.database, entry.table)).or_default();
            publication.tombstones_added.push(tombstone);
        }
        if change.covered_sequence.is_some() {
            for table in self.buffer.tables() {
                if !table.view().frozen.is_empty() {
                    by_table.entry((table.database, table.table)).or_default();
                }
            }
        }
        for (address, mut publication) in by_table.drain() {
            publication.covered_sequence = change.covered_sequence.unwrap_or(0);
            let table = self.buffer.table(address.0, address.1);
            self.buffer.publish(&table, publication, &self.totals);
        }
        self.forget(&change.tombstones_removed);
        Ok(())
    }

    /// Makes every table what the manifest says, whatever it was.
    async fn reconcile(&self, manifest: &Manifest) -> Result<(), Error> {
        let mut by_table: HashMap<TableAddress, Publication> = HashMap::new();
        for table in self.buffer.tables() {
            by_table.entry((table.database, table.table)).or_default();
        }
        let mut live: HashMap<TableAddress, Vec<&FileEntry>> = HashMap::new();
        for entry in manifest.files.values() {
            let address = (entry.database, entry.table);
            by_table.entry(address).or_default();
            live.entry(address).or_default().push(entry);
        }
        let mut tombstones: HashMap<TableAddress, Vec<Arc<Tombstone>>> = HashMap::new();
        for entry in manifest.tombstones.values() {
            let address = (entry.database, entry.table);
            by_table.entry(address).or_default();
            let tombstone = self.tombstone(entry).await?;
            tombstones.entry(address).or_default().push(tombstone);
        }
        for (address, mut publication) in by_table {
            let table = self.buffer.table(address.0, address.1);
            let view = table.view();
            let known: HashSet<u64> = view.files.iter().map(|file| file.entry.id).collect();
            let wanted = live.remove(&address).unwrap_or_default();
            publication.removed = known
                .iter()
                .copied()
                .filter(|id| !manifest.files.contains_key(id))
                .collect();
            publication.added = wanted
                .into_iter()
                .filter(|entry| !known.contains(&entry.id))
                .map(|entry| self.live_file(entry.clone()))
                .collect();
            let wanted = tombstones.remove(&address).unwrap_or_default();
            let has = |id: u64| view.tombstones.iter().any(|known| known.entry.id == id);
            publication.tombstones_removed = view
                .tombstones
                .iter()
                .map(|known| known.entry.id)
                .filter(|id| !manifest.tombstones.contains_key(id))
                .collect();
            publication.tombstones_added = wanted
                .into_iter()
                .filter(|tombstone| !has(tombstone.entry.id))
                .collect();
            publication.covered_sequence = manifest.covered_sequence;
            drop(view);
            self.buffer.publish(&table, publication, &self.totals);
        }
        Ok(())
    }

    async fn tombstone(&self, entry: &TombstoneEntry) -> Result<Arc<Tombstone>, Error> {
        if let Some(known) = self.tombstones.lock().get(&entry.id) {
            return Ok(Arc::clone(known));
        }
        let path = self.paths.tombstone(entry.id);
        let loaded = Tombstone::load(&self.world.store, &path, entry.clone()).await?;
        let loaded = Arc::new(loaded);
        self.expect(Arc::clone(&loaded));
        Ok(loaded)
    }

    fn forget(&self, tombstones: &[u64]) {
        let mut known = self.tombstones.lock();
        for id in tombstones {
            known.remove(id);
        }
    }

    fn live_file(&self, entry: FileEntry) -> Arc<DataFile> {
        let path = self.paths.data_file(entry.database, entry.table, entry.id);
        Arc::new(DataFile::new(entry, path, Arc::clone(&self.cache)))
    }
}

impl Totals {
    pub fn add(&self, entry: &FileEntry) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(entry.bytes, Ordering::Relaxed);
        self.rows.fetch_add(entry.rows, Ordering::Relaxed);
    }

    pub fn subtract(&self, entry: &FileEntry) {
        self.files.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(entry.bytes, Ordering::Relaxed);
        self.rows.fetch_sub(entry.rows, Ordering::Relaxed);
    }
}

/// What a change takes from each table.
fn removals(change: &Change, manifest: &Manifest) -> HashMap<TableAddress, Publication> {
    let mut by_table: HashMap<TableAddress, Publication> = HashMap::new();
    for id in &change.removed {
        if let Some(file) = manifest.files.get(id) {
            let publication = by_table.entry((file.database, file.table)).or_default();
            publication.removed.push(*id);
        }
    }
    for id in &change.tombstones_removed {
        if let Some(tombstone) = manifest.tombstones.get(id) {
            let address = (tombstone.database, tombstone.table);
            let publication = by_table.entry(address).or_default();
            publication.tombstones_removed.push(*id);
        }
    }
    by_table
}

/// Whether a manifest is what a change makes of one.
fn has_happened(change: &Change, manifest: &Manifest) -> bool {
    let files = &manifest.files;
    let tombstones = &manifest.tombstones;
    change.added.iter().all(|file| files.contains_key(&file.id))
        && change.removed.iter().all(|id| !files.contains_key(id))
        && change
            .tombstones_added
            .iter()
            .all(|added| tombstones.contains_key(&added.id))
        && change
            .tombstones_removed
            .iter()
            .all(|id| !tombstones.contains_key(id))
        && change
            .covered_sequence
            .is_none_or(|sequence| sequence <= manifest.covered_sequence)
}
