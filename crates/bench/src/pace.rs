//! When requests are due that come at a fixed rate.

use std::time::Duration;
use tokio::time::Instant;

/// A schedule of equal steps that several workers share, each taking every n-th step; without a rate there is no waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    start: Instant,
    /// Time from one step of all workers to the next; zero without a rate.
    step: Duration,
}

impl Pace {
    /// `per_second` steps each second from now on; as fast as it goes if `None`.
    pub(crate) fn new(per_second: Option<f64>) -> Self {
        Self {
            start: Instant::now(),
            step: per_second.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate)),
        }
    }

    /// Waits until step `number` is due, and gives the moment from which its latency counts: when it was due, however late that is
    /// found out; or now, without a rate.
    pub(crate) async fn due(&self, number: usize) -> Instant {
        if self.step.is_zero() {
            return Instant::now();
        }
        let due = self.start + self.step.mul_f64(number as f64);
        tokio::time::sleep_until(due).await;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_late_request_counts_from_when_it_was_due() {
        let pace = Pace::new(Some(10.0));
        let first = pace.due(0).await;
        assert_eq!(first.elapsed(), Duration::ZERO);
        assert!(pace.due(1).await.elapsed() < Duration::from_millis(2));
        assert_eq!(first.elapsed().as_millis() / 10, 10);
        // Somebody was held up for a second: steps 2 to 11 are over.
        tokio::time::advance(Duration::from_secs(1)).await;
        let waited = pace.due(2).await.elapsed();
        assert!(waited >= Duration::from_millis(890), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_nothing_waits() {
        let pace = Pace::new(None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(pace.due(7).await.elapsed(), Duration::ZERO);
    }
}
