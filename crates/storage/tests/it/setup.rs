//! Nodes to test: where they keep things, how they are opened, stopped and lost.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, Limits};
use futures::TryStreamExt;
use runtime::clock::SystemClock;
use runtime::object_store::{ObjectStoreExt, Path, in_folder, in_memory};
use runtime::sim::FaultyStore;
use runtime::{Random, Store, Tasks, World};
use storage::{
    Config, Engine, Error, LogSettings, Memory, Precision, WriteError, WriteOutcome, WriteRequest,
};

pub(crate) const DATABASE: &str = "db";

/// Where nodes keep things. Outlives them.
pub(crate) enum Home {
    Memory(Store),
    Faulty(Arc<FaultyStore>),
    Folder(tempfile::TempDir),
}

/// A running node.
pub(crate) struct Node {
    pub(crate) engine: Arc<Engine>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) world: World,
}

/// What differs from test to test.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) buffer_bytes_max: usize,
    pub(crate) replay_bytes_more: usize,
    /// Rows become files after this long; an hour means only when told to.
    pub(crate) persist_after: Duration,
    pub(crate) log: LogSettings,
    /// Otherwise files stay as they are.
    pub(crate) compacts: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            buffer_bytes_max: 256 << 20,
            replay_bytes_more: 0,
            persist_after: Duration::from_secs(3600),
            log: LogSettings::default(),
            compacts: true,
        }
    }
}

impl Home {
    pub(crate) fn memory() -> Self {
        Self::Memory(in_memory())
    }

    pub(crate) fn faulty() -> Self {
        Self::Faulty(Arc::new(FaultyStore::new()))
    }

    pub(crate) fn folder() -> Self {
        Self::Folder(tempfile::tempdir().expect("folder"))
    }

    pub(crate) fn faults(&self) -> &FaultyStore {
        match self {
            Self::Faulty(store) => store,
            _ => panic!("only a faulty home has faults"),
        }
    }

    pub(crate) fn store(&self) -> Store {
        match self {
            Self::Memory(store) => Arc::clone(store),
            Self::Faulty(store) => Arc::clone(store) as Store,
            Self::Folder(folder) => in_folder(folder.path()).expect("store"),
        }
    }

    pub(crate) fn path(&self) -> &FilePath {
        match self {
            Self::Folder(folder) => folder.path(),
            _ => panic!("only a folder has a path"),
        }
    }

    pub(crate) async fn open(&self) -> Node {
        self.open_with(Options::default()).await.expect("open")
    }

    pub(crate) async fn open_with(&self, options: Options) -> Result<Node, Error> {
        let world = World {
            clock: Arc::new(SystemClock::new()),
            random: Random::System,
            store: self.store(),
            tasks: match options.compacts {
                true => Tasks::new(),
                false => Tasks::without(&["compact"]),
            },
        };
        let catalog = Arc::new(Catalog::open("node", &world, Limits::default()).await?);
        let config = Config {
            node_id: "node".to_string(),
            local_folder: match self {
                Self::Folder(folder) => Some(folder.path().to_path_buf()),
                _ => None,
            },
            wal_flush_interval: options.persist_after,
            wal_snapshot_size: 1,
            log: options.log,
            memory: Memory {
                buffer_bytes_max: options.buffer_bytes_max,
                replay_bytes_more: options.replay_bytes_more,
                ..Memory::default()
            },
            delete_grace: Duration::from_secs(86_400),
        };
        let engine = Engine::open(config, Arc::clone(&catalog), world.clone()).await?;
        Ok(Node {
            engine,
            catalog,
            world,
        })
    }

    /// Paths of the objects below a folder, sorted.
    pub(crate) async fn objects(&self, folder: &str) -> Vec<String> {
        let mut paths: Vec<String> = self
            .store()
            .list(Some(&Path::from(folder)))
            .map_ok(|object| object.location.to_string())
            .try_collect()
            .await
            .expect("list");
        paths.sort();
        paths
    }

    /// Puts an object of no process into the store.
    pub(crate) async fn put(&self, path: &str, bytes: &'static [u8]) {
        let path = Path::from(path);
        self.store().put(&path, bytes.into()).await.expect("put");
    }

    /// Names of the log's objects, sorted.
    pub(crate) async fn log_objects(&self) -> Vec<String> {
        let prefix = Path::from("node/wal");
        let mut names: Vec<String> = self
            .store()
            .list(Some(&prefix))
            .try_collect::<Vec<_>>()
            .await
            .expect("list")
            .iter()
            .filter_map(|object| object.location.filename().map(str::to_string))
            .filter(|name| name.ends_with(".wal"))
            .collect();
        names.sort();
        names
    }

    /// The one log segment of a folder.
    pub(crate) async fn only_segment(&self) -> PathBuf {
        let names = self.log_objects().await;
        assert_eq!(names.len(), 1, "{names:?}");
        self.path().join("node/wal").join(&names[0])
    }

    /// Everything as it is on disk at this moment, in a folder of its own: what a power cut would leave.
    pub(crate) fn copy(&self) -> Self {
        let copy = tempfile::tempdir().expect("folder");
        copy_folder(self.path(), copy.path());
        Self::Folder(copy)
    }
}

fn copy_folder(from: &FilePath, to: &FilePath) {
    for entry in fs::read_dir(from).expect("folder") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("type").is_dir() {
            fs::create_dir(&target).expect("create");
            copy_folder(&entry.path(), &target);
        } else {
            match fs::copy(entry.path(), &target) {
                // The log lets go of what a manifest covers a moment after the persist.
                Err(cause) if cause.kind() == ErrorKind::NotFound => {}
                copied => drop(copied.expect("copy")),
            }
        }
    }
}

impl Node {
    pub(crate) async fn write_with(
        &self,
        text: &str,
        no_sync: bool,
    ) -> Result<WriteOutcome, WriteError> {
        let request = WriteRequest {
            database: DATABASE,
            text,
            precision: Precision::Nanosecond,
            accept_partial: false,
            no_sync,
        };
        self.engine.write(request).await
    }

    /// Writes lines that must all be good.
    pub(crate) async fn write(&self, text: &str) {
        let outcome = self.write_with(text, false).await.expect("write");
        assert!(outcome.rejected.is_empty());
    }

    /// Loses the engine without closing it, and waits until its threads have noticed.
    pub(crate) async fn drop_engine(self) {
        let Self {
            engine,
            catalog,
            world,
        } = self;
        drop((engine, catalog));
        world.tasks.drain(Duration::from_secs(20)).await;
    }

    pub(crate) async fn close(self) {
        self.engine.close().await.expect("close");
        self.drop_engine().await;
    }
}

/// Waits for something that happens in the background.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within five seconds");
}
