//! How the values of a page are laid out, and reading them back: Parquet's encodings, as far as our files have them.
//!
//! Every length and count is checked against what is there, so that no bytes make a reader panic, and memory is taken for values that
//! a page has said to have. The counterparts that write: [`super::delta`], and the Parquet library. Not here: headers, unpacking and nulls ([`super::page`]).

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBufferBuilder, StringArray};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use crate::{Error, varint};

/// Numbers that are unpacked before they are looked at.
const NUMBERS_AT_ONCE: usize = 64;

/// Parts of a block of differences have this many values, or a multiple.
const PART_VALUES_UNIT: u64 = 32;

/// How values are laid out; the numbers are Parquet's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    Plain,
    Runs,
    Dictionary,
    Delta,
    DeltaLength,
    DeltaString,
    ByteStreamSplit,
}

impl Layout {
    /// Errors: `Corrupt` for one that our files do not have.
    pub fn of(encoding: u64) -> Result<Self, Error> {
        Ok(match encoding {
            0 => Self::Plain,
            // The first is an old name of the second.
            2 | 8 => Self::Dictionary,
            3 => Self::Runs,
            5 => Self::Delta,
            6 => Self::DeltaLength,
            7 => Self::DeltaString,
            9 => Self::ByteStreamSplit,
            other => return Err(Error::corrupt(format!("a page of encoding {other}"))),
        })
    }

    fn unfit(self) -> Error {
        Error::corrupt(format!("a page of encoding {self:?} in such a column"))
    }
}

/// So many values of 64 bits.
pub fn words(layout: Layout, body: &[u8], count: usize) -> Result<Vec<u64>, Error> {
    match layout {
        Layout::Plain => {
            let bytes = prefix(body, count.checked_mul(8))?;
            let words = bytes.as_chunks::<8>().0.iter();
            Ok(words.map(|word| u64::from_le_bytes(*word)).collect())
        }
        Layout::ByteStreamSplit => {
            let bytes = prefix(body, count.checked_mul(8))?;
            let mut words = vec![0; count];
            if count > 0 {
                for (place, bytes) in bytes.chunks_exact(count).enumerate() {
                    for (word, byte) in words.iter_mut().zip(bytes) {
                        *word |= u64::from(*byte) << (8 * place);
                    }
                }
            }
            Ok(words)
        }
        Layout::Delta => {
            let mut rest = body;
            take_differences(&mut rest, count)
        }
        other => Err(other.unfit()),
    }
}

/// So many bits.
pub fn bits(layout: Layout, body: &[u8], count: usize) -> Result<BooleanBuffer, Error> {
    match layout {
        Layout::Plain => {
            let bytes = prefix(body, Some(count.div_ceil(8)))?;
            Ok(BooleanBuffer::new(bytes.to_vec().into(), 0, count))
        }
        Layout::Runs => Ok(take_sized_bits(body, count)?.0),
        other => Err(other.unfit()),
    }
}

/// So many strings, one for each row that has one.
pub fn strings(
    layout: Layout,
    body: &[u8],
    count: usize,
    present: Option<NullBuffer>,
) -> Result<ArrayRef, Error> {
    let mut rest = body;
    let (lengths, bytes) = match layout {
        Layout::Plain => plain_strings(body, count)?,
        Layout::DeltaLength => {
            let lengths = take_differences(&mut rest, count)?;
            (lengths, rest.to_vec())
        }
        Layout::DeltaString => {
            let shared = take_differences(&mut rest, count)?;
            let further = take_differences(&mut rest, count)?;
            shared_strings(&shared, &further, rest)?
        }
        other => return Err(other.unfit()),
    };
    let rows = present.as_ref().map_or(count, NullBuffer::len);
    let mut ends: Vec<i32> = Vec::with_capacity(rows + 1);
    ends.push(0);
    let mut end = 0u64;
    let mut lengths = lengths.into_iter();
    for row in 0..rows {
        if present.as_ref().is_none_or(|present| present.is_valid(row)) {
            end = end.saturating_add(lengths.next().unwrap_or(0));
        }
        let known = usize::try_from(end).ok().filter(|end| *end <= bytes.len());
        let known = known.and_then(|end| i32::try_from(end).ok());
        ends.push(known.ok_or_else(ends_early)?);
    }
    let strings = StringArray::try_new(
        OffsetBuffer::new(ScalarBuffer::from(ends)),
        bytes.into(),
        present,
    );
    let strings =
        strings.map_err(|cause| Error::corrupt("a page of strings").with_source(cause))?;
    Ok(Arc::new(strings))
}

/// Lengths, and all strings one after the other.
fn plain_strings(body: &[u8], count: usize) -> Result<(Vec<u64>, Vec<u8>), Error> {
    let mut rest = body;
    let mut lengths = Vec::with_capacity(count.min(body.len() / 4));
    let mut bytes = Vec::with_capacity(body.len());
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(ends_early)?;
        let length = u32::from_le_bytes(*length);
        let (string, after) = after
            .split_at_checked(length as usize)
            .ok_or_else(ends_early)?;
        lengths.push(u64::from(length));
        bytes.extend_from_slice(string);
        rest = after;
    }
    Ok((lengths, bytes))
}

/// The same of strings of which each has its first bytes from the one before.
fn shared_strings(
    shared: &[u64],
    further: &[u64],
    mut rest: &[u8],
) -> Result<(Vec<u64>, Vec<u8>), Error> {
    let mut lengths = Vec::with_capacity(shared.len());
    let mut bytes: Vec<u8> = Vec::with_capacity(rest.len());
    let mut before = 0..0;
    for (shared, further) in shared.iter().zip(further) {
        let shared = usize::try_from(*shared).map_err(|_| ends_early())?;
        let further = usize::try_from(*further).map_err(|_| ends_early())?;
        // What a reader can address at most.
        if shared > before.len() || bytes.len() + shared > i32::MAX as usize {
            return Err(ends_early());
        }
        let (own, after) = rest.split_at_checked(further).ok_or_else(ends_early)?;
        rest = after;
        let start = bytes.len();
        bytes.extend_from_within(before.start..before.start + shared);
        bytes.extend_from_slice(own);
        before = start..bytes.len();
        lengths.push(before.len() as u64);
    }
    Ok((lengths, bytes))
}

/// Takes values by difference (DELTA_BINARY_PACKED) off the front; there must be `count`.
fn take_differences(rest: &mut &[u8], count: usize) -> Result<Vec<u64>, Error> {
    let damaged = || Error::corrupt("a page of differences is none");
    let block_values = varint::take(rest)?;
    let parts = varint::take(rest)?;
    let total = varint::take(rest)?;
    let first = unzigzag(varint::take(rest)?);
    if total != count as u64 {
        return Err(Error::corrupt(format!(
            "{total} values by difference, not {count}"
        )));
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let part_values = block_values.checked_div(parts).ok_or_else(damaged)?;
    let is_regular =
        part_values > 0 && part_values.is_multiple_of(PART_VALUES_UNIT) && part_values <= 1 << 20;
    let parts = usize::try_from(parts).map_err(|_| damaged())?;
    if !is_regular {
        return Err(damaged());
    }
    let part_values = part_values as usize;
    let mut values = vec![0; count];
    values[0] = first;
    let mut last = first;
    let mut known = 1;
    while known < count {
        let base = unzigzag(varint::take(rest)?);
        let (widths, after) = rest.split_at_checked(parts).ok_or_else(ends_early)?;
        *rest = after;
        for width in widths {
            let wanted = part_values.min(count - known);
            if wanted == 0 {
                // Parts without values are not there.
                break;
            }
            if *width > 64 {
                return Err(damaged());
            }
            let width = usize::from(*width);
            let bytes = part_values / 8 * width;
            let (packed, after) = rest.split_at_checked(bytes).ok_or_else(ends_early)?;
            *rest = after;
            let part = &mut values[known..known + wanted];
            unpack(packed, width, part);
            for value in part {
                last = last.wrapping_add(base).wrapping_add(*value);
                *value = last;
            }
            known += wanted;
        }
    }
    Ok(values)
}

fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

/// Fills `out` with numbers of `width` bits, 64 at most, lowest bits first; `packed` has them all.
fn unpack(packed: &[u8], width: usize, out: &mut [u64]) {
    match width {
        0 => out.fill(0),
        1..=7 => {
            // Eight numbers are as many bytes as one has bits.
            let mask = (1 << width) - 1;
            for (group, out) in out.chunks_mut(8).enumerate() {
                let word = word_at(packed, group * width);
                for (place, number) in out.iter_mut().enumerate() {
                    *number = (word >> (place * width)) & mask;
                }
            }
        }
        8 => {
            for (number, byte) in out.iter_mut().zip(packed) {
                *number = u64::from(*byte);
            }
        }
        16 => {
            for (number, bytes) in out.iter_mut().zip(packed.as_chunks::<2>().0) {
                *number = u64::from(u16::from_le_bytes(*bytes));
            }
        }
        9..=56 => {
            let mask = u64::MAX >> (64 - width);
            for (place, number) in out.iter_mut().enumerate() {
                let bit = place * width;
                *number = (word_at(packed, bit / 8) >> (bit % 8)) & mask;
            }
        }
        _ => {
            let mask = u64::MAX >> (64 - width);
            for (place, number) in out.iter_mut().enumerate() {
                let (start, shift) = (place * width / 8, place * width % 8);
                let low = word_at(packed, start) >> shift;
                let high = u128::from(word_at(packed, start + 8)) << (64 - shift);
                *number = (low | high as u64) & mask;
            }
        }
    }
}

/// Eight bytes from a place on, as many as there are of them.
#[inline]
fn word_at(packed: &[u8], start: usize) -> u64 {
    let there = packed.get(start..).unwrap_or_default();
    match there.first_chunk::<8>() {
        Some(all) => u64::from_le_bytes(*all),
        None => {
            let mut bytes = [0; 8];
            bytes[..there.len()].copy_from_slice(there);
            u64::from_le_bytes(bytes)
        }
    }
}

/// Which entry of a dictionary of `entries` each value is.
pub fn places(body: &[u8], count: usize, entries: usize) -> Result<Vec<u32>, Error> {
    let Some((width, rest)) = body.split_first() else {
        return match count {
            0 => Ok(Vec::new()),
            _ => Err(ends_early()),
        };
    };
    if *width > 32 {
        return Err(Error::corrupt(format!("places of {width} bits")));
    }
    let width = usize::from(*width);
    let mut places: Vec<u32> = Vec::with_capacity(count.min(body.len().saturating_mul(64)));
    let mut largest = 0;
    let mut runs = Runs { rest, width };
    while places.len() < count {
        let left = count - places.len();
        match runs.next()? {
            Run::Same(place, times) => {
                largest = largest.max(place);
                let times = times.min(left as u64) as usize;
                places.resize(places.len() + times, place as u32);
            }
            Run::Packed(packed, values) => {
                let values = values.min(left as u64) as usize;
                let mut numbers = [0; NUMBERS_AT_ONCE];
                // A whole number of bytes in any width.
                let parts = packed.chunks(NUMBERS_AT_ONCE / 8 * width.max(1));
                let mut left = values;
                for part in parts {
                    let numbers = &mut numbers[..left.min(NUMBERS_AT_ONCE)];
                    unpack(part, width, numbers);
                    largest = numbers.iter().copied().fold(largest, u64::max);
                    places.extend(numbers.iter().map(|place| *place as u32));
                    left -= numbers.len();
                }
                // Of no width, and no bytes.
                places.resize(places.len() + left, 0);
            }
        }
    }
    match largest < entries as u64 || count == 0 {
        true => Ok(places),
        false => Err(Error::corrupt(format!(
            "place {largest} in a dictionary of {entries}"
        ))),
    }
}

/// Takes so many bits in runs, with their length in four bytes before, off the front; also gives what follows.
pub fn take_sized_bits(body: &[u8], count: usize) -> Result<(BooleanBuffer, &[u8]), Error> {
    let (length, rest) = body.split_first_chunk::<4>().ok_or_else(ends_early)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (bytes, rest) = rest.split_at_checked(length).ok_or_else(ends_early)?;
    let mut bits = BooleanBufferBuilder::new(count);
    let mut runs = Runs {
        rest: bytes,
        width: 1,
    };
    while bits.len() < count {
        let left = count - bits.len();
        match runs.next()? {
            Run::Same(bit, times) => bits.append_n(times.min(left as u64) as usize, bit == 1),
            Run::Packed(packed, values) => {
                let values = values.min(left as u64) as usize;
                bits.append_packed_range(0..values, packed);
            }
        }
    }
    Ok((bits.finish(), rest))
}

/// Runs of equal numbers, and of numbers one by one.
struct Runs<'a> {
    rest: &'a [u8],
    /// Bits of a number.
    width: usize,
}

enum Run<'a> {
    /// So often; never 0 times.
    Same(u64, u64),
    /// So many of them; never 0.
    Packed(&'a [u8], u64),
}

impl<'a> Runs<'a> {
    fn next(&mut self) -> Result<Run<'a>, Error> {
        let head = varint::take(&mut self.rest)?;
        let times = head >> 1;
        if times == 0 {
            return Err(Error::corrupt("a run of nothing"));
        }
        if head & 1 == 0 {
            let (value, rest) = self
                .rest
                .split_at_checked(self.width.div_ceil(8))
                .ok_or_else(ends_early)?;
            self.rest = rest;
            let mut bytes = [0; 8];
            bytes[..value.len()].copy_from_slice(value);
            return Ok(Run::Same(u64::from_le_bytes(bytes), times));
        }
        // Groups of eight numbers.
        let whole = times
            .checked_mul(self.width as u64)
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(ends_early)?;
        let (packed, rest) = self.rest.split_at_checked(whole).ok_or_else(ends_early)?;
        self.rest = rest;
        // Of no width there may be any number.
        Ok(Run::Packed(packed, times.saturating_mul(8)))
    }
}

fn prefix(body: &[u8], bytes: Option<usize>) -> Result<&[u8], Error> {
    bytes
        .and_then(|bytes| body.get(..bytes))
        .ok_or_else(ends_early)
}

fn ends_early() -> Error {
    Error::corrupt("a page ends early")
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::super::delta::{self, Widths};
    use super::*;

    fn differences(values: &[i64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        delta::encode(values, Widths::Least, &mut bytes);
        bytes
    }

    fn text(strings: &ArrayRef) -> Vec<Option<&str>> {
        strings.as_string::<i32>().iter().collect()
    }

    #[test]
    fn words_are_read_from_every_layout() {
        let values = [1u64, u64::MAX, 1 << 40, 0];
        let plain: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        assert_eq!(words(Layout::Plain, &plain, 4).expect("read"), values);
        let split: Vec<u8> = (0..8)
            .flat_map(|place| values.map(|value| value.to_le_bytes()[place]))
            .collect();
        assert_eq!(
            words(Layout::ByteStreamSplit, &split, 4).expect("read"),
            values
        );
        let by_difference = differences(&values.map(|value| value as i64));
        assert_eq!(
            words(Layout::Delta, &by_difference, 4).expect("read"),
            values
        );
        for layout in [Layout::Plain, Layout::ByteStreamSplit, Layout::Delta] {
            assert!(
                words(layout, &differences(&[]), 0)
                    .expect("read")
                    .is_empty()
            );
            assert!(
                words(layout, &plain[..31], 4).is_err(),
                "{layout:?} ends early"
            );
        }
        assert!(words(Layout::DeltaLength, &plain, 4).is_err());
        assert!(
            words(Layout::Delta, &by_difference, 3).is_err(),
            "another count"
        );
    }

    #[test]
    fn numbers_of_every_width_are_unpacked() {
        for width in 0..=64usize {
            let mask = if width == 0 {
                0
            } else {
                u64::MAX >> (64 - width)
            };
            let numbers: Vec<u64> = (0..40u64)
                .map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask)
                .collect();
            let mut packed = vec![0u8; (40 * width).div_ceil(8)];
            for bit in 0..40 * width {
                let is_set = numbers[bit / width] >> (bit % width) & 1;
                packed[bit / 8] |= (is_set as u8) << (bit % 8);
            }
            let mut read = [7; 37];
            unpack(&packed, width, &mut read);
            assert_eq!(read, numbers[..37], "{width} bits");
        }
    }

    #[test]
    fn places_are_in_the_dictionary() {
        // Two bits each: three times 2, then eight one by one.
        let body = [2, 3 << 1, 2, 1 << 1 | 1, 0b1110_0100, 0b1110_0100];
        let expected = [2, 2, 2, 0, 1, 2, 3, 0, 1, 2];
        assert_eq!(places(&body, 10, 4).expect("read"), expected);
        assert!(places(&body, 10, 3).is_err(), "there is no fourth");
        assert!(places(&body, 12, 4).is_err(), "there are eleven");
        assert!(places(&[2, 0], 1, 4).is_err(), "a run of nothing");
        let endless = [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(places(&endless, 3, 1).expect("read"), [0; 3]);
        assert!(places(&[], 0, 0).expect("none").is_empty());
    }

    #[test]
    fn strings_are_read_from_every_layout() {
        let strings_of = |layout, body: &[u8], present| strings(layout, body, 3, present);
        let plain = b"\x02\0\0\0ab\0\0\0\0\x03\0\0\0abc";
        let read = strings_of(Layout::Plain, plain, None).expect("read");
        assert_eq!(text(&read), [Some("ab"), Some(""), Some("abc")]);
        let mut lengths = differences(&[2, 0, 3]);
        lengths.extend(b"ababc");
        let present = NullBuffer::from(vec![false, true, true, false, true]);
        let read = strings_of(Layout::DeltaLength, &lengths, Some(present)).expect("read");
        assert_eq!(text(&read), [None, Some("ab"), Some(""), None, Some("abc")]);
        let mut shared = differences(&[0, 2, 1]);
        shared.extend(differences(&[2, 1, 0]));
        shared.extend(b"abc");
        let read = strings_of(Layout::DeltaString, &shared, None).expect("read");
        assert_eq!(text(&read), [Some("ab"), Some("abc"), Some("a")]);

        assert!(strings_of(Layout::DeltaLength, &lengths[..lengths.len() - 1], None).is_err());
        let mut beyond = differences(&[1, 0, 0]);
        beyond.extend(differences(&[2, 1, 0]));
        assert!(
            strings_of(Layout::DeltaString, &beyond, None).is_err(),
            "shares with nothing"
        );
        let negative = differences(&[2, -1, 3]);
        assert!(strings_of(Layout::DeltaLength, &negative, None).is_err());
        let no_text = b"\x01\0\0\0\xff\0\0\0\0\0\0\0\0";
        assert!(strings_of(Layout::Plain, no_text, None).is_err());
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_but_nothing_else() {
        let mut bodies: Vec<Vec<u8>> = vec![
            differences(&(0..300).map(|row| row * row).collect::<Vec<i64>>()),
            vec![2, 3 << 1, 2, 1 << 1 | 1, 0b1110_0100, 0b1110_0100],
            b"\x03\0\0\0\x03\x55\x10rest".to_vec(),
        ];
        bodies[0].extend(b"some strings and more of them");
        for body in &bodies {
            for at in 0..body.len() * 3 {
                let mut hit = body.clone();
                match at / body.len() {
                    0 => hit.truncate(at),
                    1 => hit[at % body.len()] ^= 0xff,
                    _ => hit[at % body.len()] = 0,
                }
                for layout in (0..10).filter_map(|number| Layout::of(number).ok()) {
                    for count in [0, 1, 7, 300] {
                        let _ = words(layout, &hit, count);
                        let _ = bits(layout, &hit, count);
                        let _ = strings(layout, &hit, count, None);
                        let _ = places(&hit, count, 4);
                        let _ = take_sized_bits(&hit, count);
                    }
                }
            }
        }
    }
}
