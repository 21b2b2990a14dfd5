//! Points and schema to batches: what a write request means.
//!
//! One pass over the lines. A line of a known series with known fields goes straight into columns; the first line that
//! needs a new table or column turns the pass into one that only checks, and what it needs is committed to the catalog before
//! the request is read again. Not here: parsing (`line_protocol`), durability (`wal`).

pub mod draft;

pub mod known;

pub mod rows;

pub mod tables;

use std::sync::Arc;

use catalog::{Database, Limits, Snapshot, TableAdditions, TableId};
use hashbrown::HashMap;
use line_protocol::{Field, Line, Parser, Precision, Series};
use parking_lot::RwLock;

use crate::batch::Batch;
use crate::buffer::Buffer;
use crate::series::encode_series_key;
use crate::wal::format::v1::CELLS_MAX;
use crate::{Error, ErrorKind};
use draft::Draft;
use known::{Expected, Known, KnownSeries, Texts};
use rows::{Pushed, Rows};

/// Lines read under one lock of the known texts.
const LINES_PER_LOCK: usize = 64;

/// Longest piece of a line that an error shows, bytes.
const ORIGINAL_LINE_BYTES_MAX: usize = 20;

/// One write request, already decompressed and known to be UTF-8.
#[derive(Clone, Copy, Debug)]
pub struct WriteRequest<'a> {
    pub database: &'a str,
    pub text: &'a str,
    pub precision: Precision,
    /// Keep the good lines when some are bad.
    pub accept_partial: bool,
    /// Answer once in memory, without waiting for the log.
    pub no_sync: bool,
}

/// What was written. A partial write is one with rejected lines.
#[derive(Debug, Default)]
pub struct WriteOutcome {
    /// Lines that became rows.
    pub lines: usize,
    /// In the order of the request.
    pub rejected: Vec<LineError>,
}

/// A line that was not written, as clients see it (spec/write-and-storage.md §2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    pub error_message: String,
    /// 1-based over logical lines.
    pub line_number: usize,
    /// At most 20 bytes of the line.
    pub original_line: String,
}

/// Why nothing of a request was written.
#[derive(Debug)]
pub enum WriteError {
    /// No line in the body: `incoming write was empty`.
    Empty,
    /// `accept_partial` was off and this is the first bad line.
    Line(LineError),
    /// The whole request failed: name, database limit, log, shutdown.
    Failed(Error),
}

impl From<Error> for WriteError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What one pass over a request found.
#[derive(Debug)]
pub enum Pass {
    /// The catalog has all it needs.
    Ready {
        batches: Vec<Batch>,
        outcome: WriteOutcome,
    },
    /// Commit these, then read the request again.
    NeedsSchema(Vec<TableAdditions>),
}

/// What a pass reads.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub snapshot: &'a Snapshot,
    pub limits: Limits,
    pub buffer: &'a Buffer,
    pub known: &'a KnownSeries,
    /// The request's own time, for lines without one.
    pub now_ns: i64,
    /// Most values that a request may unfold into.
    pub cells_max: u64,
    /// Bytes of series in memory at which no new one is taken.
    pub series_bytes_max: u64,
}

/// Reads a request once.
pub fn pass(request: &WriteRequest<'_>, context: &Context<'_>) -> Result<Pass, WriteError> {
    catalog::check_writable(context.snapshot, request.database)?;
    let database = context.snapshot.database(request.database);
    if database.is_none() {
        let live = context.snapshot.live_databases();
        context.limits.check_new_database(live)?;
    }
    let mut lines = Lines {
        precision: request.precision,
        default_time: request.precision.truncate_ns(context.now_ns),
        database,
        context: *context,
        texts: database.map(|database| context.known.database(database.id)),
        draft: Draft::new(context.snapshot, context.limits, database),
        tables: Vec::new(),
        by_table: HashMap::new(),
        key: Vec::new(),
    };
    let shared = lines.texts.clone();
    let read = || shared.as_ref().map(|texts| texts.read());
    let mut texts = read();
    let mut expected = Expected::default();
    let mut since_pause = 0;
    let mut outcome = WriteOutcome::default();
    let mut parser = Parser::new(request.text);
    let mut fields = Vec::new();
    while let Some(line) = parser.next_line(&mut fields) {
        let (number, text, message) = match line {
            Ok(line) => {
                since_pause += 1;
                if since_pause == LINES_PER_LOCK {
                    since_pause = 0;
                    // Whoever has a new series to tell gets in here.
                    drop(texts.take());
                    texts = read();
                }
                let known = texts
                    .as_ref()
                    .and_then(|texts| texts.get(line.series, &mut expected));
                let added = match lines.add_known(known, &line, &fields) {
                    Some(added) => added,
                    None => {
                        drop(texts.take());
                        let added = lines.add_unknown(&line, &fields);
                        texts = read();
                        added
                    }
                };
                match added {
                    Ok(()) => {
                        outcome.lines += 1;
                        continue;
                    }
                    Err(error)
                        if matches!(error.kind(), ErrorKind::TooLarge | ErrorKind::Unavailable) =>
                    {
                        return Err(error.into());
                    }
                    Err(error) => (line.number, line.text, error.to_string()),
                }
            }
            Err(rejected) => (rejected.number, rejected.text, rejected.error.to_string()),
        };
        let error = LineError {
            error_message: message,
            line_number: number,
            original_line: beginning(text).to_string(),
        };
        if !request.accept_partial {
            return Err(WriteError::Line(error));
        }
        outcome.rejected.push(error);
    }
    if outcome.lines == 0 && outcome.rejected.is_empty() {
        return Err(WriteError::Empty);
    }
    if !lines.draft.is_empty() {
        return Ok(Pass::NeedsSchema(lines.draft.additions()));
    }
    let cells: u64 = lines.tables.iter().map(Rows::cells).sum();
    let cells_max = context.cells_max.min(CELLS_MAX);
    if cells > cells_max {
        return Err(WriteError::Failed(Error::new(
            ErrorKind::TooLarge,
            format!(
                "the lines unfold into {cells} values, more than {cells_max}: send fewer at once"
            ),
        )));
    }
    let batches = lines.tables.into_iter().filter_map(Rows::finish).collect();
    Ok(Pass::Ready { batches, outcome })
}

/// A pass under way.
struct Lines<'a> {
    precision: Precision,
    default_time: i64,
    database: Option<&'a Arc<Database>>,
    context: Context<'a>,
    texts: Option<Arc<RwLock<Texts>>>,
    draft: Draft<'a>,
    tables: Vec<Rows>,
    /// Indices into `tables`.
    by_table: HashMap<TableId, usize>,
    /// Scratch for series keys.
    key: Vec<u8>,
}

impl Lines<'_> {
    /// A line of a series that is known; `None` when the line needs the full check, which says the same of a bad one.
    #[inline]
    fn add_known(
        &mut self,
        known: Option<Known>,
        line: &Line<'_>,
        fields: &[Field<'_>],
    ) -> Option<Result<(), Error>> {
        if !self.draft.is_empty() {
            return None;
        }
        match self.push(known?, line, fields) {
            Ok(Pushed::Yes) => Some(Ok(())),
            Err(error) if error.kind() == ErrorKind::TooLarge => Some(Err(error)),
            Ok(Pushed::NeedsColumn) | Err(_) => None,
        }
    }

    /// A line of a series not met before, or with a column the table lacks.
    fn add_unknown(&mut self, line: &Line<'_>, fields: &[Field<'_>]) -> Result<(), Error> {
        let series = Series::parse(line).map_err(|error| Error::invalid(error.to_string()))?;
        let checked = time_of(self.precision, self.default_time, line);
        let needs_nothing = self
            .draft
            .require(&series, fields, || checked.map(|_| ()))?;
        if !needs_nothing || !self.draft.is_empty() {
            return Ok(());
        }
        let known = self.intern(&series)?;
        if let Some(texts) = &self.texts {
            texts.write().insert(line.series, known);
        }
        match self.push(known, line, fields)? {
            Pushed::Yes => Ok(()),
            Pushed::NeedsColumn => Err(Error::internal("a column vanished between check and use")),
        }
    }

    /// The number of a series whose table and tags all exist.
    fn intern(&mut self, series: &Series<'_>) -> Result<Known, Error> {
        let gone = || Error::internal("a table vanished between check and use");
        let database = self.database.ok_or_else(gone)?;
        let table = database
            .table(&series.measurement.unescape())
            .ok_or_else(gone)?;
        let mut values = vec![None; table.series_key().len()];
        for (key, value) in &series.tags {
            let position = table
                .column(&key.unescape())
                .and_then(|column| table.series_key_position(column.id))
                .ok_or_else(gone)?;
            values[position] = Some(value.unescape());
        }
        encode_series_key(values.iter().map(Option::as_deref), &mut self.key);
        let buffer = self.context.buffer.table(database.id, table.id);
        let number = buffer.series.read().number(&self.key);
        let number = match number {
            Some(number) => Some(number),
            None => {
                let bytes = self.context.buffer.series_bytes();
                if bytes >= self.context.series_bytes_max {
                    return Err(Error::unavailable(format!(
                        "the names of series take {bytes} bytes, all that --memory-limit leaves for them: no new series can be taken"
                    )));
                }
                buffer.series_mut().intern(&self.key)
            }
        };
        Ok(Known {
            table: table.id,
            series: number.ok_or_else(|| {
                Error::new(
                    ErrorKind::TooLarge,
                    format!("table '{}' has too many series", table.name),
                )
            })?,
        })
    }

    #[inline]
    fn push(
        &mut self,
        known: Known,
        line: &Line<'_>,
        fields: &[Field<'_>],
    ) -> Result<Pushed, Error> {
        let Some(at) = self.rows_of(known.table) else {
            return Ok(Pushed::NeedsColumn);
        };
        let (precision, default_time) = (self.precision, self.default_time);
        self.tables[at].push(known.series, line, fields, || {
            time_of(precision, default_time, line)
        })
    }

    /// Index into `tables`; `None` when the snapshot does not have the table, or only as a deleted one: its name is free again.
    fn rows_of(&mut self, table: TableId) -> Option<usize> {
        if self
            .tables
            .first()
            .is_some_and(|rows| rows.table.id == table)
        {
            return Some(0);
        }
        if let Some(at) = self.by_table.get(&table) {
            return Some(*at);
        }
        let database = self.database?;
        let found = database
            .table_by_id(table)
            .filter(|table| !table.is_deleted())?;
        let buffer = self.context.buffer.table(database.id, table);
        self.tables.push(Rows::new(Arc::clone(found), buffer));
        self.by_table.insert(table, self.tables.len() - 1);
        Some(self.tables.len() - 1)
    }
}

/// A line's time in nanoseconds (spec/write-and-storage.md §4).
fn time_of(precision: Precision, default_time: i64, line: &Line<'_>) -> Result<i64, Error> {
    let Some(timestamp) = line.timestamp else {
        return Ok(default_time);
    };
    precision.to_ns(timestamp).ok_or_else(|| {
        Error::invalid(format!(
            "timestamp, {timestamp}, out of range for precision: {precision:?}"
        ))
    })
}

/// As much of a line as an error shows.
fn beginning(text: &str) -> &str {
    let mut end = text.len().min(ORIGINAL_LINE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests;
