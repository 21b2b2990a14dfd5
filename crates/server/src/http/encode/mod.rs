//! Rows to bytes: the formats a query can be answered in.
//!
//! [`respond`] takes a stream of batches and gives a response whose status is known only once the first rows (or the end) are
//! there. json, jsonl and csv leave batch by batch, in pieces of at most [`PIECE_ROWS_MAX`] rows; pretty and parquet need the
//! whole result first. How each type looks: spec/query-sql.md §2. Not here: choosing a format (`accept.rs`).

pub(crate) mod accept;

mod json;

mod jsonl;

mod csv;

mod pretty;

mod parquet;

mod whole;

pub(crate) use whole::{WholeResult, WholeResults};

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use hyper::{Response, StatusCode};
use serde::Deserialize;

use runtime::Tasks;

use super::response::{ResponseBody, typed};
use crate::Error;

/// Rows encoded at a time, so that one large batch does not become one large piece of text.
const PIECE_ROWS_MAX: usize = 4_096;

/// Rows of a result.
pub(crate) type Batches = BoxStream<'static, Result<RecordBatch, Error>>;

/// What rows become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Format {
    #[serde(rename = "json")]
    Json,
    #[serde(rename = "jsonl", alias = "json_lines")]
    JsonLines,
    #[serde(rename = "csv")]
    Csv,
    #[serde(rename = "pretty")]
    Pretty,
    #[serde(rename = "parquet")]
    Parquet,
}

impl Format {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::JsonLines => "application/jsonl",
            Self::Csv => "text/csv",
            Self::Pretty => "text/plain; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::JsonLines => "jsonl",
            Self::Csv => "csv",
            Self::Pretty => "pretty",
            Self::Parquet => "parquet",
        }
    }
}

/// Answers with `batches` in `format`.
///
/// Runs until the first rows are encoded or the result has ended, so that a fault up to there is an error with its own
/// status. A later fault ends the body without a proper end. Formats that need the whole result first take its memory from
/// `whole_results` until the response has left.
pub(crate) async fn respond(
    batches: Batches,
    format: Format,
    whole_results: &Arc<WholeResults>,
    tasks: &Tasks,
) -> Result<Response<ResponseBody>, Error> {
    let batches = batches
        .try_filter(|batch| std::future::ready(batch.num_rows() > 0))
        .boxed();
    let body = match format {
        Format::Json => stream_rows(batches, RowEncoder::Json(json::Rows::new())).await?,
        Format::JsonLines => {
            stream_rows(batches, RowEncoder::JsonLines(jsonl::Rows::new())).await?
        }
        Format::Csv => stream_rows(batches, RowEncoder::Csv(csv::Rows::new())).await?,
        Format::Pretty => {
            let mut held = whole_results.begin(format);
            let whole = collect(batches, &mut held).await?;
            let text = tasks.blocking(move || pretty::table(&whole)).await??;
            held.resize(text.len())?;
            ResponseBody::full(text).holding(held)
        }
        Format::Parquet => {
            let mut held = whole_results.begin(format);
            let file = parquet::file(batches, &mut held).await?;
            ResponseBody::full(file).holding(held)
        }
    };
    Ok(typed(StatusCode::OK, format.content_type(), body))
}

/// An encoder that gives text row by row.
enum RowEncoder {
    Json(json::Rows),
    JsonLines(jsonl::Rows),
    Csv(csv::Rows),
}

impl RowEncoder {
    fn encode(&mut self, rows: &RecordBatch) -> Result<Bytes, Error> {
        match self {
            Self::Json(json) => json.encode(rows),
            Self::JsonLines(lines) => lines.encode(rows),
            Self::Csv(csv) => csv.encode(rows),
        }
        .map_err(|fault| cannot_encode(self.format(), fault))
    }

    /// What comes after the last row.
    fn finish(&mut self) -> Result<Bytes, Error> {
        match self {
            Self::Json(json) => json
                .finish()
                .map_err(|fault| cannot_encode(Format::Json, fault)),
            Self::JsonLines(_) | Self::Csv(_) => Ok(Bytes::new()),
        }
    }

    fn format(&self) -> Format {
        match self {
            Self::Json(_) => Format::Json,
            Self::JsonLines(_) => Format::JsonLines,
            Self::Csv(_) => Format::Csv,
        }
    }
}

/// A result on its way to the client.
struct Encoding {
    batches: Batches,
    encoder: RowEncoder,
    /// The batch being cut into pieces, and how many of its rows are done.
    current: Option<(RecordBatch, usize)>,
    ended: bool,
}

impl Encoding {
    /// The next piece of text; `None` after the last.
    async fn next_piece(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if self.ended {
                return Ok(None);
            }
            if let Some((batch, done)) = &mut self.current {
                let length = PIECE_ROWS_MAX.min(batch.num_rows() - *done);
                let piece = batch.slice(*done, length);
                *done += length;
                if *done == batch.num_rows() {
                    self.current = None;
                }
                return self.encoder.encode(&piece).map(Some);
            }
            match self.batches.try_next().await? {
                Some(batch) => self.current = Some((batch, 0)),
                None => {
                    self.ended = true;
                    let rest = self.encoder.finish()?;
                    return Ok(Some(rest).filter(|rest| !rest.is_empty()));
                }
            }
        }
    }
}

async fn stream_rows(batches: Batches, encoder: RowEncoder) -> Result<ResponseBody, Error> {
    let mut encoding = Encoding {
        batches,
        encoder,
        current: None,
        ended: false,
    };
    let Some(first) = encoding.next_piece().await? else {
        return Ok(ResponseBody::empty());
    };
    if encoding.ended {
        return Ok(ResponseBody::full(first));
    }
    let rest = stream::try_unfold(encoding, |mut encoding| async move {
        let piece = encoding.next_piece().await?;
        Ok(piece.map(|piece| (piece, encoding)))
    });
    let pieces = stream::once(std::future::ready(Ok(first))).chain(rest);
    Ok(ResponseBody::stream(pieces.boxed()))
}

/// All batches of a result, if they fit.
async fn collect(mut batches: Batches, held: &mut WholeResult) -> Result<Vec<RecordBatch>, Error> {
    let mut whole = Vec::new();
    let mut bytes = 0_usize;
    while let Some(batch) = batches.try_next().await? {
        bytes = bytes.saturating_add(batch.get_array_memory_size());
        held.resize(bytes)?;
        whole.push(batch);
    }
    Ok(whole)
}

fn cannot_encode(format: Format, fault: ArrowError) -> Error {
    Error::invalid(format!("the result cannot be encoded as {}", format.name())).with_source(fault)
}

#[cfg(test)]
mod tests;
