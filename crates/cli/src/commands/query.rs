//! `query`: one statement to the server, its rows to stdout or a file (spec/cli.md §7.4).

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use reqwest::{Method, Url};
use serde_json::json;

use crate::client::{Body, Client, ConnectionOptions, SQL_PATH};
use crate::output::OutputOptions;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "lowercase")]
enum Language {
    Sql,
    Influxql,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    output: OutputOptions,

    /// URL of the server to query, instead of --host
    #[arg(long, env = "INFLUXDB3_QUERY_HOST_URL", value_name = "HOST_URL", value_parser = crate::client::parse_host)]
    query_host: Option<Url>,

    /// Database to query
    #[arg(short, long = "database", env = "INFLUXDB3_DATABASE_NAME")]
    database_name: String,

    /// Language of the query
    #[arg(short, long, value_enum, default_value_t = Language::Sql)]
    language: Language,

    /// Read the query from this file
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// The query; read from the standard input when neither it nor a file is given
    query: Option<String>,
}

impl Options {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        self.output.check()?;
        let path = match self.language {
            Language::Sql => SQL_PATH,
            Language::Influxql => "/api/v3/query_influxql",
        };
        let body = json!({
            "db": self.database_name,
            "q": self.text()?,
            "format": self.output.format.wire_name(),
        });
        let client = Client::new(&self.connection, self.query_host.as_ref())?;
        let response = client
            .send(Method::POST, path, &[], Body::Json(body))
            .await?;
        self.output.copy(response.stream()).await
    }

    fn text(&self) -> anyhow::Result<String> {
        if let Some(query) = &self.query {
            return Ok(query.clone());
        }
        if let Some(path) = &self.file {
            return std::fs::read_to_string(path).map_err(|cause| {
                anyhow::anyhow!("error reading file: {}: {cause}", path.display())
            });
        }
        let mut stdin = io::stdin();
        if stdin.is_terminal() {
            anyhow::bail!(
                "No input from stdin detected, no string was passed in,  and no file path was given"
            );
        }
        let mut text = String::new();
        stdin
            .read_to_string(&mut text)
            .map_err(|cause| anyhow::anyhow!("error reading the standard input: {cause}"))?;
        Ok(text)
    }
}
