//! How long things took, most of them and the worst of them.

use std::fmt;
use std::time::Duration;

/// Durations of the same kind of thing; displays as their quantiles in milliseconds.
#[derive(Debug)]
pub(crate) struct Durations {
    ascending: Vec<Duration>,
}

impl Durations {
    pub(crate) fn new(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self {
            ascending: durations,
        }
    }

    /// The smallest duration that `percent` of all do not exceed; zero if there is none.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.ascending.len() * percent).div_ceil(100);
        let position = rank.saturating_sub(1);
        self.ascending.get(position).copied().unwrap_or_default()
    }

    pub(crate) fn mean(&self) -> Duration {
        let count = u32::try_from(self.ascending.len().max(1)).unwrap_or(u32::MAX);
        self.ascending.iter().sum::<Duration>() / count
    }
}

impl fmt::Display for Durations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        write!(
            formatter,
            "mean {:.3} ms, p50 {:.3} ms, p90 {:.3} ms, p99 {:.3} ms, max {:.3} ms",
            ms(self.mean()),
            ms(self.percentile(50)),
            ms(self.percentile(90)),
            ms(self.percentile(99)),
            ms(self.percentile(100)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Durations;
    use std::time::Duration;

    #[test]
    fn a_percentile_is_one_of_the_durations() {
        let durations = Durations::new((1..=200).rev().map(Duration::from_millis).collect());
        for (percent, ms) in [(0, 1), (1, 2), (50, 100), (90, 180), (99, 198), (100, 200)] {
            assert_eq!(
                durations.percentile(percent),
                Duration::from_millis(ms),
                "{percent}"
            );
        }
        assert_eq!(
            Durations::new(vec![Duration::from_micros(1_500)]).to_string(),
            "mean 1.500 ms, p50 1.500 ms, p90 1.500 ms, p99 1.500 ms, max 1.500 ms"
        );
        assert_eq!(Durations::new(Vec::new()).percentile(50), Duration::ZERO);
    }
}
