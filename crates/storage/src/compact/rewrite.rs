//! Rewriting: the rows of some files, merged, without those deleted or expired, cut by windows into new files.
//!
//! Streams: of each input one batch and the row group it comes from are in memory, of each output one row group and what is
//! finished of the file. Which files, and what becomes of them, is [`super::plan`]'s and [`super`]'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use catalog::{Column, Table};
use hashbrown::HashSet;

use super::Settings;
use super::pace::Pace;
use crate::buffer::{TableBuffer, View};
use crate::delete::tombstone::ExclusionSets;
use crate::file::DataFile;
use crate::file::read::FileSelection;
use crate::file::write::{FileWriter, WrittenFile, file_columns, file_schema};
use crate::live::Live;
use crate::manifest::FileEntry;
use crate::merge::{Merge, Merged, Output, Step};
use crate::scan::Input;
use crate::scan::plan::{Source, file_series, read_footers};
use crate::series::{SeriesKey, SeriesTable};
use crate::window::Window;
use crate::{Error, ErrorKind};

/// Rows of a batch of output.
const BATCH_ROWS: usize = 8192;

/// Fewest rows of a batch of input, however many inputs and columns there are.
const INPUT_ROWS_LEAST: usize = 256;

/// Rows after which a further file is begun, whatever its bytes.
const FILE_ROWS_MAX: u64 = 1 << 24;

/// What to rewrite.
pub struct Rewrite<'a> {
    pub live: &'a Live,
    pub settings: &'a Settings,
    pub table: &'a Table,
    pub buffer: &'a TableBuffer,
    /// Its tombstones are applied.
    pub view: &'a View,
    /// Oldest first.
    pub inputs: Vec<Arc<DataFile>>,
    pub cut_level: usize,
    /// Rows before this time, nanoseconds, are left out.
    pub oldest_visible: i64,
}

impl Rewrite<'_> {
    /// Stores the new files and lists them in `made`, also those of a failed attempt.
    pub async fn run(self, pace: &mut Pace<'_>, made: &mut Vec<FileEntry>) -> Result<(), Error> {
        let store = &self.live.world.store;
        let entries = || self.inputs.iter().map(|file| &file.entry);
        let (Some(first), Some(last)) = (
            entries().map(|entry| entry.first_sequence).min(),
            entries().map(|entry| entry.last_sequence).max(),
        ) else {
            return Ok(());
        };
        let sequences = (first, last);
        let applied = self.view.last_tombstone();
        let files = read_footers(self.inputs.clone(), self.buffer, store).await?;
        let present: HashSet<String> = files
            .iter()
            .flat_map(|(_, footer)| footer.metadata.schema().fields().iter())
            .map(|field| field.name().clone())
            .collect();
        let series_key = self.table.series_key();
        let columns = file_columns(self.table, |column| {
            present.contains(&*column.name) || series_key.contains(&column.id)
        });
        let schema = file_schema(self.table, &columns);
        let held = files.len() * columns.len() * size_of::<i64>();
        let input_rows = (self.settings.inputs_bytes_max as usize / 2 / held.max(1))
            .clamp(INPUT_ROWS_LEAST, BATCH_ROWS);
        let (ranking, keys, output, fields, excluded) = {
            let known = SeriesTable::ranked(&self.buffer.series);
            let all = files.iter().flat_map(|(_, footer)| &footer.series).copied();
            let ranking = known.ranking(all);
            let keys: Vec<SeriesKey> = ranking
                .by_rank
                .iter()
                .map(|number| SeriesKey::clone(known.key(*number)))
                .collect();
            let (output, fields) = Output::of_columns(
                self.table,
                &columns,
                Arc::clone(&schema),
                &known,
                &ranking,
                BATCH_ROWS,
            );
            let mut exclusions = ExclusionSets::new(&self.view.tombstones, &known, &ranking);
            let excluded: Vec<_> = files
                .iter()
                .map(|(file, _)| {
                    let entry = &file.entry;
                    let times = (entry.min_time, entry.max_time);
                    exclusions.of(entry.last_sequence, entry.deletes_applied, times)
                })
                .collect();
            (ranking, keys, output, fields, excluded)
        };
        let names: Arc<[String]> = fields
            .iter()
            .map(|column| column.name.to_string())
            .collect();
        let time_range = self.oldest_visible..=i64::MAX;
        let mut inputs: Vec<Input> = files
            .into_iter()
            .zip(excluded)
            .map(|((file, footer), excluded)| {
                let selection = FileSelection {
                    series: Arc::new(file_series(&footer, &ranking, &time_range)),
                    file,
                    footer,
                    fields: Arc::clone(&names),
                    time_range: time_range.clone(),
                    filter: None,
                    keeps: false,
                    batch_rows: input_rows,
                };
                Input::new(Source::File(selection, excluded))
            })
            .collect();
        let mut outputs = Outputs {
            columns: &columns,
            schema,
            keys: &keys,
            rows: self.inputs.iter().map(|file| file.entry.rows).sum(),
            level: self.cut_level,
            bytes_max: self.settings.file_bytes_max,
            windows: BTreeMap::new(),
            finished: Vec::new(),
        };
        let address = (self.buffer.database, self.buffer.table);
        let mut merge = Merge::new(output, inputs.len());
        loop {
            match merge.step()? {
                Step::Need(source) => {
                    let chunk = inputs[source].next(store).await?;
                    merge.supply(source, chunk);
                }
                Step::Rows(merged) => outputs.write(merged)?,
                Step::Done => break,
            }
            for file in outputs.finished.drain(..) {
                made.push(
                    self.live
                        .put_file(address, file, sequences, applied)
                        .await?,
                );
            }
            if self.live.world.tasks.is_stopping() {
                return Err(Error::new(ErrorKind::Unavailable, "the node is stopping"));
            }
            pace.step().await;
        }
        for file in outputs.finish()? {
            made.push(
                self.live
                    .put_file(address, file, sequences, applied)
                    .await?,
            );
        }
        Ok(())
    }
}

/// The files under construction, one per window met.
struct Outputs<'a> {
    columns: &'a [&'a Column],
    schema: SchemaRef,
    /// By rank.
    keys: &'a [SeriesKey],
    /// Of all inputs.
    rows: u64,
    level: usize,
    bytes_max: u64,
    windows: BTreeMap<Window, WindowOutput>,
    finished: Vec<WrittenFile>,
}

/// The file of one window.
#[derive(Default)]
struct WindowOutput {
    writer: Option<FileWriter>,
    /// Rows too few to be worth a write.
    pending: Vec<Merged>,
    pending_rows: usize,
}

impl Outputs<'_> {
    fn write(&mut self, merged: Merged) -> Result<(), Error> {
        let Some(time) = merged.times.first() else {
            return Ok(());
        };
        let mut window = Window::of(self.level, *time);
        let mut from = 0;
        for (at, time) in merged.times.iter().enumerate() {
            if !window.contains(*time) {
                self.write_to(window, part(&merged, from, at))?;
                window = Window::of(self.level, *time);
                from = at;
            }
        }
        match from {
            0 => self.write_to(window, merged),
            from => self.write_to(window, part(&merged, from, merged.times.len())),
        }
    }

    fn write_to(&mut self, window: Window, rows: Merged) -> Result<(), Error> {
        let output = self.windows.entry(window).or_default();
        output.pending_rows += rows.times.len();
        output.pending.push(rows);
        if output.pending_rows >= BATCH_ROWS / 2 {
            self.write_pending(window)?;
        }
        Ok(())
    }

    fn write_pending(&mut self, window: Window) -> Result<(), Error> {
        let Some(output) = self.windows.get_mut(&window) else {
            return Ok(());
        };
        output.pending_rows = 0;
        let Some(rows) = together(&self.schema, std::mem::take(&mut output.pending))? else {
            return Ok(());
        };
        let writer = match &mut output.writer {
            Some(writer) => writer,
            None => {
                let schema = Arc::clone(&self.schema);
                let writer = FileWriter::new(self.columns, schema, self.rows)?;
                output.writer.insert(writer)
            }
        };
        writer.write(&rows)?;
        if writer.rows() >= FILE_ROWS_MAX || writer.encoded_bytes() as u64 >= self.bytes_max {
            self.end_file(window)?;
        }
        Ok(())
    }

    fn end_file(&mut self, window: Window) -> Result<(), Error> {
        let output = self.windows.get_mut(&window);
        if let Some(writer) = output.and_then(|output| output.writer.take()) {
            let keys = self.keys;
            self.finished
                .push(writer.finish(|rank| &keys[rank as usize])?);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<WrittenFile>, Error> {
        let windows: Vec<Window> = self.windows.keys().copied().collect();
        for window in windows {
            self.write_pending(window)?;
            self.end_file(window)?;
        }
        Ok(self.finished)
    }
}

fn part(merged: &Merged, from: usize, to: usize) -> Merged {
    Merged {
        batch: merged.batch.slice(from, to - from),
        ranks: merged.ranks[from..to].to_vec(),
        times: merged.times[from..to].to_vec(),
    }
}

/// Several pieces of rows as one.
fn together(schema: &SchemaRef, mut parts: Vec<Merged>) -> Result<Option<Merged>, Error> {
    if parts.len() < 2 {
        return Ok(parts.pop());
    }
    let batches: Vec<&RecordBatch> = parts.iter().map(|part| &part.batch).collect();
    let batch = concat_batches(schema, batches)
        .map_err(|cause| Error::internal("cannot put rows together").with_source(cause))?;
    Ok(Some(Merged {
        batch,
        ranks: parts.iter().flat_map(|part| &part.ranks).copied().collect(),
        times: parts.iter().flat_map(|part| &part.times).copied().collect(),
    }))
}
