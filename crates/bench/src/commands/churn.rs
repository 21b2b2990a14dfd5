//! `influxdb3-bench churn`: new series all the time, and whether the server slows down or grows by it.

use crate::Error;
use crate::client::ClientOptions;
use crate::commands::load::RequestOptions;
use crate::record::RecordOptions;
use crate::sender;
use crate::watch::WatchOptions;
use crate::workload::late::OrderOptions;
use crate::workload::{UseCase, WorkloadOptions};
use std::time::Duration;

/// Write series that come and go
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    client: ClientOptions,

    #[command(flatten)]
    workload: WorkloadOptions,

    #[command(flatten)]
    requests: RequestOptions,

    /// How long, if there are rows for so long
    #[arg(long, default_value = "2m", value_parser = humantime::parse_duration)]
    duration: Duration,

    #[command(flatten)]
    watch: WatchOptions,

    #[command(flatten)]
    record: RecordOptions,
}

pub(crate) async fn run(options: Options) -> Result<(), Error> {
    let workload = WorkloadOptions {
        use_case: UseCase::Churn,
        ..options.workload.clone()
    };
    let bounds = options.requests.bounds(Some(options.duration))?;
    let client = options.requests.client(&options.client)?;
    client.prepare().await?;
    let hands = options
        .requests
        .batches(&workload, &OrderOptions::default())?;
    let watch = options.watch.start()?;
    let sent = sender::send(&client, hands, bounds).await?;
    let mut record = options.record.start("churn", "churn");
    sent.keep(&mut record);
    watch.keep(sent.rows, "row", &mut record)?;
    println!(
        "{} rows, {} values, {:.0} rows/s: {}",
        sent.rows,
        sent.values,
        sent.rows_per_s(),
        sent.latencies
    );
    // Growth shows in the last part against the first.
    let seconds = &sent.rows_each_second;
    let quarter = seconds.len() / 4;
    if quarter > 0 {
        let mean = |part: &[usize]| part.iter().sum::<usize>() as f64 / part.len() as f64;
        let first = mean(&seconds[..quarter]);
        let last = mean(&seconds[seconds.len() - 1 - quarter..seconds.len() - 1]);
        record
            .figure("first_quarter_rows_per_s", first)
            .figure("last_quarter_rows_per_s", last);
        println!("first quarter {first:.0} rows/s, last quarter {last:.0} rows/s");
    }
    if let (Some(cpu_us), Some(peak)) = (
        record.figures.get("cpu_us_per_row"),
        record.figures.get("peak_bytes"),
    ) {
        println!(
            "server: {cpu_us:.3} µs of CPU time per row; at most {:.0} MiB of memory so far",
            peak / 1_048_576.0
        );
    }
    options.record.keep(&record)
}
