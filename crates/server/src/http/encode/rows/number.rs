//! Numbers as text: integers, and the floats that every format writes alike.
//!
//! Measured values are mostly small or have few decimals; those are written from tables, everything else by the libraries
//! that are made for it. Not here: exponents and what is no number, where formats differ (`json`, `csv`).

use super::text::Text;

/// The two digits of every number below 100.
const PAIRS: [[u8; 2]; 100] = pairs();

/// Decimals of a float that is written from tables.
const SHORT_DECIMALS: u32 = 4;

const SHORT_SCALE: i64 = 10_i64.pow(SHORT_DECIMALS);

/// Between these no format uses an exponent; beyond they begin to disagree.
const PLAIN_MIN: f64 = 1e-4;
const PLAIN_MAX: f64 = 1e9;

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
    let (high, low) = (pair(value / 100), pair(value % 100));
    // Straight into place: what is put together elsewhere first is waited for when it is copied.
    text.push_with(|place: &mut [u8; 4]| match value {
        0..10 => {
            place[0] = low[1];
            1
        }
        10..100 => {
            place[..2].copy_from_slice(&low);
            2
        }
        100..1_000 => {
            place[0] = high[1];
            place[1..3].copy_from_slice(&low);
            3
        }
        _ => {
            place[..2].copy_from_slice(&high);
            place[2..].copy_from_slice(&low);
            4
        }
    });
}

/// Writes `value` as the shortest decimal that reads back, if that needs no exponent in any format; otherwise writes nothing
/// and gives false.
///
/// A decimal of no more than 15 digits that reads back as `value` is the only one so short: no search is needed for it.
#[inline]
pub(super) fn push_plain_float(value: f64, text: &mut Text) -> bool {
    let magnitude = value.abs();
    if magnitude.is_nan() || magnitude >= PLAIN_MAX {
        return false;
    }
    let scaled = (magnitude * SHORT_SCALE as f64 + 0.5) as i64;
    if scaled as f64 / SHORT_SCALE as f64 != magnitude {
        if magnitude < PLAIN_MIN {
            return false;
        }
        text.push(zmij::Buffer::new().format_finite(value).as_bytes());
        return true;
    }
    if value.is_sign_negative() {
        text.push_byte(b'-');
    }
    push_unsigned((scaled / SHORT_SCALE) as u64, text);
    let decimals = (scaled % SHORT_SCALE) as u32;
    let (high, low) = (pair(decimals / 100), pair(decimals % 100));
    text.push_with(|place: &mut [u8; 5]| {
        place[0] = b'.';
        place[1..3].copy_from_slice(&high);
        place[3..].copy_from_slice(&low);
        match (low[1], low[0], high[1]) {
            (b'0', b'0', b'0') => 2,
            (b'0', b'0', _) => 3,
            (b'0', ..) => 4,
            _ => 5,
        }
    });
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
    fn floats_without_exponents_are_the_shortest_that_read_back() {
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
            (999_999_999.999_9, "999999999.9999"),
            (123_456.05, "123456.05"),
            (1.0 / 3.0, "0.3333333333333333"),
            (0.1 + 0.2, "0.30000000000000004"),
            (-1.000_000_1, "-1.0000001"),
            (0.000_123_456, "0.000123456"),
        ] {
            let text = shown(|text| assert!(push_plain_float(value, text), "{value}"));
            assert_eq!(text, expected);
        }
        for value in [
            0.000_099_9,
            0.000_01,
            1e9,
            f64::MIN_POSITIVE,
            f64::MAX,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ] {
            let text = shown(|text| assert!(!push_plain_float(value, text), "{value}"));
            assert_eq!(text, "");
        }
    }
}
