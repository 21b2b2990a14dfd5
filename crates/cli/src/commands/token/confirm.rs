//! `confirm token`: puts a staged secret to use. The credential of the request is that secret, so only who has it can.
//!
//! Safe to repeat: once confirmed, the same command with the same token succeeds again.

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;

use super::{PATH, seconds};
use crate::client::{Body, Client, ConnectionOptions};
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// How long the old secret still works; when not given, as long as the server's --token-grace-period
    #[arg(long, value_name = "DURATION", value_parser = crate::duration::parse)]
    grace: Option<Duration>,
}

impl Options {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Confirmed {
            name: String,
        }

        let grace = self.grace.map(|grace| seconds(grace).to_string());
        let parameters: Vec<_> = grace
            .iter()
            .map(|secs| ("grace_secs", secs.as_str()))
            .collect();
        let client = Client::new(&self.connection, None)?;
        let path = format!("{PATH}/confirm");
        let response = client
            .send(Method::POST, &path, &parameters, Body::Empty)
            .await?;
        let confirmed: Confirmed = response.json().await?;
        output::print(format_args!(
            "Token {:?} confirmed successfully",
            confirmed.name
        ))
    }
}
