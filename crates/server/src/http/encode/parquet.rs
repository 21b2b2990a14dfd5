//! parquet: one whole file, encoded batch by batch off the async threads; nothing at all without rows.
//!
//! The bytes are held until the file has its footer. Not here: how stored data files are written (`storage`).

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use runtime::Tasks;

use super::Batches;
use super::whole::WholeResult;
use crate::Error;

/// The file of all rows, uncompressed: any reader can open it.
pub(super) async fn file(
    mut batches: Batches,
    held: &mut WholeResult,
    tasks: &Tasks,
) -> Result<Bytes, Error> {
    let Some(first) = batches.try_next().await? else {
        return Ok(Bytes::new());
    };
    let schema = Arc::clone(first.schema_ref());
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).map_err(cannot_write)?;
    let mut next = Some(first);
    while let Some(batch) = next {
        let written = tasks.blocking(move || writer.write(&batch).map(|()| writer));
        writer = written.await?.map_err(cannot_write)?;
        held.resize(writer.bytes_written() + writer.memory_size())?;
        next = batches.try_next().await?;
    }
    let closed = tasks.blocking(move || writer.into_inner());
    let file = closed.await?.map_err(cannot_write)?;
    held.resize(file.len())?;
    Ok(Bytes::from(file))
}

fn cannot_write(fault: ParquetError) -> Error {
    Error::invalid("the result cannot be encoded as parquet").with_source(fault)
}
