//! Column chunks of 64-bit integers and times, encoded as [`super::delta`] does.
//!
//! The Parquet library's own writer packs differences as narrowly as they go, which zstd cannot better; this one writes the same
//! standard pages with the layout chosen by us. Not here: which columns are written like this ([`super::encoding`]).

use arrow::array::{Array, ArrayRef, AsArray, BooleanBufferBuilder};
use arrow::datatypes::{DataType, Int64Type, TimestampNanosecondType, UInt64Type};
use parquet::basic::{Encoding, Type};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use super::chunk::{Page, Pages, Summary, WrittenChunk, put_levels};
use super::delta::{self, Widths};
use crate::Error;

/// A column chunk being written.
pub struct IntegerColumn {
    widths: Widths,
    page_rows: usize,
    /// Values compare as `u64`.
    unsigned: bool,
    /// Of the page in progress: its values, and which of its rows have one.
    values: Vec<i64>,
    present: BooleanBufferBuilder,
    /// What the page in progress is encoded in, kept for the next.
    body: Vec<u8>,
    /// Finished pages.
    pages: Pages,
    bounds: Option<(i64, i64)>,
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
            widths,
            page_rows,
            unsigned,
            values: Vec::new(),
            present: BooleanBufferBuilder::new(0),
            body: Vec::new(),
            pages: Pages::new(descriptor, Type::INT64),
            bounds: None,
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
        self.pages.bytes() + self.values.len()
    }

    pub fn finish(mut self, compressor: &mut Compressor<'_>) -> Result<WrittenChunk, Error> {
        if !self.present.is_empty() {
            self.end_page(compressor)?;
        }
        let signed = !self.unsigned;
        let statistics = ValueStatistics::new(
            self.bounds.map(|(least, _)| least),
            self.bounds.map(|(_, largest)| largest),
            None,
            Some(self.pages.nulls() as u64),
            false,
        );
        let summary = Summary {
            encodings: vec![Encoding::DELTA_BINARY_PACKED, Encoding::RLE],
            statistics: Statistics::Int64(statistics.with_backwards_compatible_min_max(signed)),
            dictionary: None,
        };
        self.pages.finish(summary, compressor)
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
        self.body.clear();
        if self.pages.have_levels() {
            put_levels(present.values(), rows, self.values.len(), &mut self.body);
        }
        delta::encode(&self.values, self.widths, &mut self.body);
        let bounds = self.bounds_of_page();
        let bytes = |bound: Option<i64>| bound.map_or_else(Vec::new, |it| it.to_le_bytes().into());
        let page = Page {
            rows,
            nulls: rows - self.values.len(),
            encoding: Encoding::DELTA_BINARY_PACKED,
            body: &self.body,
            bounds: (
                bytes(bounds.map(|(least, _)| least)),
                bytes(bounds.map(|(_, largest)| largest)),
            ),
        };
        self.pages.put(page, compressor)?;
        self.values.clear();
        Ok(())
    }

    /// The least and the largest value of the page in progress, which those of the chunk take in.
    fn bounds_of_page(&mut self) -> Option<(i64, i64)> {
        // Flipping the top bit makes signed order of unsigned.
        let flip = if self.unsigned { i64::MIN } else { 0 };
        let first = self.values.first()? ^ flip;
        let (least, largest) = self
            .values
            .iter()
            .map(|value| value ^ flip)
            .fold((first, first), |(least, largest), value| {
                (least.min(value), largest.max(value))
            });
        let (before, after) = self.bounds.map_or((least, largest), |(before, after)| {
            (before ^ flip, after ^ flip)
        });
        self.bounds = Some((least.min(before) ^ flip, largest.max(after) ^ flip));
        Some((least ^ flip, largest ^ flip))
    }
}
