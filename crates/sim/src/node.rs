//! A simulated process: an engine and a catalog over one way to the shared objects.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, Limits};
use runtime::clock::SimulatedClock;
use runtime::sim::{Dice, FaultyStore};
use runtime::{Clock, Random, Store, Tasks, World};
use storage::verify::{self, Depth, Finding, FindingKind, Repair};
use storage::{Config, Engine, Error, LogSettings, Memory};

pub(crate) const NODE: &str = "node";

/// How long a process may take to end, in real time.
const END_MAX: Duration = Duration::from_secs(30);

/// What one process is made of.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) engine: Arc<Engine>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) store: FaultyStore,
    tasks: Tasks,
}

/// What a process is started with.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) store: FaultyStore,
    pub(crate) clock: &'a Arc<SimulatedClock>,
    /// Of this process alone.
    pub(crate) seed: u64,
    pub(crate) log_folder: Option<&'a FilePath>,
    pub(crate) buffer_bytes_max: usize,
    /// Whether persisting and compaction happen by themselves, too.
    pub(crate) background: bool,
}

impl Node {
    pub(crate) async fn open(start: Start<'_>) -> Result<Self, Error> {
        let tasks = match start.background {
            true => Tasks::new(),
            false => Tasks::without(&["persist", "compact"]),
        };
        let world = World {
            clock: Arc::clone(start.clock) as Arc<dyn Clock>,
            random: Random::seeded(start.seed),
            store: Arc::new(start.store.clone()) as Store,
            tasks: tasks.clone(),
        };
        start.store.set_clock(Arc::clone(start.clock));
        let opened = Self::open_in(&start, world).await;
        if opened.is_err() {
            tasks.drain(END_MAX).await;
        }
        let (engine, catalog) = opened?;
        Ok(Self {
            engine,
            catalog,
            store: start.store,
            tasks,
        })
    }

    async fn open_in(
        start: &Start<'_>,
        world: World,
    ) -> Result<(Arc<Engine>, Arc<Catalog>), Error> {
        let catalog = Arc::new(Catalog::open(NODE, &world, Limits::default()).await?);
        let config = Config {
            node_id: NODE.to_string(),
            local_folder: start.log_folder.map(FilePath::to_path_buf),
            // Far off: rows become files when a step asks for it, or when there are many.
            wal_flush_interval: Duration::from_secs(1 << 24),
            wal_snapshot_size: 1,
            log: LogSettings::default(),
            memory: Memory {
                buffer_bytes_max: start.buffer_bytes_max,
                ..Memory::default()
            },
            delete_grace: Duration::from_secs(3600),
        };
        let engine = Engine::open(config, Arc::clone(&catalog), world).await?;
        Ok((engine, catalog))
    }

    /// Ends the process without any goodbye, and waits until its threads have noticed.
    pub(crate) async fn crash(self) {
        self.store.crash();
        self.end().await;
    }

    /// Ends the process in good order.
    pub(crate) async fn close(self) -> Result<(), Error> {
        let closed = self.engine.close().await;
        self.end().await;
        closed
    }

    async fn end(self) {
        let Self {
            engine,
            catalog,
            tasks,
            store,
        } = self;
        drop((engine, catalog));
        tasks.drain(END_MAX).await;
        // Whatever is left of it does no more.
        store.crash();
    }
}

/// What the check of stored data has to say against it, but for what is merely missing from the log, or of no use.
pub(crate) async fn verify(
    store: &FaultyStore,
    clock: &Arc<SimulatedClock>,
) -> Result<Vec<Finding>, Error> {
    let options = verify::Options {
        node_id: NODE.to_string(),
        local_folder: None,
        depth: Depth::Whole,
        repair: Repair::No,
    };
    let world = World {
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        random: Random::seeded(0),
        store: Arc::new(store.another()) as Store,
        tasks: Tasks::new(),
    };
    let mut findings = Vec::new();
    let mut report = |finding: Finding| {
        // A gap is what a flush leaves that failed and was answered so.
        let is_wrong = matches!(finding.kind, FindingKind::Damaged | FindingKind::Missing);
        if is_wrong {
            findings.push(finding);
        }
    };
    verify::verify(&options, &world, &mut report).await?;
    Ok(findings)
}

/// Leaves the log as a power cut in the middle of a flush would: behind its last segment stands a part of another flush.
pub(crate) fn tear_log(folder: &FilePath, dice: &mut Dice) -> std::io::Result<()> {
    let mut segments: Vec<PathBuf> = Vec::new();
    let log = folder.join(NODE).join("wal");
    if !log.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(log)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wal") {
            segments.push(path);
        }
    }
    let Some(last) = segments.into_iter().max() else {
        return Ok(());
    };
    let bytes = fs::read(&last)?;
    // Behind the segment's header, as far as there is one.
    let frames = bytes.get(28..).unwrap_or_default();
    let torn: Vec<u8> = match dice.below(3) {
        0 => vec![0; 1 + dice.below(100) as usize],
        1 => (0..1 + dice.below(100))
            .map(|_| dice.bits() as u8)
            .collect(),
        _ => frames[..(dice.below(24) as usize).min(frames.len())].to_vec(),
    };
    OpenOptions::new().append(true).open(last)?.write_all(&torn)
}
