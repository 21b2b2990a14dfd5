//! Time: the wall clock and a monotonic one.

use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the program reads time. Production uses [`SystemClock`]; tests use [`SimulatedClock`].
pub trait Clock: Debug + Send + Sync {
    /// Wall-clock time in nanoseconds since the Unix epoch.
    fn now_ns(&self) -> i64;

    /// Time since some fixed point in the past; never goes backwards.
    fn monotonic(&self) -> Duration;

    /// Wall-clock time in milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64 {
        self.now_ns() / 1_000_000
    }
}

/// The machine's own clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now_ns(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
        }
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct SimulatedClock {
    now_ns: AtomicI64,
}

impl SimulatedClock {
    pub fn at_ns(now_ns: i64) -> Self {
        Self {
            now_ns: AtomicI64::new(now_ns),
        }
    }

    pub fn advance(&self, by: Duration) {
        let by_ns = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        self.now_ns.fetch_add(by_ns, Ordering::SeqCst);
    }
}

impl Clock for SimulatedClock {
    fn now_ns(&self) -> i64 {
        self.now_ns.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.now_ns().max(0).unsigned_abs())
    }
}
