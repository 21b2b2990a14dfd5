//! Numbers as text: integers, and the floats that are decimals of few digits.
//!
//! Measured values are mostly small or have few decimals; those are written from tables, everything else by the libraries
//! that are made for it. Not here: what a format does with floats that are no short decimals (`json`, `csv`).

use super::text::{BLOCK_BYTES, Text};

/// The two digits of every number below 100.
const PAIRS: [[u8; 2]; 100] = pairs();

/// Decimals of a float that is written here.
const SHORT_DECIMALS: u32 = 4;

const SHORT_SCALE: i64 = 10_i64.pow(SHORT_DECIMALS);

/// Above, formats begin to disagree about exponents.
const SHORT_FLOAT_MAX: f64 = 1e9;

const fn pairs() -> [[u8; 2]; 100] {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
}

/// The two digits of `number`, which is below 100.
#[inline]
pub(super) fn pair(number: u32) -> [u8; 2] {
    PAIRS[number as usize % 100]
}

#[inline]
pub(super) fn push_signed(value: i64, text: &mut Text) {
    if value < 0 {
        text.push_byte(b'-');
    }
    push_unsigned(value.unsigned_abs(), text);
}

#[inline]
pub(super) fn push_unsigned(value: u64, text: &mut Text) {
    if value >= 10_000 {
        return text.push(itoa::Buffer::new().format(value).as_bytes());
    }
    let value = value as u32;
    let mut block = [0; BLOCK_BYTES];
    let length = if value < 100 {
        put_below_100(value, &mut block)
    } else {
        let high = put_below_100(value / 100, &mut block);
        block[high..high + 2].copy_from_slice(&pair(value % 100));
        high + 2
    };
    text.push_block(&block, length);
}

#[inline]
fn put_below_100(value: u32, block: &mut [u8; BLOCK_BYTES]) -> usize {
    let [tens, ones] = pair(value);
    if value < 10 {
        block[0] = ones;
        1
    } else {
        block[0] = tens;
        block[1] = ones;
        2
    }
}

/// Writes `value` if it is a decimal with at most [`SHORT_DECIMALS`] digits after the point, one of them at least; otherwise
/// writes nothing and gives false.
///
/// A decimal of no more than 15 digits that reads back as `value` is the only one so short, so it is what every writer of
/// shortest decimals gives.
#[inline]
pub(super) fn push_short_float(value: f64, text: &mut Text) -> bool {
    let magnitude = value.abs();
    if magnitude.is_nan() || magnitude >= SHORT_FLOAT_MAX {
        return false;
    }
    let scaled = (magnitude * SHORT_SCALE as f64 + 0.5) as i64;
    if scaled as f64 / SHORT_SCALE as f64 != magnitude {
        return false;
    }
    if value.is_sign_negative() {
        text.push_byte(b'-');
    }
    push_unsigned((scaled / SHORT_SCALE) as u64, text);
    let decimals = (scaled % SHORT_SCALE) as u32;
    let (high, low) = (pair(decimals / 100), pair(decimals % 100));
    let mut block = [0; BLOCK_BYTES];
    block[..5].copy_from_slice(&[b'.', high[0], high[1], low[0], low[1]]);
    let length = match (low[1], low[0], high[1]) {
        (b'0', b'0', b'0') => 2,
        (b'0', b'0', _) => 3,
        (b'0', ..) => 4,
        _ => 5,
    };
    text.push_block(&block, length);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(push: impl Fn(&mut Text)) -> String {
        let mut text = Text::default();
        push(&mut text);
        String::from_utf8(text.bytes().to_vec()).expect("digits")
    }

    #[test]
    fn integers_of_every_length() {
        let mut values = vec![i64::MIN, i64::MAX, 0];
        for power in 0..19 {
            let power = 10_i64.pow(power);
            values.extend([power - 1, power, power + 1, -power, 1 - power]);
        }
        values.extend(-1..=10_001);
        for value in values {
            assert_eq!(
                shown(|text| push_signed(value, text)),
                value.to_string(),
                "{value}"
            );
        }
        assert_eq!(
            shown(|text| push_unsigned(u64::MAX, text)),
            u64::MAX.to_string()
        );
    }

    #[test]
    fn floats_with_few_decimals_are_the_shortest_that_read_back() {
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (82.0, "82.0"),
            (-0.5, "-0.5"),
            (0.1, "0.1"),
            (1.25, "1.25"),
            (10.203, "10.203"),
            (0.0001, "0.0001"),
            (100.001, "100.001"),
            (999_999_999.9999, "999999999.9999"),
            (123_456.05, "123456.05"),
        ] {
            let text = shown(|text| assert!(push_short_float(value, text), "{value}"));
            assert_eq!(text, expected);
        }
        for value in [
            1.0 / 3.0,
            0.000_01,
            0.1 + 0.2,
            1e9,
            1.000_000_1,
            f64::MIN_POSITIVE,
            f64::MAX,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ] {
            let text = shown(|text| assert!(!push_short_float(value, text), "{value}"));
            assert_eq!(text, "");
        }
    }
}
