//! A world that stands still: simulated clock, seeded chance, faulty store. And a snapshot as text.

use std::fmt::Write as _;
use std::sync::Arc;

use catalog::{Catalog, Column, ColumnKind, FieldType, Limits, Snapshot};
use futures::TryStreamExt;
use runtime::clock::SimulatedClock;
use runtime::object_store::{ObjectStore, ObjectStoreExt, Path};
use runtime::sim::FaultyStore;
use runtime::{Random, Store, Tasks, World};

/// 2026-02-03T04:05:06Z.
const START_NS: i64 = 1_770_091_506_000_000_000;

pub(crate) struct TestWorld {
    pub(crate) store: Arc<FaultyStore>,
    pub(crate) clock: Arc<SimulatedClock>,
    pub(crate) world: World,
}

impl TestWorld {
    pub(crate) fn new() -> Self {
        let store = Arc::new(FaultyStore::new());
        Self::over(Arc::clone(&store) as Store, store, 1)
    }

    /// The same store and clock with other chance and tasks: another process.
    pub(crate) fn other_process(&self, seed: u64) -> World {
        World {
            random: Random::seeded(seed),
            tasks: Tasks::new(),
            ..self.world.clone()
        }
    }

    fn over(store: Store, faulty: Arc<FaultyStore>, seed: u64) -> Self {
        let clock = Arc::new(SimulatedClock::at_ns(START_NS));
        let world = World {
            clock: Arc::clone(&clock) as _,
            random: Random::seeded(seed),
            store,
            tasks: Tasks::new(),
        };
        Self {
            store: faulty,
            clock,
            world,
        }
    }

    pub(crate) async fn open(&self) -> Catalog {
        self.open_limited(Limits::default()).await
    }

    pub(crate) async fn open_limited(&self, limits: Limits) -> Catalog {
        Catalog::open("node", &self.world, limits)
            .await
            .expect("open")
    }

    /// Every object: its path and its bytes, in the order of the paths.
    pub(crate) async fn objects(&self) -> Vec<(Path, Vec<u8>)> {
        let mut listed: Vec<_> = self.store.list(None).try_collect().await.expect("list");
        listed.sort_by(|left, right| left.location.cmp(&right.location));
        let mut objects = Vec::new();
        for object in listed {
            let found = self.store.get(&object.location).await.expect("get");
            objects.push((
                object.location,
                found.bytes().await.expect("bytes").to_vec(),
            ));
        }
        objects
    }

    /// A new world whose store holds these objects alone.
    pub(crate) async fn with_objects(objects: &[(Path, Vec<u8>)]) -> Self {
        let world = Self::new();
        for (path, bytes) in objects {
            world.put(path, bytes).await;
        }
        world
    }

    pub(crate) async fn put(&self, path: &Path, bytes: &[u8]) {
        self.store
            .put(path, bytes.to_vec().into())
            .await
            .expect("put");
    }
}

/// Everything a snapshot says, one line per thing.
pub(crate) fn describe(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for database in snapshot.databases() {
        let mut line = format!("database {} {}", database.id.0, database.name);
        if let Some(retention) = database.retention {
            write!(line, " keeps {retention:?}").expect("write");
        }
        if let Some(deleted_at_ms) = database.deleted_at_ms {
            let gone = gone(deleted_at_ms, database.hard_delete_at_ms);
            write!(line, " deleted, gone {gone}").expect("write");
        }
        writeln!(text, "{line}").expect("write");
        for table in database.tables() {
            let mut state = String::new();
            if let Some(retention) = table.retention {
                write!(state, " keeps {retention:?}").expect("write");
            }
            if let Some(deleted_at_ms) = table.deleted_at_ms {
                let gone = gone(deleted_at_ms, table.hard_delete_at_ms);
                write!(state, " deleted, gone {gone}").expect("write");
            }
            let columns: Vec<_> = table.columns().iter().map(describe_column).collect();
            let key: Vec<_> = table
                .series_key()
                .iter()
                .map(|id| id.0.to_string())
                .collect();
            writeln!(
                text,
                "  table {} '{}': {} key {}{state}",
                table.id.0,
                table.name,
                columns.join(" "),
                key.join(",")
            )
            .expect("write");
        }
    }
    for token in snapshot.tokens() {
        writeln!(text, "{token:?} {}", token.hash_hex()).expect("write");
    }
    writeln!(
        text,
        "counts {} databases {} tables",
        snapshot.live_databases(),
        snapshot.live_tables()
    )
    .expect("write");
    text
}

fn gone(deleted_at_ms: i64, hard_delete_at_ms: Option<i64>) -> String {
    match hard_delete_at_ms {
        Some(at_ms) => format!("after {} s", (at_ms - deleted_at_ms) / 1000),
        None => "never".to_string(),
    }
}

fn describe_column(column: &Column) -> String {
    let kind = match column.kind {
        ColumnKind::Tag => "tag",
        ColumnKind::Time => "time",
        ColumnKind::Field(FieldType::Float) => "float",
        ColumnKind::Field(FieldType::Integer) => "integer",
        ColumnKind::Field(FieldType::Unsigned) => "unsigned",
        ColumnKind::Field(FieldType::String) => "string",
        ColumnKind::Field(FieldType::Boolean) => "boolean",
    };
    format!("{}:{}:{kind}", column.id.0, column.name)
}
