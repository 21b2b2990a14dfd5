//! `cargo xtask perf`: runs the microbenchmarks and compares them with the figures that were recorded.
//!
//! ```text
//! cargo bench ─> measured (what criterion left) ─> table (beside record's figures) ─> terminal
//!                                                └> record ─> docs/performance/microbenchmarks.{json,md}
//! ```
//! Time is printed and judged by whoever reads it: only a benchmark that fails or is not there is a failure. Not here: the benchmarks
//! (`benches/hot_paths.rs` of their crates), and servers as a whole (`bench`).

mod measured;
mod record;
mod table;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use measured::measured;
use record::{Figures, Record};

/// The crates with benchmarks, by which the names of the benchmarks begin.
const CRATES: [&str; 4] = ["line_protocol", "query", "server", "storage"];

/// The programs. Nothing of them is built, but dependencies get the features that they have in them: what is measured is what runs,
/// and a release that was built before need not be built again.
const PROGRAMS: [&str; 2] = ["bench", "cli"];

/// Some three seconds for each benchmark.
const SETTINGS: [&str; 10] = [
    "--noplot",
    "--quiet",
    "--warm-up-time",
    "0.5",
    "--measurement-time",
    "2.5",
    "--sample-size",
    "20",
    "--nresamples",
    "2000",
];

/// Tells glibc's allocator to keep what is freed, as the server's own does: fresh pages would cost more than the work they are for.
const MEMORY: [(&str, &str); 2] = [
    ("MALLOC_MMAP_MAX_", "0"),
    ("MALLOC_TRIM_THRESHOLD_", "8589934592"),
];

const RECORD: &str = "docs/performance/microbenchmarks.json";
const PAGE: &str = "docs/performance/microbenchmarks.md";

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Part of the names of the benchmarks that are run.
    filter: Option<String>,
    record: bool,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        for word in words {
            match *word {
                "--record" => options.record = true,
                option if option.starts_with('-') => {
                    bail!("perf has no option {option}, only --record")
                }
                filter => {
                    let earlier = options.filter.replace(filter.to_string());
                    if let Some(earlier) = earlier {
                        bail!("perf takes one FILTER, not both {earlier} and {filter}");
                    }
                    // Criterion would read other characters as a pattern.
                    let is_plain =
                        |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'/');
                    ensure!(
                        filter.bytes().all(is_plain),
                        "no benchmark has {filter} in its name: names have lower case, digits, _ and /"
                    );
                }
            }
        }
        if let (true, Some(filter)) = (options.record, &options.filter) {
            bail!("--record takes the figures of one run of all benchmarks: leave {filter} out");
        }
        Ok(options)
    }

    fn takes(&self, name: &str) -> bool {
        let filter = self.filter.as_ref();
        filter.is_none_or(|filter| name.contains(filter.as_str()))
    }

    /// The crates that need be built: one when the filter begins with it and a slash, else all.
    fn crates(&self) -> Vec<&'static str> {
        let named = self.filter.as_deref().and_then(|it| it.split_once('/'));
        let one = named.and_then(|(first, _)| CRATES.into_iter().find(|it| *it == first));
        one.map_or_else(|| CRATES.to_vec(), |one| vec![one])
    }
}

/// Runs the benchmarks of the checkout at `root`; false when some are missing.
pub(crate) fn run(root: &Path, options: &Options) -> Result<bool> {
    let results = crate::target_folder(root).join("perf");
    // Benchmarks that are no more left theirs, too.
    if results.exists() {
        std::fs::remove_dir_all(&results)
            .with_context(|| format!("cannot empty {}", results.display()))?;
    }
    bench(root, options, &results)?;
    let figures = measured(&results)?;
    if let (true, Some(filter)) = (figures.is_empty(), &options.filter) {
        bail!("no benchmark has {filter} in its name");
    }
    let recorded = Record::read(&root.join(RECORD))?;
    let now = Record {
        date: date()?,
        machine: machine(),
        build: build(|name| std::env::var(name).ok()),
        figures,
    };
    println!(
        "{}",
        table::compare(&now, recorded.as_ref(), |name| options.takes(name))
    );
    let mut missing = silent_crates(&now.figures, options);
    if options.record && missing.is_empty() {
        write(root, &now)?;
    } else if let Some(recorded) = &recorded {
        let names = recorded.figures.keys().filter(|name| options.takes(name));
        let names = names.filter(|name| !now.figures.contains_key(*name));
        missing.extend(
            names.map(|name| format!("{name} is recorded in {RECORD} and was not measured")),
        );
    }
    for what in &missing {
        eprintln!("xtask: {what}");
    }
    Ok(missing.is_empty())
}

/// Builds and runs the benchmarks; criterion leaves what it finds in `results`.
fn bench(root: &Path, options: &Options, results: &Path) -> Result<()> {
    let mut command = crate::cargo(root);
    command.args(["bench", "--locked", "--bench", "hot_paths"]);
    for name in options.crates().into_iter().chain(PROGRAMS) {
        command.args(["--package", name]);
    }
    command.arg("--").args(SETTINGS).args(&options.filter);
    command.env("CRITERION_HOME", results).envs(MEMORY);
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "cargo bench failed: {status}");
    Ok(())
}

/// Which crates measured nothing, when all should have.
fn silent_crates(figures: &Figures, options: &Options) -> Vec<String> {
    if options.filter.is_some() {
        return Vec::new();
    }
    let is_silent = |name: &&str| {
        let of_crate = |figure: &String| figure.split('/').next() == Some(name);
        !figures.keys().any(of_crate)
    };
    let silent = CRATES.iter().copied().filter(|name| is_silent(name));
    silent
        .map(|name| format!("crates/{name}/benches/hot_paths.rs measured nothing named {name}/…"))
        .collect()
}

fn write(root: &Path, now: &Record) -> Result<()> {
    let page_path = root.join(PAGE);
    let page =
        std::fs::read_to_string(&page_path).with_context(|| format!("cannot read {PAGE}"))?;
    let page = table::in_page(&page, now).with_context(|| format!("{PAGE} cannot be rewritten"))?;
    std::fs::write(root.join(RECORD), now.to_json())
        .with_context(|| format!("cannot write {RECORD}"))?;
    std::fs::write(&page_path, page).with_context(|| format!("cannot write {PAGE}"))?;
    println!("recorded in {RECORD}");
    Ok(())
}

/// Today in UTC: `2026-01-31`.
fn date() -> Result<String> {
    let output = Command::new("date").args(["-u", "+%F"]).output();
    let output = output.context("cannot run date")?;
    ensure!(output.status.success(), "date failed: {}", output.status);
    let text = String::from_utf8(output.stdout).context("date told no text")?;
    Ok(text.trim().to_string())
}

/// The processor's name and how many there are, as far as the system tells.
fn machine() -> String {
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = processor(&told).unwrap_or("unknown processor");
    match std::thread::available_parallelism() {
        Ok(count) => format!("{name}, {count} cores"),
        Err(_) => name.to_string(),
    }
}

fn processor(told: &str) -> Option<&str> {
    let mut pairs = told.lines().filter_map(|line| line.split_once(':'));
    let (_, name) = pairs.find(|(key, _)| key.trim() == "model name")?;
    Some(name.trim())
}

/// How the benchmarks were built: variables may say otherwise than the manifest. The profile's own win over those of `release`.
fn build(variable: impl Fn(&str) -> Option<String>) -> String {
    let of_profile = |profile: &str| variable(&format!("CARGO_PROFILE_{profile}_LTO"));
    match of_profile("BENCH").or_else(|| of_profile("RELEASE")) {
        Some(lto) => format!("release with lto = {lto}"),
        None => "release".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> std::result::Result<(Option<String>, bool), String> {
        match Options::parse(words) {
            Ok(options) => Ok((options.filter, options.record)),
            Err(fault) => Err(fault.to_string()),
        }
    }

    #[test]
    fn words_become_options_or_are_named() {
        assert_eq!(parsed(&[]), Ok((None, false)));
        assert_eq!(parsed(&["--record"]), Ok((None, true)));
        assert_eq!(
            parsed(&["storage/wal"]),
            Ok((Some("storage/wal".to_string()), false))
        );
        for (words, named) in [
            (&["--fast"][..], "--fast"),
            (&["wal", "sort"], "wal and sort"),
            (&["wal.*"], "wal.*"),
            (&["wal", "--record"], "leave wal out"),
        ] {
            let told = parsed(words).expect_err("is refused");
            assert!(told.contains(named), "{told}");
        }
    }

    #[test]
    fn only_what_the_filter_can_mean_is_built() {
        let crates = |filter: &str| Options::parse(&[filter]).expect("a filter").crates();
        assert_eq!(crates("storage/wal"), ["storage"]);
        assert_eq!(crates("wal"), CRATES);
        assert_eq!(crates("protocol/parse"), CRATES);
        assert_eq!(Options::default().crates(), CRATES);
    }

    #[test]
    fn a_crate_without_figures_is_missed_only_when_all_are_asked_for() {
        let figures = Figures::from([("query/a".to_string(), record::Figure::NsPerRow(1.0))]);
        let silent = silent_crates(&figures, &Options::default());
        assert_eq!(silent.len(), CRATES.len() - 1);
        assert!(
            silent.iter().all(|what| !what.contains("query")),
            "{silent:?}"
        );
        let filtered = Options::parse(&["query/"]).expect("a filter");
        assert_eq!(silent_crates(&figures, &filtered), [""; 0]);
    }

    #[test]
    fn the_build_is_what_variables_make_of_it() {
        assert_eq!(build(|_| None), "release");
        let release = |name: &str| (name == "CARGO_PROFILE_RELEASE_LTO").then(|| "off".to_string());
        assert_eq!(build(release), "release with lto = off");
        assert_eq!(
            build(|name| Some(name.len().to_string())),
            "release with lto = 23"
        );
    }

    #[test]
    fn the_processor_is_the_first_that_has_a_name() {
        let told = "processor\t: 0\nmodel name\t: Some CPU: 3 GHz\nmodel name\t: Other\n";
        assert_eq!(processor(told), Some("Some CPU: 3 GHz"));
        assert_eq!(processor("CPU part : 0xd0c\n"), None);
    }

    #[test]
    fn the_page_shows_what_is_recorded() {
        let root = crate::root();
        let record = Record::read(&root.join(RECORD)).expect("a record that can be read");
        let record = record.expect("figures were recorded");
        let page = std::fs::read_to_string(root.join(PAGE)).expect("the page");
        let again = table::in_page(&page, &record).expect("a page with its marks");
        assert_eq!(
            again, page,
            "run `cargo xtask perf --record`, do not write figures by hand"
        );
        assert_eq!(
            std::fs::read_to_string(root.join(RECORD)).expect("the record"),
            record.to_json()
        );
    }
}
