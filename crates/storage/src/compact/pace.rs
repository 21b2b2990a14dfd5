//! Pace: compaction steps back while queries or writes are under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runtime::World;

/// Work between two looks at who else is busy.
const STINT: Duration = Duration::from_millis(20);

/// Longest rest after a stint, however long that took.
const REST_MAX: Duration = Duration::from_millis(200);

/// How many queries and writes are under way.
#[derive(Clone, Debug, Default)]
pub struct Foreground(Arc<AtomicUsize>);

/// One of them; it ends with this.
#[derive(Debug)]
pub struct Busy(Arc<AtomicUsize>);

impl Foreground {
    pub fn enter(&self) -> Busy {
        self.0.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(&self.0))
    }

    fn is_busy(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The pace of one job.
pub struct Pace<'a> {
    world: &'a World,
    foreground: &'a Foreground,
    /// There is so much to do that waiting would make it worse.
    is_behind: bool,
    stint_began: Duration,
}

impl<'a> Pace<'a> {
    pub fn new(world: &'a World, foreground: &'a Foreground, is_behind: bool) -> Self {
        Self {
            world,
            foreground,
            is_behind,
            stint_began: world.clock.monotonic(),
        }
    }

    /// To be called every few milliseconds of work: rests as long as it worked when others are busy.
    pub async fn step(&mut self) {
        let worked = self
            .world
            .clock
            .monotonic()
            .saturating_sub(self.stint_began);
        if worked < STINT {
            return;
        }
        if self.foreground.is_busy() && !self.is_behind {
            self.world.tasks.pause(worked.min(REST_MAX)).await;
        } else {
            tokio::task::yield_now().await;
        }
        self.stint_began = self.world.clock.monotonic();
    }
}
