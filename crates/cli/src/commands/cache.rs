//! What the commands of both value caches share: where a cache lives, how its creation is told; and `show caches`.
//!
//! Texts: spec/cli.md §7.1, spec/catalog-and-caches.md §10. Not here: the options of either cache (`last_cache`, `distinct_cache`).

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Body, Client, ConnectionOptions, DatabaseOption};
use crate::output::{self, DatabaseListing};

/// The table that a cache is about.
#[derive(Debug, clap::Args)]
pub(super) struct CachedTable {
    #[command(flatten)]
    pub(super) database: DatabaseOption,

    /// Table of the cache
    #[arg(short, long)]
    pub(super) table: String,
}

/// Asks for a cache and tells what came of it.
pub(super) async fn create(
    connection: &ConnectionOptions,
    path: &str,
    body: Value,
) -> anyhow::Result<()> {
    let client = Client::new(connection, None)?;
    let response = client
        .send(Method::POST, path, &[], Body::Json(body))
        .await?;
    if response.status() == StatusCode::NO_CONTENT {
        return output::print("a cache already exists for the provided parameters");
    }
    let created: Value = response.json().await?;
    output::print(format_args!("new cache created: {created:#}"))
}

/// Which cache goes.
#[derive(Debug, clap::Args)]
pub(super) struct CacheToDelete {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    table: CachedTable,

    /// Name of the cache to delete
    #[arg(required = true)]
    cache_name: String,
}

impl CacheToDelete {
    pub(super) async fn run(self, path: &str) -> anyhow::Result<()> {
        let body = json!({
            "db": self.table.database.database_name,
            "table": self.table.table,
            "name": self.cache_name,
        });
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::DELETE, path, &[], Body::Json(body))
            .await?;
        Ok(())
    }
}

const LISTING: &str = "SELECT 'last' AS kind, \"table\", name FROM system.last_caches \
     UNION ALL SELECT 'distinct' AS kind, \"table\", name FROM system.distinct_caches ORDER BY \"table\", kind, name";

#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    #[command(flatten)]
    listing: DatabaseListing,
}

impl ShowOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        self.listing.print(LISTING).await
    }
}
