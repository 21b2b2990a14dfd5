//! Which rows can be the newest of their series: what a scan for those reads of each source, and what it leaves out.
//!
//! A series has a row at some time for certain where an index or the buffer says so; of all sources, only rows from the latest such time on
//! matter. Pure.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::delete::tombstone::Exclusions;
use crate::file::{DataFile, Footer};
use crate::merge::Chunk;
use crate::series::Ranking;

/// By rank, the latest time at which the series has a row for certain.
#[derive(Debug)]
pub(super) struct Newest<'a> {
    times: Vec<i64>,
    range: &'a RangeInclusive<i64>,
}

/// Rows of a file: by rank the first and the one behind the last; and last rows, by rank and the number of the series in the file.
type OfFile = (Vec<(u32, u64, u64)>, Vec<(u32, u32)>);

impl<'a> Newest<'a> {
    /// For so many series; rows outside of `range` do not count.
    pub(super) fn new(series: usize, range: &'a RangeInclusive<i64>) -> Self {
        Self {
            times: vec![i64::MIN; series],
            range,
        }
    }

    /// The last time of a series of a file, if that row is there and wanted.
    fn certain(
        &self,
        footer: &Footer,
        at: usize,
        rank: u32,
        excluded: Option<&Exclusions>,
    ) -> Option<i64> {
        let (_, last) = footer.times.get(at)?;
        let is_there = excluded.is_none_or(|excluded| !excluded.cover(rank, *last, *last));
        (is_there && self.range.contains(last)).then_some(*last)
    }

    /// Learns from a file.
    pub(super) fn note_file(
        &mut self,
        footer: &Footer,
        ranking: &Ranking,
        excluded: Option<&Exclusions>,
    ) {
        for (at, number) in footer.series.iter().enumerate() {
            if let Some(rank) = ranking.rank(*number)
                && let Some(last) = self.certain(footer, at, rank, excluded)
            {
                self.note(rank, last);
            }
        }
    }

    /// Learns from buffered rows, of which only wanted ones are in the chunk.
    pub(super) fn note_chunk(&mut self, chunk: &Chunk) {
        for span in &chunk.spans {
            self.note(span.rank, chunk.time(span.end - 1));
        }
    }

    fn note(&mut self, rank: u32, time: i64) {
        let known = &mut self.times[rank as usize];
        *known = (*known).max(time);
    }

    /// What to read of a file.
    pub(super) fn of_file(
        &self,
        file: &DataFile,
        footer: &Footer,
        ranking: &Ranking,
        excluded: Option<&Exclusions>,
    ) -> OfFile {
        let (mut rows, mut lasts) = (Vec::new(), Vec::new());
        let mut start = 0;
        for (at, (number, end)) in footer.series.iter().zip(&footer.ends).enumerate() {
            let from = std::mem::replace(&mut start, *end);
            let Some(rank) = ranking.rank(*number) else {
                continue;
            };
            let newest = self.times[rank as usize];
            let (first, last) = match footer.times.get(at) {
                Some(times) => *times,
                None => (file.entry.min_time, file.entry.max_time),
            };
            if last < newest || last < *self.range.start() || first > *self.range.end() {
                continue;
            }
            match self.certain(footer, at, rank, excluded) {
                // It is not older, and nothing is newer.
                Some(_) if footer.last_rows.is_some() => lasts.push((rank, at as u32)),
                Some(_) => rows.push((rank, end - 1, *end)),
                None => rows.push((rank, from, *end)),
            }
        }
        (rows, lasts)
    }

    /// By rank, the time before which rows are of no use.
    pub(super) fn into_times(self) -> Arc<[i64]> {
        self.times.into()
    }

    pub(super) fn times(&self) -> &[i64] {
        &self.times
    }
}
