//! Rows to bytes: the formats a query can be answered in.
//!
//! ```text
//! json, jsonl, csv   pieces ─> rows       text leaves piece by piece
//! pretty, parquet    whole                 the result is held until it is complete
//! ```
//! [`Encoders::respond`] takes a stream of batches and gives a response whose status is known only once the first rows (or the
//! end) are there. How each type looks: spec/query-sql.md §2. Not here: choosing a format (`accept`) or a compression
//! (`compression`).

pub(crate) mod accept;

pub(crate) mod compression;

mod rows;

mod pieces;

mod pretty;

mod parquet;

mod whole;

pub(crate) use whole::{WholeResult, WholeResults};

use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, VARY};
use hyper::{Response, StatusCode};
use serde::Deserialize;

use runtime::{Tasks, Workers};

use self::compression::{COMPRESSED_BYTES_MIN, Coding};
use self::pieces::Encoding;
use self::rows::Shape;
use super::response::{ResponseBody, typed};
use crate::Error;

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

/// What answers are encoded with.
pub(crate) struct Encoders {
    whole_results: Arc<WholeResults>,
    tasks: Tasks,
    workers: Arc<Workers>,
}

impl Encoders {
    /// Starts `threads` threads for large answers.
    pub(crate) fn start(
        threads: usize,
        whole_results: Arc<WholeResults>,
        tasks: Tasks,
    ) -> Result<Self, Error> {
        Ok(Self {
            whole_results,
            tasks,
            workers: Arc::new(Workers::start("encode", threads)?),
        })
    }

    /// Answers with `batches` in `format`, compressed with `coding` where that pays.
    ///
    /// Runs until the first rows are encoded or the result has ended, so that a fault up to there is an error with its own
    /// status. A later fault ends the body without a proper end. Formats that need the whole result first hold their share
    /// of memory until the response has left.
    pub(crate) async fn respond(
        &self,
        batches: Batches,
        format: Format,
        coding: Option<Coding>,
    ) -> Result<Response<ResponseBody>, Error> {
        let batches = batches
            .try_filter(|batch| std::future::ready(batch.num_rows() > 0))
            .boxed();
        let (body, coding) = match format {
            Format::Json => self.rows(batches, format, Shape::Json, coding).await?,
            Format::JsonLines => self.rows(batches, format, Shape::JsonLines, coding).await?,
            Format::Csv => self.rows(batches, format, Shape::Csv, coding).await?,
            Format::Pretty => {
                let mut held = self.whole_results.begin(format);
                let whole = collect(batches, &mut held).await?;
                let text = self.tasks.blocking(move || pretty::table(&whole)).await??;
                self.whole(text.into(), coding, held).await?
            }
            Format::Parquet => {
                let mut held = self.whole_results.begin(format);
                let file = parquet::file(batches, &mut held, &self.tasks).await?;
                self.whole(file, coding, held).await?
            }
        };
        let mut response = typed(StatusCode::OK, format.content_type(), body);
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_name(ACCEPT_ENCODING));
        if let Some(coding) = coding {
            headers.insert(CONTENT_ENCODING, coding.header());
        }
        Ok(response)
    }

    async fn rows(
        &self,
        batches: Batches,
        format: Format,
        shape: Shape,
        coding: Option<Coding>,
    ) -> Result<(ResponseBody, Option<Coding>), Error> {
        Encoding::new(batches, format, shape)
            .respond(coding, Arc::clone(&self.workers))
            .await
    }

    async fn whole(
        &self,
        bytes: Bytes,
        coding: Option<Coding>,
        mut held: WholeResult,
    ) -> Result<(ResponseBody, Option<Coding>), Error> {
        held.resize(bytes.len())?;
        let Some(coding) = coding.filter(|_| bytes.len() >= COMPRESSED_BYTES_MIN) else {
            return Ok((ResponseBody::full(bytes).holding(held), None));
        };
        // Both are there for a moment.
        held.resize(bytes.len().saturating_mul(2))?;
        let packed = self.tasks.blocking(move || coding.pack_whole(&bytes));
        let packed = packed.await??;
        held.resize(packed.len())?;
        Ok((ResponseBody::full(packed).holding(held), Some(coding)))
    }
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

fn cannot_encode(format: Format, fault: arrow::error::ArrowError) -> Error {
    Error::invalid(format!("the result cannot be encoded as {}", format.name())).with_source(fault)
}

#[cfg(test)]
mod tests;
