//! Background tasks: the only place that starts threads or detached futures.
//!
//! Every task has a name, sees one shutdown signal, and is waited for when the node stops.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Error;

/// The background tasks of one node. Clones share the same set.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    shutdown: CancellationToken,
    running: Arc<Mutex<Vec<Running>>>,
    left_out: &'static [&'static str],
}

#[derive(Debug)]
struct Running {
    name: &'static str,
    handle: JoinHandle<()>,
}

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    /// Tasks among which those with these names never start: for a simulation, which does their work itself, at moments that
    /// repeat.
    pub fn without(names: &'static [&'static str]) -> Self {
        Self {
            left_out: names,
            ..Self::default()
        }
    }

    /// Runs a future until it ends. It should watch [`Tasks::stopping`] and return soon after.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        if self.left_out.contains(&name) {
            return;
        }
        let handle = tokio::spawn(task);
        self.remember(name, handle);
    }

    /// Runs a future of no lasting life, such as one connection; the returned handle is the caller's.
    pub fn detach<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        tokio::spawn(task)
    }

    /// Runs blocking work on its own operating-system thread and waits for it at shutdown.
    pub fn thread(
        &self,
        name: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), Error> {
        let (ended, wait) = tokio::sync::oneshot::channel::<()>();
        std::thread::Builder::new()
            .name(name.to_string())
            .spawn(move || {
                work();
                drop(ended);
            })
            .map_err(|cause| {
                Error::internal(format!("cannot start thread {name}")).with_source(cause)
            })?;
        let handle = tokio::spawn(async move {
            // The sender is dropped without sending, when the thread has ended.
            let _ = wait.await;
        });
        self.remember(name, handle);
        Ok(())
    }

    /// Runs short blocking or CPU-heavy work off the async threads.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|cause| Error::internal("background work failed").with_source(cause))
    }

    /// Waits for `duration`, or less when the node stops; true when it was the full time.
    pub async fn pause(&self, duration: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(duration) => true,
            () = self.shutdown.cancelled() => false,
        }
    }

    /// Asks every task to end.
    pub fn stop(&self) {
        self.shutdown.cancel();
    }

    /// Resolves once [`Tasks::stop`] was called.
    pub async fn stopping(&self) {
        self.shutdown.cancelled().await;
    }

    pub fn is_stopping(&self) -> bool {
        self.shutdown.is_cancelled()
    }

    /// Stops and waits for every task, at most `limit` each; also for those that a task starts on its way out.
    pub async fn drain(&self, limit: Duration) {
        self.stop();
        loop {
            let running = std::mem::take(&mut *self.running.lock());
            if running.is_empty() {
                return;
            }
            for Running { name, handle } in running {
                match tokio::time::timeout(limit, handle).await {
                    Ok(Ok(())) => tracing::debug!(task = name, "task ended"),
                    Ok(Err(fault)) => tracing::error!(task = name, %fault, "task failed"),
                    Err(_) => tracing::warn!(task = name, "task did not end in time"),
                }
            }
        }
    }

    fn remember(&self, name: &'static str, handle: JoinHandle<()>) {
        let mut running = self.running.lock();
        running.retain(|running| !running.handle.is_finished());
        running.push(Running { name, handle });
    }
}
