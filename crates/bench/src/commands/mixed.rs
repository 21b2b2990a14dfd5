//! `influxdb3-bench mixed`: writers and readers at the same time, and what each does to the other.
//!
//! The rows that the workload's options name are there already; readers ask about them, and writers add what the same hosts do afterwards.

use crate::Error;
use crate::client::{AskOptions, Asker, Client, ClientOptions};
use crate::commands::load::RequestOptions;
use crate::latencies::Latencies;
use crate::queries::{Kind, Kinds, Use};
use crate::record::{Record, RecordOptions};
use crate::sender;
use crate::visible::Count;
use crate::watch::WatchOptions;
use crate::workload::WorkloadOptions;
use crate::workload::late::OrderOptions;
use std::time::Duration;
use tokio::time::Instant;

/// Longer than any measurement: writers do not run out of rows.
const AFTERWARDS: Duration = Duration::from_secs(20 * 365 * 86_400);

/// Write and ask at the same time; the rows that --hosts, --start and --end name must be there
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    client: ClientOptions,

    #[command(flatten)]
    workload: WorkloadOptions,

    #[command(flatten)]
    requests: RequestOptions,

    #[command(flatten)]
    ask: AskOptions,

    /// Types of questions, each asked in its turn
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "single-groupby-1-1-1,cpu-max-all-8,double-groupby-1,lastpoint"
    )]
    tsbs: Vec<Kinds>,

    /// Those who ask, each over a connection of its own
    #[arg(long, default_value_t = 1)]
    query_workers: usize,

    /// How long
    #[arg(long, default_value = "2m", value_parser = humantime::parse_duration)]
    duration: Duration,

    #[command(flatten)]
    watch: WatchOptions,

    #[command(flatten)]
    record: RecordOptions,
}

pub(crate) async fn run(options: Options) -> Result<(), Error> {
    let (record, told) = measure(&options).await?;
    println!("{told}");
    options.record.keep(&record)
}

/// The record, and it in words.
async fn measure(options: &Options) -> Result<(Record, String), Error> {
    let kinds: Vec<Kind> = options
        .tsbs
        .iter()
        .flat_map(|kinds| kinds.0.iter().copied())
        .collect();
    let bounds = options.requests.bounds(Some(options.duration))?;
    let client = options.requests.client(&options.client)?;
    let afterwards = WorkloadOptions {
        start: options.workload.end,
        end: options.workload.end + AFTERWARDS,
        ..options.workload.clone()
    };
    let hands = options
        .requests
        .batches(&afterwards, &OrderOptions::default())?;
    let counted = Count::start(&client, &options.workload).await?;
    let watch = options.watch.start()?;

    let end = Instant::now() + options.duration;
    let mut readers = tokio::task::JoinSet::new();
    for number in 0..options.query_workers {
        let (client, options, kinds) = (client.clone(), options.clone(), kinds.clone());
        readers.spawn(async move { ask_until(end, number, &client, &options, &kinds).await });
    }
    let writing = sender::send(&client, hands, bounds);
    let reading = async {
        let mut of_kinds = vec![Latencies::new(); kinds.len()];
        while let Some(read) = readers.join_next().await {
            for (sum, part) in of_kinds.iter_mut().zip(&read??) {
                sum.merge(part)?;
            }
        }
        Ok::<_, Error>(of_kinds)
    };
    let (sent, asked) = tokio::try_join!(writing, reading)?;

    let mut record = options
        .record
        .start("mixed", &options.workload.use_case.to_string());
    sent.keep(&mut record);
    watch.keep(sent.rows, "row", &mut record)?;
    let mut told = format!(
        "{} rows, {:.0} rows/s: {}",
        sent.rows,
        sent.rows_per_s(),
        sent.latencies
    );
    let mut queries = 0;
    for (kind, latencies) in kinds.iter().zip(&asked) {
        latencies.keep(&format!("{kind} "), &mut record);
        queries += latencies.count();
        told += &format!("\n{kind}: {} queries: {latencies}", latencies.count());
    }
    let seconds = sent.elapsed.as_secs_f64();
    record
        .figure("queries", queries as f64)
        .figure("queries_per_s", queries as f64 / seconds)
        .text(
            "kinds",
            kinds
                .iter()
                .map(Kind::to_string)
                .collect::<Vec<_>>()
                .join(","),
        );
    if counted.wait_for_all(&client, sent.rows).await?.is_some() {
        told += "\nevery row that was acknowledged is counted";
    }
    Ok((record, told))
}

/// One reader: a question of each kind in turn, others than those of its neighbours; how long each kind took.
async fn ask_until(
    end: Instant,
    number: usize,
    client: &Client,
    options: &Options,
    kinds: &[Kind],
) -> Result<Vec<Latencies>, Error> {
    let mut asker = Asker::new(client, &options.ask).await?;
    let language = options.ask.language.language();
    let seed = options.workload.seed.wrapping_add(number as u64);
    let mut drawers: Vec<_> = kinds
        .iter()
        .map(|kind| kind.random(seed, Use::Count))
        .collect();
    let mut of_kinds = vec![Latencies::new(); kinds.len()];
    loop {
        for ((kind, random), latencies) in kinds.iter().zip(&mut drawers).zip(&mut of_kinds) {
            if Instant::now() >= end {
                return Ok(of_kinds);
            }
            let question = kind.draw(&options.workload, false, random)?;
            let answer = asker.ask(&question.statement(language)?).await?;
            answer
                .read(&question.shape())
                .map_err(|error| format!("{kind}: {error}"))?;
            latencies.add(answer.duration);
        }
    }
}
