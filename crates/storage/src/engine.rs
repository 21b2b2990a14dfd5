//! The engine: the pipeline put together for one node.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use catalog::Catalog;
use runtime::World;

use crate::{Error, Scan, ScanRequest, WriteError, WriteOutcome, WriteRequest};

/// Settings of one node's storage.
#[derive(Clone, Debug)]
pub struct Config {
    /// Prefix of every object path.
    pub node_id: String,
    /// Where the log's segments go when the store is a local folder: its root. `None`: the log is kept in the object store.
    pub local_folder: Option<PathBuf>,
    /// Longest wait before buffered writes are flushed; a lone write does not wait for it on a local folder.
    pub wal_flush_interval: Duration,
    /// Flush intervals after which buffered rows become files.
    pub wal_snapshot_size: u32,
    /// Buffered bytes at which rows become files early.
    pub buffer_bytes_max: usize,
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
    /// CPU time spent parsing lines and building batches.
    pub ingest_time: Duration,
    /// Time spent putting batches into the buffer.
    pub buffer_time: Duration,
    pub buffer_rows: u64,
    pub buffer_bytes: u64,
    pub files: u64,
    pub file_bytes: u64,
    pub file_rows: u64,
    pub persists: u64,
}

/// One node's storage.
#[derive(Debug)]
pub struct Engine {}

impl Engine {
    /// Loads the manifest, replays the log, starts the background tasks.
    pub async fn open(
        config: Config,
        catalog: Arc<Catalog>,
        world: World,
    ) -> Result<Arc<Self>, Error> {
        let _ = (config, catalog, world);
        unimplemented!()
    }

    /// Writes a request: durable and visible to the next query when this returns, unless `no_sync`.
    pub async fn write(&self, request: WriteRequest<'_>) -> Result<WriteOutcome, WriteError> {
        let _ = request;
        unimplemented!()
    }

    /// Plans a read of one table.
    pub async fn scan(&self, request: ScanRequest) -> Result<Scan, Error> {
        let _ = request;
        unimplemented!()
    }

    /// Makes files of all rows buffered now.
    pub async fn persist(&self) -> Result<(), Error> {
        unimplemented!()
    }

    /// Refuses further writes and flushes the log. Rows stay in the log; start-up reads them back.
    pub async fn close(&self) -> Result<(), Error> {
        unimplemented!()
    }

    pub fn statistics(&self) -> Statistics {
        unimplemented!()
    }
}
