//! What a running process has used so far, as the Linux kernel tells it under `/proc`.

use crate::Error;
use std::path::Path;
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
    status_bytes(id, "VmHWM:")
}

/// Memory that process `id` has now, in bytes.
pub(crate) fn resident_bytes(id: u32) -> Result<u64, Error> {
    status_bytes(id, "VmRSS:")
}

/// Bytes that a folder takes on its disk, with everything in it; files that vanish meanwhile do not count.
pub(crate) fn folder_bytes(folder: &Path) -> Result<u64, Error> {
    let named = |error: std::io::Error| format!("cannot read {}: {error}", folder.display());
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).map_err(named)? {
        let entry = entry.map_err(named)?;
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() {
            bytes += match folder_bytes(&entry.path()) {
                Ok(bytes) => bytes,
                Err(error) if entry.path().exists() => return Err(error),
                Err(_) => 0,
            };
        } else {
            bytes += metadata.len();
        }
    }
    Ok(bytes)
}

/// Fields 14 and 15 of the line. Field 2 is the program's name in parentheses and may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(user + kernel)
}

fn status_bytes(id: u32, key: &str) -> Result<u64, Error> {
    let path = format!("/proc/{id}/status");
    let status =
        std::fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    status_kib(&status, key)
        .map(|kib| kib * 1024)
        .ok_or_else(|| format!("{path} is not of the known form").into())
}

fn status_kib(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{cpu_ticks, folder_bytes, status_kib};

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let tail = "S 1 77 77 0 -1 4194304 900 0 3 0 120 34 5 6 20 0 9 0 100 200 300";
        assert_eq!(cpu_ticks(&format!("77 (influxdb3) {tail}")), Some(154));
        assert_eq!(cpu_ticks(&format!("77 (a) b (c) {tail}")), Some(154));
        assert_eq!(cpu_ticks("77 (x) S 1"), None);
        assert_eq!(
            status_kib("Name:\tx\nVmHWM:\t   61440 kB\nVmRSS:\t 1 kB\n", "VmHWM:"),
            Some(61_440)
        );
        assert_eq!(status_kib("Name:\tx\n", "VmHWM:"), None);
    }

    #[test]
    fn a_folder_is_as_large_as_all_its_files() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("inner")).expect("a folder");
        std::fs::write(folder.path().join("inner/a"), [0; 100]).expect("a file");
        std::fs::write(folder.path().join("b"), [0; 23]).expect("a file");
        assert_eq!(folder_bytes(folder.path()).expect("it can be read"), 123);
        let told = folder_bytes(&folder.path().join("nothing")).unwrap_err();
        assert!(told.to_string().contains("nothing"), "{told}");
    }
}
