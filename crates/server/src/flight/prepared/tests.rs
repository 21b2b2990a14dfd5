//! Handles and values, whole and broken.

use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, NullArray, StringArray, UnionArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::UnionFields;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_flight::encode::FlightDataEncoderBuilder;
use futures::{StreamExt, TryStreamExt, stream};

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).expect("a batch")
}

async fn sent(batches: Vec<RecordBatch>) -> Vec<FlightData> {
    FlightDataEncoderBuilder::new()
        .build(stream::iter(batches).map(Ok))
        .try_collect()
        .await
        .expect("encodes")
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_string()).collect()
}

/// The values of each run, as text.
fn shown(runs: Result<Vec<Values>, Status>) -> String {
    let value = |parameter: &Parameter| match parameter {
        Parameter::Arrow(value) => {
            arrow::util::display::array_value_to_string(value, 0).expect("shows")
        }
        other => format!("{other:?}"),
    };
    let run = |values: &Values| {
        let values = values
            .iter()
            .map(|(name, given)| format!("{name}={}", value(given)));
        values.collect::<Vec<_>>().join(" ")
    };
    match runs {
        Ok(runs) => runs.iter().map(run).collect::<Vec<_>>().join("; "),
        Err(status) => status.message().to_string(),
    }
}

async fn bound(batches: Vec<RecordBatch>, placeholders: &[&str]) -> String {
    let prepared = Prepared::new("SELECT 1").expect("a statement");
    let handle = match prepared.bind(&sent(batches).await) {
        Ok(prepared) => prepared.to_handle(),
        Err(status) => return status.message().to_string(),
    };
    let prepared = Prepared::from_handle(&handle).expect("our own handle");
    shown(prepared.runs_of(&names(placeholders)))
}

fn numbers(values: Vec<i64>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

#[tokio::test]
async fn values_find_their_placeholders() {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let two = |first: &str, second: &str| {
        vec![batch(vec![
            (first, numbers(vec![7])),
            (second, Arc::clone(&text)),
        ])]
    };
    assert_eq!(bound(two("$b", "a"), &["a", "b"]).await, "a=x b=7");
    assert_eq!(bound(two("$1", "$2"), &["1", "2"]).await, "1=7 2=x");
    assert_eq!(bound(two("2", "1"), &["1", "2"]).await, "1=x 2=7");
    // By position, as clients do that count from zero or name nothing.
    assert_eq!(bound(two("0", "1"), &["1", "2"]).await, "1=7 2=x");
    assert_eq!(bound(two("", "?"), &["a", "b"]).await, "a=7 b=x");
    // More than is needed is no harm when the names are there.
    assert_eq!(bound(two("b", "a"), &["a"]).await, "a=x");
    assert_eq!(bound(two("b", "a"), &[]).await, "");
    assert_eq!(
        bound(two("x", "y"), &["a"]).await,
        "No value found for placeholder with name $a: 2 values for 1 parameters"
    );
}

#[tokio::test]
async fn rows_are_runs() {
    let rows = vec![
        batch(vec![("1", numbers(vec![1, 2]))]),
        batch(vec![("1", numbers(vec![3]))]),
    ];
    assert_eq!(bound(rows, &["1"]).await, "1=1; 1=2; 1=3");
    let none = vec![batch(vec![("1", numbers(vec![]))])];
    assert_eq!(
        bound(none, &["1"]).await,
        "no values are bound: the parameters have no row"
    );
    let many = vec![batch(vec![("1", numbers(vec![0; ROWS_MAX + 1]))])];
    assert_eq!(
        bound(many, &["1"]).await,
        "1001 rows of parameters are too many, 1000 are the most"
    );
    let null: ArrayRef = Arc::new(NullArray::new(1_000_000));
    assert_eq!(
        bound(vec![batch(vec![("1", null)])], &["1"]).await,
        "1000000 rows of parameters are too many, 1000 are the most"
    );
}

#[tokio::test]
async fn unions_hold_values_of_many_types() {
    let children: Vec<ArrayRef> = vec![
        numbers(vec![7]),
        Arc::new(Float64Array::from(vec![0.5])),
        Arc::new(StringArray::from(vec!["x"])),
    ];
    let fields = UnionFields::try_new(
        vec![0, 1, 2],
        vec![
            Field::new("i", DataType::Int64, true),
            Field::new("f", DataType::Float64, true),
            Field::new("s", DataType::Utf8, true),
        ],
    )
    .expect("fields");
    let union = UnionArray::try_new(
        fields,
        ScalarBuffer::from(vec![2_i8, 0, 1]),
        Some(ScalarBuffer::from(vec![0_i32, 0, 0])),
        children,
    )
    .expect("a union");
    let rows = vec![batch(vec![("value", Arc::new(union) as ArrayRef)])];
    assert_eq!(bound(rows, &["1", "2", "3"]).await, "1=x 2=7 3=0.5");
}

#[test]
fn handles_are_ours_or_text() {
    let prepared = Prepared::new("SELECT ?, ?").expect("a statement");
    assert_eq!(prepared.text, "SELECT $1, $2");
    let read = Prepared::from_handle(&prepared.to_handle());
    assert_eq!(read.expect("our own handle"), prepared);
    let raw = Prepared::from_handle(&Bytes::from_static(b"SELECT ?, ?"));
    assert_eq!(raw.expect("text"), prepared);
    assert_eq!(shown(prepared.runs()), "");
    for broken in [&b"\xff\xfe"[..], b"\x0a\xff"] {
        let status = Prepared::from_handle(&Bytes::from_static(broken)).expect_err("no text");
        assert_eq!(status.message(), "Invalid prepared statement handle");
    }
    assert!(Prepared::new("SELECT ?, $2").is_err());
}

#[tokio::test]
async fn a_handle_from_before_finds_the_last_values() {
    let bindings = Bindings::default();
    let mut prepared = Prepared::new("SELECT $1").expect("a statement");
    prepared.number = Number::from_static(b"number");
    let before = prepared.to_handle();
    let bound = prepared
        .bind(&sent(vec![batch(vec![("1", numbers(vec![7]))])]).await)
        .expect("values");
    bound.remember_in(&bindings);
    let recalled = |handle: &Bytes| {
        let prepared = Prepared::from_handle(handle).expect("our own handle");
        shown(prepared.recalled_from(&bindings).runs())
    };
    assert_eq!(recalled(&before), "1=7");
    assert_eq!(recalled(&bound.to_handle()), "1=7");
    let other = Prepared::new("SELECT $1").expect("a statement");
    assert_eq!(recalled(&other.to_handle()), "");
}

/// A handle whose values are `stream`.
fn forged(stream: &[u8]) -> Prepared {
    Prepared {
        text: "SELECT $1".to_string(),
        values: Bytes::copy_from_slice(stream),
        number: Number::new(),
    }
}

fn stream_with(options: IpcWriteOptions) -> Vec<u8> {
    let rows = batch(vec![
        ("1", numbers((0..100).collect())),
        ("s", Arc::new(StringArray::from(vec!["x"; 100]))),
    ]);
    let mut stream = Vec::new();
    let mut writer =
        StreamWriter::try_new_with_options(&mut stream, &rows.schema(), options).expect("a writer");
    writer.write(&rows).expect("writes");
    writer.finish().expect("ends");
    drop(writer);
    stream
}

#[test]
fn no_values_make_it_panic_or_believe() {
    let one = names(&["1"]);
    let stream = stream_with(IpcWriteOptions::default());
    assert!(forged(&stream).runs_of(&one).is_ok());
    for compression in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let options = IpcWriteOptions::default()
            .try_with_compression(Some(compression))
            .expect("options");
        assert_eq!(
            shown(forged(&stream_with(options)).runs_of(&one)),
            "parameters cannot be read: compressed buffers are not supported"
        );
    }
    // Whatever one changed byte, or a cut, does: an answer.
    for at in 0..stream.len() {
        let _ = forged(&stream[..at]).runs_of(&one);
        for flip in [0x01, 0x80, 0xff] {
            let mut broken = stream.clone();
            broken[at] ^= flip;
            let _ = forged(&broken).runs_of(&one);
        }
    }
    assert_eq!(
        shown(forged(&vec![0; VALUES_BYTES_MAX + 100]).runs_of(&one)),
        "parameters are larger than 1048576 bytes"
    );
}
