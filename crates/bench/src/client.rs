//! The server as the measurements see it: one HTTP client with connections kept open.

use crate::Error;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Response, Url};
use std::time::{Duration, Instant};

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
}

/// A client of one database of one server. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    write_url: Url,
    query_url: Url,
    database: String,
    authorization: Option<HeaderValue>,
}

impl Client {
    pub(crate) fn new(options: &ClientOptions) -> Result<Self, Error> {
        let mut write_url = options.host.join("/api/v3/write_lp")?;
        write_url
            .query_pairs_mut()
            .append_pair("db", &options.database)
            .append_pair("precision", "nanosecond");
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
            write_url,
            query_url: options.host.join("/api/v3/query_sql")?,
            database: options.database.clone(),
            authorization,
        })
    }

    /// The same client, not waiting until its writes are durable.
    pub(crate) fn without_sync(mut self) -> Self {
        self.write_url
            .query_pairs_mut()
            .append_pair("no_sync", "true");
        self
    }

    /// Writes line protocol with timestamps in nanoseconds; tells how long that took until the answer.
    pub(crate) async fn write(&self, lines: impl Into<Bytes>) -> Result<Duration, Error> {
        let started = Instant::now();
        let request = self.http.post(self.write_url.clone()).body(lines.into());
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
