//! The query engine: one statement in, a schema and a stream of batches out.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::stream::BoxStream;

use catalog::Catalog;
use runtime::World;
use storage::Engine;

use crate::Error;

/// Settings of the query engine.
#[derive(Clone, Debug)]
pub struct Config {
    /// Memory for sorts, joins and aggregates of all queries together.
    pub memory_bytes: usize,
    /// Partitions a query is split into.
    pub threads: usize,
}

/// A value for a `$name` placeholder.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    Null,
    Boolean(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    String(String),
}

/// One SQL statement for one database.
#[derive(Clone, Debug)]
pub struct Query {
    pub database: String,
    pub text: String,
    /// By name, without the `$`.
    pub parameters: Vec<(String, Parameter)>,
}

/// A running query. Dropping the stream ends it.
pub struct QueryResult {
    pub schema: SchemaRef,
    pub batches: BoxStream<'static, Result<RecordBatch, Error>>,
}

/// Plans and runs queries.
pub struct QueryEngine {}

impl QueryEngine {
    pub fn new(
        config: Config,
        storage: Arc<Engine>,
        catalog: Arc<Catalog>,
        world: World,
    ) -> Result<Self, Error> {
        let _ = (config, storage, catalog, world);
        unimplemented!()
    }

    /// Plans `query` and starts it. Errors have the kinds of spec/query-sql.md §1.4: `NotFound` for an unknown database (its
    /// message is `database not found: NAME`), `Invalid` for syntax and planning, `Unsupported` for what DataFusion cannot do.
    pub async fn sql(&self, query: Query) -> Result<QueryResult, Error> {
        let _ = query;
        unimplemented!()
    }
}
