//! Times that a question is about: a window drawn from those of the workload, and how many rows lie in it.

use crate::Error;
use crate::random::Random;
use crate::workload::WorkloadOptions;
use std::time::{Duration, UNIX_EPOCH};

pub(super) const NS_PER_SECOND: i64 = 1_000_000_000;
pub(super) const SECONDS_PER_HOUR: i64 = 3_600;

/// From the one time up to, but not including, the other; in whole seconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start_s: i64,
    pub(super) end_s: i64,
}

impl Window {
    /// So many seconds somewhere within the workload; from a whole hour if `aligned`.
    pub(super) fn draw(
        length_s: i64,
        workload: &WorkloadOptions,
        aligned: bool,
        random: &mut Random,
    ) -> Result<Self, Error> {
        let (first_ns, end_ns) = (workload.start_ns()?, workload.end_ns()?);
        let last_ns = end_ns - length_s * NS_PER_SECOND;
        let start_s = match aligned {
            true => random_hour(first_ns, last_ns, random),
            false => (first_ns <= last_ns).then(|| random_second(first_ns, last_ns, random)),
        };
        let Some(start_s) = start_s else {
            let length = humantime::format_duration(Duration::from_secs(length_s.unsigned_abs()));
            let within = match aligned {
                true => " from a whole hour",
                false => "",
            };
            return Err(format!(
                "the question needs {length} of data{within}, and the workload is from {} to {}",
                humantime::format_rfc3339_seconds(workload.start),
                humantime::format_rfc3339_seconds(workload.end),
            )
            .into());
        };
        let end_s = start_s + length_s;
        Ok(Self { start_s, end_s })
    }

    /// All of the workload up to a random time.
    pub(super) fn until_some_time(
        workload: &WorkloadOptions,
        aligned: bool,
        random: &mut Random,
    ) -> Result<Self, Error> {
        let (first_ns, last_ns) = (workload.start_ns()?, workload.end_ns()?);
        // The first hour is left out, so that there is something before the time.
        let end_s = match aligned {
            true => random_hour(first_ns + SECONDS_PER_HOUR * NS_PER_SECOND, last_ns, random)
                .ok_or("the question needs an hour of data up to a whole hour")?,
            false => random_second(first_ns, last_ns, random),
        };
        let start_s = first_ns.div_euclid(NS_PER_SECOND);
        Ok(Self { start_s, end_s })
    }

    /// How many buckets of that width, counted from the epoch, have rows of a host that has one each interval.
    pub(super) fn buckets(self, width_s: i64, workload: &WorkloadOptions) -> Result<usize, Error> {
        let Some((first_ns, last_ns)) = self.first_and_last_ns(workload)? else {
            return Ok(0);
        };
        let width_ns = width_s * NS_PER_SECOND;
        let count = match interval_ns(workload)? <= width_ns {
            true => last_ns.div_euclid(width_ns) - first_ns.div_euclid(width_ns) + 1,
            false => (last_ns - first_ns) / interval_ns(workload)? + 1,
        };
        Ok(usize::try_from(count)?)
    }

    /// How many rows a host has that has one each interval.
    pub(super) fn rows(self, workload: &WorkloadOptions) -> Result<usize, Error> {
        let Some((first_ns, last_ns)) = self.first_and_last_ns(workload)? else {
            return Ok(0);
        };
        Ok(usize::try_from(
            (last_ns - first_ns) / interval_ns(workload)? + 1,
        )?)
    }

    /// Times of a host's first and last row in the window.
    fn first_and_last_ns(self, workload: &WorkloadOptions) -> Result<Option<(i64, i64)>, Error> {
        let (start_ns, interval_ns) = (workload.start_ns()?, interval_ns(workload)?);
        let from_ns = (self.start_s * NS_PER_SECOND).max(start_ns);
        // A part of an interval at the end of the workload has no row.
        let epochs = (workload.end_ns()? - start_ns) / interval_ns;
        let until_ns = (self.end_s * NS_PER_SECOND).min(start_ns + epochs * interval_ns);
        let skipped = (from_ns - start_ns + interval_ns - 1) / interval_ns;
        let first_ns = start_ns + skipped * interval_ns;
        if first_ns >= until_ns {
            return Ok(None);
        }
        let further = (until_ns - 1 - first_ns) / interval_ns;
        Ok(Some((first_ns, first_ns + further * interval_ns)))
    }
}

fn interval_ns(workload: &WorkloadOptions) -> Result<i64, Error> {
    match i64::try_from(workload.interval.as_nanos())? {
        0 => Err("the interval is zero".into()),
        interval_ns => Ok(interval_ns),
    }
}

/// A whole second from the one time up to, but for equal times not including, the other.
fn random_second(first_ns: i64, last_ns: i64, random: &mut Random) -> i64 {
    let span_s = ((last_ns - first_ns) / NS_PER_SECOND).max(1);
    first_ns / NS_PER_SECOND + (random.unit() * span_s as f64) as i64
}

/// A whole hour from the one time to the other, both included, in seconds.
fn random_hour(first_ns: i64, last_ns: i64, random: &mut Random) -> Option<i64> {
    let hour_ns = SECONDS_PER_HOUR * NS_PER_SECOND;
    let first = (first_ns + hour_ns - 1).div_euclid(hour_ns);
    let last = last_ns.div_euclid(hour_ns);
    let hours = usize::try_from(last - first + 1)
        .ok()
        .filter(|hours| *hours > 0)?;
    Some((first + random.below(hours) as i64) * SECONDS_PER_HOUR)
}

/// `2016-01-01T00:00:00Z`.
pub(super) fn rfc3339(seconds: i64) -> String {
    let since_epoch = Duration::from_secs(seconds.max(0).unsigned_abs());
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since_epoch).to_string()
}
