//! Frozen rows to sorted Parquet files. What is cut where is [`plan`]'s; when, and what becomes of the files, is the engine's.

pub mod persister;

pub mod plan;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use catalog::{Column, ColumnId, Table};
use hashbrown::HashSet;

use crate::Error;
use crate::buffer::segment::Segment;
use crate::buffer::{TableBuffer, View};
use crate::delete::tombstone::{ExclusionSets, Exclusions};
use crate::file::write::{FileWriter, WrittenFile, file_columns, file_schema};
use crate::merge::{Chunk, Merge, Merged, Output, Step};
use crate::series::{Ranking, SeriesKey, SeriesTable};
use plan::Piece;

/// Rows of a batch on the way to a file.
const BATCH_ROWS: usize = 1 << 14;

/// Rows after which a further file is begun.
const FILE_ROWS_MAX: u64 = 1 << 21;

/// The pieces to make files of, one at a time.
pub fn pieces(segments: &[Arc<Segment>]) -> Vec<Piece> {
    plan::plan(
        segments
            .iter()
            .flat_map(|segment| segment.batch.times.iter().copied()),
    )
}

/// The files of one piece: its rows of all frozen segments (oldest first), merged, without those deleted by now. CPU work of
/// seconds for millions of rows.
pub fn files_of_piece(
    table: &Table,
    buffer: &TableBuffer,
    view: &View,
    piece: &Piece,
) -> Result<Vec<WrittenFile>, Error> {
    let window = piece.window;
    let overlapping: Vec<&Arc<Segment>> = view
        .frozen
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
    let (ranking, keys, output, fields, excluded) = {
        let known = SeriesTable::ranked(&buffer.series);
        let ranking = known.ranking(series);
        let mut exclusions = ExclusionSets::new(&view.tombstones, &known, &ranking);
        let excluded: Vec<Option<Arc<Exclusions>>> = overlapping
            .iter()
            .map(|segment| {
                let times = (segment.min_time, segment.max_time);
                exclusions.of(segment.last_sequence, 0, times)
            })
            .collect();
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
        (ranking, keys, output, fields, excluded)
    };
    let mut merge = Merge::new(output, overlapping.len());
    let mut files = Files {
        columns: &columns,
        schema,
        keys: &keys,
        rows: 0,
        current: None,
        finished: Vec::new(),
    };
    let mut given = vec![false; overlapping.len()];
    loop {
        match merge.step()? {
            Step::Need(source) => {
                let first_time = !std::mem::replace(&mut given[source], true);
                let chunk = first_time.then(|| {
                    let mut chunk = clipped(overlapping[source], &ranking, &fields, piece);
                    if let Some(excluded) = &excluded[source] {
                        excluded.clip(&mut chunk);
                    }
                    // All sources give theirs before the first row is written.
                    files.rows += chunk.rows();
                    chunk
                });
                merge.supply(source, chunk);
            }
            Step::Rows(merged) => files.write(&merged)?,
            Step::Done => return files.finish(),
        }
    }
}

fn clipped(segment: &Segment, ranking: &Ranking, fields: &[&Column], piece: &Piece) -> Chunk {
    let ids: Vec<ColumnId> = fields.iter().map(|column| column.id).collect();
    let mut chunk = segment.chunk(ranking, &ids);
    chunk.clip(&(piece.window.first..=piece.window.last));
    if !piece.holes.is_empty() {
        chunk.cut_out(|_| &piece.holes);
    }
    chunk
}

/// The files under construction.
struct Files<'a> {
    columns: &'a [&'a Column],
    schema: SchemaRef,
    /// By rank.
    keys: &'a [SeriesKey],
    /// How many rows there are, versions of one counted apart.
    rows: u64,
    current: Option<FileWriter>,
    finished: Vec<WrittenFile>,
}

impl Files<'_> {
    fn write(&mut self, merged: &Merged) -> Result<(), Error> {
        let writer = match &mut self.current {
            Some(writer) => writer,
            None => {
                let schema = Arc::clone(&self.schema);
                let writer = FileWriter::new(self.columns, schema, self.rows)?;
                self.current.insert(writer)
            }
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
