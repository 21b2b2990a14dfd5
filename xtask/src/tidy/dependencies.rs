//! Rules about manifests: who may depend on whom, as the crates table of `docs/architecture.md` says.
//!
//! The table is the truth, and it names direct dependencies: a crate that reaches another through a third may still not
//! name it unless its own row does. Only its tests may name all that it reaches, since they must build what it stands on, and
//! programs apart, which they try.

use super::words::PROGRAMS;
use super::{Checkout, Finding, Package};

/// The page with the crates table.
pub(crate) const MAP: &str = "docs/architecture.md";

/// Foreign crates that only some of ours may name: a prefix of the foreign names, its owners, the reason.
const GUARDED: &[(&str, &[&str], &str)] = &[
    ("datafusion", &["query"], "only `query` names DataFusion"),
    (
        "axum",
        &["server", "cli"],
        "only `server` and `cli` know HTTP",
    ),
    (
        "hyper",
        &["server", "cli"],
        "only `server` and `cli` know HTTP",
    ),
    (
        "reqwest",
        &["server", "cli"],
        "only `server` and `cli` know HTTP",
    ),
    ("rand", &["runtime"], "only `runtime` draws randomness"),
    ("clap", &["cli"], "only `cli` reads arguments"),
];

/// Crates that stand alone whatever the table says: they turn text into values and nothing else.
const ALONE: &[&str] = &["line_protocol"];

/// One row of the crates table.
struct Row {
    line: usize,
    name: String,
    may_use: Vec<String>,
}

pub(crate) fn check(checkout: &Checkout) -> Vec<Finding> {
    let mut findings: Vec<Finding> = checkout.packages.iter().flat_map(guarded).collect();
    let Some(map) = checkout.pages.iter().find(|page| page.path == MAP) else {
        findings.push(Finding::new(
            MAP,
            1,
            "is missing; it must hold the crates table",
        ));
        return findings;
    };
    let rows = rows(&map.text);
    for package in &checkout.packages {
        findings.extend(in_table(package, &rows));
    }
    for row in &rows {
        for name in [&row.name].into_iter().chain(&row.may_use) {
            let written = |package: &Package| package.name == *name;
            if !checkout.packages.iter().any(written) {
                let what = format!("the table names `{name}`, which is no crate here; drop it");
                findings.push(Finding::new(MAP, row.line, what));
            }
        }
    }
    findings
}

fn in_table(package: &Package, rows: &[Row]) -> Vec<Finding> {
    let Some(row) = rows.iter().find(|row| row.name == package.name) else {
        let what = format!(
            "`{}` has no row in the crates table of {MAP}; add what it owns and may use",
            package.name
        );
        return vec![Finding::new(&package.manifest_path, 1, what)];
    };
    let alone = ALONE.contains(&package.name.as_str());
    let remedy = if alone {
        "it stands alone; let its caller join the two".to_string()
    } else {
        format!("move the type down, or change its row in {MAP} and say why")
    };
    let reached = reached(row, rows);
    let code = package
        .local
        .iter()
        .filter(|name| !row.may_use.contains(name));
    let tests = package
        .local_tests
        .iter()
        .filter(|name| !reached.contains(name) && !PROGRAMS.contains(&name.as_str()));
    let stray = package.local.iter().chain(&package.local_tests);
    let forbidden: Vec<&String> = if alone {
        stray.collect()
    } else {
        code.chain(tests).collect()
    };
    let finding = |name: &&String| {
        let what = format!("`{}` may not use `{name}`: {remedy}", package.name);
        Finding::new(&package.manifest_path, package.line_of(name), what)
    };
    forbidden.iter().map(finding).collect()
}

/// What a row's crate may use, what those may use, and so on; the crate itself too.
fn reached<'a>(row: &'a Row, rows: &'a [Row]) -> Vec<&'a String> {
    let mut reached = vec![&row.name];
    let mut next = 0;
    while let Some(name) = reached.get(next) {
        let further = rows.iter().filter(|row| row.name == **name);
        for name in further.flat_map(|row| &row.may_use) {
            if !reached.contains(&name) {
                reached.push(name);
            }
        }
        next += 1;
    }
    reached
}

fn guarded(package: &Package) -> Vec<Finding> {
    let mut findings = Vec::new();
    if PROGRAMS.contains(&package.name.as_str()) {
        return findings;
    }
    for (prefix, owners, reason) in GUARDED {
        if owners.contains(&package.name.as_str()) {
            continue;
        }
        for name in package
            .foreign
            .iter()
            .filter(|name| is_part_of(name, prefix))
        {
            let what = format!("`{}` depends on {name}: {reason}; remove it", package.name);
            findings.push(Finding::new(
                &package.manifest_path,
                package.line_of(name),
                what,
            ));
        }
    }
    findings
}

/// `datafusion` and `datafusion-expr` are part of `datafusion`; `random` is not part of `rand`.
fn is_part_of(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

/// The rows below the header `| crate | owns | may use |`, up to the first line that is no row.
fn rows(map: &str) -> Vec<Row> {
    let cells = |line: &str| -> Vec<String> {
        let inside = line.trim().trim_matches('|');
        inside
            .split('|')
            .map(|cell| cell.trim().to_string())
            .collect()
    };
    let lines = map.lines().enumerate();
    lines
        .skip_while(|(_, line)| cells(line) != ["crate", "owns", "may use"])
        .skip(2)
        .take_while(|(_, line)| line.starts_with('|'))
        .filter_map(|(index, line)| {
            let cells = cells(line);
            Some(Row {
                line: index + 1,
                name: names(cells.first()?).pop()?,
                may_use: names(cells.last()?),
            })
        })
        .collect()
}

/// The names in backticks.
fn names(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_string)
        .collect()
}
