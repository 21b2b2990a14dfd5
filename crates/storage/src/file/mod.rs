//! A Parquet file of one table: sorted by series and time, with its series index in front of its own footer.
//!
//! Layout: docs/formats/parquet.md. Any Parquet reader can read it; ours takes tags from the series index and never decodes
//! tag columns. Not here: which files are live (`manifest`), merging (`merge`).

pub mod cache;

pub mod checksums;

pub mod chunk;

pub mod decode;

pub mod delta;

pub mod encoding;

pub mod index;

pub mod integers;

pub mod last_rows;

pub mod narrow;

pub mod page;

pub mod pages;

pub mod read;

pub mod tags;

pub mod write;

use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use runtime::object_store::{Path, Store};

use crate::Error;
use crate::buffer::TableBuffer;
use crate::manifest::FileEntry;
use cache::FileCache;
use checksums::Checksums;
use read::Section;

/// A live file. What its footer says is kept by the engine's [`FileCache`], at most as long as this is; pages until they are evicted.
#[derive(Debug)]
pub struct DataFile {
    pub entry: FileEntry,
    pub path: Path,
    cache: Arc<FileCache>,
}

/// What a file's footer says.
#[derive(Debug)]
pub struct Footer {
    pub metadata: ArrowReaderMetadata,
    /// Series numbers of the table's [`crate::series::SeriesTable`], in file order.
    pub series: Vec<u32>,
    /// Where each of them ends, in rows; where it starts is where the one before ends.
    pub ends: Vec<u64>,
    /// First and last time of each of them, nanoseconds; empty when the file does not tell.
    pub times: Vec<(i64, i64)>,
    /// Bytes of the longest string of any field.
    pub widest_string: usize,
    /// Where the last row of each series is; some files have no such section.
    pub last_rows: Option<Section>,
    /// Of what is read later.
    pub checksums: Checksums,
    /// All of a small file, checked.
    pub whole: Option<Bytes>,
    /// Held by all of this, about.
    pub memory_bytes: usize,
}

impl DataFile {
    pub fn new(entry: FileEntry, path: Path, cache: Arc<FileCache>) -> Self {
        Self { entry, path, cache }
    }

    /// The footer, with its series known to `table`.
    pub async fn footer(&self, store: &Store, table: &TableBuffer) -> Result<Arc<Footer>, Error> {
        let reading = read::read_footer(store, &self.path, &self.entry, table);
        self.cache.get(self.entry.id, reading).await
    }
}

impl Drop for DataFile {
    fn drop(&mut self) {
        self.cache.remove(self.entry.id);
    }
}

#[cfg(test)]
mod tests;
