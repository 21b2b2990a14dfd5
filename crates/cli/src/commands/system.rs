//! `show system`: what a server tells of one database in its system tables: which there are, one of them, or a little of each
//! (spec/cli.md §7.3, spec/system-tables.md §6).
//!
//! Everything is SQL that anybody may send. Which tables there are, the server says.

use std::path::PathBuf;

use serde::Deserialize;

use super::sql::identifier;
use crate::client::{Client, ClientError, ConnectionOptions};
use crate::output::{self, Format, OutputOptions};

const TABLES: &str = "SELECT table_name, array_agg(column_name ORDER BY ordinal_position) AS column_names \
     FROM information_schema.columns WHERE table_schema = 'system' GROUP BY table_name ORDER BY table_name";

/// The same where a list has no form: as the text that `pretty` makes of it.
const TABLES_AS_TEXT: &str = "SELECT table_name, concat('[', string_agg(column_name, ', ' ORDER BY ordinal_position), ']') AS column_names \
     FROM information_schema.columns WHERE table_schema = 'system' GROUP BY table_name ORDER BY table_name";

const NAMES: &str = "SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = 'system' ORDER BY table_name";

/// Leaves out of `queries` what these commands ask themselves.
const QUERIES_FILTER: &str =
    "query_text NOT LIKE '%system.%' AND query_text NOT LIKE '%information_schema.%'";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Database to look into
    #[arg(short, long = "database", env = "INFLUXDB3_DATABASE_NAME")]
    database_name: String,

    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the system tables and their columns
    #[command(alias = "table_list")]
    TableList(TableListOptions),
    /// Print rows of one system table
    Table(TableOptions),
    /// Print some rows of every system table
    Summary(SummaryOptions),
}

#[derive(Debug, clap::Args)]
struct TableListOptions {
    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, clap::Args)]
struct TableOptions {
    /// How to render the rows
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,

    /// Let tables be wider than the terminal
    #[arg(long)]
    wide: bool,

    // Its short form would be that of the order.
    /// Write the result to this file instead of the standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// The most rows to print; 0 for all
    #[arg(short, long, default_value_t = 100, value_name = "LIMIT")]
    limit: u16,

    /// Columns to sort by, each with `asc` or `desc` after it if need be
    #[arg(short, long, value_delimiter = ',', value_name = "ORDER_BY")]
    order_by: Vec<String>,

    /// Columns to print, instead of all
    #[arg(short, long, value_delimiter = ',', value_name = "SELECT")]
    select: Vec<String>,

    /// Name of the system table
    #[arg(value_name = "SYSTEM_TABLE", required = true)]
    system_table: String,
}

#[derive(Debug, clap::Args)]
struct SummaryOptions {
    /// How to render the rows
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,

    /// Write the tables to this file instead of the standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Let tables be wider than the terminal
    #[arg(long)]
    wide: bool,

    /// The most rows to print of each table; 0 for all
    #[arg(short, long, default_value_t = 10, value_name = "LIMIT")]
    limit: u16,
}

impl Options {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let asked = Asked {
            client: Client::new(&self.connection, None)?,
            database: self.database_name,
        };
        match self.what {
            What::TableList(options) => {
                let sql = match options.output.format {
                    Format::Csv => TABLES_AS_TEXT,
                    _ => TABLES,
                };
                asked.print(sql, &options.output).await
            }
            What::Table(options) => asked.table(options).await,
            What::Summary(options) => asked.summary(&options).await,
        }
    }
}

/// A server and the database that is looked into.
struct Asked {
    client: Client,
    database: String,
}

impl Asked {
    async fn print(&self, sql: &str, output: &OutputOptions) -> anyhow::Result<()> {
        output.check()?;
        let format = output.format;
        let response = self.client.sql(&self.database, sql, format).await?;
        output.copy(response.stream()).await
    }

    async fn table(&self, options: TableOptions) -> anyhow::Result<()> {
        let name = options.system_table.as_str();
        let sql = rows_of(name, &options.select, &options.order_by, options.limit);
        let output = OutputOptions {
            format: options.format,
            output: options.output,
            wide: options.wide,
        };
        output.check()?;
        let response = match self.client.sql(&self.database, &sql, output.format).await {
            Err(ClientError::ApiError { message, .. }) if message.contains("not found") => {
                // A database that is missing is told by this.
                let names = self.names().await?;
                anyhow::bail!(
                    "system table '{name}' not found: please use a valid system table name: {names:?}"
                );
            }
            answer => answer?,
        };
        output.copy(response.stream()).await
    }

    async fn summary(&self, options: &SummaryOptions) -> anyhow::Result<()> {
        if options.format == Format::Parquet {
            anyhow::bail!(
                "a summary is many tables, and parquet holds one: use `show system table`"
            );
        }
        let output = OutputOptions {
            format: options.format,
            output: options.output.clone(),
            wide: options.wide,
        };
        let mut text = String::new();
        for name in self.names().await? {
            let sql = rows_of(&name, &[], &[], options.limit);
            let response = self
                .client
                .sql(&self.database, &sql, options.format)
                .await?;
            let table = output.fitted(response.text().await?);
            text.push_str(&format!("{name} summary:\n{table}\n"));
        }
        output::print_to(
            output.output.as_deref(),
            text.strip_suffix('\n').unwrap_or(&text),
        )
    }

    /// Of the system tables, sorted.
    async fn names(&self) -> anyhow::Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Row {
            table_name: String,
        }
        let response = self.client.sql(&self.database, NAMES, Format::Json).await?;
        let rows: Vec<Row> = response.json().await?;
        Ok(rows.into_iter().map(|row| row.table_name).collect())
    }
}

/// The statement for rows of one table.
fn rows_of(table: &str, select: &[String], order_by: &[String], limit: u16) -> String {
    let columns = match select {
        [] => "*".to_string(),
        columns => list(columns, quoted),
    };
    let mut sql = format!("SELECT {columns} FROM system.{}", quoted(table));
    if table == "queries" {
        sql.push_str(" WHERE ");
        sql.push_str(QUERIES_FILTER);
    }
    let order = match (order_by, order_by_default(table)) {
        ([], Some(column)) => Some(quoted(column)),
        ([], None) => None,
        (columns, _) => Some(list(columns, sort_key)),
    };
    if let Some(order) = order {
        sql.push_str(" ORDER BY ");
        sql.push_str(&order);
    }
    if limit > 0 {
        sql.push_str(&format!(" LIMIT {limit}"));
    }
    sql
}

/// What a table is sorted by when the line does not say.
fn order_by_default(table: &str) -> Option<&'static str> {
    Some(match table {
        "distinct_caches" => "max_cardinality",
        "last_caches" => "count",
        "parquet_files" => "size_bytes",
        "queries" => "end2end_duration",
        _ => return None,
    })
}

fn list(words: &[String], render: impl Fn(&str) -> String) -> String {
    let rendered: Vec<String> = words.iter().map(|word| render(word.trim())).collect();
    rendered.join(", ")
}

/// A name as SQL takes it whatever it is; one in quotes stays as it is.
fn quoted(name: &str) -> String {
    match name.len() > 1 && name.starts_with('"') && name.ends_with('"') {
        true => name.to_string(),
        false => identifier(name),
    }
}

/// A column, and which way it is sorted.
fn sort_key(text: &str) -> String {
    match text.rsplit_once(char::is_whitespace) {
        Some((column, way))
            if way.eq_ignore_ascii_case("asc") || way.eq_ignore_ascii_case("desc") =>
        {
            format!("{} {way}", quoted(column.trim()))
        }
        _ => quoted(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements() {
        let words = |text: &str| -> Vec<String> {
            let words = text.split(',').filter(|word| !word.is_empty());
            words.map(str::to_string).collect()
        };
        for (table, select, order_by, limit, expected) in [
            (
                "influxdb_schema",
                "",
                "",
                100,
                "SELECT * FROM system.\"influxdb_schema\" LIMIT 100",
            ),
            (
                "parquet_files",
                "path,size_bytes",
                "",
                0,
                "SELECT \"path\", \"size_bytes\" FROM system.\"parquet_files\" ORDER BY \"size_bytes\"",
            ),
            (
                "last_caches",
                "table",
                "table,count DESC",
                5,
                "SELECT \"table\" FROM system.\"last_caches\" ORDER BY \"table\", \"count\" DESC LIMIT 5",
            ),
            (
                "a\" b",
                "\"x\"",
                "",
                1,
                "SELECT \"x\" FROM system.\"a\"\" b\" LIMIT 1",
            ),
        ] {
            let sql = rows_of(table, &words(select), &words(order_by), limit);
            assert_eq!(sql, expected);
        }
        let sql = rows_of("queries", &[], &[], 10);
        assert!(sql.contains(QUERIES_FILTER), "{sql}");
        assert!(
            sql.ends_with(" ORDER BY \"end2end_duration\" LIMIT 10"),
            "{sql}"
        );
    }
}
