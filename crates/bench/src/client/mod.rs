//! The server as the measurements see it: one HTTP client with connections kept open, and a way to ask in each language.

mod ask;
mod flight;

#[cfg(test)]
mod tests;

use crate::Error;
pub(crate) use ask::{AskOptions, Asker};
use bytes::Bytes;
use clap::ValueEnum;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

#[derive(Debug, clap::Args)]
pub(crate) struct ClientOptions {
    /// URL of the server
    #[arg(
        long,
        env = "INFLUXDB3_HOST_URL",
        default_value = "http://127.0.0.1:8181"
    )]
    host: Url,

    /// Token to authenticate with
    #[arg(long, env = "INFLUXDB3_AUTH_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// Database to write to or to query
    #[arg(long, env = "INFLUXDB3_DATABASE_NAME", default_value = "benchmark")]
    database: String,

    /// What kind of server it is: where it takes lines, and which languages it knows
    #[arg(long, value_enum, default_value_t = Server::Influxdb3)]
    server: Server,
}

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Server {
    /// This one, or another with the interface of InfluxDB 3.
    Influxdb3,
    /// InfluxDB 1; the database is created before the first write.
    Influxdb1,
    /// VictoriaMetrics, which has a single database.
    Victoriametrics,
}

impl Server {
    fn name(self) -> &'static str {
        match self {
            Self::Influxdb3 => "influxdb3",
            Self::Influxdb1 => "influxdb1",
            Self::Victoriametrics => "victoriametrics",
        }
    }
}

/// A client of one database of one server. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    server: Server,
    host: Url,
    write_url: Url,
    database: String,
    token: Option<String>,
    authorization: Option<HeaderValue>,
    /// Whether the database has been created, where that has to be done.
    created: Arc<OnceCell<()>>,
}

impl Client {
    pub(crate) fn new(options: &ClientOptions) -> Result<Self, Error> {
        let write_path = match options.server {
            Server::Influxdb3 => "/api/v3/write_lp",
            Server::Influxdb1 | Server::Victoriametrics => "/write",
        };
        let mut write_url = options.host.join(write_path)?;
        match options.server {
            Server::Influxdb3 => {
                write_url
                    .query_pairs_mut()
                    .append_pair("db", &options.database)
                    .append_pair("precision", "nanosecond");
            }
            Server::Influxdb1 => {
                write_url
                    .query_pairs_mut()
                    .append_pair("db", &options.database)
                    .append_pair("precision", "ns");
            }
            // A database would become one more label of every series.
            Server::Victoriametrics => {}
        }
        let authorization = match &options.token {
            None => None,
            Some(token) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self {
            http: reqwest::Client::builder().build()?,
            server: options.server,
            host: options.host.clone(),
            write_url,
            database: options.database.clone(),
            token: options.token.clone(),
            authorization,
            created: Arc::default(),
        })
    }

    /// The same client, not waiting until its writes are durable. Only InfluxDB 3 knows the difference.
    pub(crate) fn without_sync(mut self) -> Self {
        if self.server == Server::Influxdb3 {
            self.write_url
                .query_pairs_mut()
                .append_pair("no_sync", "true");
        }
        self
    }

    /// Writes line protocol with timestamps in nanoseconds; tells how long that took until the answer.
    pub(crate) async fn write(&self, lines: impl Into<Bytes>) -> Result<Duration, Error> {
        if self.server == Server::Influxdb1 {
            self.created
                .get_or_try_init(|| self.create_database())
                .await?;
        }
        let started = Instant::now();
        let request = self.http.post(self.write_url.clone()).body(lines.into());
        self.send(request).await?.bytes().await?;
        Ok(started.elapsed())
    }

    async fn create_database(&self) -> Result<(), Error> {
        let mut url = self.host.join("/query")?;
        let name = self.database.replace('\\', "\\\\").replace('"', "\\\"");
        url.query_pairs_mut()
            .append_pair("q", &format!("CREATE DATABASE \"{name}\""));
        let answer = self.send(self.http.post(url)).await?.bytes().await?;
        let answer: serde_json::Value = serde_json::from_slice(&answer)?;
        match answer.pointer("/results/0/error") {
            None => Ok(()),
            Some(error) => {
                Err(format!("cannot create database {:?}: {error}", self.database).into())
            }
        }
    }

    /// Runs a query in SQL; gives the whole answer and how long it took until its last byte.
    pub(crate) async fn query(&self, sql: &str, format: &str) -> Result<(Bytes, Duration), Error> {
        self.ask_v3("/api/v3/query_sql", sql, format).await
    }

    /// Runs a query as InfluxDB 3 takes them.
    async fn ask_v3(
        &self,
        path: &str,
        text: &str,
        format: &str,
    ) -> Result<(Bytes, Duration), Error> {
        let body = serde_json::json!({ "db": self.database, "q": text, "format": format });
        let request = self
            .http
            .post(self.host.join(path)?)
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        self.timed(request).await
    }

    /// Sends a query's request; gives the whole answer and how long it took until its last byte.
    async fn timed(&self, request: RequestBuilder) -> Result<(Bytes, Duration), Error> {
        let started = Instant::now();
        let answer = self.send(request).await?.bytes().await?;
        Ok((answer, started.elapsed()))
    }

    async fn send(&self, mut request: RequestBuilder) -> Result<Response, Error> {
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let response = request.send().await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await?;
        let head: String = text.chars().take(1_000).collect();
        Err(Refused { status, text: head }.into())
    }
}

/// An answer that is none.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    /// The beginning of what the server says.
    text: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, text } = self;
        write!(formatter, "the server answered {status}: {text}")
    }
}

impl std::error::Error for Refused {}
