//! What was written so far, in numbers, and the lines that tell of it (spec/cli.md §7.5).

use std::collections::VecDeque;
use std::time::Duration;

/// Rates are those of about this long, so that a pause is seen and then forgotten.
const WINDOW: Duration = Duration::from_secs(10);
const SAMPLES_MAX: usize = 100;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Statistics {
    pub(crate) requests: u64,
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

impl Statistics {
    pub(crate) fn add(&mut self, lines: u64, bytes: u64) {
        self.requests += 1;
        self.lines += lines;
        self.bytes += bytes;
    }

    /// `  1s 230ms: 2 requests (1.63 requests/sec), 10 lines (8 lines/s), 1.50KiB (1.22KiB/s)`
    pub(crate) fn line(&self, elapsed: Duration) -> String {
        let elapsed = whole_milliseconds(elapsed);
        let seconds = elapsed.as_secs_f64().max(0.001);
        let plural = if self.requests == 1 { "" } else { "s" };
        format!(
            "  {}: {} request{plural} ({:.2} requests/sec), {} lines ({:.0} lines/s), {} ({}/s)",
            humantime::format_duration(elapsed),
            self.requests,
            self.requests as f64 / seconds,
            self.lines,
            self.lines as f64 / seconds,
            size(self.bytes),
            size((self.bytes as f64 / seconds) as u64),
        )
    }
}

pub(crate) fn whole_milliseconds(elapsed: Duration) -> Duration {
    Duration::from_millis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// Lines that have something in them.
pub(crate) fn lines_in(text: &[u8]) -> u64 {
    text.split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .count() as u64
}

pub(crate) fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units
        .into_iter()
        .find(|&(unit_bytes, _)| bytes >= unit_bytes)
    {
        Some((unit_bytes, unit)) => format!("{:.2}{unit}", bytes as f64 / unit_bytes as f64),
        None => format!("{bytes}B"),
    }
}

/// How quickly things went lately.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    samples: VecDeque<(Duration, [u64; 3])>,
}

impl Rates {
    /// Notes three counts at a moment, and tells how much each grows in a second.
    pub(crate) fn add(&mut self, elapsed: Duration, counts: [u64; 3]) -> [f64; 3] {
        if self.samples.is_empty() {
            self.samples.push_back((Duration::ZERO, [0; 3]));
        }
        self.samples.push_back((elapsed, counts));
        while self.samples.len() > 2
            && (self.samples.len() > SAMPLES_MAX
                || elapsed.saturating_sub(self.samples[1].0) >= WINDOW)
        {
            self.samples.pop_front();
        }
        let (since, before) = self.samples[0];
        let seconds = elapsed.saturating_sub(since).as_secs_f64();
        let mut rates = [0.0; 3];
        if seconds > 0.0 {
            for (rate, (now, then)) in rates.iter_mut().zip(counts.into_iter().zip(before)) {
                *rate = now.saturating_sub(then) as f64 / seconds;
            }
        }
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics() {
        let mut statistics = Statistics::default();
        statistics.add(lines_in(b"a\nb\n"), 4);
        assert_eq!(
            statistics.line(Duration::from_micros(1_000_999)),
            "  1s: 1 request (1.00 requests/sec), 2 lines (2 lines/s), 4B (4B/s)"
        );
        statistics.add(lines_in(&[b'x'; 3068]), 3068);
        assert_eq!(
            statistics.line(Duration::from_millis(2000)),
            "  2s: 2 requests (1.00 requests/sec), 3 lines (2 lines/s), 3.00KiB (1.50KiB/s)"
        );
        assert_eq!(size(2 << 20), "2.00MiB");
        assert_eq!(size(1 << 30), "1.00GiB");
    }

    #[test]
    fn rates_are_those_of_late() {
        let mut rates = Rates::default();
        for second in 1..=60 {
            let counts = [second.min(30) * 100, second, 0];
            let told = rates.add(Duration::from_secs(second), counts);
            match second {
                1..=30 => assert_eq!(told, [100.0, 1.0, 0.0]),
                41.. => assert_eq!(told, [0.0, 1.0, 0.0]),
                _ => {}
            }
        }
    }
}
