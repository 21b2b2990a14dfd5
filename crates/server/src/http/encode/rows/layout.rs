//! The cells of a row in their order, for all rows of one schema.
//!
//! Columns of labels that stand side by side are one part: rows of one series follow each other in most results, and then the
//! part is copied from the row before.

use std::ops::Range;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;

use super::column::Column;
use super::style::Style;
use super::text::Text;

/// Columns, and the batch that was loaded last.
pub(super) struct Layout {
    schema: SchemaRef,
    columns: Vec<Column>,
    parts: Vec<Part>,
    /// The columns that arrow writes.
    rare: Vec<(FieldRef, ArrayRef)>,
}

enum Part {
    Cell(usize),
    Labels {
        columns: Range<usize>,
        /// Whether a row has the labels of the row before it.
        same: Vec<bool>,
    },
}

impl Layout {
    /// Takes a batch into what is known of the batches before it.
    pub(super) fn load<S: Style>(
        before: Option<Self>,
        batch: &RecordBatch,
    ) -> Result<Self, ArrowError> {
        let mut layout = match before {
            Some(before) if before.schema == batch.schema() => before,
            _ => Self::new::<S>(batch.schema()),
        };
        let mut rare = Vec::new();
        for (at, (column, array)) in layout.columns.iter_mut().zip(batch.columns()).enumerate() {
            column.load::<S>(array, &mut rare, at);
        }
        layout.rare.clear();
        for at in rare {
            let field = FieldRef::clone(&layout.schema.fields()[at]);
            let array = ArrayRef::clone(batch.column(at));
            S::rare(&field, &array)?;
            layout.rare.push((field, array));
        }
        layout.parts = parts(&layout.columns, batch.num_rows());
        Ok(layout)
    }

    fn new<S: Style>(schema: SchemaRef) -> Self {
        let fields = schema.fields().iter().enumerate();
        Self {
            columns: fields
                .map(|(at, field)| Column::new::<S>(field.name(), at))
                .collect(),
            schema,
            parts: Vec::new(),
            rare: Vec::new(),
        }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Writes `rows` from their first on, until `text` has `bytes_max`, and leaves in `rows` those that are still to be written.
    ///
    /// `begin` and `end` write what stands around the cells of a row; `begin` hears whether it is the first of this call, `end`
    /// where the cells begin.
    pub(super) fn write<S: Style>(
        &mut self,
        rows: &mut Range<usize>,
        text: &mut Text,
        bytes_max: usize,
        begin: impl Fn(&mut Text, bool),
        end: impl Fn(&mut Text, usize),
    ) -> Result<(), ArrowError> {
        let mut rare = Vec::with_capacity(self.rare.len());
        for (field, array) in &self.rare {
            rare.push(S::rare(field, array)?);
        }
        // Where the labels of the row before stand in this text.
        let mut copies: Vec<Option<Range<usize>>> = vec![None; self.parts.len()];
        let first = rows.start;
        for row in rows.by_ref() {
            begin(text, row == first);
            let start = text.length();
            for (part, copy) in self.parts.iter().zip(&mut copies) {
                match part {
                    Part::Cell(column) => self.columns[*column].push::<S>(row, &mut rare, text)?,
                    Part::Labels { columns, same } => {
                        let from = text.length();
                        match copy.take().filter(|_| same[row]) {
                            Some(copied) if copied.is_empty() => {}
                            Some(copied) => {
                                text.repeat(copied);
                                if S::CHANGES_FIRST_CELL {
                                    text.replace_byte(from, b',');
                                }
                            }
                            None => {
                                for column in &mut self.columns[columns.clone()] {
                                    column.push::<S>(row, &mut rare, text)?;
                                }
                            }
                        }
                        *copy = Some(from..text.length());
                    }
                }
            }
            end(text, start);
            if text.length() >= bytes_max {
                break;
            }
        }
        Ok(())
    }
}

fn parts(columns: &[Column], rows: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < columns.len() {
        let labels = columns[at..].iter().map_while(Column::labels);
        let length = labels.clone().count();
        if length < 2 {
            parts.push(Part::Cell(at));
            at += 1;
            continue;
        }
        let mut same = vec![true; rows];
        for labels in labels {
            labels.compare_with_row_before(&mut same);
        }
        let columns = at..at + length;
        parts.push(Part::Labels { columns, same });
        at += length;
    }
    parts
}
