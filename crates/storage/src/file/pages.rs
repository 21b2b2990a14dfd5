//! The pages of one row group that a query needs: kept from before or fetched together, decoded one by one as their rows are asked for.
//!
//! Rows are named by their place in the row group. A page is decoded once for all who ask for its rows, and let go when they
//! are past it. Not here: what a page is ([`super::page`]), which rows are wanted ([`super::read`]).

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BooleanBufferBuilder, MutableArrayData, PrimitiveArray,
    make_array, new_empty_array,
};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float64Type, Int64Type, TimestampNanosecondType, UInt64Type,
};
use bytes::Bytes;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::page_index::offset_index::PageLocation;
use runtime::object_store::{ObjectStore, Store, StoreError};

use super::page::PageColumn;
use super::{DataFile, Footer};
use crate::Error;

/// Rows that are at least this part of their page are handed out where they stand, and keep the page.
const SLICE_PART: usize = 2;

/// What pages are read from.
#[derive(Clone)]
pub struct PageSource {
    pub store: Store,
    pub file: Arc<DataFile>,
    pub footer: Arc<Footer>,
    /// Whether what is read is kept for the next query.
    pub keeps: bool,
}

/// Why pages cannot be had.
#[derive(Debug)]
pub enum PageError {
    Store(StoreError),
    Damage(Error),
}

impl From<Error> for PageError {
    fn from(fault: Error) -> Self {
        Self::Damage(fault)
    }
}

/// The columns of one row group that are read.
pub struct RowGroup {
    source: PageSource,
    number: usize,
    columns: Vec<Column>,
}

struct Column {
    /// Its place in the file.
    root: usize,
    dictionary: Dictionary,
    /// Those that have wanted rows.
    pages: Vec<Page>,
}

/// The dictionary of a column chunk, and the first byte of what is still packed.
enum Dictionary {
    /// There is none, or none is needed.
    None,
    Packed(u64, Bytes),
    Values(ArrayRef),
}

struct Page {
    /// In the row group.
    rows: Range<usize>,
    /// In the file.
    bytes: Range<u64>,
    packed: Option<Bytes>,
    values: Option<ArrayRef>,
}

/// Something to be fetched: of which column, which page (`None` for the dictionary), and where it lies.
struct Missing {
    column: usize,
    page: Option<usize>,
    bytes: Range<u64>,
}

impl RowGroup {
    /// Nothing is read yet.
    pub fn new(source: PageSource, number: usize) -> Self {
        Self {
            source,
            number,
            columns: Vec::new(),
        }
    }

    /// Fetches what is missing of these columns for these rows, which ascend, and are among those that were fetched of a column before.
    pub async fn fetch(
        &mut self,
        roots: &[usize],
        rows: impl Iterator<Item = Range<usize>> + Clone,
    ) -> Result<(), PageError> {
        let mut missing: Vec<Missing> = Vec::new();
        for root in roots {
            if self.columns.iter().any(|column| column.root == *root) {
                continue;
            }
            let number = self.columns.len();
            let note = |page, bytes: &Range<u64>| {
                missing.push(Missing {
                    column: number,
                    page,
                    bytes: bytes.clone(),
                });
            };
            let column = Column::new(&self.source, self.number, *root, rows.clone(), note)?;
            self.columns.push(column);
        }
        if missing.is_empty() {
            return Ok(());
        }
        let fetched = self.source.fetch(&missing).await?;
        for (missing, bytes) in missing.into_iter().zip(fetched) {
            let column = &mut self.columns[missing.column];
            match missing.page {
                None => column.dictionary = Dictionary::Packed(missing.bytes.start, bytes),
                Some(page) => column.pages[page].packed = Some(bytes),
            }
        }
        Ok(())
    }

    /// The values of these rows, which ascend, do not touch, and were fetched. Errors: `Corrupt`.
    pub fn values(&mut self, root: usize, rows: &[Range<usize>]) -> Result<ArrayRef, Error> {
        let mut pieces: Vec<(usize, Range<usize>)> = Vec::with_capacity(rows.len());
        let (source, number) = (&self.source, self.number);
        let column = column(&mut self.columns, root)?;
        let mut first = 0;
        for rows in rows {
            first = column.each_piece(first, rows, source, number, |at, _, piece| {
                pieces.push((at, piece));
                Ok(())
            })?;
        }
        let data_type = data_type(&self.source.footer, root)?;
        let values = |(page, _): &(usize, Range<usize>)| column.pages[*page].values.as_ref();
        match pieces.as_slice() {
            [] => Ok(new_empty_array(data_type)),
            [piece] if piece.1.len() * SLICE_PART >= column.pages[piece.0].rows.len() => {
                let values = values(piece).ok_or_else(not_fetched)?;
                Ok(values.slice(piece.1.start, piece.1.len()))
            }
            pieces => gather(data_type, &column.pages, pieces),
        }
    }

    /// Hands on the times of these rows, which were fetched, in one piece or more, each with its first row. Errors: `Corrupt`.
    pub fn each_times(
        &mut self,
        root: usize,
        rows: Range<usize>,
        mut each: impl FnMut(usize, &[i64]),
    ) -> Result<(), Error> {
        let (source, number) = (&self.source, self.number);
        let column = column(&mut self.columns, root)?;
        column.each_piece(0, &rows, source, number, |_, page, piece| {
            let times = page
                .values
                .as_ref()
                .and_then(|values| values.as_primitive_opt::<TimestampNanosecondType>())
                .ok_or_else(|| Error::corrupt("a time column of another type"))?;
            each(page.rows.start + piece.start, &times.values()[piece]);
            Ok(())
        })?;
        Ok(())
    }

    /// Lets go of what lies before this row.
    pub fn pass(&mut self, row: usize) {
        for column in &mut self.columns {
            let passed = column.pages.partition_point(|page| page.rows.end <= row);
            for page in &mut column.pages[..passed] {
                page.packed = None;
                page.values = None;
            }
        }
    }

    /// Lets go of values that can be decoded again, where they are more bytes than this.
    pub fn shrink(&mut self, bytes_max: usize) {
        let mut held = 0;
        for page in self.columns.iter_mut().flat_map(|column| &mut column.pages) {
            if let (Some(values), Some(_)) = (&page.values, &page.packed) {
                held += values.get_array_memory_size();
                if held > bytes_max {
                    page.values = None;
                }
            }
        }
    }
}

fn column(columns: &mut [Column], root: usize) -> Result<&mut Column, Error> {
    let mut columns = columns.iter_mut();
    columns
        .find(|column| column.root == root)
        .ok_or_else(not_fetched)
}

fn not_fetched() -> Error {
    Error::internal("rows that were not fetched")
}

fn data_type(footer: &Footer, root: usize) -> Result<&DataType, Error> {
    let field = footer.metadata.schema().fields().get(root);
    field
        .map(|field| field.data_type())
        .ok_or_else(|| Error::corrupt(format!("no column {root}")))
}

fn chunk(footer: &Footer, group: usize, root: usize) -> Result<&ColumnChunkMetaData, Error> {
    let groups = footer.metadata.metadata().row_groups();
    let chunk = groups
        .get(group)
        .and_then(|group| group.columns().get(root));
    chunk.ok_or_else(|| Error::corrupt(format!("no column {root} in row group {group}")))
}

impl Column {
    /// The pages that have some of these rows, which ascend: what is kept of them; what else must be fetched is noted.
    fn new(
        source: &PageSource,
        group: usize,
        root: usize,
        rows: impl Iterator<Item = Range<usize>>,
        mut missing: impl FnMut(Option<usize>, &Range<u64>),
    ) -> Result<Self, Error> {
        let damaged = || Error::corrupt("pages that do not follow each other");
        let footer = &source.footer;
        let chunk = chunk(footer, group, root)?;
        let metadata = footer.metadata.metadata();
        let locations = metadata
            .offset_index()
            .and_then(|groups| groups.get(group)?.get(root))
            .ok_or_else(damaged)?
            .page_locations();
        let group_rows = metadata.row_group(group).num_rows();
        let mut pages: Vec<Page> = Vec::new();
        let mut any_missing = false;
        // Pages before this one are among `pages`, or end before the rows at hand.
        let mut next = 0;
        for rows in rows {
            let last = usize::saturating_sub(next, 1);
            let start = rows.start as i64;
            let begun = locations[last..].partition_point(|page| page.first_row_index <= start);
            next = next.max((last + begun).checked_sub(1).ok_or_else(damaged)?);
            while let Some(location) = locations.get(next)
                && location.first_row_index < rows.end as i64
            {
                next += 1;
                let end = locations
                    .get(next)
                    .map_or(group_rows, |after| after.first_row_index);
                let mut page = Page::new(location, end).ok_or_else(damaged)?;
                page.values = source.kept_values(page.bytes.start);
                if page.values.is_none() {
                    missing(Some(pages.len()), &page.bytes);
                    any_missing = true;
                }
                pages.push(page);
            }
        }
        let dictionary = match chunk.dictionary_page_offset() {
            Some(offset) if any_missing => {
                let start = u64::try_from(offset).map_err(|_| damaged())?;
                // It lies before the first page.
                let end = locations.first().map(|page| page.offset);
                let end = end.and_then(|end| u64::try_from(end).ok());
                let bytes = start..end.filter(|end| start < *end).ok_or_else(damaged)?;
                match source.kept_values(start) {
                    Some(values) => Dictionary::Values(values),
                    None => {
                        missing(None, &bytes);
                        Dictionary::None
                    }
                }
            }
            _ => Dictionary::None,
        };
        Ok(Self {
            root,
            dictionary,
            pages,
        })
    }

    /// Hands on the pages of these rows, decoded: its number, the page, and which of its own rows. Pages before `first` are not looked at;
    /// gives the first that was handed on.
    fn each_piece(
        &mut self,
        first: usize,
        rows: &Range<usize>,
        source: &PageSource,
        group: usize,
        mut each: impl FnMut(usize, &Page, Range<usize>) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        let first = first + self.pages[first..].partition_point(|page| page.rows.end <= rows.start);
        let mut at = first;
        let mut start = rows.start;
        while start < rows.end {
            let page = self.decoded(at, start, source, group)?;
            let end = rows.end.min(page.rows.end);
            each(at, page, start - page.rows.start..end - page.rows.start)?;
            start = end;
            at += 1;
        }
        Ok(first)
    }

    /// A page with its values; it must have this row.
    fn decoded(
        &mut self,
        at: usize,
        row: usize,
        source: &PageSource,
        group: usize,
    ) -> Result<&Page, Error> {
        let page = self.pages.get_mut(at);
        let page = page
            .filter(|page| page.rows.contains(&row))
            .ok_or_else(not_fetched)?;
        if page.values.is_none() {
            let chunk = chunk(&source.footer, group, self.root)?;
            let column = PageColumn::of(chunk, data_type(&source.footer, self.root)?)?;
            if let Dictionary::Packed(start, packed) = &self.dictionary {
                let values = column.dictionary(packed)?;
                source.keep_values(*start, &values);
                self.dictionary = Dictionary::Values(values);
            }
            let dictionary = match &self.dictionary {
                Dictionary::Values(values) => Some(values),
                _ => None,
            };
            let packed = page.packed.as_ref().ok_or_else(not_fetched)?;
            let values = column.values(packed, page.rows.len(), dictionary)?;
            source.keep_values(page.bytes.start, &values);
            page.values = Some(values);
        }
        Ok(page)
    }
}

impl Page {
    /// `None` when it cannot be one; `end` is the row behind its last.
    fn new(location: &PageLocation, end: i64) -> Option<Self> {
        let start = usize::try_from(location.first_row_index).ok()?;
        let end = usize::try_from(end).ok().filter(|end| start < *end)?;
        let from = u64::try_from(location.offset).ok()?;
        let bytes = u64::try_from(location.compressed_page_size).ok()?;
        Some(Self {
            rows: start..end,
            bytes: from..from.checked_add(bytes)?,
            packed: None,
            values: None,
        })
    }
}

impl PageSource {
    fn kept_values(&self, start: u64) -> Option<ArrayRef> {
        let cache = &self.file.cache;
        self.keeps
            .then(|| cache.values(self.file.entry.id, start))
            .flatten()
    }

    fn keep_values(&self, start: u64, values: &ArrayRef) {
        if self.keeps {
            let cache = &self.file.cache;
            cache.keep_values(self.file.entry.id, start, values);
        }
    }

    /// What is missing, one by one. All that is read is checked.
    async fn fetch(&self, missing: &[Missing]) -> Result<Vec<Bytes>, PageError> {
        let out_of_file = || Error::corrupt("bytes beyond the end of the file");
        if let Some(whole) = &self.footer.whole {
            let found = missing
                .iter()
                .map(|missing| slice(whole, 0, &missing.bytes));
            return Ok(found
                .map(|bytes| bytes.ok_or_else(out_of_file))
                .collect::<Result<_, Error>>()?);
        }
        let (cache, file) = (&self.file.cache, self.file.entry.id);
        let kept = |missing: &Missing| match self.keeps {
            true => cache.page(file, missing.bytes.start),
            false => None,
        };
        let mut found: Vec<Option<Bytes>> = missing.iter().map(kept).collect();
        let mut unread: Vec<usize> = (0..missing.len())
            .filter(|at| found[*at].is_none())
            .collect();
        unread.sort_unstable_by_key(|at| missing[*at].bytes.start);
        // Pages have their checksums, so ranges are whole pages; what touches is read as one.
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for at in &unread {
            let wide = self.footer.checksums.around(&missing[*at].bytes)?;
            match ranges.last_mut() {
                Some(last) if wide.start <= last.end => last.end = last.end.max(wide.end),
                _ => ranges.push(wide),
            }
        }
        let mut read: Vec<Bytes> = Vec::new();
        if !ranges.is_empty() {
            let reading = self.store.get_ranges(&self.file.path, &ranges);
            read = reading.await.map_err(PageError::Store)?;
        }
        for (at, range) in ranges.iter().enumerate() {
            let bytes = read.get(at).ok_or_else(out_of_file)?;
            if bytes.len() as u64 != range.end - range.start {
                return Err(out_of_file().into());
            }
            self.footer.checksums.check(range.start, bytes)?;
        }
        for at in unread {
            let wanted = &missing[at].bytes;
            let range = ranges.partition_point(|range| range.end <= wanted.start);
            let bytes = ranges
                .get(range)
                .and_then(|range_of| slice(&read[range], range_of.start, wanted))
                .ok_or_else(out_of_file)?;
            if self.keeps {
                cache.keep_page(file, wanted.start, &bytes);
            }
            found[at] = Some(bytes);
        }
        let found = found.into_iter();
        Ok(found
            .map(|bytes| bytes.ok_or_else(out_of_file))
            .collect::<Result<_, Error>>()?)
    }
}

/// The part of `bytes`, which start at `start`, that is `range` of the file.
fn slice(bytes: &Bytes, start: u64, range: &Range<u64>) -> Option<Bytes> {
    let from = usize::try_from(range.start.checked_sub(start)?).ok()?;
    let to = usize::try_from(range.end.checked_sub(start)?).ok()?;
    (from <= to && to <= bytes.len()).then(|| bytes.slice(from..to))
}

/// Copies rows of several pages, or a few of one, together. The pages have their values.
fn gather(
    data_type: &DataType,
    pages: &[Page],
    pieces: &[(usize, Range<usize>)],
) -> Result<ArrayRef, Error> {
    match data_type {
        DataType::Float64 => gather_words::<Float64Type>(pages, pieces),
        DataType::Int64 => gather_words::<Int64Type>(pages, pieces),
        DataType::UInt64 => gather_words::<UInt64Type>(pages, pieces),
        DataType::Timestamp(..) => gather_words::<TimestampNanosecondType>(pages, pieces),
        _ => {
            let first = pieces.first().map_or(0, |(page, _)| *page);
            let last = pieces.last().map_or(0, |(page, _)| *page);
            let of_pages = pages[first..=last].iter();
            // Between them may be pages without a wanted row.
            let data: Vec<ArrayData> = of_pages
                .map(|page| match &page.values {
                    Some(values) => values.to_data(),
                    None => ArrayData::new_empty(data_type),
                })
                .collect();
            let rows = pieces.iter().map(|(_, rows)| rows.len()).sum();
            let mut gathered = MutableArrayData::new(data.iter().collect(), false, rows);
            for (page, rows) in pieces {
                let outcome = gathered.try_extend(page - first, rows.start, rows.end);
                outcome.map_err(|cause| Error::corrupt("too long strings").with_source(cause))?;
            }
            Ok(make_array(gathered.freeze()))
        }
    }
}

fn gather_words<T: ArrowPrimitiveType>(
    pages: &[Page],
    pieces: &[(usize, Range<usize>)],
) -> Result<ArrayRef, Error> {
    let rows = pieces.iter().map(|(_, rows)| rows.len()).sum();
    let mut values: Vec<T::Native> = Vec::with_capacity(rows);
    let mut present: Option<BooleanBufferBuilder> = None;
    for of_page in pieces.chunk_by(|a, b| a.0 == b.0) {
        let page = pages[of_page[0].0].values.as_ref();
        let page = page
            .and_then(|values| values.as_primitive_opt::<T>())
            .ok_or_else(not_fetched)?;
        if page.null_count() > 0 && present.is_none() {
            let mut bits = BooleanBufferBuilder::new(rows);
            bits.append_n(values.len(), true);
            present = Some(bits);
        }
        for (_, rows) in of_page {
            values.extend_from_slice(&page.values()[rows.clone()]);
            if let Some(present) = &mut present {
                match page.nulls() {
                    None => present.append_n(rows.len(), true),
                    Some(nulls) => {
                        present.append_buffer(&nulls.inner().slice(rows.start, rows.len()));
                    }
                }
            }
        }
    }
    let rows = values.len();
    let values = ScalarBuffer::new(Buffer::from_vec(values), 0, rows);
    let present = present.map(|mut bits| NullBuffer::new(bits.finish()));
    let present = present.filter(|present| present.null_count() > 0);
    Ok(Arc::new(PrimitiveArray::<T>::new(values, present)))
}
