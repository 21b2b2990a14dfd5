//! The series index of a file: which series it holds, in order, and how many rows each has.
//!
//! A value of the footer's key-value metadata under [`KEY`]: base64 of zstd of the bytes below. Frozen with version 1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{Error, varint};

/// Key of the footer's key-value metadata.
pub const KEY: &str = "gnomon.series_index.v1";

/// Unpacked bytes that no file of ours comes near.
const UNPACKED_BYTES_MAX: usize = 1 << 30;

/// A series and its number of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// See [`crate::series::SeriesKey`].
    pub key: Vec<u8>,
    pub rows: u64,
}

/// Packs entries that are sorted by key.
///
/// For each: bytes shared with the key before, further bytes, those bytes, rows; numbers as LEB128.
pub fn encode<'a>(entries: impl Iterator<Item = (&'a [u8], u64)>) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let mut before: &[u8] = &[];
    for (key, rows) in entries {
        let shared = key.iter().zip(before).take_while(|(a, b)| a == b).count();
        varint::put(&mut bytes, shared as u64);
        varint::put(&mut bytes, (key.len() - shared) as u64);
        bytes.extend_from_slice(&key[shared..]);
        varint::put(&mut bytes, rows);
        before = key;
    }
    let packed = zstd::bulk::compress(&bytes, 3)
        .map_err(|cause| Error::internal("cannot compress a series index").with_source(cause))?;
    Ok(STANDARD.encode(packed))
}

/// Unpacks a series index. Errors: `Corrupt`; never panics.
pub fn decode(text: &str) -> Result<Vec<IndexEntry>, Error> {
    let damaged = || Error::corrupt("the series index is damaged");
    let packed = STANDARD
        .decode(text)
        .map_err(|cause| damaged().with_source(cause))?;
    let length = zstd::zstd_safe::get_frame_content_size(&packed)
        .ok()
        .flatten()
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|bytes| *bytes <= UNPACKED_BYTES_MAX)
        .ok_or_else(damaged)?;
    let bytes =
        zstd::bulk::decompress(&packed, length).map_err(|cause| damaged().with_source(cause))?;
    let mut rest = bytes.as_slice();
    let mut entries: Vec<IndexEntry> = Vec::new();
    while !rest.is_empty() {
        let shared = varint::take(&mut rest).map_err(|_| damaged())?;
        let further = varint::take(&mut rest).map_err(|_| damaged())?;
        let before = entries.last().map_or(&[][..], |entry| entry.key.as_slice());
        let shared = usize::try_from(shared)
            .ok()
            .and_then(|shared| before.get(..shared))
            .ok_or_else(damaged)?;
        let (further, after) = usize::try_from(further)
            .ok()
            .and_then(|further| rest.split_at_checked(further))
            .ok_or_else(damaged)?;
        rest = after;
        let key = [shared, further].concat();
        let rows = varint::take(&mut rest).map_err(|_| damaged())?;
        if rows == 0 || entries.last().is_some_and(|last| last.key >= key) {
            return Err(damaged());
        }
        entries.push(IndexEntry { key, rows });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_round_trips_and_damage_is_an_error() {
        let entries: Vec<IndexEntry> = (0..500)
            .map(|number| IndexEntry {
                key: format!("host_{number:05}").into_bytes(),
                rows: number % 7 + 1,
            })
            .collect();
        let text = encode(
            entries
                .iter()
                .map(|entry| (entry.key.as_slice(), entry.rows)),
        );
        let text = text.expect("encode");
        assert_eq!(decode(&text).expect("decode"), entries);
        assert!(text.len() < 4000, "{} bytes", text.len());
        assert_eq!(
            decode(&text[..text.len() / 2]).expect_err("damaged").kind(),
            crate::ErrorKind::Corrupt
        );
        assert!(decode("not base64!").is_err());
        let empty = encode(std::iter::empty()).expect("encode");
        assert_eq!(decode(&empty).expect("decode"), []);
    }
}
