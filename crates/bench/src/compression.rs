//! How the body of a write is compressed on its way.

use crate::Error;
use bytes::Bytes;
use std::fmt;
use std::io::Write;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Compression {
    #[default]
    None,
    Gzip,
    Zstd,
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err(format!(
                "there is no compression {text:?}: none, gzip, zstd"
            )),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.content_encoding().unwrap_or("none"))
    }
}

impl Compression {
    /// As the header says it; `None` without compression.
    pub(crate) fn content_encoding(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// The body as it is sent, at the level of each method that senders of metrics use.
    pub(crate) fn compress(self, body: Bytes) -> Result<Bytes, Error> {
        match self {
            Self::None => Ok(body),
            Self::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&body)?;
                Ok(encoder.finish()?.into())
            }
            Self::Zstd => Ok(zstd::bulk::compress(&body, zstd::DEFAULT_COMPRESSION_LEVEL)?.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Compression;
    use bytes::Bytes;
    use std::io::Read;

    #[test]
    fn bodies_come_out_as_they_went_in() {
        let body = Bytes::from("cpu usage=1 1\n".repeat(100));
        let packed =
            |compression: Compression| compression.compress(body.clone()).expect("it packs");
        assert_eq!(packed(Compression::None), body);
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&packed(Compression::Gzip)[..])
            .read_to_end(&mut text)
            .expect("gzip");
        assert_eq!(text, body);
        let text = zstd::decode_all(&packed(Compression::Zstd)[..]).expect("zstd");
        assert_eq!(text, body);
        assert!("lz4".parse::<Compression>().unwrap_err().contains("lz4"));
    }
}
