//! Waits until a server on this machine has nothing left to do by itself: no CPU time used, nothing changing in its folder.
//!
//! This is what an observer can see of any server, whatever it calls its flushes, merges and compactions.

use crate::Error;
use crate::process;
use crate::record::Record;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How often the server is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A server that uses less than this share of one core does nothing worth waiting for.
const IDLE_SHARE: f64 = 0.03;

/// How a server came to rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    /// From the call until the server was last seen at work.
    pub(crate) after: Duration,
    /// CPU time until then.
    pub(crate) cpu: Duration,
    /// What its folder takes at rest.
    pub(crate) folder_bytes: u64,
}

impl Settled {
    pub(crate) fn keep(&self, record: &mut Record) {
        record
            .figure("settled_after_s", self.after.as_secs_f64())
            .figure("settling_cpu_s", self.cpu.as_secs_f64())
            .figure("folder_bytes", self.folder_bytes as f64);
    }
}

/// Waits until process `id` and its `folder` have been at rest for `quiet`; an error after `patience`.
pub(crate) async fn settle(
    id: u32,
    folder: &Path,
    quiet: Duration,
    patience: Duration,
) -> Result<Settled, Error> {
    let start = Instant::now();
    let cpu_before = process::cpu_time(id)?;
    let mut busy_at = start;
    let mut cpu_then = cpu_before;
    let (mut cpu_seen, mut bytes_seen) = (cpu_before, process::folder_bytes(folder)?);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let (cpu, bytes) = (process::cpu_time(id)?, process::folder_bytes(folder)?);
        let idle = LOOK_EVERY
            .mul_f64(IDLE_SHARE)
            .max(Duration::from_millis(10));
        if cpu - cpu_seen > idle || bytes != bytes_seen {
            (busy_at, cpu_then) = (Instant::now(), cpu);
        }
        (cpu_seen, bytes_seen) = (cpu, bytes);
        if busy_at.elapsed() >= quiet {
            return Ok(Settled {
                after: busy_at - start,
                cpu: cpu_then - cpu_before,
                folder_bytes: bytes,
            });
        }
        if start.elapsed() >= patience {
            return Err(format!(
                "process {id} was still at work after {:.0} s: {bytes} bytes in {}",
                patience.as_secs_f64(),
                folder.display()
            )
            .into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::settle;
    use std::time::Duration;

    #[tokio::test]
    async fn a_folder_that_changes_is_waited_for() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        let writer = tokio::spawn(async move {
            for length in 1..=3 {
                tokio::time::sleep(Duration::from_millis(300)).await;
                std::fs::write(&path, vec![0; length]).expect("a file");
            }
        });
        // Something that sleeps: only the folder changes.
        let mut sleeper = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep runs");
        let quiet = Duration::from_millis(1_200);
        let settled = settle(sleeper.id(), folder.path(), quiet, Duration::from_secs(30)).await;
        let hurried = settle(sleeper.id(), folder.path(), quiet, Duration::from_millis(1)).await;
        sleeper
            .kill()
            .and_then(|()| sleeper.wait())
            .expect("it ends");
        writer.await.expect("the writer ends");
        let settled = settled.expect("it comes to rest");
        assert_eq!(settled.folder_bytes, 3);
        assert!(settled.after >= Duration::from_millis(800), "{settled:?}");
        let told = hurried.unwrap_err().to_string();
        assert!(told.contains("still at work"), "{told}");
    }
}
