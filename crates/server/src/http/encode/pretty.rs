//! pretty: a table drawn with ASCII lines, nulls blank. Column widths need every row, so the result is whole.

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;

use super::{Format, cannot_encode};
use crate::Error;

/// The table of all rows, without a newline at its end; `++` twice when there are no batches.
pub(super) fn table(batches: &[RecordBatch]) -> Result<String, Error> {
    pretty_format_batches(batches)
        .map(|table| table.to_string())
        .map_err(|fault| cannot_encode(Format::Pretty, fault))
}
