//! What is put together and what stays apart, and that no row changes by it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use catalog::{ColumnId, DatabaseId, TableId};

use super::super::BUNDLE_BYTES_MAX;
use super::*;
use crate::series::encode_series_key;

fn key(tag: &str) -> Vec<u8> {
    let mut key = Vec::new();
    encode_series_key([Some(tag)].into_iter(), &mut key);
    key
}

/// Rows of these tags at these times; a column with the times and one with `number` for each row.
fn rows(table: u32, number: u16, rows: &[(&str, i64)]) -> DecodedBatch {
    let times: Vec<i64> = rows.iter().map(|(_, time)| *time).collect();
    let values: ArrayRef = Arc::new(Int64Array::from(times.clone()));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![i64::from(number); rows.len()]));
    DecodedBatch {
        database: DatabaseId(1),
        table: TableId(table),
        series_keys: rows.iter().map(|(tag, _)| key(tag)).collect(),
        series: (0..rows.len() as u32).collect(),
        times,
        columns: vec![(ColumnId(1), values), (ColumnId(number), numbers)],
    }
}

fn many(table: u32, count: usize) -> DecodedBatch {
    let series = ["a", "b", "c"];
    let of_series: Vec<(&str, i64)> = (0..count)
        .map(|row| (series[row % 3], row as i64))
        .collect();
    rows(table, 2, &of_series)
}

fn bundler(cuts: &[u64], bytes_max: usize) -> Bundler {
    Bundler::new(Bundling {
        cuts: cuts.into(),
        bytes_max,
    })
}

fn bundled(cuts: &[u64], writes: Vec<(u64, Vec<DecodedBatch>)>) -> (Vec<Bundle>, Vec<Unreadable>) {
    let mut bundler = bundler(cuts, BUNDLE_BYTES_MAX);
    for (sequence, batches) in writes {
        bundler.add(sequence, batches).expect("columns of one type");
    }
    bundler.finish().expect("columns of one type");
    (bundler.finished.into(), bundler.unreadable)
}

fn sequences(bundles: &[Bundle]) -> Vec<(u64, u64)> {
    bundles
        .iter()
        .map(|bundle| (bundle.first_sequence, bundle.last_sequence))
        .collect()
}

#[test]
fn writes_of_many_tables_become_one_batch_for_each() {
    let (bundles, unreadable) = bundled(
        &[],
        vec![
            (3, vec![rows(7, 2, &[("b", 5), ("a", 9)])]),
            (4, vec![rows(8, 2, &[("b", 1)]), rows(7, 3, &[("c", 2)])]),
            (9, vec![rows(7, 2, &[("b", 4)])]),
        ],
    );
    assert!(unreadable.is_empty());
    assert_eq!(sequences(&bundles), [(3, 9)]);
    let [first, second] = bundles[0].tables.as_slice() else {
        panic!("not two tables: {bundles:?}");
    };
    assert_eq!((first.table, second.table), (TableId(7), TableId(8)));
    assert_eq!(first.series_keys, [key("b"), key("a"), key("c")]);
    let batch = &first.segment.batch;
    assert_eq!(batch.series.to_vec(), [0, 1, 2, 0]);
    assert_eq!(batch.times.to_vec(), [5, 9, 2, 4]);
    let column = |id| batch.column(ColumnId(id)).expect("a column");
    assert_eq!(
        column(1).as_primitive::<Int64Type>(),
        &Int64Array::from(vec![5, 9, 2, 4])
    );
    assert_eq!(
        column(3).as_primitive::<Int64Type>(),
        &Int64Array::from(vec![None, None, Some(3), None])
    );
    assert_eq!(second.series_keys, [key("b")]);
    assert_eq!(first.segment.first_sequence, 3);
    assert_eq!(first.segment.last_sequence, 9);
}

#[test]
fn a_long_one_has_its_rows_in_order_under_any_numbers() {
    let writes = (1..=4).map(|sequence| (sequence, vec![many(1, 30_000)]));
    let (mut bundles, _) = bundled(&[], writes.collect());
    assert_eq!(sequences(&bundles), [(1, 4)]);
    let rows = &mut bundles[0].tables[0];
    assert_eq!(rows.segment.rows(), 120_000);
    rows.segment.renumber(&[20, 10, 30]);
    let batch = &rows.segment.batch;
    let expected: Vec<u32> = [20, 10, 30]
        .iter()
        .flat_map(|number| std::iter::repeat_n(*number, 40_000))
        .collect();
    assert_eq!(batch.series.to_vec(), expected);
    assert!(batch.times[..40_000].is_sorted());
    // Written four times: what is newer must be found behind what is older.
    assert_eq!(batch.times[..5], [0, 0, 0, 0, 3]);
    let order = rows.segment.order();
    assert_eq!(order.rows.len(), 120_000);
    let spans: Vec<_> = order
        .spans
        .iter()
        .map(|span| (span.series, span.start, span.end))
        .collect();
    assert_eq!(
        spans,
        [(20, 0, 40_000), (10, 40_000, 80_000), (30, 80_000, 120_000)]
    );
}

#[test]
fn deletes_and_size_keep_writes_apart() {
    let one = || vec![rows(1, 2, &[("a", 1)])];
    let writes = |sequences: &[u64]| sequences.iter().map(|at| (*at, one())).collect();
    let (bundles, _) = bundled(&[0, 2, 5, 6, 20], writes(&[1, 2, 3, 5, 7, 8]));
    assert_eq!(sequences(&bundles), [(1, 2), (3, 5), (7, 8)]);

    let half = SEGMENT_ROWS_MAX / 2;
    let (bundles, _) = bundled(
        &[],
        vec![
            (1, vec![many(1, half)]),
            (2, vec![many(2, half)]),
            (3, vec![many(1, half)]),
            (4, one()),
            (5, vec![many(1, 2 * half + 1)]),
            (6, one()),
        ],
    );
    assert_eq!(sequences(&bundles), [(1, 3), (4, 4), (5, 5), (6, 6)]);

    let size = bytes_of(&one()[0]);
    let mut three = bundler(&[], 3 * size);
    for sequence in 1..=7 {
        three.add(sequence, one()).expect("columns of one type");
    }
    three
        .add(8, vec![many(1, 50)])
        .expect("more than the bound");
    three.finish().expect("columns of one type");
    let bundles: Vec<Bundle> = three.finished.into();
    assert_eq!(sequences(&bundles), [(1, 3), (4, 6), (7, 7), (8, 8)]);
}

#[test]
fn a_key_that_is_none_costs_the_rows_it_came_with() {
    let mut damaged = rows(1, 2, &[("a", 1), ("b", 2)]);
    damaged.series_keys[1] = vec![7];
    let (bundles, unreadable) = bundled(
        &[],
        vec![
            (1, vec![damaged, rows(2, 2, &[("x", 3)])]),
            (2, vec![rows(1, 2, &[("b", 4)])]),
        ],
    );
    let table = TableId(1);
    assert_eq!(unreadable, [Unreadable { table, rows: 2 }]);
    let times: Vec<Vec<i64>> = bundles[0]
        .tables
        .iter()
        .map(|rows| rows.segment.batch.times.to_vec())
        .collect();
    assert_eq!(times, [vec![4], vec![3]]);
}

#[test]
fn columns_that_changed_their_type_are_refused() {
    let mut other = rows(1, 2, &[("a", 1)]);
    other.columns[0].1 = Arc::new(arrow::array::BooleanArray::from(vec![true]));
    let mut bundler = bundler(&[], BUNDLE_BYTES_MAX);
    bundler.add(1, vec![other]).expect("one write");
    bundler
        .add(2, vec![rows(1, 2, &[("a", 2)])])
        .expect("room for it");
    assert!(bundler.finish().is_err());
}
