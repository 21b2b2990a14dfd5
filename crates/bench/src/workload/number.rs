//! Numbers as text, each with the comma that parts it from the next field; without allocations.

use std::io::Write;

/// Below this, whole numbers are copied from a table.
const SMALL: usize = 1_000;
const SMALL_BYTES: usize = 8;

/// The text of each small number with suffix and comma, and how long it is.
static SMALL_TEXTS: [([u8; SMALL_BYTES], u8); SMALL] = small_texts();

const fn small_texts() -> [([u8; SMALL_BYTES], u8); SMALL] {
    let mut texts = [([b' '; SMALL_BYTES], 0); SMALL];
    let mut number = 0;
    while number < SMALL {
        let digits = if number < 10 {
            1
        } else if number < 100 {
            2
        } else {
            3
        };
        let mut rest = number;
        let mut place = digits;
        while place > 0 {
            place -= 1;
            texts[number].0[place] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        texts[number].0[digits] = b'i';
        texts[number].0[digits + 1] = b',';
        texts[number].1 = digits as u8 + 2;
        number += 1;
    }
    texts
}

/// A whole number with the suffix of integers: `64i,`.
#[inline]
pub(super) fn whole(number: i64, out: &mut Vec<u8>) {
    let small = usize::try_from(number)
        .ok()
        .and_then(|number| SMALL_TEXTS.get(number));
    match small {
        Some((text, length)) => padded(text, *length, out),
        None => {
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            out.extend_from_slice(b"i,");
        }
    }
}

/// The first `length` bytes of `text`. All are copied and the rest is taken back: a copy of known length takes no call.
#[inline]
pub(super) fn padded<const BYTES: usize>(text: &[u8; BYTES], length: u8, out: &mut Vec<u8>) {
    let end = out.len() + usize::from(length);
    out.extend_from_slice(text);
    out.truncate(end);
}

/// A number rounded down to so many decimal places, without needless zeros: `31.25,`, `7,`.
pub(super) fn decimal(number: f64, places: u8, out: &mut Vec<u8>) {
    let scale = 10_u64.pow(u32::from(places));
    let scaled = (number * scale as f64).floor() as i64;
    if scaled < 0 {
        out.push(b'-');
    }
    let (whole, mut fraction) = (scaled.unsigned_abs() / scale, scaled.unsigned_abs() % scale);
    out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    let mut place = scale;
    if fraction > 0 {
        out.push(b'.');
    }
    while fraction > 0 {
        place /= 10;
        out.push(b'0' + (fraction / place) as u8);
        fraction %= place;
    }
    out.push(b',');
}

/// A number in as many digits as tell it from all others.
pub(super) fn exact(number: f64, out: &mut Vec<u8>) {
    write!(out, "{number},").expect("memory takes any text");
}

#[cfg(test)]
mod tests {
    use super::{decimal, exact, whole};

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = b"x=".to_vec();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn whole_numbers_have_the_suffix() {
        for number in (-20..1_200).chain([i64::MAX, i64::MIN, 1 << 40]) {
            assert_eq!(text(|out| whole(number, out)), format!("x={number}i,"));
        }
    }

    #[test]
    fn decimals_are_rounded_down_and_end_in_no_zero() {
        for (number, places, expected) in [
            (0.0, 5, "x=0,"),
            (52.318_549_9, 5, "x=52.31854,"),
            (0.000_019_9, 5, "x=0.00001,"),
            (17.5, 5, "x=17.5,"),
            (99.99, 0, "x=99,"),
            (49.999, 1, "x=49.9,"),
            (10.04, 1, "x=10,"),
            (-0.000_005, 5, "x=-0.00001,"),
            (-1.25, 1, "x=-1.3,"),
        ] {
            assert_eq!(text(|out| decimal(number, places, out)), expected);
        }
    }

    #[test]
    fn exact_numbers_are_read_back_as_they_were() {
        for number in [0.0, 1.0 / 3.0, 63.218_094_750_112_3, 1e-7] {
            let text = text(|out| exact(number, out));
            let digits = text.strip_prefix("x=").unwrap().strip_suffix(',').unwrap();
            assert_eq!(digits.parse(), Ok(number));
        }
    }
}
