//! Rows that are known without reading them: how many there are, and the first and the last time of them.
//!
//! A file's index tells how many rows each series has and its first and last time. That counts where all of these rows are wanted, none is
//! deleted, and, to count them, no other source can have newer versions of them. Buffered rows have their times in memory. Pure.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::plan::{Group, Source};
use crate::file::read::FileSelection;
use crate::merge::Rows;

/// What is to be known of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// How many there are.
    pub count: bool,
    /// The first and the last time of them.
    pub times: bool,
}

/// Some rows of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownRows {
    /// How many; when nobody asked, versions of the same row count, too.
    pub rows: u64,
    /// Nanoseconds; above `last_time` when there are none, or nobody asked.
    pub first_time: i64,
    pub last_time: i64,
}

impl Default for KnownRows {
    fn default() -> Self {
        Self {
            rows: 0,
            first_time: i64::MAX,
            last_time: i64::MIN,
        }
    }
}

impl KnownRows {
    fn add(&mut self, rows: u64, first_time: i64, last_time: i64) {
        self.rows += rows;
        self.first_time = self.first_time.min(first_time);
        self.last_time = self.last_time.max(last_time);
    }
}

/// Takes the rows that are known out of the groups and adds them to `known`; to be counted, only those that no other source can have
/// versions of.
pub(super) fn take(
    groups: &mut Vec<Group>,
    range: &RangeInclusive<i64>,
    asked: Asked,
    known: &mut KnownRows,
) {
    for group in groups.iter_mut() {
        if asked.count && group.sources.len() > 1 {
            continue;
        }
        group
            .sources
            .retain_mut(|source| !is_taken(source, range, asked, known));
    }
    groups.retain(|group| !group.sources.is_empty());
}

/// Takes what is known of a source; says whether that was all.
fn is_taken(
    source: &mut Source,
    range: &RangeInclusive<i64>,
    asked: Asked,
    known: &mut KnownRows,
) -> bool {
    match source {
        Source::File(selection, None) if selection.filter.is_none() => {
            take_series(selection, range, asked, known);
            selection.series.is_empty()
        }
        Source::Segment { segment, spans, .. } => {
            let order = segment.positions();
            // Otherwise one row may be a version of another.
            if asked.count && !matches!(order, Rows::Sorted) {
                return false;
            }
            let time = |position| segment.batch.times[order.at(position) as usize];
            for span in spans {
                let rows = u64::from(span.end - span.start);
                known.add(rows, time(span.start), time(span.end - 1));
            }
            true
        }
        Source::File(..) | Source::Last(_) => false,
    }
}

/// Series of which all rows are in the range.
fn take_series(
    selection: &mut FileSelection,
    range: &RangeInclusive<i64>,
    asked: Asked,
    known: &mut KnownRows,
) {
    let footer = &selection.footer;
    let entry = &selection.file.entry;
    let is_inside = |first: i64, last: i64| range.contains(&first) && range.contains(&last);
    let is_whole = is_inside(entry.min_time, entry.max_time);
    if is_whole && selection.series.len() == footer.series.len() {
        known.add(selection.rows(), entry.min_time, entry.max_time);
        selection.series = Arc::default();
        return;
    }
    Arc::make_mut(&mut selection.series).retain(|(_, from, to)| {
        let at = footer.ends.binary_search(to).ok();
        // Files with few rows for each series do not tell their times.
        match at.and_then(|at| footer.times.get(at)) {
            Some((first, last)) if is_inside(*first, *last) => {
                known.add(to - from, *first, *last);
                false
            }
            None if is_whole && !asked.times => {
                known.rows += to - from;
                false
            }
            _ => true,
        }
    });
}
