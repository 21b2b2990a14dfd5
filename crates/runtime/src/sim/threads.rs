//! The threads a simulation runs on: one per run, many runs beside each other.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;

/// Runs a future on this thread, and whatever tasks it spawns: they take turns in an order that repeats.
pub fn alone<T>(future: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::internal("cannot start a runtime").with_source(cause))?;
    Ok(runtime.block_on(future))
}

/// Does `job` once with every number, on as many threads as asked for; each takes the next number when it is done with one.
/// A job that panics ends the whole with that panic.
pub fn in_parallel(threads: usize, numbers: Range<u64>, job: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(numbers.start);
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= numbers.end {
                return;
            }
            job(number);
        }
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (1..threads.max(1)).map(|_| scope.spawn(work)).collect();
        work();
        for thread in running {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}
