//! Timestamps in nanoseconds, without a zone: `2065-01-07T17:28:51`, and the fraction in 3, 6 or 9 digits when there is one.
//!
//! The date is worked out again only when the day changes. Not here: other units and zones, which arrow renders.

use chrono::{DateTime, Datelike};

use super::number::pair;
use super::text::{BLOCK_BYTES, Text};

const NS_PER_SECOND: i64 = 1_000_000_000;

const SECONDS_PER_DAY: i64 = 86_400;

/// Bytes up to the second.
const WITHOUT_FRACTION_BYTES: usize = 19;

/// Writes timestamps, with or without quotes.
#[derive(Clone, Debug)]
pub(super) struct Timestamps {
    /// The day that `block` begins with, counted from 1970.
    day: i64,
    block: [u8; BLOCK_BYTES],
    /// 1 after an opening quote, else 0.
    begin: usize,
}

impl Timestamps {
    pub(super) fn new(quoted: bool) -> Self {
        let begin = usize::from(quoted);
        let mut block = [b'"'; BLOCK_BYTES];
        block[begin..begin + WITHOUT_FRACTION_BYTES].copy_from_slice(b"1970-01-01T00:00:00");
        Self {
            day: 0,
            block,
            begin,
        }
    }

    #[inline]
    pub(super) fn push(&mut self, ns: i64, text: &mut Text) {
        let second = ns.div_euclid(NS_PER_SECOND);
        let fraction_ns = ns.rem_euclid(NS_PER_SECOND) as u32;
        let day = second.div_euclid(SECONDS_PER_DAY);
        if day != self.day {
            self.turn_to(day);
        }
        let second_of_day = second.rem_euclid(SECONDS_PER_DAY) as u32;
        let minute_of_day = second_of_day / 60;
        let begin = self.begin;
        text.push_with(|place| {
            *place = self.block;
            put(place, begin + 11, minute_of_day / 60);
            put(place, begin + 14, minute_of_day % 60);
            put(place, begin + 17, second_of_day % 60);
            let end = begin + WITHOUT_FRACTION_BYTES + put_fraction(place, begin, fraction_ns);
            place[end] = b'"';
            end + begin
        });
    }

    #[cold]
    fn turn_to(&mut self, day: i64) {
        let Some(date) = DateTime::from_timestamp(day * SECONDS_PER_DAY, 0) else {
            unreachable!("every number of nanoseconds lies between the years 1677 and 2262");
        };
        let year = date.year().unsigned_abs();
        let begin = self.begin;
        put(&mut self.block, begin, year / 100);
        put(&mut self.block, begin + 2, year % 100);
        put(&mut self.block, begin + 5, date.month());
        put(&mut self.block, begin + 8, date.day());
        self.day = day;
    }
}

/// Puts the point and as many digits as are needed; gives how many bytes those are.
#[inline]
fn put_fraction(block: &mut [u8; BLOCK_BYTES], begin: usize, fraction_ns: u32) -> usize {
    if fraction_ns == 0 {
        return 0;
    }
    let at = begin + WITHOUT_FRACTION_BYTES;
    let (ms, us, ns) = (
        fraction_ns / 1_000_000,
        fraction_ns / 1_000 % 1_000,
        fraction_ns % 1_000,
    );
    block[at] = b'.';
    put_three(block, at + 1, ms);
    if us == 0 && ns == 0 {
        return 4;
    }
    put_three(block, at + 4, us);
    if ns == 0 {
        return 7;
    }
    put_three(block, at + 7, ns);
    10
}

#[inline]
fn put(block: &mut [u8; BLOCK_BYTES], at: usize, number: u32) {
    block[at..at + 2].copy_from_slice(&pair(number));
}

#[inline]
fn put_three(block: &mut [u8; BLOCK_BYTES], at: usize, number: u32) {
    block[at] = b'0' + (number / 100) as u8;
    put(block, at + 1, number % 100);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(timestamps: &mut Timestamps, ns: i64) -> String {
        let mut text = Text::default();
        timestamps.push(ns, &mut text);
        String::from_utf8(text.bytes().to_vec()).expect("digits")
    }

    #[test]
    fn look_as_chrono_shows_them() {
        let mut plain = Timestamps::new(false);
        let mut quoted = Timestamps::new(true);
        let mut moments = vec![0, -1, 1, i64::MIN, i64::MAX, 951_782_400_000_000_000];
        for power in 0..19 {
            let power = 10_i64.pow(power);
            moments.extend([power, -power, 7 * (power / 7), power - 1]);
        }
        for ns in moments {
            let expected = format!("{:?}", DateTime::from_timestamp_nanos(ns).naive_utc());
            assert_eq!(shown(&mut plain, ns), expected, "{ns}");
            assert_eq!(shown(&mut quoted, ns), format!("\"{expected}\""), "{ns}");
        }
    }
}
