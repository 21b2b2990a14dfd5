//! Reading a file: its footer, and chosen series of it as chunks for the merge.

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampNanosecondType;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use parquet::DecodeResult;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder, ParquetMetaDataReader,
};
use runtime::ErrorKind;
use runtime::object_store::{ObjectStore, ObjectStoreExt, Path, Store, StoreError};

use super::checksums::{self, Checksums};
use super::index::{self, SeriesIndex};
use super::last_rows::{self, LastRows};
use super::narrow::{self, FieldFilter, Runs, Taken};
use super::pages::{PageError, PageSource, RowGroup};
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
    pub series: Arc<Vec<(u32, u64, u64)>>,
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
    /// How many rows it has, those outside of the time range with them.
    pub fn rows(&self) -> u64 {
        match self.series.len() == self.footer.series.len() {
            true => self.file.entry.rows,
            false => self.series.iter().map(|(_, from, to)| to - from).sum(),
        }
    }

    /// Leaves only the series for which `keeps` says so, of (rank, first row, row behind the last).
    pub fn retain(&mut self, keeps: impl Fn(&(u32, u64, u64)) -> bool) {
        if !self.series.iter().all(&keeps) {
            let kept = self.series.iter().copied();
            self.series = Arc::new(kept.filter(keeps).collect());
        }
    }

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
    source: PageSource,
    /// In file order: rank, first row, row behind the last.
    series: Arc<Vec<(u32, u64, u64)>>,
    /// Series before this one end before the next row group.
    next_series: usize,
    next_group: usize,
    /// First row of the next row group.
    next_row: u64,
    /// Place of `time` in the file.
    time: usize,
    /// Places of the fields wanted; `None` when the file lacks one.
    fields: Vec<Option<usize>>,
    /// Places of all columns that are given out, ascending.
    given_out: Vec<usize>,
    cuts_times: bool,
    time_range: RangeInclusive<i64>,
    /// What to ask of rows, and the places of the columns it looks at.
    filter: Option<(FieldFilter, Vec<Option<usize>>)>,
    batch_rows: usize,
    /// The row group being read, and what of it is still to come.
    current: Option<(RowGroup, Runs)>,
}

impl FileReader {
    pub fn open(selection: FileSelection, store: &Store) -> Result<Self, Error> {
        let cuts_times = selection.cuts_times();
        let footer = &selection.footer;
        let columns = footer.metadata.schema().fields();
        let place = |name: &str| Some(columns.find(name)?.0);
        let time = place(TIME).ok_or_else(|| {
            let path = &selection.file.path;
            Error::corrupt(format!("file {path} has no time column"))
        })?;
        let fields = selection.fields.iter();
        let fields: Vec<Option<usize>> = fields.map(|name| place(name)).collect();
        let given_out = distinct(fields.iter().flatten().copied().chain([time]));
        let filter = selection.filter.and_then(|filter| {
            let wanted = filter.schema.fields().iter();
            let roots: Vec<Option<usize>> = wanted.map(|field| place(field.name())).collect();
            // Without any of its columns it says the same of all rows.
            roots.iter().any(Option::is_some).then_some((filter, roots))
        });
        let batch_rows = rows_of_strings(selection.batch_rows, footer.widest_string);
        Ok(Self {
            source: PageSource {
                store: Store::clone(store),
                file: selection.file,
                footer: selection.footer,
                keeps: selection.keeps,
            },
            series: selection.series,
            next_series: 0,
            next_group: 0,
            next_row: 0,
            time,
            fields,
            given_out,
            cuts_times,
            time_range: selection.time_range,
            filter,
            batch_rows,
            current: None,
        })
    }

    /// The next rows, or `None` at the end. Errors: `Corrupt`, `Unavailable`.
    pub async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        let outcome = self.next_rows().await;
        outcome.map_err(|cause| page_error(&self.source.file.path, cause))
    }

    async fn next_rows(&mut self) -> Result<Option<Chunk>, PageError> {
        loop {
            if let Some((group, left)) = &mut self.current
                && !left.is_empty()
            {
                let taken = left.take(self.batch_rows);
                let chunk = chunk(group, &taken, self.time, &self.fields)?;
                if let Some(next) = left.rest().first() {
                    group.pass(next.rows.start);
                }
                return Ok(Some(chunk));
            }
            self.current = None;
            let Some(wanted) = self.next_group() else {
                return Ok(None);
            };
            if !wanted.is_empty() {
                self.current = self.narrow(wanted).await?;
            }
        }
    }

    /// Goes on to the next row group and gives what is wanted of it; `None` at the end.
    fn next_group(&mut self) -> Option<Runs> {
        let groups = self.source.footer.metadata.metadata().row_groups();
        let rows = groups.get(self.next_group)?.num_rows().max(0) as u64;
        let (start, end) = (self.next_row, self.next_row + rows);
        (self.next_group, self.next_row) = (self.next_group + 1, end);
        let mut wanted = Runs::default();
        while let Some((rank, from, to)) = self.series.get(self.next_series) {
            let (from, behind) = (start.max(*from), end.min(*to));
            if from < behind {
                wanted.push(*rank, (from - start) as usize..(behind - start) as usize);
            }
            if *to > end {
                break;
            }
            self.next_series += 1;
        }
        // No series is left: neither are other row groups.
        let is_end = wanted.is_empty() && self.next_series == self.series.len();
        (!is_end).then_some(wanted)
    }

    /// Finds what is left of these rows of the row group before the next one, and fetches it; `None` when nothing is.
    async fn narrow(&self, wanted: Runs) -> Result<Option<(RowGroup, Runs)>, PageError> {
        let mut group = RowGroup::new(self.source.clone(), self.next_group - 1);
        let mut left = wanted;
        if self.cuts_times {
            group.fetch(&[self.time], ranges(&left)).await?;
            left = narrow::by_times(&mut group, self.time, &left, &self.time_range)?;
        }
        if let Some((filter, roots)) = &self.filter {
            let looked_at = distinct(roots.iter().flatten().copied());
            group.fetch(&looked_at, ranges(&left)).await?;
            left = narrow::by_fields(&mut group, filter, roots, left)?;
        }
        if left.is_empty() {
            return Ok(None);
        }
        group.fetch(&self.given_out, ranges(&left)).await?;
        Ok(Some((group, left)))
    }
}

fn ranges(runs: &Runs) -> impl Iterator<Item = Range<usize>> + Clone {
    runs.rest().iter().map(|run| run.rows.clone())
}

fn distinct(roots: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut roots: Vec<usize> = roots.collect();
    roots.sort_unstable();
    roots.dedup();
    roots
}

/// Rows that were fetched, for the merge.
fn chunk(
    group: &mut RowGroup,
    taken: &Taken,
    time: usize,
    fields: &[Option<usize>],
) -> Result<Chunk, Error> {
    let times = group.values(time, &taken.rows)?;
    let times = times
        .as_primitive_opt::<TimestampNanosecondType>()
        .filter(|times| times.null_count() == 0)
        .ok_or_else(|| Error::corrupt("a time column of another type"))?;
    let mut end = 0;
    let spans = taken.series.iter().map(|(rank, rows)| {
        let start = end;
        end += *rows as u32;
        Span {
            rank: *rank,
            start,
            end,
        }
    });
    Ok(Chunk {
        spans: spans.collect(),
        rows: Rows::Sorted,
        times: times.values().clone(),
        fields: fields
            .iter()
            .map(|root| root.map(|root| group.values(root, &taken.rows)).transpose())
            .collect::<Result<_, Error>>()?,
    })
}

fn page_error(path: &Path, cause: PageError) -> Error {
    match cause {
        PageError::Store(cause) => read_error(path, ParquetError::External(Box::new(cause))),
        // Our own mistake.
        PageError::Damage(fault) if fault.kind() == ErrorKind::Internal => fault,
        PageError::Damage(fault) => {
            Error::corrupt(format!("file {path} is damaged")).with_source(fault)
        }
    }
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
