//! One node's catalog, storage and query engine over a store that lives as long as the test.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::TryStreamExt;

use catalog::{Catalog, Limits};
use line_protocol::Precision;
use query::{Config, Error, Parameter, Query, QueryEngine};
use runtime::clock::SimulatedClock;
use runtime::object_store::{self, ObjectMeta, ObjectStoreExt, Store};
use runtime::{Random, Tasks, World};
use storage::{Engine, WriteRequest};

/// 2026-01-02T03:04:05Z: when the tests run.
pub(crate) const NOW_NS: i64 = 1_767_323_045_000_000_000;

pub(crate) struct Node {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) storage: Arc<Engine>,
    pub(crate) queries: QueryEngine,
    store: Store,
    tasks: Tasks,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::with_memory(64 << 20).await
    }

    pub(crate) async fn with_memory(memory_bytes: usize) -> Self {
        Self::with(memory_bytes, Tasks::new()).await
    }

    /// A node whose files are compacted only when told to.
    pub(crate) async fn without_compaction(memory_bytes: usize) -> Self {
        Self::with(memory_bytes, Tasks::without(&["compact"])).await
    }

    async fn with(memory_bytes: usize, tasks: Tasks) -> Self {
        let store = object_store::in_memory();
        let world = World {
            clock: Arc::new(SimulatedClock::at_ns(NOW_NS)),
            random: Random::seeded(1),
            store: Store::clone(&store),
            tasks: tasks.clone(),
        };
        let catalog = Catalog::open("node", &world, Limits::default())
            .await
            .expect("an empty store opens");
        let catalog = Arc::new(catalog);
        let storage = Engine::open(storage_config(), Arc::clone(&catalog), world.clone())
            .await
            .expect("an empty store opens");
        let config = Config::new(memory_bytes, 2);
        let queries = QueryEngine::new(
            config,
            None,
            Arc::clone(&storage),
            Arc::clone(&catalog),
            world,
        )
        .expect("the settings are fine");
        Self {
            catalog,
            storage,
            queries,
            store,
            tasks,
        }
    }

    /// Writes lines with timestamps in seconds.
    pub(crate) async fn write(&self, database: &str, lines: &str) {
        let request = WriteRequest {
            database,
            text: lines,
            precision: Precision::Second,
            accept_partial: false,
            no_sync: false,
        };
        if let Err(error) = self.storage.write(request).await {
            panic!("cannot write {lines}: {error:?}");
        }
    }

    pub(crate) async fn query(
        &self,
        database: &str,
        text: &str,
        parameters: Vec<(String, Parameter)>,
    ) -> Result<(SchemaRef, Vec<RecordBatch>), Error> {
        let query = Query {
            database: database.to_string(),
            text: text.to_string(),
            parameters,
            may_delete: true,
            access: query::Access::Everything,
            origin: query::Origin::default(),
        };
        let result = self.queries.sql(query).await?;
        Ok((result.schema, result.batches.try_collect().await?))
    }

    /// Deletes the files behind storage's back; how many there were.
    pub(crate) async fn delete_data_files(&self) -> usize {
        let objects: Vec<ObjectMeta> = self
            .store
            .list(None)
            .try_collect()
            .await
            .expect("the store works");
        let is_file = |object: &&ObjectMeta| object.location.as_ref().ends_with(".parquet");
        let mut deleted = 0;
        for file in objects.iter().filter(is_file) {
            self.store
                .delete(&file.location)
                .await
                .expect("the store works");
            deleted += 1;
        }
        deleted
    }

    pub(crate) async fn stop(self) {
        self.storage.close().await.expect("nothing is in the way");
        self.tasks.drain(Duration::from_secs(10)).await;
    }
}

fn storage_config() -> storage::Config {
    storage::Config {
        node_id: "node".to_string(),
        local_folder: None,
        wal_flush_interval: Duration::from_millis(1),
        wal_snapshot_size: 600,
        log: storage::LogSettings::default(),
        memory: storage::Memory::default(),
        delete_grace: Duration::from_secs(86_400),
    }
}
