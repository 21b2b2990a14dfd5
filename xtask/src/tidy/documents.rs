//! Rules about pages: the map names every stage of the pipeline, and format pages and format files belong together.
//!
//! Whether every crate is on the map is checked with its dependencies, in `dependencies`.

use super::dependencies::MAP;
use super::source::Source;
use super::words::contains_word;
use super::{Checkout, Finding, Page};

/// The file whose `mod` lines are the stages of the pipeline.
const PIPELINE: &str = "crates/storage/src/lib.rs";
const FORMAT_PAGES: &str = "docs/formats/";

pub(crate) fn check(checkout: &Checkout) -> Vec<Finding> {
    let mut findings = stages(checkout);
    findings.extend(format_pages(checkout));
    findings.extend(format_files(checkout));
    findings
}

/// Every public module of the pipeline is named on the map.
fn stages(checkout: &Checkout) -> Vec<Finding> {
    let map = checkout.pages.iter().find(|page| page.path == MAP);
    let pipeline = checkout
        .sources
        .iter()
        .find(|source| source.path == PIPELINE);
    let (Some(map), Some(pipeline)) = (map, pipeline) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for (index, line) in pipeline.code.iter().enumerate() {
        let declared = line.trim().strip_prefix("pub mod ");
        let Some(stage) = declared.and_then(|rest| rest.strip_suffix(';')) else {
            continue;
        };
        if !contains_word(&map.text, stage) {
            let what = format!("stage `{stage}` is not on the map; name it in {MAP}");
            findings.push(Finding::new(PIPELINE, index + 1, what));
        }
    }
    findings
}

/// Every format page names a source file with the bytes it describes.
fn format_pages(checkout: &Checkout) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in pages(checkout) {
        if !checkout.sources.iter().any(|source| names(page, source)) {
            let what = "names no source file that exists; say where the code of these bytes is";
            findings.push(Finding::new(&page.path, 1, what));
        }
    }
    findings
}

/// Every versioned format file is named by a format page.
fn format_files(checkout: &Checkout) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in checkout.sources.iter().filter(|source| is_version(source)) {
        if !pages(checkout).any(|page| names(page, source)) {
            let what =
                format!("no page below {FORMAT_PAGES} names this format; describe its bytes there");
            findings.push(Finding::new(&source.path, 1, what));
        }
    }
    findings
}

fn pages(checkout: &Checkout) -> impl Iterator<Item = &Page> {
    let is_page = |page: &&Page| {
        page.path
            .strip_prefix(FORMAT_PAGES)
            .is_some_and(|name| name != "README.md")
    };
    checkout.pages.iter().filter(is_page)
}

fn names(page: &Page, source: &Source) -> bool {
    let short = source.path.strip_prefix("crates/").unwrap_or(&source.path);
    page.text.contains(short)
}

/// `…/format/v1.rs`.
fn is_version(source: &Source) -> bool {
    let Some((_, file)) = source.path.split_once("/format/v") else {
        return false;
    };
    file.strip_suffix(".rs")
        .is_some_and(|version| version.bytes().all(|each| each.is_ascii_digit()))
}
