//! Version 1 of the log's bytes: segment header, frame header, batches. Frozen once released.
//!
//! Decoding trusts nothing: lengths are checked against what is there, sizes against [`CELLS_MAX`], and no input
//! makes it panic or take memory out of proportion.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use catalog::{ColumnId, DatabaseId, TableId};

use crate::Error;
use crate::batch::Batch;
use crate::series::SeriesTable;
use crate::varint;

/// First bytes of every segment.
pub const MAGIC: &[u8; 8] = b"GNOMWAL1";

/// Magic, epoch, segment number, checksum of those.
pub const SEGMENT_HEADER_BYTES: usize = 8 + 8 + 8 + 4;

/// Payload length, payload checksum, sequence, codec, three zeros, checksum of those.
pub const FRAME_HEADER_BYTES: usize = 4 + 4 + 8 + 4 + 4;

/// Most values (rows times columns) that one batch may unfold into.
pub const CELLS_MAX: u64 = 1 << 26;

const CODEC_PLAIN: u8 = 0;
const CODEC_ZSTD: u8 = 1;

/// Largest payload, before and after decompression.
const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Of the process that wrote it; see the manifest.
    pub epoch: u64,
    pub number: u64,
}

pub fn encode_segment_header(header: SegmentHeader) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&header.epoch.to_le_bytes());
    bytes[16..24].copy_from_slice(&header.number.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..24]);
    bytes[24..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

pub fn decode_segment_header(bytes: &[u8]) -> Result<SegmentHeader, Error> {
    let mut reader = Reader { rest: bytes };
    let covered = bytes.get(..24).ok_or_else(short)?;
    if reader.take(8)? != MAGIC {
        return Err(Error::corrupt(
            "not a log segment, or one of a newer version",
        ));
    }
    let header = SegmentHeader {
        epoch: reader.u64()?,
        number: reader.u64()?,
    };
    if reader.u32()? != crc32fast::hash(covered) {
        return Err(Error::corrupt(
            "checksum of the segment header does not match",
        ));
    }
    Ok(header)
}

/// A frame's header and its payload, ready to be given a sequence and written.
#[derive(Debug)]
pub struct Payload {
    bytes: Vec<u8>,
    codec: u8,
    checksum: u32,
}

impl Payload {
    /// Encodes one write: its batches, all tables of it.
    pub fn encode(batches: &[(&Batch, &SeriesTable)], compress: bool) -> Result<Self, Error> {
        let mut bytes =
            Vec::with_capacity(256 + batches.iter().map(|(b, _)| b.rows() * 32).sum::<usize>());
        varint::put(&mut bytes, batches.len() as u64);
        for (batch, series) in batches {
            encode_batch(batch, series, &mut bytes)?;
        }
        let mut codec = CODEC_PLAIN;
        if compress {
            bytes = zstd::bulk::compress(&bytes, 1).map_err(|cause| {
                Error::internal("cannot compress a log frame").with_source(cause)
            })?;
            codec = CODEC_ZSTD;
        }
        if bytes.len() > PAYLOAD_BYTES_MAX {
            return Err(Error::new(
                crate::ErrorKind::TooLarge,
                format!("a write of {} log bytes is too large", bytes.len()),
            ));
        }
        let checksum = crc32fast::hash(&bytes);
        Ok(Self {
            bytes,
            codec,
            checksum,
        })
    }

    /// Bytes of the whole frame.
    pub fn frame_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.bytes.len()
    }

    /// Appends the frame to `out` under `sequence`.
    pub fn write_frame(&self, sequence: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend((self.bytes.len() as u32).to_le_bytes());
        out.extend(self.checksum.to_le_bytes());
        out.extend(sequence.to_le_bytes());
        out.extend([self.codec, 0, 0, 0]);
        let checksum = crc32fast::hash(&out[start..]);
        out.extend(checksum.to_le_bytes());
        out.extend_from_slice(&self.bytes);
    }
}

/// A frame found in a segment.
#[derive(Debug)]
pub struct Frame<'a> {
    pub sequence: u64,
    codec: u8,
    payload: &'a [u8],
    payload_is_sound: bool,
    /// Bytes from the start of this frame to the start of the next.
    pub bytes: usize,
}

/// The frame at the start of `bytes`; `None` at their end.
///
/// Errors: `Corrupt` when no frame begins here, so that nothing behind it can be found either.
pub fn next_frame(bytes: &[u8]) -> Result<Option<Frame<'_>>, Error> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut reader = Reader { rest: bytes };
    let covered = bytes.get(..FRAME_HEADER_BYTES - 4).ok_or_else(short)?;
    let length = reader.u32()? as usize;
    let payload_checksum = reader.u32()?;
    let sequence = reader.u64()?;
    let codec = reader.u8()?;
    reader.take(3)?;
    if reader.u32()? != crc32fast::hash(covered) {
        return Err(Error::corrupt(
            "checksum of the frame header does not match",
        ));
    }
    let payload = reader.take(length)?;
    Ok(Some(Frame {
        sequence,
        codec,
        payload,
        payload_is_sound: crc32fast::hash(payload) == payload_checksum,
        bytes: FRAME_HEADER_BYTES + length,
    }))
}

impl Frame<'_> {
    /// Decodes the write in this frame.
    pub fn decode(&self) -> Result<Vec<DecodedBatch>, Error> {
        if !self.payload_is_sound {
            return Err(Error::corrupt("checksum of the frame does not match"));
        }
        match self.codec {
            CODEC_PLAIN => decode_payload(self.payload),
            CODEC_ZSTD => {
                let bound = zstd::zstd_safe::get_frame_content_size(self.payload)
                    .ok()
                    .flatten()
                    .and_then(|bytes| usize::try_from(bytes).ok())
                    .filter(|bytes| *bytes <= PAYLOAD_BYTES_MAX)
                    .ok_or_else(|| Error::corrupt("the frame does not tell its size"))?;
                let plain = zstd::bulk::decompress(self.payload, bound).map_err(|cause| {
                    Error::corrupt("the frame does not decompress").with_source(cause)
                })?;
                decode_payload(&plain)
            }
            other => Err(Error::corrupt(format!("frame codec {other} is not known"))),
        }
    }
}

/// A batch as it stands in the log: with series keys instead of numbers.
#[derive(Debug)]
pub struct DecodedBatch {
    pub database: DatabaseId,
    pub table: TableId,
    pub series_keys: Vec<Vec<u8>>,
    /// One per row, an index into `series_keys`.
    pub series: Vec<u32>,
    pub times: Vec<i64>,
    /// In the order of their ids, no id twice.
    pub columns: Vec<(ColumnId, ArrayRef)>,
}

fn encode_batch(batch: &Batch, series: &SeriesTable, out: &mut Vec<u8>) -> Result<(), Error> {
    varint::put(out, u64::from(batch.database.0));
    varint::put(out, u64::from(batch.table.0));
    varint::put(out, batch.rows() as u64);
    encode_series(batch, series, out);
    put_integers(out, batch.times.iter().copied());
    varint::put(out, batch.columns.len() as u64);
    for (id, values) in &batch.columns {
        varint::put(out, u64::from(id.0));
        encode_column(values, out)?;
    }
    Ok(())
}

fn encode_series(batch: &Batch, series: &SeriesTable, out: &mut Vec<u8>) {
    let mut local = hashbrown::HashMap::new();
    let mut distinct: Vec<u32> = Vec::new();
    let mut last = None;
    let indices: Vec<i64> = batch
        .series
        .iter()
        .map(|&number| match last {
            Some((seen, index)) if seen == number => index,
            _ => {
                let index = *local.entry(number).or_insert_with(|| {
                    distinct.push(number);
                    distinct.len() as i64 - 1
                });
                last = Some((number, index));
                index
            }
        })
        .collect();
    varint::put(out, distinct.len() as u64);
    for number in distinct {
        let key = series.key(number);
        varint::put(out, key.len() as u64);
        out.extend_from_slice(key);
    }
    put_integers(out, indices.iter().copied());
}

const FLOAT: u8 = 1;
const INTEGER: u8 = 2;
const UNSIGNED: u8 = 3;
const STRING: u8 = 4;
const BOOLEAN: u8 = 5;

/// Type, whether nulls follow as bits, then the values that are not null.
fn encode_column(values: &ArrayRef, out: &mut Vec<u8>) -> Result<(), Error> {
    let kind = match values.data_type() {
        DataType::Float64 => FLOAT,
        DataType::Int64 => INTEGER,
        DataType::UInt64 => UNSIGNED,
        DataType::Utf8 => STRING,
        DataType::Boolean => BOOLEAN,
        other => {
            return Err(Error::internal(format!(
                "a field cannot be of type {other}"
            )));
        }
    };
    out.push(kind);
    let nulls = values.nulls().filter(|nulls| nulls.null_count() > 0);
    out.push(u8::from(nulls.is_some()));
    if let Some(nulls) = nulls {
        put_bits(out, nulls.iter());
    }
    let valid = |row: &usize| nulls.is_none_or(|nulls| nulls.is_valid(*row));
    let rows = (0..values.len()).filter(valid);
    match kind {
        FLOAT => {
            let values = values.as_primitive::<Float64Type>().values();
            for row in rows {
                out.extend(values[row].to_le_bytes());
            }
        }
        INTEGER => {
            let values = values.as_primitive::<Int64Type>().values();
            match nulls {
                None => put_integers(out, values.iter().copied()),
                Some(_) => put_integers(out, rows.map(|row| values[row])),
            }
        }
        UNSIGNED => {
            let values = values.as_primitive::<UInt64Type>().values();
            put_integers(out, rows.map(|row| values[row] as i64));
        }
        STRING => {
            let values = values.as_string::<i32>();
            put_integers(out, rows.clone().map(|row| values.value(row).len() as i64));
            for row in rows {
                out.extend_from_slice(values.value(row).as_bytes());
            }
        }
        _ => {
            let values = values.as_boolean();
            put_bits(out, rows.map(|row| values.value(row)));
        }
    }
    Ok(())
}

fn decode_payload(bytes: &[u8]) -> Result<Vec<DecodedBatch>, Error> {
    let mut reader = Reader { rest: bytes };
    let count = reader.count(4)?;
    let mut cells_left = CELLS_MAX;
    let mut batches = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        batches.push(decode_batch(&mut reader, &mut cells_left)?);
    }
    if !reader.rest.is_empty() {
        return Err(Error::corrupt("bytes left over behind the last batch"));
    }
    Ok(batches)
}

fn decode_batch(reader: &mut Reader<'_>, cells_left: &mut u64) -> Result<DecodedBatch, Error> {
    let database = DatabaseId(reader.small("database id")?);
    let table = TableId(reader.small("table id")?);
    let rows: u32 = reader.small("row count")?;
    let rows = rows as usize;
    spend(cells_left, rows, 2)?;
    let keys = reader.count(1)?;
    let mut series_keys = Vec::with_capacity(keys);
    for _ in 0..keys {
        let length = reader.count(1)?;
        series_keys.push(reader.take(length)?.to_vec());
    }
    let series = reader
        .integers(rows)?
        .into_iter()
        .map(|index| {
            u32::try_from(index)
                .ok()
                .filter(|index| (*index as usize) < keys)
                .ok_or_else(|| Error::corrupt(format!("series index {index} is out of range")))
        })
        .collect::<Result<Vec<u32>, Error>>()?;
    let times = reader.integers(rows)?;
    let count = reader.count(3)?;
    spend(cells_left, rows, count)?;
    let mut columns: Vec<(ColumnId, ArrayRef)> = Vec::with_capacity(count);
    for _ in 0..count {
        let id = ColumnId(reader.small("column id")?);
        if columns.last().is_some_and(|(last, _)| *last >= id) {
            return Err(Error::corrupt(format!(
                "column id {} is out of order",
                id.0
            )));
        }
        columns.push((id, decode_column(reader, rows)?));
    }
    Ok(DecodedBatch {
        database,
        table,
        series_keys,
        series,
        times,
        columns,
    })
}

fn spend(cells_left: &mut u64, rows: usize, columns: usize) -> Result<(), Error> {
    let cells = (rows as u64).saturating_mul(columns as u64);
    *cells_left = cells_left
        .checked_sub(cells)
        .ok_or_else(|| Error::corrupt(format!("{rows} rows of {columns} columns are too many")))?;
    Ok(())
}

fn decode_column(reader: &mut Reader<'_>, rows: usize) -> Result<ArrayRef, Error> {
    let kind = reader.u8()?;
    let nulls = match reader.u8()? {
        0 => None,
        1 => Some(NullBuffer::new(reader.bits(rows)?)),
        other => return Err(Error::corrupt(format!("null marker {other} is not known"))),
    };
    let valid = rows - nulls.as_ref().map_or(0, NullBuffer::null_count);
    let array: ArrayRef = match kind {
        FLOAT => {
            let bytes = reader.take(valid.checked_mul(8).ok_or_else(short)?)?;
            let values = bytes
                .chunks_exact(8)
                .map(|chunk| f64::from_le_bytes(chunk.try_into().unwrap_or_default()));
            Arc::new(Float64Array::new(
                spread(values, rows, nulls.as_ref()),
                nulls,
            ))
        }
        INTEGER => {
            let values = reader.integers(valid)?.into_iter();
            Arc::new(Int64Array::new(spread(values, rows, nulls.as_ref()), nulls))
        }
        UNSIGNED => {
            let values = reader
                .integers(valid)?
                .into_iter()
                .map(|value| value as u64);
            Arc::new(UInt64Array::new(
                spread(values, rows, nulls.as_ref()),
                nulls,
            ))
        }
        STRING => decode_strings(reader, rows, valid, nulls)?,
        BOOLEAN => {
            let bits = reader.bits(valid)?;
            let mut next = bits.iter();
            let values = (0..rows).map(|row| match &nulls {
                Some(nulls) if nulls.is_null(row) => false,
                _ => next.next().unwrap_or_default(),
            });
            Arc::new(BooleanArray::new(BooleanBuffer::from_iter(values), nulls))
        }
        other => return Err(Error::corrupt(format!("column type {other} is not known"))),
    };
    Ok(array)
}

fn decode_strings(
    reader: &mut Reader<'_>,
    rows: usize,
    valid: usize,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, Error> {
    let lengths = reader.integers(valid)?;
    let mut lengths = lengths.into_iter();
    let mut end: i32 = 0;
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0);
    for row in 0..rows {
        if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
            let length = lengths.next().and_then(|length| i32::try_from(length).ok());
            end = length
                .filter(|length| *length >= 0)
                .and_then(|length| end.checked_add(length))
                .ok_or_else(|| Error::corrupt("string lengths are out of range"))?;
        }
        offsets.push(end);
    }
    let text = reader.take(end as usize)?;
    StringArray::try_new(
        OffsetBuffer::new(ScalarBuffer::from(offsets)),
        Buffer::from(text),
        nulls,
    )
    .map(|array| Arc::new(array) as ArrayRef)
    .map_err(|cause| Error::corrupt("a string column is damaged").with_source(cause))
}

/// Puts each value at a row that is not null, zeros at the others.
fn spread<T: Copy + Default + arrow::datatypes::ArrowNativeType>(
    mut values: impl Iterator<Item = T>,
    rows: usize,
    nulls: Option<&NullBuffer>,
) -> ScalarBuffer<T> {
    match nulls {
        None => values.collect(),
        Some(nulls) => (0..rows)
            .map(|row| {
                if nulls.is_valid(row) {
                    values.next().unwrap_or_default()
                } else {
                    T::default()
                }
            })
            .collect(),
    }
}

/// Smallest value, width in bytes, then each value's distance from the smallest in that width.
fn put_integers(out: &mut Vec<u8>, values: impl Iterator<Item = i64> + Clone) {
    let mut lowest = i64::MAX;
    let mut highest = i64::MIN;
    for value in values.clone() {
        lowest = lowest.min(value);
        highest = highest.max(value);
    }
    let range = if lowest > highest {
        lowest = 0;
        0
    } else {
        highest.wrapping_sub(lowest) as u64
    };
    out.extend(lowest.to_le_bytes());
    let distances = values.map(|value| value.wrapping_sub(lowest) as u64);
    match range {
        0 => out.push(0),
        1..=0xff => {
            out.push(1);
            out.extend(distances.map(|distance| distance as u8));
        }
        0x100..=0xffff => {
            out.push(2);
            distances.for_each(|distance| out.extend((distance as u16).to_le_bytes()));
        }
        0x1_0000..=0xffff_ffff => {
            out.push(4);
            distances.for_each(|distance| out.extend((distance as u32).to_le_bytes()));
        }
        _ => {
            out.push(8);
            distances.for_each(|distance| out.extend(distance.to_le_bytes()));
        }
    }
}

/// Eight to a byte, the first in the lowest bit.
fn put_bits(out: &mut Vec<u8>, bits: impl Iterator<Item = bool>) {
    let mut byte = 0;
    let mut filled = 0;
    for bit in bits {
        byte |= u8::from(bit) << filled;
        filled += 1;
        if filled == 8 {
            out.push(byte);
            byte = 0;
            filled = 0;
        }
    }
    if filled > 0 {
        out.push(byte);
    }
}

fn short() -> Error {
    Error::corrupt("the bytes end in the middle")
}

/// A cursor that never reads past its bytes.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or_else(short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take(N)?.try_into().map_err(|_| short())
    }

    fn u8(&mut self) -> Result<u8, Error> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn small<T: TryFrom<u64>>(&mut self, what: &str) -> Result<T, Error> {
        let value = varint::take(&mut self.rest)?;
        T::try_from(value).map_err(|_| Error::corrupt(format!("{what} {value} is out of range")))
    }

    /// A count of things that take at least `least` bytes each, all of which must still be there.
    fn count(&mut self, least: usize) -> Result<usize, Error> {
        let count: usize = self.small("count")?;
        match count.checked_mul(least) {
            Some(bytes) if bytes <= self.rest.len() => Ok(count),
            _ => Err(Error::corrupt(format!(
                "a count of {count} is more than the bytes hold"
            ))),
        }
    }

    fn integers(&mut self, count: usize) -> Result<Vec<i64>, Error> {
        let lowest = i64::from_le_bytes(self.array()?);
        let width = self.u8()? as usize;
        let bytes = self.take(count.checked_mul(width).ok_or_else(short)?)?;
        let add = |distance: u64| lowest.wrapping_add(distance as i64);
        Ok(match width {
            0 => vec![lowest; count],
            1 => bytes.iter().map(|byte| add(u64::from(*byte))).collect(),
            2 => chunks(bytes, |chunk| add(u64::from(u16::from_le_bytes(chunk)))),
            4 => chunks(bytes, |chunk| add(u64::from(u32::from_le_bytes(chunk)))),
            8 => chunks(bytes, |chunk| add(u64::from_le_bytes(chunk))),
            other => {
                return Err(Error::corrupt(format!(
                    "integer width {other} is not known"
                )));
            }
        })
    }

    fn bits(&mut self, count: usize) -> Result<BooleanBuffer, Error> {
        let bytes = self.take(count.div_ceil(8))?;
        Ok(BooleanBuffer::new(Buffer::from(bytes), 0, count))
    }
}

fn chunks<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> i64) -> Vec<i64> {
    bytes
        .chunks_exact(N)
        .map(|chunk| read(chunk.try_into().unwrap_or([0; N])))
        .collect()
}

#[cfg(test)]
mod tests;
