//! The one rule for duplicates: rows of several sources, each sorted by (series, time), become one sorted stream.
//!
//! Rows of the same series and time are one row; for each field the newest value that is not null wins. Sources are given
//! oldest first, and within a source a later row is newer. Used by `persist` and `scan` alike, so that no answer depends on where rows are.
//! Pure: [`Merge`] asks for the next [`Chunk`] of a source and hands out batches. Series are compared as integers ([`Span::rank`]).

pub mod output;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanBufferBuilder, DictionaryArray, Int32Array, RecordBatch,
    RecordBatchOptions, TimestampNanosecondArray, new_null_array,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::{concat, interleave};
use arrow::datatypes::{Int32Type, SchemaRef};
use arrow::error::ArrowError;

use crate::Error;
use crate::batch::{rows_of_strings, widest_string};
use crate::buffer::segment::Order;
use crate::window::TimeSpan;

/// Rows of runs, on average, from which on copying runs is quicker than gathering rows.
const RUN_ROWS_LEAST: usize = 32;

/// Some sorted rows of one source.
#[derive(Debug)]
pub struct Chunk {
    /// Where each series is, in the order of ranks; rows outside all spans are not part of the chunk.
    pub spans: Vec<Span>,
    pub rows: Rows,
    /// By row number.
    pub times: ScalarBuffer<i64>,
    /// One per field of the output, by row number; `None` where the source does not have it.
    pub fields: Vec<Option<ArrayRef>>,
}

/// Positions of one series in a chunk, sorted by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The place of the series among all of this merge.
    pub rank: u32,
    pub start: u32,
    pub end: u32,
}

/// From position to row number.
#[derive(Clone, Debug)]
pub enum Rows {
    /// The rows are sorted as they are.
    Sorted,
    /// Through a segment's order.
    Ordered(Arc<Order>),
}

impl Rows {
    /// The row at a position.
    pub fn at(&self, position: u32) -> u32 {
        match self {
            Self::Sorted => position,
            Self::Ordered(order) => order.rows[position as usize],
        }
    }
}

impl Chunk {
    /// How many rows its spans have.
    pub fn rows(&self) -> u64 {
        let spans = self.spans.iter();
        spans.map(|span| u64::from(span.end - span.start)).sum()
    }

    /// Whether its rows are those between the first and the end of its spans, as they stand.
    fn is_dense(&self) -> bool {
        let touching = |pair: &[Span]| pair[0].end == pair[1].start;
        matches!(self.rows, Rows::Sorted)
            && self.spans.windows(2).all(touching)
            && self.spans.iter().all(|span| span.start < span.end)
    }

    /// The time at a position.
    pub fn time(&self, position: u32) -> i64 {
        self.times[self.rows.at(position) as usize]
    }

    /// Cuts the spans to `range`; those left empty go.
    pub fn clip(&mut self, range: &std::ops::RangeInclusive<i64>) {
        let mut spans = std::mem::take(&mut self.spans);
        spans.retain_mut(|span| {
            span.start = self.first_position(*span, |time| time >= *range.start());
            span.end = self.first_position(*span, |time| time > *range.end());
            span.start < span.end
        });
        self.spans = spans;
    }

    /// Cuts off the rows of each rank that are before its time.
    pub fn cut_before(&mut self, times: &[i64]) {
        let mut spans = std::mem::take(&mut self.spans);
        spans.retain_mut(|span| {
            let first = times[span.rank as usize];
            if self.time(span.end - 1) < first {
                return false;
            }
            span.start = self.first_position(*span, |time| time >= first);
            true
        });
        self.spans = spans;
    }

    /// Takes rows out of the spans: of each rank those at the times that `gone` gives, sorted and disjoint.
    pub fn cut_out<'a>(&mut self, gone: impl Fn(u32) -> &'a [TimeSpan]) {
        let spans = std::mem::take(&mut self.spans);
        let mut left: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            let mut rest = span;
            for times in gone(span.rank) {
                let from = self.first_position(rest, |time| time >= times.first);
                let to = self.first_position(rest, |time| time > times.last);
                left.extend((rest.start < from).then_some(Span { end: from, ..rest }));
                rest.start = to;
            }
            left.extend((rest.start < rest.end).then_some(rest));
        }
        self.spans = left;
    }

    /// The first position of a span whose time is past something, or its end.
    pub fn first_position(&self, span: Span, is_past: impl Fn(i64) -> bool) -> u32 {
        let mut low = span.start;
        let mut high = span.end;
        while low < high {
            let middle = low + (high - low) / 2;
            if is_past(self.time(middle)) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

/// What the merged rows look like.
#[derive(Clone, Debug)]
pub struct Output {
    pub schema: SchemaRef,
    /// One per field of `schema`.
    pub columns: Vec<OutputColumn>,
    /// Rows of a batch, except of the last.
    pub batch_rows: usize,
}

/// Where an output column's values come from.
#[derive(Clone, Debug)]
pub enum OutputColumn {
    /// By rank: an index into `values`, or null.
    Tag {
        codes: Int32Array,
        values: ArrayRef,
    },
    Time,
    Field {
        /// Index into [`Chunk::fields`].
        field: usize,
        /// One null of the column's type, for sources that lack it.
        null: ArrayRef,
    },
}

/// What [`Merge::step`] wants or gives.
#[derive(Debug)]
pub enum Step {
    /// Call [`Merge::supply`] for this source before the next step.
    Need(usize),
    Rows(Merged),
    Done,
}

/// Some merged rows.
#[derive(Debug)]
pub struct Merged {
    pub batch: RecordBatch,
    /// Rank of each row's series.
    pub ranks: Vec<u32>,
    pub times: Vec<i64>,
}

/// A merge under way.
#[derive(Debug)]
pub struct Merge {
    output: Output,
    cursors: Vec<Cursor>,
    heap: BinaryHeap<Reverse<Head>>,
    /// Sources whose first or next chunk is due.
    due: Vec<usize>,
    /// Rows of a batch: as many as the output wants, fewer once long strings were met.
    batch_rows: usize,
    /// Chunks that pending rows refer to.
    chunks: Vec<Arc<Chunk>>,
    pending: Pending,
    /// A chunk of the only source that goes out as it stands.
    lone: Option<Lone>,
}

/// A chunk without rows between its spans, none of which can be a version of another.
#[derive(Debug)]
struct Lone {
    chunk: Chunk,
    /// Spans before this one went out.
    span: usize,
    /// Rows before this one did.
    next: u32,
}

#[derive(Debug, Default)]
struct Cursor {
    /// Index into `Merge::chunks`; meaningless while due.
    chunk: u32,
    span: usize,
    position: u32,
}

/// A cursor's next row; sorts by series, time, then older source first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    rank: u32,
    time: i64,
    source: u32,
}

/// Rows merged but not yet handed out.
#[derive(Debug, Default)]
struct Pending {
    /// Chunk and row of the newest version of each.
    rows: Vec<(u32, u32)>,
    ranks: Vec<u32>,
    times: Vec<i64>,
    /// Older versions, newest last, of the pending row they are listed with; in the order of pending rows.
    older: Vec<(usize, (u32, u32))>,
}

impl Merge {
    /// A merge of `sources` sources, oldest first.
    pub fn new(output: Output, sources: usize) -> Self {
        Self {
            cursors: (0..sources).map(|_| Cursor::default()).collect(),
            heap: BinaryHeap::with_capacity(sources),
            due: (0..sources).rev().collect(),
            batch_rows: output.batch_rows,
            chunks: Vec::new(),
            pending: Pending::default(),
            lone: None,
            output,
        }
    }

    /// Answers [`Step::Need`]: the source's next chunk, or `None` when it has ended.
    pub fn supply(&mut self, source: usize, chunk: Option<Chunk>) {
        let awaited = self.due.pop();
        assert_eq!(awaited, Some(source), "a chunk is supplied when asked for");
        let Some(chunk) = chunk else { return };
        let Some(first) = chunk.spans.first().copied() else {
            // Nothing of this chunk is wanted: ask for the next.
            self.due.push(source);
            return;
        };
        let fields = chunk.fields.iter().flatten();
        let widest = fields.map(|values| widest_string(values)).max();
        self.batch_rows = rows_of_strings(self.batch_rows, widest.unwrap_or(0));
        if self.cursors.len() == 1 && self.pending.rows.is_empty() && chunk.is_dense() {
            self.due.push(source);
            self.lone = Some(Lone {
                chunk,
                span: 0,
                next: first.start,
            });
            return;
        }
        let number = self.chunks.len() as u32;
        self.chunks.push(Arc::new(chunk));
        self.cursors[source] = Cursor {
            chunk: number,
            span: 0,
            position: first.start,
        };
        self.push_head(source);
    }

    pub fn step(&mut self) -> Result<Step, Error> {
        if let Some(lone) = self.lone.take() {
            return self.lone_rows(lone).map(Step::Rows);
        }
        loop {
            if let Some(source) = self.due.last() {
                // A lone source repeats no row beyond the chunk it just ended: its rows can go, most often uncopied.
                if self.cursors.len() == 1 && !self.pending.rows.is_empty() {
                    let rows = self.pending.rows.len().min(self.batch_rows);
                    return self.hand_out(rows).map(Step::Rows);
                }
                return Ok(Step::Need(*source));
            }
            // The last row may still meet a newer version of itself, so it stays behind.
            if self.pending.rows.len() > self.batch_rows {
                let rows = self.pending.rows.len() - 1;
                return self.hand_out(rows).map(Step::Rows);
            }
            let Some(Reverse(head)) = self.heap.pop() else {
                return match self.pending.rows.len() {
                    0 => Ok(Step::Done),
                    rows => self.hand_out(rows).map(Step::Rows),
                };
            };
            self.advance(head);
        }
    }

    /// The next rows of a lone chunk, without looking at them one by one.
    fn lone_rows(&mut self, mut lone: Lone) -> Result<Merged, Error> {
        let spans = &lone.chunk.spans;
        let start = lone.next as usize;
        let mut ranks: Vec<u32> = Vec::with_capacity(self.batch_rows);
        while ranks.len() < self.batch_rows
            && let Some(span) = spans.get(lone.span)
        {
            let left = (span.end - lone.next) as usize;
            let taken = left.min(self.batch_rows - ranks.len());
            ranks.resize(ranks.len() + taken, span.rank);
            lone.next += taken as u32;
            lone.span += usize::from(taken == left);
        }
        let rows = ranks.len();
        let times = lone.chunk.times.slice(start, rows);
        let columns = self.output.columns.iter().map(|column| match column {
            OutputColumn::Time => {
                let times = TimestampNanosecondArray::new(times.clone(), None);
                Ok(Arc::new(times) as ArrayRef)
            }
            OutputColumn::Tag { codes, values } => tag_column(codes, values, &ranks),
            OutputColumn::Field { field, null } => Ok(match &lone.chunk.fields[*field] {
                Some(values) => values.slice(start, rows),
                None => new_null_array(null.data_type(), rows),
            }),
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>, Error>>()?;
        let batch = self.batch(columns, rows)?;
        let times = times.to_vec();
        if lone.span < lone.chunk.spans.len() {
            self.lone = Some(lone);
        }
        Ok(Merged {
            batch,
            ranks,
            times,
        })
    }

    fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, Error> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.output.schema), columns, &options)
            .map_err(|cause| Error::internal("merged columns do not fit").with_source(cause))
    }

    /// Takes rows from the cursor of `head` as long as they come before every other cursor's.
    fn advance(&mut self, head: Head) {
        let source = head.source as usize;
        let bound = self.heap.peek().map(|Reverse(next)| *next);
        let room = (self.batch_rows + 1).saturating_sub(self.pending.rows.len());
        let cursor = &mut self.cursors[source];
        let chunk = Arc::clone(&self.chunks[cursor.chunk as usize]);
        let span = chunk.spans[cursor.span];
        let left = Span {
            start: cursor.position,
            end: span
                .end
                .min(cursor.position.saturating_add(room.max(1) as u32)),
            ..span
        };
        let end = match bound {
            // Its first row comes before the bound, or it would not be the head.
            Some(bound) if bound.rank == span.rank => chunk.first_position(left, |time| {
                (time, head.source) > (bound.time, bound.source)
            }),
            _ => left.end,
        };
        let taken = Span { end, ..left };
        self.pending.push_span(&chunk, cursor.chunk, taken);
        cursor.position = end;
        if cursor.position == span.end {
            cursor.span += 1;
            match chunk.spans.get(cursor.span) {
                Some(next) => cursor.position = next.start,
                None => {
                    self.due.push(source);
                    return;
                }
            }
        }
        self.push_head(source);
    }

    fn push_head(&mut self, source: usize) {
        let cursor = &self.cursors[source];
        let chunk = &self.chunks[cursor.chunk as usize];
        self.heap.push(Reverse(Head {
            rank: chunk.spans[cursor.span].rank,
            time: chunk.time(cursor.position),
            source: source as u32,
        }));
    }

    /// Makes a batch of the first `rows` pending rows and forgets them and the chunks no longer needed.
    fn hand_out(&mut self, rows: usize) -> Result<Merged, Error> {
        let taken = self.pending.take(rows);
        let runs = match taken.older.is_empty() {
            true => long_runs(&taken.rows),
            false => None,
        };
        let columns = self
            .output
            .columns
            .iter()
            .map(|column| self.column(column, &taken, runs.as_deref()))
            .collect::<Result<Vec<ArrayRef>, Error>>()?;
        let batch = self.batch(columns, rows)?;
        self.forget_chunks();
        Ok(Merged {
            batch,
            ranks: taken.ranks,
            times: taken.times,
        })
    }

    fn column(
        &self,
        column: &OutputColumn,
        taken: &Pending,
        runs: Option<&[Run]>,
    ) -> Result<ArrayRef, Error> {
        let fault = |cause| Error::internal("cannot gather a column").with_source(cause);
        match column {
            OutputColumn::Time => Ok(Arc::new(TimestampNanosecondArray::from(
                taken.times.clone(),
            ))),
            OutputColumn::Tag { codes, values } => tag_column(codes, values, &taken.ranks),
            OutputColumn::Field { field, null } => {
                if let Some(runs) = runs {
                    return self.runs_of_field(*field, null, runs).map_err(fault);
                }
                let mut arrays: Vec<&dyn Array> = vec![null.as_ref()];
                // By chunk: its place in `arrays`, 0 for the null.
                let places: Vec<usize> = self
                    .chunks
                    .iter()
                    .map(|chunk| match &chunk.fields[*field] {
                        Some(values) => {
                            arrays.push(values.as_ref());
                            arrays.len() - 1
                        }
                        None => 0,
                    })
                    .collect();
                let place = |(chunk, row): (u32, u32)| match places[chunk as usize] {
                    0 => (0, 0),
                    place => (place, row as usize),
                };
                let mut indices: Vec<(usize, usize)> =
                    taken.rows.iter().map(|row| place(*row)).collect();
                for versions in taken.older.chunk_by(|a, b| a.0 == b.0) {
                    let row = versions[0].0;
                    let is_null = |(array, index): (usize, usize)| arrays[array].is_null(index);
                    if is_null(indices[row])
                        && let Some(newest) = versions
                            .iter()
                            .rev()
                            .map(|(_, version)| place(*version))
                            .find(|version| !is_null(*version))
                    {
                        indices[row] = newest;
                    }
                }
                interleave(&arrays, &indices).map_err(fault)
            }
        }
    }

    /// A field's values of these rows; without copying them, when it is one run.
    fn runs_of_field(
        &self,
        field: usize,
        null: &ArrayRef,
        runs: &[Run],
    ) -> Result<ArrayRef, ArrowError> {
        let values = |run: &Run| match &self.chunks[run.chunk as usize].fields[field] {
            Some(values) => values.slice(run.first as usize, run.rows),
            None => new_null_array(null.data_type(), run.rows),
        };
        if let [run] = runs {
            return Ok(values(run));
        }
        let parts: Vec<ArrayRef> = runs.iter().map(values).collect();
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        concat(&parts)
    }

    /// Drops chunks that neither a cursor nor a pending row refers to, and renumbers the rest.
    fn forget_chunks(&mut self) {
        const UNUSED: u32 = u32::MAX;
        let mut numbers = vec![UNUSED; self.chunks.len()];
        for Reverse(head) in &self.heap {
            numbers[self.cursors[head.source as usize].chunk as usize] = 0;
        }
        for (chunk, _) in self.pending.references() {
            numbers[*chunk as usize] = 0;
        }
        let mut kept = 0;
        let mut number = 0;
        self.chunks.retain(|_| {
            let keep = numbers[number] != UNUSED;
            if keep {
                numbers[number] = kept;
                kept += 1;
            }
            number += 1;
            keep
        });
        for Reverse(head) in &self.heap {
            let cursor = &mut self.cursors[head.source as usize];
            cursor.chunk = numbers[cursor.chunk as usize];
        }
        for (chunk, _) in self.pending.references_mut() {
            *chunk = numbers[*chunk as usize];
        }
    }
}

/// The value of a tag for each rank; `codes` tells by rank which of `values` it is.
fn tag_column(codes: &Int32Array, values: &ArrayRef, ranks: &[u32]) -> Result<ArrayRef, Error> {
    let mut of_rows: Vec<i32> = Vec::with_capacity(ranks.len());
    let mut present = BooleanBufferBuilder::new(ranks.len());
    for run in ranks.chunk_by(|a, b| a == b) {
        let rank = run[0] as usize;
        of_rows.resize(of_rows.len() + run.len(), codes.value(rank));
        present.append_n(run.len(), codes.is_valid(rank));
    }
    let present = NullBuffer::new(present.finish());
    let present = (present.null_count() > 0).then_some(present);
    let codes = Int32Array::new(of_rows.into(), present);
    DictionaryArray::<Int32Type>::try_new(codes, ArrayRef::clone(values))
        .map(|array| Arc::new(array) as ArrayRef)
        .map_err(|cause| Error::internal("cannot gather a tag").with_source(cause))
}

/// Rows that stand one after the other in a chunk.
#[derive(Clone, Copy, Debug)]
struct Run {
    chunk: u32,
    first: u32,
    rows: usize,
}

/// The rows as runs; `None` when these are so short that rows are better gathered one by one.
fn long_runs(rows: &[(u32, u32)]) -> Option<Vec<Run>> {
    let runs_max = rows.len() / RUN_ROWS_LEAST + 1;
    let mut runs: Vec<Run> = Vec::new();
    for &(chunk, row) in rows {
        if let Some(run) = runs.last_mut()
            && run.chunk == chunk
            && run.first as usize + run.rows == row as usize
        {
            run.rows += 1;
            continue;
        }
        if runs.len() == runs_max {
            return None;
        }
        runs.push(Run {
            chunk,
            first: row,
            rows: 1,
        });
    }
    Some(runs)
}

impl Pending {
    /// The rows of a span of a chunk, which come after all that are pending but may be versions of the last.
    fn push_span(&mut self, chunk: &Chunk, number: u32, span: Span) {
        match chunk.rows {
            // No row of a file is a version of another.
            Rows::Sorted if span.start < span.end => {
                let (first, rest) = (span.start, span.start + 1..span.end);
                self.push(span.rank, chunk.time(first), (number, first));
                self.rows.extend(rest.clone().map(|row| (number, row)));
                self.ranks.resize(self.rows.len(), span.rank);
                let times = &chunk.times[rest.start as usize..rest.end as usize];
                self.times.extend_from_slice(times);
            }
            _ => {
                for position in span.start..span.end {
                    let row = chunk.rows.at(position);
                    self.push(span.rank, chunk.times[row as usize], (number, row));
                }
            }
        }
    }

    fn push(&mut self, rank: u32, time: i64, row: (u32, u32)) {
        let is_version = self.ranks.last() == Some(&rank) && self.times.last() == Some(&time);
        match self.rows.last_mut() {
            Some(newest) if is_version => {
                let older = std::mem::replace(newest, row);
                self.older.push((self.rows.len() - 1, older));
            }
            _ => {
                self.rows.push(row);
                self.ranks.push(rank);
                self.times.push(time);
            }
        }
    }

    /// Splits off the first `rows` rows.
    fn take(&mut self, rows: usize) -> Self {
        let split = self.older.partition_point(|(row, _)| *row < rows);
        let mut rest = Self {
            rows: self.rows.split_off(rows),
            ranks: self.ranks.split_off(rows),
            times: self.times.split_off(rows),
            older: self.older.split_off(split),
        };
        for (row, _) in &mut rest.older {
            *row -= rows;
        }
        std::mem::replace(self, rest)
    }

    fn references(&self) -> impl Iterator<Item = &(u32, u32)> {
        self.rows
            .iter()
            .chain(self.older.iter().map(|(_, row)| row))
    }

    fn references_mut(&mut self) -> impl Iterator<Item = &mut (u32, u32)> {
        self.rows
            .iter_mut()
            .chain(self.older.iter_mut().map(|(_, row)| row))
    }
}

#[cfg(test)]
mod tests;
