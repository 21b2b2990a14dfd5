//! `create trigger`, `update trigger`, `delete trigger`, `enable trigger`, `disable trigger`, `show triggers` (spec/cli.md §7.1–§7.3,
//! §7.6, §7.7).
//!
//! Not here: which files make a plugin (`plugin_source`), what a trigger does (the server).

use std::path::PathBuf;

use anyhow::bail;
use reqwest::Method;
use serde_json::{Value, json};

use super::key_value::{self, KeyValue};
use super::node_spec::{self, NodeSpec};
use super::plugin_source::{self, PluginSource};
use crate::client::{Body, Client, ConnectionOptions, DatabaseOption};
use crate::output::{self, DatabaseListing};

const PATH: &str = "/api/v3/configure/processing_engine_trigger";
const FILES: &str = "/api/v3/plugins/files";
const FOLDER: &str = "/api/v3/plugins/directory";

/// The forms of `--trigger-spec`, when none of them was met.
const FORMS: &str = "expect one of the following forms: 'table:<TABLE_NAME>', 'all_tables', 'cron:<CRON_EXPRESSION>', \
     'every:<DURATION>', or 'request:<PATH>'";

const EVERY_SECONDS_MAX: u64 = 366 * 86_400;

/// What becomes of a trigger whose plugin fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "lowercase")]
enum ErrorBehavior {
    /// The failure is logged
    Log,
    /// The plugin is run again
    Retry,
    /// The trigger is disabled
    Disable,
}

impl ErrorBehavior {
    fn wire_name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Retry => "retry",
            Self::Disable => "disable",
        }
    }
}

/// When a trigger runs, in the words of the server; blanks around it do not count.
fn parse_trigger_spec(text: &str) -> Result<String, String> {
    let spec = text.trim();
    let fault = |reason: &str| Err(format!("failed to parse trigger from {text}: {reason}"));
    if spec == "all_tables" {
        return Ok(spec.to_string());
    }
    match spec.split_once(':') {
        Some(("table", "")) => fault("table name is empty"),
        Some(("table" | "request", _)) => Ok(spec.to_string()),
        Some(("cron", times)) if matches!(times.split_whitespace().count(), 6 | 7) => {
            Ok(spec.to_string())
        }
        Some(("cron", _)) => fault("a cron expression has 6 or 7 fields, seconds first"),
        Some(("every", period)) => match crate::duration::parse(period.trim()) {
            Err(_) => fault("couldn't parse to duration"),
            Ok(period) if period.as_secs() > EVERY_SECONDS_MAX => {
                fault("don't support every schedules of over 1 year")
            }
            Ok(_) => Ok(spec.to_string()),
        },
        _ => fault(FORMS),
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    database: DatabaseOption,

    /// Plugin: a file or folder in the server's plugin folder, here with --upload, or of the public plugins as gh:PATH
    #[arg(short, long)]
    path: Option<PathBuf>,

    /// The same as --path, as it was called before
    #[arg(long, value_name = "NAME", conflicts_with = "path")]
    plugin_filename: Option<PathBuf>,

    /// When to run: table:NAME, all_tables, cron:EXPRESSION, every:DURATION or request:PATH
    #[arg(long, value_name = "SPEC", value_parser = parse_trigger_spec)]
    trigger_spec: String,

    /// Arguments of the plugin: key=value, separated by commas
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = key_value::parse)]
    trigger_arguments: Vec<KeyValue>,

    /// What to do when the plugin fails
    #[arg(long, value_enum, default_value_t = ErrorBehavior::Log)]
    error_behavior: ErrorBehavior,

    /// Run again although an earlier run has not ended
    #[arg(long)]
    run_asynchronous: bool,

    /// Create the trigger without starting it
    #[arg(long)]
    disabled: bool,

    /// Send the plugin from this machine to the server first
    #[arg(long)]
    upload: bool,

    /// Nodes that run the trigger: all, or nodes:ID,ID
    #[arg(long, value_name = "NODE_SPEC", value_parser = node_spec::parse)]
    node_spec: Option<NodeSpec>,

    /// Name of the new trigger
    trigger_name: String,
}

impl CreateOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Some(path) = self.path.as_deref().or(self.plugin_filename.as_deref()) else {
            bail!("Either --path or --plugin-filename must be provided");
        };
        let source = match self.upload {
            true => Some(plugin_source::read(path, "File not found")?),
            false => None,
        };
        let client = Client::new(&self.connection, None)?;
        let filename = match &source {
            Some(source) => self.upload(&client, source).await?,
            None => path.display().to_string(),
        };
        let arguments = (!self.trigger_arguments.is_empty())
            .then(|| key_value::object(&self.trigger_arguments));
        let mut body = json!({
            "db": self.database.database_name,
            "plugin_filename": filename,
            "trigger_name": self.trigger_name,
            "trigger_settings": {
                "run_async": self.run_asynchronous,
                "error_behavior": self.error_behavior.wire_name(),
            },
            "trigger_specification": self.trigger_spec,
            "trigger_arguments": arguments,
            "disabled": self.disabled,
        });
        if let Some(nodes) = &self.node_spec {
            body["node_spec"] = nodes.wire();
        }
        client
            .send(Method::POST, PATH, &[], Body::Json(body))
            .await?;
        output::print(format_args!(
            "Trigger {} created successfully",
            self.trigger_name
        ))
    }

    /// Sends every file; returns what the plugin is called on the server.
    async fn upload(&self, client: &Client, source: &PluginSource) -> anyhow::Result<String> {
        let (name, files) = match source {
            PluginSource::File(piece) => (
                piece.path.clone(),
                vec![(piece.path.clone(), &piece.content)],
            ),
            PluginSource::Folder { name, pieces } => {
                let inside = |path: &str| format!("{name}/{path}");
                let files = pieces
                    .iter()
                    .map(|piece| (inside(&piece.path), &piece.content));
                (name.clone(), files.collect())
            }
        };
        let parameters = [("db", self.database.database_name.as_str())];
        for (path, content) in files {
            let body = json!({ "plugin_name": path, "content": content });
            client
                .send(Method::POST, FILES, &parameters, Body::Json(body))
                .await?;
        }
        Ok(name)
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct UpdateOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    database: DatabaseOption,

    /// Name of the trigger to change
    #[arg(short, long, value_name = "NAME")]
    trigger_name: String,

    /// The new plugin, on this machine: a file, or a folder that replaces everything
    #[arg(short, long)]
    path: PathBuf,
}

impl UpdateOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let source = plugin_source::read(&self.path, "Path does not exist")?;
        let name = &self.trigger_name;
        let (path, body, note) = match source {
            PluginSource::File(piece) => {
                let body = json!({ "plugin_name": name, "content": piece.content });
                (FILES, body, "")
            }
            PluginSource::Folder { pieces, .. } => {
                let files: Vec<Value> = pieces
                    .into_iter()
                    .map(|piece| json!({ "relative_path": piece.path, "content": piece.content }))
                    .collect();
                let body = json!({ "plugin_name": name, "files": files });
                (FOLDER, body, " (atomic directory replacement)")
            }
        };
        let parameters = [("db", self.database.database_name.as_str())];
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::PUT, path, &parameters, Body::Json(body))
            .await?;
        output::print(format_args!("Trigger '{name}' updated successfully{note}"))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    database: DatabaseOption,

    /// Delete the trigger although it is enabled
    #[arg(long)]
    force: bool,

    /// Name of the trigger to delete
    trigger_name: String,
}

impl DeleteOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let name = &self.trigger_name;
        let body = json!({
            "db": self.database.database_name,
            "trigger_name": name,
            "force": self.force,
        });
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::DELETE, PATH, &[], Body::Json(body))
            .await?;
        output::print(format_args!("Trigger {name} deleted successfully"))
    }
}

/// A trigger that is switched on or off.
#[derive(Debug, clap::Args)]
pub(crate) struct SwitchOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    database: DatabaseOption,

    /// Name of the trigger
    trigger_name: String,
}

impl SwitchOptions {
    pub(crate) async fn enable(self) -> anyhow::Result<()> {
        self.switch("enable").await
    }

    pub(crate) async fn disable(self) -> anyhow::Result<()> {
        self.switch("disable").await
    }

    async fn switch(self, verb: &str) -> anyhow::Result<()> {
        let name = self.trigger_name.as_str();
        let path = format!("{PATH}/{verb}");
        let parameters = [
            ("db", self.database.database_name.as_str()),
            ("trigger_name", name),
        ];
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::POST, &path, &parameters, Body::Empty)
            .await?;
        output::print(format_args!("Trigger {name} {verb}d successfully"))
    }
}

const LISTING: &str = "SELECT * FROM system.processing_engine_triggers ORDER BY trigger_name";

#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    #[command(flatten)]
    listing: DatabaseListing,
}

impl ShowOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        self.listing.print(LISTING).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_a_trigger_specification() {
        for text in [
            "table:cpu",
            "all_tables",
            " all_tables ",
            "cron:* * * * * *",
            "cron:0 0 12 * * * 2026",
            "every:10s",
            "every:1y",
            "request:hook",
        ] {
            assert_eq!(parse_trigger_spec(text), Ok(text.trim().to_string()));
        }
        for (text, reason) in [
            ("table:", "table name is empty"),
            ("every:often", "couldn't parse to duration"),
            ("every:2y", "don't support every schedules of over 1 year"),
            ("cron:* * * * *", "6 or 7 fields"),
            ("sometimes", "expect one of the following forms"),
        ] {
            let error = parse_trigger_spec(text).expect_err(text);
            let begin = format!("failed to parse trigger from {text}: ");
            assert!(
                error.starts_with(&begin) && error.contains(reason),
                "{error}"
            );
        }
    }
}
