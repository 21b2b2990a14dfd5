//! Who may run now: so many queries at once, the others wait in line for a while.
//!
//! Pure but for the waiting: a number of places and a line in front of them, first come, first served. A query holds
//! [`Admitted`] from before its first row until its last one, or until it is dropped. Not here: which queries need no place
//! (`runner`), the memory that a running one may take (`memory`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::Error;

/// The places, and the line in front of them.
#[derive(Debug)]
pub(crate) struct Admission {
    line: Arc<Mutex<Line>>,
    waiting_max: usize,
    wait_max: Duration,
    refused: AtomicU64,
}

#[derive(Debug)]
struct Line {
    places: usize,
    running: usize,
    /// Those who have gone away are closed, and passed over.
    waiting: VecDeque<oneshot::Sender<Admitted>>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    line: Arc<Mutex<Line>>,
}

impl Admission {
    /// `places` queries run at once, `waiting_max` wait, each of them for `wait_max`.
    pub(crate) fn new(places: usize, waiting_max: usize, wait_max: Duration) -> Self {
        Self {
            line: Arc::new(Mutex::new(Line {
                places,
                running: 0,
                waiting: VecDeque::new(),
            })),
            waiting_max,
            wait_max,
            refused: AtomicU64::new(0),
        }
    }

    /// Takes a place, after those who asked before.
    ///
    /// Errors: `Unavailable` when too many wait already, or when the wait was too long.
    pub(crate) async fn admit(&self) -> Result<Admitted, Error> {
        let turn = {
            let mut line = self.line.lock();
            if line.has_room() {
                line.running += 1;
                let line = Arc::clone(&self.line);
                return Ok(Admitted { line });
            }
            if line.waiting.len() >= self.waiting_max {
                line.waiting.retain(|waiting| !waiting.is_closed());
            }
            if line.waiting.len() >= self.waiting_max {
                return Err(self.refuse(format!(
                    "too many queries: {} are running and {} wait, please try again later",
                    line.running,
                    line.waiting.len()
                )));
            }
            let (sender, turn) = oneshot::channel();
            line.waiting.push_back(sender);
            turn
        };
        match tokio::time::timeout(self.wait_max, turn).await {
            Ok(Ok(admitted)) => Ok(admitted),
            Ok(Err(_)) | Err(_) => Err(self.refuse(format!(
                "too many queries: no place became free in {:?}, please try again later",
                self.wait_max
            ))),
        }
    }

    fn refuse(&self, message: String) -> Error {
        self.refused.fetch_add(1, Ordering::Relaxed);
        Error::unavailable(message)
    }

    /// How many may run at once.
    pub(crate) fn places(&self) -> usize {
        self.line.lock().places
    }

    /// From now on `places` may run at once. Those that do go on, also when they are more.
    pub(crate) fn set_places(&self, places: usize) {
        self.line.lock().places = places;
        call_in(&self.line);
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        let line = self.line.lock();
        let there = line.waiting.iter().filter(|waiting| !waiting.is_closed());
        there.count()
    }

    /// How many were told to come again, since the start.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Line {
    /// Whether somebody new may have a place, and nobody was there before.
    fn has_room(&self) -> bool {
        self.running < self.places && self.waiting.iter().all(oneshot::Sender::is_closed)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.line.lock().running -= 1;
        call_in(&self.line);
    }
}

/// Gives free places to those who wait.
fn call_in(line: &Arc<Mutex<Line>>) {
    let mut called = Vec::new();
    {
        let mut line = line.lock();
        while line.running < line.places
            && let Some(next) = line.waiting.pop_front()
        {
            if !next.is_closed() {
                line.running += 1;
                called.push(next);
            }
        }
    }
    for next in called {
        let line = Arc::clone(line);
        // Whoever has gone away at this moment drops the place, which calls in the next one.
        let _ = next.send(Admitted { line });
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::ErrorKind;

    const LONG: Duration = Duration::from_secs(3_600);

    fn refusal(outcome: Result<Admitted, Error>) -> String {
        let error = outcome.expect_err("no place");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        error.to_string()
    }

    #[tokio::test]
    async fn the_first_to_come_is_the_first_to_run() {
        let admission = Admission::new(1, 10, LONG);
        let running = admission.admit().await.expect("a free place");
        let mut first = Box::pin(admission.admit());
        let mut second = Box::pin(admission.admit());
        assert!(futures::poll!(&mut first).is_pending());
        assert!(futures::poll!(&mut second).is_pending());
        assert_eq!(admission.waiting(), 2);
        drop(running);
        assert!(futures::poll!(&mut second).is_pending());
        // Nobody passes those who wait.
        let mut third = Box::pin(admission.admit());
        assert!(futures::poll!(&mut third).is_pending());
        drop(first.await.expect("its turn"));
        drop(second.await.expect("its turn"));
        drop(third.await.expect("its turn"));
        assert_eq!((admission.waiting(), admission.refused()), (0, 0));
    }

    #[tokio::test]
    async fn who_goes_away_holds_nobody_up() {
        let admission = Admission::new(1, 1, LONG);
        let running = admission.admit().await.expect("a free place");
        let mut gone = Box::pin(admission.admit());
        assert!(futures::poll!(&mut gone).is_pending());
        drop(gone);
        // There is room in the line again.
        let mut next = Box::pin(admission.admit());
        assert!(futures::poll!(&mut next).is_pending());
        drop(running);
        // It has the place without knowing, and goes away.
        drop(next);
        let place = admission.admit().now_or_never().expect("no wait");
        drop(place.expect("a place"));
    }

    #[tokio::test]
    async fn the_line_has_an_end() {
        let admission = Admission::new(1, 1, LONG);
        let _running = admission.admit().await.expect("a free place");
        let mut waits = Box::pin(admission.admit());
        assert!(futures::poll!(&mut waits).is_pending());
        assert_eq!(
            refusal(admission.admit().await),
            "too many queries: 1 are running and 1 wait, please try again later"
        );
        assert_eq!(admission.refused(), 1);
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let admission = Admission::new(1, 1, Duration::from_millis(5));
        let running = admission.admit().await.expect("a free place");
        assert_eq!(
            refusal(admission.admit().await),
            "too many queries: no place became free in 5ms, please try again later"
        );
        drop(running);
        assert!(admission.admit().await.is_ok());
    }

    #[tokio::test]
    async fn the_number_of_places_can_change() {
        let admission = Admission::new(1, 10, LONG);
        let first = admission.admit().await.expect("a free place");
        let mut waits = Box::pin(admission.admit());
        assert!(futures::poll!(&mut waits).is_pending());
        admission.set_places(2);
        let second = waits.await.expect("a second place");
        admission.set_places(1);
        drop(first);
        // One is still too many.
        let mut waits = Box::pin(admission.admit());
        assert!(futures::poll!(&mut waits).is_pending());
        drop(second);
        assert!(waits.await.is_ok());
    }
}
