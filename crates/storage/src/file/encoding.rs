//! Which encoding a column gets: the one that makes a sample of its values smallest.
//!
//! The sample is encoded with each candidate and compressed, once per column and row group. Candidates are listed with the one
//! quickest to decode first, and a slower one must be smaller by [`GAIN_LEAST_PERCENT`] to be taken. Not here: the encoding itself.

use std::io;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{FieldRef, Schema};
use catalog::{ColumnKind, FieldType};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::basic;
use parquet::column::writer::ColumnCloseResult;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use super::chunk::WrittenChunk;
use super::delta::Widths;
use super::integers::IntegerColumn;
use super::tags::TagColumn;
use super::write::{write_error, zstd_level};
use crate::Error;

/// By how much a slower encoding must be smaller.
const GAIN_LEAST_PERCENT: u64 = 3;

/// How the values of a column chunk are laid out, before zstd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Plain,
    /// Bits, or runs of them.
    Runs,
    /// Each value once, then which; plain or with lengths apart when there are too many.
    Dictionary,
    /// First bytes of all values, then second bytes, and so on.
    ByteStreamSplit,
    /// Integers by difference.
    Delta(Widths),
    /// Strings: all lengths, then all bytes.
    DeltaLength,
    /// Strings: what each shares with the one before is left out.
    DeltaString,
}

/// What is worth trying for columns of a kind, quickest to decode first.
pub fn candidates(kind: ColumnKind) -> &'static [Encoding] {
    match kind {
        ColumnKind::Tag => &[Encoding::Dictionary],
        ColumnKind::Time => &[
            Encoding::Delta(Widths::Least),
            Encoding::Delta(Widths::Whole),
        ],
        ColumnKind::Field(FieldType::Integer | FieldType::Unsigned) => &[
            Encoding::Plain,
            Encoding::Dictionary,
            Encoding::Delta(Widths::Least),
            Encoding::Delta(Widths::Whole),
        ],
        ColumnKind::Field(FieldType::Float) => &[
            Encoding::Plain,
            Encoding::Dictionary,
            Encoding::ByteStreamSplit,
        ],
        ColumnKind::Field(FieldType::String) => &[
            Encoding::Dictionary,
            Encoding::DeltaLength,
            Encoding::DeltaString,
        ],
        ColumnKind::Field(FieldType::Boolean) => &[Encoding::Runs],
    }
}

/// A column as files have it.
#[derive(Clone, Debug)]
pub struct FileColumn {
    pub kind: ColumnKind,
    pub field: FieldRef,
    pub descriptor: ColumnDescPtr,
}

/// A column chunk being written.
pub enum ColumnWriter {
    Integers(Box<IntegerColumn>),
    Tags(Box<TagColumn>),
    Library(FieldRef, Box<ArrowColumnWriter>),
}

/// A finished one.
pub enum ColumnChunk {
    Ours(WrittenChunk),
    Library(ArrowColumnChunk),
}

impl ColumnChunk {
    /// What the library wants to know of it; page offsets are those within the chunk.
    pub fn close(&self) -> &ColumnCloseResult {
        match self {
            Self::Ours(chunk) => &chunk.close,
            Self::Library(chunk) => chunk.close(),
        }
    }
}

impl ColumnWriter {
    /// Pages have `page_rows`.
    pub fn new(column: &FileColumn, encoding: Encoding, page_rows: usize) -> Result<Self, Error> {
        if let Encoding::Delta(widths) = encoding {
            let unsigned = column.kind == ColumnKind::Field(FieldType::Unsigned);
            let descriptor = ColumnDescPtr::clone(&column.descriptor);
            let integers = IntegerColumn::new(descriptor, unsigned, widths, page_rows);
            return Ok(Self::Integers(Box::new(integers)));
        }
        if column.kind == ColumnKind::Tag {
            let descriptor = ColumnDescPtr::clone(&column.descriptor);
            return Ok(Self::Tags(Box::new(TagColumn::new(descriptor, page_rows))));
        }
        // The library makes writers for whole schemas; columns of one encoding each are schemas of one column.
        let schema = Arc::new(Schema::new(vec![FieldRef::clone(&column.field)]));
        let properties = library_properties(column, encoding, page_rows).build();
        let (_, writers) = ArrowWriter::try_new(io::sink(), schema, Some(properties))
            .and_then(ArrowWriter::into_serialized_writer)
            .map_err(write_error)?;
        let mut writers = writers.create_column_writers(0).map_err(write_error)?;
        let writer = writers
            .pop()
            .filter(|_| writers.is_empty())
            .ok_or_else(|| Error::internal("a column that is not one in Parquet"))?;
        Ok(Self::Library(
            FieldRef::clone(&column.field),
            Box::new(writer),
        ))
    }

    pub fn write(
        &mut self,
        values: &ArrayRef,
        compressor: &mut Compressor<'_>,
    ) -> Result<(), Error> {
        match self {
            Self::Integers(column) => column.write(values, compressor),
            Self::Tags(column) => column.write(values, compressor),
            Self::Library(field, writer) => {
                for leaf in compute_leaves(field, values).map_err(write_error)? {
                    writer.write(&leaf).map_err(write_error)?;
                }
                Ok(())
            }
        }
    }

    /// About the bytes of the chunk so far.
    pub fn encoded_bytes(&self) -> usize {
        match self {
            Self::Integers(column) => column.encoded_bytes(),
            Self::Tags(column) => column.encoded_bytes(),
            Self::Library(_, writer) => writer.get_estimated_total_bytes(),
        }
    }

    pub fn finish(self, compressor: &mut Compressor<'_>) -> Result<ColumnChunk, Error> {
        match self {
            Self::Integers(column) => Ok(ColumnChunk::Ours(column.finish(compressor)?)),
            Self::Tags(column) => Ok(ColumnChunk::Ours(column.finish(compressor)?)),
            Self::Library(_, writer) => {
                Ok(ColumnChunk::Library(writer.close().map_err(write_error)?))
            }
        }
    }
}

/// The encoding for a column that begins with these values, and has pages of so many rows.
pub fn choose(
    column: &FileColumn,
    sample: &[&ArrayRef],
    page_rows: usize,
    compressor: &mut Compressor<'_>,
) -> Result<Encoding, Error> {
    let candidates = candidates(column.kind);
    if let [only] = candidates {
        return Ok(*only);
    }
    let mut sizes = Vec::with_capacity(candidates.len());
    for encoding in candidates {
        let mut writer = ColumnWriter::new(column, *encoding, page_rows)?;
        for values in sample {
            writer.write(values, compressor)?;
        }
        let chunk = writer.finish(compressor)?;
        sizes.push((chunk.close().bytes_written, *encoding));
    }
    Ok(quickest_of_small(&sizes))
}

/// Pure. `sizes` are in the order of [`candidates`].
fn quickest_of_small(sizes: &[(u64, Encoding)]) -> Encoding {
    let least = sizes.iter().map(|(bytes, _)| *bytes).min().unwrap_or(0);
    let enough = |bytes: u64| bytes * 100 <= least * (100 + GAIN_LEAST_PERCENT);
    sizes
        .iter()
        .find(|(bytes, _)| enough(*bytes))
        .map_or(Encoding::Plain, |(_, encoding)| *encoding)
}

fn library_properties(
    column: &FileColumn,
    encoding: Encoding,
    page_rows: usize,
) -> WriterPropertiesBuilder {
    let properties = WriterProperties::builder()
        .set_compression(basic::Compression::ZSTD(zstd_level()))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_data_page_row_count_limit(page_rows)
        .set_write_batch_size(page_rows)
        .set_dictionary_enabled(encoding == Encoding::Dictionary);
    match encoding {
        Encoding::Dictionary if column.kind == ColumnKind::Field(FieldType::String) => {
            properties.set_encoding(basic::Encoding::DELTA_LENGTH_BYTE_ARRAY)
        }
        Encoding::Plain | Encoding::Dictionary => properties.set_encoding(basic::Encoding::PLAIN),
        Encoding::Runs => properties.set_encoding(basic::Encoding::RLE),
        Encoding::ByteStreamSplit => properties.set_encoding(basic::Encoding::BYTE_STREAM_SPLIT),
        Encoding::Delta(_) => properties.set_encoding(basic::Encoding::DELTA_BINARY_PACKED),
        Encoding::DeltaLength => properties.set_encoding(basic::Encoding::DELTA_LENGTH_BYTE_ARRAY),
        Encoding::DeltaString => properties.set_encoding(basic::Encoding::DELTA_BYTE_ARRAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slower_encoding_must_be_worth_it() {
        use Encoding::{ByteStreamSplit, Dictionary, Plain};
        let pick = |plain, dictionary, split| {
            quickest_of_small(&[
                (plain, Plain),
                (dictionary, Dictionary),
                (split, ByteStreamSplit),
            ])
        };
        assert_eq!(pick(103, 100, 110), Plain);
        assert_eq!(pick(104, 100, 110), Dictionary);
        assert_eq!(pick(104, 103, 100), Dictionary);
        assert_eq!(pick(200, 150, 100), ByteStreamSplit);
        assert_eq!(pick(0, 0, 0), Plain);
    }
}
