//! Writing a file: sorted batches in, Parquet bytes out.
//!
//! Columns are encoded side by side into a row group, each as [`super::encoding`] chooses from the group's first rows. What is
//! held is the encoded row group and the file so far. Not here: cutting rows into files (`persist`, `compact`).

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use catalog::{Column, ColumnKind, Table};
use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use zstd::bulk::Compressor;

use super::checksums::{self, ChecksumWriter};
use super::chunk;
use super::encoding::{ColumnChunk, ColumnWriter, FileColumn, choose};
use super::index::{self, SeriesRows};
use super::last_rows::{self, LastRowsWriter};
use super::read::Section;
use crate::Error;
use crate::batch::widest_string;
use crate::merge::Merged;
use crate::schema::{field, table_metadata};

/// Key of the footer's key-value metadata: bytes of the longest string of any field, in decimal.
pub const WIDEST_STRING_KEY: &str = "gnomon.widest_string.v1";

/// Rows after which a row group ends, or soon after.
const ROW_GROUP_ROWS: u64 = 1 << 20;

/// Encoded bytes after which it ends, too: what a writer holds besides the file.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// Rows of a page: what one point lookup must decode.
pub const PAGE_ROWS: usize = 1 << 14;

/// The same of a small file, such as one that waits for compaction: a query that wants one series finds few rows in each of many.
pub const SMALL_PAGE_ROWS: usize = 1 << 11;

/// Files up to this many rows are small.
const SMALL_FILE_ROWS: u64 = 1 << 17;

/// Rows from which encodings are chosen.
const SAMPLE_ROWS: usize = 1 << 13;

/// Fast, and within a few percent of the slow ones on what the encodings leave over: docs/formats/parquet.md.
pub fn zstd_level() -> ZstdLevel {
    ZstdLevel::default()
}

/// A file being written in memory.
pub struct FileWriter {
    file: SerializedFileWriter<Vec<u8>>,
    columns: Vec<FileColumn>,
    page_rows: usize,
    compressor: Compressor<'static>,
    checksums: ChecksumWriter,
    last_rows: LastRowsWriter,
    /// The first rows of a row group, until there are enough to choose encodings.
    sample: Vec<RecordBatch>,
    sample_rows: usize,
    sample_bytes: usize,
    /// The row group in progress, a writer for each column; none before its sample is complete.
    group: Vec<ColumnWriter>,
    group_rows: u64,
    /// Rank of each series met, in order, and its rows.
    series: Vec<(u32, SeriesRows)>,
    min_time: i64,
    max_time: i64,
    rows: u64,
    widest_string: usize,
}

/// A finished file.
#[derive(Debug)]
pub struct WrittenFile {
    pub bytes: Vec<u8>,
    pub rows: u64,
    pub series: u64,
    pub min_time: i64,
    pub max_time: i64,
    /// What a reader reads first: the last so many bytes, from the series index on, and their CRC-32.
    pub footer_bytes: u64,
    pub footer_crc32: u32,
}

/// The columns of a file in order: the series key, `time`, the fields by name.
pub fn file_columns(table: &Table, is_present: impl Fn(&Column) -> bool) -> Vec<&Column> {
    let mut columns: Vec<&Column> = table
        .columns()
        .iter()
        .filter(|column| column.kind == ColumnKind::Time || is_present(column))
        .collect();
    let place = |column: &Column| match column.kind {
        ColumnKind::Tag => (0, table.series_key_position(column.id)),
        ColumnKind::Time => (1, None),
        ColumnKind::Field(_) => (2, None),
    };
    columns.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.name.cmp(&b.name)));
    columns
}

/// The Arrow schema of a file with these columns; column ids become Parquet field ids.
pub fn file_schema(table: &Table, columns: &[&Column]) -> SchemaRef {
    let fields: Vec<FieldRef> = columns
        .iter()
        .map(|column| {
            let plain: Field = field(column).as_ref().clone();
            let mut metadata = plain.metadata().clone();
            metadata.insert(
                PARQUET_FIELD_ID_META_KEY.to_string(),
                column.id.0.to_string(),
            );
            Arc::new(plain.with_metadata(metadata))
        })
        .collect();
    Arc::new(Schema::new_with_metadata(fields, table_metadata(table)))
}

impl FileWriter {
    /// `schema` is of [`file_schema`] for `columns`; `rows` are about how many will be written, or more.
    pub fn new(columns: &[&Column], schema: SchemaRef, rows: u64) -> Result<Self, Error> {
        let (file, _) = ArrowWriter::try_new(
            Vec::new(),
            SchemaRef::clone(&schema),
            Some(properties(columns)),
        )
        .and_then(ArrowWriter::into_serialized_writer)
        .map_err(write_error)?;
        let columns: Vec<FileColumn> = columns
            .iter()
            .zip(schema.fields())
            .zip(file.schema_descr().columns())
            .map(|((column, field), descriptor)| FileColumn {
                kind: column.kind,
                field: FieldRef::clone(field),
                descriptor: Arc::clone(descriptor),
            })
            .collect();
        let kinds = columns.iter().map(|column: &FileColumn| column.kind);
        let last_rows = LastRowsWriter::new(kinds, &schema)?;
        Ok(Self {
            file,
            last_rows,
            columns,
            page_rows: page_rows(rows),
            compressor: chunk::compressor()?,
            checksums: ChecksumWriter::default(),
            sample: Vec::new(),
            sample_rows: 0,
            sample_bytes: 0,
            group: Vec::new(),
            group_rows: 0,
            series: Vec::new(),
            min_time: i64::MAX,
            max_time: i64::MIN,
            rows: 0,
            widest_string: 0,
        })
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// About the bytes of the file so far, those of the row group in progress with it.
    pub fn encoded_bytes(&self) -> usize {
        self.file.bytes_written() + self.group_bytes()
    }

    /// Appends rows that come after all earlier ones in (series, time).
    pub fn write(&mut self, merged: &Merged) -> Result<(), Error> {
        let batch: &RecordBatch = &merged.batch;
        self.note_series(merged);
        self.last_rows.note(merged)?;
        for values in batch.columns() {
            self.widest_string = self.widest_string.max(widest_string(values));
        }
        self.rows += batch.num_rows() as u64;
        self.group_rows += batch.num_rows() as u64;
        if self.group.is_empty() {
            self.sample.push(batch.clone());
            self.sample_rows += batch.num_rows();
            self.sample_bytes += batch.get_array_memory_size();
            if self.sample_rows >= SAMPLE_ROWS {
                self.begin_group()?;
            }
        } else {
            encode(&mut self.group, batch, &mut self.compressor)?;
        }
        if self.group_rows >= ROW_GROUP_ROWS || self.group_bytes() >= ROW_GROUP_BYTES {
            self.end_group()?;
        }
        Ok(())
    }

    /// Ends the file; `keys` gives the key of each rank.
    pub fn finish<'a>(mut self, keys: impl Fn(u32) -> &'a [u8]) -> Result<WrittenFile, Error> {
        self.end_group()?;
        let last_rows = self.last_rows.finish(self.rows, self.series.len() as u64)?;
        if let Some(last_rows) = last_rows {
            append_section(&mut self.file, last_rows::KEY, &last_rows)?;
        }
        let footer_start = self.file.bytes_written();
        let series = self
            .series
            .iter()
            .map(|(rank, of_key)| (keys(*rank), *of_key));
        let index = index::encode(series)?;
        let checksums = std::mem::take(&mut self.checksums).finish();
        append_section(&mut self.file, index::KEY, &index)?;
        append_section(&mut self.file, checksums::KEY, &checksums)?;
        self.file.append_key_value_metadata(KeyValue::new(
            WIDEST_STRING_KEY.to_string(),
            self.widest_string.to_string(),
        ));
        let bytes = self.file.into_inner().map_err(write_error)?;
        let footer = &bytes[footer_start..];
        Ok(WrittenFile {
            footer_bytes: footer.len() as u64,
            footer_crc32: crc32fast::hash(footer),
            rows: self.rows,
            series: self.series.len() as u64,
            min_time: self.min_time,
            max_time: self.max_time,
            bytes,
        })
    }

    fn note_series(&mut self, merged: &Merged) {
        let mut start = 0;
        for run in merged.ranks.chunk_by(|a, b| a == b) {
            let times = &merged.times[start..start + run.len()];
            let (first_time, last_time) = (times[0], times[times.len() - 1]);
            start += run.len();
            self.min_time = self.min_time.min(first_time);
            self.max_time = self.max_time.max(last_time);
            match self.series.last_mut() {
                Some((rank, of_key)) if *rank == run[0] => {
                    of_key.rows += run.len() as u64;
                    of_key.last_time = last_time;
                }
                last => {
                    assert!(
                        last.is_none_or(|(rank, _)| *rank < run[0]),
                        "series are sorted"
                    );
                    let of_key = SeriesRows {
                        rows: run.len() as u64,
                        first_time,
                        last_time,
                    };
                    self.series.push((run[0], of_key));
                }
            }
        }
    }

    fn group_bytes(&self) -> usize {
        let group: usize = self.group.iter().map(ColumnWriter::encoded_bytes).sum();
        self.sample_bytes + group
    }

    /// Chooses encodings from the sample and encodes it.
    fn begin_group(&mut self) -> Result<(), Error> {
        let sample = std::mem::take(&mut self.sample);
        self.sample_rows = 0;
        self.sample_bytes = 0;
        for (at, column) in self.columns.iter().enumerate() {
            let values: Vec<&ArrayRef> = sample.iter().map(|batch| batch.column(at)).collect();
            let encoding = choose(column, &values, self.page_rows, &mut self.compressor)?;
            self.group
                .push(ColumnWriter::new(column, encoding, self.page_rows)?);
        }
        for batch in &sample {
            encode(&mut self.group, batch, &mut self.compressor)?;
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), Error> {
        if self.group_rows == 0 {
            return Ok(());
        }
        if self.group.is_empty() {
            self.begin_group()?;
        }
        self.group_rows = 0;
        let start = self.file.bytes_written();
        // How long each chunk is, and each of its pages.
        let mut chunks: Vec<(usize, Vec<usize>)> = Vec::with_capacity(self.columns.len());
        let mut row_group = self.file.next_row_group().map_err(write_error)?;
        for writer in std::mem::take(&mut self.group) {
            let chunk = writer.finish(&mut self.compressor)?;
            let close = chunk.close();
            let pages = close
                .offset_index
                .iter()
                .flat_map(|index| &index.page_locations);
            let pages = pages
                .map(|page| page.compressed_page_size as usize)
                .collect();
            chunks.push((close.metadata.compressed_size() as usize, pages));
            match chunk {
                ColumnChunk::Ours(chunk) => row_group.append_column(&chunk.bytes, chunk.close),
                ColumnChunk::Library(chunk) => chunk.append_to_row_group(&mut row_group),
            }
            .map_err(write_error)?;
        }
        row_group.close().map_err(write_error)?;
        self.file.flush().map_err(io_error)?;
        let mut rest = &self.file.inner()[start..];
        for (column, (bytes, pages)) in self.columns.iter().zip(chunks) {
            let (chunk, after) = rest
                .split_at_checked(bytes)
                .ok_or_else(|| Error::internal("a row group is shorter than its columns"))?;
            rest = after;
            match column.kind {
                // Our reader never reads tags.
                ColumnKind::Tag => self.checksums.whole(chunk),
                _ => self.checksums.pages(chunk, pages.into_iter())?,
            }
        }
        Ok(())
    }
}

/// Rows of the pages of a file of so many rows.
fn page_rows(rows: u64) -> usize {
    match rows {
        ..=SMALL_FILE_ROWS => SMALL_PAGE_ROWS,
        _ => PAGE_ROWS,
    }
}

fn append_section(
    file: &mut SerializedFileWriter<Vec<u8>>,
    key: &str,
    bytes: &[u8],
) -> Result<(), Error> {
    let section = Section {
        start: file.bytes_written() as u64,
        bytes: bytes.len() as u64,
    };
    file.write_all(bytes).map_err(io_error)?;
    file.append_key_value_metadata(KeyValue::new(key.to_string(), section.to_string()));
    Ok(())
}

fn encode(
    group: &mut [ColumnWriter],
    batch: &RecordBatch,
    compressor: &mut Compressor<'_>,
) -> Result<(), Error> {
    for (writer, values) in group.iter_mut().zip(batch.columns()) {
        writer.write(values, compressor)?;
    }
    Ok(())
}

pub(super) fn write_error(cause: parquet::errors::ParquetError) -> Error {
    Error::internal("cannot write a Parquet file").with_source(cause)
}

fn io_error(cause: std::io::Error) -> Error {
    Error::internal("cannot write a Parquet file").with_source(cause)
}

/// What holds for the file as a whole; columns have their own.
fn properties(columns: &[&Column]) -> WriterProperties {
    let sorting = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| !matches!(column.kind, ColumnKind::Field(_)))
        .map(|(at, _)| SortingColumn {
            column_idx: at as i32,
            descending: false,
            nulls_first: true,
        })
        .collect();
    WriterProperties::builder()
        .set_created_by(concat!("gnomon ", env!("CARGO_PKG_VERSION")).to_string())
        .set_compression(Compression::ZSTD(zstd_level()))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(sorting))
        .set_dictionary_enabled(false)
        .build()
}
