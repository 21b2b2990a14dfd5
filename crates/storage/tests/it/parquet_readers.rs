//! Our data files in the hands of strangers: the stock Rust reader always, pyarrow and DuckDB where Python has them.
//!
//! `GNOMON_PYTHON` names a Python with `pyarrow` and `duckdb`; then a missing library fails the test. Without it `python3` is tried,
//! and what it lacks is passed over. The comparing is done by `compat/parquet_readers.py`.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::setup::{Home, Node};

/// What a reader says of a value: decimal, text, or the hexadecimal of a float's bytes.
type Value = Option<String>;

/// A row as one text: names and values by name, without nulls.
type Row = String;

/// Rows and the lines that write them.
#[derive(Default)]
struct Lines {
    text: String,
    rows: Vec<Row>,
}

/// A field's value in line protocol, and as readers say it.
fn float(value: f64) -> (String, String) {
    let bytes: String = value
        .to_le_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    (format!("{value:?}"), bytes)
}

fn integer(value: i64) -> (String, String) {
    (format!("{value}i"), value.to_string())
}

fn unsigned(value: u64) -> (String, String) {
    (format!("{value}u"), value.to_string())
}

fn boolean(value: bool) -> (String, String) {
    (value.to_string(), value.to_string())
}

fn string(value: &str) -> (String, String) {
    let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
    (format!("\"{quoted}\""), value.to_string())
}

fn row_of<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Row {
    let mut row = String::with_capacity(64);
    for (name, value) in pairs {
        row.extend([name, "\u{1f}", value, "\u{1e}"]);
    }
    row
}

impl Lines {
    fn add(
        &mut self,
        table: &str,
        tags: &[(&str, &str)],
        fields: &[(&str, (String, String))],
        time: i64,
    ) {
        let said_time = time.to_string();
        let mut pairs = vec![("time", said_time.as_str())];
        self.text.push_str(table);
        for (name, value) in tags {
            let escaped = value
                .replace('\\', "\\\\")
                .replace(' ', "\\ ")
                .replace(',', "\\,")
                .replace('=', "\\=");
            write!(self.text, ",{name}={escaped}").expect("to memory");
            pairs.push((name, value));
        }
        for (at, (name, (written, said))) in fields.iter().enumerate() {
            let before = if at == 0 { ' ' } else { ',' };
            write!(self.text, "{before}{name}={written}").expect("to memory");
            pairs.push((name, said));
        }
        writeln!(self.text, " {time}").expect("to memory");
        pairs.sort_unstable();
        self.rows.push(row_of(pairs.into_iter()));
    }
}

/// Every type at its ends, nulls everywhere, texts of all kinds.
fn kinds() -> Lines {
    let texts = [
        "",
        "a",
        "ä€𝄞",
        "line\nbreak",
        "\"quoted\" \\ and, =",
        &"long ".repeat(100),
    ];
    let floats = [0.0, -0.0, 1.5, -1e308, 5e-324, f64::MAX, 0.1];
    let integers = [0, 1, -1, i64::MIN, i64::MAX, 1 << 40];
    let unsigneds = [0, 1, u64::MAX, 1 << 63];
    let tags = ["plain", "ä ö", "a,b=c", "zzz"];
    let mut lines = Lines::default();
    for row in 0..2000_usize {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        if row % 3 != 0 {
            pairs.push(("first", tags[row % tags.len()]));
        }
        if row % 5 != 0 {
            pairs.push(("second", tags[(row / 7) % tags.len()]));
        }
        let all = [
            ("f", float(floats[row % floats.len()])),
            ("i", integer(integers[row % integers.len()])),
            ("u", unsigned(unsigneds[row % unsigneds.len()])),
            ("s", string(texts[row % texts.len()])),
            ("b", boolean(row % 4 < 2)),
            ("rare", integer(row as i64)),
        ];
        let fields: Vec<_> = all
            .into_iter()
            .enumerate()
            .filter(|(at, (name, _))| match *name {
                "rare" => row == 1234,
                _ => (row >> at) & 1 == 0 || row % 11 == *at,
            })
            .map(|(_, field)| field)
            .collect();
        if !fields.is_empty() {
            lines.add(
                "kinds",
                &pairs,
                &fields,
                (row as i64 - 1000) * 1_000_000_007,
            );
        }
    }
    lines
}

fn many_series() -> Lines {
    let mut lines = Lines::default();
    for series in 0..4000_usize {
        let host = format!("host_{series}");
        let region = format!("region-{}", series % 7);
        for row in 0..3_i64 {
            let tags = [("host", host.as_str()), ("region", region.as_str())];
            let time = 1_700_000_000_000_000_000 + row * 10_000_000_000 + series as i64;
            lines.add("many", &tags, &[("v", float(series as f64 / 8.0))], time);
        }
    }
    lines
}

/// More rows than a row group takes, from one series to the next.
fn row_groups() -> Lines {
    let mut lines = Lines::default();
    for row in 0..270_000_i64 {
        let host = if row < 130_000 { "a" } else { "b" };
        let fields = [
            ("i", integer(row * row % 1009)),
            ("f", float((row % 997) as f64 / 10.0)),
        ];
        let fields = if row % 100 == 0 {
            &fields[..1]
        } else {
            &fields[..]
        };
        lines.add("groups", &[("host", host)], fields, row * 1_000_000);
    }
    lines
}

fn wide() -> Lines {
    let mut lines = Lines::default();
    let names: Vec<String> = (0..300).map(|at| format!("field_{at:03}")).collect();
    for row in 0..40_usize {
        let fields: Vec<(&str, (String, String))> = names
            .iter()
            .enumerate()
            .filter(|(at, _)| (at + row) % 3 != 0)
            .map(|(at, name)| {
                let value = match at % 5 {
                    0 => float(row as f64 + at as f64 / 1000.0),
                    1 => integer((row * at) as i64),
                    2 => unsigned((row + at) as u64),
                    3 => string(&format!("{row}/{at}")),
                    _ => boolean((row + at) % 2 == 0),
                };
                (name.as_str(), value)
            })
            .collect();
        lines.add("wide", &[], &fields, row as i64);
    }
    lines
}

/// The data files of a home.
fn data_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            found.extend(data_files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What the stock Rust reader says of a column.
fn values_of(column: &ArrayRef) -> Vec<Value> {
    let column = match column.data_type() {
        DataType::Dictionary(_, _) => cast(column, &DataType::Utf8).expect("tags are text"),
        DataType::Timestamp(_, _) => cast(column, &DataType::Int64).expect("times are numbers"),
        _ => column.clone(),
    };
    let say = |row: usize| match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)).1,
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        other => panic!("no column is of type {other}"),
    };
    (0..column.len())
        .map(|row| column.is_valid(row).then(|| say(row)))
        .collect()
}

/// A file read by the stock reader: names, rows.
fn read(path: &Path) -> (Vec<String>, Vec<Vec<Value>>) {
    let file = File::open(path).expect("file");
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let fields = builder.schema().fields().iter();
    let names: Vec<String> = fields.map(|field| field.name().clone()).collect();
    let mut rows = Vec::new();
    for batch in builder.build().expect("reader") {
        let batch: RecordBatch = batch.expect("readable");
        let columns: Vec<Vec<Value>> = batch.columns().iter().map(values_of).collect();
        rows.extend((0..batch.num_rows()).map(|row| {
            let values = columns.iter().map(|column| column[row].clone());
            values.collect::<Vec<Value>>()
        }));
    }
    (names, rows)
}

/// Whether a row comes before the next: by tags, missing first, then by time.
fn is_sorted(names: &[String], rows: &[Vec<Value>], table: &str) -> bool {
    let tags = match table {
        "kinds" | "many" => 2,
        "groups" => 1,
        _ => 0,
    };
    let key = |row: &Vec<Value>| {
        let time: i64 = row[tags].as_deref().expect("time").parse().expect("number");
        (row[..tags].to_vec(), time)
    };
    assert_eq!(names[tags], "time");
    rows.windows(2).all(|pair| key(&pair[0]) < key(&pair[1]))
}

async fn persisted(home: &Home, lines: &Lines) -> Node {
    let node = home.open().await;
    node.write(&lines.text).await;
    node.engine.persist().await.expect("persist");
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn any_reader_reads_our_files() {
    let homes: Vec<(&str, Home, Lines)> = vec![
        ("kinds", Home::folder(), kinds()),
        ("many", Home::folder(), many_series()),
        ("groups", Home::folder(), row_groups()),
        ("wide", Home::folder(), wide()),
    ];
    let dumps = tempfile::tempdir().expect("folder");
    let mut arguments: Vec<PathBuf> = Vec::new();
    for (table, home, lines) in &homes {
        let node = persisted(home, lines).await;
        let mut rows: Vec<Row> = Vec::new();
        for path in data_files(&home.path().join("node/dbs")) {
            let (names, read) = read(&path);
            assert!(is_sorted(&names, &read, table), "{table}");
            let dump = dumps.path().join(format!("{}.jsonl", arguments.len()));
            let mut by_name: Vec<usize> = (0..names.len()).collect();
            by_name.sort_unstable_by_key(|at| &names[*at]);
            let mut text = String::new();
            for row in &read {
                writeln!(text, "{}", json(row)).expect("to memory");
                let present = by_name
                    .iter()
                    .filter_map(|at| Some((names[*at].as_str(), row[*at].as_deref()?)));
                rows.push(row_of(present));
            }
            fs::write(&dump, text).expect("write");
            arguments.extend([path, dump]);
        }
        let mut expected = lines.rows.clone();
        expected.sort_unstable();
        rows.sort_unstable();
        assert_eq!(rows.len(), expected.len(), "{table}");
        assert!(
            rows == expected,
            "{table} is read otherwise than it was written"
        );
        node.drop_engine().await;
    }
    ask_python(&arguments);
}

/// JSON by hand: an array of texts and nulls.
fn json(row: &[Value]) -> String {
    let values: Vec<String> = row
        .iter()
        .map(|value| match value {
            None => "null".to_string(),
            Some(text) => {
                let mut quoted = String::from("\"");
                for character in text.chars() {
                    match character {
                        '"' | '\\' => quoted.extend(['\\', character]),
                        '\n' => quoted.push_str("\\n"),
                        other => quoted.push(other),
                    }
                }
                quoted.push('"');
                quoted
            }
        })
        .collect();
    format!("[{}]", values.join(","))
}

/// Past what holds back the output of tests that pass.
fn say(text: &str) {
    use std::io::Write as _;

    // Nobody need listen.
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
}

fn ask_python(arguments: &[PathBuf]) {
    let named = std::env::var_os("GNOMON_PYTHON");
    let python = named.clone().unwrap_or_else(|| "python3".into());
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../compat/parquet_readers.py"
    );
    let output = Command::new(&python).arg(script).args(arguments).output();
    match output {
        Err(fault) => {
            assert!(named.is_none(), "{}: {fault}", python.display());
            say(&format!("skipped: python3 is not installed: {fault}"));
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            let complained = String::from_utf8_lossy(&output.stderr);
            match output.status.code() {
                Some(0) => {}
                Some(77) if named.is_none() => say(&said),
                code => panic!("exit code {code:?}: {said}{complained}"),
            }
        }
    }
}
