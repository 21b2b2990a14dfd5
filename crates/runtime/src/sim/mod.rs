//! Simulated twins of the outside world that inject faults on purpose.

pub mod store;

pub use store::FaultyStore;
