//! Column chunks of tags, encoded as what they are: values that stay the same for all rows of a series.
//!
//! The Parquet library looks each row's value up and compares it with the least and the largest of the page; this writer does so once
//! for a run of rows. It writes the same standard pages: places in a dictionary as runs, or the values themselves once the dictionary
//! would grow too large. Not here: what pages and chunks are made of besides ([`super::chunk`]).

use std::hash::BuildHasher;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBufferBuilder, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Int32Type;
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use parquet::basic::{BoundaryOrder, Encoding, Type};
use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use super::chunk::{Page, Pages, Summary, WrittenChunk, put_levels};
use super::delta::{self, Widths};
use crate::{Error, varint};

/// Bytes from which on values are not added to the dictionary, and for which a page of values ends.
const DICTIONARY_BYTES_MAX: usize = 1 << 20;

/// Bytes of a value that bounds keep.
const BOUND_BYTES_MAX: usize = 64;

/// Rows from which a run has a head of its own; shorter ones are spelled out.
const RUN_ROWS_LEAST: usize = 8;

/// A column chunk being written.
pub struct TagColumn {
    page_rows: usize,
    dictionary: Dictionary,
    /// Values are in pages themselves: the dictionary is full.
    spelled: bool,
    /// Of the page in progress: which of its rows have a value.
    present: BooleanBufferBuilder,
    /// Of the same: places in the dictionary, or lengths and texts.
    places: Vec<Run>,
    lengths: Vec<i64>,
    text: Vec<u8>,
    values: usize,
    bounds: Bounds,
    /// Of finished pages.
    chunk_bounds: Bounds,
    /// Bounds of each page are not below those of the page before.
    ascending: bool,
    last_page: Bounds,
    pages: Pages,
}

/// Rows with the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    place: u32,
    rows: usize,
}

/// Each value once.
#[derive(Default)]
struct Dictionary {
    /// As the dictionary page has them: length, then text.
    plain: Vec<u8>,
    /// Where each text is in `plain`.
    texts: Vec<(u32, u32)>,
    by_hash: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The array whose codes `places` tells the places of; `UNKNOWN` for those not met yet.
    source: Option<ArrayRef>,
    places: Vec<u32>,
}

const UNKNOWN: u32 = u32::MAX;

/// The least and the largest value.
#[derive(Clone, Debug, Default)]
struct Bounds {
    any: bool,
    least: Vec<u8>,
    largest: Vec<u8>,
}

impl TagColumn {
    pub fn new(descriptor: ColumnDescPtr, page_rows: usize) -> Self {
        Self {
            page_rows,
            dictionary: Dictionary::default(),
            spelled: false,
            present: BooleanBufferBuilder::new(0),
            places: Vec::new(),
            lengths: Vec::new(),
            text: Vec::new(),
            values: 0,
            bounds: Bounds::default(),
            chunk_bounds: Bounds::default(),
            ascending: true,
            last_page: Bounds::default(),
            pages: Pages::new(descriptor, Type::BYTE_ARRAY),
        }
    }

    /// Appends a dictionary of strings without nulls in it. Errors: `Internal` for other arrays.
    pub fn write(
        &mut self,
        values: &ArrayRef,
        compressor: &mut Compressor<'_>,
    ) -> Result<(), Error> {
        let other = || Error::internal(format!("a tag column of {}", values.data_type()));
        let tags = values.as_dictionary_opt::<Int32Type>().ok_or_else(other)?;
        let texts = tags.values().as_string_opt::<i32>().ok_or_else(other)?;
        if texts.null_count() > 0 {
            return Err(Error::internal("a tag's dictionary with nulls in it"));
        }
        self.dictionary.note_source(tags.values());
        let codes: &[i32] = tags.keys().values();
        let nulls = tags.keys().nulls().filter(|nulls| nulls.null_count() > 0);
        let mut start = 0;
        while start < codes.len() {
            if nulls.is_some_and(|nulls| nulls.is_null(start)) {
                let rows = nulls_from(nulls, start);
                self.put_nulls(rows, compressor)?;
                start += rows;
                continue;
            }
            let mut rows = same_from(&codes[start..]);
            if let Some(nulls) = nulls {
                rows = (1..rows)
                    .find(|row| nulls.is_null(start + row))
                    .unwrap_or(rows);
            }
            self.put_run(codes[start], texts, rows, compressor)?;
            start += rows;
        }
        Ok(())
    }

    /// Bytes of the chunk so far, and held for it.
    pub fn encoded_bytes(&self) -> usize {
        self.pages.bytes() + self.dictionary.plain.len() + self.text.len()
    }

    pub fn finish(mut self, compressor: &mut Compressor<'_>) -> Result<WrittenChunk, Error> {
        if !self.present.is_empty() {
            self.end_page(compressor)?;
        }
        let mut encodings = vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY];
        if self.spelled {
            encodings.push(Encoding::DELTA_LENGTH_BYTE_ARRAY);
        }
        let (least, largest) = self.chunk_bounds.shortened();
        let is_exact = |shortened: &Option<Vec<u8>>, whole: &Vec<u8>| {
            shortened.as_ref().is_some_and(|it| it == whole)
        };
        let least_is_exact = is_exact(&least, &self.chunk_bounds.least);
        let largest_is_exact = is_exact(&largest, &self.chunk_bounds.largest);
        let statistics = ValueStatistics::new(
            least.map(ByteArray::from),
            largest.map(ByteArray::from),
            None,
            Some(self.pages.nulls() as u64),
            false,
        )
        .with_min_is_exact(least_is_exact)
        .with_max_is_exact(largest_is_exact);
        if self.ascending {
            self.pages.set_boundary_order(BoundaryOrder::ASCENDING);
        }
        let values = self.dictionary.texts.len();
        let summary = Summary {
            encodings,
            statistics: Statistics::ByteArray(statistics),
            dictionary: Some((values, self.dictionary.plain)),
        };
        self.pages.finish(summary, compressor)
    }

    fn put_nulls(&mut self, mut rows: usize, compressor: &mut Compressor<'_>) -> Result<(), Error> {
        while rows > 0 {
            let taken = rows.min(self.page_rows - self.present.len());
            self.present.append_n(taken, false);
            rows -= taken;
            if self.present.len() == self.page_rows {
                self.end_page(compressor)?;
            }
        }
        Ok(())
    }

    fn put_run(
        &mut self,
        code: i32,
        texts: &StringArray,
        mut rows: usize,
        compressor: &mut Compressor<'_>,
    ) -> Result<(), Error> {
        let text = texts.value(code as usize).as_bytes();
        let place = match self.spelled {
            true => None,
            false => self.dictionary.place(code, text),
        };
        if place.is_none() && !self.spelled {
            if !self.present.is_empty() {
                self.end_page(compressor)?;
            }
            self.spelled = true;
        }
        while rows > 0 {
            let mut taken = rows.min(self.page_rows - self.present.len());
            match place {
                Some(place) => self.places.push(Run { place, rows: taken }),
                None => {
                    let room = DICTIONARY_BYTES_MAX.saturating_sub(self.text.len());
                    taken = taken.min((room / text.len().max(1)).max(1));
                    for _ in 0..taken {
                        self.text.extend_from_slice(text);
                    }
                    let lengths = self.lengths.len() + taken;
                    self.lengths.resize(lengths, text.len() as i64);
                }
            }
            self.present.append_n(taken, true);
            self.values += taken;
            self.bounds.take_in(text);
            rows -= taken;
            let is_full = self.text.len() >= DICTIONARY_BYTES_MAX;
            if is_full || self.present.len() == self.page_rows {
                self.end_page(compressor)?;
            }
        }
        Ok(())
    }

    fn end_page(&mut self, compressor: &mut Compressor<'_>) -> Result<(), Error> {
        let rows = self.present.len();
        let present = self.present.finish();
        let mut body = Vec::new();
        if self.pages.have_levels() {
            put_levels(present.values(), rows, self.values, &mut body);
        }
        let encoding = match self.spelled {
            true => {
                delta::encode(&self.lengths, Widths::Least, &mut body);
                body.append(&mut self.text);
                self.lengths.clear();
                Encoding::DELTA_LENGTH_BYTE_ARRAY
            }
            false => {
                let last_place = self.dictionary.texts.len().saturating_sub(1) as u32;
                put_places(&self.places, last_place, &mut body);
                self.places.clear();
                Encoding::RLE_DICTIONARY
            }
        };
        let bounds = std::mem::take(&mut self.bounds);
        let (least, largest) = bounds.shortened();
        let page = Page {
            rows,
            nulls: rows - self.values,
            encoding,
            body: &body,
            bounds: (
                least.unwrap_or_default(),
                // Nothing is above what cannot be shortened to something larger.
                largest.unwrap_or_else(|| bounds.largest.clone()),
            ),
        };
        self.pages.put(page, compressor)?;
        self.values = 0;
        if bounds.any {
            self.chunk_bounds.take_in(&bounds.least);
            self.chunk_bounds.take_in(&bounds.largest);
            let before = std::mem::replace(&mut self.last_page, bounds);
            let is_above =
                before.least <= self.last_page.least && before.largest <= self.last_page.largest;
            self.ascending &= !before.any || is_above;
        }
        Ok(())
    }
}

impl Dictionary {
    /// The codes to come are of this array.
    fn note_source(&mut self, texts: &ArrayRef) {
        let is_same = self
            .source
            .as_ref()
            .is_some_and(|source| source.to_data().ptr_eq(&texts.to_data()));
        if !is_same {
            self.places.clear();
            self.places.resize(texts.len(), UNKNOWN);
            self.source = Some(ArrayRef::clone(texts));
        }
    }

    /// The place of a value; `None` when there is no room for it.
    #[inline]
    fn place(&mut self, code: i32, text: &[u8]) -> Option<u32> {
        let place = self.places[code as usize];
        if place != UNKNOWN {
            return Some(place);
        }
        let found = self.find_or_add(text)?;
        self.places[code as usize] = found;
        Some(found)
    }

    fn find_or_add(&mut self, text: &[u8]) -> Option<u32> {
        let (plain, texts) = (&self.plain, &self.texts);
        let text_at = |place: u32| {
            let (start, end) = texts[place as usize];
            &plain[start as usize..end as usize]
        };
        let hasher = &self.hasher;
        let entry = self.by_hash.entry(
            hasher.hash_one(text),
            |place| text_at(*place) == text,
            |place| hasher.hash_one(text_at(*place)),
        );
        match entry {
            Entry::Occupied(place) => Some(*place.get()),
            Entry::Vacant(vacant) => {
                if plain.len() + text.len() > DICTIONARY_BYTES_MAX {
                    return None;
                }
                let place = texts.len() as u32;
                vacant.insert(place);
                self.plain.extend((text.len() as u32).to_le_bytes());
                let start = self.plain.len() as u32;
                self.plain.extend_from_slice(text);
                self.texts.push((start, self.plain.len() as u32));
                Some(place)
            }
        }
    }
}

impl Bounds {
    fn take_in(&mut self, value: &[u8]) {
        if !self.any || value < self.least.as_slice() {
            self.least.clear();
            self.least.extend_from_slice(value);
        }
        if !self.any || value > self.largest.as_slice() {
            self.largest.clear();
            self.largest.extend_from_slice(value);
        }
        self.any = true;
    }

    /// Both in few bytes: something that is not above the least, and something that is not below the largest, if there is any.
    fn shortened(&self) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        if !self.any {
            return (None, None);
        }
        let least = match std::str::from_utf8(&self.least) {
            Ok(text) => text[..text.floor_char_boundary(BOUND_BYTES_MAX)].into(),
            Err(_) => self.least.clone(),
        };
        (Some(least), short_above(&self.largest))
    }
}

/// The value itself when it is short, else something short that is above all values that begin like it.
fn short_above(value: &[u8]) -> Option<Vec<u8>> {
    if value.len() <= BOUND_BYTES_MAX {
        return Some(value.to_vec());
    }
    let text = std::str::from_utf8(value).ok()?;
    let mut head = text[..text.floor_char_boundary(BOUND_BYTES_MAX)].to_string();
    while let Some(last) = head.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(last as u32 + 1),
        };
        if let Some(next) = next {
            head.push(next);
            return Some(head.into_bytes());
        }
    }
    None
}

/// How many of the first codes are the same. At least one code.
#[inline]
fn same_from(codes: &[i32]) -> usize {
    const STEP: usize = 16;
    let first = codes[0];
    let mut rows = 1;
    for step in codes[1..].chunks_exact(STEP) {
        if step.iter().fold(0, |differ, code| differ | (code ^ first)) != 0 {
            break;
        }
        rows += STEP;
    }
    let rest = codes[rows..].iter();
    rows + rest.take_while(|code| **code == first).count()
}

/// How many rows from `start` on are null.
fn nulls_from(nulls: Option<&NullBuffer>, start: usize) -> usize {
    nulls.map_or(0, |nulls| {
        (start..nulls.len())
            .take_while(|row| nulls.is_null(*row))
            .count()
    })
}

/// Places up to `last_place` in Parquet's mixture of runs and groups of eight, behind the bits that one takes.
fn put_places(runs: &[Run], last_place: u32, out: &mut Vec<u8>) {
    let width = u32::BITS - last_place.leading_zeros();
    out.push(width as u8);
    // Rows not in a run of their own: always whole groups in front of one.
    let mut spelled: Vec<u32> = Vec::new();
    for run in runs {
        let missing = spelled.len().next_multiple_of(8) - spelled.len();
        let filling = missing.min(run.rows);
        spelled.resize(spelled.len() + filling, run.place);
        let left = run.rows - filling;
        if left < RUN_ROWS_LEAST {
            spelled.resize(spelled.len() + left, run.place);
            continue;
        }
        put_groups(&mut spelled, width, out);
        varint::put(out, (left as u64) << 1);
        out.extend_from_slice(&run.place.to_le_bytes()[..width.div_ceil(8) as usize]);
    }
    put_groups(&mut spelled, width, out);
}

/// Writes places in groups of eight, the last one filled up, and takes them away.
fn put_groups(places: &mut Vec<u32>, width: u32, out: &mut Vec<u8>) {
    if places.is_empty() {
        return;
    }
    places.resize(places.len().next_multiple_of(8), 0);
    varint::put(out, (places.len() as u64 / 8) << 1 | 1);
    let mut pending = 0u64;
    let mut bits = 0;
    for place in places.drain(..) {
        pending |= u64::from(place) << bits;
        bits += width;
        while bits >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            bits -= 8;
        }
    }
}

#[cfg(test)]
mod tests;
