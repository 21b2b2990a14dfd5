//! A column chunk as our own column writers write it: pages with their heads, one after the other, and what is to be said of them.
//!
//! Data pages of Parquet's version 1, behind a dictionary page if there is one. Not here: how values are laid out in a page
//! ([`super::integers`], [`super::tags`]).

use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, Type};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use super::write::zstd_level;
use crate::{Error, varint};

/// Shorter repetitions than this are found by chance among packed differences, and cost more than they save.
const MATCH_BYTES_LEAST: u32 = 6;

/// Compresses the pages of all columns that we write ourselves.
pub fn compressor() -> Result<Compressor<'static>, Error> {
    let fault = |cause| Error::internal("cannot start a compressor").with_source(cause);
    let mut compressor = Compressor::new(1).map_err(fault)?;
    compressor
        .set_parameter(CParameter::MinMatch(MATCH_BYTES_LEAST))
        .map_err(fault)?;
    Ok(compressor)
}

/// A finished column chunk, to be appended to a row group.
pub struct WrittenChunk {
    pub bytes: Bytes,
    pub close: ColumnCloseResult,
}

/// The finished pages of a column chunk.
pub struct Pages {
    descriptor: ColumnDescPtr,
    bytes: Vec<u8>,
    unpacked_bytes: usize,
    rows: usize,
    nulls: usize,
    /// Bytes and rows of each.
    each: Vec<(usize, usize)>,
    bounds: ColumnIndexBuilder,
    boundary_order: BoundaryOrder,
}

/// A page to be put behind the others.
pub struct Page<'a> {
    pub rows: usize,
    pub nulls: usize,
    pub encoding: Encoding,
    /// Levels and values.
    pub body: &'a [u8],
    /// Least and largest value; empty for a page without values.
    pub bounds: (Vec<u8>, Vec<u8>),
}

/// What is known of a chunk once its last page is there.
pub struct Summary {
    pub encodings: Vec<Encoding>,
    pub statistics: Statistics,
    /// Unpacked: how many values, and these.
    pub dictionary: Option<(usize, Vec<u8>)>,
}

impl Pages {
    pub fn new(descriptor: ColumnDescPtr, physical: Type) -> Self {
        Self {
            descriptor,
            bytes: Vec::new(),
            unpacked_bytes: 0,
            rows: 0,
            nulls: 0,
            each: Vec::new(),
            bounds: ColumnIndexBuilder::new(physical),
            boundary_order: BoundaryOrder::UNORDERED,
        }
    }

    /// Whether rows may be without a value, so that pages have levels.
    pub fn have_levels(&self) -> bool {
        self.descriptor.max_def_level() > 0
    }

    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Rows without a value.
    pub fn nulls(&self) -> usize {
        self.nulls
    }

    /// How the bounds of pages follow each other; they do anyhow until this is called.
    pub fn set_boundary_order(&mut self, order: BoundaryOrder) {
        self.boundary_order = order;
    }

    pub fn put(&mut self, page: Page<'_>, compressor: &mut Compressor<'_>) -> Result<(), Error> {
        let packed = pack(page.body, compressor)?;
        let start = self.bytes.len();
        put_data_head(
            page.rows,
            page.encoding,
            page.body.len(),
            packed.len(),
            &mut self.bytes,
        );
        self.unpacked_bytes += self.bytes.len() - start + page.body.len();
        self.bytes.extend_from_slice(&packed);
        self.each.push((self.bytes.len() - start, page.rows));
        let (least, largest) = page.bounds;
        self.bounds
            .append(page.nulls == page.rows, least, largest, page.nulls as i64);
        self.rows += page.rows;
        self.nulls += page.nulls;
        Ok(())
    }

    pub fn finish(
        mut self,
        summary: Summary,
        compressor: &mut Compressor<'_>,
    ) -> Result<WrittenChunk, Error> {
        let mut dictionary = Vec::new();
        if let Some((values, body)) = &summary.dictionary {
            let packed = pack(body, compressor)?;
            put_dictionary_head(*values, body.len(), packed.len(), &mut dictionary);
            self.unpacked_bytes += dictionary.len() + body.len();
            dictionary.extend_from_slice(&packed);
        }
        let has_dictionary = summary.dictionary.is_some();
        let mut places = OffsetIndexBuilder::new();
        let mut start = dictionary.len();
        for (bytes, rows) in &self.each {
            places.append_offset_and_size(start as i64, *bytes as i32);
            places.append_row_count(*rows as i64);
            start += bytes;
        }
        let data_page_offset = dictionary.len() as i64;
        let bytes = match has_dictionary {
            true => {
                dictionary.append(&mut self.bytes);
                dictionary
            }
            false => self.bytes,
        };
        let metadata = ColumnChunkMetaData::builder(self.descriptor)
            .set_compression(Compression::ZSTD(zstd_level()))
            .set_encodings(summary.encodings)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(self.unpacked_bytes as i64)
            .set_num_values(self.rows as i64)
            .set_dictionary_page_offset(has_dictionary.then_some(0))
            .set_data_page_offset(data_page_offset)
            .set_statistics(summary.statistics)
            .build()
            .map_err(chunk_error)?;
        self.bounds.set_boundary_order(self.boundary_order);
        Ok(WrittenChunk {
            close: ColumnCloseResult {
                bytes_written: bytes.len() as u64,
                rows_written: self.rows as u64,
                metadata,
                bloom_filter: None,
                column_index: Some(self.bounds.build().map_err(chunk_error)?),
                offset_index: Some(places.build()),
            },
            bytes: bytes.into(),
        })
    }
}

fn pack(body: &[u8], compressor: &mut Compressor<'_>) -> Result<Vec<u8>, Error> {
    compressor
        .compress(body)
        .map_err(|cause| Error::internal("cannot compress a page").with_source(cause))
}

fn chunk_error(cause: parquet::errors::ParquetError) -> Error {
    Error::internal("cannot describe a column chunk").with_source(cause)
}

/// Definition levels of a column that may be null: bits in Parquet's mixture of runs and groups of eight, with their length before.
pub fn put_levels(bits: &[u8], rows: usize, values: usize, out: &mut Vec<u8>) {
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

/// Thrift's compact protocol: a number of 32 bits in the field after the one before.
const NEXT_I32: u8 = 0x15;
/// The end of a struct.
const STOP: u8 = 0;

fn put_field(value: u64, out: &mut Vec<u8>) {
    out.push(NEXT_I32);
    varint::put(out, value << 1);
}

/// The head of a data page of version 1 with levels as runs.
fn put_data_head(
    rows: usize,
    encoding: Encoding,
    body_bytes: usize,
    packed_bytes: usize,
    out: &mut Vec<u8>,
) {
    const STRUCT_AFTER_TWO: u8 = 0x2c;
    const DATA_PAGE: u64 = 0;
    const RLE: u64 = 3;
    put_field(DATA_PAGE, out);
    put_field(body_bytes as u64, out);
    put_field(packed_bytes as u64, out);
    out.push(STRUCT_AFTER_TWO);
    put_field(rows as u64, out);
    put_field(encoding as u64, out);
    put_field(RLE, out);
    put_field(RLE, out);
    out.extend([STOP, STOP]);
}

/// The head of a dictionary page.
fn put_dictionary_head(values: usize, body_bytes: usize, packed_bytes: usize, out: &mut Vec<u8>) {
    const STRUCT_AFTER_FOUR: u8 = 0x4c;
    const DICTIONARY_PAGE: u64 = 2;
    put_field(DICTIONARY_PAGE, out);
    put_field(body_bytes as u64, out);
    put_field(packed_bytes as u64, out);
    out.push(STRUCT_AFTER_FOUR);
    put_field(values as u64, out);
    put_field(Encoding::PLAIN as u64, out);
    out.extend([STOP, STOP]);
}
