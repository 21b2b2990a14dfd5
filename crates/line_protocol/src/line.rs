//! One line and its parts, and the cursor that goes from line to line.
//!
//! The cursor decides where lines begin and end and which of them are rejected; it leaves the reading of fields to
//! `fields` and the inside of the series to [`Series`](crate::Series).

use crate::error::{Fault, Rejected};
use crate::keys::Keys;
use crate::{fields, lexer, series};
use memchr::memchr;
use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// A cursor over the lines of a request body.
#[derive(Debug)]
pub struct Parser<'a> {
    text: &'a str,
    /// Always the start of a physical line, or the end of the text.
    position: usize,
    /// Logical lines met so far.
    number: usize,
    keys: Keys<'a>,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            position: 0,
            number: 0,
            keys: Keys::default(),
        }
    }

    /// The next line, its fields put into `fields` (cleared first), or what was wrong with it; `None` at the end.
    ///
    /// A line is returned only when all of it but the inside of its series is sound. Its fields are in the order
    /// written, at least one; the same key may be among them twice.
    pub fn next_line(
        &mut self,
        fields: &mut Vec<Field<'a>>,
    ) -> Option<Result<Line<'a>, Rejected<'a>>> {
        fields.clear();
        let bytes = self.text.as_bytes();
        let Some((line_start, start)) = lexer::next_content(bytes, self.position) else {
            self.position = bytes.len();
            return None;
        };
        self.number += 1;
        // The grammar finds the same end of the line as the rules for line ends do, unless a field key has a comma:
        // without one, a quote opens a string for the one exactly when it does for the other.
        if let Some(series_end) = lexer::series_end(bytes, start)
            && let Ok(tail) = fields::read(self.text, series_end, &mut self.keys, fields)
            && !tail.comma_in_key
            && let Some(next) = lexer::after_line_end(bytes, tail.end)
        {
            self.position = next;
            return Some(Ok(Line {
                number: self.number,
                text: &self.text[line_start..tail.end],
                series: &self.text[start..series_end],
                timestamp: tail.timestamp,
                keys: self.keys.version(),
            }));
        }
        Some(self.reread_line(line_start, start, fields))
    }

    /// Reads the line again that has content from `start` on, now within its proper bounds.
    #[cold]
    fn reread_line(
        &mut self,
        line_start: usize,
        start: usize,
        fields: &mut Vec<Field<'a>>,
    ) -> Result<Line<'a>, Rejected<'a>> {
        let bytes = self.text.as_bytes();
        let newline = lexer::logical_line_end(bytes, start);
        self.position = bytes.len().min(newline + 1);
        let end = match bytes[start..newline].last() {
            Some(b'\r') => newline - 1,
            _ => newline,
        };
        let content = &self.text[start..end];
        fields.clear();
        let result = match series::read(content) {
            Err(error) => Err(error),
            Ok((_, series_end)) => {
                match fields::read(content, series_end, &mut self.keys, fields) {
                    Ok(tail) if tail.end == content.len() => Ok((series_end, tail.timestamp)),
                    Ok(tail) => Err(Fault::Trailing { at: tail.end }.explain(content)),
                    Err(fault) => Err(fault.explain(content)),
                }
            }
        };
        let text = &self.text[line_start..end];
        let number = self.number;
        match result {
            Ok((series_end, timestamp)) => Ok(Line {
                number,
                text,
                series: &content[..series_end],
                timestamp,
                keys: self.keys.version(),
            }),
            Err(error) => {
                fields.clear();
                Err(Rejected {
                    number,
                    text,
                    error,
                })
            }
        }
    }
}

/// A line whose fields and timestamp are sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line<'a> {
    /// 1-based, counting logical lines: blank lines and comments are not counted.
    pub number: usize,
    /// The physical text of the line, whole: with its indentation, without its line ending.
    pub text: &'a str,
    /// Measurement and tags as written, escapes and all: the bytes up to the first unescaped space.
    pub series: &'a str,
    /// As written, in the request's precision.
    pub timestamp: Option<i64>,
    /// Lines of one [`Parser`] that tell the same here have the same field keys in the same places, as far as both have fields.
    pub keys: u64,
}

/// A tag key, tag value or field key as written. (A measurement has other escapes:
/// [`Measurement`](crate::Measurement).)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// With its escapes.
    pub raw: &'a str,
}

impl<'a> Name<'a> {
    /// Without its escapes; borrowed when there are none (spec/write-and-storage.md §3.3).
    #[inline]
    pub fn unescape(self) -> Cow<'a, str> {
        unescape(self.raw, b", =\\")
    }
}

/// A field and its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    pub key: Name<'a>,
    pub value: Value<'a>,
}

/// A field value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Never NaN; infinite when the literal is out of range.
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    /// Without its quotes, with its escapes; see [`Value::unescape_string`].
    String(&'a str),
    Boolean(bool),
}

impl<'a> Value<'a> {
    /// A string value's text without escapes; borrowed when there are none (spec/write-and-storage.md §3.3).
    #[inline]
    pub fn unescape_string(raw: &'a str) -> Cow<'a, str> {
        unescape(raw, b"\"\\")
    }
}

/// `raw` with the backslash taken from before each of the `escapable` characters; others stay, and so does theirs.
pub(crate) fn unescape<'a>(raw: &'a str, escapable: &[u8]) -> Cow<'a, str> {
    let Some(mut backslash) = memchr(b'\\', raw.as_bytes()) else {
        return Cow::Borrowed(raw);
    };
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    loop {
        text.push_str(&rest[..backslash]);
        let mut after = rest[backslash + 1..].chars();
        match after.next() {
            Some(escaped) if escaped.is_ascii() && escapable.contains(&(escaped as u8)) => {
                text.push(escaped);
            }
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
        rest = after.as_str();
        match memchr(b'\\', rest.as_bytes()) {
            Some(next) => backslash = next,
            None => break,
        }
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// Whether an element is too long once its escapes, if it has any, are resolved.
#[inline]
pub(crate) fn is_too_long<'a>(
    raw: &'a str,
    unescape: impl FnOnce(&'a str) -> Cow<'a, str>,
) -> bool {
    raw.len() > crate::ELEMENT_MAX_BYTES && unescape(raw).len() > crate::ELEMENT_MAX_BYTES
}
