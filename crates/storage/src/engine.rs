//! The engine: the pipeline put together for one node.
//!
//! A write goes ingest → log → buffer and is answered; in the background frozen rows become files, the manifest takes them over,
//! and the log lets go of what they cover. [`Engine::open`] does the same with what an earlier process left in the log.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use catalog::{Catalog, DatabaseId, TableId};
use runtime::{ErrorKind, World};

use crate::batch::Batch;
use crate::buffer::{Buffer, TableBuffer};
use crate::compact::Compactor;
use crate::file::DataFile;
use crate::file::cache::CacheStatistics;
use crate::ingest::known::KnownSeries;
use crate::ingest::{self, Context, Pass};
use crate::live::Live;
use crate::manifest::ManifestLog;
use crate::paths::Paths;
use crate::persist::persister::Persister;
use crate::wal::bundle::{Bundle, Bundling};
use crate::wal::folder::FolderLock;
use crate::wal::format::v1::Payload;
use crate::wal::lost::Lost;
use crate::wal::recover::{Recovery, recover};
use crate::wal::replay::Rules;
use crate::wal::{BUNDLE_BYTES_MAX, LogSettings, Wal};
use crate::{
    CompactionEvent, DeleteRequest, Deleted, Error, Scan, ScanRequest, WriteError, WriteOutcome,
    WriteRequest, compact, delete, scan,
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
    pub log: LogSettings,
    pub memory: Memory,
    /// From the moment a deleted table's data goes to the end of its entry in the catalog.
    pub delete_grace: Duration,
}

/// The shares of storage in the memory budget, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Of buffered rows, at which they become files early. Writes wait at twice as many.
    pub buffer_bytes_max: usize,
    /// What the buffer may hold besides while the log is replayed and nothing else runs: a start need not wait for rows to become files.
    pub replay_bytes_more: usize,
    /// Of footers, indexes and pages kept for the next query.
    pub cache_bytes_max: usize,
    /// That compaction may hold at once.
    pub compaction_bytes_max: usize,
    /// Of requests that are read at once; others wait their turn.
    pub ingest_bytes_max: usize,
    /// Of the names of series, all of which stay in memory, at which no new one is taken.
    pub series_bytes_max: usize,
}

impl Default for Memory {
    /// For a machine of two gigabytes.
    fn default() -> Self {
        Self {
            buffer_bytes_max: 128 << 20,
            replay_bytes_more: 0,
            cache_bytes_max: 128 << 20,
            compaction_bytes_max: 128 << 20,
            ingest_bytes_max: 256 << 20,
            series_bytes_max: 512 << 20,
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
    /// Of the names of series met since the start.
    pub series_bytes: u64,
    pub compaction: compact::Totals,
}

#[derive(Debug, Default)]
struct Counters {
    write_lines: AtomicU64,
    write_lines_rejected: AtomicU64,
    write_bytes: AtomicU64,
    ingest_ns: AtomicU64,
    encode_ns: AtomicU64,
}

/// One node's storage.
#[derive(Debug)]
pub struct Engine {
    world: World,
    catalog: Arc<Catalog>,
    buffer: Arc<Buffer>,
    known: KnownSeries,
    wal: Wal,
    /// Said by the log, or by whoever commits to the manifest.
    lost: Lost,
    live: Arc<Live>,
    persister: Arc<Persister>,
    compactor: Arc<Compactor>,
    buffer_bytes_max: u64,
    /// What the replayed log left in the buffer above the bound at which writes wait; they need not wait for that to become files.
    backlog_bytes: AtomicU64,
    /// Values of one request that fit the share of requests being read.
    cells_max: u64,
    series_bytes_max: u64,
    counters: Counters,
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
        let covered = manifest.manifest().covered_sequence;
        let buffer = Arc::new(Buffer::default());
        let lost = Lost::new();
        let live = Live::open(
            world.clone(),
            Arc::clone(&buffer),
            paths.clone(),
            manifest,
            lost.clone(),
            config.memory.cache_bytes_max,
        )
        .await?;
        let live = Arc::new(live);
        let persister = Persister::new(Arc::clone(&live), Arc::clone(&catalog));
        let persister = Arc::new(persister);

        let started = world.clock.monotonic();
        let bytes_max = config.memory.buffer_bytes_max as u64;
        let replay_bytes_max = bytes_max.saturating_add(config.memory.replay_bytes_more as u64);
        let bundle_bytes_max = (replay_bytes_max / 4).min(BUNDLE_BYTES_MAX as u64);
        let deletes = live.tombstones().await;
        let mut cuts: Vec<u64> = deletes.iter().map(|delete| delete.sequence).collect();
        cuts.sort_unstable();
        let recovery = Recovery {
            lock,
            paths: &paths,
            epoch,
            rules: Rules {
                covered,
                bundling: Bundling {
                    cuts: cuts.into(),
                    bytes_max: bundle_bytes_max as usize,
                },
            },
            settings: config.log,
            world: &world,
        };
        let recovered = recover(recovery, async |bundle| {
            let through = bundle.last_sequence;
            add_known(&buffer, &catalog, bundle)?;
            if buffer.bytes() > replay_bytes_max {
                // A log larger than memory must not stop a start.
                buffer.freeze();
                persister.persist_frozen(through).await?;
            }
            Ok(())
        })
        .await?;
        let highest = recovered.highest_sequence;
        if recovered.segments > 0 {
            tracing::info!(
                segments = recovered.segments,
                rows = buffer.rows(),
                through_sequence = highest,
                milliseconds = (world.clock.monotonic() - started).as_millis() as u64,
                "log replayed"
            );
        }
        let pace = config.log.object_flush_interval;
        let wal = Wal::start(
            recovered.place,
            highest + 1,
            pace,
            Arc::clone(&buffer),
            lost.clone(),
            &world,
        )?;
        wal.remove_through(live.covered_sequence().await);
        let persist_age = config.wal_flush_interval * config.wal_snapshot_size.max(1);
        let settings = compact::Settings::new(config.memory.compaction_bytes_max, persist_age);
        let compactor = Compactor::new(
            Arc::clone(&live),
            Arc::clone(&catalog),
            settings,
            config.delete_grace,
        )?;
        let buffer_bytes = buffer.bytes();
        let engine = Arc::new(Self {
            world,
            catalog,
            buffer,
            known: KnownSeries::default(),
            wal,
            lost,
            live,
            persister,
            compactor: Arc::new(compactor),
            buffer_bytes_max: bytes_max,
            backlog_bytes: AtomicU64::new(buffer_bytes.saturating_sub(2 * bytes_max)),
            series_bytes_max: config.memory.series_bytes_max as u64,
            cells_max: (config.memory.ingest_bytes_max / size_of::<u64>()) as u64,
            counters: Counters::default(),
        });
        engine.start_persisting(persist_age);
        if buffer_bytes > bytes_max {
            engine.persister.wanted.notify_one();
        }
        Compactor::start(&engine.compactor);
        Ok(engine)
    }

    /// Writes a request: durable and visible to the next query when this returns, unless `no_sync`.
    ///
    /// Reads the request on the calling task, about two milliseconds per megabyte.
    pub async fn write(&self, request: WriteRequest<'_>) -> Result<WriteOutcome, WriteError> {
        self.wait_for_room().await?;
        let _busy = self.compactor.foreground.enter();
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
                cells_max: self.cells_max,
                series_bytes_max: self.series_bytes_max,
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
        let is_full = || {
            let bytes = self.buffer.bytes();
            let usual = 2 * self.buffer_bytes_max;
            if bytes <= usual {
                self.backlog_bytes.store(0, Ordering::Relaxed);
            }
            bytes > usual + self.backlog_bytes.load(Ordering::Relaxed)
        };
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
        let busy = self.compactor.foreground.enter();
        let scan = scan::plan::plan(&request, &table, u64::MAX, &self.world.store).await?;
        Ok(scan.counted(busy))
    }

    /// Deletes rows: gone from every answer, for good, when this returns. Rows written later are not touched.
    ///
    /// Errors: `TooLarge` when a row filter takes more rows than a delete can list, `Unavailable`.
    pub async fn delete(&self, request: DeleteRequest) -> Result<Deleted, Error> {
        let table = self.buffer.table(request.database, request.table.id);
        let _turn = self.persister.turn.lock().await;
        self.live.settled().await?;
        let sequence = self.wal.barrier(Arc::clone(&table)).await?;
        let deleted = delete::run(&self.live, &table, sequence, request).await?;
        self.compactor.wake();
        Ok(deleted)
    }

    /// Compacts until nothing is left to do. Happens by itself in the background.
    pub async fn compact(&self) -> Result<(), Error> {
        self.compactor.compact_all().await
    }

    /// What compaction did lately, oldest first.
    pub fn compaction_events(&self) -> Vec<CompactionEvent> {
        self.compactor.events()
    }

    /// The live files of a table, oldest write first.
    pub fn files(&self, database: DatabaseId, table: TableId) -> Vec<Arc<DataFile>> {
        self.buffer.table(database, table).view().files.to_vec()
    }

    /// Resolves when this node can no longer write because another process has taken it over; with the reason.
    pub async fn lost(&self) -> Error {
        self.lost.wait().await
    }

    /// Makes files of all rows buffered now.
    pub async fn persist(&self) -> Result<(), Error> {
        self.persister.persist(&self.wal).await?;
        self.compactor.wake();
        Ok(())
    }

    /// Refuses further writes and flushes the log. Rows stay in the log; start-up reads them back.
    pub async fn close(&self) -> Result<(), Error> {
        self.wal.close();
        // Whoever is persisting finishes first.
        self.persister.finish().await;
        Ok(())
    }

    /// What is kept of files, and how often that helped.
    pub fn file_cache(&self) -> CacheStatistics {
        self.live.cache.statistics()
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
            files: count(&self.live.totals.files),
            file_bytes: count(&self.live.totals.bytes),
            file_rows: count(&self.live.totals.rows),
            persists: count(&self.persister.persists),
            series_bytes: self.buffer.series_bytes() + self.known.bytes() as u64,
            compaction: self.compactor.totals(),
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
                if engine.buffer.rows() == 0 {
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

/// Adds what the log has, with the numbers its series have now. Rows of tables that are gone are left out, with a word in the log.
fn add_known(buffer: &Buffer, catalog: &Catalog, bundle: Bundle) -> Result<(), Error> {
    let snapshot = catalog.snapshot();
    for rows in bundle.tables {
        let mut segment = rows.segment;
        if snapshot.table_by_id(rows.table).is_none() {
            tracing::warn!(
                table = rows.table.0,
                rows = segment.rows(),
                "the log has rows of a table that is gone"
            );
            continue;
        }
        let table = buffer.table(rows.database, rows.table);
        let numbers: Option<Vec<u32>> = {
            let mut known = table.series_mut();
            let keys = rows.series_keys.iter();
            keys.map(|key| known.intern(key)).collect()
        };
        let Some(numbers) = numbers else {
            tracing::error!(
                table = rows.table.0,
                rows = segment.rows(),
                "there are no numbers left for series of the log; their rows are left out"
            );
            continue;
        };
        segment.renumber(&numbers);
        buffer.add(&table, segment)?;
    }
    Ok(())
}
