//! Workers: threads of their own for work that may hold a thread for long, so that the node goes on answering meanwhile.
//!
//! Queries run here: an operator that computes for seconds without a pause then delays other queries, never a write, a token
//! or a health check. Not here: background tasks of the node itself (`tasks`).

use std::future::Future;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::Error;

/// A set of worker threads.
#[derive(Debug)]
pub struct Workers {
    // Only taken when dropped.
    runtime: Option<Runtime>,
}

/// Work given to [`Workers`]. Dropping it ends the work at its next pause.
#[derive(Debug)]
pub struct Running {
    handle: JoinHandle<()>,
}

impl Workers {
    /// Starts `threads` threads, at least one, called `name`.
    pub fn start(name: &'static str, threads: usize) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .thread_name(name)
            .worker_threads(threads.max(1))
            .enable_all()
            .build()
            .map_err(|cause| {
                Error::internal(format!("cannot start {threads} {name} threads")).with_source(cause)
            })?;
        Ok(Self {
            runtime: Some(runtime),
        })
    }

    /// Runs `work` on these threads, and whatever it spawns itself.
    pub fn run(&self, work: impl Future<Output = ()> + Send + 'static) -> Running {
        let runtime = self.runtime.as_ref().expect("taken only when dropped");
        Running {
            handle: runtime.spawn(work),
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting here would hold the thread of whoever drops the node.
            runtime.shutdown_background();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_never_pauses_holds_nobody_else_up() {
        let workers = Workers::start("test", 1).expect("start");
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let stubborn = workers.run(async move {
            begun.send(()).expect("somebody waits");
            // Blocks its thread, as a computation would.
            let _ = wait.recv();
        });
        has_begun.await.expect("begun");
        tokio::task::yield_now().await;
        release.send(()).expect("still blocked");
        drop(stubborn);
    }

    #[tokio::test]
    async fn dropped_work_ends_at_its_next_pause() {
        let workers = Workers::start("test", 1).expect("start");
        let (kept, mut gone) = tokio::sync::mpsc::channel::<()>(1);
        let running = workers.run(async move {
            let _kept = kept;
            std::future::pending::<()>().await;
        });
        drop(running);
        assert_eq!(gone.recv().await, None);
    }
}
