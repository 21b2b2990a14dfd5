//! `show license`: there is none to show (spec/cli.md §9.3). The options that elsewhere say where it lies are accepted.

use crate::options::given::StoreOptions;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    #[command(flatten)]
    object_store: StoreOptions,

    /// Accepted for compatibility: has no effect
    #[arg(long, value_name = "PREFIX", env = "INFLUXDB3_CLUSTER_ID")]
    cluster_id: Option<String>,

    /// Accepted for compatibility: has no effect
    #[arg(long, value_name = "PREFIX", env = "INFLUXDB3_NODE_ID")]
    node_id: Option<String>,
}

impl ShowOptions {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        output::print("no license: this is open source, without a limit on cores, nodes or time")
    }
}
