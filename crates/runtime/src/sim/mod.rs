//! Simulated twins of the outside world that inject faults on purpose, and what a simulation runs on.
//!
//! A run repeats when everything in it comes from its seed: chance from [`Dice`], time from
//! [`SimulatedClock`](crate::clock::SimulatedClock), failures from the [`Faults`] of a [`FaultyStore`], and one thread that
//! takes turns among tasks ([`alone`]). Not here: what is simulated (the crate `sim`).

pub mod dice;

pub mod faults;

pub mod store;

mod threads;

pub use dice::Dice;
pub use faults::Faults;
pub use store::FaultyStore;
pub use threads::{alone, in_parallel};
