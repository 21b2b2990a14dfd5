//! Reading a file: its footer, and chosen series of it as chunks for the merge.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampNanosecondType;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryFutureExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, RowSelection, RowSelector,
};
use parquet::arrow::async_reader::{
    AsyncFileReader, ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use runtime::object_store::{ObjectStore, ObjectStoreExt, Path, Store, StoreError};

use super::write::WIDEST_STRING_KEY;
use super::{DataFile, Footer, index};
use crate::Error;
use crate::batch::rows_of_strings;
use crate::buffer::TableBuffer;
use crate::manifest::FileEntry;
use crate::merge::{Chunk, Rows, Span};

/// Bytes of a file that are read at once to check its sum.
const VERIFY_BYTES: u64 = 8 << 20;

/// Name of the time column in every file.
const TIME: &str = "time";

/// A file's bytes, as the Parquet reader asks for them.
struct FileBytes {
    store: Store,
    path: Path,
    /// Of the whole file, as the manifest has it.
    size: u64,
}

impl FileBytes {
    fn of(store: &Store, path: &Path, entry: &FileEntry) -> Self {
        Self {
            store: Arc::clone(store),
            path: path.clone(),
            size: entry.bytes,
        }
    }
}

impl AsyncFileReader for FileBytes {
    fn get_bytes(
        &mut self,
        range: std::ops::Range<u64>,
    ) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        self.store
            .get_range(&self.path, range)
            .map_err(|cause| ParquetError::External(Box::new(cause)))
            .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<std::ops::Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move {
            self.store
                .get_ranges(&self.path, &ranges)
                .await
                .map_err(|cause| ParquetError::External(Box::new(cause)))
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let size = self.size;
            ParquetMetaDataReader::new()
                .with_arrow_reader_options(options)
                .load_and_finish(self, size)
                .await
                .map(Arc::new)
        }
        .boxed()
    }
}

/// Reads a footer and makes its series known to `table`.
pub async fn read_footer(
    store: &Store,
    path: &Path,
    entry: &FileEntry,
    table: &TableBuffer,
) -> Result<Footer, Error> {
    verify(store, path, entry).await?;
    let mut reader = FileBytes::of(store, path, entry);
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let loading = ArrowReaderMetadata::load_async(&mut reader, options);
    let metadata = match decoded(loading.map(Some)).await {
        Some(Ok(metadata)) => metadata,
        Some(Err(cause)) => return Err(footer_error(store, path, entry, cause).await),
        None => return Err(Error::corrupt(format!("file {path} is damaged"))),
    };
    let file = metadata.metadata().file_metadata();
    let value = |key: &str| {
        let mut pairs = file.key_value_metadata()?.iter();
        pairs.find(|pair| pair.key == key)?.value.as_deref()
    };
    let text = value(index::KEY)
        .ok_or_else(|| Error::corrupt(format!("file {path} has no series index")))?;
    let widest_string = value(WIDEST_STRING_KEY)
        .and_then(|bytes| bytes.parse().ok())
        .ok_or_else(|| Error::corrupt(format!("file {path} does not tell its longest string")))?;
    let entries = index::decode(text)
        .map_err(|cause| Error::corrupt(format!("file {path} is damaged")).with_source(cause))?;
    let mut series = Vec::with_capacity(entries.len());
    let mut ends = Vec::with_capacity(entries.len());
    let mut end = 0u64;
    {
        let mut known = table.series.write();
        for entry in entries {
            let number = known.intern(&entry.key).ok_or_else(|| {
                Error::corrupt(format!("file {path} has a series key that is none"))
            })?;
            series.push(number);
            end = end.saturating_add(entry.rows);
            ends.push(end);
        }
    }
    if i64::try_from(end) != Ok(file.num_rows()) {
        return Err(Error::corrupt(format!(
            "file {path} has {} rows, its series index {end}",
            file.num_rows()
        )));
    }
    Ok(Footer {
        metadata,
        series,
        ends,
        widest_string,
    })
}

/// Compares the whole file with the manifest's checksum. Once per file and process: what is read later is trusted.
async fn verify(store: &Store, path: &Path, entry: &FileEntry) -> Result<(), Error> {
    let mut hasher = crc32fast::Hasher::new();
    let mut start = 0;
    while start < entry.bytes {
        let end = entry.bytes.min(start + VERIFY_BYTES);
        match store.get_range(path, start..end).await {
            Ok(bytes) => hasher.update(&bytes),
            Err(cause) => {
                let cause = ParquetError::External(Box::new(cause));
                return Err(footer_error(store, path, entry, cause).await);
            }
        }
        start = end;
    }
    let found = hasher.finalize();
    if found != entry.crc32 {
        return Err(Error::corrupt(format!(
            "file {path} is damaged: its checksum is {found:08x}, the manifest says {:08x}",
            entry.crc32
        )));
    }
    Ok(())
}

/// Which rows and columns of a file to read.
#[derive(Clone, Debug)]
pub struct FileSelection {
    pub file: Arc<DataFile>,
    pub footer: Arc<Footer>,
    /// In file order: rank in the merge, first row, row behind the last.
    pub series: Vec<(u32, u64, u64)>,
    /// Names of the fields wanted, in the order of [`Chunk::fields`].
    pub fields: Arc<[String]>,
    pub time_range: RangeInclusive<i64>,
    pub batch_rows: usize,
}

/// A file being read.
pub struct FileReader {
    path: Path,
    stream: ParquetRecordBatchStream<FileBytes>,
    /// Ranks and rows still to come.
    series: std::vec::IntoIter<(u32, u64, u64)>,
    /// Rank and rows left of the series in progress.
    current: Option<(u32, u64)>,
    /// Where `time` is in the batches read.
    time_position: usize,
    /// Where each field is in the batches read; `None` when the file lacks it.
    positions: Vec<Option<usize>>,
    time_range: RangeInclusive<i64>,
}

impl FileReader {
    pub fn open(selection: FileSelection, store: &Store) -> Result<Self, Error> {
        let path = selection.file.path.clone();
        let reader = FileBytes::of(store, &path, &selection.file.entry);
        let metadata = selection.footer.metadata.clone();
        let wanted: HashMap<&str, usize> = selection
            .fields
            .iter()
            .enumerate()
            .map(|(at, name)| (name.as_str(), at))
            .collect();
        let mut roots = Vec::new();
        let mut time_position = None;
        let mut positions = vec![None; wanted.len()];
        for (root, field) in metadata.schema().fields().iter().enumerate() {
            if field.name() == TIME {
                time_position = Some(roots.len());
            } else if let Some(at) = wanted.get(field.name().as_str()) {
                positions[*at] = Some(roots.len());
            } else {
                continue;
            }
            roots.push(root);
        }
        let time_position = time_position
            .ok_or_else(|| Error::corrupt(format!("file {path} has no time column")))?;
        let mask = ProjectionMask::roots(metadata.parquet_schema(), roots);
        let stream = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata)
            .with_projection(mask)
            .with_row_selection(row_selection(&selection.series))
            .with_batch_size(rows_of_strings(
                selection.batch_rows,
                selection.footer.widest_string,
            ))
            .build()
            .map_err(|cause| read_error(&path, cause))?;
        Ok(Self {
            path,
            stream,
            series: selection.series.into_iter(),
            current: None,
            time_position,
            positions,
            time_range: selection.time_range,
        })
    }

    /// The next rows, or `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        while let Some(batch) = decoded(self.stream.next()).await {
            let batch = batch.map_err(|cause| read_error(&self.path, cause))?;
            let mut chunk = self.chunk(&batch)?;
            chunk.clip(&self.time_range);
            if !chunk.spans.is_empty() {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    fn chunk(&mut self, batch: &RecordBatch) -> Result<Chunk, Error> {
        let damaged = |what: &str| Error::corrupt(format!("file {} {what}", self.path));
        let times = batch
            .column(self.time_position)
            .as_primitive_opt::<TimestampNanosecondType>()
            .ok_or_else(|| damaged("has a time column of another type"))?
            .values()
            .clone();
        let mut spans = Vec::new();
        let mut start = 0u64;
        let rows = batch.num_rows() as u64;
        while start < rows {
            let (rank, left) = match self.current.take() {
                Some(current) => current,
                None => self
                    .series
                    .next()
                    .map(|(rank, from, to)| (rank, to - from))
                    .ok_or_else(|| damaged("has more rows than its series index"))?,
            };
            let taken = left.min(rows - start);
            spans.push(Span {
                rank,
                start: start as u32,
                end: (start + taken) as u32,
            });
            start += taken;
            if taken < left {
                self.current = Some((rank, left - taken));
            }
        }
        let fields = self
            .positions
            .iter()
            .map(|position| position.map(|at| Arc::clone(batch.column(at))))
            .collect();
        Ok(Chunk {
            spans,
            rows: Rows::Sorted,
            times,
            fields,
        })
    }
}

fn row_selection(series: &[(u32, u64, u64)]) -> RowSelection {
    let mut selectors: Vec<RowSelector> = Vec::new();
    let mut at = 0;
    for (_, from, to) in series {
        if *from > at {
            selectors.push(RowSelector::skip((from - at) as usize));
        }
        match selectors.last_mut() {
            Some(last) if !last.skip => last.row_count += (to - from) as usize,
            _ => selectors.push(RowSelector::select((to - from) as usize)),
        }
        at = *to;
    }
    RowSelection::from(selectors)
}

/// What the decoder gives. It panics on some damaged bytes, which must cost the query and nothing else.
async fn decoded<T>(
    decoding: impl Future<Output = Option<parquet::errors::Result<T>>>,
) -> Option<parquet::errors::Result<T>> {
    // Nothing that saw the panic is used again: the error ends the reading.
    let outcome = AssertUnwindSafe(decoding).catch_unwind().await;
    outcome.unwrap_or_else(|_| {
        let cause = "the decoder gave up on these bytes".to_string();
        Some(Err(ParquetError::General(cause)))
    })
}

/// Why a footer cannot be read. A file that is not as large as the manifest says fails as if the store had.
async fn footer_error(store: &Store, path: &Path, entry: &FileEntry, cause: ParquetError) -> Error {
    match store.head(path).await {
        Ok(object) if object.size != entry.bytes => Error::corrupt(format!(
            "file {path} has {} bytes, the manifest says {}",
            object.size, entry.bytes
        ))
        .with_source(cause),
        Err(StoreError::NotFound { .. }) => Error::corrupt(format!("file {path} is gone")),
        _ => read_error(path, cause),
    }
}

fn read_error(path: &Path, cause: ParquetError) -> Error {
    match cause {
        // The store's own failure, as it was handed in above; the decoder wraps other people's errors, too.
        ParquetError::External(ref inner) if inner.is::<StoreError>() => {
            Error::unavailable(format!("cannot read file {path}"))
        }
        _ => Error::corrupt(format!("file {path} is damaged")),
    }
    .with_source(cause)
}
