//! SQL to Arrow batches over `storage`'s tables. The only crate that names DataFusion.
//!
//! [`QueryEngine::sql`] plans a statement for one database and returns its schema and a stream of batches.
//! Not here: rendering (`server/http/encode`), reading files and merging duplicates (`storage/scan`).

pub mod engine;

pub use engine::{Config, Parameter, Query, QueryEngine, QueryResult};
pub use runtime::{Error, ErrorKind};
