//! Frozen byte layouts of the catalog's objects: the log record and the checkpoint.
//!
//! The only way between bytes and living types. Pure: no store, no clock. Each version's layout stands in its own
//! file and never changes once released; told byte by byte in `docs/formats/catalog.md`. Reading takes any bytes and
//! never panics: what cannot be trusted is `Corrupt`, with the offset at which that showed.

mod v1;

pub use v1::{Frame, decode_checkpoint, decode_log, encode_checkpoint, encode_log, look};

#[cfg(test)]
mod tests;
