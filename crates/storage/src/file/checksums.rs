//! Checksums of a file's pages: what is read of a large file is checked when it is read, and nothing else needs to be.
//!
//! Lie behind the series index; the footer's key-value metadata says where ([`KEY`]). Bytes: docs/formats/parquet.md. Parquet's
//! own page checksums are not used: the library does not write them, and they would leave out the page headers.

use std::ops::Range;

use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::offset_index::PageLocation;

use crate::{Error, varint};

/// Key of the footer's key-value metadata; its value is a [`super::read::Section`].
pub const KEY: &str = "gnomon.page_checksums.v1";

/// Checksums in the making, in file order.
#[derive(Debug, Default)]
pub struct ChecksumWriter {
    bytes: Vec<u8>,
}

impl ChecksumWriter {
    /// Notes a column chunk that is one piece: it can be checked as a whole only.
    pub fn whole(&mut self, chunk: &[u8]) {
        varint::put(&mut self.bytes, 1);
        self.put(chunk);
    }

    /// Notes a column chunk page by page; `page_sizes` are of its data pages, and a dictionary is what lies before them.
    ///
    /// Errors: `Internal` when the pages are larger than the chunk.
    pub fn pages(
        &mut self,
        chunk: &[u8],
        page_sizes: impl ExactSizeIterator<Item = usize> + Clone,
    ) -> Result<(), Error> {
        let (dictionary, mut rest) = chunk
            .len()
            .checked_sub(page_sizes.clone().sum())
            .map(|dictionary| chunk.split_at(dictionary))
            .ok_or_else(|| Error::internal("pages are larger than their chunk"))?;
        let parts = page_sizes.len() + usize::from(!dictionary.is_empty());
        varint::put(&mut self.bytes, parts as u64);
        if !dictionary.is_empty() {
            self.put(dictionary);
        }
        for size in page_sizes {
            let (page, after) = rest.split_at(size);
            self.put(page);
            rest = after;
        }
        Ok(())
    }

    /// For each column chunk of each row group the number of its parts, then their CRC-32.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn put(&mut self, part: &[u8]) {
        self.bytes.extend(crc32fast::hash(part).to_le_bytes());
    }
}

/// The parts of a file that have a checksum.
#[derive(Debug, Default)]
pub struct Checksums {
    /// Ascending, without overlap.
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    start: u64,
    bytes: u32,
    crc32: u32,
}

impl Part {
    fn end(&self) -> u64 {
        self.start + u64::from(self.bytes)
    }
}

impl Checksums {
    /// Decodes the checksums of the file that `metadata` describes. Errors: `Corrupt`; never panics.
    pub fn decode(mut rest: &[u8], metadata: &ParquetMetaData) -> Result<Self, Error> {
        let offset_index = metadata.offset_index().ok_or_else(damaged)?;
        let mut parts: Vec<Part> = Vec::with_capacity(rest.len() / 4);
        for (group, offset_index) in metadata.row_groups().iter().zip(offset_index) {
            if group.num_columns() != offset_index.len() {
                return Err(damaged());
            }
            for (column, pages) in group.columns().iter().zip(offset_index) {
                let first = column
                    .dictionary_page_offset()
                    .unwrap_or_else(|| column.data_page_offset());
                let start = u64::try_from(first).map_err(|_| damaged())?;
                let end = u64::try_from(column.compressed_size())
                    .ok()
                    .and_then(|bytes| start.checked_add(bytes))
                    .ok_or_else(damaged)?;
                let before = parts.last().map_or(0, Part::end);
                if start < before {
                    return Err(damaged());
                }
                let count = varint::take(&mut rest).map_err(|_| damaged())?;
                chunk_parts(
                    count,
                    start..end,
                    pages.page_locations(),
                    &mut rest,
                    &mut parts,
                )?;
            }
        }
        if !rest.is_empty() {
            return Err(damaged());
        }
        parts.shrink_to_fit();
        Ok(Self { parts })
    }

    /// The least range of whole parts around `range`. Errors: `Corrupt` when some of it has no checksum.
    pub fn around(&self, range: &Range<u64>) -> Result<Range<u64>, Error> {
        let parts = self.of(range);
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
            return Err(damaged());
        };
        let gapless = parts.windows(2).all(|pair| pair[0].end() == pair[1].start);
        if range.start < first.start || last.end() < range.end || !gapless {
            return Err(damaged());
        }
        Ok(first.start..last.end())
    }

    /// Checks `bytes`, which are whole parts from `start` on. Errors: `Corrupt`.
    pub fn check(&self, start: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut rest = bytes;
        for part in self.of(&(start..start + bytes.len() as u64)) {
            let (bytes, after) = rest
                .split_at_checked(part.bytes as usize)
                .ok_or_else(damaged)?;
            rest = after;
            let found = crc32fast::hash(bytes);
            if found != part.crc32 {
                return Err(Error::corrupt(format!(
                    "{} bytes at {} have checksum {found:08x}, not {:08x}",
                    part.bytes, part.start, part.crc32
                )));
            }
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(damaged())
        }
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.parts.capacity() * size_of::<Part>()
    }

    /// The parts that overlap `range`.
    fn of(&self, range: &Range<u64>) -> &[Part] {
        let first = self.parts.partition_point(|part| part.end() <= range.start);
        let behind = self.parts.partition_point(|part| part.start < range.end);
        self.parts.get(first..behind).unwrap_or_default()
    }
}

/// The parts of the column chunk at `range`.
fn chunk_parts(
    count: u64,
    range: Range<u64>,
    pages: &[PageLocation],
    rest: &mut &[u8],
    parts: &mut Vec<Part>,
) -> Result<(), Error> {
    let mut put = |start: u64, end: u64| {
        let bytes = end
            .checked_sub(start)
            .and_then(|bytes| u32::try_from(bytes).ok())
            .ok_or_else(damaged)?;
        let (crc32, after) = rest.split_first_chunk().ok_or_else(damaged)?;
        *rest = after;
        parts.push(Part {
            start,
            bytes,
            crc32: u32::from_le_bytes(*crc32),
        });
        Ok(())
    };
    if count == 1 {
        return put(range.start, range.end);
    }
    let first_page = pages
        .first()
        .and_then(|page| u64::try_from(page.offset).ok())
        .ok_or_else(damaged)?;
    let mut at = range.start;
    if first_page != range.start {
        put(at, first_page)?;
        at = first_page;
    }
    for page in pages {
        let start = u64::try_from(page.offset).map_err(|_| damaged())?;
        let end = u64::try_from(page.compressed_page_size)
            .ok()
            .and_then(|bytes| start.checked_add(bytes))
            .ok_or_else(damaged)?;
        if start != at || end > range.end {
            return Err(damaged());
        }
        put(start, end)?;
        at = end;
    }
    let expected = pages.len() as u64 + u64::from(first_page != range.start);
    if at != range.end || count != expected {
        return Err(damaged());
    }
    Ok(())
}

fn damaged() -> Error {
    Error::corrupt("the page checksums do not fit the file")
}
