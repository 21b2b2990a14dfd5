//! `loadcap`: recording what a node is asked to do, and fetching the record (spec/cli.md §9.3, spec/http-api.md §13.5).

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::client::{Body, Client, ConnectionOptions};
use crate::listing::ListOptions;
use crate::output;

const START: &str = "/api/v3/loadcap/start";
const PROFILES: &str = "/api/v3/loadcap/profiles";

const DURATION_MAX: Duration = Duration::from_secs(3600);

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Loadcap {
    /// Begin to record
    Start(StartOptions),
    /// List what was recorded
    List(ListProfilesOptions),
    /// Tell which files a record has
    Files(ProfileOptions),
    /// Print the beginning of a record
    Preview(ProfileOptions),
    /// Fetch a record
    Download(DownloadOptions),
    /// Delete a record
    Delete(ProfileOptions),
}

impl Loadcap {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Start(options) => options.run().await,
            Self::List(options) => options.run().await,
            Self::Files(options) => options.print("").await,
            Self::Preview(options) => options.print("/preview").await,
            Self::Download(options) => options.run().await,
            Self::Delete(options) => options.delete().await,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "lowercase")]
enum Kind {
    Write,
    Query,
    Both,
}

impl Kind {
    fn wire_name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Query => "query",
            Self::Both => "both",
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct StartOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// What to record
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    kind: Kind,

    /// How long to record, an hour at most
    #[arg(long, value_name = "DURATION", value_parser = crate::duration::parse)]
    duration: Duration,
}

impl StartOptions {
    async fn run(self) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Begun {
            profile_id: String,
        }

        if self.duration > DURATION_MAX {
            let asked = crate::duration::format(self.duration);
            bail!("--duration {asked} is longer than an hour");
        }
        let body = json!({
            "type": self.kind.wire_name(),
            "duration": crate::duration::format(self.duration),
        });
        let client = Client::new(&self.connection, None)?;
        let response = client
            .send(Method::POST, START, &[], Body::Json(body))
            .await?;
        let begun: Begun = response.json().await?;
        output::print(format_args!("Load capture {:?} started", begun.profile_id))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListProfilesOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    output: ListOptions,
}

impl ListProfilesOptions {
    async fn run(self) -> anyhow::Result<()> {
        let columns = [
            "profile_id",
            "created_at",
            "type",
            "duration",
            "node_id",
            "status",
        ];
        let client = Client::new(&self.connection, None)?;
        self.output
            .show(&client, PROFILES, &[], "profiles", &columns)
            .await
    }
}

/// One record.
#[derive(Debug, clap::Args)]
pub(crate) struct ProfileOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Id of the record
    #[arg(long, value_name = "ID")]
    profile_id: String,
}

impl ProfileOptions {
    async fn print(self, part: &str) -> anyhow::Result<()> {
        let client = Client::new(&self.connection, None)?;
        let path = client.path(PROFILES, &self.profile_id)? + part;
        let response = client.send(Method::GET, &path, &[], Body::Empty).await?;
        output::copy_line(response.stream()).await
    }

    async fn delete(self) -> anyhow::Result<()> {
        let client = Client::new(&self.connection, None)?;
        let path = client.path(PROFILES, &self.profile_id)?;
        client.send(Method::DELETE, &path, &[], Body::Empty).await?;
        output::print(format_args!(
            "Load capture {:?} deleted successfully",
            self.profile_id
        ))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct DownloadOptions {
    #[command(flatten)]
    profile: ProfileOptions,

    /// File to write; ID.tar.gz when not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl DownloadOptions {
    async fn run(self) -> anyhow::Result<()> {
        let id = &self.profile.profile_id;
        let client = Client::new(&self.profile.connection, None)?;
        let path = client.path(PROFILES, id)? + "/download";
        let response = client.send(Method::GET, &path, &[], Body::Empty).await?;
        let target = self
            .output
            .unwrap_or_else(|| format!("{id}.tar.gz").replace(['/', '\\'], "_").into());
        output::copy_to_file(response.stream(), &target).await?;
        output::print(format_args!("Load capture saved to {}", target.display()))
    }
}
