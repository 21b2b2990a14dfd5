//! `create query_group`, `update query_group`, `delete query_group`, `show query_groups` (spec/cli.md §9.3).

use std::num::NonZeroU64;

use anyhow::bail;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::client::{Body, Client, ConnectionOptions};
use crate::output;

const PATH: &str = "/api/v3/enterprise/configure/query_groups";

#[derive(Debug, clap::Args)]
pub(crate) struct CreateOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Nodes of the group, in the order that says which part each of them holds
    #[arg(long, value_name = "ID", value_delimiter = ',', required = true)]
    node_ids: Vec<String>,

    /// How many nodes hold each part: from 1 to the number of nodes
    #[arg(long, value_name = "N")]
    replication_factor: NonZeroU64,

    /// Name of the new group
    name: String,
}

impl CreateOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (factor, nodes) = (self.replication_factor.get(), self.node_ids.len());
        if factor > nodes as u64 {
            bail!("--replication-factor {factor} is more than there are nodes: {nodes}");
        }
        let body = json!({
            "name": self.name,
            "node_ids": self.node_ids,
            "replication_factor": factor,
        });
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::POST, PATH, &[], Body::Json(body))
            .await?;
        output::print(format_args!(
            "Query group {:?} created successfully",
            self.name
        ))
    }
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true).args(["name", "node_ids", "replication_factor"]))]
pub(crate) struct UpdateOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Another name
    #[arg(long)]
    name: Option<String>,

    /// Other nodes, in their order
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    node_ids: Option<Vec<String>>,

    /// How many nodes hold each part
    #[arg(long, value_name = "N")]
    replication_factor: Option<NonZeroU64>,

    /// Id of the group
    id: String,
}

impl UpdateOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let changes = [
            ("name", self.name.map(Value::from)),
            ("node_ids", self.node_ids.map(Value::from)),
            (
                "replication_factor",
                self.replication_factor.map(|factor| factor.get().into()),
            ),
        ];
        let body: Map<String, Value> = changes
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_string(), value?)))
            .collect();
        let client = Client::new(&self.connection, None)?;
        let path = client.path(PATH, &self.id)?;
        client
            .send(Method::PATCH, &path, &[], Body::Json(Value::Object(body)))
            .await?;
        output::print(format_args!(
            "Query group {:?} updated successfully",
            self.id
        ))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Id of the group
    id: String,
}

impl DeleteOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let client = Client::new(&self.connection, None)?;
        let path = client.path(PATH, &self.id)?;
        client.send(Method::DELETE, &path, &[], Body::Empty).await?;
        output::print(format_args!(
            "Query group {:?} deleted successfully",
            self.id
        ))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    output: crate::listing::ListOptions,
}

impl ShowOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let client = Client::new(&self.connection, None)?;
        let columns = ["id", "name", "node_ids", "replication_factor"];
        self.output
            .show(&client, PATH, &[], "query_groups", &columns)
            .await
    }
}
