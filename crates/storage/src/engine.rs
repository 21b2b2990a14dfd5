//! The engine: the pipeline put together for one node.
//!
//! A write goes ingest → log → buffer and is answered; in the background frozen rows become files, the manifest takes them over,
//! and the log lets go of what they cover. [`Engine::open`] does the same with what an earlier process left in the log.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use catalog::{Catalog, DatabaseId, TableId};
use hashbrown::HashMap;
use runtime::object_store::{ObjectStoreExt, PutPayload, store_error};
use runtime::{ErrorKind, World};
use tokio::sync::Notify;

use crate::batch::Batch;
use crate::buffer::{Buffer, TableBuffer};
use crate::file::DataFile;
use crate::file::write::WrittenFile;
use crate::ingest::known::KnownSeries;
use crate::ingest::{self, Context, Pass};
use crate::manifest::{Change, FileEntry, ManifestLog};
use crate::paths::Paths;
use crate::wal::folder::{FolderLock, FolderLog};
use crate::wal::format::v1::{DecodedBatch, Payload};
use crate::wal::objects::ObjectLog;
use crate::wal::replay::{Source, replay};
use crate::wal::{Place, Wal};
use crate::{
    CompactionEvent, DeleteRequest, Deleted, Error, Scan, ScanRequest, WriteError, WriteOutcome,
    WriteRequest, persist, scan,
};

/// How often a write is read again because the schema changed under it.
const PASSES_MAX: usize = 16;

/// Longest wait of a write for room in the buffer.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(10);

/// Settings of one node's storage.
#[derive(Clone, Debug)]
pub struct Config {
    /// Prefix of every object path.
    pub node_id: String,
    /// Where the log's segments go when the store is a local folder: its root. `None`: the log is kept in the object store.
    pub local_folder: Option<PathBuf>,
    /// The unit of `wal_snapshot_size`. No write waits for it in memory or on a folder: a flush begins when the one before has ended.
    pub wal_flush_interval: Duration,
    /// Flush intervals after which buffered rows become files.
    pub wal_snapshot_size: u32,
    pub memory: Memory,
}

/// The shares of storage in the memory budget, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Of buffered rows, at which they become files early. Writes wait at twice as many.
    pub buffer_bytes_max: usize,
    /// Of footers and indexes kept for the next query.
    pub cache_bytes_max: usize,
    /// That compaction may hold at once.
    pub compaction_bytes_max: usize,
    /// Of requests that are read at once; others wait their turn.
    pub ingest_bytes_max: usize,
}

impl Default for Memory {
    /// For a machine of two gigabytes.
    fn default() -> Self {
        Self {
            buffer_bytes_max: 128 << 20,
            cache_bytes_max: 128 << 20,
            compaction_bytes_max: 128 << 20,
            ingest_bytes_max: 256 << 20,
        }
    }
}

/// Running totals and current sizes.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    pub write_lines: u64,
    pub write_lines_rejected: u64,
    /// Of line protocol.
    pub write_bytes: u64,
    pub wal_flushes: u64,
    pub wal_bytes: u64,
    /// Time spent making flushes durable.
    pub wal_flush_time: Duration,
    /// Time spent parsing lines and building batches.
    pub ingest_time: Duration,
    /// Time spent encoding batches for the log.
    pub encode_time: Duration,
    /// Time spent putting batches into the buffer.
    pub buffer_time: Duration,
    pub buffer_rows: u64,
    pub buffer_bytes: u64,
    pub files: u64,
    pub file_bytes: u64,
    pub file_rows: u64,
    pub persists: u64,
}

#[derive(Debug, Default)]
struct Counters {
    write_lines: AtomicU64,
    write_lines_rejected: AtomicU64,
    write_bytes: AtomicU64,
    ingest_ns: AtomicU64,
    encode_ns: AtomicU64,
    files: AtomicU64,
    file_bytes: AtomicU64,
    file_rows: AtomicU64,
    persists: AtomicU64,
}

/// One node's storage.
#[derive(Debug)]
pub struct Engine {
    world: World,
    catalog: Arc<Catalog>,
    buffer: Arc<Buffer>,
    known: KnownSeries,
    wal: Wal,
    persister: Arc<Persister>,
    buffer_bytes_max: u64,
    counters: Arc<Counters>,
}

/// Makes files of frozen rows. Shared with the background task.
#[derive(Debug)]
struct Persister {
    world: World,
    catalog: Arc<Catalog>,
    buffer: Arc<Buffer>,
    paths: Paths,
    /// Whoever persists holds it from the freeze to the publication.
    manifest: tokio::sync::Mutex<ManifestLog>,
    /// Id of the next file. Never goes back: a commit that seemed to fail may have named the files of its attempt.
    next_file: AtomicU64,
    counters: Arc<Counters>,
    /// The buffer has grown large.
    wanted: Notify,
    /// The buffer has shrunk.
    done: Notify,
}

impl Engine {
    /// Loads the manifest, replays the log, starts the background tasks.
    ///
    /// Errors: `Conflict` when another process uses the same node's log, `Corrupt` when the manifest is damaged, `Unavailable`.
    pub async fn open(
        config: Config,
        catalog: Arc<Catalog>,
        world: World,
    ) -> Result<Arc<Self>, Error> {
        let paths = Paths::new(&config.node_id);
        // The lock comes first: only its holder may take over the manifest.
        let lock = match &config.local_folder {
            Some(root) => Some(FolderLock::acquire(&root.join(paths.wal().as_ref()))?),
            None => None,
        };
        let manifest = ManifestLog::open(paths.clone(), world.clone()).await?;
        let epoch = manifest.manifest().epoch;
        let next_file = manifest.manifest().next_file.max(epoch << 32);
        let covered = manifest.manifest().covered_sequence;
        let buffer = Arc::new(Buffer::default());
        let counters = Arc::new(Counters::default());
        let persister = Arc::new(Persister {
            world: world.clone(),
            catalog: Arc::clone(&catalog),
            buffer: Arc::clone(&buffer),
            paths: paths.clone(),
            manifest: tokio::sync::Mutex::new(manifest),
            next_file: AtomicU64::new(next_file),
            counters: Arc::clone(&counters),
            wanted: Notify::new(),
            done: Notify::new(),
        });
        persister.load_files().await;

        let source = match &lock {
            Some(lock) => Source::Folder(lock.folder()),
            None => Source::Objects(&world.store, &paths),
        };
        let started = world.clock.monotonic();
        let bytes_max = config.memory.buffer_bytes_max as u64;
        let (sealed, highest) = replay(source, covered, false, async |sequence, batches| {
            buffer.apply(sequence, known_batches(&buffer, &catalog, batches))?;
            if buffer.bytes() > bytes_max {
                // The same bound as in normal running: a log larger than memory must not stop a start.
                buffer.freeze();
                let mut manifest = persister.manifest.lock().await;
                persister.persist_frozen(&mut manifest, sequence).await?;
            }
            Ok(())
        })
        .await?;
        if !sealed.segments.is_empty() {
            tracing::info!(
                segments = sealed.segments.len(),
                rows = buffer.rows(),
                through_sequence = highest,
                milliseconds = (world.clock.monotonic() - started).as_millis() as u64,
                "log replayed"
            );
        }
        let next_number = sealed.segments.keys().last().map_or(1, |last| last + 1);
        let place = match lock {
            Some(lock) => Place::Folder(FolderLog::new(lock, epoch, next_number, sealed)),
            None => Place::Objects(ObjectLog {
                store: world.store.clone(),
                paths,
                clock: Arc::clone(&world.clock),
                handle: tokio::runtime::Handle::current(),
                epoch,
                next_number,
                // The memory store costs nothing per object; a remote one will be paced by the flush interval.
                pace: Duration::ZERO,
                last_flush: None,
                sealed,
            }),
        };
        let wal = Wal::start(place, highest + 1, Arc::clone(&buffer), &world)?;
        wal.remove_through(persister.manifest.lock().await.manifest().covered_sequence);
        let engine = Arc::new(Self {
            world,
            catalog,
            buffer,
            known: KnownSeries::default(),
            wal,
            persister,
            buffer_bytes_max: bytes_max,
            counters,
        });
        engine.start_persisting(config.wal_flush_interval * config.wal_snapshot_size.max(1));
        Ok(engine)
    }

    /// Writes a request: durable and visible to the next query when this returns, unless `no_sync`.
    ///
    /// Reads the request on the calling task, about two milliseconds per megabyte.
    pub async fn write(&self, request: WriteRequest<'_>) -> Result<WriteOutcome, WriteError> {
        self.wait_for_room().await?;
        let started = self.world.clock.monotonic();
        let (batches, outcome) = self.ingest(&request).await?;
        let counters = &self.counters;
        let ingest = self.world.clock.monotonic() - started;
        counters
            .ingest_ns
            .fetch_add(ingest.as_nanos() as u64, Ordering::Relaxed);
        counters
            .write_bytes
            .fetch_add(request.text.len() as u64, Ordering::Relaxed);
        counters
            .write_lines
            .fetch_add(outcome.lines as u64, Ordering::Relaxed);
        let rejected = outcome.rejected.len() as u64;
        counters
            .write_lines_rejected
            .fetch_add(rejected, Ordering::Relaxed);
        if batches.is_empty() {
            return Ok(outcome);
        }
        let payload = self.encode(&batches)?;
        let durable = self.wal.submit(payload, batches)?;
        if !request.no_sync {
            durable
                .await
                .map_err(|_| Error::unavailable("wal is shutdown and not accepting writes"))??;
        }
        if self.buffer.bytes() > self.buffer_bytes_max {
            self.persister.wanted.notify_one();
        }
        Ok(outcome)
    }

    async fn ingest(
        &self,
        request: &WriteRequest<'_>,
    ) -> Result<(Vec<Batch>, WriteOutcome), WriteError> {
        let now_ns = self.world.clock.now_ns();
        for _ in 0..PASSES_MAX {
            let snapshot = self.catalog.snapshot();
            let context = Context {
                snapshot: &snapshot,
                limits: self.catalog.limits(),
                buffer: &self.buffer,
                known: &self.known,
                now_ns,
            };
            let additions = match ingest::pass(request, &context)? {
                Pass::Ready { batches, outcome } => return Ok((batches, outcome)),
                Pass::NeedsSchema(additions) => additions,
            };
            match self
                .catalog
                .extend_schema(request.database, &additions)
                .await
            {
                Ok(_) => {}
                // Somebody else changed the schema meanwhile: the next pass says which lines that rejects.
                Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Limit) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(WriteError::Failed(Error::unavailable(format!(
            "the schema of database '{}' changes too fast, try again",
            request.database
        ))))
    }

    fn encode(&self, batches: &[Batch]) -> Result<Payload, Error> {
        let started = self.world.clock.monotonic();
        let tables: Vec<Arc<TableBuffer>> = batches
            .iter()
            .map(|batch| self.buffer.table(batch.database, batch.table))
            .collect();
        // Many locks at once, in any order: recursive reads never queue behind a writer that waits for another encoder.
        let series: Vec<_> = tables
            .iter()
            .map(|table| table.series.read_recursive())
            .collect();
        let parts: Vec<_> = batches
            .iter()
            .zip(&series)
            .map(|(batch, series)| (batch, &**series))
            .collect();
        let payload = Payload::encode(&parts, self.wal.compress())?;
        let took = self.world.clock.monotonic() - started;
        self.counters
            .encode_ns
            .fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        Ok(payload)
    }

    /// Waits while the buffer is twice as large as it should be.
    async fn wait_for_room(&self) -> Result<(), Error> {
        let is_full = || self.buffer.bytes() > 2 * self.buffer_bytes_max;
        if !is_full() {
            return Ok(());
        }
        let room = async {
            while is_full() {
                let done = self.persister.done.notified();
                self.persister.wanted.notify_one();
                if is_full() {
                    done.await;
                }
            }
        };
        tokio::time::timeout(ROOM_WAIT_MAX, room)
            .await
            .map_err(|_| Error::unavailable("this service is overloaded, please try again later"))
    }

    /// Plans a read of one table as it is now. What has expired is for the time range to leave out.
    pub async fn scan(&self, request: ScanRequest) -> Result<Scan, Error> {
        let table = self.buffer.table(request.database, request.table.id);
        scan::plan::plan(&request, &table, &self.world.store).await
    }

    /// Deletes rows: gone from every answer, for good, when this returns. Rows written later are not touched.
    ///
    /// Errors: `TooLarge` when a row filter takes more rows than a delete can list, `Unavailable`.
    pub async fn delete(&self, request: DeleteRequest) -> Result<Deleted, Error> {
        let _ = request;
        Err(Error::new(ErrorKind::Unsupported, "deletes are not there yet"))
    }

    /// Compacts until nothing is left to do. Happens by itself in the background.
    pub async fn compact(&self) -> Result<(), Error> {
        Err(Error::new(ErrorKind::Unsupported, "compaction is not there yet"))
    }

    /// What compaction did lately, oldest first.
    pub fn compaction_events(&self) -> Vec<CompactionEvent> {
        Vec::new()
    }

    /// The live files of a table, oldest write first.
    pub fn files(&self, database: DatabaseId, table: TableId) -> Vec<Arc<DataFile>> {
        self.buffer.table(database, table).view().files.to_vec()
    }

    /// Resolves when this node can no longer write because another process has taken it over; with the reason.
    pub async fn lost(&self) -> Error {
        std::future::pending().await
    }

    /// Makes files of all rows buffered now.
    pub async fn persist(&self) -> Result<(), Error> {
        self.persister.persist(&self.wal).await
    }

    /// Refuses further writes and flushes the log. Rows stay in the log; start-up reads them back.
    pub async fn close(&self) -> Result<(), Error> {
        self.wal.close();
        // Whoever is persisting finishes first.
        drop(self.persister.manifest.lock().await);
        Ok(())
    }

    pub fn statistics(&self) -> Statistics {
        let counters = &self.counters;
        let wal = self.wal.counters();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let time = |counter: &AtomicU64| Duration::from_nanos(counter.load(Ordering::Relaxed));
        Statistics {
            write_lines: count(&counters.write_lines),
            write_lines_rejected: count(&counters.write_lines_rejected),
            write_bytes: count(&counters.write_bytes),
            wal_flushes: count(&wal.flushes),
            wal_bytes: count(&wal.bytes),
            wal_flush_time: time(&wal.flush_ns),
            ingest_time: time(&counters.ingest_ns),
            encode_time: time(&counters.encode_ns),
            buffer_time: time(&wal.buffer_ns),
            buffer_rows: self.buffer.rows(),
            buffer_bytes: self.buffer.bytes(),
            files: count(&counters.files),
            file_bytes: count(&counters.file_bytes),
            file_rows: count(&counters.file_rows),
            persists: count(&counters.persists),
        }
    }

    /// Persists whenever rows have waited for `age`, or the buffer is full, until the node stops.
    fn start_persisting(self: &Arc<Self>, age: Duration) {
        let engine = Arc::downgrade(self);
        let tasks = self.world.tasks.clone();
        let persister = Arc::clone(&self.persister);
        let clock = Arc::clone(&self.world.clock);
        self.world.tasks.spawn("persist", async move {
            let mut last = clock.monotonic();
            loop {
                let wait = (last + age).saturating_sub(clock.monotonic());
                tokio::select! {
                    () = tasks.stopping() => return,
                    () = persister.wanted.notified() => {}
                    () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => {}
                }
                let Some(engine) = engine.upgrade() else { return };
                last = clock.monotonic();
                if persister.buffer.rows() == 0 {
                    continue;
                }
                if let Err(fault) = engine.persist().await {
                    tracing::error!(error = %fault, "cannot persist; rows stay in the log and in memory");
                    tasks.pause(Duration::from_secs(1)).await;
                }
            }
        });
    }
}

impl Persister {
    /// Tells every table its files.
    async fn load_files(&self) {
        let manifest = self.manifest.lock().await;
        let mut by_table: HashMap<_, Vec<&FileEntry>> = HashMap::new();
        for file in manifest.manifest().files.values() {
            by_table
                .entry((file.database, file.table))
                .or_default()
                .push(file);
        }
        for ((database, table), mut files) in by_table {
            files.sort_by_key(|file| (file.last_sequence, file.id));
            let files: Vec<Arc<DataFile>> = files
                .into_iter()
                .map(|file| self.live_file(file.clone()))
                .collect();
            self.count_files(&files);
            let table = self.buffer.table(database, table);
            self.buffer.publish(&table, 0, files);
        }
    }

    async fn persist(&self, wal: &Wal) -> Result<(), Error> {
        let mut manifest = self.manifest.lock().await;
        let through = wal.freeze().await?;
        self.persist_frozen(&mut manifest, through).await?;
        wal.remove_through(through);
        Ok(())
    }

    /// Makes files of all frozen rows, which are all rows up to sequence `through`.
    async fn persist_frozen(&self, manifest: &mut ManifestLog, through: u64) -> Result<(), Error> {
        let started = self.world.clock.monotonic();
        let mut change = Change {
            covered_sequence: Some(through),
            ..Change::default()
        };
        let mut made: Vec<(Arc<TableBuffer>, usize, std::ops::Range<usize>)> = Vec::new();
        for table in self.buffer.tables() {
            let frozen = table.view().frozen.len();
            if frozen == 0 {
                continue;
            }
            let first = change.added.len();
            if let Err(fault) = self.make_files(&table, &mut change.added).await {
                self.discard_files(&change.added).await;
                return Err(fault);
            }
            made.push((table, frozen, first..change.added.len()));
        }
        if made.is_empty() {
            return Ok(());
        }
        let (files, bytes) = (
            change.added.len(),
            change.added.iter().map(|file| file.bytes).sum::<u64>(),
        );
        let added = change.added.clone();
        manifest.commit(change).await?;
        for (table, frozen, entries) in made {
            let files: Vec<Arc<DataFile>> = added[entries]
                .iter()
                .map(|entry| self.live_file(entry.clone()))
                .collect();
            self.count_files(&files);
            self.buffer.publish(&table, frozen, files);
        }
        self.counters.persists.fetch_add(1, Ordering::Relaxed);
        self.done.notify_waiters();
        let took = self.world.clock.monotonic() - started;
        tracing::debug!(
            files,
            bytes,
            through_sequence = through,
            milliseconds = took.as_millis() as u64,
            "persisted"
        );
        Ok(())
    }

    /// Writes the files of a table's frozen rows and lists them; they are live only once the manifest names them.
    async fn make_files(
        &self,
        buffer: &Arc<TableBuffer>,
        entries: &mut Vec<FileEntry>,
    ) -> Result<(), Error> {
        let snapshot = self.catalog.snapshot();
        let Some((_, table)) = snapshot.table_by_id(buffer.table) else {
            // Rows of a table that is gone for good.
            return Ok(());
        };
        let view = buffer.view();
        let sequences = view
            .frozen
            .first()
            .zip(view.frozen.last())
            .map(|(first, last)| (first.first_sequence, last.last_sequence));
        let Some(sequences) = sequences else {
            return Ok(());
        };
        let windows = {
            let view = Arc::clone(&view);
            self.world
                .tasks
                .blocking(move || persist::windows(&view.frozen))
                .await?
        };
        for window in windows {
            let (table, owner, view) = (Arc::clone(table), Arc::clone(buffer), Arc::clone(&view));
            let files = self
                .world
                .tasks
                .blocking(move || persist::files_of_window(&table, &owner, &view.frozen, window))
                .await??;
            for file in files {
                entries.push(self.store_file(buffer, sequences, file).await?);
            }
        }
        Ok(())
    }

    /// Removes files that no manifest has been asked to name.
    async fn discard_files(&self, entries: &[FileEntry]) {
        for entry in entries {
            let path = self.paths.data_file(entry.database, entry.table, entry.id);
            if let Err(cause) = self.world.store.delete(&path).await {
                let fault = store_error("remove", &path, cause);
                tracing::warn!(error = %fault, "cannot remove a file of a failed attempt");
            }
        }
    }

    async fn store_file(
        &self,
        buffer: &TableBuffer,
        (first_sequence, last_sequence): (u64, u64),
        file: WrittenFile,
    ) -> Result<FileEntry, Error> {
        let id = self.next_file.fetch_add(1, Ordering::Relaxed);
        let entry = FileEntry {
            id,
            database: buffer.database,
            table: buffer.table,
            min_time: file.min_time,
            max_time: file.max_time,
            rows: file.rows,
            series: file.series,
            bytes: file.bytes.len() as u64,
            first_sequence,
            last_sequence,
            crc32: crc32fast::hash(&file.bytes),
        };
        let path = self.paths.data_file(buffer.database, buffer.table, id);
        self.world
            .store
            .put(&path, PutPayload::from(file.bytes))
            .await
            .map_err(|cause| store_error("write", &path, cause))?;
        Ok(entry)
    }

    fn live_file(&self, entry: FileEntry) -> Arc<DataFile> {
        let path = self.paths.data_file(entry.database, entry.table, entry.id);
        Arc::new(DataFile::new(entry, path))
    }

    fn count_files(&self, files: &[Arc<DataFile>]) {
        let total = |size: fn(&FileEntry) -> u64| files.iter().map(|file| size(&file.entry)).sum();
        let counters = &self.counters;
        counters
            .files
            .fetch_add(files.len() as u64, Ordering::Relaxed);
        counters
            .file_bytes
            .fetch_add(total(|file| file.bytes), Ordering::Relaxed);
        counters
            .file_rows
            .fetch_add(total(|file| file.rows), Ordering::Relaxed);
    }
}

/// Log batches with the numbers their series have now. Rows of tables that are gone are left out, with a word in the log.
fn known_batches(buffer: &Buffer, catalog: &Catalog, batches: Vec<DecodedBatch>) -> Vec<Batch> {
    let snapshot = catalog.snapshot();
    batches
        .into_iter()
        .filter_map(|batch| {
            if snapshot.table_by_id(batch.table).is_none() {
                tracing::warn!(
                    table = batch.table.0,
                    rows = batch.times.len(),
                    "the log has rows of a table that is gone"
                );
                return None;
            }
            let table = buffer.table(batch.database, batch.table);
            let mut known = table.series.write();
            let numbers: Option<Vec<u32>> = batch
                .series_keys
                .iter()
                .map(|key| known.intern(key))
                .collect();
            let Some(numbers) = numbers else {
                tracing::error!(
                    table = batch.table.0,
                    rows = batch.times.len(),
                    "the log has series keys that cannot be read; their rows are left out"
                );
                return None;
            };
            Some(Batch {
                database: batch.database,
                table: batch.table,
                series: batch
                    .series
                    .iter()
                    .map(|at| numbers[*at as usize])
                    .collect(),
                times: batch.times.into(),
                columns: batch.columns,
            })
        })
        .collect()
}
