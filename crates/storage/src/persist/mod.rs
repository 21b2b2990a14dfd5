//! Frozen rows to sorted Parquet files. What is cut where is [`plan`]'s; when, and what becomes of the files, is the engine's.

pub mod plan;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use catalog::{Column, ColumnId, Table};
use hashbrown::HashSet;

use crate::Error;
use crate::buffer::TableBuffer;
use crate::buffer::segment::Segment;
use crate::file::write::{FileWriter, WrittenFile, file_columns, file_schema};
use crate::merge::{Merge, Merged, Output, Step};
use crate::series::{Ranking, SeriesKey};
use plan::Window;

/// Rows of a batch on the way to a file.
const BATCH_ROWS: usize = 1 << 14;

/// Rows after which a further file is begun.
const FILE_ROWS_MAX: u64 = 1 << 21;

/// The windows to make files for, one at a time.
pub fn windows(segments: &[Arc<Segment>]) -> Vec<Window> {
    plan::plan(
        segments
            .iter()
            .flat_map(|segment| segment.batch.times.iter().copied()),
    )
}

/// The files of one window: its rows of all segments (oldest first), merged. CPU work of seconds for millions of rows.
pub fn files_of_window(
    table: &Table,
    buffer: &TableBuffer,
    segments: &[Arc<Segment>],
    window: Window,
) -> Result<Vec<WrittenFile>, Error> {
    let overlapping: Vec<&Arc<Segment>> = segments
        .iter()
        .filter(|segment| segment.min_time <= window.last && window.first <= segment.max_time)
        .collect();
    let present: HashSet<ColumnId> = overlapping
        .iter()
        .flat_map(|segment| segment.batch.columns.iter().map(|(id, _)| *id))
        .chain(table.series_key().iter().copied())
        .collect();
    let columns = file_columns(table, |column| present.contains(&column.id));
    let schema = file_schema(table, &columns);
    let series = overlapping
        .iter()
        .flat_map(|segment| segment.order().spans.iter().map(|span| span.series));
    let (ranking, keys, output, fields) = {
        let mut known = buffer.series.write();
        let ranking = known.ranking(series);
        let keys: Vec<SeriesKey> = ranking
            .by_rank
            .iter()
            .map(|number| SeriesKey::clone(known.key(*number)))
            .collect();
        let (output, fields) = Output::of_columns(
            table,
            &columns,
            Arc::clone(&schema),
            &known,
            &ranking,
            BATCH_ROWS,
        );
        (ranking, keys, output, fields)
    };
    let mut merge = Merge::new(output, overlapping.len());
    let mut files = Files {
        columns: &columns,
        schema,
        keys: &keys,
        current: None,
        finished: Vec::new(),
    };
    let mut given = vec![false; overlapping.len()];
    loop {
        match merge.step()? {
            Step::Need(source) => {
                let first_time = !std::mem::replace(&mut given[source], true);
                let chunk =
                    first_time.then(|| clipped(overlapping[source], &ranking, &fields, window));
                merge.supply(source, chunk);
            }
            Step::Rows(merged) => files.write(&merged)?,
            Step::Done => return files.finish(),
        }
    }
}

fn clipped(
    segment: &Segment,
    ranking: &Ranking,
    fields: &[&Column],
    window: Window,
) -> crate::merge::Chunk {
    let ids: Vec<ColumnId> = fields.iter().map(|column| column.id).collect();
    let mut chunk = segment.chunk(ranking, &ids);
    chunk.clip(&(window.first..=window.last));
    chunk
}

/// The files under construction.
struct Files<'a> {
    columns: &'a [&'a Column],
    schema: SchemaRef,
    /// By rank.
    keys: &'a [SeriesKey],
    current: Option<FileWriter>,
    finished: Vec<WrittenFile>,
}

impl Files<'_> {
    fn write(&mut self, merged: &Merged) -> Result<(), Error> {
        let writer = match &mut self.current {
            Some(writer) => writer,
            None => self
                .current
                .insert(FileWriter::new(self.columns, Arc::clone(&self.schema))?),
        };
        writer.write(merged)?;
        if writer.rows() >= FILE_ROWS_MAX {
            self.end_file()?;
        }
        Ok(())
    }

    fn end_file(&mut self) -> Result<(), Error> {
        if let Some(writer) = self.current.take() {
            let keys = self.keys;
            self.finished
                .push(writer.finish(|rank| &keys[rank as usize])?);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<WrittenFile>, Error> {
        self.end_file()?;
        Ok(self.finished)
    }
}
