//! The measurements of a report, in order: which servers are started, and which commands are run against them.
//!
//! A pure plan. Commands are words as a user would type them, and stand in the report as they were run; `{host}`, `{pid}`, `{folder}` and `{engine}`
//! are filled in for the server at hand. Not here: running it (`commands::report`).

use crate::client::ServerKind;
use std::fmt;
use std::str::FromStr;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Minutes for each server: what is published.
    Standard,
    /// Seconds: shows that everything works; its figures mean nothing.
    Smoke,
}

impl FromStr for Scale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "standard" => Ok(Self::Standard),
            "smoke" => Ok(Self::Smoke),
            _ => Err(format!("there is no scale {text:?}: standard, smoke")),
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Standard => "standard",
            Self::Smoke => "smoke",
        })
    }
}

/// One thing to do; the server is that of the engine at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// From here on in a new, empty folder.
    NewFolder,
    Start,
    Stop,
    /// A command of this program.
    Command(String),
    /// Queries by engines within a process, over the Parquet files that this server left; of ours alone.
    InProcess,
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NewFolder => "a new folder",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Command(words) => words,
            Self::InProcess => "engines within a process",
        })
    }
}

/// The types of queries, the cheap ones first; each of the second list takes long enough to be asked less often.
const SELECTIVE: &str = "single-groupby-1-1-1,single-groupby-1-1-12,single-groupby-1-8-1,single-groupby-5-1-1,\
                         single-groupby-5-1-12,single-groupby-5-8-1,cpu-max-all-1,cpu-max-all-8,cpu-max-all-32-24,high-cpu-1,\
                         lastpoint,groupby-orderby-limit";
const SCANS: &str = "double-groupby-1,double-groupby-5,double-groupby-all,high-cpu-all";
/// Those that MetricsQL can ask.
const SELECTIVE_METRICSQL: &str = "single-groupby-1-1-1,single-groupby-1-1-12,single-groupby-1-8-1,single-groupby-5-1-1,\
                                   single-groupby-5-1-12,single-groupby-5-8-1,cpu-max-all-1,cpu-max-all-8,cpu-max-all-32-24";
const SCANS_METRICSQL: &str = "double-groupby-1,double-groupby-5,double-groupby-all";

impl Scale {
    /// The rows that queries are asked of.
    fn workload(self) -> &'static str {
        match self {
            Self::Standard => "--hosts 1000 --end 2016-01-02T00:00:00Z",
            Self::Smoke => "--hosts 20 --interval 1m --end 2016-01-02T00:00:00Z",
        }
    }

    /// How often the queries of each list are asked.
    fn query_counts(self) -> (usize, usize) {
        match self {
            Self::Standard => (50, 10),
            Self::Smoke => (2, 1),
        }
    }

    /// What engines within a process are asked: options of the workload, types, and how often.
    pub(crate) fn questions(self) -> [(String, &'static str, usize); 2] {
        let (selective, scans) = self.query_counts();
        [
            (self.workload().to_owned(), SELECTIVE, selective),
            (self.workload().to_owned(), SCANS, scans),
        ]
    }

    /// All steps for a server of this kind.
    pub(crate) fn steps(self, kind: ServerKind) -> Vec<Step> {
        let mut steps = Vec::new();
        self.small_writes(&mut steps);
        self.load_and_queries(kind, &mut steps);
        self.other_loads(kind, &mut steps);
        self.restart(kind, &mut steps);
        steps
    }

    fn small_writes(self, steps: &mut Vec<Step>) {
        let (idle, count, each) = match self {
            Self::Standard => ("20s", 2_000, 500),
            Self::Smoke => ("1s", 20, 2),
        };
        steps.extend([
            Step::NewFolder,
            Step::Start,
            command(format!("idle --server-pid {{pid}} --duration {idle}")),
            command(format!("tiny {{target}} --count {count}")),
            command(format!(
                "tiny {{target}} --count {each} --workers 32 --hosts 32 --seed 2"
            )),
            Step::Stop,
        ]);
    }

    fn load_and_queries(self, kind: ServerKind, steps: &mut Vec<Step>) {
        let workload = self.workload();
        // Longer than ours waits before it writes files, and before it merges what nothing more comes to.
        let (quiet, workers) = match self {
            Self::Standard => ("45s", 8),
            Self::Smoke => ("12s", 2),
        };
        steps.extend([
            Step::NewFolder,
            Step::Start,
            command(format!(
                "load {{target}} {workload} --workers {workers} --data-folder {{folder}} --quiet {quiet}"
            )),
            Step::Stop,
            Step::Start,
        ]);
        let (selective, scans) = self.query_counts();
        let warm_up = match self {
            Self::Standard => "",
            Self::Smoke => " --warm-up 0",
        };
        let mut ask = |types: &str, count: usize, more: &str| {
            steps.push(command(format!(
                "query {{target}} {workload} --tsbs {types} --count {count}{warm_up}{more}"
            )));
        };
        match kind {
            ServerKind::Influxdb3 => {
                ask(SELECTIVE, selective, "");
                ask(SCANS, scans, "");
                ask(SELECTIVE, selective, " --language flight");
                ask(SCANS, scans, " --language flight");
                ask(SELECTIVE_METRICSQL, selective, " --aligned");
                ask(SCANS_METRICSQL, scans, " --aligned");
            }
            ServerKind::Influxdb1 => {
                ask(SELECTIVE, selective, " --language influxql");
                ask(SCANS, scans, " --language influxql");
            }
            ServerKind::Victoriametrics => {
                ask(
                    SELECTIVE_METRICSQL,
                    selective,
                    " --language metricsql --aligned",
                );
                ask(SCANS_METRICSQL, scans, " --language metricsql --aligned");
            }
        }
        steps.push(Step::Stop);
        if kind == ServerKind::Influxdb3 {
            let (seconds, rate) = match self {
                Self::Standard => (60, "--rate 100000"),
                Self::Smoke => (2, "--rate 1000 --batch-lines 100"),
            };
            steps.extend([
                Step::InProcess,
                Step::Start,
                command(format!(
                    "mixed {{target}} {workload} --duration {seconds}s {rate} --workers 2 --query-workers 2"
                )),
                Step::Stop,
            ]);
        }
    }

    fn other_loads(self, kind: ServerKind, steps: &mut Vec<Step>) {
        // It is here for those who come from it; one load says enough, and takes it long enough.
        if kind == ServerKind::Influxdb1 {
            return;
        }
        let (devops, iot, quiet, questions) = match self {
            Self::Standard => (
                "--use-case devops --hosts 100 --end 2016-01-02T00:00:00Z",
                "--use-case iot --hosts 500 --end 2016-01-02T00:00:00Z",
                match kind {
                    ServerKind::Influxdb3 => "45s",
                    _ => "20s",
                },
                "--count 10",
            ),
            Self::Smoke => (
                "--use-case devops --hosts 3 --end 2016-01-01T00:10:00Z",
                "--use-case iot --hosts 10 --interval 1m --end 2016-01-02T00:00:00Z",
                "2s",
                "--count 1 --warm-up 0",
            ),
        };
        for workload in [devops, iot] {
            steps.extend([
                Step::NewFolder,
                Step::Start,
                command(format!(
                    "load {{target}} {workload} --workers 2 --data-folder {{folder}} --quiet {quiet}"
                )),
            ]);
            if workload == iot && kind == ServerKind::Influxdb3 {
                steps.push(command(format!(
                    "query {{target}} {workload} --tsbs all-iot {questions}"
                )));
            }
            steps.push(Step::Stop);
        }
        if kind != ServerKind::Influxdb3 {
            return;
        }
        let (cpu, late, churn) = match self {
            Self::Standard => (
                "--hosts 200 --end 2016-01-02T00:00:00Z",
                "",
                "--hosts 10000 --duration 60s",
            ),
            Self::Smoke => (
                "--hosts 5 --end 2016-01-01T01:00:00Z",
                " --late-by 10m --backfill-window 10m",
                "--hosts 100 --duration 2s",
            ),
        };
        for measured in [
            format!("late {{target}} {cpu} --workers 2 --order late{late}"),
            format!("late {{target}} {cpu} --workers 2 --order backfill{late}"),
            format!("churn {{target}} {churn} --batch-lines 1000 --workers 2"),
        ] {
            steps.extend([Step::NewFolder, Step::Start, command(measured), Step::Stop]);
        }
    }

    fn restart(self, kind: ServerKind, steps: &mut Vec<Step>) {
        let ours = kind == ServerKind::Influxdb3;
        // A gigabyte of log: only where nothing else is done with the rows does it become that long.
        let workload = match self {
            Self::Standard if ours => {
                "--hosts 1000 --end 2016-01-06T18:00:00Z --engine-argument=--wal-files-per-snapshot=1000000 \
                 --engine-argument=--force-snapshot-mem-size=9gb --engine-argument=--memory-limit=80%"
            }
            scale => scale.workload(),
        };
        steps.extend([
            Step::NewFolder,
            command(format!(
                "restart --engine {{engine}} {workload} --workers 8"
            )),
        ]);
    }
}

/// The steps that a command is part of, with all that goes before and after it in its folder; all if no command is named.
pub(crate) fn only(steps: Vec<Step>, command: Option<&str>) -> Vec<Step> {
    let Some(command) = command else {
        return steps;
    };
    let has_it = |step: &Step| matches!(step, Step::Command(words) if words.split(' ').next() == Some(command));
    steps
        .chunk_by(|_, next| *next != Step::NewFolder)
        .filter(|part| part.iter().any(has_it))
        .flatten()
        .cloned()
        .collect()
}

fn command(words: String) -> Step {
    Step::Command(words)
}

#[cfg(test)]
mod tests {
    use super::{Scale, Step, only};
    use crate::client::ServerKind;
    use clap::ValueEnum;

    #[test]
    fn every_step_has_the_server_that_it_needs() {
        for scale in [Scale::Standard, Scale::Smoke] {
            for &kind in ServerKind::value_variants() {
                let (mut folder, mut running) = (false, false);
                for step in scale.steps(kind) {
                    match step {
                        Step::NewFolder => {
                            assert!(!running, "{scale} {kind}");
                            folder = true;
                        }
                        Step::Start => {
                            assert!(folder && !running, "{scale} {kind}");
                            running = true;
                        }
                        Step::Stop => {
                            assert!(running, "{scale} {kind}");
                            running = false;
                        }
                        Step::InProcess => assert!(folder && !running, "{scale} {kind}"),
                        Step::Command(words) => {
                            let needs = words.contains("{target}") || words.contains("{pid}");
                            assert_eq!(needs, running, "{words}");
                        }
                    }
                }
                assert!(!running, "{scale} {kind}");
            }
        }
    }

    #[test]
    fn a_part_is_whole_by_itself() {
        let steps = Scale::Smoke.steps(ServerKind::Influxdb3);
        let part = only(steps.clone(), Some("idle"));
        assert_eq!(part[..2], [Step::NewFolder, Step::Start]);
        assert_eq!(part.last(), Some(&Step::Stop));
        assert_eq!(only(steps.clone(), Some("restart")).len(), 2);
        assert_eq!(only(steps.clone(), Some("nothing")), []);
        assert_eq!(only(steps.clone(), None), steps);
    }
}
