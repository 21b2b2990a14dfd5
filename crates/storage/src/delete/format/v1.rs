//! Version 1 of a list of deleted rows: series keys in order, each with stretches of time. Frozen once released.

use crate::delete::tombstone::SeriesTimes;
use crate::window::TimeSpan;
use crate::{Error, varint};

/// First bytes of every list.
pub const MAGIC: &[u8; 8] = b"GNOMDEL1";

/// Unpacked bytes that no list of ours comes near.
const UNPACKED_BYTES_MAX: usize = 1 << 30;

/// Packs series that are sorted by key, each with sorted, disjoint stretches.
///
/// For each: bytes shared with the key before, further bytes, those bytes, number of stretches; then for each stretch its
/// first time less the last one before it and its length, both wrapping, as LEB128.
pub fn encode(series: &[SeriesTimes]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut before: &[u8] = &[];
    for one in series {
        let key: &[u8] = &one.key;
        let shared = key.iter().zip(before).take_while(|(a, b)| a == b).count();
        varint::put(&mut bytes, shared as u64);
        varint::put(&mut bytes, (key.len() - shared) as u64);
        bytes.extend_from_slice(&key[shared..]);
        varint::put(&mut bytes, one.spans.len() as u64);
        let mut last = i64::MIN;
        for span in &one.spans {
            varint::put(&mut bytes, span.first.wrapping_sub(last) as u64);
            varint::put(&mut bytes, span.last.wrapping_sub(span.first) as u64);
            last = span.last;
        }
        before = key;
    }
    let packed = zstd::bulk::compress(&bytes, 3)
        .map_err(|cause| Error::internal("cannot compress a list of deletes").with_source(cause))?;
    Ok([MAGIC.as_slice(), &packed].concat())
}

/// Unpacks a list. Errors: `Corrupt`; never panics.
pub fn decode(bytes: &[u8]) -> Result<Vec<SeriesTimes>, Error> {
    let damaged = || Error::corrupt("the list of deletes is damaged");
    let packed = bytes.strip_prefix(MAGIC.as_slice()).ok_or_else(damaged)?;
    let length = zstd::zstd_safe::get_frame_content_size(packed)
        .ok()
        .flatten()
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|bytes| *bytes <= UNPACKED_BYTES_MAX)
        .ok_or_else(damaged)?;
    let bytes =
        zstd::bulk::decompress(packed, length).map_err(|cause| damaged().with_source(cause))?;
    let mut rest = bytes.as_slice();
    let mut series: Vec<SeriesTimes> = Vec::new();
    while !rest.is_empty() {
        let mut number = || varint::take(&mut rest).map_err(|_| damaged());
        let (shared, further) = (number()?, number()?);
        let before = series.last().map_or(&[][..], |one| &one.key);
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
        let mut number = || varint::take(&mut rest).map_err(|_| damaged());
        let count = number()?;
        let mut spans: Vec<TimeSpan> = Vec::new();
        let mut last = i64::MIN;
        for _ in 0..count {
            let first = last.wrapping_add(number()? as i64);
            let end = first.wrapping_add(number()? as i64);
            if end < first || (!spans.is_empty() && first <= last) {
                return Err(damaged());
            }
            spans.push(TimeSpan { first, last: end });
            last = end;
        }
        if series.last().is_some_and(|one| *one.key >= *key) {
            return Err(damaged());
        }
        series.push(SeriesTimes {
            key: key.into(),
            spans,
        });
    }
    Ok(series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_round_trips_and_damage_is_an_error() {
        let series: Vec<SeriesTimes> = (0..100)
            .map(|number: i64| SeriesTimes {
                key: format!("host_{number:05}").into_bytes().into(),
                spans: (0..number % 4)
                    .map(|at| TimeSpan {
                        first: at * 1000 - 1500,
                        last: at * 1000 - 1500 + number,
                    })
                    .collect(),
            })
            .chain([SeriesTimes {
                key: b"z".as_slice().into(),
                spans: vec![
                    TimeSpan {
                        first: i64::MIN,
                        last: i64::MIN,
                    },
                    TimeSpan {
                        first: 5,
                        last: i64::MAX,
                    },
                ],
            }])
            .collect();
        let bytes = encode(&series).expect("encode");
        assert_eq!(decode(&bytes).expect("decode"), series);
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length} bytes");
        }
        assert_eq!(
            decode(&encode(&[]).expect("encode")).expect("decode"),
            Vec::new()
        );
    }
}
