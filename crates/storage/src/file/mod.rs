//! A Parquet file of one table: sorted by series and time, with its series index in its own footer.
//!
//! Layout: docs/formats/parquet.md. Any Parquet reader can read it; ours takes tags from the series index and never decodes
//! tag columns. Not here: which files are live (`manifest`), merging (`merge`).

pub mod index;

pub mod read;

pub mod write;

use std::sync::Arc;

use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use runtime::object_store::{Path, Store};
use tokio::sync::OnceCell;

use crate::Error;
use crate::buffer::TableBuffer;
use crate::manifest::FileEntry;

/// A live file. What its footer says is read at first use and kept.
#[derive(Debug)]
pub struct DataFile {
    pub entry: FileEntry,
    pub path: Path,
    footer: OnceCell<Arc<Footer>>,
}

/// What a file's footer says.
#[derive(Debug)]
pub struct Footer {
    pub metadata: ArrowReaderMetadata,
    /// Series numbers of the table's [`crate::series::SeriesTable`], in file order.
    pub series: Vec<u32>,
    /// Where each of them ends, in rows; where it starts is where the one before ends.
    pub ends: Vec<u64>,
    /// Bytes of the longest string of any field.
    pub widest_string: usize,
}

impl DataFile {
    pub fn new(entry: FileEntry, path: Path) -> Self {
        Self {
            entry,
            path,
            footer: OnceCell::new(),
        }
    }

    /// The footer, with its series known to `table`.
    pub async fn footer(&self, store: &Store, table: &TableBuffer) -> Result<Arc<Footer>, Error> {
        self.footer
            .get_or_try_init(|| async {
                let footer = read::read_footer(store, &self.path, &self.entry, table).await?;
                Ok(Arc::new(footer))
            })
            .await
            .map(Arc::clone)
    }
}
