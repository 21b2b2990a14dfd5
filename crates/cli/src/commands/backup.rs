//! `create backup`, `status backup`, `show backups`, `cancel backup`, `delete backup` (spec/cli.md §9.3, spec/http-api.md §13.3).

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::client::{Body, Client, ConnectionOptions};
use crate::listing::ListOptions;
use crate::output;

const PATH: &str = "/api/v3/enterprise/backup";

#[derive(Debug, clap::Args)]
pub(crate) struct CreateOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Name of the new backup; made of the time when not given
    #[arg(long)]
    name: Option<String>,

    /// Keep only what is new since another backup
    #[arg(long, requires = "parent")]
    incremental: bool,

    /// The backup that an incremental one adds to
    #[arg(long, value_name = "NAME", requires = "incremental")]
    parent: Option<String>,

    /// Replace a backup of this name
    #[arg(long)]
    force: bool,
}

impl CreateOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Begun {
            backup_name: String,
        }

        let kind = match self.incremental {
            true => "incremental",
            false => "full",
        };
        let mut body = json!({ "type": kind, "force": self.force });
        if let Some(name) = self.name {
            body["name"] = json!(name);
        }
        if let Some(parent) = self.parent {
            body["parent"] = json!(parent);
        }
        let client = Client::new(&self.connection, None)?;
        let response = client
            .send(Method::POST, PATH, &[], Body::Json(body))
            .await?;
        let begun: Begun = response.json().await?;
        output::print(format_args!("Backup {:?} started", begun.backup_name))
    }
}

/// One backup.
#[derive(Debug, clap::Args)]
pub(crate) struct NamedOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Name of the backup
    #[arg(long)]
    name: String,
}

impl NamedOptions {
    pub(crate) async fn status(self) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Backup {
            status: String,
        }

        let client = Client::new(&self.connection, None)?;
        let path = client.path(PATH, &self.name)?;
        let response = client.send(Method::GET, &path, &[], Body::Empty).await?;
        let backup: Backup = response.json().await?;
        output::print(backup.status)
    }

    pub(crate) async fn cancel(self) -> anyhow::Result<()> {
        let body = json!({ "name": self.name });
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::DELETE, PATH, &[], Body::Json(body))
            .await?;
        output::print(format_args!(
            "Backup {:?} cancelled successfully",
            self.name
        ))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Name of the backup; the incremental ones that add to it go too
    #[arg(long)]
    name: String,

    /// The backup is an incremental one
    #[arg(long)]
    incremental: bool,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
}

impl DeleteOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let name = &self.name;
        if !self.yes {
            output::confirm_deletion(&format!("backup {name:?}"))?;
        }
        let parameters: &[(&str, &str)] = match self.incremental {
            true => &[("type", "incremental")],
            false => &[],
        };
        let client = Client::new(&self.connection, None)?;
        let path = client.path(PATH, name)?;
        client
            .send(Method::DELETE, &path, parameters, Body::Empty)
            .await?;
        output::print(format_args!("Backup {name:?} deleted successfully"))
    }
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
            "name",
            "type",
            "status",
            "created_at",
            "completed_at",
            "total_files",
            "total_size_bytes",
        ];
        let client = Client::new(&self.connection, None)?;
        self.output
            .show(&client, PATH, &[], "backups", &columns)
            .await
    }
}
