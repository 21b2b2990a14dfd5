//! How long things of one kind took: a high dynamic range histogram, and its percentiles in words and figures.
//!
//! At a fixed rate, whoever records counts from the moment at which a request was due, so that a server which holds up one request
//! also answers for those that waited behind it (no coordinated omission). Not here: when requests are due (`pace`).

use crate::Error;
use crate::record::Record;
use hdrhistogram::Histogram;
use std::fmt;
use std::time::Duration;

/// Longest duration that is told apart; longer ones count as this.
const LONGEST_US: u64 = 3_600_000_000;
/// Durations are kept to a thousandth of their size.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Durations, kept in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    histogram: Histogram<u64>,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_US, SIGNIFICANT_DIGITS)
            .expect("these bounds are valid");
        Self { histogram }
    }

    pub(crate) fn add(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(LONGEST_US);
        self.histogram.saturating_record(us.clamp(1, LONGEST_US));
    }

    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), Error> {
        Ok(self.histogram.add(&other.histogram)?)
    }

    pub(crate) fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The smallest duration that `percent` of all do not exceed, in milliseconds; zero if there is none.
    pub(crate) fn percentile_ms(&self, percent: f64) -> f64 {
        self.histogram.value_at_quantile(percent / 100.0) as f64 / 1e3
    }

    pub(crate) fn mean_ms(&self) -> f64 {
        self.histogram.mean() / 1e3
    }

    /// Adds `p50_ms` and its like to a record, each name behind `prefix`, and the curve of percentiles for a plot.
    pub(crate) fn keep(&self, prefix: &str, record: &mut Record) {
        for (name, value) in [
            ("mean_ms", self.mean_ms()),
            ("p50_ms", self.percentile_ms(50.0)),
            ("p90_ms", self.percentile_ms(90.0)),
            ("p99_ms", self.percentile_ms(99.0)),
            ("p999_ms", self.percentile_ms(99.9)),
            ("max_ms", self.percentile_ms(100.0)),
        ] {
            record.figure(&format!("{prefix}{name}"), value);
        }
        let curve = (0..100)
            .map(f64::from)
            .chain([99.5, 99.9, 99.99, 100.0])
            .map(|percent| [percent, self.percentile_ms(percent)]);
        record.series(&format!("{prefix}percentiles_ms"), curve.collect());
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "mean {:.3} ms, p50 {:.3} ms, p90 {:.3} ms, p99 {:.3} ms, p99.9 {:.3} ms, max {:.3} ms",
            self.mean_ms(),
            self.percentile_ms(50.0),
            self.percentile_ms(90.0),
            self.percentile_ms(99.0),
            self.percentile_ms(99.9),
            self.percentile_ms(100.0),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Latencies;
    use std::time::Duration;

    fn of(ms: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new();
        for ms in ms {
            latencies.add(Duration::from_millis(ms));
        }
        latencies
    }

    #[test]
    fn a_percentile_is_one_of_the_durations_to_a_thousandth() {
        let mut latencies = of((1..=100).rev());
        latencies.merge(&of(101..=200)).expect("equal bounds");
        assert_eq!(latencies.count(), 200);
        for (percent, ms) in [
            (1.0, 2.0),
            (50.0, 100.0),
            (90.0, 180.0),
            (99.0, 198.0),
            (100.0, 200.0),
        ] {
            let found = latencies.percentile_ms(percent);
            assert!((found / ms - 1.0_f64).abs() < 0.001, "{percent}: {found}");
        }
        assert_eq!(Latencies::new().percentile_ms(50.0), 0.0);
    }

    #[test]
    fn what_is_out_of_bounds_counts_as_the_bound() {
        let mut latencies = of([0]);
        latencies.add(Duration::from_secs(1_000_000));
        assert_eq!(latencies.count(), 2);
        assert!(latencies.percentile_ms(100.0) >= 3_600_000.0 * 0.999);
    }
}
