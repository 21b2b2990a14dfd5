//! The series index of a file: which series it holds, in order, how many rows each has, and when they begin and end.
//!
//! Lies between the last row group and Parquet's own footer; the footer's key-value metadata says where ([`KEY`]). One zstd
//! frame; bytes: docs/formats/parquet.md. Decoded without a copy of the keys: [`SeriesIndex`] builds one at a time.

use crate::{Error, varint};

/// Key of the footer's key-value metadata; its value is a [`super::read::Section`].
pub const KEY: &str = "gnomon.series_index.v2";

/// Unpacked bytes that no file of ours comes near.
const UNPACKED_BYTES_MAX: usize = 1 << 30;

/// Flag: times follow.
const TIMES: u64 = 1;

/// Rows per series, on average, from which times are worth their bytes: below, they repeat much of the time column.
pub const ROWS_PER_SERIES_LEAST: u64 = 16;

/// The rows of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesRows {
    pub rows: u64,
    /// Of the first and the last row, nanoseconds.
    pub first_time: i64,
    pub last_time: i64,
}

/// A series and its number of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// See [`crate::series::SeriesKey`].
    pub key: Vec<u8>,
    pub rows: u64,
}

/// Packs series that are sorted by key.
pub fn encode<'a>(
    series: impl Iterator<Item = (&'a [u8], SeriesRows)> + Clone,
) -> Result<Vec<u8>, Error> {
    let mut keys = Vec::new();
    let mut before: &[u8] = &[];
    let mut count = 0u64;
    let mut rows = 0u64;
    for (key, of_key) in series.clone() {
        let shared = key.iter().zip(before).take_while(|(a, b)| a == b).count();
        varint::put(&mut keys, shared as u64);
        varint::put(&mut keys, (key.len() - shared) as u64);
        keys.extend_from_slice(&key[shared..]);
        before = key;
        count += 1;
        rows = rows.saturating_add(of_key.rows);
    }
    let times = count > 0 && rows / count >= ROWS_PER_SERIES_LEAST;
    let mut bytes = Vec::with_capacity(keys.len() + 32);
    varint::put(&mut bytes, count);
    varint::put(&mut bytes, if times { TIMES } else { 0 });
    varint::put(&mut bytes, keys.len() as u64);
    bytes.append(&mut keys);
    for (_, of_key) in series.clone() {
        varint::put(&mut bytes, of_key.rows);
    }
    if times {
        let mut before = 0;
        for (_, of_key) in series.clone() {
            // Differences of any two times fit when they wrap.
            let step = of_key.first_time.wrapping_sub(before);
            varint::put(&mut bytes, ((step << 1) ^ (step >> 63)) as u64);
            before = of_key.first_time;
        }
        for (_, of_key) in series {
            let length = of_key.last_time.wrapping_sub(of_key.first_time);
            varint::put(&mut bytes, length as u64);
        }
    }
    zstd::bulk::compress(&bytes, 3)
        .map_err(|cause| Error::internal("cannot compress a series index").with_source(cause))
}

/// A series index unpacked, read one series after the other.
#[derive(Debug)]
pub struct SeriesIndex {
    bytes: Vec<u8>,
    series_left: u64,
    /// Where the next key, number of rows, first time and length are; the last two only with `times`.
    at: [usize; 4],
    ends: [usize; 4],
    times: bool,
    key: Vec<u8>,
    begun: bool,
    first_time: i64,
}

impl SeriesIndex {
    /// Unpacks an index. Errors: `Corrupt`; never panics.
    pub fn decode(packed: &[u8]) -> Result<Self, Error> {
        let length = zstd::zstd_safe::get_frame_content_size(packed)
            .ok()
            .flatten()
            .and_then(|bytes| usize::try_from(bytes).ok())
            .filter(|bytes| *bytes <= UNPACKED_BYTES_MAX)
            .ok_or_else(damaged)?;
        let bytes =
            zstd::bulk::decompress(packed, length).map_err(|cause| damaged().with_source(cause))?;
        let mut rest = bytes.as_slice();
        let series = take(&mut rest)?;
        let flags = take(&mut rest)?;
        let keys = usize::try_from(take(&mut rest)?).map_err(|_| damaged())?;
        if flags & !TIMES != 0 || keys > rest.len() {
            return Err(damaged());
        }
        let times = flags & TIMES != 0;
        let keys_start = bytes.len() - rest.len();
        let rows_start = keys_start + keys;
        let firsts_start = after_numbers(&bytes, rows_start, series)?;
        let (lengths_start, end) = if times {
            let lengths_start = after_numbers(&bytes, firsts_start, series)?;
            (lengths_start, after_numbers(&bytes, lengths_start, series)?)
        } else {
            (firsts_start, firsts_start)
        };
        if end != bytes.len() {
            return Err(damaged());
        }
        Ok(Self {
            series_left: series,
            at: [keys_start, rows_start, firsts_start, lengths_start],
            ends: [rows_start, firsts_start, lengths_start, end],
            times,
            key: Vec::new(),
            begun: false,
            first_time: 0,
            bytes,
        })
    }

    /// Series not read yet. At most as many as the index has bytes.
    pub fn series_left(&self) -> usize {
        self.series_left as usize
    }

    /// Whether the times are known; without, [`SeriesRows`] has all of time.
    pub fn has_times(&self) -> bool {
        self.times
    }

    /// The next series. Errors: `Corrupt` when keys do not ascend, or one has no rows.
    pub fn next_series(&mut self) -> Result<Option<(&[u8], SeriesRows)>, Error> {
        if self.series_left == 0 {
            let all_read = self.at[0] == self.ends[0];
            return if all_read { Ok(None) } else { Err(damaged()) };
        }
        self.series_left -= 1;
        let mut keys = self
            .bytes
            .get(self.at[0]..self.ends[0])
            .ok_or_else(damaged)?;
        let shared = usize::try_from(take(&mut keys)?).map_err(|_| damaged())?;
        let further = usize::try_from(take(&mut keys)?).map_err(|_| damaged())?;
        let (further, after) = keys.split_at_checked(further).ok_or_else(damaged)?;
        let rest = self.key.get(shared..).ok_or_else(damaged)?;
        // They share all of `shared` and differ behind it, so that is where their order shows.
        if self.begun && further <= rest {
            return Err(damaged());
        }
        self.begun = true;
        self.key.truncate(shared);
        self.key.extend_from_slice(further);
        self.at[0] = self.ends[0] - after.len();
        let rows = self.number(1)?;
        let (first_time, last_time) = if self.times {
            let step = self.number(2)?;
            let step = (step >> 1) as i64 ^ -((step & 1) as i64);
            self.first_time = self.first_time.wrapping_add(step);
            let length = self.number(3)?;
            let last = i128::from(self.first_time) + i128::from(length);
            let last = i64::try_from(last).map_err(|_| damaged())?;
            (self.first_time, last)
        } else {
            (i64::MIN, i64::MAX)
        };
        if rows == 0 {
            return Err(damaged());
        }
        let of_key = SeriesRows {
            rows,
            first_time,
            last_time,
        };
        Ok(Some((&self.key, of_key)))
    }

    /// All series that are left, for those who need them side by side. Errors: see [`SeriesIndex::next_series`].
    pub fn entries(mut self) -> Result<Vec<IndexEntry>, Error> {
        let mut entries = Vec::with_capacity(self.series_left());
        while let Some((key, of_key)) = self.next_series()? {
            entries.push(IndexEntry {
                key: key.to_vec(),
                rows: of_key.rows,
            });
        }
        Ok(entries)
    }

    fn number(&mut self, part: usize) -> Result<u64, Error> {
        let mut rest = self
            .bytes
            .get(self.at[part]..self.ends[part])
            .ok_or_else(damaged)?;
        let number = take(&mut rest)?;
        self.at[part] = self.ends[part] - rest.len();
        Ok(number)
    }
}

/// Where `count` numbers that begin at `start` end.
fn after_numbers(bytes: &[u8], start: usize, count: u64) -> Result<usize, Error> {
    let rest = bytes.get(start..).ok_or_else(damaged)?;
    if count == 0 {
        return Ok(start);
    }
    let last = usize::try_from(count - 1).map_err(|_| damaged())?;
    let mut ends = rest.iter().enumerate().filter(|(_, byte)| **byte < 0x80);
    let (at, _) = ends.nth(last).ok_or_else(damaged)?;
    Ok(start + at + 1)
}

fn take(rest: &mut &[u8]) -> Result<u64, Error> {
    varint::take(rest).map_err(|_| damaged())
}

fn damaged() -> Error {
    Error::corrupt("the series index is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Series = Vec<(Vec<u8>, SeriesRows)>;

    fn pack(series: &Series) -> Vec<u8> {
        encode(series.iter().map(|(key, rows)| (key.as_slice(), *rows))).expect("encode")
    }

    fn unpack(packed: &[u8]) -> Result<Series, Error> {
        let mut index = SeriesIndex::decode(packed)?;
        let mut series = Vec::new();
        while let Some((key, rows)) = index.next_series()? {
            series.push((key.to_vec(), rows));
        }
        Ok(series)
    }

    fn many(rows: u64) -> Series {
        let series = |number: u64| {
            let of_key = SeriesRows {
                rows: rows + number % 7,
                first_time: 1_600_000_000_000_000_000 - number as i64 % 3,
                last_time: 1_600_000_000_000_000_000 + number as i64,
            };
            (format!("host_{number:05}").into_bytes(), of_key)
        };
        (0..500).map(series).collect()
    }

    #[test]
    fn an_index_round_trips_and_is_small() {
        let series = many(20);
        let packed = pack(&series);
        assert_eq!(unpack(&packed).expect("unpack"), series);
        assert!(packed.len() < 3000, "{} bytes", packed.len());
        let extreme = |first_time, last_time| SeriesRows {
            rows: u64::MAX / 2,
            first_time,
            last_time,
        };
        let series = vec![
            (Vec::new(), extreme(i64::MIN, i64::MAX)),
            (vec![0], extreme(i64::MAX, i64::MAX)),
            (vec![0, 0], extreme(i64::MIN, i64::MIN)),
        ];
        assert_eq!(unpack(&pack(&series)).expect("unpack")[..2], series[..2]);
        assert_eq!(unpack(&pack(&Vec::new())).expect("unpack"), Vec::new());
    }

    #[test]
    fn times_are_left_out_when_series_are_short() {
        let packed = pack(&many(1));
        assert!(!SeriesIndex::decode(&packed).expect("decode").has_times());
        let (_, first) = &unpack(&packed).expect("unpack")[0];
        let all_of_time = SeriesRows {
            rows: 1,
            first_time: i64::MIN,
            last_time: i64::MAX,
        };
        assert_eq!(*first, all_of_time);
    }

    #[test]
    fn damage_is_an_error() {
        let plain = zstd::bulk::decompress(&pack(&many(20)), 1 << 20).expect("unpack");
        let again = |bytes: &[u8]| zstd::bulk::compress(bytes, 1).expect("compress");
        for length in 0..plain.len() {
            assert!(unpack(&again(&plain[..length])).is_err(), "{length} bytes");
        }
        let mut longer = plain.clone();
        longer.push(1);
        assert!(unpack(&again(&longer)).is_err());
        for packed in [&b""[..], b"no zstd at all", &[0x28, 0xb5, 0x2f, 0xfd]] {
            let fault = unpack(packed).expect_err("damage");
            assert_eq!(fault.kind(), crate::ErrorKind::Corrupt);
        }
        // Two series with the same key; one without rows.
        assert!(unpack(&again(&[2, 0, 6, 0, 1, b'a', 0, 1, b'a', 1, 1])).is_err());
        assert!(unpack(&again(&[1, 0, 3, 0, 1, b'a', 0])).is_err());
        assert!(unpack(&again(&[1, 0, 3, 0, 1, b'a', 1])).is_ok());
    }
}
