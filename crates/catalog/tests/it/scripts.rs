//! Text tables: commands, a line of dashes, what they answer. `UPDATE=1` rewrites the answers.
//!
//! After every script the catalog is opened again, from the log and from a checkpoint, and must say the same.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use catalog::{
    Catalog, ColumnKind, Error, FieldType, HardDelete, Limits, TableAdditions, TableId,
    validate_database_name,
};

use runtime::Clock as _;

use crate::world::{TestWorld, describe};

#[test]
fn names() {
    check_file("names.txt", |input| {
        let mut output = String::new();
        for line in input.lines() {
            let name = match line.strip_prefix("ones ") {
                Some(count) => "1".repeat(count.parse().expect("count")),
                None => serde_json::from_str(line).expect("a JSON string"),
            };
            answer(&mut output, validate_database_name(&name));
        }
        output
    });
}

#[test]
fn schema() {
    check_file("schema.txt", run_script);
}

#[test]
fn databases() {
    check_file("databases.txt", run_script);
}

#[test]
fn tables() {
    check_file("tables.txt", run_script);
}

#[test]
fn removal() {
    check_file("removal.txt", run_script);
}

#[test]
fn comeback() {
    check_file("comeback.txt", run_script);
}

fn run_script(input: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("runtime");
    runtime.block_on(async {
        let (limits, commands) = match input.split_once('\n') {
            Some((first, rest)) if first.starts_with("limits ") => (parse_limits(first), rest),
            _ => (Limits::default(), input),
        };
        let world = TestWorld::new();
        let catalog = world.open_limited(limits).await;
        let mut output = String::new();
        for command in commands.lines() {
            run(&world, &catalog, command, &mut output).await;
        }
        let live = describe(&catalog.snapshot());
        assert_eq!(
            describe(&world.open().await.snapshot()),
            live,
            "from the log"
        );
        catalog.checkpoint().await.expect("checkpoint");
        let reopened = world.open().await;
        assert_eq!(describe(&reopened.snapshot()), live, "from a checkpoint");
        assert_eq!(reopened.snapshot().uuid(), catalog.snapshot().uuid());
        output
    })
}

async fn run(world: &TestWorld, catalog: &Catalog, command: &str, output: &mut String) {
    let words: Vec<_> = command.split_whitespace().collect();
    match words.as_slice() {
        ["create", "table", database, rest @ ..] => {
            let (retention, addition) = match rest {
                [first, rest @ ..] if first.starts_with("keep=") => {
                    (parse_retention(&first["keep=".len()..]), rest)
                }
                rest => (None, rest),
            };
            let table = parse_addition(addition);
            answer(
                output,
                catalog.create_table(database, table, retention).await,
            );
        }
        ["create", name] => answer(output, catalog.create_database(name, None).await),
        ["create", name, days] => {
            let days: u64 = days.trim_end_matches('d').parse().expect("days");
            let retention = Duration::from_secs(days * 24 * 60 * 60);
            answer(output, catalog.create_database(name, Some(retention)).await);
        }
        ["delete", name, when] => {
            answer(
                output,
                catalog.delete_database(name, parse_when(when)).await,
            );
        }
        ["delete", database, table, when] => {
            let deleted = catalog.delete_table(database, table, parse_when(when));
            answer(output, deleted.await);
        }
        ["undelete", database] => answer(output, catalog.undelete_database(database, None).await),
        ["undelete", database, "as", name] => {
            answer(
                output,
                catalog.undelete_database(database, Some(name)).await,
            );
        }
        ["undelete", database, table] => {
            answer(output, catalog.undelete_table(database, table, None).await);
        }
        ["undelete", database, table, "as", name] => {
            let undeleted = catalog.undelete_table(database, table, Some(name));
            answer(output, undeleted.await);
        }
        ["keep", database, retention] => {
            let retention = parse_retention(retention);
            answer(
                output,
                catalog.set_database_retention(database, retention).await,
            );
        }
        ["keep", database, table, retention] => {
            let retention = parse_retention(retention);
            let kept = catalog.set_table_retention(database, table, retention);
            answer(output, kept.await);
        }
        // Removes what was due so many seconds ago; the tables named have rows.
        ["remove", seconds, full @ ..] => {
            let seconds: i64 = seconds.trim_end_matches('s').parse().expect("seconds");
            let full: Vec<u32> = full.iter().map(|id| id.parse().expect("id")).collect();
            let before_ms = world.clock.now_ms() - seconds * 1000;
            let removed = catalog
                .remove_deleted(before_ms, move |table| !full.contains(&table.0))
                .await
                .expect("removed");
            writeln!(output, "removed {removed}").expect("write");
        }
        ["due"] => {
            let snapshot = catalog.snapshot();
            let due: Vec<_> = (0..8)
                .filter(|id| snapshot.is_data_due(TableId(*id), world.clock.now_ms()))
                .map(|id: u32| id.to_string())
                .collect();
            writeln!(output, "due {}", due.join(" ")).expect("write");
        }
        ["pause", seconds] => {
            let seconds = seconds.trim_end_matches('s').parse().expect("seconds");
            world.clock.advance(Duration::from_secs(seconds));
        }
        ["extend", database, rest @ ..] => {
            let additions: Vec<_> = rest
                .split(|word| *word == ";")
                .map(parse_addition)
                .collect();
            answer(output, catalog.extend_schema(database, &additions).await);
        }
        ["show"] => output.push_str(&describe(&catalog.snapshot())),
        other => panic!("unknown command {other:?}"),
    }
}

fn parse_when(word: &str) -> HardDelete {
    match word {
        "never" => HardDelete::Never,
        "now" => HardDelete::Now,
        "default" => HardDelete::Default,
        at_s => HardDelete::AtMs(at_s.parse::<i64>().expect("seconds") * 1000),
    }
}

/// `none`, `7d`, `250ms`.
fn parse_retention(word: &str) -> Option<Duration> {
    if let Some(days) = word.strip_suffix('d') {
        let days: u64 = days.parse().expect("days");
        return Some(Duration::from_secs(days.saturating_mul(24 * 60 * 60)));
    }
    let milliseconds = word.strip_suffix("ms")?;
    Some(Duration::from_millis(milliseconds.parse().expect("ms")))
}

fn parse_addition(words: &[&str]) -> TableAdditions {
    let (table, columns) = words.split_first().expect("a table");
    let columns = columns
        .iter()
        .map(|word| {
            let (name, kind) = word.split_once(':').expect("name:kind");
            let kind = match kind {
                "tag" => ColumnKind::Tag,
                "time" => ColumnKind::Time,
                "float" => ColumnKind::Field(FieldType::Float),
                "integer" => ColumnKind::Field(FieldType::Integer),
                "unsigned" => ColumnKind::Field(FieldType::Unsigned),
                "string" => ColumnKind::Field(FieldType::String),
                "boolean" => ColumnKind::Field(FieldType::Boolean),
                other => panic!("unknown kind {other}"),
            };
            (name.to_string(), kind)
        })
        .collect();
    TableAdditions {
        table: (*table).to_string(),
        columns,
    }
}

fn parse_limits(line: &str) -> Limits {
    let mut limits = Limits::default();
    for word in line.split_whitespace().skip(1) {
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

fn answer<T>(output: &mut String, outcome: Result<T, Error>) {
    match outcome {
        Ok(_) => output.push_str("ok\n"),
        Err(refusal) => {
            writeln!(output, "{:?}: {}", refusal.kind(), refusal.message()).expect("write");
        }
    }
}

/// Cases are separated by empty lines; comments begin with `#`.
fn check_file(name: &str, run: impl Fn(&str) -> String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name);
    let text = std::fs::read_to_string(&path).expect("test data");
    let mut cases = Vec::new();
    for case in text
        .split("\n\n")
        .map(str::trim)
        .filter(|case| !case.is_empty())
    {
        let (input, _) = case
            .split_once("\n----")
            .expect("a case has a line of dashes");
        let commands: Vec<_> = input
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        cases.push(format!(
            "{input}\n----\n{}",
            run(&commands.join("\n")).trim_end()
        ));
    }
    let actual = cases.join("\n\n") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, actual).expect("write test data");
    } else {
        assert_eq!(actual, text, "{} (UPDATE=1 rewrites it)", path.display());
    }
}
