//! Messages of an answer compressed with gzip, for clients that offer to read that and nothing better.
//!
//! The library would do it at a level that takes many times as long as the query; this is the fastest one, and leaves small messages as they
//! are. Not here: zstd, which the library does, and compression inside of batches (`rows`).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use hyper::header::HeaderMap;

use super::headers::MessageCompression;
use crate::Error;
use crate::http::encode::compression::{COMPRESSED_BYTES_MIN, Coding};

/// What a client may be answered with, names separated by commas.
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// Before each message: whether it is compressed, and its length in four bytes.
const PREFIX_BYTES: usize = 5;

impl MessageCompression {
    /// Whether a call with these headers is answered with gzip.
    pub(super) fn is_gzip(self, headers: &HeaderMap) -> bool {
        let offers = |coding: &str| {
            let offered = headers.get_all(ACCEPT_ENCODING).iter();
            let mut offered = offered.filter_map(|names| names.to_str().ok());
            offered.any(|names| names.split(',').any(|name| name.trim() == coding))
        };
        match self {
            Self::Offered => offers("gzip") && !offers("zstd"),
            Self::OnlyGzip => offers("gzip"),
            Self::OnlyZstd | Self::Nothing => false,
        }
    }
}

/// The messages of one answer.
#[derive(Debug, Default)]
pub(super) struct GzipMessages {
    /// The beginning of a message, the rest of which is to come.
    begun: BytesMut,
}

impl GzipMessages {
    /// The same messages, compressed where that is worth it.
    pub(super) fn pack(&mut self, frame: &[u8]) -> Result<Bytes, Error> {
        self.begun.extend_from_slice(frame);
        let mut packed = BytesMut::with_capacity(frame.len() / 2);
        while let Some(prefix) = self.begun.first_chunk::<PREFIX_BYTES>() {
            let [flag, length @ ..] = *prefix;
            let length = u32::from_be_bytes(length) as usize;
            if self.begun.len() - PREFIX_BYTES < length {
                break;
            }
            self.begun.advance(PREFIX_BYTES);
            let message = self.begun.split_to(length);
            if flag == 0 && length >= COMPRESSED_BYTES_MIN {
                put(&mut packed, 1, &Coding::Gzip.pack_whole(&message)?);
            } else {
                put(&mut packed, flag, &message);
            }
        }
        Ok(packed.freeze())
    }
}

fn put(out: &mut BytesMut, flag: u8, message: &[u8]) {
    out.put_u8(flag);
    out.put_u32(message.len() as u32);
    out.put_slice(message);
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn large_messages_are_compressed_wherever_frames_end() {
        let large = vec![7; 5000];
        let mut plain = BytesMut::new();
        for message in [&b"small"[..], &large, b"", &large[..1024]] {
            put(&mut plain, 0, message);
        }
        for cut in [1, 4, 9, 12, 600, plain.len()] {
            let mut messages = GzipMessages::default();
            let mut packed = BytesMut::new();
            for frame in plain.chunks(cut) {
                packed.extend(messages.pack(frame).expect("packs"));
            }
            assert!(packed.len() < 300, "{} bytes", packed.len());
            let mut rest = &packed[..];
            let mut read = BytesMut::new();
            while rest.has_remaining() {
                let flag = rest.get_u8();
                let length = rest.get_u32() as usize;
                let (message, after) = rest.split_at(length);
                rest = after;
                let mut unpacked = Vec::new();
                match flag {
                    0 => unpacked.extend_from_slice(message),
                    _ => drop(GzDecoder::new(message).read_to_end(&mut unpacked)),
                }
                put(&mut read, 0, &unpacked);
            }
            assert_eq!(read, plain, "cut into {cut} bytes");
        }
    }

    #[test]
    fn gzip_is_for_who_offers_nothing_better_or_asks_for_it() {
        let is_gzip = |compression: MessageCompression, offered: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, offered.parse().expect("text"));
            compression.is_gzip(&headers)
        };
        assert!(is_gzip(
            MessageCompression::Offered,
            "identity, deflate, gzip"
        ));
        assert!(!is_gzip(MessageCompression::Offered, "gzip,zstd"));
        assert!(!is_gzip(MessageCompression::Offered, "identity"));
        assert!(is_gzip(MessageCompression::OnlyGzip, "gzip,zstd"));
        assert!(!is_gzip(MessageCompression::OnlyGzip, "zstd"));
        assert!(!is_gzip(MessageCompression::OnlyZstd, "gzip"));
        assert!(!is_gzip(MessageCompression::Nothing, "gzip"));
    }
}
