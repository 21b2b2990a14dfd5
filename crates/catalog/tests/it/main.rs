//! The catalog as its users see it, over a store in memory that fails when told to.

mod concurrency;
mod recovery;
mod scripts;
mod tokens;
mod two_processes;
mod world;
