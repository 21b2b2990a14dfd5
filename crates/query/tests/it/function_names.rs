//! That no function of `testdata/function_names.txt` is forgotten: each is called by some script of `testdata/sql`.
//!
//! That the calls answer what they have to is tested where the scripts are run.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The statements of all scripts that answer with rows, in lower case.
fn answered_statements() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sql");
    let mut statements = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the sources") {
        let path = entry.expect("a file of the sources").path();
        let script = fs::read_to_string(path).expect("a text");
        for block in script.split("\n\n") {
            let Some((statement, answer)) = block.split_once("\n----\n") else {
                continue;
            };
            if block.starts_with("query") && answer.starts_with('+') {
                statements.push(statement.to_lowercase());
            }
        }
    }
    statements
}

/// The words that are followed by a parenthesis, and those that SQL lets stand alone.
fn called(statement: &str) -> BTreeSet<&str> {
    let is_part = |symbol: char| symbol.is_ascii_alphanumeric() || symbol == '_';
    let mut words = BTreeSet::new();
    let mut rest = statement;
    while let Some(start) = rest.find(is_part) {
        let from_word = &rest[start..];
        let end = from_word
            .find(|symbol| !is_part(symbol))
            .unwrap_or(from_word.len());
        let (word, after) = from_word.split_at(end);
        if after.starts_with('(') || word.starts_with("current_") {
            words.insert(word);
        }
        rest = after;
    }
    words
}

#[test]
fn every_function_is_called() {
    let names = include_str!("../../testdata/function_names.txt");
    // The first line tells what the file is, and one word alone names a group.
    let names: BTreeSet<&str> = names
        .lines()
        .skip(1)
        .filter(|line| line.contains(' '))
        .flat_map(str::split_whitespace)
        .collect();
    assert!(names.len() > 280, "{}", names.len());
    let statements = answered_statements();
    let called: BTreeSet<&str> = statements
        .iter()
        .flat_map(|statement| called(statement))
        .collect();
    let forgotten: Vec<&&str> = names.difference(&called).collect();
    assert!(forgotten.is_empty(), "never called: {forgotten:?}");
}
