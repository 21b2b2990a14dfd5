//! The field keys of the lines before: the next line most likely has the same, and looking whether it has is quicker than
//! finding out where each of its keys ends.
//!
//! A guess that fails costs a comparison, and nothing follows from it: what is read is the same without. Not here: what a key may be
//! ([`fields`](crate::fields)).

use crate::lexer::{self, Stop};

/// The keys that the lines before had first, second, and so on.
#[derive(Debug, Default)]
pub(crate) struct Keys<'a> {
    /// Each free of what may end a key or hide its end, and not empty.
    known: Vec<&'a str>,
    /// Grows whenever one of them becomes another.
    version: u64,
}

impl<'a> Keys<'a> {
    /// The key number `number` of a line, if it starts at `start` and is the same as before. An equals sign follows it.
    #[inline]
    pub(crate) fn expected(&self, bytes: &[u8], start: usize, number: usize) -> Option<&'a str> {
        let key = *self.known.get(number)?;
        let end = start + key.len();
        let is_same = bytes.get(end) == Some(&b'=') && are_same(&bytes[start..end], key.as_bytes());
        is_same.then_some(key)
    }

    /// A line has this key as its number `number`, and had all before it expected or learned.
    #[cold]
    pub(crate) fn learn(&mut self, key: &'a str, number: usize) {
        self.version += 1;
        self.known.truncate(number);
        let is_plain = lexer::name_end(key.as_bytes(), 0, Stop::FIELD_KEY_OR_COMMA) == key.len();
        if is_plain && !key.is_empty() && self.known.len() == number {
            self.known.push(key);
        }
    }

    /// While this stays the same, so does the key number `n` of all lines that have so many.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version
    }
}

/// Whether texts of the same length are the same. Keys are short: most are covered by two words that may overlap.
#[inline]
fn are_same(one: &[u8], other: &[u8]) -> bool {
    debug_assert_eq!(one.len(), other.len(), "texts of one length");
    let words = |text: &[u8]| {
        let (first, last) = (text.first_chunk()?, text.last_chunk()?);
        Some((u64::from_le_bytes(*first), u64::from_le_bytes(*last)))
    };
    match (one.len(), words(one), words(other)) {
        (..=16, Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}
