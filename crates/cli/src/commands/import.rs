//! `import upload`, `import list`: Parquet files into a table that exists (spec/cli.md §9.3, spec/http-api.md §13.4).
//!
//! A folder is all `*.parquet` below it, one request each, several under way at once.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::bail;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::key_value::{self, KeyValue};
use crate::client::{Body, Client, ConnectionOptions};
use crate::listing::ListOptions;
use crate::output;

const PATH: &str = "/api/v3/enterprise/import";

/// What a column can be.
const KINDS: [&str; 7] = ["i64", "u64", "f64", "bool", "string", "time", "tag"];

/// A column and what it is: `name:kind`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ColumnKind {
    name: String,
    kind: String,
}

fn parse_column(text: &str) -> Result<ColumnKind, String> {
    let Some((name, kind)) = text.rsplit_once(':') else {
        return Err(format!("expected NAME:TYPE, got '{text}'"));
    };
    if !KINDS.contains(&kind) {
        let known = KINDS.join(", ");
        return Err(format!(
            "unknown column type '{kind}', expected one of {known}"
        ));
    }
    Ok(ColumnKind {
        name: name.to_string(),
        kind: kind.to_string(),
    })
}

#[derive(Debug, clap::Args)]
pub(crate) struct UploadOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Database of the table
    #[arg(
        short,
        long,
        env = "INFLUXDB3_DATABASE_NAME",
        value_name = "DATABASE_NAME"
    )]
    database: String,

    /// Table to import into; it must exist
    #[arg(short, long)]
    table: String,

    /// What a column of the files is: i64, u64, f64, bool, string, time or tag; can be repeated
    #[arg(long, value_name = "NAME:TYPE", value_parser = parse_column)]
    column: Vec<ColumnKind>,

    /// Option of the store that a URL names; can be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value::parse)]
    source_opt: Vec<KeyValue>,

    /// Files under way at once at most
    #[arg(long, value_name = "N", default_value = "8")]
    concurrency: NonZeroUsize,

    /// File, or folder whose files all are imported, or URL of an object store
    #[arg(value_name = "PATH|URL")]
    source: String,
}

impl UploadOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        if self.source.contains("://") {
            bail!(
                "importing from {} is not implemented yet: only files on this machine can be imported",
                self.source
            );
        }
        if let Some(option) = self.source_opt.first() {
            bail!(
                "--source-opt {} is about the store that a URL names, and {} is none",
                option.key,
                self.source
            );
        }
        let files = files(Path::new(&self.source))?;
        let client = Client::new(&self.connection, None)?;
        let begun = files.iter().map(|path| self.upload(&client, path));
        let mut begun = futures::stream::iter(begun).buffered(self.concurrency.get());
        while let Some((path, job)) = begun.try_next().await? {
            output::print(format_args!("{}: import {job} started", path.display()))?;
        }
        Ok(())
    }

    async fn upload<'a>(
        &self,
        client: &Client,
        path: &'a Path,
    ) -> anyhow::Result<(&'a Path, String)> {
        #[derive(Deserialize)]
        struct Begun {
            upload_uuid: String,
        }

        let bytes = tokio::fs::read(path)
            .await
            .map_err(|cause| anyhow::anyhow!("cannot read {}: {cause}", path.display()))?;
        let columns: Map<String, Value> = self
            .column
            .iter()
            .map(|column| (column.name.clone(), json!(column.kind)))
            .collect();
        let metadata = json!({ "column_mapping": columns }).to_string();
        let fields = [
            ("database", self.database.as_bytes()),
            ("table", self.table.as_bytes()),
            ("column_metadata", metadata.as_bytes()),
        ];
        let (boundary, form) = form(&fields, &bytes);
        let body = Body::Form { boundary, form };
        let response = client.send(Method::POST, PATH, &[], body).await?;
        let begun: Begun = response.json().await?;
        Ok((path, begun.upload_uuid))
    }
}

/// The file, or every `*.parquet` below the folder, sorted.
fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let unreadable = |cause| anyhow::anyhow!("cannot read {}: {cause}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?.path();
            let is_parquet = entry.extension().is_some_and(|kind| kind == "parquet");
            if entry.is_dir() && !entry.is_symlink() {
                folders.push(entry);
            } else if is_parquet {
                found.push(entry);
            }
        }
    }
    if found.is_empty() {
        bail!("no *.parquet lies below {}", path.display());
    }
    found.sort();
    Ok(found)
}

/// A multipart form of fields and a file, with the line that parts them, which stands nowhere in the file.
fn form(fields: &[(&str, &[u8])], file: &[u8]) -> (String, Bytes) {
    let mut boundary = "gnomon-form-part".to_string();
    while file
        .windows(boundary.len())
        .any(|window| window == boundary.as_bytes())
    {
        boundary.push('0');
    }
    let mut form = Vec::with_capacity(file.len() + 1024);
    let file_field = [("file_bytes", file)];
    for (name, value) in fields.iter().chain(&file_field) {
        let head =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        form.extend_from_slice(head.as_bytes());
        form.extend_from_slice(value);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (boundary, form.into())
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListImportsOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    output: ListOptions,

    /// Only imports into this database
    #[arg(short, long, value_name = "DATABASE_NAME")]
    database: Option<String>,
}

impl ListImportsOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let columns = [
            "upload_uuid",
            "filename",
            "status",
            "last_message",
            "created_at",
            "row_count",
        ];
        let parameters: Vec<(&str, &str)> = self
            .database
            .iter()
            .map(|name| ("database", name.as_str()))
            .collect();
        let client = Client::new(&self.connection, None)?;
        self.output
            .show(&client, PATH, &parameters, "imports", &columns)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_names_and_kinds() {
        let column = parse_column("a:b:tag").expect("a column");
        assert_eq!((column.name.as_str(), column.kind.as_str()), ("a:b", "tag"));
        for text in ["a", "a:", "a:int64", "a:Tag"] {
            parse_column(text).expect_err(text);
        }
    }

    #[test]
    fn the_boundary_stands_in_no_file() {
        let (boundary, form) = form(&[("table", b"t")], b"x gnomon-form-part y");
        assert_eq!(boundary, "gnomon-form-part0");
        assert_eq!(
            String::from_utf8_lossy(&form),
            "--gnomon-form-part0\r\nContent-Disposition: form-data; name=\"table\"\r\n\r\nt\r\n\
             --gnomon-form-part0\r\nContent-Disposition: form-data; name=\"file_bytes\"\r\n\r\nx gnomon-form-part y\r\n\
             --gnomon-form-part0--\r\n"
        );
    }
}
