//! Runs a text file of writes and queries and compares the answers with those in the file; `UPDATE=1` rewrites them.
//!
//! A file is blocks separated by blank lines; `#` begins a comment line between blocks.
//! ```text
//! write                          database DATABASE RETENTION_SECONDS
//! cpu,host=a usage=1 10
//!
//! catalog                        keep DB|DB TABLE SECONDS|none, delete DB|DB TABLE never|now|default
//! delete db cpu now
//!
//! storage                        persist, compact
//! compact
//!
//! query host="a" least=1         at DATABASE         (parameters in JSON-like literals; `at` before them, optional)
//! SELECT ...
//! ----
//! the table, or: KIND: message
//! ```

use std::path::Path;
use std::time::Duration;

use catalog::HardDelete;
use query::{Error, Parameter};

use crate::node::Node;

const DATABASE: &str = "db";

/// When rows become files while a script runs. The answers must not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persist {
    Never,
    AfterEveryWrite,
    /// And few files of many.
    CompactedAfterEveryWrite,
    /// After the first, the third and so on; the others stay in the buffer.
    AfterEveryOtherWrite,
}

pub(crate) async fn check(file: &str, persist: Persist) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/sql")
        .join(file);
    let expected = std::fs::read_to_string(&path).expect("the script is part of the sources");
    let node = Node::start().await;
    let mut blocks = Vec::new();
    let mut writes = 0;
    for block in expected.trim_end().split("\n\n") {
        blocks.push(run(&node, block).await);
        if block.starts_with("write") {
            writes += 1;
            let now = match persist {
                Persist::Never => false,
                Persist::AfterEveryWrite | Persist::CompactedAfterEveryWrite => true,
                Persist::AfterEveryOtherWrite => writes % 2 == 1,
            };
            if now {
                node.storage.persist().await.expect("the store works");
            }
            if persist == Persist::CompactedAfterEveryWrite {
                node.storage.compact().await.expect("the store works");
            }
        }
    }
    node.stop().await;
    let actual = blocks.join("\n\n") + "\n";
    if std::env::var_os("UPDATE").is_some() && persist == Persist::Never {
        std::fs::write(&path, &actual).expect("the script can be rewritten");
    } else {
        assert_eq!(actual, expected, "{file}, persisting {persist:?}");
    }
}

/// The block again, with the answer the node gives now.
async fn run(node: &Node, block: &str) -> String {
    let Some((head, body)) = block.split_once('\n') else {
        return block.to_string();
    };
    let (command, arguments) = head.split_once(' ').unwrap_or((head, ""));
    match command {
        "write" => {
            let database = if arguments.is_empty() {
                DATABASE
            } else {
                arguments
            };
            node.write(database, body).await;
            block.to_string()
        }
        "database" => {
            let seconds = body.trim().parse().expect("a retention in seconds");
            let retention = Some(Duration::from_secs(seconds));
            node.catalog
                .create_database(arguments, retention)
                .await
                .expect("the name is free");
            block.to_string()
        }
        "catalog" => {
            for line in std::iter::once(arguments).chain(body.lines()) {
                change(node, line).await;
            }
            block.to_string()
        }
        "storage" => {
            for line in body.lines() {
                match line {
                    "persist" => node.storage.persist().await.expect("the store works"),
                    "compact" => node.storage.compact().await.expect("the store works"),
                    other => panic!("storage has no command {other}"),
                }
            }
            block.to_string()
        }
        "query" => {
            let (database, parameters) = match arguments.strip_prefix("at ") {
                Some(rest) => rest.split_once(' ').unwrap_or((rest, "")),
                None => (DATABASE, arguments),
            };
            let text = body
                .split_once("----")
                .map_or(body, |(text, _)| text)
                .trim_end_matches('\n');
            let answer = node
                .query(database, text, parameters_of(parameters))
                .await
                .map_or_else(|error| fault(&error), |(_, batches)| table(&batches));
            format!("{head}\n{text}\n----\n{answer}")
        }
        _ if command.starts_with('#') => block.to_string(),
        other => panic!("a script has no command {other}"),
    }
}

async fn change(node: &Node, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let retention = |word: &str| {
        let seconds = (word != "none").then(|| word.parse().expect("seconds"));
        seconds.map(Duration::from_secs)
    };
    let when = |word: &str| match word {
        "never" => HardDelete::Never,
        "now" => HardDelete::Now,
        "default" => HardDelete::Default,
        other => panic!("not a time to delete: {other}"),
    };
    let catalog = &node.catalog;
    let outcome = match words.as_slice() {
        [] => Ok(()),
        ["keep", database, kept] => {
            catalog
                .set_database_retention(database, retention(kept))
                .await
        }
        ["keep", database, table, kept] => {
            catalog
                .set_table_retention(database, table, retention(kept))
                .await
        }
        ["delete", database, at] => catalog.delete_database(database, when(at)).await,
        ["delete", database, table, at] => catalog.delete_table(database, table, when(at)).await,
        other => panic!("the catalog has no command {other:?}"),
    };
    outcome.expect("the change is possible");
}

fn table(batches: &[arrow::array::RecordBatch]) -> String {
    match arrow::util::pretty::pretty_format_batches(batches) {
        Ok(table) => table.to_string(),
        Err(fault) => panic!("an answer cannot be shown: {fault}"),
    }
}

/// Blank lines would end the block, so they show as a dot.
fn fault(error: &Error) -> String {
    let message = error.message().replace("\n\n", "\n.\n");
    format!("{:?}: {message}", error.kind())
}

/// Parameters such as `a=1 b=1.5 c="some text" d=true e=null f=2u`.
fn parameters_of(text: &str) -> Vec<(String, Parameter)> {
    let mut parameters = Vec::new();
    let mut rest = text.trim_start();
    while let Some((name, after)) = rest.split_once('=') {
        let end = match after.strip_prefix('"') {
            Some(quoted) => quoted.find('"').expect("a closing quote") + 2,
            None => after.find(' ').unwrap_or(after.len()),
        };
        let (value, after) = after.split_at(end);
        parameters.push((name.to_string(), parameter(value)));
        rest = after.trim_start();
    }
    parameters
}

fn parameter(value: &str) -> Parameter {
    let unquoted = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    if let Some(text) = unquoted {
        return Parameter::String(text.to_string());
    }
    match value {
        "null" => Parameter::Null,
        "true" => Parameter::Boolean(true),
        "false" => Parameter::Boolean(false),
        _ => number(value),
    }
}

fn number(value: &str) -> Parameter {
    if let Some(unsigned) = value.strip_suffix('u') {
        return Parameter::Unsigned(unsigned.parse().expect("an unsigned number"));
    }
    match value.parse() {
        Ok(integer) => Parameter::Integer(integer),
        Err(_) => Parameter::Float(value.parse().expect("a number")),
    }
}
