//! `influxdb3-bench late`: rows that come out of order, or from the newest to the oldest, and whether each of them is counted.

use crate::Error;
use crate::client::ClientOptions;
use crate::commands::load::RequestOptions;
use crate::record::RecordOptions;
use crate::sender;
use crate::visible::Count;
use crate::watch::WatchOptions;
use crate::workload::WorkloadOptions;
use crate::workload::late::{Order, OrderOptions};

/// Write rows out of order
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    client: ClientOptions,

    #[command(flatten)]
    workload: WorkloadOptions,

    #[command(flatten)]
    order: OrderOptions,

    #[command(flatten)]
    requests: RequestOptions,

    #[command(flatten)]
    watch: WatchOptions,

    #[command(flatten)]
    record: RecordOptions,
}

pub(crate) async fn run(options: Options) -> Result<(), Error> {
    let bounds = options.requests.bounds(None)?;
    let client = options.requests.client(&options.client)?;
    client.prepare().await?;
    let hands = options
        .requests
        .batches(&options.workload, &options.order)?;
    let counted = Count::start(&client, &options.workload).await?;
    let watch = options.watch.start()?;
    let sent = sender::send(&client, hands, bounds).await?;
    let order = match options.order.order {
        Order::Time => "in order",
        Order::Late => "late",
        Order::Backfill => "backfill",
    };
    let name = format!("{order} {}", options.workload.use_case);
    let mut record = options.record.start("late", &name);
    sent.keep(&mut record);
    watch.keep(sent.rows, "row", &mut record)?;
    println!(
        "{} rows {order}, {:.0} rows/s: {}",
        sent.rows,
        sent.rows_per_s(),
        sent.latencies
    );
    if let Some(cpu_us) = record.figures.get("cpu_us_per_row") {
        println!("server: {cpu_us:.3} µs of CPU time per row");
    }
    if counted.wait_for_all(&client, sent.rows).await?.is_some() {
        println!("every row that was acknowledged is counted");
    }
    options.record.keep(&record)
}
