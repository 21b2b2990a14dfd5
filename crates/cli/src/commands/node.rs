//! `show nodes`: the nodes of the cluster that a server belongs to (spec/cli.md §9.3).

use crate::client::{Client, ConnectionOptions};
use crate::output::OutputOptions;

const LISTING: &str = "SELECT * FROM system.nodes ORDER BY node_id";

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
        self.output.list(&client, LISTING).await
    }
}
