//! Frozen byte layouts of the objects that hold token events: docs/formats/token_events.md.
//!
//! The only way between bytes and living types. Pure: no store, no clock. Reading takes any bytes and never panics: what cannot be
//! trusted is `Corrupt`, with the offset at which that showed.

mod v1;

pub(super) use v1::{decode, encode};

use super::event::Recorded;

/// What one object holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// Names of objects whose events are all in this one, as far as they are kept.
    pub(super) replaces: Vec<String>,
    /// Events of changes up to this time, in milliseconds since the epoch, may have been let go.
    pub(super) forgotten_until_ms: Option<i64>,
    pub(super) events: Vec<Recorded>,
}

#[cfg(test)]
mod tests;
