//! `create table`, `update table`, `delete table`, `undelete table`, `show tables` (spec/cli.md §7.1, §7.2, §9.3).

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::database::{Retention, hard_delete_at, parse_retention};
use super::sql::literal;
use crate::client::{Body, Client, ConnectionOptions, DatabaseOption};
use crate::output::{self, INTERNAL_DATABASE, OutputOptions};

const PATH: &str = "/api/v3/configure/table";

/// What a field can be.
const FIELD_TYPES: [&str; 5] = ["utf8", "int64", "uint64", "float64", "bool"];

/// A field of a new table: `name:type`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldColumn {
    name: String,
    kind: String,
}

fn parse_field(text: &str) -> Result<FieldColumn, String> {
    let Some((name, kind)) = text.rsplit_once(':') else {
        return Err(format!("invalid FIELD:VALUE. No `:` found in `{text}`"));
    };
    if !FIELD_TYPES.contains(&kind) {
        return Err(format!(
            "{kind} is not a valid data type, values are int64, uint64, float64, utf8, and bool"
        ));
    }
    Ok(FieldColumn {
        name: name.to_string(),
        kind: kind.to_string(),
    })
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Database of the new table; made when it is missing
    #[arg(short, long = "database", env = "INFLUXDB3_DATABASE_NAME")]
    database_name: String,

    /// Names of tags, in the order of the series key
    #[arg(long, num_args = 1.., value_delimiter = ',')]
    tags: Option<Vec<String>>,

    /// Fields and their types: utf8, int64, uint64, float64 or bool
    #[arg(
        short,
        long,
        num_args = 1..,
        value_delimiter = ',',
        value_name = "NAME:TYPE",
        value_parser = parse_field
    )]
    fields: Option<Vec<FieldColumn>>,

    /// How long rows are kept, such as `30d`; not given or `none`: as long as in the database
    #[arg(long, value_name = "DURATION", value_parser = parse_retention)]
    retention_period: Option<Retention>,

    /// Name of the new table
    table_name: String,
}

impl CreateOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let fields: Vec<_> = self
            .fields
            .unwrap_or_default()
            .into_iter()
            .map(|field| json!({ "name": field.name, "type": field.kind }))
            .collect();
        let mut body = json!({
            "db": self.database_name,
            "table": self.table_name,
            "tags": self.tags.unwrap_or_default(),
            "fields": fields,
        });
        if let Some(retention) = self.retention_period {
            body["retention_period"] = json!(retention.wire());
        }
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::POST, PATH, &[], Body::Json(body))
            .await?;
        output::print(format_args!(
            "Table {:?}.{:?} created successfully",
            self.database_name, self.table_name
        ))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct UpdateOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Database of the table
    #[arg(short, long = "database", env = "INFLUXDB3_DATABASE_NAME")]
    database_name: String,

    /// How long rows are kept, such as `30d`; `none`: as long as in the database
    #[arg(short, long, value_name = "DURATION", value_parser = parse_retention)]
    retention_period: Option<Retention>,

    /// Name of the table to change
    table_name: String,
}

impl UpdateOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Some(retention) = self.retention_period else {
            anyhow::bail!("--retention-period is required for update table");
        };
        let body = json!({
            "db": self.database_name,
            "table": self.table_name,
            "retention_period": retention.wire(),
        });
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::PUT, PATH, &[], Body::Json(body))
            .await?;
        output::print(format_args!(
            "Table {:?}.{:?} updated successfully",
            self.database_name, self.table_name
        ))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Database of the table
    #[arg(short, long = "database", env = "INFLUXDB3_DATABASE_NAME")]
    database_name: String,

    /// When the rows are really removed: `never`, `now`, `default` or a time such as 2030-01-01T00:00:00Z
    #[arg(long, value_name = "WHEN")]
    hard_delete: Option<String>,

    /// Delete the rows now, and keep the table
    #[arg(long)]
    data_only: bool,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,

    /// Name of the table to delete
    table_name: String,
}

impl DeleteOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (database, table) = (self.database_name.as_str(), self.table_name.as_str());
        if !self.yes {
            output::confirm_deletion(&format!("{database:?}.{table:?}"))?;
        }
        let when = self.hard_delete.as_deref().map(hard_delete_at);
        let mut parameters = vec![("db", database), ("table", table)];
        parameters.extend(when.as_deref().map(|when| ("hard_delete_at", when)));
        parameters.extend(self.data_only.then_some(("data_only", "true")));
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::DELETE, PATH, &parameters, Body::Empty)
            .await?;
        output::print(format_args!(
            "Table {database:?}.{table:?} deleted successfully"
        ))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct UndeleteOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    database: DatabaseOption,

    /// Name to bring the table back under; when not given, the one that it had
    #[arg(long = "as", value_name = "NAME")]
    new_name: Option<String>,

    /// Name of the deleted table, such as cpu-20260101T000000, as `show tables --show-deleted` has it
    table_name: String,
}

impl UndeleteOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Restored {
            db: String,
            table: String,
        }

        let mut body = json!({ "db": self.database.database_name, "table": self.table_name });
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
            "Table {:?}.{:?} restored successfully",
            restored.db, restored.table
        ))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    database: DatabaseOption,

    #[command(flatten)]
    output: OutputOptions,

    /// List deleted tables too
    #[arg(long)]
    show_deleted: bool,
}

impl ShowOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let client = Client::new(&self.connection, None)?;
        let sql = listing(&self.database.database_name, self.show_deleted);
        self.output.list(&client, INTERNAL_DATABASE, &sql).await
    }
}

fn listing(database: &str, show_deleted: bool) -> String {
    let (deleted, condition) = match show_deleted {
        true => (", deleted", ""),
        false => ("", " AND NOT deleted"),
    };
    format!(
        "SELECT table_name{deleted} FROM system.tables WHERE database_name = {}{condition} ORDER BY table_name",
        literal(database)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_names_and_types() {
        let field = |text| parse_field(text).map(|field| (field.name, field.kind));
        let named = |name: &str, kind: &str| Ok((name.to_string(), kind.to_string()));
        assert_eq!(field("usage:float64"), named("usage", "float64"));
        assert_eq!(field("a:b:utf8"), named("a:b", "utf8"));
        for text in ["usage", "usage:", "usage:float", "usage:Float64"] {
            field(text).expect_err(text);
        }
    }
}
