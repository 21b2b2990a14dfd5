//! The budget of the architecture, line by line, and which figure of which record answers each.

use crate::record::Record;
use crate::report::table::{Table, number};

/// A line of the budget.
struct Line {
    what: &'static str,
    /// In words.
    budget: &'static str,
    command: &'static str,
    /// Of the record; the first whose name begins with it.
    name: &'static str,
    figure: &'static str,
    /// From the figure's unit to that of the budget.
    scale: f64,
    unit: &'static str,
    /// The least that is asked, and what is dreamt of.
    bar: f64,
    dream: Option<f64>,
}

const MIB: f64 = 1.0 / 1_048_576.0;

const LINES: &[Line] = &[
    Line {
        what: "request to durable and visible, server CPU per row (nothing persisted meanwhile)",
        budget: "≤ 2 µs, then ≤ 1 µs",
        command: "restart",
        name: "cpu-only",
        figure: "cpu_us_per_row",
        scale: 1.0,
        unit: "µs",
        bar: 2.0,
        dream: Some(1.0),
    },
    Line {
        what: "the same with default settings, and all that happens meanwhile",
        budget: "≤ 2 µs, then ≤ 1 µs",
        command: "load",
        name: "cpu-only",
        figure: "cpu_us_per_row",
        scale: 1.0,
        unit: "µs",
        bar: 2.0,
        dream: Some(1.0),
    },
    Line {
        what: "one-line write, half of them",
        budget: "≤ 3 ms",
        command: "tiny",
        name: "1 writer",
        figure: "p50_ms",
        scale: 1.0,
        unit: "ms",
        bar: 3.0,
        dream: None,
    },
    Line {
        what: "one-line write, all but one in a hundred",
        budget: "≤ 15 ms",
        command: "tiny",
        name: "1 writer",
        figure: "p99_ms",
        scale: 1.0,
        unit: "ms",
        bar: 15.0,
        dream: None,
    },
    Line {
        what: "bytes per value after compaction (the whole data folder)",
        budget: "≤ 0.40",
        command: "load",
        name: "cpu-only",
        figure: "bytes_per_value",
        scale: 1.0,
        unit: "bytes",
        bar: 0.40,
        dream: None,
    },
    Line {
        what: "single-groupby-1-1-1, warm, half of them",
        budget: "≤ 4 ms, then ≤ 1 ms",
        command: "query",
        name: "single-groupby-1-1-1",
        figure: "p50_ms",
        scale: 1.0,
        unit: "ms",
        bar: 4.0,
        dream: Some(1.0),
    },
    Line {
        what: "lastpoint, warm, half of them",
        budget: "≤ 25 ms, then ≤ 5 ms",
        command: "query",
        name: "lastpoint",
        figure: "p50_ms",
        scale: 1.0,
        unit: "ms",
        bar: 25.0,
        dream: Some(5.0),
    },
    Line {
        what: "killed with its rows in the log, until every row is in the answers again",
        budget: "≤ 10 s for 1 GB of log",
        command: "restart",
        name: "cpu-only",
        figure: "complete_after_ms",
        scale: 1e-3,
        unit: "s",
        bar: 10.0,
        dream: None,
    },
    Line {
        what: "idle memory",
        budget: "≤ 60 MB, then ≤ 40 MB",
        command: "idle",
        name: "idle",
        figure: "resident_bytes",
        scale: 1e-6,
        unit: "MB",
        bar: 60.0,
        dream: Some(40.0),
    },
];

/// The budget and what was reached, of the records with this label.
pub(crate) fn table(records: &[Record], label: &str) -> Table {
    let mut table = Table::new(["stage", "budget", "reached", ""]);
    for line in LINES {
        let reached = records
            .iter()
            .find(|record| {
                record.label == label
                    && record.command == line.command
                    && record.name.starts_with(line.name)
            })
            .and_then(|record| record.figures.get(line.figure))
            .map(|value| value * line.scale);
        let verdict = match reached {
            None => "not measured",
            Some(value) if line.dream.is_some_and(|dream| value <= dream) => "as dreamt",
            Some(value) if value <= line.bar => "kept",
            Some(_) => "**missed**",
        };
        table.row([
            line.what.to_owned(),
            line.budget.to_owned(),
            format!("{} {}", number(reached), line.unit),
            verdict.to_owned(),
        ]);
    }
    let killed = records
        .iter()
        .find(|record| record.label == label && record.command == "restart");
    if let Some(killed) = killed {
        let mib = |name: &str| number(killed.figures.get(name).map(|bytes| bytes * MIB));
        table.row([
            "memory at most while it came back".to_owned(),
            "bounded".to_owned(),
            format!(
                "{} MiB, with {} MiB in the folder",
                mib("peak_after_bytes"),
                mib("killed_bytes")
            ),
            String::new(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::table;
    use crate::record::RecordOptions;

    #[test]
    fn each_line_says_what_was_reached() {
        let options = RecordOptions::default();
        let mut load = options.start("load", "cpu-only");
        load.figure("bytes_per_value", 0.31)
            .figure("cpu_us_per_row", 0.9);
        let mut query = options.start("query", "lastpoint");
        query.figure("p50_ms", 30.0);
        let text = table(&[load, query], "").to_string();
        for expected in [
            "| ≤ 0.40 | 0.310 bytes | kept |",
            "| ≤ 2 µs, then ≤ 1 µs | 0.900 µs | as dreamt |",
            "| ≤ 25 ms, then ≤ 5 ms | 30.0 ms | **missed** |",
            "| ≤ 60 MB, then ≤ 40 MB | – MB | not measured |",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }
}
