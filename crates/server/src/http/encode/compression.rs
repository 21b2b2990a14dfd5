//! Answers compressed on their way out: which coding a client offers to read, and the compressors.
//!
//! Both compress as fast as they can, not as small. What was compressed piece by piece can be read piece by piece. Not here:
//! bodies that clients compress (`http/body`), messages of Arrow Flight (`flight`).

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::GzEncoder;
use hyper::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

use super::accept::weighted;
use crate::Error;

/// The fastest level of each.
const GZIP_LEVEL: u32 = 1;
const ZSTD_LEVEL: i32 = 1;

/// A whole answer of fewer bytes is sent as it is.
pub(crate) const COMPRESSED_BYTES_MIN: usize = 1 << 10;

/// What an answer is compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Zstd,
}

impl Coding {
    /// The one to use for a request, by its `Accept-Encoding`; `None` when it offers nothing better than no compression.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let offers = headers.get_all(ACCEPT_ENCODING).iter();
        let offers: Vec<&str> = offers.filter_map(|value| value.to_str().ok()).collect();
        Self::preferred(&offers.join(","))
    }

    /// The coding of the highest weight; of equals zstd, then gzip. Whoever means any coding by `*` knows none for sure.
    fn preferred(offers: &str) -> Option<Self> {
        let mut plain = 0.0;
        let mut best = None;
        let mut highest = 0.0;
        for (name, weight) in weighted(offers) {
            let coding = match name.as_str() {
                "gzip" | "x-gzip" => Self::Gzip,
                "zstd" => Self::Zstd,
                "identity" => {
                    plain = weight;
                    continue;
                }
                _ => continue,
            };
            if weight > highest || (weight == highest && best.is_some() && coding == Self::Zstd) {
                highest = weight;
                best = Some(coding);
            }
        }
        best.filter(|_| highest >= plain)
    }

    pub(crate) fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }

    /// Compresses what is there as a whole.
    pub(crate) fn pack_whole(self, bytes: &[u8]) -> Result<Bytes, Error> {
        Packer::new(self)?.pack(bytes, true)
    }
}

/// Compresses one answer, piece by piece.
pub(super) enum Packer {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Packer {
    pub(super) fn new(coding: Coding) -> Result<Self, Error> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(
                Vec::new(),
                flate2::Compression::new(GZIP_LEVEL),
            )),
            Coding::Zstd => Self::Zstd(
                zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)
                    .map_err(cannot_compress)?,
            ),
        })
    }

    /// What the client can read all of `bytes` from, with what it got before.
    pub(super) fn pack(&mut self, bytes: &[u8], is_last: bool) -> Result<Bytes, Error> {
        self.write(bytes, is_last).map_err(cannot_compress)?;
        let packed = match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        };
        Ok(Bytes::from(std::mem::take(packed)))
    }

    fn write(&mut self, bytes: &[u8], is_last: bool) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => {
                encoder.write_all(bytes)?;
                match is_last {
                    true => encoder.try_finish(),
                    false => encoder.flush(),
                }
            }
            Self::Zstd(encoder) => {
                encoder.write_all(bytes)?;
                match is_last {
                    true => encoder.do_finish(),
                    false => encoder.flush(),
                }
            }
        }
    }
}

fn cannot_compress(fault: io::Error) -> Error {
    Error::internal("the result cannot be compressed").with_source(fault)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn offers_are_weighed() {
        for (offers, expected) in [
            ("", None),
            ("gzip", Some(Coding::Gzip)),
            ("GZIP", Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip)),
            ("gzip, deflate, br", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("zstd, gzip", Some(Coding::Zstd)),
            ("zstd;q=0.5, gzip;q=0.8", Some(Coding::Gzip)),
            ("zstd;q=0, gzip;q=0.1", Some(Coding::Gzip)),
            ("gzip;q=0", None),
            ("gzip;q=0.5, identity", None),
            ("identity;q=0.5, gzip", Some(Coding::Gzip)),
            ("identity", None),
            ("*", None),
            ("br, deflate", None),
        ] {
            assert_eq!(Coding::preferred(offers), expected, "{offers}");
        }
    }

    #[test]
    fn pieces_can_be_read_as_they_come() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let mut packer = Packer::new(coding).expect("a compressor");
            let mut sent = Vec::new();
            let mut text = String::new();
            for number in 0..50 {
                let piece = format!("piece {number} ").repeat(100);
                text.push_str(&piece);
                sent.extend_from_slice(&packer.pack(piece.as_bytes(), false).expect("packed"));
                let mut found = vec![0; text.len()];
                let read = match coding {
                    Coding::Gzip => flate2::read::GzDecoder::new(&sent[..]).read_exact(&mut found),
                    Coding::Zstd => zstd::stream::read::Decoder::new(&sent[..])
                        .expect("a decompressor")
                        .read_exact(&mut found),
                };
                read.expect("all so far");
                assert_eq!(found, text.as_bytes());
            }
            assert!(sent.len() * 10 < text.len(), "{}", sent.len());
            sent.extend_from_slice(&packer.pack(b"", true).expect("packed"));
            let mut found = Vec::new();
            match coding {
                Coding::Gzip => flate2::read::GzDecoder::new(&sent[..]).read_to_end(&mut found),
                Coding::Zstd => zstd::stream::read::Decoder::new(&sent[..])
                    .expect("a decompressor")
                    .read_to_end(&mut found),
            }
            .expect("a proper end");
            assert_eq!(found, text.as_bytes());
        }
    }
}
