//! Writing a file: sorted batches in, Parquet bytes out.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use catalog::{Column, ColumnKind, FieldType, Table};
use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::index;
use crate::Error;
use crate::batch::widest_string;
use crate::merge::Merged;
use crate::schema::{field, table_metadata};

/// Key of the footer's key-value metadata: bytes of the longest string of any field, in decimal.
pub const WIDEST_STRING_KEY: &str = "gnomon.widest_string.v1";

/// Rows of a row group.
const ROW_GROUP_ROWS: usize = 1 << 18;

/// Rows of a page: what one point lookup must decode.
const PAGE_ROWS: usize = 1 << 13;

/// A file being written in memory.
pub struct FileWriter {
    writer: ArrowWriter<Vec<u8>>,
    /// Rank of each series met, in order, and its rows.
    series: Vec<(u32, u64)>,
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
    /// `schema` is of [`file_schema`] for `columns`.
    pub fn new(columns: &[&Column], schema: SchemaRef) -> Result<Self, Error> {
        let writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties(columns)))
            .map_err(write_error)?;
        Ok(Self {
            writer,
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

    /// Bytes of the file so far, those of the row group under construction included as far as they are encoded.
    pub fn encoded_bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// Appends rows that come after all earlier ones in (series, time).
    pub fn write(&mut self, merged: &Merged) -> Result<(), Error> {
        let batch: &RecordBatch = &merged.batch;
        self.writer.write(batch).map_err(write_error)?;
        for run in merged.ranks.chunk_by(|a, b| a == b) {
            match self.series.last_mut() {
                Some((rank, rows)) if *rank == run[0] => *rows += run.len() as u64,
                last => {
                    assert!(
                        last.is_none_or(|(rank, _)| *rank < run[0]),
                        "series are sorted"
                    );
                    self.series.push((run[0], run.len() as u64));
                }
            }
        }
        for time in &merged.times {
            self.min_time = self.min_time.min(*time);
            self.max_time = self.max_time.max(*time);
        }
        for values in batch.columns() {
            self.widest_string = self.widest_string.max(widest_string(values));
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Ends the file; `keys` gives the key of each rank.
    pub fn finish<'a>(mut self, keys: impl Fn(u32) -> &'a [u8]) -> Result<WrittenFile, Error> {
        let entries = self.series.iter().map(|(rank, rows)| (keys(*rank), *rows));
        let index = index::encode(entries)?;
        self.writer
            .append_key_value_metadata(KeyValue::new(index::KEY.to_string(), index));
        self.writer.append_key_value_metadata(KeyValue::new(
            WIDEST_STRING_KEY.to_string(),
            self.widest_string.to_string(),
        ));
        let bytes = self.writer.into_inner().map_err(write_error)?;
        Ok(WrittenFile {
            bytes,
            rows: self.rows,
            series: self.series.len() as u64,
            min_time: self.min_time,
            max_time: self.max_time,
        })
    }
}

fn write_error(cause: parquet::errors::ParquetError) -> Error {
    Error::internal("cannot write a Parquet file").with_source(cause)
}

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
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("gnomon ", env!("CARGO_PKG_VERSION")).to_string())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_sorting_columns(Some(sorting))
        .set_dictionary_enabled(false);
    for column in columns {
        let path = ColumnPath::new(vec![column.name.to_string()]);
        properties = match column.kind {
            ColumnKind::Tag | ColumnKind::Field(FieldType::String) => {
                properties.set_column_dictionary_enabled(path, true)
            }
            ColumnKind::Time
            | ColumnKind::Field(FieldType::Integer)
            | ColumnKind::Field(FieldType::Unsigned) => {
                properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
            }
            ColumnKind::Field(FieldType::Float) => {
                properties.set_column_encoding(path, Encoding::BYTE_STREAM_SPLIT)
            }
            ColumnKind::Field(FieldType::Boolean) => {
                properties.set_column_encoding(path, Encoding::RLE)
            }
        };
    }
    properties.build()
}
