//! csv: a header with the first rows, nulls empty; nothing at all without rows. Nested types cannot be shown.

use arrow::array::RecordBatch;
use arrow::csv::WriterBuilder;
use arrow::error::ArrowError;
use bytes::Bytes;

/// Lines of comma-separated values.
pub(super) struct Rows {
    has_header: bool,
}

impl Rows {
    pub(super) fn new() -> Self {
        Self { has_header: false }
    }

    pub(super) fn encode(&mut self, rows: &RecordBatch) -> Result<Bytes, ArrowError> {
        let mut text = Vec::new();
        WriterBuilder::new()
            .with_header(!self.has_header)
            .build(&mut text)
            .write(rows)?;
        self.has_header = true;
        Ok(Bytes::from(text))
    }
}
