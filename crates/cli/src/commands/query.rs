//! `query`: statements to the server, their rows to stdout or a file (spec/cli.md §7.4).
//!
//! Without a query, on a terminal, it asks for them at a prompt.

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::HeaderName;
use reqwest::{Method, Url};
use serde_json::{Map, Value, json};

use crate::client::{Body, Client, ClientError, ConnectionOptions, Response, SQL_PATH};
use crate::duration;
use crate::output::{Format, OutputOptions};

mod statements;

mod rows;

mod completion;

mod prompt;

/// Tells the server how long a query may take.
const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-query-timeout");

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

    /// A value for a placeholder, such as `host=a` for $host: a number, true, false, null, or else a string. May be given several times
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parse_parameter)]
    parameters: Vec<(String, Value)>,

    /// Stop the query when it takes longer than this
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    timeout: Option<Duration>,

    /// Read the query from this file; several ones in SQL are separated by semicolons
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// The query; read from the standard input when neither it nor a file is given
    query: Option<String>,
}

/// `name=value`; a value that is no number, boolean, null or quoted string of JSON is a string as it stands.
fn parse_parameter(text: &str) -> Result<(String, Value), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err("must be formatted as \"name=value\"".to_string());
    };
    let name = name.trim().trim_start_matches('$');
    if name.is_empty() {
        return Err(format!("{text:?} has no name"));
    }
    let value = match serde_json::from_str(value) {
        Ok(Value::Array(_) | Value::Object(_)) | Err(_) => Value::String(value.to_string()),
        Ok(scalar) => scalar,
    };
    Ok((name.to_string(), value))
}

/// What stays the same from statement to statement.
#[derive(Clone, Debug)]
struct Question {
    database: String,
    path: &'static str,
    parameters: Map<String, Value>,
    timeout: Option<String>,
}

impl Question {
    async fn ask(
        &self,
        client: &Client,
        text: &str,
        format: Format,
    ) -> Result<Response, ClientError> {
        let mut body = json!({ "db": self.database, "q": text, "format": format.wire_name() });
        if !self.parameters.is_empty() {
            body["params"] = Value::Object(self.parameters.clone());
        }
        let timeout = self.timeout.as_deref().map(|told| (TIMEOUT_HEADER, told));
        let headers: Vec<(HeaderName, &str)> = timeout.into_iter().collect();
        client
            .send_with(Method::POST, self.path, &[], &headers, Body::Json(body))
            .await
    }
}

impl Options {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        self.output.check()?;
        let question = Question {
            database: self.database_name.clone(),
            path: match self.language {
                Language::Sql => SQL_PATH,
                Language::Influxql => "/api/v3/query_influxql",
            },
            parameters: self.parameters.iter().cloned().collect(),
            timeout: self.timeout.map(duration::format),
        };
        let client = Client::new(&self.connection, self.query_host.as_ref())?;
        if self.wants_prompt() {
            return prompt::run(&client, question, self.output).await;
        }
        let text = self.text()?;
        let mut statements = vec![text.as_str()];
        // Anything else than text on stdout has room for one result only.
        let has_room = self.output.output.is_none() && self.output.format != Format::Parquet;
        if self.query.is_none() && self.file.is_some() && self.language == Language::Sql && has_room
        {
            let found = statements::split(&text);
            if found.len() > 1 {
                statements = found;
            }
        }
        for statement in statements {
            let response = question.ask(&client, statement, self.output.format).await?;
            self.output.copy(response.stream()).await?;
        }
        Ok(())
    }

    /// Whether somebody sits there who has not said what to ask.
    fn wants_prompt(&self) -> bool {
        self.query.is_none()
            && self.file.is_none()
            && self.output.output.is_none()
            && self.output.format != Format::Parquet
            && io::stdin().is_terminal()
            && io::stdout().is_terminal()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_scalars_or_strings() {
        for (text, name, value) in [
            ("host=a", "host", json!("a")),
            ("$host=a=b", "host", json!("a=b")),
            ("n=5", "n", json!(5)),
            ("n=-0.5", "n", json!(-0.5)),
            ("n=\"5\"", "n", json!("5")),
            ("b=true", "b", json!(true)),
            ("b=null", "b", json!(null)),
            ("b=", "b", json!("")),
            ("b=[1]", "b", json!("[1]")),
        ] {
            assert_eq!(
                parse_parameter(text),
                Ok((name.to_string(), value)),
                "{text}"
            );
        }
        assert_eq!(
            parse_parameter("host"),
            Err("must be formatted as \"name=value\"".to_string())
        );
        assert_eq!(parse_parameter("=5"), Err("\"=5\" has no name".to_string()));
    }
}
