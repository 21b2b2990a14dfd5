//! What could stand where the cursor is: commands of the prompt, tables, columns, keywords. Pure: text and names in, candidates out.
//!
//! Not here: where the names come from (`prompt`).

use std::collections::BTreeMap;

use crate::output::Format;

/// Names that exist.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) databases: Vec<String>,
    /// With their columns.
    pub(crate) tables: BTreeMap<String, Vec<String>>,
}

pub(crate) const COMMANDS: [&str; 8] = [
    "\\?", "\\c", "\\d", "\\f", "\\l", "\\q", "\\timing", "\\wide",
];

pub(crate) const FORMATS: [(&str, Format); 4] = [
    ("pretty", Format::Pretty),
    ("json", Format::Json),
    ("jsonl", Format::Jsonl),
    ("csv", Format::Csv),
];

const KEYWORDS: [&str; 58] = [
    "ALL",
    "AND",
    "AS",
    "ASC",
    "AVG",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COUNT",
    "CROSS",
    "DATE_BIN",
    "DATE_BIN_GAPFILL",
    "DELETE",
    "DESC",
    "DISTINCT",
    "ELSE",
    "END",
    "EXISTS",
    "EXPLAIN",
    "FIRST_VALUE",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INTERPOLATE",
    "INTERSECT",
    "INTERVAL",
    "IS",
    "JOIN",
    "LAST_VALUE",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LOCF",
    "MAX",
    "MIN",
    "NOT",
    "NOW",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OVER",
    "PARTITION",
    "RIGHT",
    "SELECT",
    "SHOW",
    "SUM",
    "TABLES",
    "UNION",
    "VALUES",
    "WHERE",
    "WITH",
];

/// Words behind which a table stands.
const BEFORE_TABLES: [&str; 4] = ["FROM", "JOIN", "INTO", "TABLE"];

/// Where the word at the end of `text` begins, and what it could become.
pub(crate) fn candidates(text: &str, names: &Names) -> (usize, Vec<String>) {
    if let Some(command) = text.trim_start().strip_prefix('\\') {
        return command_candidates(text, command, names);
    }
    let start = word_start(text);
    let word = &text[start..];
    let before = text[..start].trim_end();
    let previous = before
        .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
        .unwrap_or("");
    let wants_table = BEFORE_TABLES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(previous));
    let mut found = Vec::new();
    if wants_table {
        found.extend(names.tables.keys().filter_map(|name| matching(word, name)));
        return (start, found);
    }
    if word.is_empty() {
        return (start, found);
    }
    // Columns of the tables that are named; of all, before one is.
    let is_named = |table: &str| {
        let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| word == table)
    };
    let any_named = names.tables.keys().any(|table| is_named(table));
    let tables = names
        .tables
        .iter()
        .filter(|(table, _)| !any_named || is_named(table));
    found.extend(
        tables
            .flat_map(|(_, columns)| columns)
            .filter_map(|name| matching(word, name)),
    );
    found.extend(names.tables.keys().filter_map(|name| matching(word, name)));
    let is_lower = word.starts_with(|c: char| c.is_lowercase());
    for keyword in KEYWORDS {
        if keyword.len() >= word.len()
            && keyword.as_bytes()[..word.len()].eq_ignore_ascii_case(word.as_bytes())
        {
            found.push(match is_lower {
                true => keyword.to_lowercase(),
                false => keyword.to_string(),
            });
        }
    }
    found.sort();
    found.dedup();
    (start, found)
}

fn command_candidates(text: &str, command: &str, names: &Names) -> (usize, Vec<String>) {
    let Some((name, word)) = command.split_once(' ') else {
        let start = text.len() - command.len() - 1;
        let found = COMMANDS
            .iter()
            .filter(|known| known[1..].starts_with(command));
        return (start, found.map(|known| known.to_string()).collect());
    };
    let word = word.trim_start();
    let known: Vec<&str> = match name {
        "d" => names.tables.keys().map(String::as_str).collect(),
        "c" => names.databases.iter().map(String::as_str).collect(),
        "f" => FORMATS.iter().map(|(name, _)| *name).collect(),
        _ => Vec::new(),
    };
    let found = known.into_iter().filter(|known| known.starts_with(word));
    (text.len() - word.len(), found.map(str::to_string).collect())
}

/// Where the identifier begins that the text ends with; a quote opens one.
fn word_start(text: &str) -> usize {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    if text.matches('"').count() % 2 == 1 {
        return text.rfind('"').unwrap_or(text.len());
    }
    text.char_indices()
        .rev()
        .take_while(|(_, c)| is_part(*c))
        .last()
        .map_or(text.len(), |(at, _)| at)
}

/// `name` as it is written in SQL, if it continues `word`.
fn matching(word: &str, name: &str) -> Option<String> {
    let begun = word.strip_prefix('"').unwrap_or(word);
    if !name.starts_with(begun) {
        return None;
    }
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    Some(match is_plain && !word.starts_with('"') {
        true => name.to_string(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_come() {
        let names = Names {
            databases: vec!["home".to_string(), "work".to_string()],
            tables: BTreeMap::from([
                (
                    "cpu".to_string(),
                    vec!["host".to_string(), "usage".to_string(), "Load".to_string()],
                ),
                (
                    "disk".to_string(),
                    vec!["device".to_string(), "hot".to_string()],
                ),
            ]),
        };
        for (text, start, expected) in [
            ("SEL", 0, &["SELECT"][..]),
            ("sel", 0, &["select"]),
            ("SELECT ho", 7, &["host", "hot"]),
            ("SELECT * FROM cpu WHERE ho", 24, &["host"]),
            ("SELECT * FROM ", 14, &["cpu", "disk"]),
            ("SELECT * FROM c", 14, &["cpu"]),
            ("SELECT Lo", 7, &["\"Load\"", "LOCF"]),
            ("SELECT \"Lo", 7, &["\"Load\""]),
            ("SELECT ", 7, &[]),
            ("\\", 0, &COMMANDS),
            ("\\d c", 3, &["cpu"]),
            ("\\c ", 3, &["home", "work"]),
            ("\\f js", 3, &["json", "jsonl"]),
            ("é", 0, &[]),
        ] {
            let (at, found) = candidates(text, &names);
            assert_eq!(
                (at, found.iter().map(String::as_str).collect::<Vec<_>>()),
                (start, expected.to_vec()),
                "{text}"
            );
        }
        assert!(KEYWORDS.is_sorted());
    }
}
