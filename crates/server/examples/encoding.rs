//! How fast rows become text: a batch as a TSBS load has it, by the server's writers and by arrow's.
//!
//! ```text
//! cargo run --release -p server --example encoding
//! ```
//! One line for each kind of rows and format: megabytes of text per second and nanoseconds for each value, ours and arrow's. Not
//! a test: nothing fails.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use runtime::{Clock, SystemClock};

#[allow(dead_code, reason = "the server uses the rest")]
#[path = "../src/http/encode/rows/mod.rs"]
mod rows;

use rows::{RowWriter, Shape, Text};

const ROWS: usize = 8_192;

const PIECE_BYTES: usize = 256 << 10;

/// Times that each batch is encoded.
const ROUNDS: u32 = 100;

const TAGS: [&str; 10] = [
    "arch",
    "datacenter",
    "hostname",
    "os",
    "rack",
    "region",
    "service",
    "service_environment",
    "service_version",
    "team",
];

const FIELDS: [&str; 10] = [
    "usage_guest",
    "usage_guest_nice",
    "usage_idle",
    "usage_iowait",
    "usage_irq",
    "usage_nice",
    "usage_softirq",
    "usage_steal",
    "usage_system",
    "usage_user",
];

fn main() -> Result<(), ArrowError> {
    let clock = SystemClock::new();
    for (name, rows_per_host, field) in [
        (
            "percent, host by host",
            360,
            percent as fn(usize) -> ArrayRef,
        ),
        ("percent, time by time", 1, percent),
        ("two decimals, host by host", 360, two_decimals),
        ("all digits, host by host", 360, all_digits),
    ] {
        let batch = batch(rows_per_host, field)?;
        compare(&clock, &format!("{name}: json"), &batch, Shape::JsonLines)?;
        compare(&clock, &format!("{name}: csv"), &batch, Shape::Csv)?;
    }
    Ok(())
}

fn compare(
    clock: &SystemClock,
    name: &str,
    batch: &RecordBatch,
    shape: Shape,
) -> Result<(), ArrowError> {
    let (mut writer, mut buffer) = (RowWriter::new(shape), Vec::new());
    let ours = timed(clock, batch, || text_bytes(&mut writer, &mut buffer, batch))?;
    let arrows = timed(clock, batch, || match shape {
        Shape::Csv => arrow_csv(batch),
        Shape::Json | Shape::JsonLines => arrow_json(batch),
    })?;
    println!("{name}: {ours} (arrow: {arrows})");
    Ok(())
}

/// The best of all rounds, as others may be at work.
fn timed(
    clock: &SystemClock,
    batch: &RecordBatch,
    mut encode: impl FnMut() -> Result<usize, ArrowError>,
) -> Result<String, ArrowError> {
    let mut best_ns = f64::MAX;
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let begun = clock.monotonic();
        bytes = black_box(encode()?);
        let took_ns = clock.monotonic().saturating_sub(begun).as_nanos() as f64;
        best_ns = best_ns.min(took_ns);
    }
    let values = (batch.num_rows() * batch.num_columns()) as f64;
    let megabytes_per_second = bytes as f64 * 1_000.0 / best_ns;
    let ns_per_value = best_ns / values;
    Ok(format!(
        "{megabytes_per_second:.0} MB/s, {ns_per_value:.1} ns per value"
    ))
}

/// Writes the batch in pieces, one buffer after the other, as the server does. The writer knows the dictionaries of the batch before.
fn text_bytes(
    writer: &mut RowWriter,
    buffer: &mut Vec<u8>,
    batch: &RecordBatch,
) -> Result<usize, ArrowError> {
    let mut bytes = 0;
    writer.begin(batch)?;
    while writer.is_in_batch() {
        let mut text = Text::reusing(std::mem::take(buffer));
        writer.write(&mut text, PIECE_BYTES)?;
        bytes += black_box(text.bytes()).len();
        *buffer = text.into_parts().0;
    }
    Ok(bytes)
}

fn arrow_json(batch: &RecordBatch) -> Result<usize, ArrowError> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(batch)?;
    Ok(black_box(writer.into_inner()).len())
}

fn arrow_csv(batch: &RecordBatch) -> Result<usize, ArrowError> {
    let mut writer = arrow::csv::Writer::new(Vec::new());
    writer.write(batch)?;
    Ok(black_box(writer.into_inner()).len())
}

/// Ten tags, a time and ten fields.
fn batch(rows_per_host: usize, field: fn(usize) -> ArrayRef) -> Result<RecordBatch, ArrowError> {
    let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
    for (number, tag) in TAGS.into_iter().enumerate() {
        let distinct = if tag == "hostname" { 4_000 } else { 4 + number };
        let values: StringArray = (0..distinct)
            .map(|value| Some(format!("{}_{value}", &tag[..4.min(tag.len())])))
            .collect();
        let keys: Int32Array = (0..ROWS)
            .map(|row| Some((row / rows_per_host * (number + 1) % distinct) as i32))
            .collect();
        columns.push((tag, Arc::new(DictionaryArray::new(keys, Arc::new(values)))));
    }
    let first_ns = 1_767_225_600_000_000_000;
    let times = (0..ROWS).map(|row| {
        let step = if rows_per_host == 1 {
            row / 4_000
        } else {
            row % rows_per_host
        };
        Some(first_ns + step as i64 * 10_000_000_000)
    });
    let times: TimestampNanosecondArray = times.collect();
    columns.push(("time", Arc::new(times)));
    for (number, name) in FIELDS.into_iter().enumerate() {
        columns.push((name, field(number)));
    }
    RecordBatch::try_from_iter(columns)
}

/// A number that looks like chance.
fn mixed(row: usize, number: usize) -> u64 {
    let seed = (row * 31 + number * 7_919 + 1) as u64;
    let mixed = (seed ^ (seed >> 7)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

fn percent(number: usize) -> ArrayRef {
    let values = (0..ROWS).map(|row| Some((mixed(row, number) % 101) as i64));
    Arc::new(values.collect::<Int64Array>())
}

fn two_decimals(number: usize) -> ArrayRef {
    let values = (0..ROWS).map(|row| Some((mixed(row, number) % 10_001) as f64 / 100.0));
    Arc::new(values.collect::<Float64Array>())
}

fn all_digits(number: usize) -> ArrayRef {
    let values = (0..ROWS).map(|row| Some(mixed(row, number) as f64 / u64::MAX as f64 * 100.0));
    Arc::new(values.collect::<Float64Array>())
}
