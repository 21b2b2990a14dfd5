//! Reads a text table, runs each of its cases and compares; `UPDATE=1` writes what came out into the table.
//!
//! A case is an input, a line `----`, the expected output, and an empty line. Lines between cases that start with
//! `//` are remarks. Characters that would get lost in a text file are written as `␤ ␍ ␉ ␠ ␀`, on both sides.

use std::fmt::Write as _;
use std::path::Path;

const SYMBOLS: [(char, char); 5] = [
    ('␤', '\n'),
    ('␍', '\r'),
    ('␉', '\t'),
    ('␠', ' '),
    ('␀', '\0'),
];

/// Runs the table `testdata/<name>.txt`, one call of `run` for each case.
pub(crate) fn check(name: &str, run: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/{name}.txt"));
    let table = std::fs::read_to_string(&path).expect("the table is a readable file");
    let mut actual = String::new();
    let mut cases = 0;
    let mut lines = table.lines().peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with("//") {
            writeln!(actual, "{line}").expect("a String takes all");
            continue;
        }
        let mut input = vec![line];
        for line in lines.by_ref() {
            if line == "----" {
                break;
            }
            input.push(line);
        }
        while lines.next_if(|line| !line.is_empty()).is_some() {}
        let input = input.join("\n");
        let output = run(&from_symbols(&input));
        writeln!(actual, "{input}\n----\n{output}").expect("a String takes all");
        cases += 1;
    }
    assert!(cases > 0, "{name}: no case found");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, actual).expect("the table is a writable file");
    } else {
        assert_eq!(actual, table, "{name}: UPDATE=1 rewrites the table");
    }
}

fn from_symbols(text: &str) -> String {
    SYMBOLS
        .iter()
        .fold(text.to_owned(), |text, (symbol, meant)| {
            text.replace(*symbol, &meant.to_string())
        })
}

/// `text` with symbols for the characters that a table cannot show; a space only where it would be the last.
pub(crate) fn to_symbols(text: &str) -> String {
    let text = SYMBOLS
        .iter()
        .filter(|(_, meant)| *meant != ' ')
        .fold(text.to_owned(), |text, (symbol, meant)| {
            text.replace(*meant, &symbol.to_string())
        });
    match text.strip_suffix(' ') {
        Some(head) => format!("{head}␠"),
        None => text,
    }
}
