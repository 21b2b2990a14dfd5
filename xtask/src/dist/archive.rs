//! Archives as bytes that depend on nothing but what is put in: `tar` (ustar) and `ar`, as far as packages need them.
//!
//! Not here: what lies where in a package (`contents`), and compression.

use anyhow::{Result, bail, ensure};

/// Something in an archive: a path without a leading slash, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) mode: u32,
    /// `None` for a folder.
    pub(super) content: Option<Vec<u8>>,
}

impl Entry {
    pub(super) fn file(path: &str, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.to_string(),
            mode,
            content: Some(content.into()),
        }
    }
}

/// The entries and the folders they lie in, each once, in order: folders come before what is in them.
pub(super) fn with_folders(entries: &[Entry]) -> Vec<Entry> {
    let mut all = entries.to_vec();
    for entry in entries {
        for (at, _) in entry.path.match_indices('/') {
            all.push(Entry {
                path: entry.path[..at].to_string(),
                mode: 0o755,
                content: None,
            });
        }
    }
    // One that was given, with a mode of its own, stands before the one that was added.
    all.sort_by(|one, other| one.path.cmp(&other.path));
    all.dedup_by(|later, earlier| later.path == earlier.path);
    all
}

/// A tar of `entries` below `top`, all belonging to root and changed at `time_s`.
pub(super) fn tar(top: &str, entries: &[Entry], time_s: u64) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for entry in entries {
        let content = entry.content.as_deref().unwrap_or_default();
        let path = match entry.content {
            Some(_) => format!("{top}{}", entry.path),
            None => format!("{top}{}/", entry.path),
        };
        out.extend(tar_header(&path, entry, content.len(), time_s)?);
        out.extend(content);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    // Two empty blocks end it.
    out.resize(out.len() + 2 * BLOCK, 0);
    Ok(out)
}

const BLOCK: usize = 512;

fn tar_header(path: &str, entry: &Entry, size: usize, time_s: u64) -> Result<[u8; BLOCK]> {
    let (prefix, name) = split(path)?;
    let mut header = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, format!("{:07o}\0", entry.mode).as_bytes());
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    ensure!(size < 1 << 33, "{path} has {size} bytes, too many for tar");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, format!("{time_s:011o}\0").as_bytes());
    put(148, b"        ");
    put(156, if entry.content.is_some() { b"0" } else { b"5" });
    put(257, b"ustar\x0000");
    put(265, b"root\0");
    put(297, b"root\0");
    put(345, prefix.as_bytes());
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

/// A path as ustar keeps it: a prefix of up to 155 bytes and a name of up to 100, with a slash between them.
fn split(path: &str) -> Result<(&str, &str)> {
    if path.len() <= 100 {
        return Ok(("", path));
    }
    for (at, _) in path.match_indices('/') {
        let (prefix, name) = (&path[..at], &path[at + 1..]);
        if prefix.len() <= 155 && name.len() <= 100 && !name.is_empty() {
            return Ok((prefix, name));
        }
    }
    bail!("{path} is too long a path for tar")
}

/// An `ar` archive, which is what a `.deb` is.
pub(super) fn ar(members: &[(&str, Vec<u8>)], time_s: u64) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, content) in members {
        let size = content.len();
        out.extend(format!("{name:<16}{time_s:<12}0     0     100644  {size:<10}`\n").bytes());
        out.extend(content);
        if size % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_first_and_once() {
        let entries = [
            Entry::file("usr/bin/a", 0o755, "a"),
            Entry::file("usr/b", 0o644, "b"),
            Entry {
                path: "usr/bin".to_string(),
                mode: 0o700,
                content: None,
            },
        ];
        let all = with_folders(&entries);
        let told: Vec<(&str, u32)> = all
            .iter()
            .map(|entry| (entry.path.as_str(), entry.mode))
            .collect();
        let expected = [
            ("usr", 0o755),
            ("usr/b", 0o644),
            ("usr/bin", 0o700),
            ("usr/bin/a", 0o755),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_tar_has_blocks_and_a_checksum() {
        let tar = tar("./", &[Entry::file("a", 0o640, "hello")], 8).expect("fits");
        assert_eq!(tar.len(), 4 * BLOCK);
        assert_eq!(&tar[..4], b"./a\0");
        assert_eq!(&tar[100..108], b"0000640\0");
        assert_eq!(&tar[124..136], b"00000000005\0");
        assert_eq!(&tar[136..148], b"00000000010\0");
        assert_eq!(&tar[257..265], b"ustar\x0000");
        assert_eq!(&tar[BLOCK..BLOCK + 6], b"hello\0");
        let told = std::str::from_utf8(&tar[148..154]).expect("digits");
        let told = u32::from_str_radix(told, 8).expect("octal");
        let mut header = tar[..BLOCK].to_vec();
        header[148..156].fill(b' ');
        assert_eq!(
            told,
            header.iter().map(|byte| u32::from(*byte)).sum::<u32>()
        );
    }

    #[test]
    fn long_paths_are_split_and_longer_ones_refused() {
        let folder = "f".repeat(90);
        let path = format!("{folder}/{folder}");
        assert_eq!(split(&path).expect("fits"), (&*folder, &*folder));
        let fault = split(&"x".repeat(101)).expect_err("no slash");
        assert!(fault.to_string().contains("too long"), "{fault}");
    }

    #[test]
    fn members_of_ar_begin_at_even_places() {
        let ar = ar(&[("one", b"x".to_vec()), ("two", b"yz".to_vec())], 7);
        let text = String::from_utf8(ar).expect("text");
        let header = |name: &str, size: &str| {
            format!("{name:<16}{:<12}0     0     100644  {size:<10}`\n", "7")
        };
        let expected = format!("!<arch>\n{}x\n{}yz", header("one", "1"), header("two", "2"));
        assert_eq!(text, expected);
    }
}
