//! `show plugins`, `test wal_plugin`, `test schedule_plugin` (spec/cli.md §7.3, §7.9).
//!
//! A test runs a plugin on the server without writing anything. Not here: what starts plugins (`trigger`).

use std::path::PathBuf;

use anyhow::bail;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::key_value::{self, KeyValue};
use crate::client::{Body, Client, ConnectionOptions, DatabaseOption};
use crate::output::{self, INTERNAL_DATABASE, OutputOptions};

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
        self.output.list(&client, INTERNAL_DATABASE, LISTING).await
    }
}

/// What both kinds of test are told.
#[derive(Debug, clap::Args)]
struct Trial {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    database: DatabaseOption,

    /// Arguments of the plugin: key=value, separated by commas
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = key_value::parse)]
    input_arguments: Vec<KeyValue>,

    /// Name of the cache that the plugin uses, so that runs can share one
    #[arg(long, value_name = "NAME")]
    cache_name: Option<String>,

    /// File of the plugin, in the server's plugin folder
    filename: String,
}

impl Trial {
    /// Runs the plugin with what is told here and `more`, and prints what came of it; failures of the plugin are part of that.
    async fn run(self, path: &str, more: Map<String, Value>) -> anyhow::Result<()> {
        let mut body = more;
        body.insert("filename".to_string(), json!(self.filename));
        body.insert("database".to_string(), json!(self.database.database_name));
        if !self.input_arguments.is_empty() {
            let arguments = key_value::object(&self.input_arguments);
            body.insert("input_arguments".to_string(), json!(arguments));
        }
        if let Some(name) = self.cache_name {
            body.insert("cache_name".to_string(), json!(name));
        }
        let client = Client::new(&self.connection, None)?;
        let response = client
            .send(Method::POST, path, &[], Body::Json(Value::Object(body)))
            .await?;
        let told: Value = response.json().await?;
        output::print(format_args!("{told:#}"))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct WalTestOptions {
    #[command(flatten)]
    trial: Trial,

    /// Line protocol that the plugin is given
    #[arg(long, value_name = "LINE_PROTOCOL")]
    lp: Option<String>,

    /// File on this machine with line protocol that the plugin is given
    #[arg(long, value_name = "FILE", conflicts_with = "lp")]
    file: Option<PathBuf>,
}

impl WalTestOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let lines = match (self.lp, self.file) {
            (Some(lines), _) => lines,
            (None, Some(path)) => match std::fs::read_to_string(&path) {
                Ok(lines) => lines,
                Err(cause) => bail!("unable to read input file {}: {cause}", path.display()),
            },
            (None, None) => bail!("either --lp or --file must be provided"),
        };
        let more = Map::from_iter([("input_lp".to_string(), json!(lines))]);
        self.trial.run("/api/v3/plugin_test/wal", more).await
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ScheduleTestOptions {
    #[command(flatten)]
    trial: Trial,

    /// When the plugin would run, as a cron expression with seconds first; every second when not given
    #[arg(long, value_name = "CRON")]
    schedule: Option<String>,
}

impl ScheduleTestOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let schedule = self
            .schedule
            .map(|times| ("schedule".to_string(), json!(times)));
        let more = Map::from_iter(schedule);
        self.trial.run("/api/v3/plugin_test/schedule", more).await
    }
}
