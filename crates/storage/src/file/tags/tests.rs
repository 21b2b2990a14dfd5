//! Runs of tags in every mixture, read back by the stock reader.

use std::sync::Arc;

use arrow::array::{DictionaryArray, Int32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::properties::WriterProperties;

use super::*;
use crate::file::chunk;

const PAGE_ROWS: usize = 100;

/// The same text, or none, in so many rows.
type Stretch<'a> = (Option<&'a str>, usize);

fn array(stretches: &[Stretch<'_>]) -> ArrayRef {
    let mut texts: Vec<&str> = stretches.iter().filter_map(|(text, _)| *text).collect();
    texts.sort_unstable();
    texts.dedup();
    let codes = stretches.iter().flat_map(|(text, rows)| {
        let code = text.map(|text| texts.binary_search(&text).expect("listed") as i32);
        std::iter::repeat_n(code, *rows)
    });
    let codes: Int32Array = codes.collect();
    let texts = Arc::new(StringArray::from(texts));
    Arc::new(DictionaryArray::try_new(codes, texts).expect("a dictionary"))
}

/// A file with one column, of these arrays one after the other.
fn file(arrays: &[ArrayRef]) -> Bytes {
    let data_type = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let schema = Arc::new(Schema::new(vec![Field::new("t", data_type, true)]));
    let (mut file, _) = ArrowWriter::try_new(
        Vec::new(),
        schema,
        Some(WriterProperties::builder().build()),
    )
    .and_then(ArrowWriter::into_serialized_writer)
    .expect("a writer");
    let descriptor = ColumnDescPtr::clone(&file.schema_descr().columns()[0]);
    let mut compressor = chunk::compressor().expect("a compressor");
    let mut column = TagColumn::new(descriptor, PAGE_ROWS);
    for array in arrays {
        column.write(array, &mut compressor).expect("write");
    }
    let chunk = column.finish(&mut compressor).expect("finish");
    let mut group = file.next_row_group().expect("a row group");
    group
        .append_column(&chunk.bytes, chunk.close)
        .expect("append");
    group.close().expect("close");
    file.into_inner().expect("a file").into()
}

fn read(file: Bytes) -> (Vec<Option<String>>, Arc<ParquetMetaData>) {
    let options = parquet::arrow::arrow_reader::ArrowReaderOptions::new()
        .with_page_index_policy(PageIndexPolicy::Required);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .expect("a Parquet file");
    let metadata = Arc::clone(builder.metadata());
    let batches: Vec<RecordBatch> = builder
        .build()
        .and_then(|reader| Ok(reader.collect::<Result<_, _>>()?))
        .expect("batches");
    let rows = batches.iter().flat_map(|batch| {
        let plain = arrow::compute::cast(batch.column(0), &DataType::Utf8).expect("strings");
        let strings = plain.as_string::<i32>().iter();
        strings
            .map(|text| text.map(str::to_string))
            .collect::<Vec<_>>()
    });
    (rows.collect(), metadata)
}

/// Writes the stretches as one array, and cut into arrays of some rows each; both must read back.
fn check(stretches: &[Stretch<'_>]) -> Arc<ParquetMetaData> {
    let whole = array(stretches);
    let expected: Vec<Option<String>> = stretches
        .iter()
        .flat_map(|(text, rows)| std::iter::repeat_n(text.map(str::to_string), *rows))
        .collect();
    let cut: Vec<ArrayRef> = (0..whole.len())
        .step_by(37)
        .map(|start| whole.slice(start, 37.min(whole.len() - start)))
        .collect();
    let (rows, _) = read(file(&cut));
    assert_eq!(rows, expected, "cut");
    let (rows, metadata) = read(file(&[whole]));
    assert_eq!(rows, expected, "whole");
    metadata
}

#[test]
fn runs_of_every_length_and_nulls_between_them_are_read_back() {
    check(&[(Some("only"), 1)]);
    check(&[(None, 250)]);
    check(&[(Some("only"), 1000)]);
    check(&[
        (Some(""), 7),
        (None, 9),
        (Some("ä€"), 8),
        (None, 1),
        (Some("b"), 99),
    ]);
    let names: Vec<String> = (0..300).map(|number| format!("name {number}")).collect();
    for longest in [1, 7, 8, 9, 16, 33, 250] {
        let stretches: Vec<Stretch<'_>> = names
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let text = (at % 11 != 5).then_some(name.as_str());
                (text, 1 + at * 13 % longest)
            })
            .collect();
        check(&stretches);
    }
}

#[test]
fn values_of_other_arrays_share_the_dictionary() {
    let arrays = [
        array(&[(Some("a"), 20), (Some("b"), 20)]),
        array(&[(Some("b"), 20), (Some("c"), 20)]),
    ];
    let (rows, metadata) = read(file(&arrays));
    assert_eq!(rows[39], rows[40]);
    assert_eq!(rows[79].as_deref(), Some("c"));
    let column = metadata.row_group(0).column(0);
    assert_eq!(column.dictionary_page_offset(), Some(4));
    let dictionary = column.data_page_offset() - 4;
    assert!(dictionary < 40, "{dictionary} bytes for three letters");
}

#[test]
fn a_dictionary_that_grows_too_large_gives_way_to_the_values() {
    let names: Vec<String> = (0..40)
        .map(|number| format!("{number:02}").repeat(30_000))
        .collect();
    let stretches: Vec<Stretch<'_>> = names
        .iter()
        .enumerate()
        .map(|(at, name)| ((at % 7 != 3).then_some(name.as_str()), 1 + at % 30))
        .collect();
    let metadata = check(&stretches);
    let column = metadata.row_group(0).column(0);
    let encodings: Vec<Encoding> = column.encodings().collect();
    assert!(encodings.contains(&Encoding::RLE_DICTIONARY));
    assert!(encodings.contains(&Encoding::DELTA_LENGTH_BYTE_ARRAY));
}

#[test]
fn bounds_are_short_and_hold_what_they_bound() {
    let long = "z".repeat(70);
    let metadata = check(&[
        (Some("a"), 100),
        (Some("m"), 50),
        (Some(&long), 50),
        (None, 3),
    ]);
    let column = metadata.row_group(0).column(0);
    let statistics = column.statistics().expect("statistics");
    assert_eq!(statistics.min_bytes_opt(), Some(b"a".as_slice()));
    let above = format!("{}{{", "z".repeat(63));
    assert_eq!(statistics.max_bytes_opt(), Some(above.as_bytes()));
    assert!(statistics.min_is_exact() && !statistics.max_is_exact());
    assert_eq!(statistics.null_count_opt(), Some(3));
    let index = &metadata.column_index().expect("an index")[0][0];
    assert_eq!(index.get_boundary_order(), Some(BoundaryOrder::ASCENDING));
    let falling = check(&[(Some("b"), 100), (Some("a"), 100)]);
    let index = &falling.column_index().expect("an index")[0][0];
    assert_eq!(index.get_boundary_order(), Some(BoundaryOrder::UNORDERED));
    assert_eq!(short_above("\u{10ffff}".repeat(40).as_bytes()), None);
    let past_surrogates = format!("{}\u{d7ff}", "a".repeat(61)) + "bb";
    let above = format!("{}\u{e000}", "a".repeat(61));
    assert_eq!(
        short_above(past_surrogates.as_bytes()),
        Some(above.into_bytes())
    );
}
