//! jsonl: one row object per line, nulls left out; nothing at all without rows.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use bytes::Bytes;

/// Lines of row objects.
pub(super) struct Rows {
    writer: LineDelimitedWriter<Vec<u8>>,
}

impl Rows {
    pub(super) fn new() -> Self {
        Self {
            writer: LineDelimitedWriter::new(Vec::new()),
        }
    }

    pub(super) fn encode(&mut self, rows: &RecordBatch) -> Result<Bytes, ArrowError> {
        self.writer.write(rows)?;
        Ok(Bytes::from(std::mem::take(self.writer.get_mut())))
    }
}
