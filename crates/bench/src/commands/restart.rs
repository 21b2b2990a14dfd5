//! `influxdb3-bench restart`: a server is loaded, killed and started again; how long until it answers, and until all rows are there.

use crate::Error;
use crate::client::Client;
use crate::commands::load::RequestOptions;
use crate::engine::Engine;
use crate::process;
use crate::record::{Record, RecordOptions};
use crate::sender;
use crate::visible::Count;
use crate::watch::WatchOptions;
use crate::workload::WorkloadOptions;
use crate::workload::late::OrderOptions;
use std::path::Path;

const DATABASE: &str = "benchmark";

/// Kill a server that was loaded, and see how long it takes to come back with every row
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// The server to start: a program, or KIND=PROGRAM (influxdb3, influxdb1, victoriametrics)
    #[arg(long)]
    pub(crate) engine: Engine,

    #[command(flatten)]
    pub(crate) workload: WorkloadOptions,

    /// More arguments for the server, one each time
    #[arg(
        long = "engine-argument",
        value_name = "ARGUMENT",
        allow_hyphen_values = true
    )]
    engine_arguments: Vec<String>,

    #[command(flatten)]
    pub(crate) requests: RequestOptions,

    #[command(flatten)]
    pub(crate) record: RecordOptions,
}

pub(crate) async fn run(options: Options) -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let record = measure(&options, folder.path()).await?;
    println!(
        "{:.0} rows at {:.3} µs of server CPU time each, {:.0} bytes in the folder when killed; answers after {:.0} ms, its last row is there after {:.0} ms, {:.0} rows are missing, {:.0} MiB at most",
        record.figures["rows"],
        record.figures["cpu_us_per_row"],
        record.figures["killed_bytes"],
        record.figures["ready_after_ms"],
        record.figures["complete_after_ms"],
        record.figures["missing_rows"],
        record.figures["peak_after_bytes"] / 1_048_576.0,
    );
    options.record.keep(&record)
}

/// The server's folder is left in `folder`.
pub(crate) async fn measure(options: &Options, folder: &Path) -> Result<Record, Error> {
    let server = options
        .engine
        .start(folder, &options.engine_arguments)
        .await?;
    let client = options.requests.client(&server.client_options(DATABASE)?)?;
    client.prepare().await?;
    let counted = Count::start(&client, &options.workload).await?;
    let watch = WatchOptions {
        server_pid: Some(server.id()),
    }
    .start()?;
    let work = options
        .requests
        .batches(&options.workload, &OrderOptions::default())?;
    let sent = sender::send(&client, work, options.requests.bounds(None)?).await?;
    let mut record = options
        .record
        .start("restart", &options.workload.use_case.to_string());
    sent.keep(&mut record);
    watch.keep(sent.rows, "row", &mut record)?;
    drop(watch);
    server.kill()?;
    let killed_bytes = process::folder_bytes(&folder.join("data"))?;

    let server = options
        .engine
        .start(folder, &options.engine_arguments)
        .await?;
    let ready_after = server.ready_after;
    let client = Client::new(&server.client_options(DATABASE)?)?;
    let seen = counted.wait_for(&client, sent.rows).await?.ok_or(
        "a restart is measured with the use cases cpu-only and devops, whose rows can be counted",
    )?;
    record
        .figure("killed_bytes", killed_bytes as f64)
        .figure("missing_rows", seen.missing)
        .figure("ready_after_ms", ready_after.as_secs_f64() * 1e3)
        .figure(
            "complete_after_ms",
            (ready_after + seen.after).as_secs_f64() * 1e3,
        )
        .figure(
            "peak_after_bytes",
            process::peak_memory_bytes(server.id())? as f64,
        );
    server.stop().await?;
    Ok(record)
}
