//! Column chunks of 64-bit integers and times, encoded as [`super::delta`] does.
//!
//! The Parquet library's own writer packs differences as narrowly as they go, which zstd cannot better; this one writes the same
//! standard pages with the layout chosen by us. Not here: which columns are written like this ([`super::encoding`]).

use arrow::array::{Array, ArrayRef, AsArray, BooleanBufferBuilder};
use arrow::datatypes::{DataType, Int64Type, TimestampNanosecondType, UInt64Type};
use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, Type};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use super::delta::{self, Widths};
use super::write::zstd_level;
use crate::{Error, varint};

/// Shorter repetitions than this are found by chance among packed differences, and cost more than they save.
const MATCH_BYTES_LEAST: u32 = 6;

/// Compresses the pages of all integer columns.
pub fn compressor() -> Result<Compressor<'static>, Error> {
    let fault = |cause| Error::internal("cannot start a compressor").with_source(cause);
    let mut compressor = Compressor::new(1).map_err(fault)?;
    compressor
        .set_parameter(CParameter::MinMatch(MATCH_BYTES_LEAST))
        .map_err(fault)?;
    Ok(compressor)
}

/// A column chunk being written.
pub struct IntegerColumn {
    descriptor: ColumnDescPtr,
    widths: Widths,
    page_rows: usize,
    /// Values compare as `u64`.
    unsigned: bool,
    /// Of the page in progress: its values, and which of its rows have one.
    values: Vec<i64>,
    present: BooleanBufferBuilder,
    /// Finished pages.
    bytes: Vec<u8>,
    unpacked_bytes: usize,
    rows: usize,
    nulls: usize,
    bounds: Option<(i64, i64)>,
    pages: OffsetIndexBuilder,
    page_bounds: ColumnIndexBuilder,
}

/// A finished column chunk, to be appended to a row group.
pub struct IntegerChunk {
    pub bytes: Bytes,
    pub close: ColumnCloseResult,
}

impl IntegerColumn {
    /// `unsigned`: values are `u64`.
    pub fn new(
        descriptor: ColumnDescPtr,
        unsigned: bool,
        widths: Widths,
        page_rows: usize,
    ) -> Self {
        Self {
            descriptor,
            widths,
            page_rows,
            unsigned,
            values: Vec::new(),
            present: BooleanBufferBuilder::new(0),
            bytes: Vec::new(),
            unpacked_bytes: 0,
            rows: 0,
            nulls: 0,
            bounds: None,
            pages: OffsetIndexBuilder::new(),
            page_bounds: ColumnIndexBuilder::new(Type::INT64),
        }
    }

    /// Appends an array of `Int64`, `UInt64` or nanoseconds. Errors: `Internal` for others.
    pub fn write(
        &mut self,
        values: &ArrayRef,
        compressor: &mut Compressor<'_>,
    ) -> Result<(), Error> {
        let mut start = 0;
        while start < values.len() {
            let taken = (self.page_rows - self.present.len()).min(values.len() - start);
            self.buffer(&values.slice(start, taken))?;
            start += taken;
            if self.present.len() == self.page_rows {
                self.end_page(compressor)?;
            }
        }
        Ok(())
    }

    /// Bytes of the chunk so far, and held for it.
    pub fn encoded_bytes(&self) -> usize {
        // What is buffered will be far less when it is encoded.
        self.bytes.len() + self.values.len()
    }

    pub fn finish(mut self, compressor: &mut Compressor<'_>) -> Result<IntegerChunk, Error> {
        if !self.present.is_empty() {
            self.end_page(compressor)?;
        }
        let signed = !self.unsigned;
        let statistics = Statistics::Int64(
            ValueStatistics::new(
                self.bounds.map(|(least, _)| least),
                self.bounds.map(|(_, largest)| largest),
                None,
                Some(self.nulls as u64),
                false,
            )
            .with_backwards_compatible_min_max(signed),
        );
        let metadata = ColumnChunkMetaData::builder(self.descriptor)
            .set_compression(Compression::ZSTD(zstd_level()))
            .set_encodings(vec![Encoding::DELTA_BINARY_PACKED, Encoding::RLE])
            .set_total_compressed_size(self.bytes.len() as i64)
            .set_total_uncompressed_size(self.unpacked_bytes as i64)
            .set_num_values(self.rows as i64)
            .set_data_page_offset(0)
            .set_statistics(statistics)
            .build()
            .map_err(column_error)?;
        self.page_bounds
            .set_boundary_order(BoundaryOrder::UNORDERED);
        Ok(IntegerChunk {
            close: ColumnCloseResult {
                bytes_written: self.bytes.len() as u64,
                rows_written: self.rows as u64,
                metadata,
                bloom_filter: None,
                column_index: Some(self.page_bounds.build().map_err(column_error)?),
                offset_index: Some(self.pages.build()),
            },
            bytes: self.bytes.into(),
        })
    }

    fn buffer(&mut self, array: &ArrayRef) -> Result<(), Error> {
        match array.data_type() {
            DataType::Int64 => self.extend(array, array.as_primitive::<Int64Type>().values()),
            DataType::Timestamp(..) => {
                let times = array
                    .as_primitive_opt::<TimestampNanosecondType>()
                    .ok_or_else(|| Error::internal("times that are not in nanoseconds"))?;
                self.extend(array, times.values());
            }
            DataType::UInt64 => {
                let values = array.as_primitive::<UInt64Type>().values().iter();
                let values: Vec<i64> = values.map(|value| *value as i64).collect();
                self.extend(array, &values);
            }
            other => {
                return Err(Error::internal(format!(
                    "a column of {other} is no integers"
                )));
            }
        }
        Ok(())
    }

    fn extend(&mut self, array: &ArrayRef, values: &[i64]) {
        match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => {
                self.values.extend_from_slice(values);
                self.present.append_n(values.len(), true);
            }
            Some(nulls) => {
                self.values
                    .extend(nulls.valid_indices().map(|row| values[row]));
                self.present.append_buffer(nulls.inner());
            }
        }
    }

    fn end_page(&mut self, compressor: &mut Compressor<'_>) -> Result<(), Error> {
        let rows = self.present.len();
        let present = self.present.finish();
        let mut body = Vec::new();
        if self.descriptor.max_def_level() > 0 {
            put_levels(present.values(), rows, self.values.len(), &mut body);
        }
        delta::encode(&self.values, self.widths, &mut body);
        let packed = compressor
            .compress(&body)
            .map_err(|cause| Error::internal("cannot compress a page").with_source(cause))?;
        let start = self.bytes.len();
        put_header(rows, body.len(), packed.len(), &mut self.bytes);
        self.unpacked_bytes += self.bytes.len() - start + body.len();
        self.bytes.extend_from_slice(&packed);
        self.pages
            .append_offset_and_size(start as i64, (self.bytes.len() - start) as i32);
        self.pages.append_row_count(rows as i64);
        self.note_bounds(rows);
        self.rows += rows;
        self.values.clear();
        Ok(())
    }

    fn note_bounds(&mut self, rows: usize) {
        // Flipping the top bit makes signed order of unsigned.
        let flip = if self.unsigned { i64::MIN } else { 0 };
        let order = |value: &i64| *value ^ flip;
        let least = self.values.iter().copied().min_by_key(order);
        let largest = self.values.iter().copied().max_by_key(order);
        let nulls = rows - self.values.len();
        self.nulls += nulls;
        let bytes = |bound: Option<i64>| bound.map_or_else(Vec::new, |it| it.to_le_bytes().into());
        self.page_bounds.append(
            self.values.is_empty(),
            bytes(least),
            bytes(largest),
            nulls as i64,
        );
        if let (Some(least), Some(largest)) = (least, largest) {
            self.bounds = Some(match self.bounds {
                None => (least, largest),
                Some((before, after)) => (
                    if order(&least) < order(&before) {
                        least
                    } else {
                        before
                    },
                    if order(&largest) > order(&after) {
                        largest
                    } else {
                        after
                    },
                ),
            });
        }
    }
}

fn column_error(cause: parquet::errors::ParquetError) -> Error {
    Error::internal("cannot describe a column chunk").with_source(cause)
}

/// Definition levels of a column that may be null: bits in Parquet's mixture of runs and groups of eight, with their length before.
fn put_levels(bits: &[u8], rows: usize, values: usize, out: &mut Vec<u8>) {
    let at = out.len();
    out.extend([0; 4]);
    if values == rows || values == 0 {
        varint::put(out, (rows as u64) << 1);
        out.push(u8::from(values > 0));
    } else {
        let groups = rows.div_ceil(8);
        let mut group = 0;
        while group < groups {
            let same = bits[group..groups]
                .iter()
                .take_while(|byte| **byte == bits[group] && matches!(**byte, 0 | 0xff))
                .count();
            // The last group may stand for fewer rows: a run of more than there are is cut off by the reader, but not by all.
            let same = if group + same == groups && !rows.is_multiple_of(8) {
                same.saturating_sub(1)
            } else {
                same
            };
            if same >= RUN_GROUPS_LEAST {
                varint::put(out, (same as u64 * 8) << 1);
                out.push(bits[group] & 1);
                group += same;
                continue;
            }
            let start = group;
            group += same.max(1);
            while group < groups && !starts_run(&bits[group..groups]) {
                group += 1;
            }
            varint::put(out, ((group - start) as u64) << 1 | 1);
            out.extend_from_slice(&bits[start..group]);
        }
    }
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// Groups of equal bits from which a run is shorter than spelling them out.
const RUN_GROUPS_LEAST: usize = 4;

fn starts_run(bits: &[u8]) -> bool {
    // One more than a run needs, for the last group may not belong to it.
    bits.len() > RUN_GROUPS_LEAST
        && matches!(bits[0], 0 | 0xff)
        && bits[..=RUN_GROUPS_LEAST]
            .iter()
            .all(|byte| *byte == bits[0])
}

/// A page header in Thrift's compact protocol: a data page of version 1 with levels as runs.
fn put_header(rows: usize, body_bytes: usize, packed_bytes: usize, out: &mut Vec<u8>) {
    const NEXT_I32: u8 = 0x15;
    const STRUCT_AFTER_TWO: u8 = 0x2c;
    const STOP: u8 = 0;
    const DATA_PAGE: u64 = 0;
    const RLE: u64 = 3;
    const DELTA_BINARY_PACKED: u64 = 5;
    let mut field = |value: u64| {
        out.push(NEXT_I32);
        varint::put(out, value << 1);
    };
    field(DATA_PAGE);
    field(body_bytes as u64);
    field(packed_bytes as u64);
    out.push(STRUCT_AFTER_TWO);
    let mut field = |value: u64| {
        out.push(NEXT_I32);
        varint::put(out, value << 1);
    };
    field(rows as u64);
    field(DELTA_BINARY_PACKED);
    field(RLE);
    field(RLE);
    out.extend([STOP, STOP]);
}
