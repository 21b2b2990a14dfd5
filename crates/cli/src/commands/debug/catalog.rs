//! `debug catalog`: the objects of a catalog, read from the store (spec/cli.md §7.10).
//!
//! What is read and how is `server`'s business; whether a catalog is sound is told by `debug verify`. Digests of tokens are not shown.

use anyhow::bail;
use serde_json::{Value, json};
use server::ObjectStoreKind;
use server::catalog_objects::{self, Content, Object, ObjectKind};

use crate::commands::object_store;
use crate::environment::Environment;
use crate::listing;
use crate::options::given::StoreOptions;
use crate::options::settings::Settings;
use crate::output;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Catalog {
    /// List the objects of the catalog
    #[command(visible_alias = "ls")]
    List(Box<ListOptions>),
    /// Print the newest snapshot
    Snapshot(Box<SnapshotOptions>),
    /// Print one object of the log
    Sequence(Box<SequenceOptions>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "lowercase")]
enum Format {
    Pretty,
    Json,
}

/// Which catalog, and how it is printed.
#[derive(Debug, clap::Args)]
struct Asked {
    #[command(flatten)]
    object_store: StoreOptions,

    /// Prefix of the catalog, before the other two
    #[arg(long, value_name = "PREFIX", env = "INFLUXDB3_CATALOG_PREFIX")]
    catalog_prefix: Option<String>,

    /// Prefix of everything that the cluster stores, before the node's
    #[arg(long, value_name = "PREFIX", env = "INFLUXDB3_CLUSTER_ID")]
    cluster_id: Option<String>,

    /// Prefix of everything that the node stores
    #[arg(long, value_name = "PREFIX", env = "INFLUXDB3_NODE_ID")]
    node_id: Option<String>,

    /// How to print what is found
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListOptions {
    #[command(flatten)]
    asked: Asked,

    /// List what a snapshot has made needless too
    #[arg(long)]
    all: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SnapshotOptions {
    #[command(flatten)]
    asked: Asked,

    /// Print every record
    #[arg(long)]
    full: bool,

    /// Go on although the checksum is wrong
    #[arg(long)]
    skip_crc: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SequenceOptions {
    #[command(flatten)]
    asked: Asked,

    /// Print no records, only how many there are of each kind
    #[arg(long)]
    headers_only: bool,

    /// Go on although the checksum is wrong
    #[arg(long)]
    skip_crc: bool,

    /// Number of the object; the newest when not given
    sequence: Option<u64>,
}

impl Catalog {
    pub(crate) async fn run(self, environment: &Environment) -> anyhow::Result<()> {
        match self {
            Self::List(options) => options.run(environment).await,
            Self::Snapshot(options) => {
                let kind = ObjectKind::Checkpoint;
                let content = options
                    .asked
                    .content(environment, kind, None, options.skip_crc);
                print(&content.await?, options.asked.format, options.full)
            }
            Self::Sequence(options) => {
                let kind = ObjectKind::Record;
                let (number, skips) = (options.sequence, options.skip_crc);
                let content = options.asked.content(environment, kind, number, skips);
                print(&content.await?, options.asked.format, !options.headers_only)
            }
        }
    }
}

impl Asked {
    fn prefix(&self) -> anyhow::Result<&str> {
        let prefixes = [&self.catalog_prefix, &self.cluster_id, &self.node_id];
        match prefixes.into_iter().flatten().next() {
            Some(prefix) => Ok(prefix),
            None => bail!(
                "a catalog prefix is required: give --catalog-prefix, --cluster-id or --node-id"
            ),
        }
    }

    fn store(&self, environment: &Environment) -> anyhow::Result<ObjectStoreKind> {
        object_store::kind(&Settings::of(&self.object_store.0, environment))
    }

    async fn content(
        &self,
        environment: &Environment,
        kind: ObjectKind,
        sequence: Option<u64>,
        skips_checksum: bool,
    ) -> anyhow::Result<Content> {
        let prefix = self.prefix()?;
        let store = self.store(environment)?;
        let content =
            catalog_objects::content(&store, prefix, kind, sequence, skips_checksum).await?;
        if !content.frame.is_sound() {
            output::complain(format_args!(
                "warning: the checksum of {} should be {:08x} and is {:08x}",
                content.path, content.frame.checksum, content.frame.computed
            ));
        }
        Ok(content)
    }
}

impl ListOptions {
    async fn run(&self, environment: &Environment) -> anyhow::Result<()> {
        let prefix = self.asked.prefix()?;
        let mut objects = catalog_objects::list(&self.asked.store(environment)?, prefix).await?;
        objects.retain(|object| self.all || !object.is_covered);
        let files: Vec<Value> = objects.iter().map(file).collect();
        let log_count = objects
            .iter()
            .filter(|object| object.kind == ObjectKind::Record)
            .count();
        let total_bytes: u64 = objects.iter().map(|object| object.size_bytes).sum();
        match self.asked.format {
            Format::Json => output::print(format!(
                "{:#}",
                json!({ "files": files, "log_count": log_count, "total_bytes": total_bytes })
            )),
            Format::Pretty => {
                let columns = ["kind", "sequence", "size_bytes", "last_modified", "path"];
                output::print(format_args!(
                    "{}\n{log_count} log(s), total {total_bytes} bytes",
                    listing::table(&files, &columns)
                ))
            }
        }
    }
}

fn file(object: &Object) -> Value {
    let kind = match object.kind {
        ObjectKind::Checkpoint => "snapshot",
        ObjectKind::Record => "log",
    };
    json!({
        "kind": kind,
        "sequence": object.sequence,
        "path": object.path,
        "size_bytes": object.size_bytes,
        "last_modified": object.last_modified,
    })
}

/// The header, and what stands in the object: how many of each kind, or everything.
fn print(content: &Content, format: Format, is_whole: bool) -> anyhow::Result<()> {
    let frame = &content.frame;
    let header = json!({
        "path": content.path,
        "magic": frame.magic,
        "version": frame.version,
        "checksum": format!("{:08x}", frame.checksum),
        "checksum_computed": format!("{:08x}", frame.computed),
        "length_bytes": frame.length_bytes,
        "sequence": content.document.get("sequence"),
    });
    let counts: Vec<Value> = content
        .counts()
        .into_iter()
        .map(|(name, count)| json!({ "name": name, "count": count }))
        .collect();
    let text = match (format, is_whole) {
        (Format::Json, true) => {
            format!(
                "{:#}",
                json!({ "header": header, "records": content.document })
            )
        }
        (Format::Json, false) => format!("{:#}", json!({ "header": header, "histogram": counts })),
        (Format::Pretty, true) => format!("{header:#}\n\n{:#}", content.document),
        (Format::Pretty, false) => format!(
            "{header:#}\n\nRecord types:\n{}",
            listing::table(&counts, &["name", "count"])
        ),
    };
    output::print(text)
}
