//! `delete rows`: rows of a table between two times, or all of them, that match a condition; `cancel row-delete` (spec/cli.md §9.3).
//!
//! The command becomes one SQL statement, and the rows are gone when it has ended. A server that only takes requests to delete
//! later can be told to drop one.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::sql::{identifier, literal};
use crate::client::{Body, Client, ConnectionOptions, DatabaseOption};
use crate::output::{self, Format};

const REQUESTS: &str = "/api/v3/row_delete_requests";

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("times").required(true).multiple(true).args(["min_time", "max_time", "all_time"]))]
pub(crate) struct DeleteOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    database: DatabaseOption,

    /// Table of the rows
    #[arg(short, long)]
    table: String,

    /// Rows at this time and later, such as 2026-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    min_time: Option<String>,

    /// Rows before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    max_time: Option<String>,

    /// Rows of any time
    #[arg(long, conflicts_with_all = ["min_time", "max_time"])]
    all_time: bool,

    /// Only rows with these tags: host = "a" AND region = "west"
    #[arg(long, value_name = "TAGS", value_parser = parse_predicate)]
    predicate: Option<Predicate>,

    /// Only rows that meet this condition, in SQL
    #[arg(long = "where", value_name = "CONDITION", conflicts_with = "predicate")]
    condition: Option<String>,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
}

impl DeleteOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Deleted {
            count: u64,
        }

        let (database, table) = (self.database.database_name.as_str(), self.table.as_str());
        if !self.yes {
            output::confirm(&format!(
                "Are you sure you want to delete rows of {database:?}.{table:?}?"
            ))?;
        }
        let client = Client::new(&self.connection, None)?;
        let response = client
            .sql(database, &self.statement(), Format::Json)
            .await?;
        let deleted: Vec<Deleted> = response.json().await?;
        let count: u64 = deleted.iter().map(|row| row.count).sum();
        let rows = if count == 1 { "row" } else { "rows" };
        output::print(format_args!(
            "{count} {rows} of {database:?}.{table:?} deleted successfully"
        ))
    }

    fn statement(&self) -> String {
        let conditions = [
            self.min_time
                .as_deref()
                .map(|time| format!("time >= {time}")),
            self.max_time
                .as_deref()
                .map(|time| format!("time < {time}")),
            self.predicate.as_ref().map(Predicate::condition),
            // A comment at the end of a condition must not swallow what is ours.
            self.condition.as_deref().map(|text| format!("({text}\n)")),
        ];
        let conditions: Vec<String> = conditions.into_iter().flatten().collect();
        let from = format!("DELETE FROM {}", identifier(&self.table));
        match conditions.as_slice() {
            [] => from,
            conditions => format!("{from} WHERE {}", conditions.join(" AND ")),
        }
    }
}

/// A time as SQL has it: a number is nanoseconds since 1970, everything else a text that the server reads.
fn parse_time(text: &str) -> Result<String, String> {
    if let Ok(ns) = text.parse::<i64>() {
        return Ok(format!("to_timestamp_nanos({ns})"));
    }
    match humantime::parse_rfc3339_weak(text.trim_end_matches('Z')) {
        Ok(_) => Ok(format!("TIMESTAMP {}", literal(text))),
        Err(_) => Err(format!(
            "'{text}' is neither a time such as 2026-01-01T00:00:00Z nor a number of nanoseconds since 1970"
        )),
    }
}

/// Tags and what each of them must be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Predicate(Vec<(String, String)>);

impl Predicate {
    fn condition(&self) -> String {
        let parts = self.0.iter();
        let parts = parts.map(|(tag, value)| format!("{} = {}", identifier(tag), literal(value)));
        parts.collect::<Vec<_>>().join(" AND ")
    }
}

/// Reads `tag = "value" AND tag = "value"`; a tag may stand in double quotes, a value in single ones, and a backslash takes the
/// meaning from the character behind it.
fn parse_predicate(text: &str) -> Result<Predicate, String> {
    let wanted = |what: &str, rest: &str| {
        let found = match rest.trim() {
            "" => "the end".to_string(),
            rest => format!("'{rest}'"),
        };
        format!("expected {what}, found {found}; it should read TAG = \"VALUE\" AND …")
    };
    let mut pairs = Vec::new();
    let mut rest = text;
    loop {
        let (tag, after) = word(rest).ok_or_else(|| wanted("a tag", rest))?;
        let after = after.trim_start();
        let after = after
            .strip_prefix('=')
            .ok_or_else(|| wanted("'='", after))?;
        let (value, after) =
            quoted(after.trim_start()).ok_or_else(|| wanted("a value in quotes", after))?;
        pairs.push((tag, value));
        let after = after.trim_start();
        if after.is_empty() {
            return Ok(Predicate(pairs));
        }
        rest = match after.split_at_checked(3) {
            Some((and, more))
                if and.eq_ignore_ascii_case("and") && more.starts_with(char::is_whitespace) =>
            {
                more
            }
            _ => return Err(wanted("AND", after)),
        };
    }
}

/// A tag's name, bare or in quotes, and what follows.
fn word(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    if text.starts_with(['"', '\'']) {
        return quoted(text);
    }
    let end = text
        .find(|letter: char| letter.is_whitespace() || "=!<>()\"'".contains(letter))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    (!name.is_empty()).then(|| (name.to_string(), rest))
}

/// What stands between two quotes, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text
        .chars()
        .next()
        .filter(|first| matches!(first, '"' | '\''))?;
    let mut value = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.push(letters.next()?.1),
            _ if letter == quote => return Some((value, &text[at + letter.len_utf8()..])),
            _ => value.push(letter),
        }
    }
    None
}

#[derive(Debug, clap::Args)]
pub(crate) struct CancelOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Why, for whoever looks later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Number of the request
    sequence: u64,
}

impl CancelOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let path = format!("{REQUESTS}/{}/abort", self.sequence);
        let body = json!({ "reason": self.reason.unwrap_or_default() });
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::POST, &path, &[], Body::Json(body))
            .await?;
        output::print(format_args!(
            "Row delete {} cancelled successfully",
            self.sequence
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predicates_are_tags_and_values() {
        for (text, expected) in [
            ("host = \"a\"", "\"host\" = 'a'"),
            (
                "host='a' and \"my tag\" = \"it's \\\"b\\\"\"",
                "\"host\" = 'a' AND \"my tag\" = 'it''s \"b\"'",
            ),
            ("größe=\"ä\"", "\"größe\" = 'ä'"),
        ] {
            let predicate = parse_predicate(text).expect(text);
            assert_eq!(predicate.condition(), expected);
        }
        for (text, reason) in [
            ("", "expected a tag, found the end"),
            ("host", "expected '=', found the end"),
            ("host != \"a\"", "expected '=', found '!= \"a\"'"),
            ("host = a", "expected a value in quotes, found 'a'"),
            ("host = \"a", "expected a value in quotes"),
            ("host = \"a\" OR b = \"c\"", "expected AND, found 'OR b"),
            ("host = \"a\" AND", "expected AND"),
            ("host = \"a\" AND ", "expected a tag, found the end"),
            ("host = \"a\" ä", "expected AND"),
        ] {
            let error = parse_predicate(text).expect_err(text);
            assert!(error.starts_with(reason), "{text}: {error}");
        }
    }

    #[test]
    fn times_are_texts_or_nanoseconds() {
        let time = |text| parse_time(text).ok();
        assert_eq!(time("-5").as_deref(), Some("to_timestamp_nanos(-5)"));
        for text in [
            "2026-01-01T00:00:00Z",
            "2026-01-01 00:00:00",
            "2026-01-01T00:00:00.5Z",
        ] {
            assert_eq!(time(text), Some(format!("TIMESTAMP '{text}'")));
        }
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "' OR 1=1 --"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
