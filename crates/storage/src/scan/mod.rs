//! Reading: a consistent view of one table's files and buffered rows, pruned, merged and streamed.
//!
//! Planning is [`plan`]; a [`Scan`] holds what it found and streams it. Tags come from series keys and are never decoded from
//! files; sources whose times cannot overlap are never merged with each other.

mod description;

mod known;

mod newest;

pub mod plan;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};

use catalog::{DatabaseId, Table};
use runtime::object_store::Store;

use crate::Error;
use crate::compact::pace::Busy;
use crate::delete::tombstone::Exclusions;
use crate::file::read::{FileReader, FileSelection, LastRowsSelection};
use crate::merge::{Chunk, Merge, Merged, Output, Step};
use description::{Pages, Pruned};
use plan::{Group, Source};

/// Rows of a batch that is large enough.
const GATHERED_ROWS: usize = 1024;

/// Bytes of it, likewise.
const GATHERED_BYTES: usize = 1 << 20;

/// Decides for many series at once, looking at some of their tags.
#[derive(Clone)]
pub struct SeriesFilter {
    /// Indices into [`crate::schema::table_schema`]: the tags shown to `matches`, in this order, in batches of one row per series.
    pub columns: Vec<usize>,
    pub matches: RowMatches,
}

pub use known::{Asked, KnownRows};

/// Decides row by row, looking at some columns.
#[derive(Clone)]
pub struct RowFilter {
    /// Indices into [`crate::schema::table_schema`]: the columns of the batches shown to `matches`, in this order.
    pub columns: Vec<usize>,
    pub matches: RowMatches,
}

/// Answers for each row of a batch; null counts as no.
pub type RowMatches =
    Arc<dyn Fn(&RecordBatch) -> Result<BooleanArray, Error> + Send + Sync + 'static>;

/// What to read of a table.
#[derive(Clone)]
pub struct ScanRequest {
    pub database: DatabaseId,
    pub table: Arc<Table>,
    /// Indices into [`crate::schema::table_schema`], in output order.
    pub projection: Vec<usize>,
    /// Nanoseconds; rows outside are never returned.
    pub time_range: RangeInclusive<i64>,
    /// Rows of series it refuses are never returned.
    pub series_filter: Option<SeriesFilter>,
    /// Rows it refuses may be left out, so that less has to be read; whoever asks has to look at the others again. Looks at `time`
    /// and fields, not at tags.
    pub row_filter: Option<RowFilter>,
    /// Most partitions wanted.
    pub partitions: usize,
    pub wanted: Wanted,
}

/// Which of the rows are needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    #[default]
    All,
    /// The newest row of each series in the time range; a few before it may come, too.
    NewestOfSeries,
    /// None: only how many there are. With an empty projection.
    Count,
}

/// A planned read. Holds its files and segments, so what happens meanwhile does not change the answer.
pub struct Scan {
    store: Store,
    output: Output,
    /// For each partition, what it reads one after the other.
    partitions: Vec<Vec<Group>>,
    /// Nanoseconds; rows outside are not read.
    time_range: RangeInclusive<i64>,
    /// By rank, when only rows from some time on are wanted.
    not_before: Option<Arc<[i64]>>,
    /// Rows that need not be read to be counted; in no partition.
    counted: u64,
    /// Series numbers by rank.
    series: Vec<u32>,
    pruned: Pruned,
    /// Tells compaction to step back, as long as this is read.
    busy: Option<Arc<Busy>>,
}

/// Some merged rows and the group they come from: within a group rows are sorted by (series, time).
#[derive(Debug)]
pub struct GroupRows {
    pub group: usize,
    pub merged: Merged,
}

impl fmt::Debug for Scan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Scan({})", self.description())
    }
}

impl Scan {
    /// The same scan, counting as work under way until its last stream ends.
    pub(crate) fn counted(mut self, busy: Busy) -> Self {
        self.busy = Some(Arc::new(busy));
        self
    }

    /// The projected schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.output.schema
    }

    /// At least one.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// One line for EXPLAIN: what is read of what there is, such as `files=2/10, segments=1/1, series=3/1000, groups=1,
    /// largest_group=2, row_groups=1/4, pages=2/90`.
    pub fn description(&self) -> String {
        match Pages::of(self.partitions.iter().flatten()) {
            Some(pages) => format!("{}, {pages}", self.pruned),
            None => self.pruned.to_string(),
        }
    }

    /// Data files it reads.
    pub fn files(&self) -> usize {
        self.pruned.files.0
    }

    /// Bounds of the times of all its rows, nanoseconds; `None` when it has none.
    pub fn times(&self) -> Option<RangeInclusive<i64>> {
        let sources = self
            .partitions
            .iter()
            .flatten()
            .flat_map(|group| &group.sources);
        let (first, last) = sources
            .map(Source::times)
            .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))?;
        let first = first.max(*self.time_range.start());
        let last = last.min(*self.time_range.end());
        (first <= last).then_some(first..=last)
    }

    /// How many rows it reads, or more: before duplicates are put together and times are looked at row by row.
    pub fn rows_max(&self) -> u64 {
        let groups = self.partitions.iter().flatten();
        let read: u64 = groups.map(Group::rows).sum();
        read + self.counted
    }

    /// The same scan without the rows that need not be read, in as many partitions, and what these rows are. `None` when there are none,
    /// or this is no scan of all rows.
    ///
    /// Of rows that may be versions of each other the times can be known, but not how many there are.
    pub fn without_known(&self, asked: Asked) -> Option<(Self, KnownRows)> {
        if !self.is_of_all_rows() {
            return None;
        }
        let mut known = KnownRows::default();
        let mut partitions = self.partitions.clone();
        for groups in &mut partitions {
            known::take(groups, &self.time_range, asked, &mut known);
        }
        let rest = Self {
            store: Store::clone(&self.store),
            output: self.output.clone(),
            partitions,
            time_range: self.time_range.clone(),
            not_before: None,
            counted: 0,
            series: self.series.clone(),
            pruned: Pruned {
                counted: known.rows,
                ..self.pruned
            },
            busy: self.busy.clone(),
        };
        (known.rows > 0).then_some((rest, known))
    }

    /// Whether [`Scan::narrowed`] scans make up this one when their times do: it is of all rows.
    pub fn is_of_all_rows(&self) -> bool {
        self.not_before.is_none() && self.counted == 0
    }

    /// The same scan of some of the time, in as many partitions.
    pub fn narrowed(&self, times: &RangeInclusive<i64>) -> Self {
        let first = *times.start().max(self.time_range.start());
        let last = *times.end().min(self.time_range.end());
        let times = first..=last;
        let narrowed = |groups: &Vec<Group>| {
            let groups = groups.iter().map(|group| group.narrowed(&times));
            groups.filter(|group| !group.sources.is_empty()).collect()
        };
        Self {
            store: Store::clone(&self.store),
            output: self.output.clone(),
            partitions: self.partitions.iter().map(narrowed).collect(),
            time_range: times.clone(),
            not_before: self.not_before.clone(),
            counted: self.counted,
            series: self.series.clone(),
            pruned: self.pruned,
            busy: self.busy.clone(),
        }
    }

    /// Rows of one partition, in no promised order; no (series, time) comes twice in the whole scan.
    pub fn stream(&self, partition: usize) -> BoxStream<'static, Result<RecordBatch, Error>> {
        let read = self
            .rows(partition)
            .map(|rows| rows.map(|rows| rows.merged.batch));
        let read = gathered(read.boxed());
        match usize::try_from(self.counted) {
            Ok(counted) if partition == 0 && counted > 0 => {
                let options = RecordBatchOptions::new().with_row_count(Some(counted));
                let schema = Arc::clone(&self.output.schema);
                let rows = RecordBatch::try_new_with_options(schema, Vec::new(), &options)
                    .map_err(|cause| Error::internal("cannot count rows").with_source(cause));
                stream::iter([rows]).chain(read).boxed()
            }
            _ => read.boxed(),
        }
    }

    /// The same with what the merge knows of each row.
    pub fn rows(&self, partition: usize) -> BoxStream<'static, Result<GroupRows, Error>> {
        let reading = Reading {
            store: Store::clone(&self.store),
            output: self.output.clone(),
            not_before: self.not_before.clone(),
            groups: self.partitions[partition].clone().into_iter().enumerate(),
            current: None,
            _busy: self.busy.clone(),
        };
        stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|rows| (rows, reading)))
        })
        .boxed()
    }

    /// The numbers of the series it reads, by their ranks.
    pub fn series(&self) -> &[u32] {
        &self.series
    }
}

/// Puts small batches together, as they come from many small files: what looks at a batch costs the same for ten rows as for a thousand.
///
/// No more rows are waited for than were given out before, so that who wants few has them soon.
fn gathered(
    read: BoxStream<'static, Result<RecordBatch, Error>>,
) -> impl Stream<Item = Result<RecordBatch, Error>> + Send + 'static {
    // What is read from, what waits, and how many rows were given out.
    let start = (read, Vec::new(), 0);
    stream::try_unfold(start, |(mut read, mut waiting, given)| async move {
        let enough = GATHERED_ROWS.min(given);
        let mut rows = waiting.iter().map(RecordBatch::num_rows).sum::<usize>();
        let mut bytes = 0;
        while waiting.is_empty() || (rows < enough && bytes < GATHERED_BYTES) {
            let Some(batch) = read.try_next().await? else {
                break;
            };
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
            waiting.push(batch);
        }
        // A large one is not copied.
        let large = match waiting.len() {
            2.. => waiting.pop_if(|last| last.num_rows() >= GATHERED_ROWS),
            _ => None,
        };
        let batch = match waiting.as_slice() {
            [] => return Ok(None),
            [one] => one.clone(),
            [first, ..] => concat_batches(first.schema_ref(), &waiting)
                .map_err(|cause| Error::internal("batches do not fit").with_source(cause))?,
        };
        let given = given + batch.num_rows();
        Ok(Some((batch, (read, Vec::from_iter(large), given))))
    })
}

/// A partition being read.
struct Reading {
    store: Store,
    output: Output,
    not_before: Option<Arc<[i64]>>,
    groups: std::iter::Enumerate<std::vec::IntoIter<Group>>,
    current: Option<(usize, Merge, Vec<Input>)>,
    _busy: Option<Arc<Busy>>,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<GroupRows>, Error> {
        loop {
            let Some((number, merge, inputs)) = &mut self.current else {
                let Some((number, group)) = self.groups.next() else {
                    return Ok(None);
                };
                let inputs: Vec<Input> = group.sources.into_iter().map(Input::new).collect();
                let merge = Merge::new(self.output.clone(), inputs.len());
                self.current = Some((number, merge, inputs));
                continue;
            };
            match merge.step()? {
                Step::Need(source) => {
                    let mut chunk = inputs[source].next(&self.store).await?;
                    if let (Some(chunk), Some(times)) = (&mut chunk, &self.not_before) {
                        chunk.cut_before(times);
                    }
                    merge.supply(source, chunk);
                }
                Step::Rows(merged) => {
                    return Ok(Some(GroupRows {
                        group: *number,
                        merged,
                    }));
                }
                Step::Done => self.current = None,
            }
        }
    }
}

/// A source being read.
pub(crate) enum Input {
    Segment(Box<Source>),
    Waiting(Box<FileSelection>, Option<Arc<Exclusions>>),
    Open(Box<FileReader>, Option<Arc<Exclusions>>),
    Last(Box<LastRowsSelection>),
    Ended,
}

impl Input {
    pub(crate) fn new(source: Source) -> Self {
        match source {
            Source::File(selection, excluded) => Self::Waiting(Box::new(selection), excluded),
            Source::Last(selection) => Self::Last(Box::new(selection)),
            segment => Self::Segment(Box::new(segment)),
        }
    }

    /// Its next rows, for a merge; `None` at the end.
    pub(crate) async fn next(&mut self, store: &Store) -> Result<Option<Chunk>, Error> {
        if let Self::Waiting(..) = self
            && let Self::Waiting(selection, excluded) = std::mem::replace(self, Self::Ended)
        {
            *self = Self::Open(Box::new(FileReader::open(*selection, store)?), excluded);
        }
        match self {
            Self::Open(reader, excluded) => {
                let mut chunk = reader.next().await?;
                if let (Some(chunk), Some(excluded)) = (&mut chunk, excluded) {
                    excluded.clip(chunk);
                }
                Ok(chunk)
            }
            Self::Segment(_) => match std::mem::replace(self, Self::Ended) {
                Self::Segment(source) => Ok(source.into_chunk()),
                _ => Ok(None),
            },
            Self::Last(_) => match std::mem::replace(self, Self::Ended) {
                Self::Last(selection) => selection.read(store).await.map(Some),
                _ => Ok(None),
            },
            Self::Waiting(..) | Self::Ended => Ok(None),
        }
    }
}
