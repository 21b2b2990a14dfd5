//! Rows of one table in columns, in the order they were written: what travels from ingest to log and buffer.

use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::concat;
use catalog::{ColumnId, DatabaseId, TableId};

use crate::Error;
use crate::schema::data_type;

/// Bytes of strings that a column of a batch may have.
const BATCH_STRING_BYTES: usize = 64 << 20;

/// Rows of one table. All columns have as many values as there are rows; a field column not listed is null in every row.
#[derive(Clone, Debug)]
pub struct Batch {
    pub database: DatabaseId,
    pub table: TableId,
    /// Series numbers of the table's [`crate::series::SeriesTable`].
    pub series: ScalarBuffer<u32>,
    /// Nanoseconds since the epoch.
    pub times: ScalarBuffer<i64>,
    /// Fields only, in the order of their ids.
    pub columns: Vec<(ColumnId, ArrayRef)>,
}

impl Batch {
    pub fn rows(&self) -> usize {
        self.times.len()
    }

    pub fn column(&self, id: ColumnId) -> Option<&ArrayRef> {
        let at = self.columns.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(&self.columns[at].1)
    }

    /// Bytes held by the rows.
    pub fn bytes(&self) -> usize {
        let fields: usize = self
            .columns
            .iter()
            .map(|(_, values)| values.get_array_memory_size())
            .sum();
        fields + self.rows() * (size_of::<u32>() + size_of::<i64>())
    }

    /// All rows of `batches` of one table, one after the other.
    ///
    /// Errors: `Internal` when a column has different types, which the catalog rules out.
    pub fn concatenate(batches: &[&Batch]) -> Result<Batch, Error> {
        let first = batches
            .first()
            .ok_or_else(|| Error::internal("no batches to put together"))?;
        let (series, times) = Self::concatenate_rows(batches);
        let columns = Self::column_ids(batches)
            .into_iter()
            .map(|id| Ok((id, Self::concatenate_column(batches, id)?)))
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(Batch {
            database: first.database,
            table: first.table,
            series: series.into(),
            times: times.into(),
            columns,
        })
    }

    /// Series and time of all rows of `batches`, one after the other.
    pub fn concatenate_rows(batches: &[&Batch]) -> (Vec<u32>, Vec<i64>) {
        let rows = batches.iter().map(|batch| batch.rows()).sum();
        let mut series: Vec<u32> = Vec::with_capacity(rows);
        let mut times: Vec<i64> = Vec::with_capacity(rows);
        for batch in batches {
            series.extend_from_slice(&batch.series);
            times.extend_from_slice(&batch.times);
        }
        (series, times)
    }

    /// The columns that any of `batches` has, in order.
    pub fn column_ids(batches: &[&Batch]) -> Vec<ColumnId> {
        let mut ids: Vec<ColumnId> = Vec::new();
        for batch in batches {
            // Most have the columns of the one before.
            let given = batch.columns.iter().map(|(id, _)| id);
            if !given.clone().eq(ids.iter()) {
                ids.extend(given);
                ids.sort_unstable();
                ids.dedup();
            }
        }
        ids
    }

    /// One column of all rows of `batches`, one after the other. Errors: `Internal`, as for [`Batch::concatenate`].
    pub fn concatenate_column(batches: &[&Batch], id: ColumnId) -> Result<ArrayRef, Error> {
        let data_type = batches
            .iter()
            .find_map(|batch| batch.column(id))
            .map(|values| values.data_type().clone())
            .ok_or_else(|| Error::internal(format!("column {} has no values", id.0)))?;
        let parts: Vec<ArrayRef> = batches
            .iter()
            .map(|batch| match batch.column(id) {
                Some(values) => ArrayRef::clone(values),
                None => new_null_array(&data_type, batch.rows()),
            })
            .collect();
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        concat(&parts).map_err(|cause| {
            Error::internal(format!("cannot put column {} together", id.0)).with_source(cause)
        })
    }
}

/// Bytes of the longest string of a column; 0 for columns of other types.
pub fn widest_string(values: &dyn Array) -> usize {
    let Some(strings) = values.as_string_opt::<i32>() else {
        return 0;
    };
    let widths = strings.value_offsets().windows(2);
    let widest = widths.map(|ends| ends[1] - ends[0]).max();
    widest.unwrap_or(0) as usize
}

/// Most rows that one batch of such strings should have, of the `rows` it would have otherwise.
///
/// Keeps a batch's strings far below the 2 GiB that Arrow can address, and its memory in bounds.
pub fn rows_of_strings(rows: usize, widest: usize) -> usize {
    rows.min(BATCH_STRING_BYTES / widest.max(1)).max(1)
}

/// A column of nulls for `kind`.
pub fn null_column(kind: catalog::ColumnKind, rows: usize) -> ArrayRef {
    new_null_array(&data_type(kind), rows)
}
