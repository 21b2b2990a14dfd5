//! The server as the measurements see it: one HTTP client with connections kept open.

use crate::Error;
use crate::compression::Compression;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Response, Url};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

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

    /// Kind of the server, which decides its paths
    #[arg(long, default_value = "influxdb3")]
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

/// A server that takes line protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerKind {
    Influxdb3,
    Influxdb1,
    Victoriametrics,
}

impl ServerKind {
    pub(crate) const ALL: [Self; 3] = [Self::Influxdb3, Self::Influxdb1, Self::Victoriametrics];

    /// Answers with success as soon as the server serves.
    pub(crate) fn health_path(self) -> &'static str {
        match self {
            Self::Influxdb3 | Self::Victoriametrics => "/health",
            Self::Influxdb1 => "/ping",
        }
    }
}

impl FromStr for ServerKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| {
                format!(
                    "there is no kind of server {text:?}: influxdb3, influxdb1, victoriametrics"
                )
            })
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Influxdb3 => "influxdb3",
            Self::Influxdb1 => "influxdb1",
            Self::Victoriametrics => "victoriametrics",
        })
    }
}

/// A client of one database of one server. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    write_url: Url,
    query_url: Url,
    database: String,
    authorization: Option<HeaderValue>,
    host: Url,
    server: ServerKind,
    compression: Compression,
}

/// A client of any server.
pub(crate) fn http() -> Result<reqwest::Client, Error> {
    // The first provider set is the one used; there is no other here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder().build()?)
}

impl Client {
    pub(crate) fn new(options: &ClientOptions) -> Result<Self, Error> {
        let mut write_url = options.host.join(match options.server {
            ServerKind::Influxdb3 => "/api/v3/write_lp",
            ServerKind::Influxdb1 | ServerKind::Victoriametrics => "/write",
        })?;
        write_url
            .query_pairs_mut()
            .append_pair("db", &options.database);
        if options.server == ServerKind::Influxdb3 {
            write_url
                .query_pairs_mut()
                .append_pair("precision", "nanosecond");
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
            write_url,
            query_url: options.host.join("/api/v3/query_sql")?,
            database: options.database.clone(),
            authorization,
            host: options.host.clone(),
            server: options.server,
            compression: Compression::None,
        })
    }

    /// The same client, not waiting until its writes are durable.
    pub(crate) fn without_sync(mut self) -> Self {
        self.write_url
            .query_pairs_mut()
            .append_pair("no_sync", "true");
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

    /// Makes the database where it is not made by the first write.
    pub(crate) async fn prepare(&self) -> Result<(), Error> {
        if self.server == ServerKind::Influxdb1 {
            let text = format!("CREATE DATABASE \"{}\"", self.database);
            let url = self.host.join("/query")?;
            self.send(self.http.post(url).query(&[("q", text)])).await?;
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

    /// Writes line protocol with timestamps in nanoseconds; tells how long that took until the answer.
    pub(crate) async fn write(&self, lines: impl Into<Bytes>) -> Result<Duration, Error> {
        let body = self.compression.compress(lines.into())?;
        let started = Instant::now();
        let mut request = self.http.post(self.write_url.clone()).body(body);
        if let Some(encoding) = self.compression.content_encoding() {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        self.send(request).await?.bytes().await?;
        Ok(started.elapsed())
    }

    /// Runs a query; gives the whole answer and how long it took until its last byte.
    pub(crate) async fn query(&self, sql: &str, format: &str) -> Result<(Bytes, Duration), Error> {
        let body = serde_json::json!({ "db": self.database, "q": sql, "format": format });
        let started = Instant::now();
        let request = self
            .http
            .post(self.query_url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
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
        Err(format!("the server answered {status}: {head}").into())
    }
}
