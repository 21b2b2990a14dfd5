//! Simulation: a whole node on a store that fails on purpose, checked against a naive model after every step.
//!
//! ```text
//! seed ─> profile ─> run: pick a step ─> node: do it ─> reader: look ─> model: may it look like that?
//!                      └──────────────────── until the steps are used up, or a difference is found
//! ```
//! Everything comes from the seed, so that a seed and a commit replay any failure: docs/simulation.md.
//! Not here: the failing store and the clock (`runtime::sim`), SQL and the network.

pub mod profile;

pub mod points;

pub mod model;

pub mod node;

pub mod reader;

pub mod run;

mod overlaps;

mod steps;

pub use profile::Kind;
pub use run::{Failure, Options, Passed, run};
