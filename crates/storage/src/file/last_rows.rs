//! The last row of each series of a file, side by side: what a question for the newest values reads instead of the file.
//!
//! A section of its own in front of the series index; the footer's key-value metadata says where ([`KEY`]). Bytes:
//! docs/formats/parquet.md. Left out where series are short, or many and wide. Not here: which file has the newest row (`scan`).

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Schema, SchemaRef, TimestampNanosecondType};
use bytes::Bytes;
use catalog::ColumnKind;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::index::ROWS_PER_SERIES_LEAST;
use super::write::{write_error, zstd_level};
use crate::Error;
use crate::merge::Merged;

/// Key of the footer's key-value metadata; its value is a [`super::read::Section`].
pub const KEY: &str = "gnomon.last_rows.v1";

/// In front of the rows: their CRC-32.
const CHECKSUM_BYTES: usize = 4;

/// Last rows beyond this are not kept: a writer holds them until its file ends.
const BYTES_MAX: usize = 16 << 20;

/// Name of the time column.
const TIME: &str = "time";

/// The last rows of a file in the making.
#[derive(Debug)]
pub struct LastRowsWriter {
    /// `time` and the fields.
    columns: Vec<usize>,
    schema: SchemaRef,
    /// Of the series that have ended, in file order.
    ended: Vec<RecordBatch>,
    ended_bytes: usize,
    /// The rank of the series that may go on, and its last row so far.
    current: Option<(u32, RecordBatch)>,
    is_too_much: bool,
}

impl LastRowsWriter {
    /// For a file with columns of these kinds.
    pub fn new(
        kinds: impl Iterator<Item = ColumnKind>,
        file_schema: &Schema,
    ) -> Result<Self, Error> {
        let columns: Vec<usize> = kinds
            .enumerate()
            .filter(|(_, kind)| *kind != ColumnKind::Tag)
            .map(|(at, _)| at)
            .collect();
        let schema = file_schema
            .project(&columns)
            .map_err(|cause| Error::internal("a file lacks a column").with_source(cause))?;
        Ok(Self {
            columns,
            schema: Arc::new(schema.with_metadata(Default::default())),
            ended: Vec::new(),
            ended_bytes: 0,
            current: None,
            is_too_much: false,
        })
    }

    /// Takes note of rows that come after all earlier ones in (series, time).
    pub fn note(&mut self, merged: &Merged) -> Result<(), Error> {
        if self.is_too_much {
            return Ok(());
        }
        let mut lasts: Vec<u32> = Vec::new();
        let mut end = 0;
        for run in merged.ranks.chunk_by(|a, b| a == b) {
            end += run.len() as u32;
            lasts.push(end - 1);
        }
        let (Some(first_rank), Some(last_rank)) = (merged.ranks.first(), merged.ranks.last())
        else {
            return Ok(());
        };
        if let Some((rank, row)) = self.current.take()
            && rank != *first_rank
        {
            self.end(row);
        }
        let last = lasts.pop().map_or_else(Vec::new, |row| vec![row]);
        if !lasts.is_empty() {
            let rows = self.rows(&merged.batch, lasts)?;
            self.end(rows);
        }
        self.current = Some((*last_rank, self.rows(&merged.batch, last)?));
        Ok(())
    }

    /// Copies rows, so that the batch they come from can go.
    fn rows(&self, batch: &RecordBatch, rows: Vec<u32>) -> Result<RecordBatch, Error> {
        let fault = |cause| Error::internal("cannot copy last rows").with_source(cause);
        let columns = self.columns.iter().map(|at| Arc::clone(batch.column(*at)));
        let batch =
            RecordBatch::try_new(Arc::clone(&self.schema), columns.collect()).map_err(fault)?;
        take_record_batch(&batch, &UInt32Array::from(rows)).map_err(fault)
    }

    fn end(&mut self, rows: RecordBatch) {
        self.ended_bytes += rows.get_array_memory_size();
        self.ended.push(rows);
        if self.ended_bytes > BYTES_MAX {
            self.is_too_much = true;
            self.ended = Vec::new();
        }
    }

    /// The section for a file of so many rows and series; `None` when it has none.
    pub fn finish(mut self, rows: u64, series: u64) -> Result<Option<Vec<u8>>, Error> {
        if let Some((_, row)) = self.current.take() {
            self.end(row);
        }
        if self.is_too_much || series == 0 || rows / series < ROWS_PER_SERIES_LEAST {
            return Ok(None);
        }
        let rows = concat_batches(&self.schema, &self.ended)
            .map_err(|cause| Error::internal("cannot join last rows").with_source(cause))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(zstd_level()))
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true)
            .build();
        let mut writer = ArrowWriter::try_new(
            vec![0; CHECKSUM_BYTES],
            Arc::clone(&self.schema),
            Some(properties),
        )
        .map_err(write_error)?;
        writer.write(&rows).map_err(write_error)?;
        let mut section = writer.into_inner().map_err(write_error)?;
        let checksum = crc32fast::hash(&section[CHECKSUM_BYTES..]);
        section[..CHECKSUM_BYTES].copy_from_slice(&checksum.to_le_bytes());
        Ok(Some(section))
    }
}

/// The last rows of all series of a file, in file order.
#[derive(Debug)]
pub struct LastRows {
    pub times: ScalarBuffer<i64>,
    /// As they were asked for; `None` where the file does not have the field.
    pub fields: Vec<Option<ArrayRef>>,
}

impl LastRows {
    /// Reads a section for these fields. Errors: `Corrupt`; panics only where the Parquet reader does, on bytes whose checksum is right.
    pub fn decode(section: &Bytes, fields: &[String]) -> Result<Self, Error> {
        let damaged = || Error::corrupt("the last rows are damaged");
        let (checksum, _) = section
            .split_first_chunk::<CHECKSUM_BYTES>()
            .ok_or_else(damaged)?;
        let packed = section.slice(CHECKSUM_BYTES..);
        if crc32fast::hash(&packed) != u32::from_le_bytes(*checksum) {
            return Err(damaged());
        }
        let unreadable = |cause| damaged().with_source(cause);
        let reader = ParquetRecordBatchReaderBuilder::try_new(packed).map_err(unreadable)?;
        let columns = reader.schema().fields().iter().enumerate();
        let wanted: Vec<usize> = columns
            .filter(|(_, column)| column.name() == TIME || fields.contains(column.name()))
            .map(|(at, _)| at)
            .collect();
        let mask = ProjectionMask::roots(reader.parquet_schema(), wanted);
        let rows = usize::try_from(reader.metadata().file_metadata().num_rows());
        let mut batches = reader
            .with_projection(mask)
            .with_batch_size(rows.map_err(|_| damaged())?.max(1))
            .build()
            .map_err(unreadable)?;
        let batch = batches
            .next()
            .ok_or_else(damaged)?
            .map_err(|cause| damaged().with_source(cause))?;
        let times = batch
            .column_by_name(TIME)
            .and_then(|times| times.as_primitive_opt::<TimestampNanosecondType>())
            .ok_or_else(damaged)?;
        Ok(Self {
            times: times.values().clone(),
            fields: fields
                .iter()
                .map(|name| batch.column_by_name(name).map(Arc::clone))
                .collect(),
        })
    }
}
