//! Watches a server on this machine while something is done to it: CPU time, memory second by second.

use crate::Error;
use crate::process;
use crate::record::Record;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const SAMPLE_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct WatchOptions {
    /// Process of the server, if on this machine, to see the CPU time and memory it uses
    #[arg(long)]
    pub(crate) server_pid: Option<u32>,
}

impl WatchOptions {
    /// Watches from now on, if there is a process to watch.
    pub(crate) fn start(&self) -> Result<Watch, Error> {
        let Some(id) = self.server_pid else {
            return Ok(Watch { watched: None });
        };
        let start = Instant::now();
        let samples = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&samples);
        let sampler = tokio::spawn(async move {
            while let Ok(bytes) = process::resident_bytes(id) {
                let point = [start.elapsed().as_secs_f64(), bytes as f64 / 1_048_576.0];
                kept.lock()
                    .expect("nobody panics with the lock")
                    .push(point);
                tokio::time::sleep(SAMPLE_EVERY).await;
            }
        });
        Ok(Watch {
            watched: Some(Watched {
                id,
                cpu_before: process::cpu_time(id)?,
                samples,
                _sampler: Sampler(sampler),
            }),
        })
    }
}

/// A server that is watched, or none.
#[derive(Debug)]
pub(crate) struct Watch {
    watched: Option<Watched>,
}

#[derive(Debug)]
struct Watched {
    id: u32,
    cpu_before: Duration,
    /// Seconds since the start, and MiB in memory.
    samples: Arc<Mutex<Vec<[f64; 2]>>>,
    _sampler: Sampler,
}

/// Ends with its owner.
#[derive(Debug)]
struct Sampler(JoinHandle<()>);

impl Drop for Sampler {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watch {
    /// Adds to a record what the server used since the start, in all and for each of so many things done.
    pub(crate) fn keep(&self, count: usize, each: &str, record: &mut Record) -> Result<(), Error> {
        let Some(watched) = &self.watched else {
            return Ok(());
        };
        let cpu = process::cpu_time(watched.id)?.saturating_sub(watched.cpu_before);
        let cpu_us = cpu.as_secs_f64() * 1e6;
        record
            .figure("cpu_s", cpu.as_secs_f64())
            .figure(&format!("cpu_us_per_{each}"), cpu_us / count.max(1) as f64)
            .figure("peak_bytes", process::peak_memory_bytes(watched.id)? as f64);
        let samples = watched.samples.lock().expect("nobody panics with the lock");
        record.series("resident_mib", samples.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::WatchOptions;
    use crate::record::RecordOptions;

    #[tokio::test]
    async fn what_a_process_uses_is_kept() {
        let options = WatchOptions {
            server_pid: Some(std::process::id()),
        };
        let watch = options.start().expect("this process is there");
        tokio::task::yield_now().await;
        let mut record = RecordOptions::default().start("load", "some");
        watch
            .keep(10, "row", &mut record)
            .expect("it is there still");
        assert!(record.figures["peak_bytes"] > 1e5);
        assert!(record.figures.contains_key("cpu_us_per_row"));
        assert!(!record.series["resident_mib"].is_empty());

        let mut record = RecordOptions::default().start("load", "some");
        let watch = WatchOptions::default().start().expect("nothing to watch");
        watch
            .keep(10, "row", &mut record)
            .expect("nothing to watch");
        assert!(record.figures.is_empty());
    }
}
