//! `influxdb3-bench load`: how fast the server takes batches, what a row costs it, and what becomes of the rows afterwards.

use crate::Error;
use crate::client::{Client, ClientOptions};
use crate::compression::Compression;
use crate::random::Random;
use crate::record::{Record, RecordOptions};
use crate::sender::{self, Batch, Batches, Bounds};
use crate::settle;
use crate::visible::Count;
use crate::watch::WatchOptions;
use crate::workload::WorkloadOptions;
use crate::workload::late::{self, OrderOptions};
use bytes::Bytes;
use std::path::PathBuf;
use std::time::Duration;

/// Write the workload in batches
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) client: ClientOptions,

    #[command(flatten)]
    pub(crate) workload: WorkloadOptions,

    /// File to send instead, one point on each line
    #[arg(long)]
    file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) order: OrderOptions,

    #[command(flatten)]
    pub(crate) requests: RequestOptions,

    /// Send the requests in random order; all are made first, and kept in memory
    #[arg(long)]
    shuffle: bool,

    #[command(flatten)]
    watch: WatchOptions,

    #[command(flatten)]
    settle: SettleOptions,

    #[command(flatten)]
    record: RecordOptions,
}

/// How lines become requests.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RequestOptions {
    /// Lines in a request
    #[arg(long, default_value_t = 10_000)]
    pub(crate) batch_lines: usize,

    /// Connections that write at the same time; each has its own hosts
    #[arg(long, default_value_t = 1)]
    pub(crate) workers: usize,

    /// Rows in a second, of all connections together; latencies then count from when a request was due. As fast as it goes if not given
    #[arg(long)]
    pub(crate) rate: Option<f64>,

    /// How bodies are compressed: none, gzip or zstd
    #[arg(long, default_value = "none")]
    pub(crate) compression: Compression,

    /// Do not wait until writes are durable
    #[arg(long)]
    pub(crate) no_sync: bool,
}

impl RequestOptions {
    pub(crate) fn bounds(&self, duration: Option<Duration>) -> Result<Bounds, Error> {
        if self.batch_lines == 0 {
            return Err("a batch needs at least one line: --batch-lines 0".into());
        }
        if let Some(rate) = self.rate
            && !(rate.is_finite() && rate > 0.0)
        {
            return Err(format!("a rate is a number of rows above zero: --rate {rate}").into());
        }
        Ok(Bounds {
            requests_per_s: self.rate.map(|rate| rate / self.batch_lines as f64),
            duration,
        })
    }

    /// The options as words, for a command that is run by another.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = vec![
            format!("--batch-lines={}", self.batch_lines),
            format!("--workers={}", self.workers),
            format!("--compression={}", self.compression),
        ];
        words.extend(self.rate.map(|rate| format!("--rate={rate}")));
        words.extend(self.no_sync.then(|| "--no-sync".to_owned()));
        words
    }

    /// A client that writes as these options say.
    pub(crate) fn client(&self, options: &ClientOptions) -> Result<Client, Error> {
        let client = Client::new(options)?.with_compression(self.compression);
        Ok(match self.no_sync {
            true => client.without_sync(),
            false => client,
        })
    }

    /// The rows of a workload in some order, a hand for each connection.
    pub(crate) fn batches(
        &self,
        workload: &WorkloadOptions,
        order: &OrderOptions,
    ) -> Result<Vec<Batches>, Error> {
        let parts = workload.plan()?.split(self.workers);
        let hands = parts.iter().map(|plan| -> Result<Batches, Error> {
            let batches = late::batches(plan, order, self.batch_lines)?;
            Ok(Box::new(batches.map(Batch::from)))
        });
        hands.collect()
    }
}

/// How long is waited for a server to come to rest.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SettleOptions {
    /// Folder of the server's data, to wait after the load until nothing changes there any more, and to see what a value takes
    #[arg(long, requires = "server_pid")]
    data_folder: Option<PathBuf>,

    /// How long nothing may have happened before a server is at rest
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    quiet: Duration,

    /// How long to wait for that
    #[arg(long, default_value = "30m", value_parser = humantime::parse_duration)]
    patience: Duration,
}

pub(crate) async fn run(options: Options) -> Result<(), Error> {
    let name = options.workload.use_case.to_string();
    run_as("load", &name, options).await
}

/// The same under the name of a command that is a kind of load.
pub(crate) async fn run_as(command: &str, name: &str, options: Options) -> Result<(), Error> {
    let record = measure(command, name, &options).await?;
    let figure = |name: &str| record.figures.get(name).copied().unwrap_or(f64::NAN);
    println!(
        "{:.0} rows, {:.0} bytes in {:.2} s: {:.0} rows/s, {:.1} MB/s",
        figure("rows"),
        figure("bytes"),
        figure("elapsed_s"),
        figure("rows_per_s"),
        figure("bytes_per_s") / 1e6,
    );
    println!(
        "requests: mean {:.3} ms, p50 {:.3} ms, p90 {:.3} ms, p99 {:.3} ms, p99.9 {:.3} ms, max {:.3} ms",
        figure("mean_ms"),
        figure("p50_ms"),
        figure("p90_ms"),
        figure("p99_ms"),
        figure("p999_ms"),
        figure("max_ms"),
    );
    if record.figures.contains_key("visible_after_ms") {
        println!(
            "all visible {:.1} ms after the last answer",
            figure("visible_after_ms")
        );
    }
    if record.figures.contains_key("cpu_s") {
        println!(
            "server: {:.2} s of CPU time, {:.3} µs per row; at most {:.0} MiB of memory so far",
            figure("cpu_s"),
            figure("cpu_us_per_row"),
            figure("peak_bytes") / 1_048_576.0,
        );
    }
    if record.figures.contains_key("folder_bytes") {
        println!(
            "at rest {:.1} s later: {:.2} s of CPU time more, {:.0} bytes on disk, {:.4} bytes per value",
            figure("settled_after_s"),
            figure("settling_cpu_s"),
            figure("folder_bytes"),
            figure("bytes_per_value"),
        );
    }
    options.record.keep(&record)
}

/// Loads, waits until all is visible and, where a folder is given, until the server is at rest.
async fn measure(command: &str, name: &str, options: &Options) -> Result<Record, Error> {
    let requests = &options.requests;
    let bounds = requests.bounds(None)?;
    let client = requests.client(&options.client)?;
    client.prepare().await?;
    let mut work = match &options.file {
        Some(path) => {
            let file = std::fs::read(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            file_batches(file, requests.batch_lines, requests.workers)
        }
        None => requests.batches(&options.workload, &options.order)?,
    };
    if options.shuffle {
        let mut random = Random::new(options.workload.seed, u64::MAX);
        work = work
            .into_iter()
            .map(|batches| shuffled(batches, &mut random))
            .collect();
    }
    let counted = Count::start(&client, &options.workload).await?;
    let watch = options.watch.start()?;
    let sent = sender::send(&client, work, bounds).await?;
    let mut record = options.record.start(command, name);
    sent.keep(&mut record);
    watch.keep(sent.rows, "row", &mut record)?;
    // What a file holds cannot be known without parsing it.
    if options.file.is_none()
        && let Some(after) = counted.wait_for_all(&client, sent.rows).await?
    {
        record.figure("visible_after_ms", after.as_secs_f64() * 1e3);
    }
    let settle = &options.settle;
    if let (Some(id), Some(folder)) = (options.watch.server_pid, &settle.data_folder) {
        let settled = settle::settle(id, folder, settle.quiet, settle.patience).await?;
        settled.keep(&mut record);
        let values = sent.values.max(1) as f64;
        record.figure("bytes_per_value", settled.folder_bytes as f64 / values);
    }
    Ok(record)
}

/// The same batches in an order of chance.
fn shuffled(batches: Batches, random: &mut Random) -> Batches {
    let mut batches: Vec<Batch> = batches.collect();
    for at in (1..batches.len()).rev() {
        batches.swap(at, random.below(at + 1));
    }
    Box::new(batches.into_iter())
}

/// Cuts a file into batches and deals them out in turn. The values in them are not counted.
fn file_batches(file: Vec<u8>, batch_lines: usize, workers: usize) -> Vec<Batches> {
    let workers = workers.max(1);
    let mut hands: Vec<Vec<Batch>> = (0..workers).map(|_| Vec::new()).collect();
    let mut rest = Bytes::from(file);
    let mut turn = 0;
    while !rest.is_empty() {
        let ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let (rows, end) = ends
            .map(|(position, _)| position + 1)
            .take(batch_lines)
            .fold((0, 0), |(rows, _), end| (rows + 1, end));
        // A last line without a newline is a line too.
        let (rows, end) = match rows < batch_lines && end < rest.len() {
            true => (rows + 1, rest.len()),
            false => (rows, end),
        };
        let lines = rest.split_to(end);
        hands[turn % workers].push(Batch {
            rows,
            values: 0,
            lines,
        });
        turn += 1;
    }
    hands
        .into_iter()
        .map(|hand| -> Batches { Box::new(hand.into_iter()) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{RequestOptions, file_batches};
    use crate::compression::Compression;

    fn cut(text: &str, batch_lines: usize, workers: usize) -> Vec<Vec<(usize, String)>> {
        file_batches(text.as_bytes().to_vec(), batch_lines, workers)
            .into_iter()
            .map(|batches| {
                batches
                    .map(|batch| (batch.rows, String::from_utf8(batch.lines.to_vec()).unwrap()))
                    .collect()
            })
            .collect()
    }

    #[test]
    fn a_file_is_dealt_out_whole() {
        let batch = |rows: usize, text: &str| (rows, text.to_owned());
        assert_eq!(
            cut("a\nb\nc\nd\ne", 2, 2),
            [
                vec![batch(2, "a\nb\n"), batch(1, "e")],
                vec![batch(2, "c\nd\n")]
            ]
        );
        assert_eq!(cut("a\nb\n", 2, 1), [[batch(2, "a\nb\n")]]);
        assert_eq!(cut("a", 2, 1), [[batch(1, "a")]]);
        assert_eq!(cut("", 2, 1), [[]; 1] as [[(usize, String); 0]; 1]);
    }

    #[test]
    fn bounds_are_those_of_requests_and_make_sense() {
        let mut options = RequestOptions {
            batch_lines: 100,
            workers: 1,
            rate: Some(1_000.0),
            compression: Compression::None,
            no_sync: false,
        };
        assert_eq!(options.bounds(None).unwrap().requests_per_s, Some(10.0));
        options.rate = Some(0.0);
        assert!(
            options
                .bounds(None)
                .unwrap_err()
                .to_string()
                .contains("--rate 0")
        );
        options.batch_lines = 0;
        assert!(
            options
                .bounds(None)
                .unwrap_err()
                .to_string()
                .contains("--batch-lines 0")
        );
    }
}
