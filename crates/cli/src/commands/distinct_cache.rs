//! `create distinct_cache`, `delete distinct_cache` (spec/cli.md §7.1, §7.2).

use std::num::NonZeroU64;
use std::time::Duration;

use serde_json::json;

use super::cache::{self, CachedTable};
use super::node_spec::{self, NodeSpec};
use crate::client::ConnectionOptions;
use crate::output;

const PATH: &str = "/api/v3/configure/distinct_cache";

#[derive(Debug, clap::Args)]
pub(crate) struct CreateOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    table: CachedTable,

    /// Columns whose distinct values are kept, from the outer level to the inner
    #[arg(long, value_delimiter = ',')]
    columns: Vec<String>,

    /// Combinations of values to keep at most
    #[arg(long, default_value = "100000")]
    max_cardinality: NonZeroU64,

    /// How long a combination is kept that does not come again
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = crate::duration::parse)]
    max_age: Duration,

    /// Nodes that keep the cache: all, or nodes:ID,ID
    #[arg(short, long, value_name = "NODE_SPEC", value_parser = node_spec::parse)]
    node_spec: Option<NodeSpec>,

    /// Name of the new cache; made of the table and the columns when not given
    cache_name: Option<String>,
}

impl CreateOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut body = json!({
            "db": self.table.database.database_name,
            "table": self.table.table,
            "columns": self.columns,
            "max_cardinality": self.max_cardinality,
            "max_age": self.max_age.as_secs(),
        });
        if let Some(name) = self.cache_name {
            body["name"] = json!(name);
        }
        if let Some(nodes) = self.node_spec {
            body["node_spec"] = nodes.wire();
        }
        cache::create(&self.connection, PATH, body).await
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteOptions {
    #[command(flatten)]
    cache: cache::CacheToDelete,
}

impl DeleteOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        self.cache.run(PATH).await?;
        output::print("distinct cache deleted successfully")
    }
}
