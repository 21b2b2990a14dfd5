//! Sends batches of lines over several connections and counts what was acknowledged.
//!
//! Every command that writes goes through here. Not here: what lines there are (`workload`), and what becomes of the counts.

use crate::Error;
use crate::client::Client;
use crate::latencies::Latencies;
use crate::pace::Pace;
use crate::record::Record;
use crate::workload::late;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Lines to be sent in one request.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) rows: usize,
    /// Field values in these rows, which TSBS calls metrics.
    pub(crate) values: usize,
    pub(crate) lines: Bytes,
}

impl From<late::Batch> for Batch {
    fn from(batch: late::Batch) -> Self {
        Self {
            rows: batch.rows,
            values: batch.values,
            lines: batch.lines.into(),
        }
    }
}

/// What one connection sends, in order.
pub(crate) type Batches = Box<dyn Iterator<Item = Batch> + Send>;

/// What was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) rows: usize,
    pub(crate) values: usize,
    pub(crate) bytes: usize,
    pub(crate) latencies: Latencies,
    pub(crate) elapsed: Duration,
    /// Rows acknowledged in each second since the start.
    pub(crate) rows_each_second: Vec<usize>,
}

impl Sent {
    fn new() -> Self {
        Self {
            rows: 0,
            values: 0,
            bytes: 0,
            latencies: Latencies::new(),
            elapsed: Duration::ZERO,
            rows_each_second: Vec::new(),
        }
    }

    fn merge(&mut self, other: &Self) -> Result<(), Error> {
        self.rows += other.rows;
        self.values += other.values;
        self.bytes += other.bytes;
        self.latencies.merge(&other.latencies)?;
        let seconds = self
            .rows_each_second
            .len()
            .max(other.rows_each_second.len());
        self.rows_each_second.resize(seconds, 0);
        for (sum, rows) in self
            .rows_each_second
            .iter_mut()
            .zip(&other.rows_each_second)
        {
            *sum += rows;
        }
        Ok(())
    }

    pub(crate) fn rows_per_s(&self) -> f64 {
        self.rows as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn bytes_per_s(&self) -> f64 {
        self.bytes as f64 / self.elapsed.as_secs_f64()
    }

    /// Adds the counts, rates and latencies to a record.
    pub(crate) fn keep(&self, record: &mut Record) {
        record
            .figure("rows", self.rows as f64)
            .figure("values", self.values as f64)
            .figure("bytes", self.bytes as f64)
            .figure("elapsed_s", self.elapsed.as_secs_f64())
            .figure("rows_per_s", self.rows_per_s())
            .figure("bytes_per_s", self.bytes_per_s());
        let seconds = self.rows_each_second.iter().zip(0_u32..);
        record.series(
            "rows_each_second",
            seconds
                .map(|(rows, second)| [f64::from(second), *rows as f64])
                .collect(),
        );
        self.latencies.keep("", record);
    }
}

/// When sending ends before there is nothing left to send, and how fast it goes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    /// Requests due in a second, of all connections together; as many as the server takes if `None`.
    pub(crate) requests_per_s: Option<f64>,
    /// No request starts later than this.
    pub(crate) duration: Option<Duration>,
}

/// Sends all batches, each hand by a task and a connection of its own; the first failure ends it.
pub(crate) async fn send(
    client: &Client,
    work: Vec<Batches>,
    bounds: Bounds,
) -> Result<Sent, Error> {
    let start = Instant::now();
    let pace = Pace::new(bounds.requests_per_s);
    let turn = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for batches in work {
        let (client, turn) = (client.clone(), Arc::clone(&turn));
        tasks.spawn(async move {
            let mut sent = Sent::new();
            for batch in batches {
                let due = pace.due(turn.fetch_add(1, Ordering::Relaxed)).await;
                if bounds
                    .duration
                    .is_some_and(|longest| start.elapsed() >= longest)
                {
                    break;
                }
                let bytes = batch.lines.len();
                client.write(batch.lines).await?;
                sent.latencies.add(due.elapsed());
                sent.rows += batch.rows;
                sent.values += batch.values;
                sent.bytes += bytes;
                let second = start.elapsed().as_secs() as usize;
                if sent.rows_each_second.len() <= second {
                    sent.rows_each_second.resize(second + 1, 0);
                }
                sent.rows_each_second[second] += batch.rows;
            }
            Ok::<_, Error>(sent)
        });
    }
    let mut all = Sent::new();
    while let Some(sent) = tasks.join_next().await {
        all.merge(&sent??)?;
    }
    all.elapsed = start.elapsed();
    Ok(all)
}
