//! `revoke token`: ends a secret beside the one in use: an old one that still works, or a staged one that never will.
//!
//! The token itself stays; `delete token` takes that away. Nothing is asked: the option says exactly what goes, and who needs this
//! is often in a hurry.

use reqwest::Method;

use super::PATH;
use crate::client::{Body, Client, ConnectionOptions};
use crate::output;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("secret").required(true).args(["previous", "staged"]))]
pub(crate) struct Options {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Name of the token
    #[arg(long, value_name = "NAME")]
    token_name: String,

    /// The old secret that still works after `regenerate token --grace`
    #[arg(long)]
    previous: bool,

    /// The new secret that `regenerate token --stage` made
    #[arg(long)]
    staged: bool,
}

impl Options {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let which = match self.previous {
            true => "previous",
            false => "staged",
        };
        let client = Client::new(&self.connection, None)?;
        let path = format!("{PATH}/{which}");
        let parameters = [("token_name", self.token_name.as_str())];
        client
            .send(Method::DELETE, &path, &parameters, Body::Empty)
            .await?;
        let name = &self.token_name;
        output::print(format_args!(
            "The {which} secret of token {name:?} revoked successfully"
        ))
    }
}
