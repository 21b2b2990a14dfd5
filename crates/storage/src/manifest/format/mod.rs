//! The bytes of the manifest, by version. Described in docs/formats/manifest.md.

pub mod v1;
