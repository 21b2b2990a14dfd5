//! The memory budget: one limit, split into shares.
//!
//! [`shares`] is pure; the machine is measured and options are read by `cli`. What keeps to a share: the buffer, the cache and
//! compaction in `storage`, queries in `query`, requests in `admission`, whole results in `http/encode/whole`.
//! For operators: docs/guide/memory.md.

use std::fmt;

use crate::Error;

const MEBIBYTE: u64 = 1 << 20;

/// One part of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    name: &'static str,
    /// What it gets of every 64 bytes that are split.
    weight: u64,
    /// Below this it cannot do its work.
    least: u64,
    /// More than this would not help.
    most: u64,
    /// How often its size counts: writes wait only when the buffer is twice as large as it should be.
    counts: u64,
}

const BUFFER: Share = Share {
    name: "buffer",
    weight: 12,
    least: 4 * MEBIBYTE,
    most: 128 * MEBIBYTE,
    counts: 2,
};

const QUERY: Share = Share {
    name: "query",
    weight: 16,
    least: 16 * MEBIBYTE,
    most: u64::MAX,
    counts: 1,
};

const CACHE: Share = Share {
    name: "cache",
    weight: 6,
    least: 2 * MEBIBYTE,
    most: 1024 * MEBIBYTE,
    counts: 1,
};

const COMPACTION: Share = Share {
    name: "compaction",
    weight: 8,
    least: 8 * MEBIBYTE,
    most: 256 * MEBIBYTE,
    counts: 1,
};

const INGEST: Share = Share {
    name: "ingest",
    weight: 6,
    least: 4 * MEBIBYTE,
    most: 256 * MEBIBYTE,
    counts: 1,
};

const RESULTS: Share = Share {
    name: "results",
    weight: 4,
    least: 2 * MEBIBYTE,
    most: 1024 * MEBIBYTE,
    counts: 1,
};

/// One part in this many of what is split stays with the program: rows becoming files, batches on their way, the allocator.
const PROGRAM_PART: u64 = 3;

/// And this on top of it, where it is not most of the whole: code, threads, the tables of a start.
const PROGRAM_BYTES_FIXED: u64 = 48 * MEBIBYTE;

/// The program needs no more than this of its own, however much there is.
const PROGRAM_BYTES_MAX: u64 = 512 * MEBIBYTE;

/// The limit and its shares, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub limit_bytes: u64,
    /// Of buffered rows, at which they become files early. Writes wait at twice as many.
    pub buffer_bytes: usize,
    /// Of sorts, joins and aggregates of all queries together.
    pub query_bytes: usize,
    /// Of footers, indexes and pages kept for the next query.
    pub cache_bytes: usize,
    /// That compaction holds at once.
    pub compaction_bytes: usize,
    /// Of write requests from their first byte until their rows are buffered.
    pub ingest_bytes: usize,
    /// Of results that must be whole before they are sent.
    pub results_bytes: usize,
}

/// Sizes that were asked for by option, in bytes; `None` leaves a share to the split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AskedMemory {
    pub buffer_bytes: Option<u64>,
    pub query_bytes: Option<u64>,
    pub cache_bytes: Option<u64>,
}

impl AskedMemory {
    /// In the order of [`Memory`].
    fn of_shares(&self) -> [(Share, Option<u64>); 6] {
        [
            (BUFFER, self.buffer_bytes),
            (QUERY, self.query_bytes),
            (CACHE, self.cache_bytes),
            (COMPACTION, None),
            (INGEST, None),
            (RESULTS, None),
        ]
    }

    /// The least limit with which these sizes can be had.
    fn least_limit(&self) -> u64 {
        let parts = self.of_shares().into_iter();
        parts
            .map(|(share, asked)| asked.unwrap_or(share.least * share.counts))
            .fold(0, u64::saturating_add)
    }
}

/// The limit when none is asked for: 70 % of what is available, or more where single sizes need it, but not more than there is.
///
/// The rest is for the program itself, for the catalog and the names of series, and for the operating system's cache of files.
pub fn limit_by_default(available_bytes: u64, asked: &AskedMemory) -> u64 {
    let usual = available_bytes / 100 * 70;
    usual.max(asked.least_limit().min(available_bytes))
}

/// Splits `limit_bytes`: what is asked for by name is given first, then each other share its least, then the rest by weight up to
/// the most of each; queries get what the others cannot use, up to half of the limit. A part of what is split is nobody's, for
/// what no share counts.
///
/// The shares never exceed the limit together, but for a buffer that was asked for: it counts twice only where there is room.
/// Errors: `Invalid` when the limit is less than what is asked for and the least of the other shares together.
pub fn shares(limit_bytes: u64, asked: &AskedMemory) -> Result<Memory, Error> {
    if asked.least_limit() > limit_bytes {
        return Err(too_little(limit_bytes, asked));
    }
    let parts = asked.of_shares();
    let taken = parts
        .iter()
        .filter_map(|(share, asked)| asked.map(|bytes| bytes.saturating_mul(share.counts)))
        .fold(0, u64::saturating_add);
    let split = || parts.iter().filter(|(_, asked)| asked.is_none());
    let least: u64 = split().map(|(share, _)| share.least * share.counts).sum();
    let weights: u64 = split().map(|(share, _)| share.weight * share.counts).sum();
    let rest = limit_bytes.saturating_sub(taken).saturating_sub(least);
    let fixed = PROGRAM_BYTES_FIXED.min(rest / 4);
    let program = (rest / PROGRAM_PART + fixed).min(PROGRAM_BYTES_MAX);
    let rest = rest - program;
    let mut sizes = parts.map(|(share, asked)| {
        asked.unwrap_or_else(|| {
            let part = u128::from(rest) * u128::from(share.weight) / u128::from(weights.max(1));
            let part = u64::try_from(part).unwrap_or(u64::MAX);
            share.least.saturating_add(part).min(share.most)
        })
    });
    if asked.query_bytes.is_none() {
        let others: u64 = parts
            .iter()
            .zip(sizes)
            .filter(|((share, _), _)| *share != QUERY)
            .map(|((share, _), bytes)| bytes.saturating_mul(share.counts))
            .fold(0, u64::saturating_add);
        let unused = (limit_bytes - program)
            .saturating_sub(others)
            .min(limit_bytes / 2);
        sizes[1] = sizes[1].max(unused);
    }
    let [buffer, query, cache, compaction, ingest, results] =
        sizes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    Ok(Memory {
        limit_bytes,
        buffer_bytes: buffer,
        query_bytes: query,
        cache_bytes: cache,
        compaction_bytes: compaction,
        ingest_bytes: ingest,
        results_bytes: results,
    })
}

fn too_little(limit_bytes: u64, asked: &AskedMemory) -> Error {
    let parts = asked.of_shares();
    let named: Vec<String> = parts
        .iter()
        .filter_map(|(share, asked)| Some(format!("{} {}", share.name, Size((*asked)?))))
        .collect();
    let others: u64 = parts
        .iter()
        .filter(|(_, asked)| asked.is_none())
        .map(|(share, _)| share.least * share.counts)
        .sum();
    let needed = match named.is_empty() {
        true => format!("at least {} are needed", Size(others)),
        false => format!(
            "{} and at least {} for the rest",
            named.join(", "),
            Size(others)
        ),
    };
    Error::invalid(format!(
        "a memory limit of {} is too little: {needed}",
        Size(limit_bytes)
    ))
}

impl fmt::Display for Memory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "limit {}:", Size(self.limit_bytes))?;
        for (at, (name, bytes)) in self.named().into_iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(formatter, "{comma} {name} {}", Size(bytes as u64))?;
        }
        Ok(())
    }
}

impl Memory {
    /// The shares with their names.
    pub fn named(&self) -> [(&'static str, usize); 6] {
        [
            (BUFFER.name, self.buffer_bytes),
            (QUERY.name, self.query_bytes),
            (CACHE.name, self.cache_bytes),
            (COMPACTION.name, self.compaction_bytes),
            (INGEST.name, self.ingest_bytes),
            (RESULTS.name, self.results_bytes),
        ]
    }
}

/// Bytes for people: whole mebibytes where they say enough.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes < 16 << 10 => write!(formatter, "{bytes} bytes"),
            bytes if bytes < 16 * MEBIBYTE => write!(formatter, "{} KiB", bytes >> 10),
            bytes => write!(formatter, "{} MiB", bytes / MEBIBYTE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `1gb`, `96mb`, `7b`.
    fn size(text: &str) -> u64 {
        let digits = text.trim_end_matches(char::is_alphabetic);
        let unit = match &text[digits.len()..] {
            "b" => 1,
            "mb" => 1 << 20,
            "gb" => 1 << 30,
            other => panic!("unit {other} of {text}"),
        };
        digits.parse::<u64>().expect("a number") * unit
    }

    /// A case is a line of words and the expected line: `limit 1gb query 200mb` or `machine 24gb`.
    fn split(line: &str) -> String {
        let mut asked = AskedMemory::default();
        let mut limit = None;
        let mut machine = 0;
        let words: Vec<&str> = line.split_whitespace().collect();
        for pair in words.chunks(2) {
            let bytes = size(pair[1]);
            match pair[0] {
                "limit" => limit = Some(bytes),
                "machine" => machine = bytes,
                "buffer" => asked.buffer_bytes = Some(bytes),
                "query" => asked.query_bytes = Some(bytes),
                "cache" => asked.cache_bytes = Some(bytes),
                other => panic!("word {other} of {line}"),
            }
        }
        let limit = limit.unwrap_or_else(|| limit_by_default(machine, &asked));
        match shares(limit, &asked) {
            Ok(memory) => memory.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn budgets_are_split() {
        const TABLE: &str = include_str!("../testdata/memory/shares.txt");
        let mut found = String::new();
        for line in TABLE.lines() {
            match line {
                comment if comment.starts_with('#') || comment.is_empty() => found.push_str(line),
                expected if expected.starts_with("  ") => continue,
                case => {
                    found.push_str(case);
                    found.push_str("\n  ");
                    found.push_str(&split(case));
                }
            }
            found.push('\n');
        }
        if std::env::var_os("UPDATE").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/memory/shares.txt");
            std::fs::write(path, &found).expect("write");
        }
        assert_eq!(found, TABLE, "run with UPDATE=1 if this is right");
    }

    #[test]
    fn no_split_exceeds_its_limit() {
        for limit in (54..4096).step_by(7).map(|size| size * MEBIBYTE + 12_345) {
            for query in [None, Some(1), Some(limit / 4)] {
                for buffer in [None, Some(0), Some(limit / 8)] {
                    let asked = AskedMemory {
                        buffer_bytes: buffer,
                        query_bytes: query,
                        cache_bytes: None,
                    };
                    let Ok(memory) = shares(limit, &asked) else {
                        continue;
                    };
                    let all: usize = memory.named().iter().map(|(_, bytes)| bytes).sum();
                    let twice = if buffer.is_none() {
                        memory.buffer_bytes
                    } else {
                        0
                    };
                    let over = asked.buffer_bytes.map_or(0, |bytes| 2 * bytes);
                    assert!(
                        (all + twice) as u64 <= limit.max(over + 40 * MEBIBYTE),
                        "{memory}"
                    );
                }
            }
        }
    }
}
