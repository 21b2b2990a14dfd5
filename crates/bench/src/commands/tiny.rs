//! `influxdb3-bench tiny`: how long writers of single lines wait for each.

use crate::Error;
use crate::client::ClientOptions;
use crate::commands::load::RequestOptions;
use crate::record::{Record, RecordOptions};
use crate::sender::{self, Batches};
use crate::watch::WatchOptions;
use crate::workload::WorkloadOptions;
use crate::workload::late::OrderOptions;

/// Write single lines: one after the other, or some writers side by side
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) client: ClientOptions,

    #[command(flatten)]
    pub(crate) workload: WorkloadOptions,

    /// How many lines each writer writes
    #[arg(long, default_value_t = 1_000)]
    pub(crate) count: usize,

    /// How many lines each writes first that do not count
    #[arg(long, default_value_t = 20)]
    pub(crate) warm_up: usize,

    /// Writers at the same time; each has its own hosts
    #[arg(long, default_value_t = 1)]
    pub(crate) workers: usize,

    /// Lines in a second, of all writers together; latencies then count from when a line was due
    #[arg(long)]
    pub(crate) rate: Option<f64>,

    /// Do not wait until writes are durable
    #[arg(long)]
    pub(crate) no_sync: bool,

    #[command(flatten)]
    pub(crate) watch: WatchOptions,

    #[command(flatten)]
    pub(crate) record: RecordOptions,
}

pub(crate) async fn run(options: Options) -> Result<(), Error> {
    let (record, told) = measure(&options).await?;
    println!("{told}");
    options.record.keep(&record)
}

/// The record, and it in words.
pub(crate) async fn measure(options: &Options) -> Result<(Record, String), Error> {
    let requests = RequestOptions {
        batch_lines: 1,
        workers: options.workers,
        rate: options.rate,
        compression: Default::default(),
        no_sync: options.no_sync,
    };
    let bounds = requests.bounds(None)?;
    let client = requests.client(&options.client)?;
    client.prepare().await?;
    let mut hands = requests.batches(&options.workload, &OrderOptions::default())?;
    let lines = options.warm_up + options.count;
    let rows = options.workload.plan()?.rows();
    let writers = hands.len();
    if rows < lines * writers {
        return Err(format!(
            "the workload has {rows} rows, too few for {writers} writers of {lines} each"
        )
        .into());
    }
    let warm_up: Vec<Batches> = hands
        .iter_mut()
        .map(|hand| -> Batches {
            let first: Vec<_> = hand.by_ref().take(options.warm_up).collect();
            Box::new(first.into_iter())
        })
        .collect();
    sender::send(&client, warm_up, Default::default()).await?;
    let counted = hands
        .into_iter()
        .map(|hand| -> Batches { Box::new(hand.take(options.count)) })
        .collect();
    let watch = options.watch.start()?;
    let sent = sender::send(&client, counted, bounds).await?;
    let name = format!("{writers} writer{}", if writers == 1 { "" } else { "s" });
    let mut record = options.record.start("tiny", &name);
    sent.keep(&mut record);
    let mut told = format!("{} writes: {}", sent.rows, sent.latencies);
    watch.keep(sent.rows, "row", &mut record)?;
    if let Some(cpu_us) = record.figures.get("cpu_us_per_row") {
        told += &format!("\nserver: {cpu_us:.1} µs of CPU time per write");
    }
    Ok((record, told))
}
