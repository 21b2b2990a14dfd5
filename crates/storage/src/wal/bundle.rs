//! Bundles: writes that follow one another in the log, put together as the buffer keeps them, so that a start copies and sorts
//! each row once, and on many threads.
//!
//! Frames come from `replay`, what is finished goes through it to the buffer, where series get their numbers: here they have those
//! of the bundle. Pure. Not here: which frames are read, and what is damaged (`replay`).

use std::collections::VecDeque;
use std::sync::Arc;

use catalog::{DatabaseId, TableId};
use hashbrown::HashMap;

use super::format::v1::DecodedBatch;
use crate::Error;
use crate::batch::Batch;
use crate::buffer::segment::Segment;
use crate::buffer::{self, SEGMENT_ROWS_MAX};
use crate::series::decode_series_key;

/// The rows of some writes, those of each table together.
#[derive(Debug)]
pub struct Bundle {
    pub first_sequence: u64,
    pub last_sequence: u64,
    /// In the order in which they were met.
    pub tables: Vec<TableRows>,
}

/// The rows of one table in a bundle.
#[derive(Debug)]
pub struct TableRows {
    pub database: DatabaseId,
    pub table: TableId,
    pub series_keys: Vec<Vec<u8>>,
    /// The numbers of its series are indexes into `series_keys`.
    pub segment: Segment,
}

/// Rows that are left out because their series cannot be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub table: TableId,
    pub rows: usize,
}

/// What may be put together.
#[derive(Clone, Debug)]
pub struct Bundling {
    /// Sequences of deletes, ascending: writes up to one stay apart from later ones.
    pub cuts: Arc<[u64]>,
    /// Of a bundle of more than one write.
    pub bytes_max: usize,
}

/// Puts writes together.
#[derive(Debug)]
pub struct Bundler {
    bundling: Bundling,
    gathering: Option<Gathering>,
    pub finished: VecDeque<Bundle>,
    pub unreadable: Vec<Unreadable>,
}

/// A bundle that still grows.
#[derive(Debug)]
struct Gathering {
    first_sequence: u64,
    last_sequence: u64,
    bytes: usize,
    tables: Vec<GatheringTable>,
    /// Where each table is in `tables`.
    places: HashMap<(DatabaseId, TableId), usize>,
}

#[derive(Debug)]
struct GatheringTable {
    database: DatabaseId,
    table: TableId,
    numbers: HashMap<Vec<u8>, u32>,
    rows: usize,
    parts: Vec<Batch>,
}

impl Bundler {
    pub fn new(bundling: Bundling) -> Self {
        Self {
            bundling,
            gathering: None,
            finished: VecDeque::new(),
            unreadable: Vec::new(),
        }
    }

    /// Adds a write, later than those before.
    ///
    /// Errors: `Internal` when a column has different types, which the catalog rules out.
    pub fn add(&mut self, sequence: u64, batches: Vec<DecodedBatch>) -> Result<(), Error> {
        let bytes = batches.iter().map(bytes_of).sum();
        let has_room = self
            .gathering
            .as_ref()
            .is_none_or(|gathering| gathering.has_room(sequence, bytes, &batches, &self.bundling));
        if !has_room {
            self.finish()?;
        }
        let gathering = self.gathering.get_or_insert_with(|| Gathering {
            first_sequence: sequence,
            last_sequence: sequence,
            bytes: 0,
            tables: Vec::new(),
            places: HashMap::new(),
        });
        gathering.last_sequence = sequence;
        gathering.bytes += bytes;
        for batch in batches {
            let table = gathering.table(&batch);
            let (id, rows) = (batch.table, batch.times.len());
            if !table.add(batch) {
                self.unreadable.push(Unreadable { table: id, rows });
            }
        }
        Ok(())
    }

    /// Ends the bundle that still grows. Errors: as for [`Bundler::add`].
    pub fn finish(&mut self) -> Result<(), Error> {
        let Some(gathering) = self.gathering.take() else {
            return Ok(());
        };
        let (first, last) = (gathering.first_sequence, gathering.last_sequence);
        let mut tables = Vec::with_capacity(gathering.tables.len());
        for table in gathering.tables {
            tables.extend(table.finish(first, last)?);
        }
        self.finished.push_back(Bundle {
            first_sequence: first,
            last_sequence: last,
            tables,
        });
        Ok(())
    }
}

impl Gathering {
    /// Whether a write may be put together with those before it.
    fn has_room(
        &self,
        sequence: u64,
        bytes: usize,
        batches: &[DecodedBatch],
        bundling: &Bundling,
    ) -> bool {
        let cuts = &bundling.cuts;
        let cut = cuts.partition_point(|cut| *cut < self.last_sequence);
        let is_cut = cuts.get(cut).is_some_and(|cut| *cut < sequence);
        let fits = |batch: &DecodedBatch| {
            let rows = self
                .places
                .get(&(batch.database, batch.table))
                .map_or(0, |at| self.tables[*at].rows);
            rows == 0 || rows + batch.times.len() <= SEGMENT_ROWS_MAX
        };
        !is_cut && self.bytes + bytes <= bundling.bytes_max && batches.iter().all(fits)
    }

    fn table(&mut self, batch: &DecodedBatch) -> &mut GatheringTable {
        let (database, table) = (batch.database, batch.table);
        let place = *self.places.entry((database, table)).or_insert_with(|| {
            self.tables.push(GatheringTable {
                database,
                table,
                numbers: HashMap::new(),
                rows: 0,
                parts: Vec::new(),
            });
            self.tables.len() - 1
        });
        &mut self.tables[place]
    }
}

impl GatheringTable {
    /// Adds rows; `false` when a series of them has a key that cannot be read.
    fn add(&mut self, batch: DecodedBatch) -> bool {
        let mut numbers = Vec::with_capacity(batch.series_keys.len());
        for key in batch.series_keys {
            let number = match self.numbers.get(&key) {
                Some(number) => *number,
                None if decode_series_key(&key).is_none() => return false,
                None => {
                    // Fewer than rows, which are few.
                    let number = self.numbers.len() as u32;
                    self.numbers.insert(key, number);
                    number
                }
            };
            numbers.push(number);
        }
        let mut series = batch.series;
        for number in &mut series {
            *number = numbers[*number as usize];
        }
        self.rows += batch.times.len();
        self.parts.push(Batch {
            database: batch.database,
            table: batch.table,
            series: series.into(),
            times: batch.times.into(),
            columns: batch.columns,
        });
        true
    }

    fn finish(self, first_sequence: u64, last_sequence: u64) -> Result<Option<TableRows>, Error> {
        let parts: Vec<&Batch> = self.parts.iter().collect();
        let segment = buffer::segment(&parts, first_sequence, last_sequence)?;
        let mut series_keys = vec![Vec::new(); self.numbers.len()];
        for (key, number) in self.numbers {
            series_keys[number as usize] = key;
        }
        Ok(segment.map(|segment| TableRows {
            database: self.database,
            table: self.table,
            series_keys,
            segment,
        }))
    }
}

fn bytes_of(batch: &DecodedBatch) -> usize {
    let columns = batch.columns.iter();
    let fields: usize = columns
        .map(|(_, values)| values.get_array_memory_size())
        .sum();
    let keys: usize = batch.series_keys.iter().map(Vec::len).sum();
    fields + keys + batch.times.len() * (size_of::<u32>() + size_of::<i64>())
}

#[cfg(test)]
mod tests;
