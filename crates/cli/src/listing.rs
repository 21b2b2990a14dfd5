//! Lists that a server tells as JSON: printed as they are, or as a table with the columns that the command names.
//!
//! Not here: rows of SQL, which the server itself renders (`output`).

use std::path::PathBuf;

use reqwest::Method;
use serde_json::Value;

use crate::client::{Body, Client};
use crate::output;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "lowercase")]
enum ListFormat {
    Pretty,
    Json,
}

/// How a list is printed, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct ListOptions {
    /// How to render the list
    #[arg(long, value_enum, default_value_t = ListFormat::Pretty)]
    format: ListFormat,

    /// Write the list to this file instead of the standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl ListOptions {
    /// Asks for the list at `path`, which stands in the answer under `key` unless it is the answer, and prints it.
    pub(crate) async fn show(
        &self,
        client: &Client,
        path: &str,
        parameters: &[(&str, &str)],
        key: &str,
        columns: &[&str],
    ) -> anyhow::Result<()> {
        let response = client
            .send(Method::GET, path, parameters, Body::Empty)
            .await?;
        let told: Value = response.json().await?;
        let text = match self.format {
            ListFormat::Json => format!("{told:#}"),
            ListFormat::Pretty => table(entries(&told, key), columns),
        };
        output::print_to(self.output.as_deref(), &text)
    }
}

/// The entries of a list, wherever it stands.
fn entries<'a>(told: &'a Value, key: &str) -> &'a [Value] {
    let found = told.as_array().or_else(|| told.get(key)?.as_array());
    found.map_or(&[], Vec::as_slice)
}

/// A table with a row for each entry, in the style of the server's own.
pub(crate) fn table(entries: &[Value], columns: &[&str]) -> String {
    if entries.is_empty() {
        return "++\n++".to_string();
    }
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| columns.iter().map(|column| cell(entry, column)).collect())
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let cells = rows.iter().map(|row| row[at].chars().count());
            cells.max().unwrap_or(0).max(column.chars().count())
        })
        .collect();
    let rule: String = widths
        .iter()
        .map(|&width| format!("+{}", "-".repeat(width + 2)))
        .chain(["+".to_string()])
        .collect();
    let line = |cells: &[&str]| -> String {
        let cells = cells.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("| {cell:<width$} "));
        cells.chain(["|".to_string()]).collect()
    };
    let body = rows.iter().map(|row| {
        let cells: Vec<&str> = row.iter().map(String::as_str).collect();
        line(&cells)
    });
    let mut lines = vec![rule.clone(), line(columns), rule.clone()];
    lines.extend(body);
    lines.push(rule);
    lines.join("\n")
}

/// What an entry has in a column: a text as it is, nothing for nothing, all else as JSON.
fn cell(entry: &Value, column: &str) -> String {
    match entry.get(column) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) => {
            let values = values.iter().map(|value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            format!("[{}]", values.collect::<Vec<_>>().join(", "))
        }
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_have_the_columns_asked_for() {
        let told = json!({"groups": [
            {"id": 1, "name": "größte", "node_ids": ["a", "b"], "more": true},
            {"id": 22, "name": null},
        ]});
        assert_eq!(
            table(entries(&told, "groups"), &["id", "name", "node_ids"]),
            "+----+--------+----------+\n\
             | id | name   | node_ids |\n\
             +----+--------+----------+\n\
             | 1  | größte | [a, b]   |\n\
             | 22 |        |          |\n\
             +----+--------+----------+"
        );
        assert_eq!(table(entries(&json!([]), "groups"), &["id"]), "++\n++");
        assert_eq!(entries(&json!({"other": [1]}), "groups").len(), 0);
    }
}
