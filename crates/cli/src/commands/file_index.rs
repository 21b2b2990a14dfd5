//! `create file_index`, `delete file_index` (spec/cli.md §9.3): which columns the index of each file is about.

use reqwest::Method;
use serde_json::json;

use crate::client::{Body, Client, ConnectionOptions, DatabaseOption};
use crate::output;

const PATH: &str = "/api/v3/enterprise/configure/file_index";

#[derive(Debug, clap::Args)]
pub(crate) struct CreateOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    database: DatabaseOption,

    /// Table to index; every table of the database when not given
    #[arg(short, long)]
    table: Option<String>,

    /// Columns to index
    #[arg(required = true, value_delimiter = ',')]
    columns: Vec<String>,
}

impl CreateOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut body = json!({
            "db": self.database.database_name,
            "columns": self.columns,
        });
        if let Some(table) = self.table {
            body["table"] = json!(table);
        }
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::POST, PATH, &[], Body::Json(body))
            .await?;
        output::print("File index created successfully")
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    database: DatabaseOption,

    /// Table whose index goes; the database's own when not given
    #[arg(short, long)]
    table: Option<String>,
}

impl DeleteOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut body = json!({ "db": self.database.database_name });
        if let Some(table) = self.table {
            body["table"] = json!(table);
        }
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::DELETE, PATH, &[], Body::Json(body))
            .await?;
        output::print("File index deleted successfully")
    }
}
