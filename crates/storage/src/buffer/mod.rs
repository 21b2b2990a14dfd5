//! The buffer: rows that are in the log but not yet in files, and which files a table has.
//!
//! Each table has one [`View`], replaced whole at every change: a reader holds one and nothing it sees moves.
//! The log's thread adds segments in the order of sequences; `persist` swaps frozen segments for files in one step.
//! Not here: durability (`wal`), what the files hold (`file`).

pub mod segment;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use catalog::{DatabaseId, TableId};
use hashbrown::HashMap;
use parking_lot::RwLock;

use crate::Error;
use crate::batch::Batch;
use crate::file::DataFile;
use crate::series::SeriesTable;
use segment::Segment;

/// Rows above which segments are not put together any more.
const SEGMENT_ROWS_MAX: usize = 1 << 17;

/// Bytes above which they are not either: the offsets of a string column end at 2 GiB.
const SEGMENT_BYTES_MAX: usize = 1 << 28;

/// The buffered rows and files of every table.
#[derive(Debug, Default)]
pub struct Buffer {
    tables: RwLock<HashMap<TableId, Arc<TableBuffer>>>,
    rows: AtomicU64,
    bytes: AtomicU64,
}

/// One table's rows.
#[derive(Debug)]
pub struct TableBuffer {
    pub database: DatabaseId,
    pub table: TableId,
    pub series: RwLock<SeriesTable>,
    view: RwLock<Arc<View>>,
}

/// What a table consists of at one moment, oldest first: files, then frozen segments, then the tail.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub files: Arc<Vec<Arc<DataFile>>>,
    /// Being made into files.
    pub frozen: Vec<Arc<Segment>>,
    pub tail: Vec<Arc<Segment>>,
}

impl View {
    /// All buffered segments, oldest first.
    pub fn segments(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.frozen.iter().chain(&self.tail)
    }
}

impl TableBuffer {
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read())
    }

    fn change(&self, change: impl FnOnce(&mut View)) {
        let mut view = self.view.write();
        change(Arc::make_mut(&mut view));
    }
}

impl Buffer {
    /// The table's rows; begins with none.
    pub fn table(&self, database: DatabaseId, table: TableId) -> Arc<TableBuffer> {
        if let Some(found) = self.tables.read().get(&table) {
            return Arc::clone(found);
        }
        let mut tables = self.tables.write();
        Arc::clone(tables.entry(table).or_insert_with(|| {
            Arc::new(TableBuffer {
                database,
                table,
                series: RwLock::default(),
                view: RwLock::default(),
            })
        }))
    }

    pub fn tables(&self) -> Vec<Arc<TableBuffer>> {
        self.tables.read().values().cloned().collect()
    }

    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Makes a write visible. Called in the order of sequences, by one thread at a time.
    pub fn apply(&self, sequence: u64, batches: Vec<Batch>) -> Result<(), Error> {
        for batch in batches {
            let table = self.table(batch.database, batch.table);
            let Some(segment) = Segment::new(batch, sequence, sequence) else {
                continue;
            };
            self.rows
                .fetch_add(segment.rows() as u64, Ordering::Relaxed);
            let mut tail = table.view().tail.clone();
            let before: usize = tail.iter().map(|segment| segment.bytes()).sum();
            tail.push(Arc::new(segment));
            coalesce(&mut tail)?;
            let after: usize = tail.iter().map(|segment| segment.bytes()).sum();
            self.bytes.fetch_add(after as u64, Ordering::Relaxed);
            self.bytes.fetch_sub(before as u64, Ordering::Relaxed);
            table.change(|view| view.tail = tail);
        }
        Ok(())
    }

    /// Sets everything buffered aside to be made into files. Called between two writes, by the thread that applies them.
    pub fn freeze(&self) {
        for table in self.tables() {
            if !table.view().tail.is_empty() {
                table.change(|view| view.frozen.append(&mut view.tail));
            }
        }
    }

    /// Swaps the first `frozen` frozen segments of a table for the files made of them, in one step.
    pub fn publish(&self, table: &TableBuffer, frozen: usize, files: Vec<Arc<DataFile>>) {
        let gone = table.view();
        let gone = &gone.frozen[..frozen];
        let rows: usize = gone.iter().map(|segment| segment.rows()).sum();
        let bytes: usize = gone.iter().map(|segment| segment.bytes()).sum();
        table.change(|view| {
            view.frozen.drain(..frozen);
            Arc::make_mut(&mut view.files).extend(files);
        });
        self.rows.fetch_sub(rows as u64, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
    }
}

/// Puts small segments at the end together, so that there are few: each is more than twice as large as what follows it.
fn coalesce(tail: &mut Vec<Arc<Segment>>) -> Result<(), Error> {
    let mut from = tail.len().saturating_sub(1);
    let mut rows = tail.last().map_or(0, |segment| segment.rows());
    let mut bytes = tail.last().map_or(0, |segment| segment.bytes());
    while from > 0 {
        let previous = tail[from - 1].rows();
        bytes += tail[from - 1].bytes();
        if previous > 2 * rows || previous + rows > SEGMENT_ROWS_MAX || bytes > SEGMENT_BYTES_MAX {
            break;
        }
        rows += previous;
        from -= 1;
    }
    if tail.len() - from < 2 {
        return Ok(());
    }
    let parts = tail.split_off(from);
    let batches: Vec<&Batch> = parts.iter().map(|segment| &segment.batch).collect();
    let first = parts[0].first_sequence;
    let last = parts[parts.len() - 1].last_sequence;
    tail.extend(Segment::new(Batch::concatenate(&batches)?, first, last).map(Arc::new));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(rows: usize) -> Batch {
        Batch {
            database: DatabaseId(1),
            table: TableId(1),
            series: vec![0; rows].into(),
            times: (0..rows as i64).collect(),
            columns: Vec::new(),
        }
    }

    #[test]
    fn single_rows_gather_into_few_segments_and_none_is_lost() {
        let buffer = Buffer::default();
        for sequence in 1..=1000 {
            buffer.apply(sequence, vec![batch(1)]).expect("apply");
        }
        let view = buffer.table(DatabaseId(1), TableId(1)).view();
        assert!(view.tail.len() <= 10, "{} segments", view.tail.len());
        assert_eq!(
            view.tail
                .iter()
                .map(|segment| segment.rows())
                .sum::<usize>(),
            1000
        );
        assert_eq!(view.tail[0].first_sequence, 1);
        assert_eq!(
            view.tail.last().map(|segment| segment.last_sequence),
            Some(1000)
        );
        assert_eq!(buffer.rows(), 1000);
    }

    #[test]
    fn frozen_rows_leave_only_when_published() {
        let buffer = Buffer::default();
        buffer.apply(1, vec![batch(5)]).expect("apply");
        buffer.freeze();
        buffer.apply(2, vec![batch(3)]).expect("apply");
        let table = buffer.table(DatabaseId(1), TableId(1));
        assert_eq!((table.view().frozen.len(), table.view().tail.len()), (1, 1));
        buffer.publish(&table, 1, Vec::new());
        assert_eq!((table.view().frozen.len(), table.view().tail.len()), (0, 1));
        assert_eq!(buffer.rows(), 3);
    }
}
