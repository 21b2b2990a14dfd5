//! Whether the node should be sent work: it takes writes, its object store answers, and it is not about to stop.
//!
//! The store is asked for one small object, and what it said holds for a second: however many ask, the store hears one of them. Not
//! here: how the answer looks (`health`), that the process lives at all (`/health`).

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use futures::FutureExt;
use parking_lot::Mutex;
use runtime::object_store::{Path, cas};
use runtime::{Clock, Store, World};
use storage::Engine;
use tokio_util::sync::CancellationToken;

/// How long an answer of the store holds.
const ANSWER_LIFE: Duration = Duration::from_secs(1);

/// Longest wait for the store.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

/// What the node is fit for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    /// Requests that run are finished, new connections are not taken.
    Stopping,
    /// With the reason.
    Failing(String),
}

/// What readiness is told by.
pub(crate) struct Readiness {
    store: Store,
    /// An object that need not exist: that it does not is an answer too.
    asked_for: Path,
    storage: Arc<Engine>,
    stopping: CancellationToken,
    clock: Arc<dyn Clock>,
    started_ns: i64,
    started: Duration,
    last: Mutex<Option<Answer>>,
}

/// What the store said, and when it was asked.
#[derive(Clone)]
struct Answer {
    at: Duration,
    fault: Option<String>,
}

impl Readiness {
    pub(crate) fn new(
        world: &World,
        node_id: &str,
        storage: Arc<Engine>,
        stopping: CancellationToken,
    ) -> Self {
        Self {
            store: Arc::clone(&world.store),
            asked_for: Path::from(node_id).join("ready"),
            storage,
            stopping,
            clock: Arc::clone(&world.clock),
            started_ns: world.clock.now_ns(),
            started: world.clock.monotonic(),
            last: Mutex::new(None),
        }
    }

    pub(crate) async fn state(&self) -> State {
        if self.stopping.is_cancelled() {
            return State::Stopping;
        }
        if let Some(reason) = self.storage.lost().now_or_never() {
            return State::Failing(reason.to_string());
        }
        match self.fault_of_store().await {
            None => State::Ready,
            Some(fault) => State::Failing(fault),
        }
    }

    /// When the node began to serve, RFC 3339.
    pub(crate) fn started(&self) -> String {
        DateTime::from_timestamp_nanos(self.started_ns).to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    /// For how long it has served, as version 2 shows it.
    pub(crate) fn up(&self) -> String {
        shown(self.clock.monotonic().saturating_sub(self.started))
    }

    async fn fault_of_store(&self) -> Option<String> {
        let now = self.clock.monotonic();
        {
            let mut last = self.last.lock();
            if let Some(answer) = &mut *last {
                if now.saturating_sub(answer.at) < ANSWER_LIFE {
                    return answer.fault.clone();
                }
                // Whoever else comes while this one asks takes the former answer.
                answer.at = now;
            }
        }
        let asked = cas::read(&self.store, &self.asked_for);
        let fault = match tokio::time::timeout(ANSWER_WAIT_MAX, asked).await {
            Ok(Ok(_)) => None,
            Ok(Err(fault)) => {
                tracing::warn!(%fault, "the object store does not answer");
                Some("the object store does not answer".to_string())
            }
            Err(_) => Some(format!(
                "the object store did not answer within {} seconds",
                ANSWER_WAIT_MAX.as_secs()
            )),
        };
        *self.last.lock() = Some(Answer {
            at: now,
            fault: fault.clone(),
        });
        fault
    }
}

fn shown(up: Duration) -> String {
    let seconds = up.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_up() {
        let cases = [
            (0, "0s"),
            (59, "59s"),
            (60, "1m0s"),
            (3_600, "1h0m0s"),
            (90_061, "25h1m1s"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(shown(Duration::from_secs(seconds)), expected);
        }
    }
}
