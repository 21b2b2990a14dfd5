//! Finding the ends of things: lines, series, names.
//!
//! All functions take a text's bytes and an offset and give an offset back; none judges what it passes over. Every
//! offset given back is the text's end or that of an ASCII byte, so that it can cut a `str`.
//! Rules: spec/write-and-storage.md §3.1 (lines), §3.2 (names).

use memchr::{memchr, memchr3};

/// What ends a name, one bit for each kind of name; a backslash has all of them, since it never passes unnoticed.
#[derive(Clone, Copy)]
pub(crate) struct Stop(u8);

impl Stop {
    pub(crate) const MEASUREMENT: Self = Self(0b0001);
    pub(crate) const TAG_KEY: Self = Self(0b0010);
    pub(crate) const TAG_VALUE: Self = Self(0b0100);
    /// Field keys end where tag keys do, but their commas are worth noting.
    pub(crate) const FIELD_KEY_OR_COMMA: Self = Self(0b1000);
}

const STOPS: [u8; 256] = {
    let mut stops = [0; 256];
    stops[b' ' as usize] = 0b1111;
    stops[b'\t' as usize] = 0b1111;
    stops[b'\n' as usize] = 0b1111;
    stops[b'\\' as usize] = 0b1111;
    stops[0] = Stop::MEASUREMENT.0;
    stops[b',' as usize] = Stop::MEASUREMENT.0 | Stop::TAG_VALUE.0 | Stop::FIELD_KEY_OR_COMMA.0;
    stops[b'=' as usize] = Stop::TAG_KEY.0 | Stop::FIELD_KEY_OR_COMMA.0;
    stops
};

/// Where the next line with content is: the start of its physical line, and its first character that is not
/// indentation. `None` when only blank lines and comments are left.
pub(crate) fn next_content(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut line_start = from;
    let mut at = from;
    loop {
        match bytes.get(at)? {
            b' ' | b'\t' => at += 1,
            b'\n' => {
                at += 1;
                line_start = at;
            }
            b'\r' if matches!(bytes.get(at + 1), None | Some(b'\n')) => at += 1,
            b'#' => {
                at += memchr(b'\n', &bytes[at..])? + 1;
                line_start = at;
            }
            _ => return Some((line_start, at)),
        }
    }
}

/// The first unescaped space from `from` on; `None` if the line or the text ends before one.
#[inline]
pub(crate) fn series_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr3(b' ', b'\\', b'\n', bytes.get(at..)?)?;
        match bytes[at] {
            b' ' => return Some(at),
            b'\\' => at += 2,
            _ => return None,
        }
    }
}

/// Where the logical line that has content from `from` on ends: at a newline that is neither escaped nor inside a
/// string field value, or at the end of the text.
///
/// A quote opens a string only where a field's value is expected, which is judged by counting equals signs and
/// commas. That is not quite the grammar, which allows unescaped commas in field keys: where the two differ, this
/// function decides what is a line.
pub(crate) fn logical_line_end(bytes: &[u8], from: usize) -> usize {
    let mut in_fields = false;
    let mut quoted = false;
    let mut equals = 0_usize;
    let mut commas = 0_usize;
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'\n' if !quoted => return at,
            b'"' if in_fields && equals > commas => quoted = !quoted,
            b' ' => in_fields = true,
            b'=' if in_fields && !quoted => equals += 1,
            b',' if in_fields && !quoted => commas += 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// If a line may end at `at`, with or without a carriage return: the start of the next one.
#[inline]
pub(crate) fn after_line_end(bytes: &[u8], at: usize) -> Option<usize> {
    match (bytes.get(at), bytes.get(at + 1)) {
        (None, _) => Some(at),
        (Some(b'\n'), _) | (Some(b'\r'), None) => Some(at + 1),
        (Some(b'\r'), Some(b'\n')) => Some(at + 2),
        _ => None,
    }
}

/// Where the run of spaces at `from` ends.
#[inline]
pub(crate) fn spaces_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while bytes.get(at) == Some(&b' ') {
        at += 1;
    }
    at
}

/// Where the name at `from` ends. A backslash takes the next character along; the last one of the text stands alone.
#[inline]
pub(crate) fn name_end(bytes: &[u8], from: usize, stop: Stop) -> usize {
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        if STOPS[usize::from(byte)] & stop.0 == 0 {
            at += 1;
        } else if byte == b'\\' {
            at += 2;
        } else {
            return at;
        }
    }
    bytes.len()
}
