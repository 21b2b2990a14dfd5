//! json and jsonl: how names and values look in row objects.
//!
//! Each cell is written as `,"name":value`; at its end a row puts `{` in the place of its first comma.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::FieldRef;
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};

use super::number;
use super::style::Style;
use super::text::Text;

/// Escapes are written with small digits.
const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

static OPTIONS: LazyLock<EncoderOptions> = LazyLock::new(EncoderOptions::default);

/// Objects without keys for nulls.
pub(super) struct Json;

/// Arrow's writer, and where it writes to.
pub(super) struct Rare<'a> {
    encoder: NullableEncoder<'a>,
    scratch: Vec<u8>,
}

impl Style for Json {
    const SHOWS_NULLS: bool = false;
    const QUOTES_TIMESTAMPS: bool = true;
    const CHANGES_FIRST_CELL: bool = true;

    type Rare<'a> = Rare<'a>;

    fn key(name: &str, _: usize) -> Vec<u8> {
        let mut key = Text::default();
        key.push_byte(b',');
        Self::push_string(name, &mut key);
        key.push_byte(b':');
        key.bytes().to_vec()
    }

    fn push_string(value: &str, text: &mut Text) {
        text.push_byte(b'"');
        if needs_escapes(value.as_bytes()) {
            push_escaped(value.as_bytes(), text);
        } else {
            text.push(value.as_bytes());
        }
        text.push_byte(b'"');
    }

    fn push_null_of_dictionary(text: &mut Text) {
        text.push(b"\"\"");
    }

    #[inline]
    fn push_float(value: f64, text: &mut Text) {
        if number::push_plain_float(value, text) {
            return;
        }
        if value.is_finite() {
            let mut buffer = [0; lexical_core::BUFFER_SIZE];
            text.push(lexical_core::write(value, &mut buffer));
        } else {
            text.push(b"null");
        }
    }

    fn rare<'a>(field: &'a FieldRef, array: &'a ArrayRef) -> Result<Rare<'a>, ArrowError> {
        Ok(Rare {
            encoder: make_encoder(field, array.as_ref(), &OPTIONS)?,
            scratch: Vec::new(),
        })
    }

    fn leaves_out(rare: &Rare<'_>, row: usize) -> bool {
        rare.encoder.is_null(row)
    }

    fn push_rare(rare: &mut Rare<'_>, row: usize, text: &mut Text) -> Result<(), ArrowError> {
        rare.scratch.clear();
        rare.encoder.encode(row, &mut rare.scratch);
        text.push(&rare.scratch);
        Ok(())
    }
}

/// Closes the object that began at `start`, and opens it.
#[inline]
pub(super) fn end_row(text: &mut Text, start: usize) {
    if text.length() == start {
        text.push_byte(b'{');
    } else {
        text.replace_byte(start, b'{');
    }
    text.push_byte(b'}');
}

/// Whether there is a quote, a backslash or a control character, eight bytes at a time.
fn needs_escapes(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGH_BITS: u64 = ONES << 7;
    // The high bit of a byte is set where the byte is below `bound`; bits above the first such byte may be set in error.
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word;
    let (words, rest) = bytes.as_chunks::<8>();
    let found = words.iter().any(|word| {
        let word = u64::from_le_bytes(*word);
        let is_quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let is_backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        (below(word, b' ') | is_quote | is_backslash) & HIGH_BITS != 0
    });
    found || rest.iter().any(|byte| is_escaped(*byte))
}

fn is_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

fn push_escaped(bytes: &[u8], text: &mut Text) {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| is_escaped(*byte)) {
        text.push(&rest[..at]);
        let byte = rest[at];
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            _ => b'u',
        };
        text.push(&[b'\\', short]);
        if short == b'u' {
            let digit = |nibble: u8| HEX_DIGITS[usize::from(nibble & 15)];
            text.push(&[b'0', b'0', digit(byte >> 4), digit(byte)]);
        }
        rest = &rest[at + 1..];
    }
    text.push(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_serde_does() {
        let mut texts: Vec<String> = (0..0x180)
            .filter_map(char::from_u32)
            .map(String::from)
            .collect();
        for at in 0..17 {
            for odd in ["\"", "\\", "\n", "\u{1f}", " ", "ü", "\u{7f}", "\u{2028}"] {
                let before = "a".repeat(at);
                texts.push(format!("{before}{odd}"));
                texts.push(format!("{before}{odd}bcdefghijk{odd}"));
            }
        }
        texts.push("x".repeat(100));
        for value in texts {
            let mut text = Text::default();
            Json::push_string(&value, &mut text);
            let expected = serde_json::to_string(&value).expect("a string");
            assert_eq!(String::from_utf8_lossy(text.bytes()), expected);
        }
    }
}
