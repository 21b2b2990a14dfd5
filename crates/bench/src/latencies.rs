//! How long things of one kind took: a high dynamic range histogram, and its percentiles in words and figures.
//!
//! At a fixed rate, whoever records counts from the moment at which a request was due, so that a server which holds up one request
//! also answers for those that waited behind it (no coordinated omission). Not here: when requests are due (`pace`).

use crate::Error;
use crate::record::Record;
use hdrhistogram::Histogram;
use std::fmt;
use std::time::Duration;

/// Durations are kept to a thousandth of their size.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Durations, in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    histogram_ns: Histogram<u64>,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self {
            histogram_ns: Histogram::new(SIGNIFICANT_DIGITS)
                .expect("a histogram may have up to five digits"),
        }
    }

    pub(crate) fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut latencies = Self::new();
        for duration in durations {
            latencies.add(duration);
        }
        latencies
    }

    pub(crate) fn add(&mut self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.histogram_ns
            .record(ns)
            .expect("the histogram grows to any number");
    }

    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), Error> {
        Ok(self.histogram_ns.add(&other.histogram_ns)?)
    }

    pub(crate) fn count(&self) -> u64 {
        self.histogram_ns.len()
    }

    /// The smallest duration that `percent` of all do not exceed, in milliseconds; zero if there is none.
    pub(crate) fn percentile_ms(&self, percent: f64) -> f64 {
        self.histogram_ns.value_at_quantile(percent / 100.0) as f64 / 1e6
    }

    pub(crate) fn mean_ms(&self) -> f64 {
        self.histogram_ns.mean() / 1e6
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

/// A duration in milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
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
        Latencies::of(ms.into_iter().map(Duration::from_millis))
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
}
