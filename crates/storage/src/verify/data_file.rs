//! One data file against what the manifest, the catalog and its own footer say of it.
//!
//! The file is read several times: for its checksums in pieces, for its keys and times, and for its fields a few at a time, so
//! that memory does not grow with the number of columns. Layout: docs/formats/parquet.md.

use std::ops::Range;
use std::panic::AssertUnwindSafe;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, TimestampNanosecondType};
use bytes::Bytes;
use catalog::{ColumnKind, Table};
use futures::{FutureExt, StreamExt};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::arrow::{PARQUET_FIELD_ID_META_KEY, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;
use runtime::World;
use runtime::object_store::{ObjectStoreExt, Path, StoreError, store_error};

use super::{Depth, Finding};
use crate::Error;
use crate::batch::{rows_of_strings, widest_string};
use crate::file::checksums::{self, Checksums};
use crate::file::index::{self, SeriesIndex, SeriesRows};
use crate::file::read::{FileBytes, Section};
use crate::file::write::WIDEST_STRING_KEY;
use crate::manifest::FileEntry;
use crate::schema::{COLUMN_TYPE, data_type};
use crate::series::decode_series_key;

/// Bytes of a file that are read at once for its sum.
const CHECKSUM_BYTES: u64 = 8 << 20;

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 8192;

/// Field columns that are decoded together.
const FIELDS_AT_ONCE: usize = 16;

/// A file to check.
pub(super) struct Check<'a> {
    pub(super) world: &'a World,
    pub(super) path: &'a Path,
    pub(super) entry: &'a FileEntry,
    /// `None` when it does not exist any more, or the catalog cannot be read.
    pub(super) table: Option<&'a Table>,
    pub(super) depth: Depth,
}

/// What came of a check.
pub(super) enum Outcome {
    /// There is no such object, which is no fault when the manifest has let go of it meanwhile.
    Gone,
    Read(Vec<Finding>),
}

/// Why a check ended early.
enum Fault {
    Gone,
    /// The file is not as it should be.
    Damaged(String),
    /// The store failed, which says nothing about the file.
    Store(Error),
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self::Damaged(message)
    }
}

/// The footer, understood.
struct Footer {
    metadata: ArrowReaderMetadata,
    /// Packed.
    index: Bytes,
    checksums: Checksums,
    widest_string: usize,
    /// Places of the columns.
    tags: Vec<usize>,
    time: usize,
    fields: Vec<usize>,
}

impl Check<'_> {
    /// Errors: `Unavailable` when the store fails.
    pub(super) async fn run(&self) -> Result<Outcome, Error> {
        match self.look().await {
            Ok(()) => Ok(Outcome::Read(Vec::new())),
            Err(Fault::Damaged(message)) => {
                Ok(Outcome::Read(vec![Finding::damaged(self.path, message)]))
            }
            Err(Fault::Gone) => Ok(Outcome::Gone),
            Err(Fault::Store(fault)) => Err(fault),
        }
    }

    async fn look(&self) -> Result<(), Fault> {
        let object = self
            .world
            .store
            .head(self.path)
            .await
            .map_err(|cause| self.store_fault(cause))?;
        if object.size != self.entry.bytes {
            return Err(Fault::Damaged(format!(
                "it has {} bytes, the manifest says {}",
                object.size, self.entry.bytes
            )));
        }
        let tail = self.entry.footer_bytes;
        if tail > self.entry.bytes {
            return Err(Fault::Damaged(format!(
                "its footer is of {tail} bytes, as the manifest says, and it of {}",
                self.entry.bytes
            )));
        }
        if self.depth == Depth::Whole {
            self.check_sum(0, self.entry.crc32, "its").await?;
        }
        let tail_start = self.entry.bytes - tail;
        self.check_sum(tail_start, self.entry.footer_crc32, "its footer's")
            .await?;
        let footer = self.footer().await?;
        self.check_columns(&footer)?;
        if self.depth == Depth::Whole {
            self.check_pages(&footer).await?;
            self.check_keys_and_times(&footer).await?;
            let mut widest = 0;
            for fields in footer.fields.chunks(FIELDS_AT_ONCE) {
                widest = widest.max(self.check_fields(&footer, fields).await?);
            }
            if widest != footer.widest_string {
                return Err(Fault::Damaged(format!(
                    "its longest string has {widest} bytes, its footer says {}",
                    footer.widest_string
                )));
            }
        }
        Ok(())
    }

    fn store_fault(&self, cause: StoreError) -> Fault {
        match cause {
            StoreError::NotFound { .. } => Fault::Gone,
            other => Fault::Store(store_error("read", self.path, other)),
        }
    }

    async fn get(&self, range: Range<u64>) -> Result<Bytes, Fault> {
        let read = self.world.store.get_range(self.path, range).await;
        read.map_err(|cause| self.store_fault(cause))
    }

    /// Compares the checksum of the file from `start` on.
    async fn check_sum(&self, mut start: u64, expected: u32, whose: &str) -> Result<(), Fault> {
        let mut hasher = crc32fast::Hasher::new();
        while start < self.entry.bytes {
            let end = self.entry.bytes.min(start + CHECKSUM_BYTES);
            hasher.update(&self.get(start..end).await?);
            start = end;
        }
        let found = hasher.finalize();
        if found != expected {
            return Err(Fault::Damaged(format!(
                "{whose} checksum is {found:08x}, the manifest says {expected:08x}"
            )));
        }
        Ok(())
    }

    /// Compares the checksums of all pages, which queries go by.
    async fn check_pages(&self, footer: &Footer) -> Result<(), Fault> {
        for group in footer.metadata.metadata().row_groups() {
            for column in group.columns() {
                let (start, bytes) = column.byte_range();
                let end = start.saturating_add(bytes);
                let mut at = start;
                while at < end {
                    let wanted = at..end.min(at.saturating_add(CHECKSUM_BYTES));
                    let wide = footer
                        .checksums
                        .around(&wanted)
                        .map_err(|fault| fault.to_string())?;
                    let bytes = self.get(wide.clone()).await?;
                    let checked = footer.checksums.check(wide.start, &bytes);
                    checked.map_err(|fault| fault.to_string())?;
                    at = wide.end.max(wanted.end);
                }
            }
        }
        Ok(())
    }

    fn reader(&self) -> FileBytes {
        FileBytes::of(&self.world.store, self.path, self.entry)
    }

    async fn footer(&self) -> Result<Footer, Fault> {
        let mut reader = self.reader();
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let loading = ArrowReaderMetadata::load_async(&mut reader, options);
        let metadata = self
            .decoded(loading)
            .await
            .map_err(|fault| self.in_part("footer", fault))?;
        let file = metadata.metadata().file_metadata();
        let value = |key: &str| {
            let mut pairs = file.key_value_metadata()?.iter();
            pairs.find(|pair| pair.key == key)?.value.as_deref()
        };
        let section = |key: &str| {
            let range = Section::parse(value(key)?)?.range();
            (range.start < range.end && range.end <= self.entry.bytes).then_some(range)
        };
        let index = section(index::KEY).ok_or_else(|| "it has no series index".to_string())?;
        let index = self.get(index).await?;
        let sums = section(checksums::KEY).ok_or_else(|| "it has no page checksums".to_string())?;
        let checksums = Checksums::decode(&self.get(sums).await?, metadata.metadata())
            .map_err(|fault| fault.to_string())?;
        let widest_string = value(WIDEST_STRING_KEY)
            .and_then(|bytes| bytes.parse().ok())
            .ok_or_else(|| "it does not tell its longest string".to_string())?;
        let rows = u64::try_from(file.num_rows()).unwrap_or(0);
        let (series, indexed) = count(&index).map_err(|fault| fault.to_string())?;
        let counts = [
            ("rows", rows, self.entry.rows, "the manifest says"),
            ("rows", rows, indexed, "its series index says"),
            ("series", series, self.entry.series, "the manifest says"),
        ];
        for (what, found, said, who) in counts {
            if found != said {
                return Err(Fault::Damaged(format!(
                    "it has {found} {what}, {who} {said}"
                )));
            }
        }
        let mut footer = Footer {
            index,
            checksums,
            widest_string,
            tags: Vec::new(),
            time: usize::MAX,
            fields: Vec::new(),
            metadata,
        };
        for (at, field) in footer.metadata.schema().fields().iter().enumerate() {
            let kind = field.metadata().get(COLUMN_TYPE).map(String::as_str);
            match kind {
                Some(kind) if kind == ColumnKind::Tag.type_name() => footer.tags.push(at),
                Some(kind) if kind == ColumnKind::Time.type_name() => footer.time = at,
                _ => footer.fields.push(at),
            }
        }
        if footer.time == usize::MAX {
            return Err(Fault::Damaged("it has no time column".to_string()));
        }
        Ok(footer)
    }

    /// Compares the columns with the catalog's.
    fn check_columns(&self, footer: &Footer) -> Result<(), Fault> {
        let Some(table) = self.table else {
            return Ok(());
        };
        for field in footer.metadata.schema().fields() {
            let name = field.name();
            let Some(column) = table.column(name) else {
                return Err(Fault::Damaged(format!(
                    "it has a column '{name}', which table '{}' does not",
                    table.name
                )));
            };
            let id = field.metadata().get(PARQUET_FIELD_ID_META_KEY);
            if data_type(column.kind) != *field.data_type()
                || id.is_some_and(|id| *id != column.id.0.to_string())
            {
                return Err(Fault::Damaged(format!(
                    "its column '{name}' is of type {} and id {}, in the catalog of {} and {}",
                    field.data_type(),
                    id.map_or("none", String::as_str),
                    data_type(column.kind),
                    column.id.0
                )));
            }
        }
        Ok(())
    }

    /// Reads tags and times: every row belongs to the series that the index says, in order, between the manifest's times.
    async fn check_keys_and_times(&self, footer: &Footer) -> Result<(), Fault> {
        let mut columns = footer.tags.clone();
        columns.push(footer.time);
        let mut keys = Keys::new(&footer.index, footer.tags.len())?;
        let (mut first, mut last) = (i64::MAX, i64::MIN);
        self.read(footer, &columns, |batch| {
            let times = batch
                .column(footer.tags.len())
                .as_primitive_opt::<TimestampNanosecondType>()
                .filter(|times| times.null_count() == 0)
                .ok_or("its times are not times")?;
            for time in times.values() {
                first = first.min(*time);
                last = last.max(*time);
            }
            let tags = &batch.columns()[..footer.tags.len()];
            keys.check(tags, times.values())
        })
        .await?;
        if (first, last) != (self.entry.min_time, self.entry.max_time) {
            return Err(Fault::Damaged(format!(
                "its times are {first} to {last}, the manifest says {} to {}",
                self.entry.min_time, self.entry.max_time
            )));
        }
        Ok(())
    }

    /// Decodes some fields to the end; answers the bytes of their longest string.
    async fn check_fields(&self, footer: &Footer, fields: &[usize]) -> Result<usize, Fault> {
        let mut widest = 0;
        self.read(footer, fields, |batch| {
            for values in batch.columns() {
                widest = widest.max(widest_string(values));
            }
            Ok(())
        })
        .await?;
        Ok(widest)
    }

    /// Gives every batch of some columns (by place, ascending) to `look`.
    async fn read(
        &self,
        footer: &Footer,
        columns: &[usize],
        mut look: impl FnMut(&RecordBatch) -> Result<(), String>,
    ) -> Result<(), Fault> {
        let metadata = footer.metadata.clone();
        let mask = ProjectionMask::roots(metadata.parquet_schema(), columns.iter().copied());
        let rows = rows_of_strings(BATCH_ROWS, footer.widest_string);
        let mut stream =
            ParquetRecordBatchStreamBuilder::new_with_metadata(self.reader(), metadata)
                .with_projection(mask)
                .with_batch_size(rows)
                .build()
                .map_err(|cause| self.parquet_fault(cause))?;
        while let Some(batch) = self.decoded(stream.next().map(Option::transpose)).await? {
            look(&batch)?;
        }
        Ok(())
    }

    /// What the decoder gives. It panics on some damaged bytes.
    async fn decoded<T>(
        &self,
        decoding: impl Future<Output = Result<T, ParquetError>>,
    ) -> Result<T, Fault> {
        match AssertUnwindSafe(decoding).catch_unwind().await {
            Ok(decoded) => decoded.map_err(|cause| self.parquet_fault(cause)),
            Err(_) => Err(Fault::Damaged(
                "the decoder gave up on its bytes".to_string(),
            )),
        }
    }

    fn parquet_fault(&self, cause: ParquetError) -> Fault {
        match cause {
            ParquetError::External(inner) => match inner.downcast::<StoreError>() {
                Ok(cause) => self.store_fault(*cause),
                Err(other) => Fault::Damaged(format!("it cannot be read: {other}")),
            },
            other => Fault::Damaged(format!("it cannot be read: {other}")),
        }
    }

    fn in_part(&self, part: &str, fault: Fault) -> Fault {
        match fault {
            Fault::Damaged(message) => Fault::Damaged(format!("{message} (in its {part})")),
            other => other,
        }
    }
}

/// The numbers of series and rows in a packed index.
fn count(packed: &[u8]) -> Result<(u64, u64), Error> {
    let mut index = SeriesIndex::decode(packed)?;
    let (mut series, mut rows) = (0_u64, 0_u64);
    while let Some((_, of_key)) = index.next_series()? {
        series += 1;
        rows = rows.saturating_add(of_key.rows);
    }
    Ok((series, rows))
}

/// Follows the series index through the rows.
struct Keys {
    index: SeriesIndex,
    has_times: bool,
    tags: usize,
    /// Tag values of the series in progress, one per tag column.
    values: Vec<Option<String>>,
    /// What the index says of it.
    series: SeriesRows,
    rows_left: u64,
    last_time: Option<i64>,
}

impl Keys {
    fn new(packed: &[u8], tags: usize) -> Result<Self, String> {
        let index = SeriesIndex::decode(packed).map_err(|fault| fault.to_string())?;
        Ok(Self {
            has_times: index.has_times(),
            index,
            tags,
            values: Vec::new(),
            series: SeriesRows {
                rows: 0,
                first_time: 0,
                last_time: 0,
            },
            rows_left: 0,
            last_time: None,
        })
    }

    fn next_series(&mut self) -> Result<(), String> {
        let (key, series) = self
            .index
            .next_series()
            .map_err(|fault| fault.to_string())?
            .ok_or("it has more rows than its series index")?;
        let mut values = decode_series_key(key).ok_or("its series index has a key that is none")?;
        if values.len() > self.tags {
            return Err(format!(
                "its series index has keys of {} tags, and there are {} tag columns",
                values.len(),
                self.tags
            ));
        }
        values.resize(self.tags, None);
        self.values = values;
        self.rows_left = series.rows;
        self.series = series;
        self.last_time = None;
        Ok(())
    }

    fn check(&mut self, tags: &[ArrayRef], times: &[i64]) -> Result<(), String> {
        let mut start = 0;
        while start < times.len() {
            if self.rows_left == 0 {
                self.next_series()?;
            }
            let rows = times.len() - start;
            let rows = usize::try_from(self.rows_left).map_or(rows, |left| rows.min(left));
            let span = start..start + rows;
            for (tag, expected) in tags.iter().zip(&self.values) {
                check_tag(tag, span.clone(), expected.as_deref())?;
            }
            self.check_times(&times[span.clone()])?;
            start = span.end;
        }
        Ok(())
    }

    /// The next times of the series in progress.
    fn check_times(&mut self, times: &[i64]) -> Result<(), String> {
        let is_first = self.rows_left == self.series.rows;
        if self.has_times && is_first && times.first() != Some(&self.series.first_time) {
            return Err(format!(
                "a series begins at {:?}, its series index says {}",
                times.first(),
                self.series.first_time
            ));
        }
        for time in times {
            if self.last_time.is_some_and(|last| last >= *time) {
                return Err(format!(
                    "its rows are not sorted: time {time} comes too late"
                ));
            }
            self.last_time = Some(*time);
        }
        self.rows_left -= times.len() as u64;
        if self.has_times && self.rows_left == 0 && self.last_time != Some(self.series.last_time) {
            return Err(format!(
                "a series ends at {:?}, its series index says {}",
                self.last_time, self.series.last_time
            ));
        }
        Ok(())
    }
}

/// Whether all rows of a span have this value of a tag.
fn check_tag(tag: &ArrayRef, span: Range<usize>, expected: Option<&str>) -> Result<(), String> {
    let DataType::Dictionary(_, _) = tag.data_type() else {
        return Err(format!("a tag is of type {}", tag.data_type()));
    };
    let dictionary = tag
        .as_dictionary_opt::<Int32Type>()
        .ok_or("a tag has codes of another type")?;
    let values = dictionary
        .values()
        .as_string_opt::<i32>()
        .ok_or("a tag has values of another type")?;
    let mut known = None;
    for row in span {
        let code = dictionary
            .keys()
            .is_valid(row)
            .then(|| dictionary.keys().value(row));
        if known == Some(code) {
            continue;
        }
        let value = code
            .and_then(|code| usize::try_from(code).ok())
            .filter(|code| *code < values.len() && values.is_valid(*code))
            .map(|code| values.value(code));
        if value != expected {
            return Err(format!(
                "a row has tag value {value:?} where its series index says {expected:?}"
            ));
        }
        known = Some(code);
    }
    Ok(())
}
