//! What a running process has used so far, as the Linux kernel tells it under `/proc`.

use crate::Error;
use std::time::Duration;

/// Linux counts in hundredths of a second for user space, whatever it does inside.
const TICKS_PER_SECOND: u32 = 100;

/// CPU time of process `id`, in user and kernel mode, all its threads together.
pub(crate) fn cpu_time(id: u32) -> Result<Duration, Error> {
    let path = format!("/proc/{id}/stat");
    let stat =
        std::fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let ticks = cpu_ticks(&stat).ok_or_else(|| format!("{path} is not of the known form"))?;
    Ok(Duration::from_secs(ticks) / TICKS_PER_SECOND)
}

/// Largest memory use of process `id` so far, in bytes.
pub(crate) fn peak_memory_bytes(id: u32) -> Result<u64, Error> {
    let path = format!("/proc/{id}/status");
    let status =
        std::fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    peak_memory_kib(&status)
        .map(|kib| kib * 1024)
        .ok_or_else(|| format!("{path} is not of the known form").into())
}

/// Fields 14 and 15 of the line. Field 2 is the program's name in parentheses and may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(user + kernel)
}

fn peak_memory_kib(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{cpu_ticks, peak_memory_kib};

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let tail = "S 1 77 77 0 -1 4194304 900 0 3 0 120 34 5 6 20 0 9 0 100 200 300";
        assert_eq!(cpu_ticks(&format!("77 (influxdb3) {tail}")), Some(154));
        assert_eq!(cpu_ticks(&format!("77 (a) b (c) {tail}")), Some(154));
        assert_eq!(cpu_ticks("77 (x) S 1"), None);
        assert_eq!(
            peak_memory_kib("Name:\tx\nVmHWM:\t   61440 kB\nVmRSS:\t 1 kB\n"),
            Some(61_440)
        );
        assert_eq!(peak_memory_kib("Name:\tx\n"), None);
    }
}
