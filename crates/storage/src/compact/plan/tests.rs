//! The planner against its text table, and against thousands of files that exist only as entries.

use std::time::Duration;

use catalog::{DatabaseId, TableId};

use super::*;
use crate::window::DAY_NS;

const NOW_MS: i64 = 100 * 86_400_000;
const MEGABYTE: u64 = 1 << 20;

fn settings() -> Settings {
    Settings::new(256 << 20, Duration::from_secs(600))
}

fn file(id: u64, days: (i64, i64), sequences: (u64, u64), bytes: u64) -> FileEntry {
    FileEntry {
        id,
        database: DatabaseId(1),
        table: TableId(1),
        min_time: days.0 * DAY_NS,
        max_time: days.1 * DAY_NS + DAY_NS - 1,
        rows: 1,
        series: 1,
        bytes,
        first_sequence: sequences.0,
        last_sequence: sequences.1,
        crc32: 0,
        footer_bytes: 0,
        footer_crc32: 0,
        deletes_applied: 0,
        created_ms: NOW_MS,
    }
}

fn pair<T: std::str::FromStr<Err: std::fmt::Debug> + Copy>(text: &str) -> (T, T) {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    (
        first.parse().expect("number"),
        last.parse().expect("number"),
    )
}

fn size(text: &str) -> u64 {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let unit = match &text[digits.len()..] {
        "KB" => 1 << 10,
        "MB" => MEGABYTE,
        other => panic!("unit {other}"),
    };
    digits.parse::<u64>().expect("size") * unit
}

fn show(job: Option<Job>) -> String {
    let Some(job) = job else {
        return "nothing".to_string();
    };
    let ids: Vec<String> = job.inputs.iter().map(u64::to_string).collect();
    let output = match job.output {
        Output::Nothing => "nothing",
        Output::Rows { cut_level } => ["day", "week", "4 weeks", "52 weeks", "ever"][cut_level],
    };
    format!("{} {} {output}", job.reason.name(), ids.join(" "))
}

#[test]
fn what_comes_next() {
    let table = include_str!("../../../testdata/compaction.txt");
    let mut wrong = Vec::new();
    for case in table.split("\n== ").skip(1) {
        let mut lines = case.lines();
        let name = lines.next().expect("name");
        let mut files = Vec::new();
        let mut tombstones = Vec::new();
        let mut is_gone = false;
        let mut oldest_visible = i64::MIN;
        let mut expected = "";
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                [
                    "file",
                    id,
                    "day" | "days",
                    days,
                    "seq",
                    sequences,
                    bytes,
                    rest @ ..,
                ] => {
                    let mut entry = file(
                        id.parse().expect("id"),
                        pair(days),
                        pair(sequences),
                        size(bytes),
                    );
                    match rest {
                        [] => {}
                        ["old"] => entry.created_ms -= 48 * 3_600_000,
                        ["freed", last] => entry.deletes_applied = last.parse().expect("id"),
                        other => panic!("{other:?} in {name}"),
                    }
                    files.push(entry);
                }
                ["delete", id, "seq", sequence, "days", days, rest @ ..] => {
                    let days: (i64, i64) = pair(days);
                    tombstones.push(TombstoneEntry {
                        id: id.parse().expect("id"),
                        database: DatabaseId(1),
                        table: TableId(1),
                        sequence: sequence.parse().expect("sequence"),
                        min_time: days.0 * DAY_NS,
                        max_time: days.1 * DAY_NS + DAY_NS - 1,
                        created_ms: NOW_MS - DELETE_WAIT_MS,
                        scope: match rest {
                            [] => TombstoneScope::AllSeries,
                            _ => TombstoneScope::Listed { bytes: 1, crc32: 1 },
                        },
                    });
                }
                ["expired", "before", "day", day] => {
                    oldest_visible = day.parse::<i64>().expect("day") * DAY_NS;
                }
                ["gone"] => is_gone = true,
                ["=>", ..] => expected = line.trim_start_matches("=> "),
                other => panic!("{other:?} in {name}"),
            }
        }
        let state = State {
            files: &files,
            tombstones: &tombstones,
            is_gone,
            oldest_visible,
            now_ms: NOW_MS,
        };
        let found = show(plan(&state, &settings()));
        if found != expected {
            wrong.push(format!("{name}: expected {expected}, found {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Does what plans say, without rows: the bounds and bytes of files only.
struct Shelf {
    files: Vec<FileEntry>,
    next_id: u64,
    written: u64,
    jobs: usize,
}

impl Shelf {
    fn new() -> Self {
        Self {
            files: Vec::new(),
            next_id: 1,
            written: 0,
            jobs: 0,
        }
    }

    fn add(&mut self, mut entry: FileEntry) {
        entry.id = self.next_id;
        self.next_id += 1;
        self.files.push(entry);
        self.files.sort_by_key(|file| (file.last_sequence, file.id));
    }

    fn settle(&mut self, now_ms: i64) {
        loop {
            let state = State {
                files: &self.files,
                tombstones: &[],
                is_gone: false,
                oldest_visible: i64::MIN,
                now_ms,
            };
            let Some(job) = plan(&state, &settings()) else {
                return;
            };
            let Output::Rows { cut_level } = job.output else {
                panic!("nothing is to be dropped");
            };
            self.jobs += 1;
            let (inputs, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.files)
                .into_iter()
                .partition(|file| job.inputs.contains(&file.id));
            assert_eq!(inputs.len(), job.inputs.len());
            self.files = kept;
            let mut outputs: HashMap<Window, FileEntry> = HashMap::new();
            for input in &inputs {
                // Rows are spread evenly over the days of a file.
                let days = (input.max_time - input.min_time) / DAY_NS + 1;
                for day in 0..days {
                    let from = input.min_time + day * DAY_NS;
                    let to = (from + DAY_NS - 1).min(input.max_time);
                    let output = outputs
                        .entry(Window::of(cut_level, from))
                        .or_insert_with(|| FileEntry {
                            bytes: 0,
                            min_time: from,
                            max_time: to,
                            created_ms: now_ms,
                            ..input.clone()
                        });
                    output.bytes += input.bytes / days as u64;
                    output.min_time = output.min_time.min(from);
                    output.max_time = output.max_time.max(to);
                    output.first_sequence = output.first_sequence.min(input.first_sequence);
                    output.last_sequence = output.last_sequence.max(input.last_sequence);
                }
            }
            for (_, output) in outputs {
                self.written += output.bytes;
                self.add(output);
            }
        }
    }
}

#[test]
fn a_steady_stream_is_rewritten_a_few_times_only() {
    let mut shelf = Shelf::new();
    // Thirty days, a file of 400 KB each ten minutes: 58 MB a day.
    for number in 0..30 * 144 {
        let now_ms = NOW_MS + number as i64 * 600_000;
        let sequence = number * 10 + 1;
        let mut entry = file(0, (0, 0), (sequence, sequence + 9), 400 << 10);
        entry.min_time = number as i64 * DAY_NS / 144;
        entry.max_time = entry.min_time + DAY_NS / 144 - 1;
        entry.created_ms = now_ms;
        shelf.add(entry);
        shelf.settle(now_ms);
        assert!(shelf.files.len() < 70, "{} files", shelf.files.len());
    }
    shelf.settle(NOW_MS + 40 * 86_400_000);
    let taken = 30 * 144 * (400 << 10);
    let times = shelf.written as f64 / taken as f64;
    assert!(times < 6.0, "every byte was written {times} times");
    assert!(shelf.files.len() <= 32, "{} files", shelf.files.len());
}

#[test]
fn a_thin_table_has_few_files_for_ever() {
    let mut shelf = Shelf::new();
    // Four years, a file of 5 KB each day.
    for number in 0..4 * 364 {
        let now_ms = NOW_MS + number as i64 * 86_400_000;
        let mut entry = file(0, (number as i64, number as i64), (number, number), 5 << 10);
        entry.created_ms = now_ms;
        shelf.add(entry);
        shelf.settle(now_ms);
        assert!(shelf.files.len() <= 12, "{} files", shelf.files.len());
    }
}

#[test]
fn tens_of_thousands_of_files_shrink_to_a_handful() {
    let mut shelf = Shelf::new();
    // A backfill in no order: twenty thousand files of 20 KB over a year.
    for number in 0..20_000_u64 {
        let day = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 364) as i64;
        shelf.add(file(0, (day, day), (number, number), 20 << 10));
    }
    shelf.settle(NOW_MS + 10 * 86_400_000);
    // 400 MB: by weeks or by days, whole windows each.
    assert!(shelf.files.len() <= 364, "{} files", shelf.files.len());
    assert!(shelf.jobs < 1500, "{} jobs", shelf.jobs);
}

#[test]
fn extreme_times_find_an_end() {
    let mut shelf = Shelf::new();
    for number in 0..50_u64 {
        let mut entry = file(0, (0, 0), (number, number), MEGABYTE);
        entry.min_time = if number % 2 == 0 { i64::MIN } else { 0 };
        entry.max_time = entry.min_time;
        shelf.add(entry);
    }
    shelf.settle(NOW_MS);
    assert!(shelf.files.len() <= 12, "{} files", shelf.files.len());
}
