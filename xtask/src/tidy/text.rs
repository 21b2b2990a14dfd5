//! Rules about a source file as text: its opening, its length, what was left behind.

use super::Finding;
use super::source::Source;

/// Above this a file hides a seam.
const LINES_MAX: usize = 1200;

/// A call or attribute left behind, and what to do about it. Looked for in code.
const LEFTOVERS: &[(&str, &str)] = &[
    ("dbg!", "log with tracing or remove it"),
    ("todo!", "write it, or return ErrorKind::Unsupported"),
    (
        "unimplemented!",
        "write it, or return ErrorKind::Unsupported",
    ),
    ("#[ignore", "make the test quick and certain, or delete it"),
];

pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !source
        .lines
        .first()
        .is_some_and(|line| line.starts_with("//!"))
    {
        let what = "does not open with `//!`; say what this file is, what it is not, where data comes from and goes";
        findings.push(Finding::new(&source.path, 1, what));
    }
    if source.lines.len() > LINES_MAX {
        let what = format!(
            "{} lines, more than {LINES_MAX}; find the seam and split it",
            source.lines.len()
        );
        findings.push(Finding::new(&source.path, LINES_MAX + 1, what));
    }
    for (index, code) in source.code.iter().enumerate() {
        for (word, instead) in LEFTOVERS {
            if super::words::contains_word(code, word) {
                let what = format!("`{word}` was left behind; {instead}");
                findings.push(Finding::new(&source.path, index + 1, what));
            }
        }
        if source.comments[index].contains("FIXME") {
            let what = "a comment says FIXME; fix it, or say what is true and why";
            findings.push(Finding::new(&source.path, index + 1, what));
        }
    }
    findings
}
