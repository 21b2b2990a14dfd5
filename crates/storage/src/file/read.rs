//! Reading a file: its footer, and chosen series of it as chunks for the merge.

use std::collections::HashMap;
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampNanosecondType;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryFutureExt};
use parking_lot::Mutex;
use parquet::DecodeResult;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowReaderMetadata, ArrowReaderOptions, RowFilter, RowSelection, RowSelector,
};
use parquet::arrow::async_reader::{
    AsyncFileReader, ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder, ParquetMetaDataReader,
};
use runtime::object_store::{ObjectStore, ObjectStoreExt, Path, Store, StoreError};

use super::checksums::{self, Checksums};
use super::index::{self, SeriesIndex};
use super::last_rows::{self, LastRows};
use super::narrow::{Condition, FieldFilter, Narrowing, Runs, SharedRuns};
use super::write::WIDEST_STRING_KEY;
use super::{DataFile, Footer};
use crate::Error;
use crate::batch::rows_of_strings;
use crate::buffer::TableBuffer;
use crate::manifest::FileEntry;
use crate::merge::{Chunk, Rows, Span};

/// Files up to this size are read at once, which takes no longer than reading their footer, and kept with it.
const WHOLE_BYTES_MAX: u64 = 256 << 10;

/// Series made known to a table in one go: others want its lock, too.
const SERIES_AT_ONCE: usize = 1024;

/// Bytes that the cache counts for a series of a footer: its number, where it ends, and its times.
const SERIES_BYTES: usize = size_of::<u32>() + size_of::<u64>() + 2 * size_of::<i64>();

/// What a narrowing may keep of the columns it looked at, for a row group that also gives them out.
const NARROWING_BYTES_MAX: usize = 32 << 20;

/// Name of the time column in every file.
pub const TIME: &str = "time";

/// Where something of ours lies in a file, as the footer's key-value metadata has it: two numbers in decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    pub start: u64,
    pub bytes: u64,
}

impl fmt::Display for Section {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.start, self.bytes)
    }
}

impl Section {
    /// Reads what its `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (start, bytes) = text.split_once(' ')?;
        Some(Self {
            start: start.parse().ok()?,
            bytes: bytes.parse().ok()?,
        })
    }

    pub fn range(self) -> Range<u64> {
        self.start..self.start.saturating_add(self.bytes)
    }

    /// The section's bytes; `tail` is the end of the file from `tail_start` on.
    fn of(self, tail: &[u8], tail_start: u64) -> Option<&[u8]> {
        let start = usize::try_from(self.start.checked_sub(tail_start)?).ok()?;
        let bytes = usize::try_from(self.bytes).ok()?;
        tail.get(start..start.checked_add(bytes)?)
    }
}

/// A file's bytes as they are, as the Parquet reader asks for them: for who checks the file otherwise.
pub(crate) struct FileBytes {
    store: Store,
    path: Path,
    /// Of the whole file, as the manifest has it.
    size: u64,
}

impl FileBytes {
    pub(crate) fn of(store: &Store, path: &Path, entry: &FileEntry) -> Self {
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

/// A file's bytes, checked.
struct CheckedBytes {
    store: Store,
    file: Arc<DataFile>,
    footer: Arc<Footer>,
    /// Whether what is read is kept for others.
    keeps: bool,
}

impl CheckedBytes {
    /// What is read has its checksum, so it is widened to whole pages; as a rule it is made of such.
    async fn read(&self, ranges: Vec<Range<u64>>) -> parquet::errors::Result<Vec<Bytes>> {
        let damaged = |fault: Error| ParquetError::External(Box::new(fault));
        if let Some(whole) = &self.footer.whole {
            return ranges
                .iter()
                .map(|range| slice(whole, 0, range).ok_or_else(|| damaged(out_of_file())))
                .collect();
        }
        let checksums = &self.footer.checksums;
        let wide: Vec<Range<u64>> = ranges
            .iter()
            .map(|range| checksums.around(range))
            .collect::<Result<_, Error>>()
            .map_err(damaged)?;
        let (cache, file) = (&self.file.cache, self.file.entry.id);
        let mut found: Vec<Option<Bytes>> = match self.keeps {
            true => wide.iter().map(|wide| cache.pages(file, wide)).collect(),
            false => vec![None; wide.len()],
        };
        let missing: Vec<usize> = (0..wide.len()).filter(|at| found[*at].is_none()).collect();
        if !missing.is_empty() {
            let asked: Vec<Range<u64>> = missing.iter().map(|at| wide[*at].clone()).collect();
            let read = self
                .store
                .get_ranges(&self.file.path, &asked)
                .await
                .map_err(|cause| ParquetError::External(Box::new(cause)))?;
            if read.len() != asked.len() {
                return Err(damaged(out_of_file()));
            }
            for ((at, asked), bytes) in missing.into_iter().zip(&asked).zip(read) {
                if bytes.len() as u64 != asked.end - asked.start {
                    return Err(damaged(out_of_file()));
                }
                checksums.check(asked.start, &bytes).map_err(damaged)?;
                if self.keeps {
                    cache.keep_pages(file, asked, &bytes);
                }
                found[at] = Some(bytes);
            }
        }
        let parts = ranges.iter().zip(&wide).zip(found);
        parts
            .map(|((range, wide), bytes)| {
                let bytes = bytes.ok_or_else(|| damaged(out_of_file()))?;
                slice(&bytes, wide.start, range).ok_or_else(|| damaged(out_of_file()))
            })
            .collect()
    }
}

fn out_of_file() -> Error {
    Error::corrupt("bytes beyond the end of the file")
}

/// The part of `bytes`, which start at `start`, that is `range` of the file.
fn slice(bytes: &Bytes, start: u64, range: &Range<u64>) -> Option<Bytes> {
    let from = usize::try_from(range.start.checked_sub(start)?).ok()?;
    let to = usize::try_from(range.end.checked_sub(start)?).ok()?;
    (from <= to && to <= bytes.len()).then(|| bytes.slice(from..to))
}

impl AsyncFileReader for CheckedBytes {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move {
            let mut read = self.read(vec![range]).await?;
            Ok(read.swap_remove(0))
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        self.read(ranges).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let metadata = Arc::clone(self.footer.metadata.metadata());
        async move { Ok(metadata) }.boxed()
    }
}

/// Reads a footer and makes its series known to `table`. One read, unless the file is damaged.
pub async fn read_footer(
    store: &Store,
    path: &Path,
    entry: &FileEntry,
    table: &TableBuffer,
) -> Result<Footer, Error> {
    let (tail, whole) = read_tail(store, path, entry).await?;
    let tail_start = entry.bytes - tail.len() as u64;
    let metadata =
        decode_metadata(&tail, tail_start, entry.bytes).map_err(|cause| read_error(path, cause))?;
    let damaged =
        |cause: Error| Error::corrupt(format!("file {path} is damaged")).with_source(cause);
    let file = metadata.metadata().file_metadata();
    let value = |key: &str| {
        let mut pairs = file.key_value_metadata()?.iter();
        pairs.find(|pair| pair.key == key)?.value.as_deref()
    };
    let section = |key: &str| Section::parse(value(key)?)?.of(&tail, tail_start);
    let packed_index = section(index::KEY)
        .ok_or_else(|| Error::corrupt(format!("file {path} has no series index")))?;
    let packed_checksums = section(checksums::KEY)
        .ok_or_else(|| Error::corrupt(format!("file {path} has no page checksums")))?;
    let widest_string = value(WIDEST_STRING_KEY)
        .and_then(|bytes| bytes.parse().ok())
        .ok_or_else(|| Error::corrupt(format!("file {path} does not tell its longest string")))?;
    let last_rows = value(last_rows::KEY).and_then(Section::parse);
    let checksums = Checksums::decode(packed_checksums, metadata.metadata()).map_err(damaged)?;
    let series = SeriesIndex::decode(packed_index).map_err(damaged)?;
    let rows = file.num_rows();
    let memory_bytes = metadata.metadata().memory_size()
        + checksums.memory_bytes()
        + series.series_left() * SERIES_BYTES
        + whole.as_ref().map_or(0, Bytes::len);
    let mut footer = Footer {
        series: Vec::with_capacity(series.series_left()),
        ends: Vec::with_capacity(series.series_left()),
        times: Vec::new(),
        metadata,
        widest_string,
        last_rows,
        checksums,
        whole,
        memory_bytes,
    };
    take_series(&mut footer, series, path, table)?;
    let end = footer.ends.last().copied().unwrap_or(0);
    if i64::try_from(end) != Ok(rows) {
        return Err(Error::corrupt(format!(
            "file {path} has {rows} rows, its series index {end}"
        )));
    }
    Ok(footer)
}

/// The end of a file from the series index on, or more, and all of a small file. Checked.
async fn read_tail(
    store: &Store,
    path: &Path,
    entry: &FileEntry,
) -> Result<(Bytes, Option<Bytes>), Error> {
    let is_small = entry.bytes <= WHOLE_BYTES_MAX;
    let (bytes, expected) = if is_small {
        (entry.bytes, entry.crc32)
    } else {
        (entry.footer_bytes.min(entry.bytes), entry.footer_crc32)
    };
    let tail = match store
        .get_range(path, entry.bytes - bytes..entry.bytes)
        .await
    {
        Ok(tail) => tail,
        Err(cause) => return Err(footer_error(store, path, entry, cause).await),
    };
    let found = crc32fast::hash(&tail);
    if found != expected || tail.len() as u64 != bytes {
        return Err(Error::corrupt(format!(
            "file {path} is damaged: its checksum is {found:08x}, the manifest says {expected:08x}"
        )));
    }
    let whole = is_small.then(|| tail.clone());
    Ok((tail, whole))
}

/// Decodes what Parquet says about the file: all of it is in `tail`.
fn decode_metadata(
    tail: &Bytes,
    tail_start: u64,
    file_bytes: u64,
) -> parquet::errors::Result<ArrowReaderMetadata> {
    let decoding = || {
        let mut decoder = ParquetMetaDataPushDecoder::try_new(file_bytes)?
            .with_offset_index_policy(PageIndexPolicy::Required)
            .with_column_index_policy(PageIndexPolicy::Skip);
        decoder.push_range(tail_start..file_bytes, tail.clone())?;
        match decoder.try_decode()? {
            DecodeResult::Data(metadata) => {
                ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())
            }
            DecodeResult::NeedsData(_) | DecodeResult::Finished => {
                let cause = "the footer is larger than the manifest says".to_string();
                Err(ParquetError::General(cause))
            }
        }
    };
    // It has its checksum; should the decoder panic all the same, the query fails and nothing else.
    std::panic::catch_unwind(AssertUnwindSafe(decoding)).unwrap_or_else(|_| Err(gave_up()))
}

/// Makes the series of a file known to `table`, a few at a time.
fn take_series(
    footer: &mut Footer,
    mut index: SeriesIndex,
    path: &Path,
    table: &TableBuffer,
) -> Result<(), Error> {
    let damaged =
        |cause: Error| Error::corrupt(format!("file {path} is damaged")).with_source(cause);
    let mut end = 0u64;
    let times = index.has_times();
    loop {
        let mut known = table.series_mut();
        for _ in 0..SERIES_AT_ONCE {
            let Some((key, of_key)) = index.next_series().map_err(damaged)? else {
                return Ok(());
            };
            let number = known.intern(key).ok_or_else(|| {
                Error::corrupt(format!("file {path} has a series key that is none"))
            })?;
            end = end.saturating_add(of_key.rows);
            footer.series.push(number);
            footer.ends.push(end);
            if times {
                footer.times.push((of_key.first_time, of_key.last_time));
            }
        }
    }
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
    /// Rows it refuses may be left out.
    pub filter: Option<FieldFilter>,
    /// Whether the pages read are kept for the next query.
    pub keeps: bool,
    pub batch_rows: usize,
}

impl FileSelection {
    /// The places in the file of the columns that are read, `time` first.
    pub fn columns(&self) -> Vec<usize> {
        let fields = self.footer.metadata.schema().fields();
        let filtered = self.filter.iter().flat_map(|filter| filter.schema.fields());
        let mut names: Vec<&str> = self.fields.iter().map(String::as_str).collect();
        names.extend(filtered.map(|field| field.name().as_str()));
        names.sort_unstable();
        names.dedup();
        names.retain(|name| *name != TIME);
        let places = [TIME].into_iter().chain(names);
        places
            .filter_map(|name| Some(fields.find(name)?.0))
            .collect()
    }

    /// Whether rows of the chosen series may be outside of the time range.
    fn cuts_times(&self) -> bool {
        let is_inside = |(first, last): &(i64, i64)| {
            self.time_range.contains(first) && self.time_range.contains(last)
        };
        let entry = &self.file.entry;
        if is_inside(&(entry.min_time, entry.max_time)) {
            return false;
        }
        let footer = &self.footer;
        let mut series = self.series.iter();
        // Files of older versions do not tell the times.
        !series.all(|(_, _, end)| {
            let at = footer.ends.binary_search(end).ok();
            at.and_then(|at| footer.times.get(at))
                .is_some_and(is_inside)
        })
    }
}

/// Which last rows of a file to read.
#[derive(Clone, Debug)]
pub struct LastRowsSelection {
    pub file: Arc<DataFile>,
    pub section: Section,
    /// In file order: rank in the merge, and the number of the series in the file.
    pub series: Vec<(u32, u32)>,
    /// Names of the fields wanted, in the order of [`Chunk::fields`].
    pub fields: Arc<[String]>,
}

impl LastRowsSelection {
    /// Reads them. Errors: `Unavailable`, `Corrupt`.
    pub async fn read(&self, store: &Store) -> Result<Chunk, Error> {
        let path = &self.file.path;
        let read = store.get_range(path, self.section.range()).await;
        let section =
            read.map_err(|cause| read_error(path, ParquetError::External(Box::new(cause))))?;
        let decoding = || LastRows::decode(&section, &self.fields);
        let damaged = || Error::corrupt(format!("file {path} is damaged"));
        let rows = std::panic::catch_unwind(AssertUnwindSafe(decoding))
            .unwrap_or_else(|_| Err(damaged()))
            .map_err(|cause| damaged().with_source(cause))?;
        let spans = self.series.iter().map(|(rank, at)| Span {
            rank: *rank,
            start: *at,
            end: *at + 1,
        });
        let spans: Vec<Span> = spans.collect();
        if spans
            .last()
            .is_some_and(|span| span.end as usize > rows.times.len())
        {
            return Err(damaged());
        }
        Ok(Chunk {
            spans,
            rows: Rows::Sorted,
            times: rows.times,
            fields: rows.fields,
        })
    }
}

/// A file being read.
pub struct FileReader {
    path: Path,
    stream: ParquetRecordBatchStream<CheckedBytes>,
    /// Of which series the rows are that are still to come.
    runs: SharedRuns,
    /// Where `time` is in the batches read.
    time_position: usize,
    /// Where each field is in the batches read; `None` when the file lacks it.
    positions: Vec<Option<usize>>,
    time_range: RangeInclusive<i64>,
}

impl FileReader {
    pub fn open(selection: FileSelection, store: &Store) -> Result<Self, Error> {
        let path = selection.file.path.clone();
        let reader = CheckedBytes {
            store: Store::clone(store),
            file: Arc::clone(&selection.file),
            footer: Arc::clone(&selection.footer),
            keeps: selection.keeps,
        };
        let metadata = selection.footer.metadata.clone();
        let roots: HashMap<&str, usize> = metadata
            .schema()
            .fields()
            .iter()
            .enumerate()
            .map(|(root, field)| (field.name().as_str(), root))
            .collect();
        let time = *roots
            .get(TIME)
            .ok_or_else(|| Error::corrupt(format!("file {path} has no time column")))?;
        let fields = selection.fields.iter();
        let fields: Vec<Option<usize>> = fields
            .map(|name| roots.get(name.as_str()).copied())
            .collect();
        let read = Shown::of(fields.iter().flatten().copied().chain([time]));
        let positions = fields.iter().map(|root| read.position((*root)?)).collect();
        let time_position = read
            .position(time)
            .ok_or_else(|| Error::internal("time is not among the columns read"))?;
        let mut runs = Runs::default();
        for (rank, from, to) in &selection.series {
            runs.push(*rank, to - from);
        }
        let mut runs: SharedRuns = Arc::new(Mutex::new(runs));
        let mut narrowings: Vec<Box<dyn ArrowPredicate>> = Vec::new();
        let mut narrow = |shown: &Shown, condition| {
            let left = SharedRuns::default();
            narrowings.push(Box::new(Narrowing {
                shown: shown.mask(&metadata),
                condition,
                wanted: std::mem::replace(&mut runs, Arc::clone(&left)),
                left,
            }));
        };
        if selection.cuts_times() {
            narrow(
                &Shown::of([time]),
                Condition::Times(selection.time_range.clone()),
            );
        }
        if let Some(filter) = &selection.filter {
            let wanted = filter.schema.fields().iter();
            let wanted: Vec<Option<usize>> = wanted
                .map(|field| roots.get(field.name().as_str()).copied())
                .collect();
            let shown = Shown::of(wanted.iter().flatten().copied());
            // Without any of its columns it says the same of all rows.
            if !shown.roots.is_empty() {
                let positions = wanted.iter().map(|root| shown.position((*root)?)).collect();
                let filter = filter.clone();
                narrow(&shown, Condition::Fields { filter, positions });
            }
        }
        let mut builder =
            ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata.clone())
                .with_projection(read.mask(&metadata))
                .with_row_selection(row_selection(&selection.series))
                .with_batch_size(rows_of_strings(
                    selection.batch_rows,
                    selection.footer.widest_string,
                ));
        if !narrowings.is_empty() {
            builder = builder
                .with_row_filter(RowFilter::new(narrowings))
                .with_max_predicate_cache_size(NARROWING_BYTES_MAX);
        }
        let stream = builder.build().map_err(|cause| read_error(&path, cause))?;
        Ok(Self {
            path,
            stream,
            runs,
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

    fn chunk(&self, batch: &RecordBatch) -> Result<Chunk, Error> {
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
        let mut runs = self.runs.lock();
        while start < rows {
            let (rank, taken) = runs
                .take(rows - start)
                .ok_or_else(|| damaged("has more rows than its series index"))?;
            spans.push(Span {
                rank,
                start: start as u32,
                end: (start + taken) as u32,
            });
            start += taken;
        }
        drop(runs);
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

/// Columns to be read, by their place in the file.
struct Shown {
    /// Ascending.
    roots: Vec<usize>,
}

impl Shown {
    fn of(roots: impl IntoIterator<Item = usize>) -> Self {
        let mut roots: Vec<usize> = roots.into_iter().collect();
        roots.sort_unstable();
        roots.dedup();
        Self { roots }
    }

    /// Where a column is among them.
    fn position(&self, root: usize) -> Option<usize> {
        self.roots.binary_search(&root).ok()
    }

    fn mask(&self, metadata: &ArrowReaderMetadata) -> ProjectionMask {
        ProjectionMask::roots(metadata.parquet_schema(), self.roots.iter().copied())
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
    outcome.unwrap_or_else(|_| Some(Err(gave_up())))
}

fn gave_up() -> ParquetError {
    ParquetError::General("the decoder gave up on these bytes".to_string())
}

/// Why a footer cannot be read. A file that is not as large as the manifest says fails as if the store had.
async fn footer_error(store: &Store, path: &Path, entry: &FileEntry, cause: StoreError) -> Error {
    match store.head(path).await {
        Ok(object) if object.size != entry.bytes => Error::corrupt(format!(
            "file {path} has {} bytes, the manifest says {}",
            object.size, entry.bytes
        ))
        .with_source(cause),
        Err(StoreError::NotFound { .. }) => Error::corrupt(format!("file {path} is gone")),
        _ => read_error(path, ParquetError::External(Box::new(cause))),
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
