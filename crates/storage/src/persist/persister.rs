//! When frozen rows become files, and what follows from it. The files themselves are made by the functions beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use catalog::Catalog;
use tokio::sync::Notify;

use crate::Error;
use crate::buffer::TableBuffer;
use crate::live::Live;
use crate::manifest::{Change, FileEntry};
use crate::persist;
use crate::wal::Wal;

/// Makes files of buffered rows.
#[derive(Debug)]
pub struct Persister {
    live: Arc<Live>,
    catalog: Arc<Catalog>,
    /// Held while rows are frozen, and while a delete finds out what it covers: neither may come between the other's steps.
    pub turn: tokio::sync::Mutex<()>,
    /// Held from the freeze to the publication.
    persisting: tokio::sync::Mutex<()>,
    /// The buffer has grown large.
    pub wanted: Notify,
    /// The buffer has shrunk.
    pub done: Notify,
    pub persists: AtomicU64,
}

impl Persister {
    pub fn new(live: Arc<Live>, catalog: Arc<Catalog>) -> Self {
        Self {
            live,
            catalog,
            turn: tokio::sync::Mutex::default(),
            persisting: tokio::sync::Mutex::default(),
            wanted: Notify::new(),
            done: Notify::new(),
            persists: AtomicU64::new(0),
        }
    }

    /// Makes files of all rows buffered now, and lets the log go of them.
    pub async fn persist(&self, wal: &Wal) -> Result<(), Error> {
        let _persisting = self.persisting.lock().await;
        let through = {
            let _turn = self.turn.lock().await;
            self.live.settled().await?;
            wal.freeze().await?
        };
        self.persist_frozen(through).await?;
        wal.remove_through(through);
        Ok(())
    }

    /// Waits for whoever is persisting.
    pub async fn finish(&self) {
        drop(self.persisting.lock().await);
    }

    /// Makes files of all frozen rows, which are all rows up to sequence `through`.
    pub async fn persist_frozen(&self, through: u64) -> Result<(), Error> {
        let clock = &self.live.world.clock;
        let started = clock.monotonic();
        let mut change = Change {
            covered_sequence: Some(through),
            ..Change::default()
        };
        let mut is_needed = false;
        for table in self.live.buffer.tables() {
            if table.view().frozen.is_empty() {
                continue;
            }
            is_needed = true;
            if let Err(fault) = self.make_files(&table, &mut change.added).await {
                self.live.discard(&change.added).await;
                return Err(fault);
            }
        }
        if !is_needed {
            return Ok(());
        }
        let files = change.added.len();
        let bytes: u64 = change.added.iter().map(|file| file.bytes).sum();
        self.live.commit(change).await?;
        self.persists.fetch_add(1, Ordering::Relaxed);
        self.done.notify_waiters();
        let took = clock.monotonic() - started;
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
        let tasks = &self.live.world.tasks;
        let snapshot = self.catalog.snapshot();
        let now_ms = self.live.world.clock.now_ms();
        let Some((_, table)) = snapshot
            .table_by_id(buffer.table)
            .filter(|_| !snapshot.is_data_due(buffer.table, now_ms))
        else {
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
        let applied = view.last_tombstone();
        let pieces = {
            let view = Arc::clone(&view);
            tasks
                .blocking(move || persist::pieces(&view.frozen))
                .await?
        };
        for piece in pieces {
            let (table, owner, view) = (Arc::clone(table), Arc::clone(buffer), Arc::clone(&view));
            let files = tasks
                .blocking(move || persist::files_of_piece(&table, &owner, &view, &piece))
                .await??;
            let address = (buffer.database, buffer.table);
            for file in files {
                let entry = self
                    .live
                    .put_file(address, file, sequences, applied)
                    .await?;
                entries.push(entry);
            }
        }
        Ok(())
    }
}
