//! Asking in a language, over what that language travels on.
//!
//! | language | `influxdb3` | `influxdb1` | `victoriametrics` |
//! |---|---|---|---|
//! | `sql` | HTTP, in four formats | | |
//! | `flight` | Flight SQL, the same SQL | | |
//! | `influxql` | `/api/v3/query_influxql` | `/query` | |
//! | `metricsql` | | | `/api/v1/query_range` |

use super::flight::Flight;
use super::{Client, Refused, ServerKind};
use crate::Error;
use crate::answer::{Answer, Body};
use crate::queries::{Language, Statement};
use clap::ValueEnum;
use reqwest::StatusCode;
use std::time::Duration;

/// How questions are asked.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AskOptions {
    /// Language of the questions; `flight` is SQL over Flight SQL
    #[arg(long, value_enum, default_value_t = Way::Sql)]
    pub(crate) language: Way,

    /// Format of answers in SQL over HTTP
    #[arg(long, value_enum, default_value_t = Format::Json)]
    pub(crate) format: Format,
}

/// A language on its way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    Sql,
    Flight,
    Influxql,
    Metricsql,
}

impl Way {
    pub(crate) fn language(self) -> Language {
        match self {
            Self::Sql | Self::Flight => Language::Sql,
            Self::Influxql => Language::Influxql,
            Self::Metricsql => Language::Metricsql,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Flight => "flight",
            Self::Influxql => "influxql",
            Self::Metricsql => "metricsql",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Json,
    Jsonl,
    Csv,
    Parquet,
}

impl Format {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// Asks one question after the other. Each has a connection of its own, at the latest when others ask at the same time.
pub(crate) struct Asker {
    client: Client,
    road: Road,
}

/// What a language travels on to a kind of server.
enum Road {
    SqlOverHttp(Format),
    Flight(Box<Flight>),
    InfluxqlOf3,
    InfluxqlOf1,
    Metricsql,
}

impl Asker {
    /// Connects, where that is a thing of its own. Fails if that kind of server does not know the language.
    pub(crate) async fn new(client: &Client, options: &AskOptions) -> Result<Self, Error> {
        let road = match (client.server, options.language) {
            (ServerKind::Influxdb3, Way::Sql) => Road::SqlOverHttp(options.format),
            (ServerKind::Influxdb3, Way::Flight) => Road::Flight(Box::new(
                Flight::connect(&client.host, &client.database, client.token.as_deref()).await?,
            )),
            (ServerKind::Influxdb3, Way::Influxql) => Road::InfluxqlOf3,
            (ServerKind::Influxdb1, Way::Influxql) => Road::InfluxqlOf1,
            (ServerKind::Victoriametrics, Way::Metricsql) => Road::Metricsql,
            (server, language) => {
                let (server, language) = (server.name(), language.name());
                return Err(format!(
                    "a server of the kind {server} is not asked in {language}; see --server and --language"
                )
                .into());
            }
        };
        let client = client.clone();
        Ok(Self { client, road })
    }

    /// Asks and takes the whole answer.
    pub(crate) async fn ask(&mut self, statement: &Statement) -> Result<Answer, Error> {
        let client = &self.client;
        let of_http = |(bytes, duration): (bytes::Bytes, Duration), body: fn(_) -> Body| Answer {
            bytes: bytes.len(),
            body: body(bytes),
            duration,
        };
        match (&mut self.road, statement) {
            (Road::SqlOverHttp(format), Statement::Text(sql)) => {
                let body = match format {
                    Format::Json => Body::Json,
                    Format::Jsonl => Body::Jsonl,
                    Format::Csv => Body::Csv,
                    Format::Parquet => Body::Parquet,
                };
                Ok(of_http(client.query(sql, format.name()).await?, body))
            }
            (Road::Flight(flight), Statement::Text(sql)) => flight.ask(sql).await,
            (Road::InfluxqlOf3, Statement::Text(text)) => {
                let path = "/api/v3/query_influxql";
                let answer = client.ask_v3(path, text, "json").await;
                let answer = answer.map_err(|error| match error.downcast_ref::<Refused>() {
                    Some(refused) if is_unknown(refused.status) => {
                        format!("the server does not know InfluxQL: {refused}").into()
                    }
                    _ => error,
                })?;
                Ok(of_http(answer, Body::JsonOfSeries))
            }
            (Road::InfluxqlOf1, Statement::Text(text)) => {
                let mut url = client.host.join("/query")?;
                url.query_pairs_mut()
                    .append_pair("db", &client.database)
                    .append_pair("epoch", "ns")
                    .append_pair("q", text);
                let answer = client.timed(client.http.post(url)).await?;
                Ok(of_http(answer, Body::Influxql))
            }
            (
                Road::Metricsql,
                Statement::Range {
                    query,
                    start_ms,
                    end_ms,
                    step_ms,
                },
            ) => {
                let mut url = client.host.join("/api/v1/query_range")?;
                // The server would round the times, and keep answers, if it were not told to do neither.
                url.query_pairs_mut()
                    .append_pair("query", query)
                    .append_pair("start", &seconds(*start_ms))
                    .append_pair("end", &seconds(*end_ms))
                    .append_pair("step", &seconds(*step_ms))
                    .append_pair("nocache", "1");
                let (json, duration) = client.timed(client.http.get(url)).await?;
                let (bytes, step_ms) = (json.len(), *step_ms);
                let body = Body::Metricsql { json, step_ms };
                Ok(Answer {
                    body,
                    bytes,
                    duration,
                })
            }
            (Road::Metricsql, Statement::Text(text)) => {
                Err(format!("MetricsQL is asked over a range, and {text:?} has none").into())
            }
            (_, Statement::Range { query, .. }) => Err(format!(
                "{query:?} is a range of MetricsQL, which this server is not asked in"
            )
            .into()),
        }
    }
}

/// Whether a server says with this status that there is no such language.
fn is_unknown(status: StatusCode) -> bool {
    let unknown = [
        StatusCode::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::NOT_IMPLEMENTED,
    ];
    unknown.contains(&status)
}

/// Milliseconds as seconds with three digits behind the point.
fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000))
}
