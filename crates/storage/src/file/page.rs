//! One page of a column chunk: from bytes of a file to values.
//!
//! Reads every layout that [`super::encoding`] chooses from: data pages of Parquet's version 1 and dictionaries, of flat columns of
//! 64 bits, booleans, and strings. A page is unpacked into memory of the thread, so a page costs no set-up. Pure, and never panics: what is no
//! page is `Corrupt`. Not here: which pages are read and where they lie ([`super::pages`]), how values are laid out ([`super::decode`]).

use std::cell::RefCell;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType,
    UInt64Type,
};
use parquet::basic::{Compression, Type};
use parquet::file::metadata::ColumnChunkMetaData;
use zstd::bulk::Decompressor;

use super::decode::{self, Layout};
use crate::{Error, varint};

/// Larger pages are taken for damage.
const PAGE_BYTES_MAX: usize = 1 << 31;

/// What a thread keeps for the next page.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// How deep what a header says besides may be nested.
const NESTING_MAX: usize = 8;

/// What the pages of a column chunk have in common.
#[derive(Clone, Copy, Debug)]
pub struct PageColumn<'a> {
    pub data_type: &'a DataType,
    /// Whether rows may be without a value.
    pub nullable: bool,
    pub packed: bool,
}

/// What a page is, as its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    is_dictionary: bool,
    /// Values, or rows where some have none.
    values: usize,
    encoding: u64,
    unpacked_bytes: usize,
    packed_bytes: usize,
}

thread_local! {
    static UNPACKING: RefCell<Unpacking> = const { RefCell::new(Unpacking { decompressor: None, body: Vec::new() }) };
}

struct Unpacking {
    decompressor: Option<Decompressor<'static>>,
    body: Vec<u8>,
}

impl<'a> PageColumn<'a> {
    /// Errors: `Corrupt` for a column that our files do not have.
    pub fn of(chunk: &ColumnChunkMetaData, data_type: &'a DataType) -> Result<Self, Error> {
        let descriptor = chunk.column_descr();
        let expected = match data_type {
            DataType::Float64 => Type::DOUBLE,
            DataType::Int64 | DataType::UInt64 => Type::INT64,
            DataType::Timestamp(TimeUnit::Nanosecond, None) => Type::INT64,
            DataType::Boolean => Type::BOOLEAN,
            DataType::Utf8 => Type::BYTE_ARRAY,
            other => return Err(Error::corrupt(format!("no column is of type {other}"))),
        };
        let packed = match chunk.compression() {
            Compression::ZSTD(_) => true,
            Compression::UNCOMPRESSED => false,
            other => return Err(Error::corrupt(format!("pages packed with {other}"))),
        };
        let levels = descriptor.max_def_level();
        if descriptor.physical_type() != expected || levels > 1 || descriptor.max_rep_level() > 0 {
            return Err(Error::corrupt(format!(
                "column {} is not a flat one of {data_type}",
                descriptor.name()
            )));
        }
        Ok(Self {
            data_type,
            nullable: levels == 1,
            packed,
        })
    }

    /// The values of a data page of so many rows. `dictionary` is that of its column chunk, if there is one.
    pub fn values(
        self,
        page: &[u8],
        rows: usize,
        dictionary: Option<&ArrayRef>,
    ) -> Result<ArrayRef, Error> {
        self.unpacked(page, |header, body| {
            if header.is_dictionary || header.values != rows {
                return Err(Error::corrupt(format!(
                    "a page of {} rows, not {rows}",
                    header.values
                )));
            }
            let (present, body) = match self.nullable {
                true => take_levels(body, rows)?,
                false => (None, body),
            };
            let layout = Layout::of(header.encoding)?;
            self.array(layout, body, rows, present, dictionary)
        })
    }

    /// The values of a dictionary page.
    pub fn dictionary(self, page: &[u8]) -> Result<ArrayRef, Error> {
        self.unpacked(page, |header, body| {
            let layout = match Layout::of(header.encoding)? {
                _ if !header.is_dictionary => {
                    return Err(Error::corrupt("a data page where a dictionary should be"));
                }
                // An old name of plain, in dictionaries.
                Layout::Dictionary => Layout::Plain,
                layout => layout,
            };
            self.array(layout, body, header.values, None, None)
        })
    }

    /// Hands on what a page holds, header and body, which is unpacked.
    fn unpacked<T>(
        self,
        page: &[u8],
        read: impl FnOnce(Header, &[u8]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut rest = page;
        let header = take_header(&mut rest)?;
        if header.packed_bytes != rest.len() {
            return Err(Error::corrupt(format!(
                "a page of {} bytes in {}",
                header.packed_bytes,
                rest.len()
            )));
        }
        if !self.packed {
            return read(header, rest);
        }
        UNPACKING.with_borrow_mut(|unpacking| {
            let fault = |cause| Error::corrupt("a page does not unpack").with_source(cause);
            let decompressor = match &mut unpacking.decompressor {
                Some(decompressor) => decompressor,
                none => none.insert(Decompressor::new().map_err(fault)?),
            };
            let body = &mut unpacking.body;
            body.clear();
            body.reserve(header.unpacked_bytes);
            decompressor
                .decompress_to_buffer(rest, body)
                .map_err(fault)?;
            if body.len() != header.unpacked_bytes {
                return Err(Error::corrupt("a page unpacks to another size"));
            }
            let outcome = read(header, body);
            if body.capacity() > KEPT_BYTES_MAX {
                *body = Vec::new();
            }
            outcome
        })
    }

    /// `present` tells which rows have one of the values.
    fn array(
        self,
        layout: Layout,
        body: &[u8],
        rows: usize,
        present: Option<NullBuffer>,
        dictionary: Option<&ArrayRef>,
    ) -> Result<ArrayRef, Error> {
        let count = present
            .as_ref()
            .map_or(rows, |present| present.len() - present.null_count());
        match self.data_type {
            DataType::Float64 => words::<Float64Type>(layout, body, count, present, dictionary),
            DataType::Int64 => words::<Int64Type>(layout, body, count, present, dictionary),
            DataType::UInt64 => words::<UInt64Type>(layout, body, count, present, dictionary),
            DataType::Timestamp(TimeUnit::Nanosecond, None) => {
                words::<TimestampNanosecondType>(layout, body, count, present, dictionary)
            }
            DataType::Boolean => {
                let bits = decode::bits(layout, body, count)?;
                let bits = match &present {
                    None => bits,
                    Some(present) => spread_bits(&bits, present),
                };
                Ok(Arc::new(BooleanArray::new(bits, present)))
            }
            DataType::Utf8 if layout == Layout::Dictionary => {
                let strings = dictionary.ok_or_else(no_dictionary)?;
                let places = decode::places(body, count, strings.len())?;
                let places = spread(places.iter().map(|place| *place as i32), present.as_ref());
                let places = Int32Array::new(places.into(), present);
                arrow::compute::take(strings, &places, None)
                    .map_err(|cause| Error::corrupt("a page of strings").with_source(cause))
            }
            DataType::Utf8 => decode::strings(layout, body, count, present),
            other => Err(Error::corrupt(format!("no column is of type {other}"))),
        }
    }
}

fn no_dictionary() -> Error {
    Error::corrupt("a page needs a dictionary that is not there")
}

fn words<T: ArrowPrimitiveType>(
    layout: Layout,
    body: &[u8],
    count: usize,
    present: Option<NullBuffer>,
    dictionary: Option<&ArrayRef>,
) -> Result<ArrayRef, Error> {
    let words = match layout {
        Layout::Dictionary => {
            let dictionary = dictionary
                .and_then(|values| values.as_primitive_opt::<T>())
                .ok_or_else(no_dictionary)?
                .values();
            let dictionary: ScalarBuffer<u64> =
                ScalarBuffer::new(dictionary.inner().clone(), 0, dictionary.len());
            let places = decode::places(body, count, dictionary.len())?;
            places
                .into_iter()
                .map(|place| dictionary[place as usize])
                .collect()
        }
        layout => decode::words(layout, body, count)?,
    };
    let words = match &present {
        None => words,
        Some(_) => spread(words.into_iter(), present.as_ref()),
    };
    let rows = words.len();
    let values = ScalarBuffer::new(Buffer::from_vec(words), 0, rows);
    Ok(Arc::new(PrimitiveArray::<T>::new(values, present)))
}

/// Puts the values where rows have one, and zero elsewhere.
fn spread<T: Copy + Default>(
    values: impl Iterator<Item = T>,
    present: Option<&NullBuffer>,
) -> Vec<T> {
    let Some(present) = present else {
        return values.collect();
    };
    let mut wide = vec![T::default(); present.len()];
    for (row, value) in present.valid_indices().zip(values) {
        wide[row] = value;
    }
    wide
}

fn spread_bits(bits: &BooleanBuffer, present: &NullBuffer) -> BooleanBuffer {
    let wide = spread(bits.iter(), Some(present));
    BooleanBuffer::from(wide)
}

/// Which rows have a value, `None` when all do, and what follows.
fn take_levels(body: &[u8], rows: usize) -> Result<(Option<NullBuffer>, &[u8]), Error> {
    let (bits, rest) = decode::take_sized_bits(body, rows)?;
    let present = NullBuffer::new(bits);
    Ok(((present.null_count() > 0).then_some(present), rest))
}

/// Takes a page header, which is a struct of Thrift's compact protocol, off the front.
fn take_header(rest: &mut &[u8]) -> Result<Header, Error> {
    const DATA_PAGE: u64 = 0;
    const DICTIONARY_PAGE: u64 = 2;
    let (mut kind, mut unpacked, mut packed) = (None, None, None);
    let mut of_values = None;
    let mut fields = Fields::new(rest);
    while let Some((field, kind_of_field)) = fields.next()? {
        match (field, kind_of_field) {
            (1, I32) => kind = Some(fields.number()?),
            (2, I32) => unpacked = Some(fields.number()?),
            (3, I32) => packed = Some(fields.number()?),
            // Of a data page, of a dictionary.
            (5 | 7, STRUCT) => {
                let (mut values, mut encoding) = (None, None);
                let mut inner = Fields::new(fields.rest);
                while let Some((inner_field, kind_of_field)) = inner.next()? {
                    match (inner_field, kind_of_field) {
                        (1, I32) => values = Some(inner.number()?),
                        (2, I32) => encoding = Some(inner.number()?),
                        _ => inner.skip(kind_of_field, NESTING_MAX)?,
                    }
                }
                of_values = values.zip(encoding).map(|found| (field, found));
            }
            _ => fields.skip(kind_of_field, NESTING_MAX)?,
        }
    }
    let parts = kind.zip(unpacked).zip(packed).zip(of_values);
    let Some((((kind, unpacked), packed), (of, (values, encoding)))) = parts else {
        return Err(Error::corrupt("a page header lacks something"));
    };
    let is_dictionary = match (kind, of) {
        (DATA_PAGE, 5) => false,
        (DICTIONARY_PAGE, 7) => true,
        _ => return Err(Error::corrupt(format!("a page of kind {kind}"))),
    };
    let size = |bytes: u64| {
        usize::try_from(bytes)
            .ok()
            .filter(|bytes| *bytes < PAGE_BYTES_MAX)
            .ok_or_else(|| Error::corrupt(format!("a page with {bytes} of something")))
    };
    Ok(Header {
        is_dictionary,
        values: size(values)?,
        encoding,
        unpacked_bytes: size(unpacked)?,
        packed_bytes: size(packed)?,
    })
}

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const I8: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

/// The fields of a struct of Thrift's compact protocol.
struct Fields<'s, 'a> {
    rest: &'s mut &'a [u8],
    last: u64,
}

impl<'s, 'a> Fields<'s, 'a> {
    fn new(rest: &'s mut &'a [u8]) -> Self {
        Self { rest, last: 0 }
    }

    /// The next field and of which kind it is; `None` at the end of the struct.
    fn next(&mut self) -> Result<Option<(u64, u8)>, Error> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        let field = match byte >> 4 {
            0 => self.number()?,
            step => self.last.wrapping_add(u64::from(step)),
        };
        self.last = field;
        Ok(Some((field, byte & 15)))
    }

    fn byte(&mut self) -> Result<u8, Error> {
        let (byte, rest) = self.rest.split_first().ok_or_else(ends_early)?;
        *self.rest = rest;
        Ok(*byte)
    }

    /// A number that is not below 0.
    fn number(&mut self) -> Result<u64, Error> {
        let zigzag = varint::take(self.rest)?;
        match zigzag & 1 {
            0 => Ok(zigzag >> 1),
            _ => Err(Error::corrupt("a number below 0 in a page header")),
        }
    }

    fn skip_bytes(&mut self, bytes: u64) -> Result<(), Error> {
        let bytes = usize::try_from(bytes).map_err(|_| ends_early())?;
        *self.rest = self.rest.get(bytes..).ok_or_else(ends_early)?;
        Ok(())
    }

    /// Passes over a value of a kind.
    fn skip(&mut self, kind: u8, nesting: usize) -> Result<(), Error> {
        let deeper = || {
            let cause = || Error::corrupt("a page header is nested too deeply");
            nesting.checked_sub(1).ok_or_else(cause)
        };
        match kind {
            TRUE | FALSE => Ok(()),
            I8 => self.skip_bytes(1),
            I16 | I32 | I64 => varint::take(self.rest).map(drop),
            DOUBLE => self.skip_bytes(8),
            BINARY => {
                let bytes = varint::take(self.rest)?;
                self.skip_bytes(bytes)
            }
            LIST | SET => {
                let nesting = deeper()?;
                let byte = self.byte()?;
                let values = match byte >> 4 {
                    15 => varint::take(self.rest)?,
                    few => u64::from(few),
                };
                for _ in 0..values {
                    match byte & 15 {
                        // Unlike those of a struct they take a byte.
                        TRUE | FALSE => self.skip_bytes(1)?,
                        kind => self.skip(kind, nesting)?,
                    }
                }
                Ok(())
            }
            STRUCT => {
                let nesting = deeper()?;
                let mut inner = Fields::new(self.rest);
                while let Some((_, kind)) = inner.next()? {
                    inner.skip(kind, nesting)?;
                }
                Ok(())
            }
            other => Err(Error::corrupt(format!(
                "a field of kind {other} in a page header"
            ))),
        }
    }
}

fn ends_early() -> Error {
    Error::corrupt("a page header ends early")
}
