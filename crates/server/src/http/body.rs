//! Request bodies: read whole, capped before and after decompression, and JSON out of them.
//!
//! Memory never exceeds the cap by more than one chunk, whatever `Content-Length` or a gzip stream promises. What writes bring takes its
//! part of the ingest share first ([`read_admitted`]).
//! Rules and texts: spec/http-api.md §1.2 and §1.3. Not here: what a body means (the handlers).

use std::fmt::Display;
use std::future::Future;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HeaderMap};
use serde::de::DeserializeOwned;
use tokio::time::Sleep;

use runtime::Tasks;

use super::error::Failure;
use crate::admission::{Admission, Admitted};

/// Most that is set aside on the mere word of `Content-Length`, where no part of the ingest share was taken for it.
const TRUSTED_LENGTH_BYTES: usize = 1 << 20;

/// How much of a body beyond the cap is read and thrown away, so that a client that is still sending gets to see the answer.
const DISCARDED_BYTES_MAX: usize = 64 << 20;

/// Longest time for that, when the request was refused before its body was read.
const DISCARD_WAIT_MAX: Duration = Duration::from_secs(5);

/// Compressed bodies above this leave the async threads for decompression.
const INLINE_GUNZIP_BYTES_MAX: usize = 16 << 10;

/// What a zstd stream may make its reader remember: 16 MiB, twice of what the strongest usual levels ask for.
const ZSTD_WINDOW_LOG_MAX: u32 = 24;

/// How many times larger a packed body is taken to be before it is unpacked. Line protocol packs five to ten times; a body that turns
/// out larger waits once more, for as much as any may need.
const UNPACKED_GUESS: usize = 8;

/// How fast a body has to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// In each such time at least [`PACE_BYTES_MIN`] have to come, or the rest.
    pub(crate) window: Duration,
    /// For the whole body.
    pub(crate) total: Duration,
}

/// A slow radio link brings more in half a minute.
const PACE_BYTES_MIN: usize = 4 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Zstd,
    Deflate,
}

/// Reads a whole body of at most `limit_bytes`, decompressed as its `Content-Encoding` says.
pub(crate) async fn read<B>(
    headers: &HeaderMap,
    body: B,
    limit_bytes: usize,
    pace: Pace,
    tasks: &Tasks,
) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let encoding = content_encoding(headers)?;
    let body = within(headers, body, limit_bytes).await?;
    let received = receive(Paced::new(body, pace), limit_bytes, TRUSTED_LENGTH_BYTES).await?;
    match encoding {
        Encoding::Identity => Ok(received),
        packed => unpack(packed, &received, limit_bytes, tasks)
            .await?
            .ok_or_else(|| Failure::body_too_large(limit_bytes)),
    }
}

/// The same for a write: nothing is read before the request has its part of the ingest share, which comes with the text.
pub(crate) async fn read_admitted<B>(
    headers: &HeaderMap,
    body: B,
    limit_bytes: usize,
    pace: Pace,
    tasks: &Tasks,
    admission: &Admission,
) -> Result<(Bytes, Admitted), Failure>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let encoding = content_encoding(headers)?;
    let body = within(headers, body, limit_bytes).await?;
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
    // What the body says of its length was admitted.
    let received = receive(Paced::new(body, pace), limit_bytes, guess_bytes).await?;
    let text = match encoding {
        Encoding::Identity => received,
        packed => match unpack(packed, &received, guess_bytes, tasks).await? {
            Some(text) => text,
            None if guess_bytes >= limit_bytes => return Err(Failure::body_too_large(limit_bytes)),
            None => {
                // Whoever waits holds nothing, or two that wait for each other would wait for ever.
                drop(admitted);
                admitted = admission.admit(limit_bytes).await?;
                unpack(packed, &received, limit_bytes, tasks)
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
        (_, Some(bytes)) => bytes.saturating_mul(UNPACKED_GUESS),
    };
    guess.min(limit_bytes)
}

/// Refuses a body that says of itself that it is too large: at once when the client waits for permission to send it, else
/// after reading past it for a while, so that the client gets to see the answer.
async fn within<B>(headers: &HeaderMap, body: B, limit_bytes: usize) -> Result<B, Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() <= limit_bytes as u64 {
        return Ok(body);
    }
    if !headers.contains_key(EXPECT) {
        discard(body).await;
    }
    Err(Failure::body_too_large(limit_bytes))
}

/// Decompresses a body; `None` when it is larger than `limit_bytes`.
async fn unpack(
    encoding: Encoding,
    received: &Bytes,
    limit_bytes: usize,
    tasks: &Tasks,
) -> Result<Option<Bytes>, Failure> {
    if received.len() <= INLINE_GUNZIP_BYTES_MAX {
        return decode(encoding, received, limit_bytes);
    }
    let received = received.clone();
    tasks
        .blocking(move || decode(encoding, &received, limit_bytes))
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
        Ok("gzip" | "x-gzip") => Ok(Encoding::Gzip),
        Ok("zstd") => Ok(Encoding::Zstd),
        Ok("deflate") => Ok(Encoding::Deflate),
        Ok(other) => Err(Failure::bad_request(format!(
            "unacceptable content-encoding: {other}"
        ))),
        Err(fault) => Err(Failure::bad_request(format!(
            "invalid content-encoding header: {fault}"
        ))),
    }
}

/// Reads a body whole. Room for it is taken at once, up to `trusted_bytes`, on the word of `Content-Length`.
async fn receive<B>(
    mut body: Paced<B>,
    limit_bytes: usize,
    trusted_bytes: usize,
) -> Result<Bytes, Failure>
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
        let Ok(chunk) = frame?.into_data() else {
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
                let expected_bytes = declared.min(limit_bytes).min(trusted_bytes);
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

/// A body that ends with an error when it comes too slowly: whoever sends a byte now and then holds a connection, and memory, for
/// as long as he likes.
struct Paced<B> {
    body: B,
    pace: Pace,
    window: Pin<Box<Sleep>>,
    total: Pin<Box<Sleep>>,
    in_window_bytes: usize,
}

impl<B> Paced<B> {
    fn new(body: B, pace: Pace) -> Self {
        Self {
            body,
            pace,
            window: Box::pin(tokio::time::sleep(pace.window)),
            total: Box::pin(tokio::time::sleep(pace.total)),
            in_window_bytes: 0,
        }
    }
}

/// Why a body is not there as a whole.
#[derive(Debug)]
enum Lost {
    Broken(String),
    Slow(String),
}

impl From<Lost> for Failure {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Broken(fault) => {
                Self::bad_request(format!("Failed to read request body: {fault}"))
            }
            Lost::Slow(what) => Self::body_too_slow(what),
        }
    }
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    type Data = Bytes;
    type Error = Lost;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Lost>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let bytes = match &frame {
                Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
                _ => 0,
            };
            self.in_window_bytes = self.in_window_bytes.saturating_add(bytes);
            return Poll::Ready(
                frame.map(|frame| frame.map_err(|fault| Lost::Broken(fault.to_string()))),
            );
        }
        while self.window.as_mut().poll(context).is_ready() {
            if self.in_window_bytes < PACE_BYTES_MIN {
                let what = format!(
                    "the request body comes too slowly: {} bytes in {} seconds",
                    self.in_window_bytes,
                    self.pace.window.as_secs_f64()
                );
                return Poll::Ready(Some(Err(Lost::Slow(what))));
            }
            self.in_window_bytes = 0;
            let window = tokio::time::sleep(self.pace.window);
            self.window.as_mut().set(window);
        }
        match self.total.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(Lost::Slow(format!(
                "the request body did not come within {} seconds",
                self.pace.total.as_secs_f64()
            ))))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Decompresses all of a body (all members of a gzip stream, all frames of zstd), and stops at the first byte over the limit: `None`.
fn decode(encoding: Encoding, packed: &[u8], limit_bytes: usize) -> Result<Option<Bytes>, Failure> {
    let refused = |name: &str, fault: io::Error| {
        Failure::bad_request(format!("error decoding {name} stream: {fault}"))
    };
    match encoding {
        Encoding::Identity => Ok(Some(Bytes::copy_from_slice(packed))),
        Encoding::Gzip => read_up_to(MultiGzDecoder::new(packed), packed.len(), limit_bytes)
            .map_err(|fault| refused("gzip", fault)),
        // By the letter deflate comes in the frame of zlib, which begins like this; many clients leave it out.
        Encoding::Deflate if packed.first().is_some_and(|byte| byte & 0x0f == 8) => {
            read_up_to(ZlibDecoder::new(packed), packed.len(), limit_bytes)
                .map_err(|fault| refused("deflate", fault))
        }
        Encoding::Deflate => read_up_to(DeflateDecoder::new(packed), packed.len(), limit_bytes)
            .map_err(|fault| refused("deflate", fault)),
        Encoding::Zstd => zstd::stream::read::Decoder::with_buffer(packed)
            .and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                read_up_to(decoder, packed.len(), limit_bytes)
            })
            .map_err(|fault| refused("zstd", fault)),
    }
}

fn read_up_to(
    plain: impl Read,
    packed_bytes: usize,
    limit_bytes: usize,
) -> io::Result<Option<Bytes>> {
    let stop_bytes = limit_bytes.saturating_add(1);
    let mut read = Vec::with_capacity(packed_bytes.saturating_mul(4).min(stop_bytes));
    plain.take(stop_bytes as u64).read_to_end(&mut read)?;
    Ok((read.len() <= limit_bytes).then(|| Bytes::from(read)))
}

#[cfg(test)]
mod tests;
