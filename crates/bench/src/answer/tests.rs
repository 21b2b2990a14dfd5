//! The same rows in every form have the same checksum, and what is wrong with an answer is told.

use super::checksum::NUMBERS;
use super::{Body, Column, Contents, Order, Shape};
use crate::answer::Answer;
use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow::datatypes::Int32Type;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// Means of two fields each hour for each host, as double-groupby asks for.
fn shape() -> Shape {
    let columns = vec![
        Column::time("hour"),
        Column::text("hostname"),
        Column::number("avg_usage_user"),
        Column::number("avg_usage_system"),
    ];
    Shape::new(columns, 3..=3, Order::Ascending)
}

fn read(body: Body) -> Result<Contents, String> {
    let answer = Answer {
        body,
        bytes: 0,
        duration: Duration::ZERO,
    };
    answer.read(&shape()).map_err(|error| error.to_string())
}

fn json(text: &'static str) -> Body {
    Body::Json(Bytes::from_static(text.as_bytes()))
}

fn csv(text: &'static str) -> Body {
    Body::Csv(Bytes::from_static(text.as_bytes()))
}

fn jsonl(text: &'static str) -> Body {
    Body::Jsonl(Bytes::from_static(text.as_bytes()))
}

fn influxql(text: &'static str) -> Body {
    Body::Influxql(Bytes::from_static(text.as_bytes()))
}

fn metricsql(text: &'static str) -> Body {
    Body::Metricsql {
        json: Bytes::from_static(text.as_bytes()),
        step_ms: 3_600_000,
    }
}

fn batch(columns: [(&str, ArrayRef); 4]) -> RecordBatch {
    RecordBatch::try_from_iter(columns).expect("a batch")
}

const CHECKSUM: &str = "8a2677197e5a15ab";

const JSON: &str = r#"[
    {"hour":"2016-01-01T00:00:00","hostname":"host_0","avg_usage_user":51.234567891,"avg_usage_system":7.0},
    {"hour":"2016-01-01T00:00:00","hostname":"host_1","avg_usage_user":81.99999999999,"rank":9},
    {"hour":"2016-01-01T01:00:00","hostname":"host \"2\"","avg_usage_user":1,"avg_usage_system":null}
]"#;

/// Every form of `JSON`: other digits behind the ninth, other orders of columns, other types.
#[test]
fn the_same_rows_have_the_same_checksum_in_every_form() {
    let expected = read(json(JSON)).expect("the answer");
    assert_eq!(expected.rows, 3);
    assert_eq!(expected.checksum.expect("a checksum").to_string(), CHECKSUM);

    let lines = r#"
{"avg_usage_system":7,"hour":"2016-01-01T00:00:00Z","hostname":"host_0","avg_usage_user":51.23456789149}
{"hour":"2016-01-01T00:00:00.000000000","hostname":"host_1","avg_usage_user":82}
{"hour":"2016-01-01T01:00:00","hostname":"host \u00222\"","avg_usage_user":1.0}
"#;
    let csv_lines = "hostname,hour,avg_usage_user,avg_usage_system,rank\n\
                     host_0,2016-01-01T00:00:00,51.234567891,7.0,1\r\n\
                     host_1,2016-01-01T00:00:00,82,,\n\
                     \"host \"\"2\"\"\",2016-01-01T01:00:00,1,,\n";
    let series = r#"{"results":[{"statement_id":0,"series":[
        {"name":"cpu","tags":{"hostname":"host_0"},"columns":["time","avg_usage_user","avg_usage_system"],
         "values":[[1451606400000000000,51.234567891,7]]},
        {"name":"cpu","tags":{"hostname":"host \"2\""},"columns":["time","avg_usage_user","avg_usage_system"],
         "values":[[1451610000000000000,1,null]]},
        {"name":"cpu","tags":{"hostname":"host_1"},"columns":["time","avg_usage_user","avg_usage_system"],
         "values":[[1451606400000000000,82,null]]}]}]}"#;
    let range = r#"{"status":"success","isPartial":false,"data":{"resultType":"matrix","result":[
        {"metric":{"__name__":"cpu_usage_user","hostname":"host \"2\""},"values":[[1451613599.999,"1"]]},
        {"metric":{"__name__":"cpu_usage_system","hostname":"host_0"},"values":[[1451609999.999,"7"]]},
        {"metric":{"__name__":"cpu_usage_user","hostname":"host_1"},"values":[[1451609999.999,"82"]]},
        {"metric":{"__name__":"cpu_usage_user","hostname":"host_0"},"values":[[1451609999.999,"51.2345678912"]]}]}}"#;
    let rows_of_series = r#"[
        {"iox::measurement":"cpu","time":"2016-01-01T00:00:00","hostname":"host_0","avg_usage_user":51.234567891,"avg_usage_system":7.0},
        {"iox::measurement":"cpu","time":"2016-01-01T01:00:00","hostname":"host \"2\"","avg_usage_user":1.0},
        {"iox::measurement":"cpu","time":"2016-01-01T00:00:00","hostname":"host_1","avg_usage_user":82.0}]"#;
    for (form, body) in [
        (
            "json of series",
            Body::JsonOfSeries(Bytes::from_static(rows_of_series.as_bytes())),
        ),
        ("jsonl", jsonl(lines)),
        ("csv", csv(csv_lines)),
        ("influxql", influxql(series)),
        ("metricsql", metricsql(range)),
        ("arrow", Body::Batches(batches())),
    ] {
        assert_eq!(read(body).as_ref(), Ok(&expected), "{form}");
    }
}

/// The rows in two batches of different types, as different servers send them.
fn batches() -> Vec<RecordBatch> {
    let hour_ms = 1_451_606_400_000;
    let hosts: DictionaryArray<Int32Type> = ["host_0", "host_1"].into_iter().collect();
    let first = batch([
        (
            "hour",
            Arc::new(TimestampNanosecondArray::from(vec![hour_ms * 1_000_000; 2])),
        ),
        (
            "avg_usage_system",
            Arc::new(Int64Array::from(vec![Some(7), None])),
        ),
        (
            "avg_usage_user",
            Arc::new(Float64Array::from(vec![51.234567891, 82.0])),
        ),
        ("hostname", Arc::new(hosts)),
    ]);
    let second = batch([
        (
            "hour",
            Arc::new(
                TimestampMillisecondArray::from(vec![hour_ms + 3_600_000]).with_timezone("UTC"),
            ),
        ),
        ("hostname", Arc::new(StringArray::from(vec!["host \"2\""]))),
        ("avg_usage_user", Arc::new(Int64Array::from(vec![1]))),
        ("avg_usage_system", Arc::new(Float64Array::from(vec![None]))),
    ]);
    vec![first, second]
}

#[test]
fn other_rows_have_another_checksum() {
    let expected = read(json(JSON)).expect("the answer");
    for (from, to) in [
        ("51.234567891", "51.2345680"),
        ("host_1", "host_2"),
        ("01:00:00", "01:00:00.000000001"),
        ("\"avg_usage_system\":7.0", "\"avg_usage_system\":null"),
    ] {
        let other = Body::Json(JSON.replace(from, to).into());
        let other = read(other).expect("the answer");
        assert_ne!(other.checksum, expected.checksum, "{from} -> {to}");
    }
}

#[test]
fn what_is_wrong_with_an_answer_is_told() {
    let rows_missing = r#"[{"hour":"2016-01-01T00:00:00","hostname":"host_0","avg_usage_user":1}]"#;
    let disorder = r#"[{"hour":"2016-01-01T01:00:00"},{"hour":"2016-01-01T00:00:00"}]"#;
    let header = "hour,hostname,avg_usage_user,avg_usage_system\n";
    let short = "hour,hostname,avg_usage_user,avg_usage_system\n2016-01-01T00:00:00,host_0,1\n";
    let text = "hour,hostname,avg_usage_user,avg_usage_system\n2016-01-01T00:00:00,host_0,much,1\n";
    let quotes = "hour,hostname,avg_usage_user,avg_usage_system\n2016-01-01T00:00:00,\"host_0\n";
    let missing = "hour,hostname,avg_usage_user\n2016-01-01T00:00:00,host_0,1\n";
    for (body, expected) in [
        (json(rows_missing), "the answer has 1 rows instead of 3"),
        (json("[]"), "the answer has 0 rows instead of 3"),
        (csv(""), "the answer has 0 rows instead of 3"),
        (csv(header), "the answer has 0 rows instead of 3"),
        (
            Body::Batches(Vec::new()),
            "the answer has 0 rows instead of 3",
        ),
        (
            json(disorder),
            "row 2 of the answer, at 1451606400000000000 ns, is not in ascending order",
        ),
        (
            json("[{\"hour\":\"yesterday\"}]"),
            "column \"hour\": \"yesterday\" is not a time in UTC",
        ),
        (
            json("[{\"minute\":1}]"),
            "it has none of the question's columns",
        ),
        (json("[{\"hour\":1}"), "the answer is no array of rows: EOF"),
        (json("[{\"hour\":[1]}]"), "invalid type: sequence"),
        (
            jsonl("{\"hour\":1}\n{\"hour\""),
            "line 2 of the answer is no row: EOF",
        ),
        (csv(short), "line 2 of the answer has 3 values instead of 4"),
        (
            csv(text),
            "line 2 of the answer: column \"avg_usage_user\": \"much\" is no number",
        ),
        (csv(quotes), "the answer ends within quotes"),
        (
            csv(missing),
            "the answer has no column \"avg_usage_system\" but hour, hostname, avg_usage_user",
        ),
        (influxql("{\"error\":\"no\"}"), "the answer is an error: no"),
        (
            influxql("{\"results\":[{\"error\":\"database not found\"}]}"),
            "the answer is an error: database not found",
        ),
        (
            influxql(
                "{\"results\":[{\"series\":[{\"columns\":[\"time\",\"max\"],\"values\":[[1,2]]}]}]}",
            ),
            "the answer has no column \"hostname\" but time, max",
        ),
        (
            metricsql("{\"status\":\"error\",\"error\":\"too many points\"}"),
            "the answer is an error: too many points",
        ),
        (
            metricsql("{\"isPartial\":true}"),
            "the server says that the answer is partial",
        ),
        (
            metricsql(
                "{\"data\":{\"result\":[{\"metric\":{\"__name__\":\"mem_free\"},\"values\":[]}]}}",
            ),
            "a series of \"mem_free\", which was not asked for",
        ),
        (
            Body::Parquet(Bytes::from_static(b"PAR1")),
            "the answer is no Parquet file",
        ),
    ] {
        let told = read(body).expect_err(expected);
        assert!(told.contains(expected), "{told} instead of {expected}");
    }
}

/// `SELECT * FROM (VALUES …)` of three rows, as the server answers it in Parquet.
#[test]
fn rows_of_a_parquet_file_are_counted() {
    let file = include_bytes!("../../testdata/three_rows.parquet");
    let contents = read(Body::Parquet(Bytes::from_static(file))).expect("the answer");
    assert_eq!((contents.rows, contents.checksum), (3, None));

    let footer_at = file.len()
        - 8
        - usize::from(file[file.len() - 8])
        - 256 * usize::from(file[file.len() - 7]);
    for end in footer_at..file.len() - 8 {
        // A footer that ends too early never has rows, or has them before its end.
        let cut = [
            &file[..footer_at],
            &file[footer_at..end],
            &((end - footer_at) as u32).to_le_bytes(),
            b"PAR1",
        ]
        .concat();
        match read(Body::Parquet(cut.into())) {
            Ok(contents) => assert_eq!(contents.rows, 3),
            Err(told) => assert!(told.contains("damaged"), "{told}"),
        }
    }
}

/// `others/in_process.py` works out the same. `GNOMON_PYTHON` names a Python with `pyarrow`; without it `python3` is tried, and if it
/// is not there or lacks that, nothing is compared.
#[test]
fn the_checksum_in_python_is_the_same() {
    let program = r#"
import sys
try:
    import pyarrow
except ImportError:
    sys.exit(3)
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import in_process
for text in sys.argv[2:]:
    print(in_process.number(float(text)))
hour_ns = 1451606400000000000
table = pyarrow.table({
    "hostname": pyarrow.array(["host_0", "host_1", 'host "2"']).dictionary_encode(),
    "hour": pyarrow.array([hour_ns, hour_ns, hour_ns + 3600000000000], pyarrow.timestamp("ns")).cast(pyarrow.timestamp("ms")),
    "avg_usage_user": [51.234567891, 81.99999999999, 1.0],
    "avg_usage_system": pyarrow.array([7, None, None], pyarrow.int64()),
})
kinds = {"hour": "time", "hostname": "text", "avg_usage_user": "number", "avg_usage_system": "number"}
columns = [{"name": name, "kind": kind} for name, kind in kinds.items()]
print(f"{in_process.checksum({'columns': columns, 'rows_min': 3, 'rows_max': 3, 'order': 'ascending'}, table):016x}")
for wrong in [{"rows_min": 4, "rows_max": 5, "order": "any"}, {"rows_min": 3, "rows_max": 3, "order": "descending"}]:
    try:
        in_process.checksum({"columns": columns, **wrong}, table)
    except ValueError as error:
        print(error)
"#;
    let named = std::env::var_os("GNOMON_PYTHON");
    let python = named.clone().unwrap_or_else(|| "python3".into());
    let others = concat!(env!("CARGO_MANIFEST_DIR"), "/others");
    let output = std::process::Command::new(python)
        .args(["-c", program, others])
        .args(NUMBERS.map(|(number, _)| number.to_string()))
        .output();
    let output = match output {
        Ok(output) if output.status.code() != Some(3) => output,
        _ if named.is_none() => return,
        other => panic!("the Python of GNOMON_PYTHON cannot be used: {other:?}"),
    };
    assert!(output.status.success(), "{output:?}");
    let expected = NUMBERS.map(|(_, text)| text).join("\n");
    assert_eq!(
        String::from_utf8(output.stdout).expect("text"),
        format!(
            "{expected}\n{CHECKSUM}\nthe answer has 3 rows instead of 4 to 5\nthe answer is not in descending order\n"
        )
    );
}
