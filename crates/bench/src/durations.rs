//! How long things took, most of them and the worst of them: an HDR histogram with three digits.

use crate::record::Record;
use hdrhistogram::Histogram;
use std::fmt;
use std::time::Duration;

const DIGITS: u8 = 3;

/// Durations of the same kind of thing; displays as their quantiles in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Durations {
    histogram_ns: Histogram<u64>,
}

impl Durations {
    pub(crate) fn new(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut histogram_ns =
            Histogram::new(DIGITS).expect("a histogram may have up to five digits");
        for duration in durations {
            let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
            histogram_ns
                .record(ns)
                .expect("the histogram grows to any number");
        }
        Self { histogram_ns }
    }

    /// The smallest duration that `percent` of all do not exceed, to a thousandth; zero if there is none.
    pub(crate) fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.histogram_ns.value_at_quantile(percent / 100.0))
    }

    pub(crate) fn mean(&self) -> Duration {
        Duration::from_nanos(self.histogram_ns.mean() as u64)
    }

    /// Puts the quantiles and the mean into `record`.
    pub(crate) fn describe(&self, record: &mut Record) {
        record
            .figure("mean_ms", ms(self.mean()))
            .figure("p50_ms", ms(self.percentile(50.0)))
            .figure("p90_ms", ms(self.percentile(90.0)))
            .figure("p99_ms", ms(self.percentile(99.0)))
            .figure("max_ms", ms(self.percentile(100.0)));
    }
}

/// A duration in milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

impl fmt::Display for Durations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "mean {:.3} ms, p50 {:.3} ms, p90 {:.3} ms, p99 {:.3} ms, max {:.3} ms",
            ms(self.mean()),
            ms(self.percentile(50.0)),
            ms(self.percentile(90.0)),
            ms(self.percentile(99.0)),
            ms(self.percentile(100.0)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Durations, ms};
    use std::time::Duration;

    #[test]
    fn percentiles_are_of_all_durations() {
        let durations = Durations::new((1..=200).rev().map(Duration::from_millis));
        for (percent, expected_ms) in [
            (0.0, 1.0),
            (1.0, 2.0),
            (50.0, 100.0),
            (90.0, 180.0),
            (99.0, 198.0),
            (100.0, 200.0),
        ] {
            let found_ms = ms(durations.percentile(percent));
            let error = (found_ms / expected_ms - 1.0).abs();
            assert!(error < 0.001, "{percent}: {found_ms}");
        }
        let mean_ms = ms(durations.mean());
        assert!((mean_ms / 100.5 - 1.0).abs() < 0.001, "{mean_ms}");
        assert_eq!(
            Durations::new([Duration::from_micros(1_500)]).to_string(),
            "mean 1.500 ms, p50 1.500 ms, p90 1.500 ms, p99 1.500 ms, max 1.500 ms"
        );
        assert_eq!(Durations::new([]).percentile(99.0), Duration::ZERO);
    }
}
