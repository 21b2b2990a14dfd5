//! What follows the series in a line: fields and timestamp.
//!
//! The text may go on after the line; the caller judges whether what stopped the reading is where a line may end.
//! Grammar: spec/write-and-storage.md §3.2. Not here: repeated field keys, which are the schema's business.

use crate::error::Fault;
use crate::keys::Keys;
use crate::lexer::{self, Stop};
use crate::line::{Field, Name, Value, is_too_long};
use memchr::memchr2;

/// The part of a line that was read after its series.
pub(crate) struct Tail {
    pub(crate) timestamp: Option<i64>,
    /// Where a line ending stands, or the text's end.
    pub(crate) end: usize,
    /// Whether a field key holds an unescaped comma.
    pub(crate) comma_in_key: bool,
}

/// Reads spaces, fields and, if there is one, the timestamp. `fields` must be empty at first and is of no use after
/// a fault. `keys` are those of lines before.
#[inline]
pub(crate) fn read<'a>(
    text: &'a str,
    from: usize,
    keys: &mut Keys<'a>,
    fields: &mut Vec<Field<'a>>,
) -> Result<Tail, Fault> {
    let bytes = text.as_bytes();
    let mut comma_in_key = false;
    let mut start = lexer::spaces_end(bytes, from);
    let fields_end = loop {
        let (key, key_end) = match keys.expected(bytes, start, fields.len()) {
            Some(raw) => (Name { raw }, start + raw.len()),
            None => {
                let (key_end, comma) = key_end(bytes, start);
                comma_in_key |= comma;
                let key = field_key(&text[start..key_end])?;
                keys.learn(key.raw, fields.len());
                (key, key_end)
            }
        };
        let value_end = match bytes.get(key_end) {
            Some(b'=') if key_end > start => {
                read_value(text, key_end + 1, |value| fields.push(Field { key, value }))?
            }
            _ => None,
        };
        let Some(end) = value_end else {
            return Err(match fields.is_empty() {
                true => Fault::NoFields,
                // There is no text after the comma to show, so show the comma.
                false if start == bytes.len() => Fault::Trailing { at: start - 1 },
                false => Fault::Trailing { at: start },
            });
        };
        match bytes.get(end) {
            Some(b',') => start = end + 1,
            _ => break end,
        }
    };
    let (timestamp, end) = read_timestamp(text, fields_end)?;
    Ok(Tail {
        timestamp,
        end,
        comma_in_key,
    })
}

/// Where the field key at `start` ends, and whether it holds a comma.
#[inline]
fn key_end(bytes: &[u8], start: usize) -> (usize, bool) {
    let mut comma = false;
    let mut end = lexer::name_end(bytes, start, Stop::FIELD_KEY_OR_COMMA);
    while bytes.get(end) == Some(&b',') {
        comma = true;
        end = lexer::name_end(bytes, end + 1, Stop::FIELD_KEY_OR_COMMA);
    }
    (end, comma)
}

#[inline]
fn field_key(raw: &str) -> Result<Name<'_>, Fault> {
    if raw.ends_with('\\') {
        Err(Fault::EndsWithBackslash)
    } else if is_too_long(raw, |raw| Name { raw }.unescape()) {
        Err(Fault::TooLong)
    } else {
        Ok(Name { raw })
    }
}

/// Hands the value at `start` on and says where it ends; `None` if none of the forms fits.
///
/// A value is handed on where it is made, not returned: as a part of results it would be put together from small pieces in memory and
/// at once be moved in larger ones, for which a processor waits longer than all the rest of a field takes.
#[inline]
fn read_value<'a>(
    text: &'a str,
    start: usize,
    take: impl FnOnce(Value<'a>),
) -> Result<Option<usize>, Fault> {
    match text.as_bytes().get(start) {
        Some(b'-' | b'0'..=b'9') => read_number(text, start, take),
        Some(b'"') => read_string(text, start, take),
        _ => Ok(read_boolean(text.as_bytes(), start, take)),
    }
}

/// Any run of so many decimal digits fits into a `u64`.
const SAFE_DIGITS: usize = 19;
/// Any run of so many decimal digits is exact as an `f64`.
const EXACT_FLOAT_DIGITS: usize = 15;

#[inline]
fn read_number<'a>(
    text: &'a str,
    start: usize,
    take: impl FnOnce(Value<'a>),
) -> Result<Option<usize>, Fault> {
    let bytes = text.as_bytes();
    let negative = bytes[start] == b'-';
    let digits_start = start + usize::from(negative);
    let (magnitude, end) = read_digits(bytes, digits_start);
    if end == digits_start {
        return Ok(None);
    }
    match bytes.get(end) {
        Some(b'i') => {
            let value = checked_magnitude(&bytes[digits_start..end], magnitude)
                .and_then(|magnitude| signed(negative, magnitude))
                .ok_or(Fault::Integer { start, end })?;
            take(Value::Integer(value));
            Ok(Some(end + 1))
        }
        Some(b'u') if !negative => {
            let value = checked_magnitude(&bytes[digits_start..end], magnitude)
                .ok_or(Fault::Unsigned { start, end })?;
            take(Value::Unsigned(value));
            Ok(Some(end + 1))
        }
        _ => {
            let float_end = float_end(bytes, end);
            let value = if float_end == end && end - digits_start <= EXACT_FLOAT_DIGITS {
                let value = magnitude as f64;
                if negative { -value } else { value }
            } else {
                fast_float2::parse(&bytes[start..float_end]).map_err(|_| Fault::Float {
                    start,
                    end: float_end,
                })?
            };
            take(Value::Float(value));
            Ok(Some(float_end))
        }
    }
}

/// The number made by the decimal digits at `start`, and where they end. Past [`SAFE_DIGITS`] digits the number is
/// wrong, not the end.
#[inline]
fn read_digits(bytes: &[u8], start: usize) -> (u64, usize) {
    let mut value = 0_u64;
    let mut at = start;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let (part, digits) = leading_digits(u64::from_le_bytes(*eight));
        value = value.wrapping_mul(POWERS_OF_TEN[digits]).wrapping_add(part);
        at += digits;
        if digits < 8 {
            return (value, at);
        }
    }
    while let Some(byte @ b'0'..=b'9') = bytes.get(at) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        at += 1;
    }
    (value, at)
}

const POWERS_OF_TEN: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];

/// The number made by the decimal digits at the start of eight bytes, the first in the lowest byte, and how many they are.
/// All eight are looked at together: how many are digits differs from value to value, and no branch depends on it.
#[inline]
fn leading_digits(eight: u64) -> (u64, usize) {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let distances = eight ^ (EACH * 0x30);
    // The top bit of each byte that is no digit; a carry spoils only bytes behind the first of these.
    let others = (distances.wrapping_add(EACH * 0x76) | distances) & (EACH * 0x80);
    let digits = others.trailing_zeros() / 8;
    // Moved to the end, with zeros in front, where no digits are the number zero.
    let number = distances.checked_shl(64 - 8 * digits).unwrap_or(0);
    let pairs = number.wrapping_mul(10).wrapping_add(number >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    let all = fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff;
    (all, digits as usize)
}

/// `magnitude`, the number that [`read_digits`] made of `digits`, unless it does not fit.
#[inline]
fn checked_magnitude(digits: &[u8], magnitude: u64) -> Option<u64> {
    if digits.len() <= SAFE_DIGITS {
        return Some(magnitude);
    }
    digits.iter().try_fold(0_u64, |value, byte| {
        value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))
    })
}

#[inline]
fn signed(negative: bool, magnitude: u64) -> Option<i64> {
    if negative {
        0_i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// Where the float ends whose whole part ends at `whole_end`. A fraction or exponent without digits is not part of it.
#[inline]
fn float_end(bytes: &[u8], whole_end: usize) -> usize {
    let mut end = whole_end;
    if bytes.get(end) == Some(&b'.') {
        let fraction_end = digits_end(bytes, end + 1);
        if fraction_end == end + 1 {
            return end;
        }
        end = fraction_end;
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent_start = end + 1 + sign;
        let exponent_end = digits_end(bytes, exponent_start);
        if exponent_end > exponent_start {
            end = exponent_end;
        }
    }
    end
}

#[inline]
fn digits_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(b'0'..=b'9') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Hands on the string whose opening quote is at `start`; `None` if it is never closed.
fn read_string<'a>(
    text: &'a str,
    start: usize,
    take: impl FnOnce(Value<'a>),
) -> Result<Option<usize>, Fault> {
    let bytes = text.as_bytes();
    let mut at = start + 1;
    loop {
        let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) else {
            return Ok(None);
        };
        at += found;
        if bytes[at] == b'"' {
            break;
        }
        // What follows a backslash is never the closing quote.
        at += 2;
    }
    let raw = &text[start + 1..at];
    if is_too_long(raw, Value::unescape_string) {
        return Err(Fault::TooLong);
    }
    take(Value::String(raw));
    Ok(Some(at + 1))
}

/// Spellings of booleans; where one starts another, the longer comes first.
const BOOLEANS: [(&[u8], bool); 10] = [
    (b"true", true),
    (b"false", false),
    (b"True", true),
    (b"False", false),
    (b"TRUE", true),
    (b"FALSE", false),
    (b"t", true),
    (b"f", false),
    (b"T", true),
    (b"F", false),
];

fn read_boolean<'a>(bytes: &[u8], start: usize, take: impl FnOnce(Value<'a>)) -> Option<usize> {
    let rest = bytes.get(start..)?;
    let (spelling, value) = BOOLEANS
        .iter()
        .find(|(spelling, _)| rest.starts_with(spelling))?;
    take(Value::Boolean(*value));
    Some(start + spelling.len())
}

/// The timestamp after the fields, if there is one, and where the line ending must be.
#[inline]
fn read_timestamp(text: &str, fields_end: usize) -> Result<(Option<i64>, usize), Fault> {
    let bytes = text.as_bytes();
    let trailing = |at: usize| Fault::Trailing { at };
    let ends_at = |at: usize| lexer::after_line_end(bytes, at).is_some();
    let start = lexer::spaces_end(bytes, fields_end);
    if ends_at(start) {
        return Ok((None, start));
    }
    let negative = bytes.get(start) == Some(&b'-');
    let digits_start = start + usize::from(negative);
    let (magnitude, digits_end) = read_digits(bytes, digits_start);
    if start == fields_end || digits_end == digits_start {
        return Err(trailing(fields_end));
    }
    let timestamp = checked_magnitude(&bytes[digits_start..digits_end], magnitude)
        .and_then(|magnitude| signed(negative, magnitude))
        .ok_or(Fault::Timestamp {
            start,
            end: digits_end,
        })?;
    let end = lexer::spaces_end(bytes, digits_end);
    if !ends_at(end) {
        return Err(trailing(digits_end));
    }
    Ok((Some(timestamp), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_to_their_end_wherever_that_is() {
        let digits = "12345678901234567890123456789";
        for first in 0..3 {
            for count in 0..=digits.len() - first {
                for after in [
                    "",
                    "i",
                    " ",
                    "/",
                    ":",
                    "u,next=1",
                    "\u{e9}\u{e9}\u{e9}\u{e9}",
                    "\0\0\0\0\0\0\0\0",
                ] {
                    let text = format!("{}{after}", &digits[first..first + count]);
                    let (number, end) = read_digits(text.as_bytes(), 0);
                    assert_eq!(end, count, "{text:?}");
                    if count <= SAFE_DIGITS {
                        let expected = text[..count].parse().unwrap_or(0);
                        assert_eq!(number, expected, "{text:?}");
                    }
                }
            }
        }
        assert_eq!(read_digits(b"00000000000000000007", 0), (7, 20));
    }
}
