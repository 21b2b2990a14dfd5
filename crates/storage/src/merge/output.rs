//! The columns of a merge's output, from a table's columns and the series that take part.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use catalog::{Column, ColumnKind, Table};

use super::{Output, OutputColumn};
use crate::batch::null_column;
use crate::series::{Ranking, SeriesTable};

impl Output {
    /// An output of `columns`, which `schema` describes. The second value names the fields that chunks must bring, in order.
    pub fn of_columns<'a>(
        table: &Table,
        columns: &[&'a Column],
        schema: SchemaRef,
        series: &SeriesTable,
        ranking: &Ranking,
        batch_rows: usize,
    ) -> (Self, Vec<&'a Column>) {
        let mut fields = Vec::new();
        let columns = columns
            .iter()
            .map(|column| match column.kind {
                ColumnKind::Time => OutputColumn::Time,
                ColumnKind::Tag => {
                    // A tag always has a place in the series key; one that had none would be null everywhere.
                    let position = table.series_key_position(column.id).unwrap_or(usize::MAX);
                    let (codes, values) = series.tag_codes(position, &ranking.by_rank);
                    OutputColumn::Tag { codes, values }
                }
                ColumnKind::Field(_) => {
                    fields.push(*column);
                    OutputColumn::Field {
                        field: fields.len() - 1,
                        null: null_column(column.kind, 1),
                    }
                }
            })
            .collect();
        let output = Self {
            schema: Arc::clone(&schema),
            columns,
            batch_rows,
        };
        (output, fields)
    }
}
