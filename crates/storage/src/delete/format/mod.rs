//! Bytes of the lists of deleted rows, one file per version. docs/formats/deletes.md.

pub mod v1;
