//! What to compact next: which files of a table become which others. Pure.
//!
//! Time is divided into windows that suit the amount of data: few bytes share a long window, many are kept by the day. Files
//! of one window are merged as they come, each generation with others of its size, so that a byte is rewritten a few times
//! only; a window that has been quiet is merged whole. Files across windows are cut. Late rows cost their own window only.
//!
//! Files are ordered by the sequences of their writes, and newer ones win. A job takes files such that no file left out lies
//! between them in that order and overlaps them in time.

use hashbrown::HashMap;

use super::Settings;
use crate::manifest::{FileEntry, TombstoneEntry, TombstoneScope};
use crate::window::{DAY, EVER, Window};

/// What every file counts more than its bytes: many tiny files are worth merging although they are tiny.
const FILE_WEIGHT_BYTES: u64 = 64 << 10;

/// Files that a job takes at most.
const INPUTS_MAX: usize = 256;

/// Generations of one size that a window may have before they are merged.
const GENERATIONS_MAX: usize = 4;

/// How long a delete waits for more of its kind before files are rewritten for it.
const DELETE_WAIT_MS: i64 = 10_000;

/// All that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    /// Of one table, by last sequence, then id.
    pub files: &'a [FileEntry],
    /// Of the same table.
    pub tombstones: &'a [TombstoneEntry],
    /// The table is deleted for good.
    pub is_gone: bool,
    /// Rows before this time, nanoseconds, are expired.
    pub oldest_visible: i64,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// Why a job is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The table is gone.
    Drop,
    /// All rows, or many, are expired.
    Expire,
    /// Rows are deleted.
    Delete,
    /// A file lies across windows.
    Split,
    /// Several files become one.
    Merge,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Expire => "expire",
            Self::Delete => "delete",
            Self::Split => "split",
            Self::Merge => "merge",
        }
    }
}

/// Files to replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub reason: Reason,
    /// Ids, in the order of [`State::files`].
    pub inputs: Vec<u64>,
    /// What becomes of them.
    pub output: Output,
}

/// What becomes of the files of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Nothing: none of their rows is visible.
    Nothing,
    /// Files that hold their rows, cut where windows of this level end.
    Rows { cut_level: usize },
}

/// The most urgent job, if there is one.
pub fn plan(state: &State<'_>, settings: &Settings) -> Option<Job> {
    let files = state.files;
    let job = |reason, inputs: &[usize], output| Job {
        reason,
        inputs: inputs.iter().map(|at| files[*at].id).collect(),
        output,
    };
    let all: Vec<usize> = (0..files.len()).collect();
    if state.is_gone && !files.is_empty() {
        return Some(job(Reason::Drop, &all, Output::Nothing));
    }
    let expired: Vec<usize> = all
        .iter()
        .copied()
        .filter(|at| files[*at].max_time < state.oldest_visible)
        .collect();
    if !expired.is_empty() {
        return Some(job(Reason::Expire, &expired, Output::Nothing));
    }
    let deleted: Vec<usize> = all
        .iter()
        .copied()
        .filter(|at| is_deleted_whole(&files[*at], state.tombstones))
        .collect();
    if !deleted.is_empty() {
        return Some(job(Reason::Delete, &deleted, Output::Nothing));
    }
    let mut division = Division::default();
    divide(files, all, EVER, settings, &mut division);
    for (at, cut_level) in &division.across {
        let output = Output::Rows {
            cut_level: *cut_level,
        };
        if is_safe(files, &[*at]) {
            return Some(job(Reason::Split, &[*at], output));
        }
    }
    for leaf in &division.leaves {
        for unit in units(files, &leaf.files) {
            let reason = if unit.iter().any(|at| is_due_for_deletes(&files[*at], state)) {
                Reason::Delete
            } else if unit.iter().any(|at| is_mostly_expired(&files[*at], state)) {
                Reason::Expire
            } else {
                continue;
            };
            let inputs = &unit[..unit.len().min(INPUTS_MAX)];
            if is_safe(files, inputs) {
                let output = Output::Rows {
                    cut_level: leaf.level,
                };
                return Some(job(reason, inputs, output));
            }
        }
    }
    let mut merges: Vec<(usize, Vec<usize>)> = division
        .leaves
        .iter()
        .filter_map(|leaf| Some((leaf.level, files_to_merge(state, settings, &leaf.files)?)))
        .collect();
    merges.sort_by_key(|(_, inputs)| std::cmp::Reverse(inputs.len()));
    merges
        .into_iter()
        .find(|(_, inputs)| is_safe(files, inputs))
        .map(|(cut_level, inputs)| job(Reason::Merge, &inputs, Output::Rows { cut_level }))
}

/// The tombstones that nothing refers to any more: all they cover is gone.
pub fn dead_tombstones(
    files: &[FileEntry],
    tombstones: &[TombstoneEntry],
    covered_sequence: u64,
) -> Vec<u64> {
    tombstones
        .iter()
        .filter(|tombstone| {
            tombstone.sequence <= covered_sequence
                && !files.iter().any(|file| {
                    file.deletes_applied < tombstone.id
                        && file.first_sequence <= tombstone.sequence
                        && overlap(file, tombstone)
                })
        })
        .map(|tombstone| tombstone.id)
        .collect()
}

fn overlap(file: &FileEntry, tombstone: &TombstoneEntry) -> bool {
    file.min_time <= tombstone.max_time && tombstone.min_time <= file.max_time
}

fn covers(tombstone: &TombstoneEntry, file: &FileEntry) -> bool {
    tombstone.id > file.deletes_applied
        && file.last_sequence <= tombstone.sequence
        && overlap(file, tombstone)
}

fn is_deleted_whole(file: &FileEntry, tombstones: &[TombstoneEntry]) -> bool {
    tombstones.iter().any(|tombstone| {
        tombstone.scope == TombstoneScope::AllSeries
            && covers(tombstone, file)
            && tombstone.min_time <= file.min_time
            && file.max_time <= tombstone.max_time
    })
}

fn is_due_for_deletes(file: &FileEntry, state: &State<'_>) -> bool {
    state.tombstones.iter().any(|tombstone| {
        tombstone.created_ms.saturating_add(DELETE_WAIT_MS) <= state.now_ms
            && covers(tombstone, file)
    })
}

/// Whether half of its time or more is expired.
fn is_mostly_expired(file: &FileEntry, state: &State<'_>) -> bool {
    let (first, last) = (i128::from(file.min_time), i128::from(file.max_time));
    let oldest = i128::from(state.oldest_visible);
    oldest > first && (oldest - first) * 2 >= last - first
}

/// Files by window, and those across windows.
#[derive(Debug, Default)]
struct Division {
    leaves: Vec<Leaf>,
    /// With the level of the windows to cut at.
    across: Vec<(usize, usize)>,
}

/// The files of one window.
#[derive(Debug)]
struct Leaf {
    level: usize,
    /// In order.
    files: Vec<usize>,
}

/// Divides `members`, which all lie in one window of `level`.
fn divide(
    files: &[FileEntry],
    members: Vec<usize>,
    level: usize,
    settings: &Settings,
    division: &mut Division,
) {
    if members.is_empty() {
        return;
    }
    let bytes: u64 = members.iter().map(|at| files[*at].bytes).sum();
    let mut inner: HashMap<Window, Vec<usize>> = HashMap::new();
    let mut across = Vec::new();
    if level > DAY {
        for at in &members {
            let window = Window::of(level - 1, files[*at].min_time);
            if window.contains(files[*at].max_time) {
                inner.entry(window).or_default().push(*at);
            } else {
                across.push((*at, level - 1));
            }
        }
    }
    // A window that has been put together is divided again only when it has become much too large.
    let bytes_max = if across.is_empty() {
        settings.join_bytes
    } else {
        settings.split_bytes
    };
    if level == DAY || bytes <= bytes_max {
        division.leaves.push(Leaf {
            level,
            files: members,
        });
        return;
    }
    division.across.extend(across);
    let mut inner: Vec<(Window, Vec<usize>)> = inner.into_iter().collect();
    inner.sort_unstable_by_key(|(window, _)| *window);
    for (_, members) in inner {
        divide(files, members, level - 1, settings, division);
    }
}

/// Files of a window put together whose sequences overlap: they come from one persist or one job, and stay together.
fn units(files: &[FileEntry], members: &[usize]) -> Vec<Vec<usize>> {
    let mut order = members.to_vec();
    order.sort_by_key(|at| (files[*at].first_sequence, files[*at].last_sequence, *at));
    let mut units: Vec<(u64, Vec<usize>)> = Vec::new();
    for at in order {
        let last_sequence = files[at].last_sequence;
        match units.last_mut() {
            Some((last, unit)) if files[at].first_sequence <= *last => {
                *last = (*last).max(last_sequence);
                unit.push(at);
            }
            _ => units.push((last_sequence, vec![at])),
        }
    }
    units
        .into_iter()
        .map(|(_, mut unit)| {
            unit.sort_unstable();
            unit
        })
        .collect()
}

/// The files of a window that should become one now.
fn files_to_merge(state: &State<'_>, settings: &Settings, members: &[usize]) -> Option<Vec<usize>> {
    let files = state.files;
    let units = units(files, members);
    if units.len() < 2 {
        return None;
    }
    let weights: Vec<u64> = units
        .iter()
        .map(|unit| {
            let weight = |at: &usize| files[*at].bytes + FILE_WEIGHT_BYTES;
            unit.iter().map(weight).sum()
        })
        .collect();
    // The newest generations, as far as each is not much larger than all that is newer.
    let mut from = units.len() - 1;
    let mut newer = weights[from];
    while from > 0 && weights[from - 1] <= 2 * newer {
        from -= 1;
        newer += weights[from];
    }
    let are_many = units.len() - from >= GENERATIONS_MAX;
    let from = if are_many {
        from
    } else if is_quiet(state, settings, members, &weights) {
        0
    } else {
        return None;
    };
    let chosen = affordable(files, settings, &units[from..], &weights[from..]);
    (chosen.len() > 1).then(|| {
        let mut inputs: Vec<usize> = chosen.iter().flatten().copied().collect();
        inputs.sort_unstable();
        inputs
    })
}

/// Whether nothing came to a window for so long that merging it whole is worth it: longer, the less came lately.
fn is_quiet(state: &State<'_>, settings: &Settings, members: &[usize], weights: &[u64]) -> bool {
    let newest = members
        .iter()
        .map(|at| state.files[*at].created_ms)
        .max()
        .unwrap_or(i64::MAX);
    let total: u64 = weights.iter().sum();
    let largest = weights.iter().max().copied().unwrap_or(0);
    let times = (total / (total - largest).max(1)).clamp(1, 8);
    let wait_ms = settings.quiet_ms.saturating_mul(times as i64);
    newest.saturating_add(wait_ms) <= state.now_ms
}

/// As many of the units as one job may hold, one after the other, among those left the ones of the lower sizes.
fn affordable<'a>(
    files: &[FileEntry],
    settings: &Settings,
    units: &'a [Vec<usize>],
    weights: &[u64],
) -> &'a [Vec<usize>] {
    let fits = |units: &[Vec<usize>]| {
        let inputs = units.iter().flatten();
        let (count, bytes) = inputs.fold((0, 0), |(count, bytes), at| {
            (count + 1, bytes + settings.input_bytes(files[*at].bytes))
        });
        count <= INPUTS_MAX && bytes <= settings.inputs_bytes_max
    };
    if fits(units) {
        return units;
    }
    let mut sorted = weights.to_vec();
    sorted.sort_unstable();
    let middle = sorted[sorted.len() / 2];
    // What earlier jobs have made of others of this size is skipped.
    let start = weights
        .iter()
        .position(|weight| *weight <= 2 * middle)
        .unwrap_or(0);
    let mut end = (start + 2).min(units.len());
    while end < units.len() && fits(&units[start..=end]) {
        end += 1;
    }
    if fits(&units[start..end]) {
        &units[start..end]
    } else {
        &[]
    }
}

/// Whether these files may become one: none of the others that overlap them in time lies between them.
fn is_safe(files: &[FileEntry], inputs: &[usize]) -> bool {
    let chosen = || inputs.iter().map(|at| &files[*at]);
    let bounds = |of: fn(&FileEntry) -> i64| chosen().map(of);
    let (Some(first), Some(last)) = (
        bounds(|file| file.min_time).min(),
        bounds(|file| file.max_time).max(),
    ) else {
        return false;
    };
    let newest = chosen().map(|file| file.last_sequence).max().unwrap_or(0);
    let oldest = chosen().map(|file| file.last_sequence).min().unwrap_or(0);
    let mut next = inputs.iter().peekable();
    for (at, other) in files.iter().enumerate() {
        if next.next_if(|input| **input == at).is_some() {
            continue;
        }
        let overlaps = other.min_time <= last && first <= other.max_time;
        if overlaps && oldest < other.first_sequence && other.last_sequence <= newest {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests;
