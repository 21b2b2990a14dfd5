//! The buffer: rows that are in the log but not yet in files, and which files a table has.
//!
//! Each table has one [`View`], replaced whole at every change: a reader holds one and nothing it sees moves.
//! The log's thread adds segments in the order of sequences; `persist` swaps frozen segments for files in one step.
//! Not here: durability (`wal`), what the files hold (`file`).

pub mod segment;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use catalog::{DatabaseId, TableId};
use hashbrown::{HashMap, HashSet};
use parking_lot::{RwLock, RwLockWriteGuard};

use crate::Error;
use crate::batch::Batch;
use crate::delete::tombstone::Tombstone;
use crate::file::DataFile;
use crate::live::Totals;
use crate::series::SeriesTable;
use segment::Segment;

/// Rows above which segments are not put together any more.
pub const SEGMENT_ROWS_MAX: usize = 1 << 17;

/// Rows from which on a segment has its rows in order: few larger ones come after it.
const SORTED_ROWS_LEAST: usize = 1 << 15;

/// Bytes above which they are not either: the offsets of a string column end at 2 GiB.
const SEGMENT_BYTES_MAX: usize = 1 << 28;

/// The buffered rows and files of every table.
#[derive(Debug, Default)]
pub struct Buffer {
    tables: RwLock<HashMap<TableId, Arc<TableBuffer>>>,
    rows: AtomicU64,
    bytes: AtomicU64,
    /// Of the series of all tables.
    series_bytes: Arc<AtomicU64>,
}

/// One table's rows.
#[derive(Debug)]
pub struct TableBuffer {
    pub database: DatabaseId,
    pub table: TableId,
    pub series: RwLock<SeriesTable>,
    view: RwLock<Arc<View>>,
    /// Rows of writes up to this sequence stay apart from later ones: a delete between them may be under way.
    barrier: AtomicU64,
    /// Of the series of all tables.
    series_bytes: Arc<AtomicU64>,
}

/// What a table consists of at one moment, oldest first: files, then frozen segments, then the tail.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// By their last sequences.
    pub files: Arc<Vec<Arc<DataFile>>>,
    /// Deletes that something in it may have to be freed of, oldest first.
    pub tombstones: Arc<Vec<Arc<Tombstone>>>,
    /// Being made into files.
    pub frozen: Vec<Arc<Segment>>,
    pub tail: Vec<Arc<Segment>>,
}

impl View {
    /// All buffered segments, oldest first.
    pub fn segments(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.frozen.iter().chain(&self.tail)
    }

    /// The newest delete; 0 when there is none.
    pub fn last_tombstone(&self) -> u64 {
        self.tombstones
            .last()
            .map_or(0, |tombstone| tombstone.entry.id)
    }

    fn replace_files(&mut self, removed: &[u64], added: Vec<Arc<DataFile>>) {
        let removed: HashSet<u64> = removed.iter().copied().collect();
        let mut files: Vec<Arc<DataFile>> = self
            .files
            .iter()
            .filter(|file| !removed.contains(&file.entry.id))
            .cloned()
            .chain(added)
            .collect();
        files.sort_by_key(|file| (file.entry.last_sequence, file.entry.id));
        self.files = Arc::new(files);
    }
}

/// The series of a table locked for writing; what they grow by is counted when it is let go.
pub struct SeriesGuard<'a> {
    series: RwLockWriteGuard<'a, SeriesTable>,
    bytes_before: usize,
    total: &'a AtomicU64,
}

impl Deref for SeriesGuard<'_> {
    type Target = SeriesTable;

    fn deref(&self) -> &SeriesTable {
        &self.series
    }
}

impl DerefMut for SeriesGuard<'_> {
    fn deref_mut(&mut self) -> &mut SeriesTable {
        &mut self.series
    }
}

impl Drop for SeriesGuard<'_> {
    fn drop(&mut self) {
        let grown = self.series.bytes() - self.bytes_before;
        self.total.fetch_add(grown as u64, Ordering::Relaxed);
    }
}

/// What changes in a table at once.
#[derive(Debug, Default)]
pub struct Publication {
    /// Ids of files.
    pub removed: Vec<u64>,
    pub added: Vec<Arc<DataFile>>,
    pub tombstones_removed: Vec<u64>,
    pub tombstones_added: Vec<Arc<Tombstone>>,
    /// Frozen rows of writes up to here are in files now.
    pub covered_sequence: u64,
}

impl TableBuffer {
    /// The series, to learn new ones.
    pub fn series_mut(&self) -> SeriesGuard<'_> {
        let series = self.series.write();
        SeriesGuard {
            bytes_before: series.bytes(),
            series,
            total: &self.series_bytes,
        }
    }

    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read())
    }

    fn change(&self, change: impl FnOnce(&mut View)) {
        let mut view = self.view.write();
        change(Arc::make_mut(&mut view));
    }

    /// Keeps rows of writes up to `sequence` apart from later ones. Called by the thread that applies writes.
    pub fn keep_apart(&self, sequence: u64) {
        self.barrier.store(sequence, Ordering::Relaxed);
    }

    /// Whether rows of these writes, the second later than the first, must not be put together.
    fn is_cut(&self, view: &View, earlier: u64, later: u64) -> bool {
        let barrier = self.barrier.load(Ordering::Relaxed);
        let cuts = |sequence: u64| earlier <= sequence && sequence < later;
        cuts(barrier)
            || view
                .tombstones
                .iter()
                .any(|tombstone| cuts(tombstone.entry.sequence))
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
                barrier: AtomicU64::new(0),
                series_bytes: Arc::clone(&self.series_bytes),
            })
        }))
    }

    /// By id, so that work done table by table has one order.
    pub fn tables(&self) -> Vec<Arc<TableBuffer>> {
        let mut tables: Vec<Arc<TableBuffer>> = self.tables.read().values().cloned().collect();
        tables.sort_unstable_by_key(|table| table.table);
        tables
    }

    /// Whether a table has neither files nor buffered rows.
    pub fn is_empty(&self, table: TableId) -> bool {
        let table = self.tables.read().get(&table).map(Arc::clone);
        table.is_none_or(|table| {
            let view = table.view();
            view.files.is_empty() && view.segments().next().is_none()
        })
    }

    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes of all series met since the start; they stay in memory.
    pub fn series_bytes(&self) -> u64 {
        self.series_bytes.load(Ordering::Relaxed)
    }

    /// Makes a write visible. Called in the order of sequences, by one thread at a time.
    pub fn apply(&self, sequence: u64, batches: Vec<Batch>) -> Result<(), Error> {
        for batch in batches {
            let table = self.table(batch.database, batch.table);
            if let Some(segment) = segment(&[&batch], sequence, sequence)? {
                self.add(&table, segment)?;
            }
        }
        Ok(())
    }

    /// Makes the rows of one or more writes of a table visible. Called as [`Buffer::apply`] is.
    pub fn add(&self, table: &TableBuffer, segment: Segment) -> Result<(), Error> {
        self.rows
            .fetch_add(segment.rows() as u64, Ordering::Relaxed);
        let view = table.view();
        let mut tail = view.tail.clone();
        let before: usize = tail.iter().map(|segment| segment.bytes()).sum();
        tail.push(Arc::new(segment));
        coalesce(&mut tail, |earlier, later| {
            table.is_cut(&view, earlier.last_sequence, later.first_sequence)
        })?;
        drop(view);
        let after: usize = tail.iter().map(|segment| segment.bytes()).sum();
        self.bytes.fetch_add(after as u64, Ordering::Relaxed);
        self.bytes.fetch_sub(before as u64, Ordering::Relaxed);
        table.change(|view| view.tail = tail);
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

    /// Makes a change of what is live visible in one step.
    pub fn publish(&self, table: &TableBuffer, publication: Publication, totals: &Totals) {
        let (mut rows, mut bytes) = (0, 0);
        table.change(|view| {
            for file in view.files.iter() {
                if publication.removed.contains(&file.entry.id) {
                    totals.subtract(&file.entry);
                }
            }
            for file in &publication.added {
                totals.add(&file.entry);
            }
            if !publication.added.is_empty() || !publication.removed.is_empty() {
                view.replace_files(&publication.removed, publication.added);
            }
            view.frozen.retain(|segment| {
                let is_covered = segment.last_sequence <= publication.covered_sequence;
                if is_covered {
                    rows += segment.rows();
                    bytes += segment.bytes();
                }
                !is_covered
            });
            if !publication.tombstones_added.is_empty()
                || !publication.tombstones_removed.is_empty()
            {
                let mut tombstones: Vec<Arc<Tombstone>> = view
                    .tombstones
                    .iter()
                    .filter(|known| !publication.tombstones_removed.contains(&known.entry.id))
                    .cloned()
                    .chain(publication.tombstones_added)
                    .collect();
                tombstones.sort_by_key(|tombstone| tombstone.entry.id);
                view.tombstones = Arc::new(tombstones);
            }
        });
        self.rows.fetch_sub(rows as u64, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
    }
}

/// A segment of the rows of some batches of one table; `None` without rows.
///
/// Errors: `Internal` when a column has different types, which the catalog rules out.
pub fn segment(
    parts: &[&Batch],
    first_sequence: u64,
    last_sequence: u64,
) -> Result<Option<Segment>, Error> {
    let rows: usize = parts.iter().map(|batch| batch.rows()).sum();
    if rows >= SORTED_ROWS_LEAST {
        return Segment::sorted(parts, first_sequence, last_sequence);
    }
    let batch = match parts {
        [batch] => Batch::clone(batch),
        parts => Batch::concatenate(parts)?,
    };
    Ok(Segment::new(batch, first_sequence, last_sequence))
}

/// Puts small segments at the end together, so that there are few: each is more than twice as large as what follows it.
fn coalesce(
    tail: &mut Vec<Arc<Segment>>,
    is_cut: impl Fn(&Segment, &Segment) -> bool,
) -> Result<(), Error> {
    let mut from = tail.len().saturating_sub(1);
    let mut rows = tail.last().map_or(0, |segment| segment.rows());
    let mut bytes = tail.last().map_or(0, |segment| segment.bytes());
    while from > 0 {
        let previous = tail[from - 1].rows();
        bytes += tail[from - 1].bytes();
        if previous > 2 * rows
            || previous + rows > SEGMENT_ROWS_MAX
            || bytes > SEGMENT_BYTES_MAX
            || is_cut(&tail[from - 1], &tail[from])
        {
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
    tail.extend(segment(&batches, first, last)?.map(Arc::new));
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
        let publication = Publication {
            covered_sequence: 1,
            ..Publication::default()
        };
        buffer.publish(&table, publication, &Totals::default());
        assert_eq!((table.view().frozen.len(), table.view().tail.len()), (0, 1));
        assert_eq!(buffer.rows(), 3);
    }
}
