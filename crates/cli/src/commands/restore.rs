//! `create restore`, `status restore`, `show restores`, `cancel restore` (spec/cli.md §9.3, spec/http-api.md §13.3).

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::client::{Body, Client, ConnectionOptions};
use crate::listing::ListOptions;
use crate::output;

const PATH: &str = "/api/v3/enterprise/restore";

#[derive(Debug, clap::Args)]
pub(crate) struct CreateOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Backup to go back to
    #[arg(long, value_name = "NAME")]
    backup: String,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
}

impl CreateOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Begun {
            restore_id: String,
        }

        let backup = &self.backup;
        if !self.yes {
            output::confirm(&format!(
                "Are you sure you want to put everything back to backup {backup:?}?"
            ))?;
        }
        let body = json!({ "backup_name": backup });
        let client = Client::new(&self.connection, None)?;
        let response = client
            .send(Method::POST, PATH, &[], Body::Json(body))
            .await?;
        let begun: Begun = response.json().await?;
        output::print(format_args!(
            "Restore {:?} of backup {backup:?} started",
            begun.restore_id
        ))
    }
}

/// One restore.
#[derive(Debug, clap::Args)]
pub(crate) struct IdOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Id of the restore; the newest one when not given
    #[arg(long, value_name = "ID")]
    restore_id: Option<String>,
}

#[derive(Deserialize)]
struct Restore {
    restore_id: String,
    status: String,
}

impl IdOptions {
    pub(crate) async fn status(self) -> anyhow::Result<()> {
        let client = Client::new(&self.connection, None)?;
        let status = match &self.restore_id {
            Some(id) => {
                let path = client.path(PATH, id)?;
                let response = client.send(Method::GET, &path, &[], Body::Empty).await?;
                response.json::<Restore>().await?.status
            }
            None => newest(&client).await?.status,
        };
        output::print(status)
    }

    pub(crate) async fn cancel(self) -> anyhow::Result<()> {
        let client = Client::new(&self.connection, None)?;
        let id = match self.restore_id {
            Some(id) => id,
            None => newest(&client).await?.restore_id,
        };
        let path = client.path(PATH, &id)?;
        client.send(Method::DELETE, &path, &[], Body::Empty).await?;
        output::print(format_args!("Restore {id:?} cancelled successfully"))
    }
}

/// The server lists the newest first.
async fn newest(client: &Client) -> anyhow::Result<Restore> {
    #[derive(Deserialize)]
    struct Listed {
        restores: Vec<Restore>,
    }

    let response = client.send(Method::GET, PATH, &[], Body::Empty).await?;
    let listed: Listed = response.json().await?;
    let newest = listed.restores.into_iter().next();
    newest.ok_or_else(|| anyhow::anyhow!("there is no restore"))
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    output: ListOptions,
}

impl ShowOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let columns = [
            "restore_id",
            "backup_name",
            "status",
            "created_at",
            "completed_at",
        ];
        let client = Client::new(&self.connection, None)?;
        self.output
            .show(&client, PATH, &[], "restores", &columns)
            .await
    }
}
