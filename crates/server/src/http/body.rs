//! Request bodies: read whole, capped before and after decompression, and JSON out of them.
//!
//! Memory never exceeds the cap by more than one chunk, whatever `Content-Length` or a gzip stream promises.
//! Rules and texts: spec/http-api.md §1.2 and §1.3. Not here: what a body means (the handlers).

use std::fmt::Display;
use std::io::Read;

use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Body;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HeaderMap};
use serde::de::DeserializeOwned;

use runtime::Tasks;

use super::error::Failure;

/// Most that is set aside on the mere word of `Content-Length`.
const TRUSTED_LENGTH_BYTES: usize = 1 << 20;

/// How much of a body beyond the cap is read and thrown away, so that a client that is still sending gets to see the answer.
const DISCARDED_BYTES_MAX: usize = 64 << 20;

/// Compressed bodies above this leave the async threads for decompression.
const INLINE_GUNZIP_BYTES_MAX: usize = 16 << 10;

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
    let declared = body.size_hint().lower();
    if declared > limit_bytes as u64 && headers.contains_key(EXPECT) {
        // The client waits for permission to send: refuse instead.
        return Err(Failure::body_too_large(limit_bytes));
    }
    let received = receive(body, limit_bytes).await?;
    match encoding {
        Encoding::Identity => Ok(received),
        Encoding::Gzip if received.len() <= INLINE_GUNZIP_BYTES_MAX => {
            gunzip(&received, limit_bytes)
        }
        Encoding::Gzip => {
            tasks
                .blocking(move || gunzip(&received, limit_bytes))
                .await?
        }
    }
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

/// Decompresses all members of a gzip stream, and stops at the first byte over the limit.
fn gunzip(compressed: &[u8], limit_bytes: usize) -> Result<Bytes, Failure> {
    let stop_bytes = limit_bytes.saturating_add(1);
    let mut plain = Vec::with_capacity(compressed.len().saturating_mul(4).min(stop_bytes));
    MultiGzDecoder::new(compressed)
        .take(stop_bytes as u64)
        .read_to_end(&mut plain)
        .map_err(|fault| Failure::bad_request(format!("error decoding gzip stream: {fault}")))?;
    if plain.len() > limit_bytes {
        return Err(Failure::body_too_large(limit_bytes));
    }
    Ok(Bytes::from(plain))
}

#[cfg(test)]
mod tests;
