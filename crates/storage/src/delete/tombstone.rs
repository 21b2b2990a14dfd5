//! Tombstones in memory, and what they leave of the rows of a merge.

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use runtime::Store;
use runtime::object_store::{Path, cas};

use super::format::v1;
use crate::Error;
use crate::manifest::{TombstoneEntry, TombstoneScope};
use crate::merge::Chunk;
use crate::series::{Ranking, SeriesKey, SeriesTable};
use crate::window::TimeSpan;

/// What is deleted of one series: sorted and disjoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesTimes {
    pub key: SeriesKey,
    pub spans: Vec<TimeSpan>,
}

/// A delete with its rows.
#[derive(Debug)]
pub struct Tombstone {
    pub entry: TombstoneEntry,
    /// Sorted by key; `None` when it covers all series between its times.
    pub series: Option<Vec<SeriesTimes>>,
}

impl Tombstone {
    /// Reads the list of a tombstone that has one.
    ///
    /// Errors: `Corrupt` when it is gone or damaged.
    pub async fn load(store: &Store, path: &Path, entry: TombstoneEntry) -> Result<Self, Error> {
        let TombstoneScope::Listed { bytes, crc32 } = entry.scope else {
            return Ok(Self {
                entry,
                series: None,
            });
        };
        let found: Bytes = cas::read(store, path)
            .await?
            .ok_or_else(|| Error::corrupt(format!("list of deletes {path} is gone")))?;
        if found.len() as u64 != bytes || crc32fast::hash(&found) != crc32 {
            return Err(Error::corrupt(format!(
                "list of deletes {path} is damaged: it is not what the manifest says"
            )));
        }
        let series = v1::decode(&found).map_err(|cause| {
            Error::corrupt(format!("list of deletes {path} is damaged")).with_source(cause)
        })?;
        Ok(Self {
            entry,
            series: Some(series),
        })
    }

    /// Whether it covers rows of writes up to `last_sequence` that deletes up to `applied` have been taken from.
    pub fn covers(&self, last_sequence: u64, applied: u64) -> bool {
        self.entry.id > applied && last_sequence <= self.entry.sequence
    }

    fn span(&self) -> TimeSpan {
        TimeSpan {
            first: self.entry.min_time,
            last: self.entry.max_time,
        }
    }
}

/// Rows that some sources of a merge must not show, by the ranks of that merge.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Exclusions {
    /// Of every series: sorted and disjoint.
    all: Vec<TimeSpan>,
    /// Of one, `all` included: sorted and disjoint.
    by_rank: HashMap<u32, Vec<TimeSpan>>,
}

impl Exclusions {
    pub fn new<'a>(
        tombstones: impl Iterator<Item = &'a Tombstone>,
        known: &SeriesTable,
        ranking: &Ranking,
    ) -> Self {
        let mut all = Vec::new();
        let mut by_rank: HashMap<u32, Vec<TimeSpan>> = HashMap::new();
        for tombstone in tombstones {
            let Some(series) = &tombstone.series else {
                all.push(tombstone.span());
                continue;
            };
            for one in series {
                let rank = known
                    .number(&one.key)
                    .and_then(|number| ranking.rank(number));
                if let Some(rank) = rank {
                    by_rank
                        .entry(rank)
                        .or_default()
                        .extend_from_slice(&one.spans);
                }
            }
        }
        let all = disjoint(all);
        for spans in by_rank.values_mut() {
            spans.extend_from_slice(&all);
            *spans = disjoint(std::mem::take(spans));
        }
        Self { all, by_rank }
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.by_rank.is_empty()
    }

    /// What is deleted of a series.
    pub fn of(&self, rank: u32) -> &[TimeSpan] {
        self.by_rank.get(&rank).unwrap_or(&self.all)
    }

    /// Whether nothing between these times is left of a series.
    pub fn cover(&self, rank: u32, first: i64, last: i64) -> bool {
        self.of(rank)
            .iter()
            .any(|span| span.first <= first && last <= span.last)
    }

    /// Takes the deleted rows out of a chunk.
    pub fn clip(&self, chunk: &mut Chunk) {
        if !self.is_empty() {
            chunk.cut_out(|rank| self.of(rank));
        }
    }
}

/// Sorted, and put together where they touch.
fn disjoint(mut spans: Vec<TimeSpan>) -> Vec<TimeSpan> {
    spans.sort_unstable();
    let mut joined: Vec<TimeSpan> = Vec::with_capacity(spans.len());
    for span in spans {
        match joined.last_mut() {
            Some(last) if span.first <= last.last.saturating_add(1) => {
                last.last = last.last.max(span.last);
            }
            _ => joined.push(span),
        }
    }
    joined
}

/// The exclusions of the sources of one merge, each set made once.
pub struct ExclusionSets<'a> {
    tombstones: &'a [Arc<Tombstone>],
    known: &'a SeriesTable,
    ranking: &'a Ranking,
    made: HashMap<Vec<u64>, Arc<Exclusions>>,
}

impl<'a> ExclusionSets<'a> {
    pub fn new(
        tombstones: &'a [Arc<Tombstone>],
        known: &'a SeriesTable,
        ranking: &'a Ranking,
    ) -> Self {
        Self {
            tombstones,
            known,
            ranking,
            made: HashMap::new(),
        }
    }

    /// What a source must not show that lies between these times; `None` when it may show everything.
    pub fn of(
        &mut self,
        last_sequence: u64,
        applied: u64,
        (min_time, max_time): (i64, i64),
    ) -> Option<Arc<Exclusions>> {
        if self.tombstones.is_empty() {
            return None;
        }
        let covering: Vec<&Tombstone> = self
            .tombstones
            .iter()
            .map(AsRef::as_ref)
            .filter(|tombstone| {
                tombstone.covers(last_sequence, applied)
                    && tombstone.entry.min_time <= max_time
                    && min_time <= tombstone.entry.max_time
            })
            .collect();
        if covering.is_empty() {
            return None;
        }
        let ids = covering
            .iter()
            .map(|tombstone| tombstone.entry.id)
            .collect();
        let made = self.made.entry(ids).or_insert_with(|| {
            Arc::new(Exclusions::new(
                covering.into_iter(),
                self.known,
                self.ranking,
            ))
        });
        (!made.is_empty()).then(|| Arc::clone(made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::{Rows, Span};
    use arrow::buffer::ScalarBuffer;

    fn span(first: i64, last: i64) -> TimeSpan {
        TimeSpan { first, last }
    }

    #[test]
    fn stretches_that_touch_become_one() {
        let joined = disjoint(vec![
            span(5, 9),
            span(0, 2),
            span(3, 3),
            span(8, 20),
            span(22, i64::MAX),
            span(i64::MAX, i64::MAX),
        ]);
        assert_eq!(joined, [span(0, 3), span(5, 20), span(22, i64::MAX)]);
    }

    #[test]
    fn deleted_rows_leave_a_chunk() {
        let exclusions = Exclusions {
            all: vec![span(3, 4)],
            by_rank: HashMap::from([(1, vec![span(i64::MIN, 4), span(8, 8)])]),
        };
        let times: ScalarBuffer<i64> = (0..10).chain(0..10).collect();
        let mut chunk = Chunk {
            spans: vec![
                Span {
                    rank: 0,
                    start: 0,
                    end: 10,
                },
                Span {
                    rank: 1,
                    start: 10,
                    end: 20,
                },
            ],
            rows: Rows::Sorted,
            times,
            fields: Vec::new(),
        };
        exclusions.clip(&mut chunk);
        let left: Vec<(u32, u32, u32)> = chunk
            .spans
            .iter()
            .map(|span| (span.rank, span.start, span.end))
            .collect();
        assert_eq!(left, [(0, 0, 3), (0, 5, 10), (1, 15, 18), (1, 19, 20)]);
        assert!(exclusions.cover(1, -9, 4) && !exclusions.cover(0, 3, 5));
    }
}
