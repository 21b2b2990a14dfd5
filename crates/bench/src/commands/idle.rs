//! `influxdb3-bench idle`: what a server takes that has nothing to do.

use crate::Error;
use crate::process;
use crate::record::{Record, RecordOptions};
use std::time::Duration;

/// Watch a server that has nothing to do
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Process of the server, on this machine
    #[arg(long)]
    server_pid: u32,

    /// How long to watch
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    duration: Duration,

    #[command(flatten)]
    record: RecordOptions,
}

pub(crate) async fn run(options: Options) -> Result<(), Error> {
    let record = measure(&options).await?;
    println!(
        "{:.1} MiB resident, {:.2} % of a core",
        record.figures["resident_bytes"] / 1_048_576.0,
        record.figures["cpu_share"] * 100.0
    );
    options.record.keep(&record)
}

async fn measure(options: &Options) -> Result<Record, Error> {
    let cpu_before = process::cpu_time(options.server_pid)?;
    tokio::time::sleep(options.duration).await;
    let cpu = process::cpu_time(options.server_pid)?.saturating_sub(cpu_before);
    let mut record = options.record.start("idle", "idle");
    record
        .figure(
            "resident_bytes",
            process::resident_bytes(options.server_pid)? as f64,
        )
        .figure(
            "cpu_share",
            cpu.as_secs_f64() / options.duration.as_secs_f64(),
        );
    Ok(record)
}
