//! What rows look like in every format, and when a fault still has a status.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, DurationNanosecondArray, Float64Array, Int64Array,
    ListArray, StringArray, StringViewArray, StructArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type};
use futures::stream;
use http_body_util::BodyExt;

use super::*;

fn encoders(whole_bytes_max: usize) -> Encoders {
    let whole_results = Arc::new(WholeResults::new(whole_bytes_max));
    Encoders::start(1, whole_results, Tasks::new()).expect("threads")
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, column)| (name, column, true)),
    )
    .expect("a batch")
}

/// One row of every common type, then one of nulls and oddities.
fn samples() -> RecordBatch {
    let tags: DictionaryArray<Int32Type> = [Some("a \"b\",\n"), None].into_iter().collect();
    batch(vec![
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        (
            "f",
            Arc::new(Float64Array::from(vec![Some(82.0), Some(f64::NAN)])),
        ),
        (
            "g",
            Arc::new(Float64Array::from(vec![Some(0.1), Some(f64::NEG_INFINITY)])),
        ),
        ("i", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
        ("s", Arc::new(StringArray::from(vec![Some("ü"), Some("")]))),
        ("t", Arc::new(tags)),
        (
            "time",
            Arc::new(TimestampNanosecondArray::from(vec![
                2_998_574_931_000_000_000,
                123,
            ])),
        ),
        ("u", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        (
            "v",
            Arc::new(StringViewArray::from(vec![Some("view"), None])),
        ),
    ])
}

async fn encoded(items: Vec<Result<RecordBatch, Error>>, format: Format) -> Result<Vec<u8>, Error> {
    let batches = stream::iter(items).boxed();
    let response = encoders(1 << 20).respond(batches, format, None).await?;
    let collected = response.into_body().collect().await?;
    Ok(collected.to_bytes().to_vec())
}

async fn text(batches: Vec<RecordBatch>, format: Format) -> String {
    let bytes = encoded(batches.into_iter().map(Ok).collect(), format)
        .await
        .expect("encodes");
    String::from_utf8(bytes).expect("text")
}

#[tokio::test]
async fn json_values() {
    let first = r#"{"bool":true,"f":82.0,"g":0.1,"i":-9223372036854775808,"s":"ü","t":"a \"b\",\n","time":"2065-01-07T17:28:51","u":18446744073709551615,"v":"view"}"#;
    let second = r#"{"f":null,"g":null,"s":"","time":"1970-01-01T00:00:00.000000123"}"#;
    assert_eq!(
        text(vec![samples()], Format::Json).await,
        format!("[{first},{second}]")
    );
    assert_eq!(
        text(vec![samples()], Format::JsonLines).await,
        format!("{first}\n{second}\n")
    );
}

#[tokio::test]
async fn csv_values() {
    let expected = "bool,f,g,i,s,t,time,u,v\n\
        true,82.0,0.1,-9223372036854775808,ü,\"a \"\"b\"\",\n\",2065-01-07T17:28:51,18446744073709551615,view\n\
        ,NaN,-inf,,,,1970-01-01T00:00:00.000000123,,\n";
    assert_eq!(text(vec![samples()], Format::Csv).await, expected);
}

#[tokio::test]
async fn pretty_values() {
    let rows = batch(vec![
        ("f", Arc::new(Float64Array::from(vec![Some(82.0), None]))),
        (
            "time",
            Arc::new(TimestampNanosecondArray::from(vec![1_500_000_000, 0])),
        ),
    ]);
    let expected = "\
+------+-------------------------+
| f    | time                    |
+------+-------------------------+
| 82.0 | 1970-01-01T00:00:01.500 |
|      | 1970-01-01T00:00:00     |
+------+-------------------------+";
    assert_eq!(text(vec![rows], Format::Pretty).await, expected);
}

#[tokio::test]
async fn timestamps_have_no_zone_and_as_few_digits_as_fit_in_threes() {
    let times = [
        0,
        1_000_000_000,
        1_100_000_000,
        1_000_001_000,
        1_000_000_001,
        -1,
        -1_000_000_000,
    ];
    let rows = batch(vec![(
        "time",
        Arc::new(TimestampNanosecondArray::from(times.to_vec())) as ArrayRef,
    )]);
    let expected = "\
        {\"time\":\"1970-01-01T00:00:00\"}\n\
        {\"time\":\"1970-01-01T00:00:01\"}\n\
        {\"time\":\"1970-01-01T00:00:01.100\"}\n\
        {\"time\":\"1970-01-01T00:00:01.000001\"}\n\
        {\"time\":\"1970-01-01T00:00:01.000000001\"}\n\
        {\"time\":\"1969-12-31T23:59:59.999999999\"}\n\
        {\"time\":\"1969-12-31T23:59:59\"}\n";
    assert_eq!(text(vec![rows], Format::JsonLines).await, expected);
}

#[tokio::test]
async fn floats_keep_a_decimal_and_round_trip() {
    let floats = [
        0.0,
        -0.0,
        82.0,
        1.0 / 3.0,
        123_456_789.0,
        f64::MAX,
        f64::MIN_POSITIVE,
    ];
    let rows = batch(vec![(
        "f",
        Arc::new(Float64Array::from(floats.to_vec())) as ArrayRef,
    )]);
    let lines = text(vec![rows], Format::JsonLines).await;
    for (line, float) in lines.lines().zip(floats) {
        let shown = line.trim_start_matches("{\"f\":").trim_end_matches('}');
        assert_eq!(
            shown.parse::<f64>().expect("a number").to_bits(),
            float.to_bits(),
            "{line}"
        );
        assert!(shown.contains('.'), "{line}");
    }
}

#[tokio::test]
async fn nested_values() {
    let point = StructArray::from(vec![
        (
            Arc::new(Field::new("time", DataType::Int64, true)),
            Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("value", DataType::Float64, true)),
            Arc::new(Float64Array::from(vec![2.0, 3.0])) as ArrayRef,
        ),
    ]);
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), None]), None]);
    let rows = batch(vec![("l", Arc::new(list)), ("p", Arc::new(point))]);
    assert_eq!(
        text(vec![rows.clone()], Format::Json).await,
        r#"[{"l":[1,null],"p":{"time":1,"value":2.0}},{"p":{"value":3.0}}]"#
    );
    let refused = encoded(vec![Ok(rows)], Format::Csv).await;
    let refused = refused.expect_err("csv has no nested values");
    assert_eq!(refused.kind(), crate::ErrorKind::Invalid);
}

#[tokio::test]
async fn no_rows_in_each_format() {
    let empty = samples().slice(0, 0);
    for batches in [vec![], vec![empty.clone(), empty]] {
        assert_eq!(text(batches.clone(), Format::Json).await, "[]");
        assert_eq!(text(batches.clone(), Format::JsonLines).await, "");
        assert_eq!(text(batches.clone(), Format::Csv).await, "");
        assert_eq!(text(batches.clone(), Format::Pretty).await, "++\n++");
        assert_eq!(text(batches, Format::Parquet).await, "");
    }
}

#[tokio::test]
async fn several_batches_and_pieces_make_one_document() {
    let rows = 100_000;
    let numbers = |from: i64, to: i64| {
        batch(vec![(
            "n",
            Arc::new(Int64Array::from_iter_values(from..to)) as ArrayRef,
        )])
    };
    let batches = vec![
        numbers(0, 1),
        numbers(1, 1),
        numbers(1, rows),
        numbers(rows, rows + 2),
    ];
    let expected: Vec<String> = (0..rows + 2).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert_eq!(
        text(batches.clone(), Format::Json).await,
        format!("[{}]", expected.join(","))
    );
    assert_eq!(
        text(batches.clone(), Format::JsonLines).await,
        format!("{}\n", expected.join("\n"))
    );
    let csv: Vec<String> = (0..rows + 2).map(|n| format!("{n}\n")).collect();
    assert_eq!(
        text(batches, Format::Csv).await,
        format!("n\n{}", csv.concat())
    );
}

#[tokio::test]
async fn parquet_is_a_whole_file() {
    let items = vec![Ok(samples()), Ok(samples())];
    let file = encoded(items, Format::Parquet).await.expect("encodes");
    let reader =
        ::parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(Bytes::from(file), 1024)
            .expect("a parquet file");
    let rows: usize = reader.map(|batch| batch.expect("a batch").num_rows()).sum();
    assert_eq!(rows, 4);
}

#[tokio::test]
async fn a_fault_before_the_first_rows_has_a_status_and_a_later_one_breaks_the_body() {
    let fault = || Err(Error::internal("division by zero"));
    for format in [
        Format::Json,
        Format::JsonLines,
        Format::Csv,
        Format::Pretty,
        Format::Parquet,
    ] {
        let batches = stream::iter(vec![Ok(samples().slice(0, 0)), fault()]).boxed();
        let outcome = encoders(1 << 20).respond(batches, format, None).await;
        assert!(outcome.is_err(), "{format:?}");
    }
    for format in [Format::Json, Format::JsonLines, Format::Csv] {
        let batches = stream::iter(vec![Ok(samples()), fault()]).boxed();
        let response = encoders(1 << 20)
            .respond(batches, format, None)
            .await
            .expect("the first rows are fine");
        assert!(response.into_body().collect().await.is_err(), "{format:?}");
    }
}

#[tokio::test]
async fn whole_results_are_bounded() {
    for format in [Format::Pretty, Format::Parquet] {
        let batches = stream::iter(vec![Ok(samples())]).boxed();
        let refused = encoders(10).respond(batches, format, None).await.err();
        let message = refused
            .map(|error| error.message().to_string())
            .unwrap_or_default();
        assert!(
            message.starts_with("the result is larger than 10 bytes"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn durations_zones_and_what_selectors_give() {
    let durations = DurationNanosecondArray::from(vec![Some(32_689_000), None]);
    let times = TimestampNanosecondArray::from(vec![1_767_225_600_000_000_000, 1]);
    let zoned = times.clone().with_timezone("Europe/Paris");
    let utc = times.with_timezone("UTC");
    let value = Field::new("value", DataType::Float64, true);
    let selected = StructArray::new(
        vec![value].into(),
        vec![Arc::new(Float64Array::from(vec![1.0, 0.0])) as ArrayRef],
        Some(vec![true, false].into()),
    );
    let plain = batch(vec![
        ("d", Arc::new(durations) as ArrayRef),
        ("p", Arc::new(zoned)),
        ("u", Arc::new(utc)),
    ]);
    assert_eq!(
        text(vec![plain.clone()], Format::JsonLines).await,
        "{\"d\":\"PT0.032689S\",\"p\":\"2026-01-01T01:00:00+01:00\",\"u\":\"2026-01-01T00:00:00Z\"}\n\
         {\"p\":\"1970-01-01T01:00:00.000000001+01:00\",\"u\":\"1970-01-01T00:00:00.000000001Z\"}\n"
    );
    assert_eq!(
        text(vec![plain.slice(0, 1)], Format::Csv).await,
        "d,p,u\nPT0.032689S,2026-01-01T01:00:00+01:00,2026-01-01T00:00:00Z\n"
    );
    let table = text(vec![plain.slice(0, 1)], Format::Pretty).await;
    assert!(
        table.contains("| PT0.032689S | 2026-01-01T01:00:00+01:00 | 2026-01-01T00:00:00Z |"),
        "{table}"
    );
    let selected = batch(vec![("s", Arc::new(selected) as ArrayRef)]);
    assert_eq!(
        text(vec![selected.clone()], Format::Json).await,
        r#"[{"s":{"value":1.0}},{}]"#
    );
    let table = text(vec![selected], Format::Pretty).await;
    assert!(table.contains("| {value: 1.0} |"), "{table}");
}
