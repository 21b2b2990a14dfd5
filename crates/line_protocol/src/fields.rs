//! What follows the series in a line: fields and timestamp.
//!
//! The text may go on after the line; the caller judges whether what stopped the reading is where a line may end.
//! Grammar: spec/write-and-storage.md §3.2. Not here: repeated field keys, which are the schema's business.

use crate::error::Fault;
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
/// a fault.
#[inline]
pub(crate) fn read<'a>(
    text: &'a str,
    from: usize,
    fields: &mut Vec<Field<'a>>,
) -> Result<Tail, Fault> {
    let bytes = text.as_bytes();
    let mut comma_in_key = false;
    let mut start = lexer::spaces_end(bytes, from);
    let fields_end = loop {
        let (key_end, comma) = key_end(bytes, start);
        comma_in_key |= comma;
        let key = field_key(&text[start..key_end])?;
        let value = match bytes.get(key_end) {
            Some(b'=') if key_end > start => read_value(text, key_end + 1)?,
            _ => None,
        };
        let Some((value, end)) = value else {
            return Err(match fields.is_empty() {
                true => Fault::NoFields,
                // There is no text after the comma to show, so show the comma.
                false if start == bytes.len() => Fault::Trailing { at: start - 1 },
                false => Fault::Trailing { at: start },
            });
        };
        fields.push(Field { key, value });
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

/// The value at `start` and where it ends; `None` if none of the forms fits.
#[inline]
fn read_value(text: &str, start: usize) -> Result<Option<(Value<'_>, usize)>, Fault> {
    let bytes = text.as_bytes();
    match bytes.get(start) {
        Some(b'-' | b'0'..=b'9') => read_number(text, start),
        Some(b'"') => read_string(text, start),
        _ => Ok(read_boolean(bytes, start).map(|(value, end)| (Value::Boolean(value), end))),
    }
}

/// Any run of so many decimal digits fits into a `u64`.
const SAFE_DIGITS: usize = 19;
/// Any run of so many decimal digits is exact as an `f64`.
const EXACT_FLOAT_DIGITS: usize = 15;

#[inline]
fn read_number(text: &str, start: usize) -> Result<Option<(Value<'_>, usize)>, Fault> {
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
            Ok(Some((Value::Integer(value), end + 1)))
        }
        Some(b'u') if !negative => {
            let value = checked_magnitude(&bytes[digits_start..end], magnitude)
                .ok_or(Fault::Unsigned { start, end })?;
            Ok(Some((Value::Unsigned(value), end + 1)))
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
            Ok(Some((Value::Float(value), float_end)))
        }
    }
}

/// The number made by the decimal digits at `start`, and where they end. Past [`SAFE_DIGITS`] digits the number is
/// wrong, not the end.
#[inline]
fn read_digits(bytes: &[u8], start: usize) -> (u64, usize) {
    let mut value = 0_u64;
    let mut at = start;
    while let Some(byte @ b'0'..=b'9') = bytes.get(at) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        at += 1;
    }
    (value, at)
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

/// The string whose opening quote is at `start`; `None` if it is never closed.
fn read_string(text: &str, start: usize) -> Result<Option<(Value<'_>, usize)>, Fault> {
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
    Ok(Some((Value::String(raw), at + 1)))
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

fn read_boolean(bytes: &[u8], start: usize) -> Option<(bool, usize)> {
    let rest = bytes.get(start..)?;
    BOOLEANS
        .iter()
        .find(|(spelling, _)| rest.starts_with(spelling))
        .map(|(spelling, value)| (*value, start + spelling.len()))
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
