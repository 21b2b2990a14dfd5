//! The threads of a run: how many, and how they share work (spec/cli.md §2.2).

use std::num::NonZeroUsize;

use tokio::runtime::{Builder, Runtime};

use crate::options::settings::Settings;

/// The runtime that everything runs on, as the options of the program ask for it.
pub(crate) fn runtime(settings: &Settings) -> std::io::Result<Runtime> {
    let number = |name| settings.number::<NonZeroUsize>(name).map(NonZeroUsize::get);
    let mut builder = Builder::new_multi_thread();
    builder.enable_all();
    if let Some(threads) = number("num-io-threads") {
        builder.worker_threads(threads);
    }
    if let Some(steps) = settings.number::<std::num::NonZeroU32>("io-runtime-event-interval") {
        builder.event_interval(steps.get());
    }
    if let Some(steps) = settings.number::<std::num::NonZeroU32>("io-runtime-global-queue-interval")
    {
        builder.global_queue_interval(steps.get());
    }
    if let Some(threads) = number("io-runtime-max-blocking-threads") {
        builder.max_blocking_threads(threads);
    }
    if let Some(events) = number("io-runtime-max-io-events-per-tick") {
        builder.max_io_events_per_tick(events);
    }
    if let Some(idle) = settings.duration("io-runtime-thread-keep-alive") {
        builder.thread_keep_alive(idle);
    }
    builder.build()
}
