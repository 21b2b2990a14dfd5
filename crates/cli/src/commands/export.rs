//! `export databases`, `export tables`, `export windows`, `export data`: Parquet files of whole days (spec/cli.md §9.3,
//! spec/http-api.md §13.4). The data comes as one archive, which is written as it arrives.

use std::path::PathBuf;

use reqwest::Method;

use crate::client::{Body, Client, ConnectionOptions, DatabaseOption};
use crate::output;

const PATH: &str = "/api/v3/export";

#[derive(Debug, clap::Args)]
pub(crate) struct DatabasesOptions {
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl DatabasesOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        print(&self.connection, "databases", &[]).await
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct TablesOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    database: DatabaseOption,
}

impl TablesOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let parameters = [("db", self.database.database_name.as_str())];
        print(&self.connection, "tables", &parameters).await
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct WindowsOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    database: DatabaseOption,

    /// Table to export
    #[arg(short, long)]
    table: String,
}

impl WindowsOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let parameters = [
            ("db", self.database.database_name.as_str()),
            ("table", &self.table),
        ];
        print(&self.connection, "windows", &parameters).await
    }
}

/// Prints what the server tells, as it tells it.
async fn print(
    connection: &ConnectionOptions,
    what: &str,
    parameters: &[(&str, &str)],
) -> anyhow::Result<()> {
    let client = Client::new(connection, None)?;
    let path = format!("{PATH}/{what}");
    let response = client
        .send(Method::GET, &path, parameters, Body::Empty)
        .await?;
    output::copy_line(response.stream()).await
}

#[derive(Debug, clap::Args)]
pub(crate) struct DataOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    database: DatabaseOption,

    /// Table to export
    #[arg(short, long)]
    table: String,

    /// Days to export, such as 2026-01-15,2026-01-16; all when not given
    #[arg(long, value_name = "DAY", value_delimiter = ',', value_parser = parse_day)]
    window: Vec<String>,

    /// Folder to put the archive into; it is made when it is missing
    #[arg(long, value_name = "FOLDER")]
    output_dir: PathBuf,
}

fn parse_day(text: &str) -> Result<String, String> {
    match humantime::parse_rfc3339(&format!("{text}T00:00:00Z")) {
        Ok(_) => Ok(text.to_string()),
        Err(_) => Err(format!("'{text}' is no day such as 2026-01-15")),
    }
}

impl DataOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let database = self.database.database_name.as_str();
        let windows = self.window.join(",");
        let mut parameters = vec![("db", database), ("table", self.table.as_str())];
        if !windows.is_empty() {
            parameters.push(("windows", &windows));
        }
        let client = Client::new(&self.connection, None)?;
        let response = client
            .send(
                Method::GET,
                &format!("{PATH}/window_data"),
                &parameters,
                Body::Empty,
            )
            .await?;
        let folder = &self.output_dir;
        std::fs::create_dir_all(folder)
            .map_err(|cause| anyhow::anyhow!("cannot create {}: {cause}", folder.display()))?;
        // A table's name may have characters that lead out of the folder.
        let name = format!("{database}.{}.tar", self.table).replace(['/', '\\'], "_");
        let path = folder.join(name);
        output::copy_to_file(response.stream(), &path).await?;
        output::print(format_args!("Exported to {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_days() {
        assert_eq!(parse_day("2026-01-15"), Ok("2026-01-15".to_string()));
        for text in ["", "2026-1-15", "2026-02-30", "yesterday"] {
            parse_day(text).expect_err(text);
        }
    }
}
