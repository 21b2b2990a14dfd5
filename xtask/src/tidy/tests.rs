//! The rules on small checkouts, as a text table: `testdata/tidy.txt`.
//!
//! A case is a title (`# …`), files (`== path`, then their text), the workspace (`== packages`, one line each:
//! `name: local local | foreign | local in tests`) and, after `----`, the findings. `UPDATE=1 cargo test -p xtask` rewrites them.

use std::fs;
use std::path::Path;

use super::source::{Source, mark_test_modules};
use super::{Checkout, Package, Page, check};

#[test]
fn rules() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tidy.txt");
    let table = fs::read_to_string(&path).expect("the table is there");
    let update = std::env::var_os("UPDATE").is_some();
    let mut rewritten = Vec::new();
    for case in table.split("\n# ") {
        let case = case.strip_prefix("# ").unwrap_or(case);
        let (input, expected) = case.split_once("\n----\n").expect("a case has ----");
        let findings = check(&checkout(input));
        let actual: String = findings
            .iter()
            .map(|finding| format!("{finding}\n"))
            .collect();
        if !update {
            let title = input.lines().next().unwrap_or_default();
            assert_eq!(actual.trim_end(), expected.trim_end(), "case: {title}");
        }
        rewritten.push(format!("# {input}\n----\n{actual}"));
    }
    if update {
        fs::write(&path, rewritten.join("\n")).expect("the table can be written");
    }
}

#[test]
fn a_long_file_hides_a_seam() {
    let long = |lines: usize| {
        let text = format!("//! Long.\n{}", "\n".repeat(lines - 1));
        super::text::check(&Source::new("crates/query/src/long.rs".to_string(), text))
    };
    assert_eq!(long(1200), []);
    let findings = long(1201);
    assert_eq!(
        findings[0].to_string(),
        "crates/query/src/long.rs:1201: 1201 lines, more than 1200; find the seam and split it"
    );
}

fn checkout(input: &str) -> Checkout {
    let mut checkout = Checkout::default();
    let mut parts = input.split("\n== ");
    parts.next().expect("split gives at least one part");
    for part in parts {
        let (path, text) = part.split_once('\n').unwrap_or((part, ""));
        if path == "packages" {
            checkout.packages = text.lines().map(package).collect();
        } else if path.ends_with(".rs") {
            let source = Source::new(path.to_string(), text.to_string());
            checkout.sources.push(source);
        } else {
            checkout.pages.push(Page {
                path: path.to_string(),
                text: text.to_string(),
            });
        }
    }
    mark_test_modules(&mut checkout.sources);
    let map = |page: &Page| page.path == super::dependencies::MAP;
    if !checkout.pages.iter().any(map) {
        checkout.pages.push(Page {
            path: super::dependencies::MAP.to_string(),
            text: String::new(),
        });
    }
    checkout
}

fn package(line: &str) -> Package {
    let (name, dependencies) = line.split_once(':').expect("name: dependencies");
    let words = |text: &str| text.split_whitespace().map(str::to_string).collect();
    let mut kinds = dependencies.split('|').map(words);
    let mut next = || -> Vec<String> { kinds.next().unwrap_or_default() };
    let (local, foreign, local_tests) = (next(), next(), next());
    let all = [&local, &foreign, &local_tests]
        .map(|names| names.as_slice())
        .concat();
    Package {
        name: name.to_string(),
        manifest_path: format!("crates/{name}/Cargo.toml"),
        manifest: format!(
            "[dependencies]\n{}.workspace = true\n",
            all.join(".workspace = true\n")
        ),
        local,
        local_tests,
        foreign,
    }
}
