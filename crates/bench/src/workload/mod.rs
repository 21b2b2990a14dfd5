//! The workloads of TSBS: the options that say which rows to make, as every command that makes rows takes them, and the rows.
//!
//! ```text
//! WorkloadOptions → Plan → Rows            line protocol, as many rows as asked for
//!                        → shards::write   the same bytes from several threads
//!                        → late::batches   the same rows, some of them late
//! ```

mod plan;

mod rows;

pub(crate) mod shards;

mod lines;

mod disorder;

pub(crate) mod late;

mod machines;

pub(crate) mod cpu;
mod devops;
mod hosts;

mod churn;

mod iot;

mod measurement;

mod number;

pub(crate) use plan::{Plan, UseCase};
pub(crate) use rows::{Rows, Written};

use crate::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct WorkloadOptions {
    /// What the rows are of
    #[arg(long, value_enum, default_value_t = UseCase::CpuOnly)]
    pub(crate) use_case: UseCase,

    /// How many hosts, or trucks; each is one series of each measurement
    #[arg(long, visible_alias = "scale", default_value_t = 100)]
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

    /// The most fields a host has, for churn
    #[arg(long, default_value_t = 100)]
    pub(crate) fields_max: usize,
}

/// More would share the streams of random numbers that the measurements of a host have.
const HOSTS_MAX: usize = 1 << 31;
/// More would be of no use: no table has so many columns.
const FIELDS_MAX: usize = 100_000;

impl WorkloadOptions {
    pub(crate) fn plan(&self) -> Result<Plan, Error> {
        let (start_ns, end_ns) = (self.start_ns()?, self.end_ns()?);
        if !(1..=HOSTS_MAX).contains(&self.hosts) {
            return Err(format!("--hosts {} is not between 1 and {HOSTS_MAX}", self.hosts).into());
        }
        if !(1..=FIELDS_MAX).contains(&self.fields_max) {
            let told = format!(
                "--fields-max {} is not between 1 and {FIELDS_MAX}",
                self.fields_max
            );
            return Err(told.into());
        }
        let interval = humantime::format_duration(self.interval);
        let interval_ns = i64::try_from(self.interval.as_nanos())
            .map_err(|_| format!("--interval {interval} is too long"))?;
        if interval_ns == 0 {
            return Err(format!("--interval {interval} is zero").into());
        }
        let span_ns = end_ns - start_ns;
        if span_ns < interval_ns {
            return Err(format!(
                "--end {} is not one interval of {interval} after --start {}",
                humantime::format_rfc3339(self.end),
                humantime::format_rfc3339(self.start),
            )
            .into());
        }
        Ok(Plan {
            use_case: self.use_case,
            hosts: 0..self.hosts,
            hosts_total: self.hosts,
            start_ns,
            interval_ns,
            epochs: usize::try_from(span_ns / interval_ns)?,
            seed: self.seed,
            fields_max: self.fields_max,
        })
    }

    /// The options as words, for a command that is run by another.
    pub(crate) fn words(&self) -> Vec<String> {
        vec![
            format!("--use-case={}", self.use_case),
            format!("--hosts={}", self.hosts),
            format!("--interval={}", humantime::format_duration(self.interval)),
            format!("--start={}", humantime::format_rfc3339_nanos(self.start)),
            format!("--end={}", humantime::format_rfc3339_nanos(self.end)),
            format!("--seed={}", self.seed),
            format!("--fields-max={}", self.fields_max),
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
    let since = time.duration_since(UNIX_EPOCH).map_err(|error| {
        let before = humantime::format_duration(error.duration());
        format!("times before 1970 are not supported, and this one is {before} before")
    })?;
    i64::try_from(since.as_nanos()).map_err(|_| {
        format!(
            "{} is later than can be told in nanoseconds",
            humantime::format_rfc3339(time)
        )
        .into()
    })
}

#[cfg(test)]
mod tests;
