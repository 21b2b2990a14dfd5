//! `show nodes`, `stop node`, `remove node`: the nodes of the cluster that a server belongs to (spec/cli.md §9.3, §9.4).

use std::time::Duration;

use anyhow::bail;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use server::{Clock, SystemClock};

use super::sql::literal;
use crate::client::{Body, Client, ConnectionOptions};
use crate::output::{self, Format, INTERNAL_DATABASE, OutputOptions};

const PATH: &str = "/api/v3/enterprise/configure/node";

const LISTING: &str = "SELECT * FROM system.nodes ORDER BY node_id";

/// Between two looks at a node that is about to stop.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    output: OutputOptions,
}

impl ShowOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let client = Client::new(&self.connection, None)?;
        self.output.list(&client, INTERNAL_DATABASE, LISTING).await
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct StopOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Id of the node
    #[arg(long, value_name = "ID")]
    node_id: String,

    /// Do not ask for confirmation
    #[arg(short = 'y', long, visible_alias = "yes", alias = "force")]
    no_confirm: bool,

    /// How long to wait until the node has stopped
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = crate::duration::parse)]
    timeout: Duration,

    /// Return at once
    #[arg(long)]
    no_wait: bool,
}

impl StopOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let id = self.node_id.as_str();
        if !self.no_confirm {
            output::confirm(&format!("Are you sure you want to stop node {id:?}?"))?;
        }
        let client = Client::new(&self.connection, None)?;
        let body = json!({ "node_id": id });
        client
            .send(Method::POST, &format!("{PATH}/stop"), &[], Body::Json(body))
            .await?;
        if self.no_wait {
            return output::print(format_args!("Node {id:?} is stopping"));
        }
        self.wait(&client).await?;
        output::print(format_args!("Node {id:?} stopped successfully"))
    }

    async fn wait(&self, client: &Client) -> anyhow::Result<()> {
        let clock = SystemClock::new();
        loop {
            let state = state(client, &self.node_id).await?;
            if state == "stopped" {
                return Ok(());
            }
            if clock.monotonic() >= self.timeout {
                bail!(
                    "node {:?} is still {state} after {}; it goes on by itself, `influxdb3 show nodes` tells when it has stopped",
                    self.node_id,
                    crate::duration::format(self.timeout)
                );
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

/// What a node does at the moment.
async fn state(client: &Client, node_id: &str) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Node {
        state: String,
    }

    let id = literal(node_id);
    let sql = format!("SELECT state FROM system.nodes WHERE node_id = {id}");
    let response = client.sql(INTERNAL_DATABASE, &sql, Format::Json).await?;
    let nodes: Vec<Node> = response.json().await?;
    let node = nodes.into_iter().next();
    node.map(|node| node.state)
        .ok_or_else(|| anyhow::anyhow!("there is no node {node_id:?}"))
}

#[derive(Debug, clap::Args)]
pub(crate) struct RemoveOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Id of the node; it must have been stopped
    #[arg(long, value_name = "ID")]
    node_id: String,

    /// Do not ask for confirmation
    #[arg(short = 'y', long, visible_alias = "yes", alias = "force")]
    no_confirm: bool,

    /// Remove the node although writes that it acknowledged are only in its log
    #[arg(long)]
    force_finalize: bool,
}

impl RemoveOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let id = self.node_id.as_str();
        if !self.no_confirm {
            output::confirm(&format!("Are you sure you want to remove node {id:?}?"))?;
        }
        let body = json!({ "node_id": id, "force_finalize": self.force_finalize });
        let client = Client::new(&self.connection, None)?;
        client
            .send(
                Method::POST,
                &format!("{PATH}/remove"),
                &[],
                Body::Json(body),
            )
            .await?;
        output::print(format_args!("Node {id:?} removed successfully"))
    }
}
