//! The options that say which rows to make, as every command that makes rows takes them.

pub(crate) mod cpu;
mod hosts;

use crate::Error;
use cpu::Plan;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct WorkloadOptions {
    /// What is watched: cpu-only
    #[arg(long, default_value = "cpu-only")]
    pub(crate) use_case: UseCase,

    /// How many hosts; each is one series
    #[arg(long, default_value_t = 100)]
    pub(crate) hosts: usize,

    /// Time between two rows of a host
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) interval: Duration,

    /// Time of the first rows (RFC 3339)
    #[arg(long, default_value = "2016-01-01T00:00:00Z", value_parser = humantime::parse_rfc3339_weak)]
    pub(crate) start: SystemTime,

    /// Time before which the last rows are (RFC 3339)
    #[arg(long, default_value = "2016-01-02T00:00:00Z", value_parser = humantime::parse_rfc3339_weak)]
    pub(crate) end: SystemTime,

    /// What makes the random numbers the same each time
    #[arg(long, default_value_t = 123)]
    pub(crate) seed: u64,
}

/// What a workload pretends to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UseCase {
    CpuOnly,
}

impl UseCase {
    /// The tables whose rows can be counted, each with a field that every row has; none if rows may lose the tags that tell them apart.
    pub(crate) fn tables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::CpuOnly => &[("cpu", "usage_user")],
        }
    }
}

impl std::str::FromStr for UseCase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cpu-only" => Ok(Self::CpuOnly),
            _ => Err(format!("there is no use case {text:?}: cpu-only")),
        }
    }
}

impl std::fmt::Display for UseCase {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("cpu-only")
    }
}

/// What was appended to a buffer.
pub(crate) struct Written {
    pub(crate) rows: usize,
    pub(crate) values: usize,
}

impl WorkloadOptions {
    pub(crate) fn plan(&self) -> Result<Plan, Error> {
        let (start_ns, end_ns) = (self.start_ns()?, self.end_ns()?);
        let interval_ns = i64::try_from(self.interval.as_nanos())?;
        if interval_ns == 0 {
            return Err("the interval is zero".into());
        }
        let span_ns = end_ns - start_ns;
        if span_ns <= 0 {
            return Err("the end is not after the start".into());
        }
        Ok(Plan {
            hosts: 0..self.hosts,
            start_ns,
            interval_ns,
            epochs: usize::try_from(span_ns / interval_ns)?,
            seed: self.seed,
        })
    }

    /// The options as words, for a command that is run by another.
    pub(crate) fn words(&self) -> Vec<String> {
        vec![
            format!("--use-case={}", self.use_case),
            format!("--hosts={}", self.hosts),
            format!("--interval={}", humantime::format_duration(self.interval)).replace(' ', ""),
            format!("--start={}", humantime::format_rfc3339_nanos(self.start)),
            format!("--end={}", humantime::format_rfc3339_nanos(self.end)),
            format!("--seed={}", self.seed),
        ]
    }

    pub(crate) fn start_ns(&self) -> Result<i64, Error> {
        since_epoch_ns(self.start)
    }

    pub(crate) fn end_ns(&self) -> Result<i64, Error> {
        since_epoch_ns(self.end)
    }
}

fn since_epoch_ns(time: SystemTime) -> Result<i64, Error> {
    let since = time
        .duration_since(UNIX_EPOCH)
        .map_err(|_| "times before 1970 are not supported")?;
    Ok(i64::try_from(since.as_nanos())?)
}

#[cfg(test)]
mod tests {
    use super::WorkloadOptions;
    use clap::Parser;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        workload: WorkloadOptions,
    }

    fn rows(arguments: &[&str]) -> Option<usize> {
        let arguments = Arguments::try_parse_from([&["test"], arguments].concat()).ok()?;
        Some(arguments.workload.plan().ok()?.rows())
    }

    #[test]
    fn row_counts_are_those_that_others_publish() {
        assert_eq!(rows(&[]), Some(864_000));
        assert_eq!(rows(&["--hosts", "4000"]), Some(34_560_000));
        let three_days = [
            "--hosts",
            "4000",
            "--start",
            "2023-06-11T00:00:00Z",
            "--end",
            "2023-06-14T00:00:00Z",
        ];
        assert_eq!(rows(&three_days), Some(103_680_000));
        assert_eq!(rows(&["--interval", "1h", "--hosts", "10"]), Some(240));
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(rows(&["--interval", "0s"]), None);
        assert_eq!(rows(&["--end", "2016-01-01T00:00:00Z"]), None);
        assert_eq!(rows(&["--start", "1960-01-01T00:00:00Z"]), None);
        assert_eq!(rows(&["--start", "yesterday"]), None);
    }
}
