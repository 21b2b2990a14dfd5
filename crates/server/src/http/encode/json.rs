//! json: one array of row objects, nulls left out.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::json::ArrayWriter;
use bytes::Bytes;

/// An array that grows by rows; arrow's own writer renders values as the contract wants them.
pub(super) struct Rows {
    writer: ArrayWriter<Vec<u8>>,
}

impl Rows {
    pub(super) fn new() -> Self {
        Self {
            writer: ArrayWriter::new(Vec::new()),
        }
    }

    pub(super) fn encode(&mut self, rows: &RecordBatch) -> Result<Bytes, ArrowError> {
        self.writer.write(rows)?;
        Ok(self.take())
    }

    /// The end of the array, and its beginning if there were no rows.
    pub(super) fn finish(&mut self) -> Result<Bytes, ArrowError> {
        self.writer.finish()?;
        Ok(self.take())
    }

    fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::take(self.writer.get_mut()))
    }
}
