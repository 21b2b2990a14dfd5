//! Microbenchmarks of rows becoming text: json, jsonl and csv of a batch as a query gives it. Run by `cargo xtask perf`.
//!
//! The writers are no part of the crate's interface, so they are compiled in by their path, as `examples/encoding.rs` does, which
//! compares them with arrow's. Not here: pieces, compression and sending, and how a value should look (tests).

#[expect(dead_code, reason = "other crates use the rest")]
#[path = "../../line_protocol/benches/cpu/mod.rs"]
mod cpu;

#[allow(
    dead_code,
    unused_imports,
    reason = "the server and its tests use the rest"
)]
#[path = "../src/http/encode/rows/mod.rs"]
mod rows;

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use cpu::{Cpu, FIELDS, TAGS};
use rows::{RowWriter, Shape, Text};

/// With as many epochs about as many rows as a batch of a query has.
const HOSTS: usize = 128;

const EPOCHS: usize = 64;

const PIECE_BYTES: usize = 256 << 10;

/// All columns by name, the rows host by host, as stored rows come.
fn batch() -> RecordBatch {
    let cpu = Cpu::new(HOSTS, EPOCHS);
    let of_rows = || (0..HOSTS).flat_map(|host| (0..EPOCHS).map(move |epoch| (host, epoch)));
    let tags = TAGS.iter().enumerate().map(|(at, name)| {
        // Each value once, as the storage gives them.
        let mut values: Vec<&str> = (0..HOSTS).map(|host| cpu.tags(host)[at].as_str()).collect();
        values.sort_unstable();
        values.dedup();
        let code = |host: usize| values.binary_search(&cpu.tags(host)[at].as_str());
        let codes = of_rows().map(|(host, _)| code(host).expect("its value is listed") as i32);
        let codes = Int32Array::from_iter_values(codes);
        let values = Arc::new(StringArray::from(values.clone()));
        (
            *name,
            Arc::new(DictionaryArray::new(codes, values)) as ArrayRef,
        )
    });
    let times = of_rows().map(|(_, epoch)| Cpu::time_ns(epoch));
    let times: ArrayRef = Arc::new(TimestampNanosecondArray::from_iter_values(times));
    let fields = FIELDS.iter().enumerate().map(|(at, name)| {
        let values = of_rows().map(|(host, epoch)| i64::from(cpu.usages(host, epoch)[at]));
        (
            *name,
            Arc::new(Int64Array::from_iter_values(values)) as ArrayRef,
        )
    });
    let mut columns: Vec<(&str, ArrayRef)> = tags.chain([("time", times)]).chain(fields).collect();
    columns.sort_by_key(|(name, _)| *name);
    RecordBatch::try_from_iter(columns).expect("columns are of one length")
}

/// Writes a whole result of one batch, piece by piece into the same memory, as the server does; how many bytes it has.
fn encode(shape: Shape, batch: &RecordBatch, memory: &mut Vec<u8>) -> usize {
    let mut writer = RowWriter::new(shape);
    let mut bytes = 0;
    writer.begin(batch).expect("every type can be shown");
    while writer.is_in_batch() {
        let mut text = Text::reusing(std::mem::take(memory));
        let written = writer.write(&mut text, PIECE_BYTES);
        written.expect("every value can be shown");
        if !writer.is_in_batch() {
            writer.finish(&mut text);
        }
        bytes += black_box(text.bytes()).len();
        *memory = text.into_parts().0;
    }
    bytes
}

fn encoding(criterion: &mut Criterion) {
    let batch = batch();
    let mut memory = Vec::new();
    let mut group = criterion.benchmark_group("server");
    for (name, shape) in [
        ("encode_json", Shape::Json),
        ("encode_jsonl", Shape::JsonLines),
        ("encode_csv", Shape::Csv),
    ] {
        let bytes = encode(shape, &batch, &mut memory);
        group.throughput(Throughput::BytesDecimal(bytes as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| encode(shape, &batch, &mut memory));
        });
    }
    group.finish();
}

criterion_group!(benches, encoding);
criterion_main!(benches);
