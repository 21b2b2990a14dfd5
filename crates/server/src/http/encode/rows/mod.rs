//! Rows as text: json, jsonl and csv, written straight from Arrow columns.
//!
//! ```text
//! RowWriter ─> layout (which cells a row has) ─> column (one cell) ─> json | csv (how a value looks) ─> text (bytes)
//! ```
//! What is decided once: per schema which writer a column gets and how its name looks, per dictionary value its text, per row
//! whose tags are those of the row before nothing at all: their text is copied. Types that are rare in results are rendered by
//! arrow's own writers, and every type looks as it does there. Knows nothing of responses; pieces and threads: `pieces`.

mod column;

mod csv;

mod json;

mod labels;

mod layout;

mod number;

mod style;

mod text;

mod timestamp;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use self::csv::Csv;
use self::json::Json;
use self::layout::Layout;
pub(crate) use self::text::Text;

/// What the text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One array of row objects, nulls left out.
    Json,
    /// One row object per line, nulls left out; nothing at all without rows.
    JsonLines,
    /// A header with the first rows, nulls empty; nothing at all without rows. Nested types cannot be shown.
    Csv,
}

/// Writes the rows of one result.
pub(crate) struct RowWriter {
    shape: Shape,
    /// Whether there were rows.
    has_rows: bool,
    layout: Option<Layout>,
    /// The rows of the batch in the layout that are still to be written.
    rest: std::ops::Range<usize>,
}

impl RowWriter {
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            shape,
            has_rows: false,
            layout: None,
            rest: 0..0,
        }
    }

    /// Whether rows of the last batch are still to be written.
    pub(crate) fn is_in_batch(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Takes the next batch. Nothing may be left of the one before.
    ///
    /// Errors: a type that cannot be shown in this shape.
    pub(crate) fn begin(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        assert!(self.rest.is_empty(), "the batch before is not written yet");
        let layout = self.layout.take();
        let layout = match self.shape {
            Shape::Json | Shape::JsonLines => Layout::load::<Json>(layout, batch)?,
            Shape::Csv => Layout::load::<Csv>(layout, batch)?,
        };
        self.layout = Some(layout);
        self.rest = 0..batch.num_rows();
        Ok(())
    }

    /// Writes rows of the batch until none is left or `text` has `bytes_max`; the last row may go beyond.
    ///
    /// Errors: a value that cannot be shown. What was written by this call is then of no use.
    pub(crate) fn write(&mut self, text: &mut Text, bytes_max: usize) -> Result<(), ArrowError> {
        let Some(layout) = self.layout.as_mut().filter(|_| !self.rest.is_empty()) else {
            return Ok(());
        };
        if !self.has_rows {
            match self.shape {
                Shape::Json => text.push_byte(b'['),
                Shape::JsonLines => {}
                Shape::Csv => csv::push_header(layout.schema(), text),
            }
        }
        let (rest, is_first) = (&mut self.rest, !self.has_rows);
        self.has_rows = true;
        match self.shape {
            Shape::Json => {
                let begin = |text: &mut Text, is_first_row| {
                    if !(is_first && is_first_row) {
                        text.push_byte(b',');
                    }
                };
                layout.write::<Json>(rest, text, bytes_max, begin, json::end_row)
            }
            Shape::JsonLines => {
                let end = |text: &mut Text, start| {
                    json::end_row(text, start);
                    text.push_byte(b'\n');
                };
                layout.write::<Json>(rest, text, bytes_max, |_, _| {}, end)
            }
            Shape::Csv => layout.write::<Csv>(rest, text, bytes_max, |_, _| {}, csv::end_row),
        }
    }

    /// Writes what comes after the last row.
    pub(crate) fn finish(&mut self, text: &mut Text) {
        if self.shape == Shape::Json {
            text.push(if self.has_rows { &b"]"[..] } else { b"[]" });
        }
    }
}

#[cfg(test)]
mod tests;
