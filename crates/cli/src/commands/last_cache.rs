//! `create last_cache`, `delete last_cache` (spec/cli.md §7.1, §7.2).

use std::time::Duration;

use serde_json::json;

use super::cache::{self, CachedTable};
use super::node_spec::{self, NodeSpec};
use crate::client::ConnectionOptions;
use crate::output;

const PATH: &str = "/api/v3/configure/last_cache";

#[derive(Debug, clap::Args)]
pub(crate) struct CreateOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    table: CachedTable,

    /// Columns whose values name the rows that are kept; all tags when not given
    #[arg(long, value_delimiter = ',')]
    key_columns: Option<Vec<String>>,

    /// Columns to keep; all others when not given
    #[arg(long, value_delimiter = ',')]
    value_columns: Option<Vec<String>>,

    /// How many of the newest rows to keep of each key
    #[arg(long, default_value = "1", value_parser = parse_count)]
    count: u64,

    /// How long a row is kept
    #[arg(long, value_name = "DURATION", default_value = "4 hours", value_parser = crate::duration::parse)]
    ttl: Duration,

    /// Nodes that keep the cache: all, or nodes:ID,ID
    #[arg(long, value_name = "NODE_SPEC", value_parser = node_spec::parse)]
    node_spec: Option<NodeSpec>,

    /// Name of the new cache; made of the table and the keys when not given
    cache_name: Option<String>,
}

fn parse_count(text: &str) -> Result<u64, &'static str> {
    match text.parse() {
        Ok(0) => Err("invalid count for last cache provided"),
        Ok(count) => Ok(count),
        Err(_) => Err("expected an unsigned integer for last cache count"),
    }
}

impl CreateOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut body = json!({
            "db": self.table.database.database_name,
            "table": self.table.table,
            "count": self.count,
            "ttl": self.ttl.as_secs(),
        });
        if let Some(name) = self.cache_name {
            body["name"] = json!(name);
        }
        if let Some(columns) = self.key_columns {
            body["key_columns"] = json!(columns);
        }
        if let Some(columns) = self.value_columns {
            body["value_columns"] = json!(columns);
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
        output::print("last cache deleted successfully")
    }
}
