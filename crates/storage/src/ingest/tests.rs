//! Requests as text tables: what exists, what is written, what becomes of it. `UPDATE=1` rewrites the outcomes.
//!
//! Every request is read twice, the second time with all its series known: both must say the same.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow::util::display::array_value_to_string;
use catalog::{Catalog, ColumnKind, HardDelete, Limits};
use runtime::clock::SystemClock;
use runtime::object_store::in_memory;
use runtime::{Random, Tasks, World};

use super::*;
use crate::series::decode_series_key;

/// The time of every request, nanoseconds: 2023-11-14T22:13:20.123456789Z.
const NOW_NS: i64 = 1_700_000_000_123_456_789;

/// Everything that requests leave behind.
struct Ingest {
    catalog: Catalog,
    buffer: Buffer,
    known: KnownSeries,
    series_bytes_max: u64,
}

impl Ingest {
    async fn new(limits: Limits) -> Self {
        let world = World {
            clock: Arc::new(SystemClock::new()),
            random: Random::seeded(1),
            store: in_memory(),
            tasks: Tasks::new(),
        };
        Self {
            catalog: Catalog::open("node", &world, limits)
                .await
                .expect("catalog"),
            buffer: Buffer::default(),
            known: KnownSeries::default(),
            series_bytes_max: u64::MAX,
        }
    }

    /// What the engine does before the log: passes until the catalog has all that is needed. Additions go to `needs`.
    async fn read(
        &self,
        request: &WriteRequest<'_>,
        needs: &mut String,
    ) -> Result<(Vec<Batch>, WriteOutcome), WriteError> {
        loop {
            let snapshot = self.catalog.snapshot();
            let context = Context {
                snapshot: &snapshot,
                limits: self.catalog.limits(),
                buffer: &self.buffer,
                known: &self.known,
                now_ns: NOW_NS,
                cells_max: u64::MAX,
                series_bytes_max: self.series_bytes_max,
            };
            let additions = match pass(request, &context)? {
                Pass::Ready { batches, outcome } => return Ok((batches, outcome)),
                Pass::NeedsSchema(additions) => additions,
            };
            for table in &additions {
                write!(needs, "needs {}", table.table).expect("write");
                for (name, kind) in &table.columns {
                    write!(needs, " {name}:{}", kind_name(*kind)).expect("write");
                }
                needs.push('\n');
            }
            self.catalog
                .extend_schema(request.database, &additions)
                .await
                .expect("what a pass asks for is possible");
        }
    }

    async fn write(&self, request: &WriteRequest<'_>) -> String {
        let mut needs = String::new();
        let first = self.describe(self.read(request, &mut needs).await);
        let mut nothing = String::new();
        let again = self.describe(self.read(request, &mut nothing).await);
        assert_eq!(nothing, "", "the second time everything is there");
        assert_eq!(again, first, "known series change nothing");
        needs + &first
    }

    fn describe(&self, outcome: Result<(Vec<Batch>, WriteOutcome), WriteError>) -> String {
        let mut text = String::new();
        let mut line = |what: &str, error: &LineError| {
            let LineError {
                error_message,
                line_number,
                original_line,
            } = error;
            assert!(original_line.len() <= 20);
            writeln!(
                text,
                "{what} {line_number} {original_line:?} {error_message}"
            )
            .expect("write");
        };
        match outcome {
            Err(WriteError::Empty) => text.push_str("empty\n"),
            Err(WriteError::Line(error)) => line("refused at", &error),
            Err(WriteError::Failed(error)) => {
                writeln!(text, "failed {:?}: {error}", error.kind()).expect("write");
            }
            Ok((batches, outcome)) => {
                for rejected in &outcome.rejected {
                    line("rejected", rejected);
                }
                let rows: usize = batches.iter().map(Batch::rows).sum();
                assert_eq!(rows, outcome.lines);
                for batch in &batches {
                    self.describe_rows(batch, &mut text);
                }
            }
        }
        text
    }

    fn describe_rows(&self, batch: &Batch, text: &mut String) {
        let snapshot = self.catalog.snapshot();
        let (database, table) = snapshot.table_by_id(batch.table).expect("table");
        assert_eq!(database.id, batch.database);
        let name = |id| table.column_by_id(id).expect("column").name.to_string();
        let buffer = self.buffer.table(batch.database, batch.table);
        let known = buffer.series.read();
        for row in 0..batch.rows() {
            write!(text, "row {}", table.name).expect("write");
            let values = decode_series_key(known.key(batch.series[row])).expect("a key");
            for (tag, value) in table.series_key().iter().zip(values) {
                if let Some(value) = value {
                    write!(text, ",{}={value}", name(*tag)).expect("write");
                }
            }
            for (id, values) in &batch.columns {
                if values.is_valid(row) {
                    let value = array_value_to_string(values, row).expect("a value");
                    write!(text, " {}={value}", name(*id)).expect("write");
                }
            }
            writeln!(text, " @{}", batch.times[row]).expect("write");
        }
    }

    /// All tables of a database with their columns in the order of ids, and how many series each has.
    fn show(&self, database: &str) -> String {
        let mut text = String::new();
        let snapshot = self.catalog.snapshot();
        let Some(database) = snapshot.database(database) else {
            return "no database\n".to_string();
        };
        if database.tables().is_empty() {
            text.push_str("no tables\n");
        }
        for table in database.tables() {
            write!(text, "table {}", table.name).expect("write");
            for column in table.columns() {
                let kind = kind_name(column.kind);
                write!(text, " {}:{}:{kind}", column.id.0, column.name).expect("write");
            }
            let series = self.buffer.table(database.id, table.id).series.read().len();
            writeln!(text, " ({series} series)").expect("write");
        }
        text
    }
}

fn kind_name(kind: ColumnKind) -> &'static str {
    let name = kind.type_name();
    name.rsplit("::").next().unwrap_or(name)
}

fn limits(words: &str) -> Limits {
    let mut limits = Limits::default();
    for word in words.split_whitespace() {
        let (name, value) = word.split_once('=').expect("name=value");
        let value = value.parse().expect("a number");
        match name {
            "databases" => limits.databases = value,
            "tables" => limits.tables = value,
            "columns" => limits.columns_per_table = value,
            "tags" => limits.tag_columns_per_table = value,
            other => panic!("unknown limit {other}"),
        }
    }
    limits
}

fn request<'a>(database: &'a str, options: &str, text: &'a str) -> WriteRequest<'a> {
    let mut request = WriteRequest {
        database,
        text,
        precision: Precision::Auto,
        accept_partial: true,
        no_sync: false,
    };
    for option in options.split_whitespace() {
        match option {
            "strict" => request.accept_partial = false,
            "s" => request.precision = Precision::Second,
            "ms" => request.precision = Precision::Millisecond,
            "us" => request.precision = Precision::Microsecond,
            "ns" => request.precision = Precision::Nanosecond,
            other => panic!("unknown option {other}"),
        }
    }
    request
}

/// One case: `limits …` first if any, then requests (`write DATABASE [options]` and lines behind `|`), `delete DATABASE`,
/// `show DATABASE`.
async fn run(input: &str) -> String {
    let mut lines = input.lines().peekable();
    let bounds = lines
        .next_if(|line| line.starts_with("limits "))
        .map_or_else(Limits::default, |line| limits(&line[7..]));
    let ingest = Ingest::new(bounds).await;
    let mut output = String::new();
    while let Some(line) = lines.next() {
        let (command, rest) = line.split_once(' ').expect("a command");
        let (database, options) = rest.split_once(' ').unwrap_or((rest, ""));
        match command {
            "write" => {
                let mut text = String::new();
                while let Some(line) = lines.next_if(|line| line.starts_with('|')) {
                    text.push_str(&line[1..]);
                    text.push('\n');
                }
                output += &ingest.write(&request(database, options, &text)).await;
            }
            "delete" => ingest
                .catalog
                .delete_database(database, HardDelete::Default)
                .await
                .expect("delete"),
            "show" => output += &ingest.show(database),
            other => panic!("unknown command {other}"),
        }
    }
    output
}

/// Cases are separated by empty lines: input, a line of dashes, outcome. Lines that start with `#` are remarks.
async fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/ingest/{name}.txt"));
    let table = std::fs::read_to_string(&path).expect("the table is a readable file");
    let mut cases = Vec::new();
    for case in table.trim_end().split("\n\n") {
        let (input, _) = case.split_once("\n----").expect("a line of dashes");
        let commands: Vec<&str> = input
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        let outcome = run(&commands.join("\n")).await;
        cases.push(format!("{input}\n----\n{}", outcome.trim_end()));
    }
    let actual = cases.join("\n\n") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, actual).expect("the table is a writable file");
    } else {
        assert_eq!(actual, table, "{name}: UPDATE=1 rewrites the table");
    }
}

#[tokio::test]
async fn schema() {
    check("schema").await;
}

#[tokio::test]
async fn partial() {
    check("partial").await;
}

#[tokio::test]
async fn times() {
    check("times").await;
}

#[tokio::test]
async fn limits_of_schema() {
    check("limits").await;
}

/// The whole sequence of spec/write-and-storage.md §5.6, in its order and at its sizes.
#[tokio::test]
async fn the_limits_hold_in_sequence() {
    let ingest = Ingest::new(limits("databases=5 tables=2000 columns=500")).await;
    let write = async |database: &str, text: &str| {
        let outcome = ingest
            .read(&request(database, "", text), &mut String::new())
            .await;
        match outcome {
            Ok((_, outcome)) => match outcome.rejected.first() {
                None => format!("{} lines", outcome.lines),
                Some(rejected) => rejected.error_message.clone(),
            },
            Err(WriteError::Failed(error)) => format!("{:?}: {error}", error.kind()),
            Err(other) => format!("{other:?}"),
        }
    };
    for database in ["one", "two", "three", "four", "five"] {
        assert_eq!(write(database, "cpu,host=a usage=1").await, "1 lines");
    }
    assert_eq!(
        write("six", "cpu,host=a usage=1").await,
        "Limit: Adding a new database would exceed limit of 5 databases"
    );
    let tables: String = (0..1995).map(|number| format!("t{number} v=1\n")).collect();
    assert_eq!(write("two", &tables).await, "1995 lines");
    assert_eq!(
        write("four", "another v=1").await,
        "Update to schema would exceed number of tables limit: attempted to create table but already have 2000 table(s) (limit: 2000)"
    );
    ingest
        .catalog
        .delete_database("one", HardDelete::Default)
        .await
        .expect("delete");
    assert_eq!(write("four", "another v=1").await, "1 lines");
    let fields = |count: usize| -> String {
        let fields: Vec<String> = (0..count).map(|number| format!("f{number}=1")).collect();
        format!("another {}", fields.join(","))
    };
    // `v` is one of the five hundred.
    assert_eq!(write("four", &fields(499)).await, "1 lines");
    assert_eq!(
        write("four", &fields(500)).await,
        "Update to schema would exceed number of columns per table limit of 500 columns"
    );
}

#[tokio::test]
async fn a_full_share_of_series_takes_known_ones_only() {
    let mut ingest = Ingest::new(Limits::default()).await;
    let request = |text| WriteRequest {
        database: "db",
        text,
        precision: Precision::Nanosecond,
        accept_partial: true,
        no_sync: false,
    };
    let known = ingest.write(&request("m,host=a f=1 1")).await;
    assert!(!known.contains("failed"), "{known}");
    ingest.series_bytes_max = ingest.buffer.series_bytes();
    let known = ingest.write(&request("m,host=a f=2 2")).await;
    assert!(!known.contains("failed"), "{known}");
    let refused = ingest
        .write(&request("m,host=a f=2 2\nm,host=b f=1 1"))
        .await;
    assert!(
        refused.starts_with("failed Unavailable: the names of series take"),
        "{refused}"
    );
}
