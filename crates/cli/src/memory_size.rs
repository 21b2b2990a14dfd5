//! Sizes of memory on the command line, and how much memory this machine gives us.
//!
//! Grammar and error texts: spec/server-config.md §2. A percentage is of the control group's limit when there is one,
//! else of the physical memory.

use std::path::Path;

/// What is assumed where the system does not tell its memory in a file.
const UNKNOWN_MACHINE_BYTES: u64 = 4 << 30;

/// A size as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemorySize {
    Bytes(u64),
    /// 0 to 100.
    Percent(u64),
}

impl MemorySize {
    /// The size on a machine with `available_bytes` of memory.
    pub(crate) fn bytes(self, available_bytes: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => available_bytes / 100 * percent,
        }
    }
}

/// `20%`, `1gb`, `512 MB`, `64kb`, `100b`; a bare number counts megabytes.
pub(crate) fn parse(text: &str) -> Result<MemorySize, String> {
    parse_with_unit(text, 1 << 20, "MB")
}

/// The same, but a bare number counts bytes.
pub(crate) fn parse_request_size(text: &str) -> Result<MemorySize, String> {
    parse_with_unit(text, 1, "bytes")
}

fn parse_with_unit(
    text: &str,
    bare_unit_bytes: u64,
    bare_unit: &str,
) -> Result<MemorySize, String> {
    let trimmed = text.trim();
    if let Some(number) = trimmed.strip_suffix('%') {
        let percent: u64 = number.trim_end().parse().map_err(|cause| {
            format!("failed to parse '{text}' as a percentage of available memory: {cause}")
        })?;
        return match percent {
            0..=100 => Ok(MemorySize::Percent(percent)),
            _ => Err(format!(
                "relative memory size must be in [0, 100] but is {percent}"
            )),
        };
    }
    let digits = trimmed.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    let (unit_bytes, unit) = match trimmed[digits.len()..].to_ascii_lowercase().as_str() {
        "" => (bare_unit_bytes, bare_unit),
        "b" => (1, "bytes"),
        "kb" => (1 << 10, "KB"),
        "mb" => (1 << 20, "MB"),
        "gb" => (1 << 30, "GB"),
        "tb" => (1 << 40, "TB"),
        unknown => {
            return Err(format!(
                "failed to parse '{text}' as a memory size: unknown unit '{unknown}', use b, kb, mb, gb, tb or %"
            ));
        }
    };
    let number: u64 = digits
        .trim_end()
        .parse()
        .map_err(|cause| format!("failed to parse '{text}' as a memory size in {unit}: {cause}"))?;
    number
        .checked_mul(unit_bytes)
        .map(MemorySize::Bytes)
        .ok_or_else(|| {
            format!("failed to parse '{text}' as a memory size in {unit}: number too large")
        })
}

/// Memory this process may use: the tightest limit of its control groups, or all of the machine's.
pub(crate) fn available_bytes() -> u64 {
    available_below(Path::new("/"))
}

fn available_below(root: &Path) -> u64 {
    let physical = physical_bytes(&root.join("proc/meminfo")).unwrap_or(UNKNOWN_MACHINE_BYTES);
    control_group_limit(root).map_or(physical, |limit| limit.min(physical))
}

fn physical_bytes(path: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// The smallest limit on the way from our control group up to the root, of either version of the interface.
fn control_group_limit(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mut smallest: Option<u64> = None;
    for line in text.lines() {
        // `hierarchy:controllers:path`; the second version has no controllers.
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // Inside a container the path may not be visible; the group of the container is then the root itself.
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            let limit = std::fs::read_to_string(root.join(mount).join(group).join(file));
            // `max` is no number: no limit at this level.
            let limit = limit.ok().and_then(|text| text.trim().parse().ok());
            smallest = match (smallest, limit) {
                (Some(one), Some(other)) => Some(u64::min(one, other)),
                (one, other) => one.or(other),
            };
        }
    }
    smallest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar() {
        for (text, expected) in [
            ("20%", Ok(MemorySize::Percent(20))),
            ("0 %", Ok(MemorySize::Percent(0))),
            ("1gb", Ok(MemorySize::Bytes(1 << 30))),
            ("512 MB", Ok(MemorySize::Bytes(512 << 20))),
            ("3Kb", Ok(MemorySize::Bytes(3 << 10))),
            ("1tb", Ok(MemorySize::Bytes(1 << 40))),
            ("100b", Ok(MemorySize::Bytes(100))),
            ("100", Ok(MemorySize::Bytes(100 << 20))),
            (
                "101%",
                Err("relative memory size must be in [0, 100] but is 101"),
            ),
            (
                "x%",
                Err(
                    "failed to parse 'x%' as a percentage of available memory: invalid digit found in string",
                ),
            ),
            (
                "1.5gb",
                Err(
                    "failed to parse '1.5gb' as a memory size in GB: invalid digit found in string",
                ),
            ),
            (
                "gb",
                Err(
                    "failed to parse 'gb' as a memory size in GB: cannot parse integer from empty string",
                ),
            ),
            (
                "1x",
                Err(
                    "failed to parse '1x' as a memory size: unknown unit 'x', use b, kb, mb, gb, tb or %",
                ),
            ),
            (
                "99999999999gb",
                Err("failed to parse '99999999999gb' as a memory size in GB: number too large"),
            ),
        ] {
            assert_eq!(parse(text), expected.map_err(str::to_string), "{text}");
        }
        assert_eq!(parse_request_size("100"), Ok(MemorySize::Bytes(100)));
        assert_eq!(parse_request_size("10mb"), Ok(MemorySize::Bytes(10 << 20)));
    }

    #[test]
    fn a_percentage_is_of_the_tightest_limit() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("paths have folders")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        assert_eq!(available_below(root.path()), UNKNOWN_MACHINE_BYTES);
        write("proc/meminfo", "MemFree: 1 kB\nMemTotal:       1000 kB\n");
        assert_eq!(available_below(root.path()), 1_024_000);
        write("proc/self/cgroup", "0::/outer/inner\n");
        write("sys/fs/cgroup/outer/memory.max", "500000\n");
        write("sys/fs/cgroup/outer/inner/memory.max", "max\n");
        assert_eq!(available_below(root.path()), 500_000);
        write("proc/self/cgroup", "3:cpu:/x\n4:memory,other:/y\n");
        write(
            "sys/fs/cgroup/memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        );
        assert_eq!(available_below(root.path()), 1_024_000);
        write("sys/fs/cgroup/memory/y/memory.limit_in_bytes", "400000\n");
        assert_eq!(available_below(root.path()), 400_000);
        assert_eq!(MemorySize::Percent(20).bytes(400_000), 80_000);
    }
}
