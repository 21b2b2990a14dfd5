//! Request bodies: read whole, capped before and after decompression, and JSON out of them.
//!
//! Memory never exceeds the cap by more than one chunk, whatever `Content-Length` or a gzip stream promises. What writes bring takes its
//! part of the ingest share first ([`read_admitted`]).
//! Rules and texts: spec/http-api.md §1.2 and §1.3. Not here: what a body means (the handlers).

use std::fmt::Display;
use std::future::Future;
use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HeaderMap};
use serde::de::DeserializeOwned;
use tokio::time::Sleep;

use runtime::Tasks;

use super::error::Failure;
use crate::admission::{Admission, Admitted};

/// Most that is set aside on the mere word of `Content-Length`.
const TRUSTED_LENGTH_BYTES: usize = 1 << 20;

/// How much of a body beyond the cap is read and thrown away, so that a client that is still sending gets to see the answer.
const DISCARDED_BYTES_MAX: usize = 64 << 20;

/// Longest time for that, when the request was refused before its body was read.
const DISCARD_WAIT_MAX: Duration = Duration::from_secs(5);

/// Compressed bodies above this leave the async threads for decompression.
const INLINE_GUNZIP_BYTES_MAX: usize = 16 << 10;

/// How many times larger a gzip body is taken to be before it is unpacked. Line protocol packs five to ten times; a body that turns
/// out larger waits once more, for as much as any may need.
const UNPACKED_GUESS: usize = 8;

/// Longest wait for the next bytes of a body that holds a part of the ingest share.
const STALL_MAX: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
enum Encoding {
    Identity,
    Gzip,
}

/// Reads a whole body of at most `limit_bytes`, decompressed as its `Content-Encoding` says.
pub(crate) async fn read<B>(
    headers: &HeaderMap,
    body: B,
    limit_bytes: usize,
    tasks: &Tasks,
) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let encoding = content_encoding(headers)?;
    refuse_before_sent(headers, &body, limit_bytes)?;
    let received = receive(body, limit_bytes).await?;
    match encoding {
        Encoding::Identity => Ok(received),
        Encoding::Gzip => unpack(&received, limit_bytes, tasks)
            .await?
            .ok_or_else(|| Failure::body_too_large(limit_bytes)),
    }
}

/// The same for a write: nothing is read before the request has its part of the ingest share, which comes with the text.
pub(crate) async fn read_admitted<B>(
    headers: &HeaderMap,
    body: B,
    limit_bytes: usize,
    tasks: &Tasks,
    admission: &Admission,
) -> Result<(Bytes, Admitted), Failure>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let encoding = content_encoding(headers)?;
    refuse_before_sent(headers, &body, limit_bytes)?;
    let guess_bytes = text_bytes_guessed(encoding, body.size_hint().exact(), limit_bytes);
    let mut admitted = match admission.admit(guess_bytes).await {
        Ok(admitted) => admitted,
        Err(refusal) => {
            if !headers.contains_key(EXPECT) {
                discard(body).await;
            }
            return Err(refusal.into());
        }
    };
    let received = receive(Unstalled::new(body), limit_bytes).await?;
    let text = match encoding {
        Encoding::Identity => received,
        Encoding::Gzip => match unpack(&received, guess_bytes, tasks).await? {
            Some(text) => text,
            None if guess_bytes >= limit_bytes => return Err(Failure::body_too_large(limit_bytes)),
            None => {
                // Whoever waits holds nothing, or two that wait for each other would wait for ever.
                drop(admitted);
                admitted = admission.admit(limit_bytes).await?;
                unpack(&received, limit_bytes, tasks)
                    .await?
                    .ok_or_else(|| Failure::body_too_large(limit_bytes))?
            }
        },
    };
    admission.settle(&mut admitted, text.len());
    Ok((text, admitted))
}

/// How large the text of a body will be at most, as far as its head tells.
fn text_bytes_guessed(encoding: Encoding, declared: Option<u64>, limit_bytes: usize) -> usize {
    let declared = declared.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    let guess = match (encoding, declared) {
        (_, None) => limit_bytes,
        (Encoding::Identity, Some(bytes)) => bytes,
        (Encoding::Gzip, Some(bytes)) => bytes.saturating_mul(UNPACKED_GUESS),
    };
    guess.min(limit_bytes)
}

/// A client that waits for permission to send a body that is too large gets a refusal instead.
fn refuse_before_sent<B: Body>(
    headers: &HeaderMap,
    body: &B,
    limit_bytes: usize,
) -> Result<(), Failure> {
    let declared = body.size_hint().lower();
    if declared > limit_bytes as u64 && headers.contains_key(EXPECT) {
        return Err(Failure::body_too_large(limit_bytes));
    }
    Ok(())
}

/// Decompresses a body; `None` when it is larger than `limit_bytes`.
async fn unpack(
    received: &Bytes,
    limit_bytes: usize,
    tasks: &Tasks,
) -> Result<Option<Bytes>, Failure> {
    if received.len() <= INLINE_GUNZIP_BYTES_MAX {
        return gunzip(received, limit_bytes);
    }
    let received = received.clone();
    tasks
        .blocking(move || gunzip(&received, limit_bytes))
        .await?
}

/// Fails unless the body is declared to be JSON.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), Failure> {
    let declared = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(is_json);
    if declared {
        Ok(())
    } else {
        Err(Failure::text(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unacceptable content-type, expected: application/json",
        ))
    }
}

/// Reads `T` out of JSON.
pub(crate) fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|fault| Failure::bad_request(format!("serde json error: {fault}")))
}

/// `application/json` or `application/…+json`, whatever parameters follow.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    match essence.strip_prefix("application/") {
        Some("json") => true,
        Some(subtype) => subtype.len() > "+json".len() && subtype.ends_with("+json"),
        None => false,
    }
}

fn content_encoding(headers: &HeaderMap) -> Result<Encoding, Failure> {
    let Some(value) = headers.get(CONTENT_ENCODING) else {
        return Ok(Encoding::Identity);
    };
    match value.to_str() {
        Ok("identity") => Ok(Encoding::Identity),
        Ok("gzip") => Ok(Encoding::Gzip),
        Ok(other) => Err(Failure::bad_request(format!(
            "unacceptable content-encoding: {other}"
        ))),
        Err(fault) => Err(Failure::bad_request(format!(
            "invalid content-encoding header: {fault}"
        ))),
    }
}

async fn receive<B>(mut body: B, limit_bytes: usize) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut received_bytes = 0_usize;
    // A body of one chunk is passed on as it came; only the second makes a copy necessary.
    let mut single = Bytes::new();
    let mut several = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|fault| {
            Failure::bad_request(format!("Failed to read request body: {fault}"))
        })?;
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        received_bytes = received_bytes.saturating_add(chunk.len());
        if received_bytes > limit_bytes {
            single = Bytes::new();
            several = BytesMut::new();
            if received_bytes - limit_bytes > DISCARDED_BYTES_MAX {
                break;
            }
        } else if single.is_empty() && several.is_empty() {
            single = chunk;
        } else {
            if several.is_empty() {
                let expected_bytes = declared.min(limit_bytes).min(TRUSTED_LENGTH_BYTES);
                several.reserve(expected_bytes.max(received_bytes));
                several.extend_from_slice(&std::mem::take(&mut single));
            }
            several.extend_from_slice(&chunk);
        }
    }
    if received_bytes > limit_bytes {
        Err(Failure::body_too_large(limit_bytes))
    } else if several.is_empty() {
        Ok(single)
    } else {
        Ok(several.freeze())
    }
}

/// Reads a body and throws it away: a client that is still sending would not see why it was refused.
async fn discard<B>(mut body: B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let discarding = async {
        let mut left_bytes = DISCARDED_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            match left_bytes.checked_sub(bytes) {
                Some(left) => left_bytes = left,
                None => return,
            }
        }
    };
    // Whoever sends too slowly for this misses the answer.
    let _ = tokio::time::timeout(DISCARD_WAIT_MAX, discarding).await;
}

/// A body that ends with an error when nothing of it has arrived for a while.
struct Unstalled<B> {
    body: B,
    patience: Pin<Box<Sleep>>,
}

impl<B> Unstalled<B> {
    fn new(body: B) -> Self {
        Self {
            body,
            patience: Box::pin(tokio::time::sleep(STALL_MAX)),
        }
    }
}

impl<B> Body for Unstalled<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    type Data = Bytes;
    type Error = String;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.patience.as_mut().set(tokio::time::sleep(STALL_MAX));
            return Poll::Ready(frame.map(|frame| frame.map_err(|fault| fault.to_string())));
        }
        match self.patience.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(format!(
                "nothing arrived for {} seconds",
                STALL_MAX.as_secs()
            )))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Decompresses all members of a gzip stream, and stops at the first byte over the limit: `None`.
fn gunzip(compressed: &[u8], limit_bytes: usize) -> Result<Option<Bytes>, Failure> {
    let stop_bytes = limit_bytes.saturating_add(1);
    let mut plain = Vec::with_capacity(compressed.len().saturating_mul(4).min(stop_bytes));
    MultiGzDecoder::new(compressed)
        .take(stop_bytes as u64)
        .read_to_end(&mut plain)
        .map_err(|fault| Failure::bad_request(format!("error decoding gzip stream: {fault}")))?;
    Ok((plain.len() <= limit_bytes).then(|| Bytes::from(plain)))
}

#[cfg(test)]
mod tests;
