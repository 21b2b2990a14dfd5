//! `debug catalog`: the objects of a catalog, read from the store (spec/cli.md §7.10). Reading them is not there yet: the options are
//! checked, and `debug verify` says whether a catalog is sound.

use anyhow::bail;

use crate::options::given::StoreOptions;

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
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let (what, asked) = match &self {
            Self::List(options) => ("listing the catalog", &options.asked),
            Self::Snapshot(options) => ("printing a catalog snapshot", &options.asked),
            Self::Sequence(options) => ("printing a catalog log", &options.asked),
        };
        let prefixes = [&asked.catalog_prefix, &asked.cluster_id, &asked.node_id];
        let Some(prefix) = prefixes.into_iter().flatten().next() else {
            bail!("a catalog prefix is required: give --catalog-prefix, --cluster-id or --node-id");
        };
        bail!(
            "{what} of {prefix} is not implemented yet; `influxdb3 debug verify` checks whether it is sound"
        )
    }
}
