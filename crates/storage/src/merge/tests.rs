//! Random merges against a map that does the same the slow way.

use std::collections::BTreeMap;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};

use super::*;
use crate::batch::Batch;
use crate::buffer::segment::Segment;
use catalog::{ColumnId, DatabaseId, TableId};

type Row = (u32, i64, Option<i64>, Option<i64>);

fn output(batch_rows: usize) -> Output {
    let null = || Arc::new(Int64Array::from(vec![None])) as ArrayRef;
    let time = DataType::Timestamp(TimeUnit::Nanosecond, None);
    Output {
        schema: Arc::new(Schema::new(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("time", time, false),
            Field::new("b", DataType::Int64, true),
        ])),
        columns: vec![
            OutputColumn::Field {
                field: 0,
                null: null(),
            },
            OutputColumn::Time,
            OutputColumn::Field {
                field: 1,
                null: null(),
            },
        ],
        batch_rows,
    }
}

/// A source as a segment would give it: one chunk through an order.
fn segment_chunks(rows: &[Row]) -> Vec<Chunk> {
    let batch = Batch {
        database: DatabaseId(0),
        table: TableId(0),
        series: rows.iter().map(|row| row.0).collect(),
        times: rows.iter().map(|row| row.1).collect(),
        columns: vec![(
            ColumnId(0),
            Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()),
        )],
    };
    let b: Int64Array = rows.iter().map(|row| row.3).collect();
    let has_b = b.null_count() < b.len();
    let Some(segment) = Segment::new(batch, 1, 1) else {
        return Vec::new();
    };
    let order = Arc::clone(segment.order());
    vec![Chunk {
        spans: order
            .spans
            .iter()
            .map(|span| Span {
                rank: span.series,
                start: span.start,
                end: span.end,
            })
            .collect(),
        rows: Rows::Ordered(order),
        times: segment.batch.times.clone(),
        fields: vec![
            segment.batch.column(ColumnId(0)).cloned(),
            has_b.then(|| Arc::new(b) as ArrayRef),
        ],
    }]
}

/// The same rows as a file would give them: sorted, without duplicates, in small chunks.
fn file_chunks(rows: &[Row], chunk_rows: usize) -> Vec<Chunk> {
    let rows: Vec<Row> = slow(&[rows.to_vec()]);
    rows.chunks(chunk_rows)
        .map(|rows| Chunk {
            spans: rows
                .chunk_by(|a, b| a.0 == b.0)
                .scan(0, |start, rows| {
                    let span = Span {
                        rank: rows[0].0,
                        start: *start,
                        end: *start + rows.len() as u32,
                    };
                    *start = span.end;
                    Some(span)
                })
                .collect(),
            rows: Rows::Sorted,
            times: rows.iter().map(|row| row.1).collect(),
            fields: vec![
                Some(Arc::new(
                    rows.iter().map(|row| row.2).collect::<Int64Array>(),
                )),
                Some(Arc::new(
                    rows.iter().map(|row| row.3).collect::<Int64Array>(),
                )),
            ],
        })
        .collect()
}

fn slow(sources: &[Vec<Row>]) -> Vec<Row> {
    let mut merged: BTreeMap<(u32, i64), (Option<i64>, Option<i64>)> = BTreeMap::new();
    for row in sources.iter().flatten() {
        let fields = merged.entry((row.0, row.1)).or_default();
        fields.0 = row.2.or(fields.0);
        fields.1 = row.3.or(fields.1);
    }
    merged
        .into_iter()
        .map(|((series, time), (a, b))| (series, time, a, b))
        .collect()
}

fn fast(sources: Vec<Vec<Chunk>>, batch_rows: usize) -> Vec<Row> {
    let mut merge = Merge::new(output(batch_rows), sources.len());
    let mut sources: Vec<_> = sources.into_iter().map(Vec::into_iter).collect();
    let mut rows = Vec::new();
    loop {
        match merge.step().expect("merge") {
            Step::Need(source) => merge.supply(source, sources[source].next()),
            Step::Done => return rows,
            Step::Rows(merged) => {
                assert!(merged.batch.num_rows() > 0 && merged.batch.num_rows() <= batch_rows);
                let a = merged.batch.column(0).as_primitive::<Int64Type>();
                let b = merged.batch.column(2).as_primitive::<Int64Type>();
                rows.extend((0..merged.times.len()).map(|row| {
                    let value =
                        |column: &Int64Array| column.is_valid(row).then(|| column.value(row));
                    (merged.ranks[row], merged.times[row], value(a), value(b))
                }));
            }
        }
    }
}

#[test]
fn merging_agrees_with_a_map() {
    let mut state = 1u64;
    let mut random = |below: u64| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) % below
    };
    for _ in 0..400 {
        let count = 1 + random(6) as usize;
        let spread = 1 + random(40) as i64;
        let sources: Vec<Vec<Row>> = (0..count)
            .map(|_| {
                let rows = random(40);
                (0..rows)
                    .map(|_| {
                        let mut field = || (random(3) > 0).then(|| random(1000) as i64);
                        let (a, b) = (field(), field());
                        (random(5) as u32, random(spread as u64) as i64 - 3, a, b)
                    })
                    .collect()
            })
            .collect();
        let chunks = sources
            .iter()
            .map(|rows| match random(2) {
                0 => segment_chunks(rows),
                _ => file_chunks(rows, 1 + random(9) as usize),
            })
            .collect();
        assert_eq!(fast(chunks, 1 + random(12) as usize), slow(&sources));
    }
}

#[test]
fn clipping_keeps_only_the_range() {
    let rows: Vec<Row> = (0..10)
        .map(|time| (time % 2, i64::from(time), Some(1), None))
        .collect();
    let mut chunks = segment_chunks(&rows);
    chunks[0].clip(&(3..=6));
    let times: Vec<(u32, i64)> = fast(vec![chunks], 4)
        .iter()
        .map(|row| (row.0, row.1))
        .collect();
    assert_eq!(times, [(0, 4), (0, 6), (1, 3), (1, 5)]);
    let mut chunks = segment_chunks(&rows);
    chunks[0].clip(&(20..=30));
    assert!(fast(vec![chunks], 4).is_empty());
}

#[test]
fn batches_of_long_strings_are_short() {
    let long = "x".repeat(1 << 20);
    let rows = 100;
    let text: ArrayRef = Arc::new(arrow::array::StringArray::from(vec![long.as_str(); rows]));
    let schema = Schema::new(vec![Field::new("text", DataType::Utf8, true)]);
    let output = Output {
        schema: Arc::new(schema),
        columns: vec![OutputColumn::Field {
            field: 0,
            null: Arc::new(arrow::array::StringArray::new_null(1)),
        }],
        batch_rows: 8192,
    };
    let mut merge = Merge::new(output, 1);
    let mut chunk = Some(Chunk {
        spans: vec![Span {
            rank: 0,
            start: 0,
            end: rows as u32,
        }],
        rows: Rows::Sorted,
        times: (0..rows as i64).collect(),
        fields: vec![Some(text)],
    });
    let mut lengths = Vec::new();
    loop {
        match merge.step().expect("merge") {
            Step::Need(source) => merge.supply(source, chunk.take()),
            Step::Rows(merged) => lengths.push(merged.batch.num_rows()),
            Step::Done => break,
        }
    }
    assert_eq!(lengths, [64, 36]);
}
