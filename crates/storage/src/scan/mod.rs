//! Reading: a consistent view of one table's files and buffered rows, pruned, merged and streamed.
//!
//! Planning is [`plan`]; a [`Scan`] holds what it found and streams it. Tags come from series keys and are never decoded from
//! files; sources whose times cannot overlap are never merged with each other.

pub mod plan;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use futures::stream::{self, BoxStream, StreamExt};

use catalog::{DatabaseId, Table};
use runtime::object_store::Store;

use crate::Error;
use crate::file::read::{FileReader, FileSelection};
use crate::merge::{Chunk, Merge, Output, Step};
use plan::{Group, Pruned, Source};

/// Decides for many series at once: gets one row per series with every tag column of the table in the order of
/// [`crate::schema::table_schema`], answers which may match. Null counts as no.
pub type SeriesFilter =
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
    /// Most partitions wanted.
    pub partitions: usize,
}

/// A planned read. Holds its files and segments, so what happens meanwhile does not change the answer.
pub struct Scan {
    store: Store,
    output: Output,
    /// For each partition, what it reads one after the other.
    partitions: Vec<Vec<Group>>,
    pruned: Pruned,
}

impl fmt::Debug for Scan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Scan({})", self.description())
    }
}

impl Scan {
    /// The projected schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.output.schema
    }

    /// At least one.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// One line for EXPLAIN: what is read of what there is, such as `files=2/10, segments=1/1, series=3/1000`.
    pub fn description(&self) -> String {
        self.pruned.to_string()
    }

    /// Rows of one partition, in no promised order; no (series, time) comes twice in the whole scan.
    pub fn stream(&self, partition: usize) -> BoxStream<'static, Result<RecordBatch, Error>> {
        let reading = Reading {
            store: Store::clone(&self.store),
            output: self.output.clone(),
            groups: self.partitions[partition].clone().into_iter(),
            current: None,
        };
        stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|batch| (batch, reading)))
        })
        .boxed()
    }
}

/// A partition being read.
struct Reading {
    store: Store,
    output: Output,
    groups: std::vec::IntoIter<Group>,
    current: Option<(Merge, Vec<Input>)>,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        loop {
            let Some((merge, inputs)) = &mut self.current else {
                let Some(group) = self.groups.next() else {
                    return Ok(None);
                };
                let inputs: Vec<Input> = group.sources.into_iter().map(Input::new).collect();
                self.current = Some((Merge::new(self.output.clone(), inputs.len()), inputs));
                continue;
            };
            match merge.step()? {
                Step::Need(source) => {
                    let chunk = inputs[source].next(&self.store).await?;
                    merge.supply(source, chunk);
                }
                Step::Rows(merged) => return Ok(Some(merged.batch)),
                Step::Done => self.current = None,
            }
        }
    }
}

/// A source being read.
enum Input {
    Segment(Box<Source>),
    Waiting(Box<FileSelection>),
    Open(Box<FileReader>),
    Ended,
}

impl Input {
    fn new(source: Source) -> Self {
        match source {
            Source::File(selection) => Self::Waiting(Box::new(selection)),
            segment => Self::Segment(Box::new(segment)),
        }
    }

    async fn next(&mut self, store: &Store) -> Result<Option<Chunk>, Error> {
        if let Self::Waiting(_) = self
            && let Self::Waiting(selection) = std::mem::replace(self, Self::Ended)
        {
            *self = Self::Open(Box::new(FileReader::open(*selection, store)?));
        }
        match self {
            Self::Open(reader) => reader.next().await,
            Self::Segment(_) => match std::mem::replace(self, Self::Ended) {
                Self::Segment(source) => Ok(source.into_chunk()),
                _ => Ok(None),
            },
            Self::Waiting(_) | Self::Ended => Ok(None),
        }
    }
}
