//! The outside world: time, chance, the object store and background tasks, each with a simulated twin.
//!
//! Everything that makes one run differ from the next enters the program through here, so that tests can
//! replace it. Not here: what the bytes in the store mean (`catalog`, `storage`) and the network (`server`).

#![allow(
    clippy::disallowed_methods,
    reason = "this crate is the one place that reads the clock and starts tasks and threads"
)]

pub mod clock;

pub mod error;

pub mod random;

pub mod object_store;

pub mod tasks;

pub mod workers;

pub mod sim;

pub use clock::{Clock, SystemClock};
pub use error::{Error, ErrorKind};
pub use object_store::Store;
pub use random::Random;
pub use tasks::Tasks;
pub use workers::Workers;

use std::sync::Arc;

/// All of the outside world that a node needs, handed down from `server` (or from a test).
#[derive(Clone, Debug)]
pub struct World {
    pub clock: Arc<dyn Clock>,
    pub random: Random,
    pub store: Store,
    pub tasks: Tasks,
}
