//! `bench latency`: how long a lone writer of single lines waits for each.

use crate::Error;
use crate::client::{Client, ClientOptions};
use crate::durations::Durations;
use crate::workload::{Rows, WorkloadOptions};

/// Write single lines, one after the other
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    client: ClientOptions,

    #[command(flatten)]
    workload: WorkloadOptions,

    /// How many lines to write
    #[arg(long, default_value_t = 1_000)]
    count: usize,

    /// How many lines to write first that do not count
    #[arg(long, default_value_t = 20)]
    warm_up: usize,

    /// Do not wait until writes are durable
    #[arg(long)]
    no_sync: bool,
}

pub(crate) async fn run(options: Options) -> Result<(), Error> {
    let mut client = Client::new(&options.client)?;
    if options.no_sync {
        client = client.without_sync();
    }
    let plan = options.workload.plan()?;
    let lines = options.warm_up + options.count;
    if plan.rows() < lines {
        return Err(format!(
            "the workload has {} rows, too few for {lines} writes",
            plan.rows()
        )
        .into());
    }
    let mut rows = Rows::new(&plan);
    let mut durations = Vec::with_capacity(options.count);
    for number in 0..lines {
        let mut line = Vec::new();
        if rows.write(1, &mut line).rows == 0 {
            return Err(
                format!("the workload has {number} rows, too few for {lines} writes").into(),
            );
        }
        let duration = client.write(line).await?;
        if number >= options.warm_up {
            durations.push(duration);
        }
    }
    println!("{} writes: {}", durations.len(), Durations::new(durations));
    Ok(())
}
