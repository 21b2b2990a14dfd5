//! Checks of the whole checkout that neither compiler nor clippy can make.
//!
//! ```text
//! checkout ─> read ─> Checkout { sources, pages, packages } ─> rules ─> findings, one line each
//! ```
//! [`read`] touches the disk; the rules are pure functions of what it read. A finding says where, what is wrong and
//! what to do instead. The rules stand in words in `docs/architecture.md`.

mod dependencies;
mod documents;
mod read;
mod source;
mod text;
mod words;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use anyhow::Result;

use source::Source;

/// One breach of one rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Relative to the checkout, with forward slashes.
    path: String,
    /// 1-based.
    line: usize,
    /// What is wrong, and what to do instead.
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_string(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// A Markdown page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    path: String,
    text: String,
}

/// A workspace member as its manifest describes it.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    name: String,
    manifest_path: String,
    manifest: String,
    /// Path dependencies, except of tests.
    local: Vec<String>,
    /// Path dependencies of tests.
    local_tests: Vec<String>,
    /// Of every kind: normal, build and development.
    foreign: Vec<String>,
}

impl Package {
    /// The manifest's line that names `dependency`, or its first.
    fn line_of(&self, dependency: &str) -> usize {
        let names = |line: &str| {
            line.strip_prefix(dependency)
                .is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
        };
        let found = self.manifest.lines().position(names);
        found.map_or(1, |index| index + 1)
    }
}

/// Everything the rules look at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checkout {
    sources: Vec<Source>,
    pages: Vec<Page>,
    packages: Vec<Package>,
}

/// Checks the checkout at `root` and prints the findings; false when there are any.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let checkout = read::checkout(root)?;
    let findings = check(&checkout);
    for finding in &findings {
        println!("{finding}");
    }
    println!(
        "tidy: {} sources, {} pages, {} crates, {} findings",
        checkout.sources.len(),
        checkout.pages.len(),
        checkout.packages.len(),
        findings.len()
    );
    Ok(findings.is_empty())
}

/// All findings in the order of their paths and lines.
fn check(checkout: &Checkout) -> Vec<Finding> {
    let mut findings = dependencies::check(checkout);
    findings.extend(documents::check(checkout));
    findings.extend(checkout.sources.iter().flat_map(text::check));
    findings.extend(checkout.sources.iter().flat_map(words::check));
    findings.sort();
    findings.dedup();
    findings
}
