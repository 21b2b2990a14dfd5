//! `show plugins`: the files of the plugins of all triggers (spec/cli.md §7.3).

use crate::client::{Client, ConnectionOptions};
use crate::output::OutputOptions;

const LISTING: &str = "SELECT * FROM system.plugin_files ORDER BY plugin_name, file_name";

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
