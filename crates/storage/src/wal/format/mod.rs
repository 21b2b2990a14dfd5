//! The bytes of the log, by version. Described in docs/formats/wal.md.

pub mod v1;
