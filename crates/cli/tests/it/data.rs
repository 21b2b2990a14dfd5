//! Real data sets through the whole product: what queries say must be what a second, tiny reader of the files says,
//! from memory, after a restart, and from Parquet files.
//!
//! The files are looked for in the folder `GNOMON_DATA`, else in `../shared/data` beside the repository; a test run
//! without them prints a notice and proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::harness::{Server, Setup, eventually, parquet_files, temporary_folder};

/// A file of line protocol: one table.
struct DataSet {
    file: &'static str,
    table: &'static str,
    /// Unit of the timestamps, as `write --precision` takes it.
    precision: &'static str,
    unit_ns: i64,
    tags: &'static [&'static str],
    /// A window in which this set has several rows, as SQL and in nanoseconds.
    window: (&'static str, i64),
}

const SECOND_NS: i64 = 1_000_000_000;
const HOUR_NS: i64 = 3600 * SECOND_NS;

const DATA_SETS: &[DataSet] = &[
    DataSet {
        file: "bay-area-weather.lp",
        table: "weather",
        precision: "ns",
        unit_ns: 1,
        tags: &["location"],
        window: ("7 days", 7 * 24 * HOUR_NS),
    },
    DataSet {
        file: "bitcoin.lp",
        table: "bitcoin",
        precision: "ns",
        unit_ns: 1,
        tags: &["code", "crypto", "description", "symbol"],
        window: ("1 day", 24 * HOUR_NS),
    },
    DataSet {
        file: "eu-wind-data.lp",
        table: "wind_data",
        precision: "s",
        unit_ns: SECOND_NS,
        tags: &["country", "county", "city"],
        window: ("6 hours", 6 * HOUR_NS),
    },
    DataSet {
        file: "home-sensor-data.lp",
        table: "home",
        precision: "s",
        unit_ns: SECOND_NS,
        tags: &["room"],
        window: ("2 hours", 2 * HOUR_NS),
    },
    DataSet {
        file: "random-numbers.lp",
        table: "numbers",
        precision: "ns",
        unit_ns: 1,
        tags: &[],
        window: ("1 hour", HOUR_NS),
    },
];

/// A row as the tiny reader sees it.
#[derive(Debug)]
struct Row {
    tags: BTreeMap<String, String>,
    fields: BTreeMap<String, f64>,
    time_ns: i64,
}

/// Splits at a character that no backslash precedes.
fn split(text: &str, at: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (index, character) in text.char_indices() {
        if character == at && !escaped {
            parts.push(&text[start..index]);
            start = index + at.len_utf8();
        }
        escaped = character == '\\' && !escaped;
    }
    parts.push(&text[start..]);
    parts
}

fn pair(text: &str) -> (String, &str) {
    let parts = split(text, '=');
    assert_eq!(parts.len(), 2, "{text}");
    (parts[0].replace('\\', ""), parts[1])
}

/// Reads numbers only; the sets have no text fields.
fn read(text: &str, set: &DataSet) -> Vec<Row> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let parts = split(line, ' ');
            let [series, fields, time] = parts[..] else {
                panic!("{line}");
            };
            let series = split(series, ',');
            assert_eq!(series[0], set.table);
            let time: i64 = time.parse().expect("a timestamp");
            Row {
                tags: series[1..]
                    .iter()
                    .map(|tag| pair(tag))
                    .map(|(name, value)| (name, value.replace('\\', "")))
                    .collect(),
                fields: split(fields, ',')
                    .into_iter()
                    .map(pair)
                    .map(|(name, value)| {
                        (name, value.trim_end_matches('i').parse().expect("a number"))
                    })
                    .collect(),
                time_ns: time * set.unit_ns,
            }
        })
        .collect()
}

fn folder() -> Option<PathBuf> {
    let folder = match std::env::var_os("GNOMON_DATA") {
        Some(given) => PathBuf::from(given),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    if folder.is_dir() {
        return Some(folder);
    }
    // Straight to the stream: what is printed with the macros is only shown when a test fails.
    let notice = format!("data: SKIPPED, there is no folder {}\n", folder.display());
    std::io::stderr()
        .write_all(notice.as_bytes())
        .expect("stderr is open");
    None
}

/// The cells of a query's rows as text; the sets have no commas in them.
fn cells(server: &Server, sql: &str) -> Vec<Vec<String>> {
    let arguments = ["-d", "data", "--format", "csv", sql];
    let text = server.cli(&["query"], &arguments).succeeded();
    let rows = text.lines().skip(1).filter(|line| !line.is_empty());
    rows.map(|line| line.split(',').map(str::to_string).collect())
        .collect()
}

fn number(cell: &str) -> f64 {
    cell.parse()
        .unwrap_or_else(|_| panic!("not a number: {cell:?}"))
}

/// Number, minimum, maximum and sum of a field in some rows.
fn summary<'a>(rows: impl Iterator<Item = &'a Row>, field: &str) -> [f64; 4] {
    let values = rows.filter_map(|row| row.fields.get(field).copied());
    values.fold(
        [0.0, f64::INFINITY, f64::NEG_INFINITY, 0.0],
        |[count, min, max, sum], value| [count + 1.0, min.min(value), max.max(value), sum + value],
    )
}

/// Number, minimum and maximum must agree exactly; the sum depends on the order of adding.
#[track_caller]
fn check_summary(cells: &[String], expected: [f64; 4], what: &str) {
    let told: Vec<f64> = cells.iter().map(|cell| number(cell)).collect();
    assert_eq!(told[..3], expected[..3], "{what}");
    let tolerance = 1e-9 * expected[3].abs().max(1.0);
    assert!(
        (told[3] - expected[3]).abs() <= tolerance,
        "{what}: sum {} is not {}",
        told[3],
        expected[3]
    );
}

fn check(server: &Server, set: &DataSet, rows: &[Row]) {
    let table = set.table;
    assert_eq!(
        cells(server, &format!("SELECT count(*) FROM {table}")),
        [[rows.len().to_string()]]
    );
    let first = rows.iter().map(|row| row.time_ns).min().expect("rows");
    let last = rows.iter().map(|row| row.time_ns).max().expect("rows");
    assert_eq!(
        cells(
            server,
            &format!("SELECT CAST(min(time) AS BIGINT), CAST(max(time) AS BIGINT) FROM {table}")
        ),
        [[first.to_string(), last.to_string()]],
        "{table}"
    );
    for field in field_names(rows) {
        let aggregates = format!("count({field}), min({field}), max({field}), sum({field})");
        let told = cells(server, &format!("SELECT {aggregates} FROM {table}"));
        check_summary(
            &told[0],
            summary(rows.iter(), field),
            &format!("{table}.{field}"),
        );
        for tag in set.tags {
            check_groups(server, set, rows, field, tag, &aggregates);
        }
        check_windows(server, set, rows, field, &aggregates);
    }
    check_rows(server, set, rows);
}

fn check_groups(
    server: &Server,
    set: &DataSet,
    rows: &[Row],
    field: &str,
    tag: &str,
    aggregates: &str,
) {
    let table = set.table;
    let told = cells(
        server,
        &format!("SELECT {tag}, {aggregates} FROM {table} GROUP BY {tag}"),
    );
    let values: BTreeSet<&str> = rows.iter().map(|row| row.tags[tag].as_str()).collect();
    assert_eq!(
        told.iter()
            .map(|row| row[0].as_str())
            .collect::<BTreeSet<_>>(),
        values,
        "{table}.{tag}"
    );
    assert_eq!(told.len(), values.len(), "{table}.{tag}");
    for row in told {
        let members = rows
            .iter()
            .filter(|candidate| candidate.tags[tag] == row[0]);
        check_summary(
            &row[1..],
            summary(members, field),
            &format!("{table}.{field} of {}", row[0]),
        );
    }
}

fn check_windows(server: &Server, set: &DataSet, rows: &[Row], field: &str, aggregates: &str) {
    let (window, window_ns) = set.window;
    let bin = format!("date_bin(INTERVAL '{window}', time)");
    let table = set.table;
    let told = cells(
        server,
        &format!(
            "SELECT CAST({bin} AS BIGINT) AS bin, {aggregates} FROM {table} GROUP BY {bin} ORDER BY bin"
        ),
    );
    let mut windows: BTreeMap<i64, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        windows
            .entry(row.time_ns.div_euclid(window_ns) * window_ns)
            .or_default()
            .push(row);
    }
    assert!(
        windows.len() > 1 && windows.len() < rows.len(),
        "{table}: a useless window"
    );
    assert_eq!(told.len(), windows.len(), "{table}");
    for (row, (start, members)) in told.iter().zip(&windows) {
        assert_eq!(row[0], start.to_string(), "{table}");
        check_summary(
            &row[1..],
            summary(members.iter().copied(), field),
            &format!("{table}.{field} at {start}"),
        );
    }
}

fn field_names(rows: &[Row]) -> BTreeSet<&str> {
    let names = rows.iter().flat_map(|row| row.fields.keys());
    names.map(String::as_str).collect()
}

/// Every single row, one predicate on a tag included.
fn check_rows(server: &Server, set: &DataSet, rows: &[Row]) {
    let table = set.table;
    let fields = field_names(rows);
    let columns: Vec<&str> = set.tags.iter().chain(&fields).copied().collect();
    let columns = columns.join(", ");
    let columns = format!("CAST(time AS BIGINT), {columns}");
    let expected = |row: &Row| {
        let mut cells = vec![row.time_ns.to_string()];
        cells.extend(set.tags.iter().map(|tag| row.tags[*tag].clone()));
        // Not every row has every field; an empty cell is none.
        let values = fields.iter().map(|field| row.fields.get(*field));
        cells.extend(values.map(|value| value.map_or_else(String::new, f64::to_string)));
        cells
    };
    let normal = |cells: Vec<String>| -> Vec<String> {
        let first_field = 1 + set.tags.len();
        cells
            .into_iter()
            .enumerate()
            .map(
                |(index, cell)| match index >= first_field && !cell.is_empty() {
                    true => number(&cell).to_string(),
                    false => cell,
                },
            )
            .collect()
    };
    let mut all: Vec<Vec<String>> = rows.iter().map(expected).collect();
    all.sort();
    let mut told: Vec<Vec<String>> = cells(server, &format!("SELECT {columns} FROM {table}"))
        .into_iter()
        .map(normal)
        .collect();
    told.sort();
    assert!(told == all, "{table}: the rows are not those of the file");
    let Some(tag) = set.tags.first() else {
        return;
    };
    let value = &rows[rows.len() / 2].tags[*tag];
    let middle = rows[rows.len() / 2].time_ns;
    let predicate = format!(
        "{tag} = '{value}' AND time >= arrow_cast({middle}, 'Timestamp(Nanosecond, None)')"
    );
    let told = cells(
        server,
        &format!("SELECT count(*) FROM {table} WHERE {predicate}"),
    );
    let matching = rows
        .iter()
        .filter(|row| row.tags[*tag] == *value && row.time_ns >= middle);
    assert_eq!(told, [[matching.count().to_string()]], "{table}");
}

fn load(server: &Server, folder: &Path, arguments: &[&str]) -> Vec<(&'static DataSet, Vec<Row>)> {
    let loaded = DATA_SETS.iter().map(|set| {
        let path = folder.join(set.file);
        let text = std::fs::read_to_string(&path).expect("a file of the set");
        let rows = read(&text, set);
        let path = path.to_str().expect("a readable path");
        let arguments: Vec<&str> = ["-d", "data", "-p", set.precision, "-f", path]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        server.cli(&["write"], &arguments).succeeded();
        (set, rows)
    });
    loaded.collect()
}

fn check_all(server: &Server, loaded: &[(&DataSet, Vec<Row>)], when: &str) {
    for (set, rows) in loaded {
        println!("data: {} {when}: {} rows", set.table, rows.len());
        check(server, set, rows);
    }
}

#[test]
fn what_is_buffered_is_what_was_in_the_files() {
    let Some(data) = folder() else {
        return;
    };
    let folder = temporary_folder();
    let setup = Setup::file(folder.path());
    let server = Server::start(setup.clone());
    let loaded = load(&server, &data, &[]);
    check_all(&server, &loaded, "as written");
    server.stop();
    let server = Server::start(setup);
    check_all(&server, &loaded, "after a restart");
    // Written once more, nothing changes: a point has one series and one time.
    load(&server, &data, &["--gzip", "--max-request-size", "20000"]);
    check_all(&server, &loaded, "written again");
}

#[test]
fn what_is_persisted_is_what_was_in_the_files() {
    let Some(data) = folder() else {
        return;
    };
    let folder = temporary_folder();
    let setup = Setup::file(folder.path()).with(&["--wal-snapshot-size", "1"]);
    let server = Server::start(setup.clone());
    let loaded = load(
        &server,
        &data,
        &[
            "--max-request-size",
            "50000",
            "--max-concurrent-requests",
            "4",
        ],
    );
    let mut nudges = 0;
    eventually("a file per table", || {
        // Log files are counted when they are written, so something must be.
        nudges += 1;
        server.write("data", "ns", &format!("nudge count={nudges}i {nudges}"));
        parquet_files(folder.path()) > DATA_SETS.len()
    });
    check_all(&server, &loaded, "persisted");
    server.kill();
    let server = Server::start(setup);
    check_all(&server, &loaded, "persisted, after a crash");
    assert_eq!(
        cells(&server, "SELECT count(*) FROM nudge"),
        [[nudges.to_string()]]
    );
}
