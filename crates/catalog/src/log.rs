//! The durable log of changes.
