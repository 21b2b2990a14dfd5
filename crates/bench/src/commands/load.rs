//! `bench load`: how fast the server takes batches, and what a row costs it.

use crate::durations::Durations;
use crate::random::Random;
use crate::workload::{Rows, WorkloadOptions};
use crate::{Error, process};
use bytes::Bytes;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::client::{Client, ClientOptions};

/// Write the workload in batches
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    client: ClientOptions,

    #[command(flatten)]
    workload: WorkloadOptions,

    /// File to send instead, one point on each line
    #[arg(long)]
    file: Option<PathBuf>,

    /// Lines in a request
    #[arg(long, default_value_t = 10_000)]
    batch_lines: usize,

    /// Requests at the same time; each worker has its own hosts
    #[arg(long, default_value_t = 1)]
    workers: usize,

    /// Send the requests in random order; all are made first, and kept in memory
    #[arg(long)]
    shuffle: bool,

    /// Do not wait until writes are durable
    #[arg(long)]
    no_sync: bool,

    /// Process of the server, if on this machine, to see the CPU time and memory it uses
    #[arg(long)]
    server_pid: Option<u32>,
}

/// Lines to be sent in one request.
struct Batch {
    rows: usize,
    lines: Bytes,
}

/// What one worker sends, in order.
type Batches = Box<dyn Iterator<Item = Batch> + Send>;

#[derive(Default)]
struct Sent {
    rows: usize,
    bytes: usize,
    durations: Vec<Duration>,
}

pub(crate) async fn run(options: Options) -> Result<(), Error> {
    if options.batch_lines == 0 {
        return Err("a batch needs at least one line".into());
    }
    let mut client = Client::new(&options.client)?;
    if options.no_sync {
        client = client.without_sync();
    }
    let mut work = match &options.file {
        Some(path) => file_batches(std::fs::read(path)?, options.batch_lines, options.workers),
        None => workload_batches(&options)?,
    };
    if options.shuffle {
        let mut random = Random::new(options.workload.seed, u64::MAX);
        work = work
            .into_iter()
            .map(|batches| shuffled(batches, &mut random))
            .collect();
    }
    let cpu_time = || options.server_pid.map(process::cpu_time).transpose();
    let cpu_before = cpu_time()?;
    let started = Instant::now();
    let workers: Vec<_> = work
        .into_iter()
        .map(|batches| tokio::spawn(send(client.clone(), batches)))
        .collect();
    let mut sent = Sent::default();
    for worker in workers {
        let part = worker.await??;
        sent.rows += part.rows;
        sent.bytes += part.bytes;
        sent.durations.extend(part.durations);
    }
    let seconds = started.elapsed().as_secs_f64();
    let rows = sent.rows as f64;
    println!(
        "{} rows, {} bytes in {seconds:.2} s: {:.0} rows/s, {:.1} MB/s",
        sent.rows,
        sent.bytes,
        rows / seconds,
        sent.bytes as f64 / seconds / 1e6
    );
    println!(
        "{} requests: {}",
        sent.durations.len(),
        Durations::new(sent.durations)
    );
    if let (Some(id), Some(before), Some(after)) = (options.server_pid, cpu_before, cpu_time()?) {
        let used = after.saturating_sub(before).as_secs_f64();
        println!(
            "server: {used:.2} s of CPU time, {:.3} µs per row; at most {} MiB of memory so far",
            used / rows.max(1.0) * 1e6,
            process::peak_memory_bytes(id)? >> 20,
        );
    }
    Ok(())
}

async fn send(client: Client, batches: Batches) -> Result<Sent, Error> {
    let mut sent = Sent::default();
    for batch in batches {
        sent.rows += batch.rows;
        sent.bytes += batch.lines.len();
        sent.durations.push(client.write(batch.lines).await?);
    }
    Ok(sent)
}

fn workload_batches(options: &Options) -> Result<Vec<Batches>, Error> {
    let batch_lines = options.batch_lines;
    let work = options
        .workload
        .plan()?
        .split(options.workers)
        .into_iter()
        .map(|plan| -> Batches {
            let mut rows = Rows::new(&plan);
            let mut expected_bytes = 0;
            Box::new(std::iter::from_fn(move || {
                let mut lines = Vec::with_capacity(expected_bytes);
                let count = rows.write(batch_lines, &mut lines).rows;
                expected_bytes = lines.len() + lines.len() / 16;
                (count > 0).then(|| Batch {
                    rows: count,
                    lines: lines.into(),
                })
            }))
        })
        .collect();
    Ok(work)
}

/// The same batches in an order of chance.
fn shuffled(batches: Batches, random: &mut Random) -> Batches {
    let mut batches: Vec<Batch> = batches.collect();
    for at in (1..batches.len()).rev() {
        batches.swap(at, random.below(at + 1));
    }
    Box::new(batches.into_iter())
}

/// Cuts a file into batches and deals them out in turn.
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
        hands[turn % workers].push(Batch { rows, lines });
        turn += 1;
    }
    hands
        .into_iter()
        .map(|hand| -> Batches { Box::new(hand.into_iter()) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::file_batches;

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
}
