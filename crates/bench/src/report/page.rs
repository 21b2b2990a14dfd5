//! The page about a series of measurements: what was reached, in tables and plots, and how to do it again.

use crate::Error;
use crate::record::Record;
use crate::report::budget;
use crate::report::plot::{self, Captions, Curve};
use crate::report::table::{Table, number};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// The label of the server that the page is about.
pub(crate) const OURS: &str = "gnomon";
/// Engines within a process, over our files.
const DUCKDB: &str = "duckdb";

const ABOUT_FILE: &str = "about.json";

const MIB: f64 = 1_048_576.0;

/// Everything that stands on the page.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) facts: Vec<(String, String)>,
    /// Label, version and command line of each server.
    pub(crate) engines: Vec<(String, String, String)>,
    pub(crate) scale: String,
    /// Arguments of the program that made it all; more than one if a part was made again.
    pub(crate) command: Vec<String>,
    /// What was run against the servers.
    pub(crate) commands: Vec<String>,
    pub(crate) failures: Vec<String>,
    #[serde(skip)]
    pub(crate) records: Vec<Record>,
}

impl Page {
    /// An earlier page, with its records.
    pub(crate) fn read(folder: &Path, records: Vec<Record>) -> Result<Self, Error> {
        let path = folder.join(ABOUT_FILE);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let page: Self = serde_json::from_str(&text)
            .map_err(|error| format!("{} is not of the known form: {error}", path.display()))?;
        Ok(Self { records, ..page })
    }

    /// Writes page, plots and what is needed to make them again.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> Result<(), Error> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(
            folder.join(ABOUT_FILE),
            serde_json::to_string_pretty(self)? + "\n",
        )?;
        let text = self.text(folder)?;
        std::fs::write(folder.join(name), text)?;
        Ok(())
    }

    /// Forgets what a command found of the first engines, so that it can be measured again.
    pub(crate) fn forget(&mut self, command: &str, engines: usize) {
        let labels: Vec<String> = self
            .engines
            .iter()
            .take(engines)
            .map(|(label, ..)| label.clone())
            .collect();
        self.records
            .retain(|record| record.command != command || !labels.contains(&record.label));
        self.failures.retain(|failure| {
            !labels
                .iter()
                .any(|label| failure.starts_with(&format!("{label}: {command} ")))
        });
        self.commands
            .retain(|told| !told.starts_with(&format!("influxdb3-bench {command} ")));
    }

    /// Questions that were answered differently, by whom.
    pub(crate) fn differences(&self) -> Vec<String> {
        let mut of_questions: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
        for record in self.of_command("query") {
            if let (Some(question), Some(checksum)) =
                (record.texts.get("question"), record.texts.get("checksum"))
            {
                of_questions
                    .entry(question)
                    .or_default()
                    .entry(checksum)
                    .or_default()
                    .push(&record.label);
            }
        }
        of_questions
            .into_iter()
            .filter(|(_, answers)| answers.len() > 1)
            .map(|(question, answers)| {
                let sides: Vec<String> = answers
                    .into_values()
                    .map(|labels| labels.join(", "))
                    .collect();
                format!("{question}: other answers of {}", sides.join(" than of "))
            })
            .collect()
    }

    fn of_command<'a>(&'a self, command: &'a str) -> impl Iterator<Item = &'a Record> {
        self.records
            .iter()
            .filter(move |record| record.command == command)
    }

    /// The first record of that label, command and name.
    fn find(&self, label: &str, command: &str, name: &str) -> Option<&Record> {
        self.records.iter().find(|record| {
            record.label == label && record.command == command && record.name == name
        })
    }

    /// In the order of the records, each once.
    fn labels<'a>(&'a self, command: &'a str) -> Vec<&'a str> {
        unique(self.of_command(command).map(|record| record.label.as_str()))
    }

    fn names<'a>(&'a self, command: &'a str) -> Vec<&'a str> {
        unique(self.of_command(command).map(|record| record.name.as_str()))
    }

    fn text(&self, folder: &Path) -> Result<String, Error> {
        let mut out = String::new();
        writeln!(
            out,
            "# Performance\n\nMade by one command, `influxdb3-bench {}`; it starts every server itself, in a folder and on a port of its own, one \
             after the other. Nothing here was written by hand. How the program works: [crates/bench](../../crates/bench/README.md). Where the time goes, and what was \
             done about it: [ingest](ingest.md), [queries](queries.md); small parts: [microbenchmarks](microbenchmarks.md).\n",
            self.command.first().map_or("report", String::as_str)
        )?;
        for again in self.command.iter().skip(1) {
            writeln!(
                out,
                "A part was measured again later: `influxdb3-bench {again}`.\n"
            )?;
        }
        let mut machine = Table::new(["machine", ""]);
        for (name, fact) in &self.facts {
            machine.row([name, fact]);
        }
        writeln!(out, "{machine}")?;
        writeln!(
            out,
            "Generator and server share the machine, so rows per second say how the two share its cores; CPU time per row is the server's \
             alone. Figures of machines, or of series, are not compared with each other.\n"
        )?;
        let mut engines = Table::new(["server", "version", "started as"]);
        for (label, version, command) in &self.engines {
            engines.row([label.as_str(), version, &format!("`{command}`")]);
        }
        writeln!(out, "{engines}")?;
        if !self.failures.is_empty() {
            writeln!(out, "## What failed\n")?;
            for failure in &self.failures {
                writeln!(out, "- {failure}")?;
            }
            writeln!(out)?;
        }
        writeln!(
            out,
            "## Budget\n\nWhat [architecture](../architecture.md) asks for, and what was reached.\n\n{}",
            budget::table(&self.records, OURS)
        )?;
        self.losses(&mut out)?;
        self.loads(folder, &mut out)?;
        self.small_writes(folder, &mut out)?;
        self.queries(folder, &mut out)?;
        self.aligned(&mut out)?;
        self.mixed(&mut out)?;
        self.churn(folder, &mut out)?;
        self.restarts(&mut out)?;
        writeln!(
            out,
            "## Commands\n\nEach ran against each server that knows it, with `{{target}}` for `--host`, `--database`, `--server` and `--server-pid`. \
             TSBS calls a value a metric.\n\n```sh"
        )?;
        for command in &self.commands {
            writeln!(out, "{command}")?;
        }
        writeln!(out, "```")?;
        Ok(out)
    }

    /// Each figure in which another did better than ours, so that nobody has to search for them.
    fn losses(&self, out: &mut String) -> Result<(), Error> {
        // Less is better in all of them. Restarts are not of equally many rows.
        const FIGURES: [(&str, &str, &str); 7] = [
            ("query", "p50_ms", "ms, half of all"),
            ("tiny", "p50_ms", "ms, half of all"),
            ("tiny", "cpu_us_per_row", "CPU µs/line"),
            ("load", "cpu_us_per_row", "CPU µs/row"),
            ("load", "bytes_per_value", "bytes/value"),
            ("load", "peak_bytes", "bytes of memory"),
            ("idle", "resident_bytes", "bytes of memory"),
        ];
        // The language is a part of a query's name.
        let what = |record: &Record| {
            let question = record.texts.get("question");
            question.unwrap_or(&record.name).clone()
        };
        let mut table = Table::new(["", "figure", OURS, "other", "", "ours to theirs"]);
        let (mut wins, mut losses) = (0, 0);
        for (command, figure, unit) in FIGURES {
            for other in self.of_command(command).filter(|it| it.label != OURS) {
                // Ours is SQL over HTTP, in which most people ask.
                let ours = self.of_command(command).find(|it| {
                    it.label == OURS
                        && what(it) == what(other)
                        && it.texts.get("language").is_none_or(|it| it == "sql")
                });
                let pair = ours
                    .and_then(|ours| ours.figures.get(figure))
                    .zip(other.figures.get(figure));
                let Some((ours, theirs)) = pair else {
                    continue;
                };
                if theirs >= ours {
                    wins += 1;
                    continue;
                }
                losses += 1;
                table.row([
                    format!("{command} {}", what(other)),
                    unit.to_owned(),
                    number(Some(*ours)),
                    number(Some(*theirs)),
                    other.label.clone(),
                    number(Some(ours / theirs)),
                ]);
            }
        }
        if wins + losses > 0 {
            writeln!(
                out,
                "## Wins and losses\n\nOf {} figures that ours and another have in common, ours is as good or better in {wins}. In these it is not:\n\n{table}",
                wins + losses
            )?;
        }
        Ok(())
    }

    fn loads(&self, folder: &Path, out: &mut String) -> Result<(), Error> {
        let mut table = Table::new([
            "rows of",
            "server",
            "rows/s",
            "MB/s",
            "CPU µs/row",
            "with all that follows",
            "peak MiB",
            "bytes/value",
            "p50 ms",
            "p99 ms",
            "visible after ms",
            "at rest after s",
        ]);
        for name in self.names("load") {
            for label in self.labels("load") {
                let Some(record) = self.find(label, "load", name) else {
                    continue;
                };
                let figure = |name: &str| record.figures.get(name).copied();
                let rows = figure("rows").unwrap_or(f64::NAN);
                let cpu = figure("cpu_us_per_row");
                let settling = figure("settling_cpu_s").map(|seconds| seconds * 1e6 / rows);
                table.row([
                    name.to_owned(),
                    label.to_owned(),
                    number(figure("rows_per_s")),
                    number(figure("bytes_per_s").map(|bytes| bytes / 1e6)),
                    number(cpu),
                    number(cpu.zip(settling).map(|(cpu, settling)| cpu + settling)),
                    number(figure("peak_bytes").map(|bytes| bytes / MIB)),
                    number(figure("bytes_per_value")),
                    number(figure("p50_ms")),
                    number(figure("p99_ms")),
                    number(figure("visible_after_ms")),
                    number(figure("settled_after_s")),
                ]);
            }
        }
        if table.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "## Loading\n\nRequests of 10 000 lines, each acknowledged before the connection sends the next. *With all that follows* is CPU time per row until \
             the server is at rest: files written, merged and compacted. *Bytes/value* is the whole data folder then.\n\n{table}"
        )?;
        self.percentiles(
            folder,
            "load",
            "cpu-only",
            "Requests of 10 000 lines",
            "load.svg",
            out,
        )
    }

    /// A plot of the latencies of one measurement, a curve for each server.
    fn percentiles(
        &self,
        folder: &Path,
        command: &str,
        name: &str,
        title: &str,
        file: &str,
        out: &mut String,
    ) -> Result<(), Error> {
        let curves: Vec<Curve> = self
            .labels(command)
            .into_iter()
            .filter_map(|label| {
                let points = self
                    .find(label, command, name)?
                    .series
                    .get("percentiles_ms")?;
                Some(Curve {
                    name: label.to_owned(),
                    points: points.clone(),
                })
            })
            .collect();
        if curves.is_empty() {
            return Ok(());
        }
        let captions = Captions {
            title,
            x: "percent of all are at most so slow",
            y: "ms",
        };
        plot::lines_over_decades(&folder.join(file), captions, &curves)?;
        writeln!(out, "![{title}]({file})\n")?;
        Ok(())
    }

    fn small_writes(&self, folder: &Path, out: &mut String) -> Result<(), Error> {
        let mut table = Table::new([
            "lines of",
            "server",
            "lines/s",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "max ms",
            "CPU µs/line",
        ]);
        for name in self.names("tiny") {
            for label in self.labels("tiny") {
                let Some(record) = self.find(label, "tiny", name) else {
                    continue;
                };
                let figure = |name: &str| number(record.figures.get(name).copied());
                table.row([
                    name.to_owned(),
                    label.to_owned(),
                    figure("rows_per_s"),
                    figure("p50_ms"),
                    figure("p99_ms"),
                    figure("p999_ms"),
                    figure("max_ms"),
                    figure("cpu_us_per_row"),
                ]);
            }
        }
        if table.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "## One line at a time\n\nEach line is a request; ours answers when it is on the disk and in the next answer. A server that answers before \
             the line is on the disk is quicker, and loses what it has acknowledged.\n\n{table}"
        )?;
        self.percentiles(
            folder,
            "tiny",
            "1 writer",
            "One writer of single lines",
            "tiny.svg",
            out,
        )
    }

    fn queries(&self, folder: &Path, out: &mut String) -> Result<(), Error> {
        let questions: Vec<&str> = unique(
            self.of_command("query")
                .filter(|record| record.label == OURS)
                .filter_map(|record| record.texts.get("question").map(String::as_str))
                .filter(|question| !question.ends_with(" aligned")),
        );
        if questions.is_empty() {
            return Ok(());
        }
        let find = |label: &str, question: &str, language: Option<&str>| {
            self.of_command("query").find(|record| {
                record.label == label
                    && record
                        .texts
                        .get("question")
                        .is_some_and(|it| it == question)
                    && language.is_none_or(|language| {
                        record
                            .texts
                            .get("language")
                            .is_some_and(|it| it == language)
                    })
            })
        };
        let p50 = |record: Option<&Record>| {
            record.and_then(|record| record.figures.get("p50_ms").copied())
        };
        let others: Vec<&str> = self
            .labels("query")
            .into_iter()
            .filter(|label| *label != OURS)
            .filter(|label| {
                questions
                    .iter()
                    .any(|question| find(label, question, None).is_some())
            })
            .collect();
        let mut heads = vec![
            "question".to_owned(),
            "rows".to_owned(),
            format!("{OURS} p50"),
            "p99".to_owned(),
            "first".to_owned(),
            "CPU ms".to_owned(),
            "Flight SQL".to_owned(),
        ];
        heads.extend(others.iter().map(|label| (*label).to_owned()));
        heads.push(format!("to {DUCKDB}"));
        let mut table = Table::new(heads);
        let mut curves: Vec<Curve> = std::iter::once(OURS)
            .chain(others.iter().copied())
            .map(|label| Curve {
                name: label.to_owned(),
                points: Vec::new(),
            })
            .collect();
        for (position, question) in questions.iter().enumerate() {
            let ours = find(OURS, question, Some("sql"));
            let figure =
                |name: &str| number(ours.and_then(|record| record.figures.get(name).copied()));
            let mut cells = vec![
                (*question).to_owned(),
                figure("rows"),
                figure("p50_ms"),
                figure("p99_ms"),
                figure("first_ms"),
                figure("cpu_ms"),
                number(p50(find(OURS, question, Some("flight")))),
            ];
            for (label, curve) in others.iter().zip(&mut curves[1..]) {
                let theirs = p50(find(label, question, None));
                cells.push(number(theirs));
                curve.points.extend(theirs.map(|ms| [position as f64, ms]));
            }
            curves[0]
                .points
                .extend(p50(ours).map(|ms| [position as f64, ms]));
            let ratio = p50(ours)
                .zip(p50(find(DUCKDB, question, None)))
                .map(|(ours, theirs)| ours / theirs);
            cells.push(number(ratio));
            table.row(cells);
        }
        writeln!(
            out,
            "## Questions\n\nMilliseconds from the request to the last byte, half of all questions; one asker, each question with other hosts and times. \
             Ours is SQL over HTTP, answered in JSON, and over Flight SQL. Engines within a process (`{DUCKDB}`, `chdb`) read our own \
             compacted Parquet files and keep their answers as Arrow in memory: they have no request to take and no answer to write. *To {DUCKDB}* is \
             ours divided by theirs. *First* is the first question of its type.\n\n{table}"
        )?;
        let equal = match self.differences().is_empty() {
            true => {
                "All who were asked the same question gave the same answer, by checksum over all of its rows."
            }
            false => "Not all gave the same answers: see what failed, above.",
        };
        writeln!(out, "{equal}\n")?;
        let captions = Captions {
            title: "Questions, half of all",
            x: "",
            y: "ms",
        };
        let names: Vec<String> = questions.iter().map(|name| (*name).to_owned()).collect();
        plot::bars(&folder.join("queries.svg"), captions, &names, &curves)?;
        writeln!(out, "![Questions](queries.svg)\n")?;
        Ok(())
    }

    fn aligned(&self, out: &mut String) -> Result<(), Error> {
        let aligned: Vec<&Record> = self
            .of_command("query")
            .filter(|record| {
                record
                    .texts
                    .get("question")
                    .is_some_and(|question| question.ends_with(" aligned"))
            })
            .collect();
        let labels = unique(aligned.iter().map(|record| record.label.as_str()));
        if labels.is_empty() {
            return Ok(());
        }
        let mut heads = vec!["question".to_owned()];
        heads.extend(labels.iter().map(|label| (*label).to_owned()));
        heads.extend(labels.iter().map(|label| format!("{label} p99")));
        let mut table = Table::new(heads);
        let questions = unique(
            aligned
                .iter()
                .filter_map(|record| record.texts.get("question").map(String::as_str)),
        );
        for question in questions {
            let mut cells = vec![question.trim_end_matches(" aligned").to_owned()];
            for figure in ["p50_ms", "p99_ms"] {
                cells.extend(labels.iter().map(|label| {
                    let record = aligned.iter().find(|record| {
                        record.label == *label && record.texts["question"] == question
                    });
                    number(record.and_then(|record| record.figures.get(figure).copied()))
                }));
            }
            table.row(cells);
        }
        writeln!(
            out,
            "### In windows of whole hours\n\nMetricsQL counts its buckets from the end, so the same question is one that begins and ends with an hour.\n\n{table}"
        )?;
        Ok(())
    }

    fn mixed(&self, out: &mut String) -> Result<(), Error> {
        for record in self.of_command("mixed") {
            let figure = |name: &str| number(record.figures.get(name).copied());
            let mut table = Table::new(["", "p50 ms", "p90 ms", "p99 ms", "max ms"]);
            let kinds = record
                .texts
                .get("kinds")
                .map(String::as_str)
                .unwrap_or_default();
            let row = |prefix: &str| {
                ["p50_ms", "p90_ms", "p99_ms", "max_ms"]
                    .map(|name| figure(&format!("{prefix}{name}")))
            };
            for (name, prefix) in std::iter::once(("request of 10 000 lines", String::new())).chain(
                kinds
                    .split(',')
                    .filter(|kind| !kind.is_empty())
                    .map(|kind| (kind, format!("{kind} "))),
            ) {
                let mut cells = vec![name.to_owned()];
                cells.extend(row(&prefix));
                table.row(cells);
            }
            writeln!(
                out,
                "## Writing and asking at once ({})\n\n{} rows/s written for {} s, {} questions/s answered meanwhile. Latencies of writes count from when \
                 each was due. Every acknowledged row was counted afterwards.\n\n{table}",
                record.label,
                figure("rows_per_s"),
                figure("elapsed_s"),
                figure("queries_per_s"),
            )?;
        }
        Ok(())
    }

    fn churn(&self, folder: &Path, out: &mut String) -> Result<(), Error> {
        let mut table = Table::new([
            "",
            "server",
            "rows",
            "rows/s",
            "first quarter",
            "last quarter",
            "CPU µs/row",
            "peak MiB",
            "p99 ms",
        ]);
        for record in self
            .records
            .iter()
            .filter(|record| matches!(record.command.as_str(), "late" | "churn"))
        {
            let figure = |name: &str| record.figures.get(name).copied();
            table.row([
                record.name.clone(),
                record.label.clone(),
                number(figure("rows")),
                number(figure("rows_per_s")),
                number(figure("first_quarter_rows_per_s")),
                number(figure("last_quarter_rows_per_s")),
                number(figure("cpu_us_per_row")),
                number(figure("peak_bytes").map(|bytes| bytes / MIB)),
                number(figure("p99_ms")),
            ]);
        }
        if table.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "## Late rows, and series that come and go\n\n*Churn*: hosts with one to a hundred fields that live for a while; a server that slows down with the number of \
             series shows it in its last quarter.\n\n{table}"
        )?;
        if let Some(record) = self.of_command("churn").next() {
            let curve = |name: &str, series: &str| {
                record.series.get(series).map(|points| Curve {
                    name: name.to_owned(),
                    points: points.clone(),
                })
            };
            for (title, y, series, file) in [
                (
                    "Churn: rows in each second",
                    "rows",
                    "rows_each_second",
                    "churn.svg",
                ),
                (
                    "Churn: memory",
                    "MiB resident",
                    "resident_mib",
                    "churn-memory.svg",
                ),
            ] {
                let captions = Captions {
                    title,
                    x: "seconds",
                    y,
                };
                if let Some(curve) = curve(&record.label, series) {
                    plot::lines(&folder.join(file), captions, &[curve])?;
                    writeln!(out, "![{title}]({file})\n")?;
                }
            }
        }
        Ok(())
    }

    fn restarts(&self, out: &mut String) -> Result<(), Error> {
        let mut table = Table::new([
            "server",
            "rows",
            "MB in the folder",
            "answers after ms",
            "last row after ms",
            "rows lost",
            "peak MiB",
        ]);
        for record in self.of_command("restart") {
            let figure = |name: &str| record.figures.get(name).copied();
            table.row([
                record.label.clone(),
                number(figure("rows")),
                number(figure("killed_bytes").map(|bytes| bytes / 1e6)),
                number(figure("ready_after_ms")),
                number(figure("complete_after_ms")),
                number(figure("missing_rows")),
                number(figure("peak_after_bytes").map(|bytes| bytes / MIB)),
            ]);
        }
        if !table.is_empty() {
            writeln!(
                out,
                "## Killed and started again\n\nThe process is killed (SIGKILL) right after the last acknowledgement, and started on the same folder; rows are counted until none is missing, or none has come for half a minute.\n\n{table}"
            )?;
        }
        Ok(())
    }
}

/// Each once, in the order of the first.
fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| seen.insert(*name)).collect()
}

#[cfg(test)]
mod tests {
    use super::{OURS, Page};
    use crate::record::Record;

    fn query(label: &str, question: &str, language: &str, p50_ms: f64, checksum: &str) -> Record {
        Record {
            label: label.to_owned(),
            command: "query".to_owned(),
            name: question.to_owned(),
            figures: [("p50_ms".to_owned(), p50_ms)].into(),
            texts: [
                ("question", question),
                ("language", language),
                ("checksum", checksum),
            ]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into(),
            series: Default::default(),
        }
    }

    #[test]
    fn a_page_shows_ratios_and_names_differences_and_is_made_again_the_same() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let records = vec![
            query(OURS, "lastpoint", "sql", 3.0, "aa"),
            query(OURS, "lastpoint", "flight", 2.0, "aa"),
            query("duckdb", "lastpoint", "sql", 6.0, "aa"),
            query(OURS, "cpu-max-all-1", "sql", 1.0, "bb"),
            query("duckdb", "cpu-max-all-1", "sql", 4.0, "cc"),
            query(OURS, "double-groupby-1 aligned", "sql", 1.0, "dd"),
            query(
                "victoriametrics",
                "double-groupby-1 aligned",
                "metricsql",
                7.0,
                "dd",
            ),
        ];
        let page = Page {
            records: records.clone(),
            commands: vec!["influxdb3-bench idle".to_owned()],
            ..Page::default()
        };
        assert_eq!(
            page.differences(),
            ["cpu-max-all-1: other answers of gnomon than of duckdb"]
        );
        page.write(folder.path(), "report.md")
            .expect("it can be written");
        let text = std::fs::read_to_string(folder.path().join("report.md")).expect("a page");
        for expected in [
            "| lastpoint | – | 3.00 | – | – | – | 2.00 | 6.00 | 0.500 |",
            "| double-groupby-1 | 1.00 | 7.00 | – | – |",
            "influxdb3-bench idle",
            "Of 3 figures that ours and another have in common, ours is as good or better in 3.",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert!(folder.path().join("queries.svg").exists());

        let again = Page::read(folder.path(), records).expect("it can be read");
        again
            .write(folder.path(), "again.md")
            .expect("it can be written");
        let again = std::fs::read_to_string(folder.path().join("again.md")).expect("a page");
        assert_eq!(again, text);
    }
}
