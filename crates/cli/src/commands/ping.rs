//! `ping`: whether a server answers, and which one. For people, scripts that wait for a start, and health checks of containers.
//!
//! A server that refuses the token answers too: it lives. With `--ready` it must also be able to work (`GET /ready`).

use std::time::Duration;

use anyhow::bail;
use reqwest::Method;
use serde::Deserialize;
use server::{Clock, SystemClock};

use crate::client::{Body, Client, ClientError, ConnectionOptions};
use crate::output;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Ask whether the server can work: its store answers, it takes writes
    #[arg(long)]
    ready: bool,

    /// Try again until this much time has passed
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = crate::duration::parse)]
    wait: Duration,
}

/// What `/ping` tells.
#[derive(Debug, Deserialize)]
struct Told {
    product_name: String,
    version: String,
    revision: String,
}

impl Options {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let client = Client::new(&self.connection, None)?;
        let clock = SystemClock::new();
        let until = clock.monotonic() + self.wait;
        loop {
            let refusal = match self.try_once(&client).await {
                Ok(told) => return output::print(told),
                Err(refusal) => refusal,
            };
            if clock.monotonic() >= until {
                bail!(refusal);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_once(&self, client: &Client) -> Result<String, ClientError> {
        let path = if self.ready { "/ready" } else { "/ping" };
        match client.send(Method::GET, path, &[], Body::Empty).await {
            Ok(_) if self.ready => Ok("ready".to_string()),
            Ok(answer) => {
                let told: Told = answer.json().await?;
                Ok(format!(
                    "{}, {}, revision {}",
                    told.product_name, told.version, told.revision
                ))
            }
            Err(ClientError::ApiError { code: 401, .. }) if !self.ready => {
                Ok("the server answers, and wants a token".to_string())
            }
            Err(refusal) => Err(refusal),
        }
    }
}
