//! The server as the measurements see it: one HTTP client with connections kept open, and a way to ask in each language.

mod ask;
mod flight;

#[cfg(test)]
mod tests;

use crate::Error;
use crate::compression::Compression;
pub(crate) use ask::{AskOptions, Asker};
use bytes::Bytes;
use clap::ValueEnum;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

#[derive(Clone, Debug, clap::Args)]
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
    #[arg(long, value_enum, default_value_t = ServerKind::Influxdb3)]
    server: ServerKind,
}

impl ClientOptions {
    /// For a server that needs no token.
    pub(crate) fn of(server: ServerKind, host: &str, database: &str) -> Result<Self, Error> {
        Ok(Self {
            host: host.parse()?,
            token: None,
            database: database.to_owned(),
            server,
        })
    }
}

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServerKind {
    /// This one, or another with the interface of InfluxDB 3.
    Influxdb3,
    /// InfluxDB 1; the database is created before the first write.
    Influxdb1,
    /// VictoriaMetrics, which has a single database.
    Victoriametrics,
}

impl ServerKind {
    /// Answers with success as soon as the server serves.
    pub(crate) fn health_path(self) -> &'static str {
        match self {
            Self::Influxdb3 | Self::Victoriametrics => "/health",
            Self::Influxdb1 => "/ping",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Influxdb3 => "influxdb3",
            Self::Influxdb1 => "influxdb1",
            Self::Victoriametrics => "victoriametrics",
        }
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A client of any server.
pub(crate) fn http() -> Result<reqwest::Client, Error> {
    // The first provider set is the one used; there is no other here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder().build()?)
}

/// A client of one database of one server. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    server: ServerKind,
    host: Url,
    write_url: Url,
    database: String,
    token: Option<String>,
    authorization: Option<HeaderValue>,
    /// How writes are compressed.
    compression: Compression,
    /// Whether the database has been created, where that has to be done.
    created: Arc<OnceCell<()>>,
}

impl Client {
    pub(crate) fn new(options: &ClientOptions) -> Result<Self, Error> {
        let write_path = match options.server {
            ServerKind::Influxdb3 => "/api/v3/write_lp",
            ServerKind::Influxdb1 | ServerKind::Victoriametrics => "/write",
        };
        let mut write_url = options.host.join(write_path)?;
        match options.server {
            ServerKind::Influxdb3 => {
                write_url
                    .query_pairs_mut()
                    .append_pair("db", &options.database)
                    .append_pair("precision", "nanosecond");
            }
            ServerKind::Influxdb1 => {
                write_url
                    .query_pairs_mut()
                    .append_pair("db", &options.database)
                    .append_pair("precision", "ns");
            }
            // A database would become one more label of every series.
            ServerKind::Victoriametrics => {}
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
            http: http()?,
            server: options.server,
            host: options.host.clone(),
            write_url,
            database: options.database.clone(),
            token: options.token.clone(),
            authorization,
            compression: Compression::None,
            created: Arc::default(),
        })
    }

    /// The same client, not waiting until its writes are durable. Only InfluxDB 3 knows the difference.
    pub(crate) fn without_sync(mut self) -> Self {
        if self.server == ServerKind::Influxdb3 {
            self.write_url
                .query_pairs_mut()
                .append_pair("no_sync", "true");
        }
        self
    }

    /// The same client, compressing what it writes.
    pub(crate) fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    pub(crate) fn server(&self) -> ServerKind {
        self.server
    }

    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// Makes the database, where the first write would not do that; so does the first write through this client.
    pub(crate) async fn prepare(&self) -> Result<(), Error> {
        if self.server == ServerKind::Influxdb1 {
            self.created
                .get_or_try_init(|| self.create_database())
                .await?;
        }
        Ok(())
    }

    /// The whole answer at a path of the server.
    pub(crate) async fn get(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Bytes, Error> {
        let request = self.http.get(self.host.join(path)?).query(parameters);
        Ok(self.send(request).await?.bytes().await?)
    }

    /// Writes line protocol with timestamps in nanoseconds; tells how long that took until the answer, compression not included.
    pub(crate) async fn write(&self, lines: impl Into<Bytes>) -> Result<Duration, Error> {
        self.prepare().await?;
        let body = self.compression.compress(lines.into())?;
        let started = Instant::now();
        let mut request = self.http.post(self.write_url.clone()).body(body);
        if let Some(encoding) = self.compression.content_encoding() {
            request = request.header(CONTENT_ENCODING, encoding);
        }
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
