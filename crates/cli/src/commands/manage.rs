//! `manage`: the first user, and changing the storage engine (spec/cli.md §9.5). Neither users nor another engine are there yet, so
//! these commands check their options and say so.

use anyhow::bail;

use crate::client::ConnectionOptions;
use crate::options::given::StoreOptions;
use crate::output;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Manage {
    /// Create the first user and the operator token
    #[command(alias = "init_admin")]
    InitAdmin(Options),
    /// Create a further admin token
    #[command(alias = "add_admin_token")]
    AddAdminToken(Options),
    /// Go back to Parquet files
    #[command(alias = "downgrade_to_parquet")]
    DowngradeToParquet(Box<DowngradeOptions>),
    /// Remove Parquet files that nothing needs any more
    #[command(alias = "cleanup_parquet")]
    CleanupParquet(CleanupOptions),
    /// Try again what an upgrade of the engine left undone
    #[command(alias = "retry_upgrade_to_pacha_tree")]
    RetryUpgradeToPachaTree(Options),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    connection: ConnectionOptions,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DowngradeOptions {
    #[command(flatten)]
    object_store: StoreOptions,

    /// Prefix of everything that the cluster stores
    #[arg(long, value_name = "PREFIX", env = "INFLUXDB3_CLUSTER_ID")]
    cluster_id: String,

    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,

    /// Go on although a node of the cluster seems to run
    #[arg(long)]
    ignore_running: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CleanupOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Return when everything is done
    #[arg(long)]
    wait: bool,

    /// Tell how far it has come, and do nothing
    #[arg(long, conflicts_with_all = ["dry_run", "wait"])]
    status_only: bool,
}

impl Manage {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::InitAdmin(_) => bail!(
                "creating the first user is not implemented yet: the operator token alone is created by `influxdb3 create token --admin`"
            ),
            Self::AddAdminToken(_) => bail!(
                "this way to an admin token is not implemented yet: use `influxdb3 create token --admin --name <NAME>`"
            ),
            Self::DowngradeToParquet(_) => downgrade(),
            Self::CleanupParquet(_) => bail!(
                "cleaning up after another engine is not implemented yet: this server always stores Parquet files and removes those it does not need"
            ),
            Self::RetryUpgradeToPachaTree(_) => bail!(
                "another engine to upgrade to is not implemented yet: this server always stores Parquet files"
            ),
        }
    }
}

/// The name that `manage downgrade-to-parquet` had before.
pub(crate) fn downgrade_by_old_name() -> anyhow::Result<()> {
    output::complain(
        "warning: `influxdb3 downgrade-to-parquet` is deprecated, use `influxdb3 manage downgrade-to-parquet` instead",
    );
    downgrade()
}

fn downgrade() -> anyhow::Result<()> {
    bail!(
        "going back from another engine is not implemented yet: this server always stores Parquet files"
    )
}
