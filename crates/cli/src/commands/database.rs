//! `create database`, `update database`, `delete database`, `undelete database`, `show databases` (spec/cli.md §7.1–§7.3, §7.6).

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::client::{Body, Client, ConnectionOptions};
use crate::output::{self, OutputOptions};

const PATH: &str = "/api/v3/configure/database";

/// A retention period as it was asked for; `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention(Option<Duration>);

impl Retention {
    /// As it goes over the wire; nothing for ever.
    pub(super) fn wire(self) -> Option<String> {
        self.0.map(crate::duration::format)
    }
}

pub(super) fn parse_retention(text: &str) -> Result<Retention, server::Error> {
    match text.eq_ignore_ascii_case("none") {
        true => Ok(Retention(None)),
        false => crate::duration::parse(text).map(|period| Retention(Some(period))),
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// How long rows are kept, such as `30d`; `none` keeps them for ever
    #[arg(long, value_name = "DURATION", value_parser = parse_retention)]
    retention_period: Option<Retention>,

    /// Name of the new database
    #[arg(env = "INFLUXDB3_DATABASE_NAME", required = true)]
    database_name: String,
}

impl CreateOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let body = json!({
            "db": self.database_name,
            "retention_period": self.retention_period.and_then(Retention::wire),
        });
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::POST, PATH, &[], Body::Json(body))
            .await?;
        output::print(format_args!(
            "Database {:?} created successfully",
            self.database_name
        ))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct UpdateOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Name of the database to change
    #[arg(short, long = "database", env = "INFLUXDB3_DATABASE_NAME")]
    database_name: String,

    /// How long rows are kept, such as `30d`; `none` keeps them for ever
    #[arg(short, long, value_name = "DURATION", value_parser = parse_retention)]
    retention_period: Option<Retention>,
}

impl UpdateOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Some(retention) = self.retention_period else {
            anyhow::bail!("--retention-period is required for update database");
        };
        let body = json!({
            "db": self.database_name,
            "retention_period": retention.wire(),
        });
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::PUT, PATH, &[], Body::Json(body))
            .await?;
        output::print(format_args!(
            "Database {:?} updated successfully",
            self.database_name
        ))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// When the rows are really removed: `never`, `now`, `default` or a time such as 2030-01-01T00:00:00Z
    #[arg(long, value_name = "WHEN")]
    hard_delete: Option<String>,

    /// Delete the rows of every table now, and keep the database
    #[arg(long)]
    data_only: bool,

    /// With --data-only: delete the tables too
    #[arg(long, requires = "data_only")]
    remove_tables: bool,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,

    /// Name of the database to delete
    #[arg(env = "INFLUXDB3_DATABASE_NAME", required = true)]
    database_name: String,
}

impl DeleteOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let name = self.database_name.as_str();
        if !self.yes {
            output::confirm_deletion(&format!("{name:?}"))?;
        }
        let when = self.hard_delete.as_deref().map(hard_delete_at);
        let mut parameters = vec![("db", name)];
        parameters.extend(when.as_deref().map(|when| ("hard_delete_at", when)));
        parameters.extend(self.data_only.then_some(("data_only", "true")));
        parameters.extend(self.remove_tables.then_some(("remove_tables", "true")));
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::DELETE, PATH, &parameters, Body::Empty)
            .await?;
        output::print(format_args!("Database {name:?} deleted successfully"))
    }
}

/// The words are the server's in lower case; anything else is a time, which the server checks.
pub(super) fn hard_delete_at(when: &str) -> String {
    let word = when.to_ascii_lowercase();
    match word.as_str() {
        "never" | "now" | "default" => word,
        _ => when.to_string(),
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct UndeleteOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Name to bring the database back under; when not given, the one that it had
    #[arg(long = "as", value_name = "NAME")]
    new_name: Option<String>,

    /// Name of the deleted database, such as foo-20260101T000000, as `show databases --show-deleted` has it
    database_name: String,
}

impl UndeleteOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Restored {
            db: String,
        }

        let mut body = json!({ "db": self.database_name });
        if let Some(name) = self.new_name {
            body["as"] = json!(name);
        }
        let client = Client::new(&self.connection, None)?;
        let path = format!("{PATH}/undelete");
        let response = client
            .send(Method::POST, &path, &[], Body::Json(body))
            .await?;
        let restored: Restored = response.json().await?;
        output::print(format_args!(
            "Database {:?} restored successfully",
            restored.db
        ))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    output: OutputOptions,

    /// List deleted databases too
    #[arg(long)]
    show_deleted: bool,
}

impl ShowOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        self.output.check()?;
        let show_deleted = self.show_deleted.to_string();
        let parameters = [
            ("format", self.output.format.wire_name()),
            ("show_deleted", &show_deleted),
        ];
        let client = Client::new(&self.connection, None)?;
        let response = client
            .send(Method::GET, PATH, &parameters, Body::Empty)
            .await?;
        self.output.copy(response.stream()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_hard_deletion_have_any_case() {
        for (given, sent) in [
            ("NOW", "now"),
            ("Never", "never"),
            ("default", "default"),
            ("2125-12-31T23:59:59Z", "2125-12-31T23:59:59Z"),
        ] {
            assert_eq!(hard_delete_at(given), sent);
        }
    }
}
