//! A segment: immutable buffered rows of one table, with the range of sequences they were written under.

use std::sync::{Arc, OnceLock};

use arrow::array::UInt32Array;
use arrow::compute::take;
use catalog::ColumnId;

use crate::Error;
use crate::batch::Batch;
use crate::merge::{Chunk, Rows, Span};
use crate::series::Ranking;

/// Buffered rows. Readers share it; nothing ever changes in it.
#[derive(Debug)]
pub struct Segment {
    pub batch: Batch,
    /// The earliest and the latest write in it. Segments of a table never overlap in sequence.
    pub first_sequence: u64,
    pub last_sequence: u64,
    /// Smallest and largest time, nanoseconds.
    pub min_time: i64,
    pub max_time: i64,
    bytes: usize,
    order: OnceLock<Arc<Order>>,
}

/// How the rows of a segment stand when sorted by series and time.
#[derive(Clone, Debug)]
pub struct Order {
    /// Row numbers: series by series, each by time, then as written. Empty when the rows stand so themselves, and none is a version
    /// of another.
    pub rows: Vec<u32>,
    /// Where each series is in `rows`, one after the other.
    pub spans: Vec<SeriesSpan>,
}

/// A run of rows of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesSpan {
    /// Series number.
    pub series: u32,
    pub start: u32,
    pub end: u32,
}

impl Segment {
    /// `None` for a batch without rows.
    pub fn new(batch: Batch, first_sequence: u64, last_sequence: u64) -> Option<Self> {
        assert!(first_sequence <= last_sequence, "sequences run forwards");
        let min_time = *batch.times.iter().min()?;
        let max_time = *batch.times.iter().max()?;
        let bytes = batch.bytes() + batch.rows() * size_of::<u32>();
        Some(Self {
            batch,
            bytes,
            first_sequence,
            last_sequence,
            min_time,
            max_time,
            order: OnceLock::new(),
        })
    }

    /// A segment of the rows of some batches of one table, put in order at once, so that reading a series reads neighbours: worth it
    /// for segments that stay. Column by column, so that little is held twice. `None` without rows.
    ///
    /// Errors: `Internal` when a column cannot be put in order, or has different types.
    pub fn sorted(
        parts: &[&Batch],
        first_sequence: u64,
        last_sequence: u64,
    ) -> Result<Option<Self>, Error> {
        let Some(first) = parts.first() else {
            return Ok(None);
        };
        let (series, times) = Batch::concatenate_rows(parts);
        let mut order = sort(&series, &times);
        let rows = UInt32Array::from(std::mem::take(&mut order.rows));
        let columns = Batch::column_ids(parts)
            .into_iter()
            .map(|id| {
                let values = Batch::concatenate_column(parts, id)?;
                let gathered = take(&values, &rows, None).map_err(|cause| {
                    Error::internal("cannot sort buffered rows").with_source(cause)
                })?;
                Ok((id, gathered))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let positions = rows.values().iter();
        let batch = Batch {
            database: first.database,
            table: first.table,
            times: positions.clone().map(|row| times[*row as usize]).collect(),
            series: positions.map(|row| series[*row as usize]).collect(),
            columns,
        };
        let has_versions = order.spans.iter().any(|span| {
            let times = &batch.times[span.start as usize..span.end as usize];
            times.windows(2).any(|pair| pair[0] == pair[1])
        });
        if has_versions {
            order.rows = (0..rows.len() as u32).collect();
        }
        Ok(
            Self::new(batch, first_sequence, last_sequence).map(|segment| Self {
                order: OnceLock::from(Arc::new(order)),
                ..segment
            }),
        )
    }

    /// Gives its series other numbers: `numbers` has one for each number up to the highest, no two the same.
    pub fn renumber(&mut self, numbers: &[u32]) {
        let renumbered = |number: u32| numbers[number as usize];
        let series = self.batch.series.iter();
        self.batch.series = series.map(|number| renumbered(*number)).collect();
        if let Some(order) = self.order.get_mut() {
            for span in &mut Arc::make_mut(order).spans {
                span.series = renumbered(span.series);
            }
        }
    }

    pub fn rows(&self) -> usize {
        self.batch.rows()
    }

    /// How positions in [`Segment::order`] become row numbers.
    pub fn positions(&self) -> Rows {
        match self.order() {
            order if order.rows.is_empty() => Rows::Sorted,
            order => Rows::Ordered(Arc::clone(order)),
        }
    }

    /// Bytes held by the rows and by their sorted order.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows of the series in `ranking` as a chunk for a merge with these fields.
    pub fn chunk(&self, ranking: &Ranking, fields: &[ColumnId]) -> Chunk {
        let order = self.order();
        let mut spans: Vec<Span> = order
            .spans
            .iter()
            .filter_map(|span| {
                Some(Span {
                    rank: ranking.rank(span.series)?,
                    start: span.start,
                    end: span.end,
                })
            })
            .collect();
        spans.sort_unstable_by_key(|span| span.rank);
        Chunk {
            spans,
            rows: self.positions(),
            times: self.batch.times.clone(),
            fields: fields
                .iter()
                .map(|id| self.batch.column(*id).cloned())
                .collect(),
        }
    }

    /// The sorted order, worked out at the first call.
    pub fn order(&self) -> &Arc<Order> {
        self.order
            .get_or_init(|| Arc::new(sort(&self.batch.series, &self.batch.times)))
    }
}

/// Sorts rows by (series, time), equal ones as written. Counts series rather than compare them.
fn sort(series: &[u32], times: &[i64]) -> Order {
    let Some((&lowest, &highest)) = series.iter().min().zip(series.iter().max()) else {
        return Order {
            rows: Vec::new(),
            spans: Vec::new(),
        };
    };
    let range = (highest - lowest) as usize + 1;
    let mut rows: Vec<u32> = (0..series.len() as u32).collect();
    let mut spans = Vec::new();
    if range <= series.len().saturating_mul(4) + 1024 {
        let mut starts = vec![0u32; range + 1];
        for &number in series {
            starts[(number - lowest) as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        for (at, window) in starts.windows(2).enumerate() {
            if window[0] < window[1] {
                spans.push(SeriesSpan {
                    series: lowest + at as u32,
                    start: window[0],
                    end: window[1],
                });
            }
        }
        for (row, &number) in series.iter().enumerate() {
            let next = &mut starts[(number - lowest) as usize];
            rows[*next as usize] = row as u32;
            *next += 1;
        }
    } else {
        rows.sort_by_key(|row| series[*row as usize]);
        let mut start = 0;
        for span in rows.chunk_by(|a, b| series[*a as usize] == series[*b as usize]) {
            let end = start + span.len() as u32;
            spans.push(SeriesSpan {
                series: series[span[0] as usize],
                start,
                end,
            });
            start = end;
        }
    }
    for span in &spans {
        let rows = &mut rows[span.start as usize..span.end as usize];
        if !rows.is_sorted_by_key(|row| times[*row as usize]) {
            // Stable: a later write of the same time stays behind the earlier one.
            rows.sort_by_key(|row| times[*row as usize]);
        }
    }
    Order { rows, spans }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorting_is_by_series_then_time_then_as_written() {
        for far in [3, 4_000_000_000] {
            let order = sort(&[far, 1, far, 1, 1], &[5, 9, 5, -2, 9]);
            assert_eq!(order.rows, [3, 1, 4, 0, 2]);
            let span = |series, start, end| SeriesSpan { series, start, end };
            assert_eq!(order.spans, [span(1, 0, 3), span(far, 3, 5)]);
        }
        assert!(sort(&[], &[]).rows.is_empty());
    }
}
