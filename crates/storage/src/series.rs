//! Series: which tag values a row belongs to, as one small number.
//!
//! [`SeriesKey`] is a series' identity in bytes that sort like its tag values; [`SeriesTable`] numbers the series of one
//! table for the life of the process and keeps each tag string once. Keys are durable (log, file footers), numbers are not.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow::datatypes::Int32Type;
use hashbrown::HashMap;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The identity of a series within its table.
///
/// For each tag of the series key in order: `1` for a missing tag; else `2`, the value with `0` written `0 255`, then `0 1`.
/// Missing tags at the end are left out, so that a key stays the same when the table gets more tags. Keys compare like the
/// tag values do, a missing tag before any value.
pub type SeriesKey = Arc<[u8]>;

const MISSING: u8 = 1;
const PRESENT: u8 = 2;

/// Encodes tag values in series-key order into `key`, which is cleared first.
pub fn encode_series_key<'a>(values: impl Iterator<Item = Option<&'a str>>, key: &mut Vec<u8>) {
    key.clear();
    let mut missing = 0;
    for value in values {
        let Some(value) = value else {
            missing += 1;
            continue;
        };
        key.extend(std::iter::repeat_n(MISSING, missing));
        missing = 0;
        key.push(PRESENT);
        for &byte in value.as_bytes() {
            key.push(byte);
            if byte == 0 {
                key.push(255);
            }
        }
        key.extend([0, 1]);
    }
}

/// The tag values of a key in series-key order, missing ones at the end left out; `None` when `key` is not one.
pub fn decode_series_key(key: &[u8]) -> Option<Vec<Option<String>>> {
    let mut values = Vec::new();
    let mut rest = key;
    while let Some((&marker, after)) = rest.split_first() {
        rest = after;
        match marker {
            MISSING => values.push(None),
            PRESENT => {
                let mut value = Vec::new();
                loop {
                    let (&byte, after) = rest.split_first()?;
                    rest = after;
                    if byte != 0 {
                        value.push(byte);
                        continue;
                    }
                    let (&kind, after) = rest.split_first()?;
                    rest = after;
                    match kind {
                        255 => value.push(0),
                        1 => break,
                        _ => return None,
                    }
                }
                values.push(Some(String::from_utf8(value).ok()?));
            }
            _ => return None,
        }
    }
    if values.last() == Some(&None) {
        return None;
    }
    Some(values)
}

/// The series of one table, numbered from 0 in the order they were met.
#[derive(Debug, Default)]
pub struct SeriesTable {
    keys: Vec<SeriesKey>,
    numbers: HashMap<SeriesKey, u32>,
    /// One per tag of the series key that any series has.
    tags: Vec<TagValues>,
    /// `ranks[number]`: the place of a series when all are sorted by key; out of date when shorter than `keys`.
    ranks: Vec<u32>,
    bytes: usize,
}

/// Some series of a table, sorted by key.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// Series numbers.
    pub by_rank: Vec<u32>,
    rank_of: Vec<u32>,
}

impl Ranking {
    const UNUSED: u32 = u32::MAX;

    /// The place of a series, if it is one of them.
    pub fn rank(&self, number: u32) -> Option<u32> {
        let rank = *self.rank_of.get(number as usize)?;
        (rank != Self::UNUSED).then_some(rank)
    }
}

/// The values of one tag, each once.
#[derive(Debug, Default)]
struct TagValues {
    values: Vec<Arc<str>>,
    codes: HashMap<Arc<str>, i32>,
    /// By series number: an index into `values`, or -1. May be shorter than the series: the rest is -1.
    of_series: Vec<i32>,
}

impl SeriesTable {
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Bytes held, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn key(&self, number: u32) -> &SeriesKey {
        &self.keys[number as usize]
    }

    pub fn number(&self, key: &[u8]) -> Option<u32> {
        self.numbers.get(key).copied()
    }

    /// The number of `key`, given to it now if it is new; `None` when the bytes are not a key.
    pub fn intern(&mut self, key: &[u8]) -> Option<u32> {
        if let Some(number) = self.number(key) {
            return Some(number);
        }
        let values = decode_series_key(key)?;
        let number = u32::try_from(self.keys.len()).ok()?;
        let key: SeriesKey = key.into();
        self.bytes += key.len() + 64;
        self.keys.push(Arc::clone(&key));
        self.numbers.insert(key, number);
        if values.len() > self.tags.len() {
            self.tags.resize_with(values.len(), TagValues::default);
        }
        for (tag, value) in self.tags.iter_mut().zip(values) {
            let Some(value) = value else { continue };
            tag.of_series.resize(number as usize, -1);
            let code = tag.code(value, &mut self.bytes);
            tag.of_series.push(code);
        }
        Some(number)
    }

    /// Locks a table for [`SeriesTable::ranking`], so that others may read it meanwhile.
    pub fn ranked(table: &RwLock<Self>) -> RwLockReadGuard<'_, Self> {
        let as_it_is = table.read();
        if as_it_is.is_ranked() {
            return as_it_is;
        }
        drop(as_it_is);
        let mut table = table.write();
        table.rank_all();
        RwLockWriteGuard::downgrade(table)
    }

    fn is_ranked(&self) -> bool {
        self.ranks.len() == self.keys.len()
    }

    fn rank_all(&mut self) {
        if self.is_ranked() {
            return;
        }
        let mut sorted: Vec<u32> = (0..self.keys.len() as u32).collect();
        sorted.sort_unstable_by(|a, b| self.key(*a).cmp(self.key(*b)));
        let mut ranks = vec![0; sorted.len()];
        for (rank, number) in sorted.into_iter().enumerate() {
            ranks[number as usize] = rank as u32;
        }
        self.ranks = ranks;
    }

    /// Gives each of `used` (in any order, repeats allowed) its place among them, sorted by key. The table must have come from
    /// [`SeriesTable::ranked`].
    pub fn ranking(&self, used: impl Iterator<Item = u32>) -> Ranking {
        assert!(self.is_ranked(), "a table is ranked before it ranks others");
        let ranks = &self.ranks;
        let mut rank_of = vec![Ranking::UNUSED; self.keys.len()];
        let mut by_rank = Vec::new();
        for number in used {
            let rank = &mut rank_of[number as usize];
            if *rank == Ranking::UNUSED {
                *rank = 0;
                by_rank.push(number);
            }
        }
        by_rank.sort_unstable_by_key(|number| ranks[*number as usize]);
        for (rank, number) in by_rank.iter().enumerate() {
            rank_of[*number as usize] = rank as u32;
        }
        Ranking { by_rank, rank_of }
    }

    /// The values of the tag at `position` in the series key for `series`, as `Dictionary(Int32, Utf8)` of only the values in use.
    pub fn tag_column(&self, position: usize, series: &[u32]) -> DictionaryArray<Int32Type> {
        let (codes, values) = self.tag_codes(position, series);
        DictionaryArray::new(codes, values)
    }

    /// The two halves of [`SeriesTable::tag_column`]: a code for each of `series`, and the values they mean.
    pub fn tag_codes(&self, position: usize, series: &[u32]) -> (Int32Array, ArrayRef) {
        let tag = self.tags.get(position);
        let mut compact = HashMap::new();
        let mut used: Vec<&str> = Vec::new();
        let codes: Int32Array = series
            .iter()
            .map(|number| {
                let tag = tag?;
                let code = *tag.of_series.get(*number as usize)?;
                let value = tag.values.get(usize::try_from(code).ok()?)?;
                Some(*compact.entry(code).or_insert_with(|| {
                    used.push(value);
                    used.len() as i32 - 1
                }))
            })
            .collect();
        (codes, Arc::new(StringArray::from(used)))
    }
}

impl TagValues {
    fn code(&mut self, value: String, bytes: &mut usize) -> i32 {
        if let Some(code) = self.codes.get(value.as_str()) {
            return *code;
        }
        let value: Arc<str> = value.into();
        *bytes += value.len() + 64;
        // Fewer values than series, and series are numbered by u32: a code fits until memory is long gone.
        let code = self.values.len() as i32;
        self.values.push(Arc::clone(&value));
        self.codes.insert(value, code);
        code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(values: &[Option<&str>]) -> Vec<u8> {
        let mut key = Vec::new();
        encode_series_key(values.iter().copied(), &mut key);
        key
    }

    #[test]
    fn keys_round_trip_and_ignore_missing_tags_at_the_end() {
        for values in [
            &[][..],
            &[Some("a")],
            &[None, Some("b")],
            &[Some(""), None, Some("c\0d\u{1}")],
        ] {
            let decoded = decode_series_key(&key(values)).expect("a key");
            let decoded: Vec<Option<&str>> = decoded.iter().map(Option::as_deref).collect();
            assert_eq!(decoded, values);
        }
        assert_eq!(key(&[Some("a"), None, None]), key(&[Some("a")]));
        assert_eq!(decode_series_key(&[7]), None);
        assert_eq!(decode_series_key(&[PRESENT, b'a']), None);
    }

    #[test]
    fn keys_sort_like_their_values() {
        let sorted = [
            key(&[]),
            key(&[None, Some("z")]),
            key(&[Some("")]),
            key(&[Some("\0")]),
            key(&[Some("\0\0")]),
            key(&[Some("\u{1}")]),
            key(&[Some("a")]),
            key(&[Some("a"), Some("b")]),
            key(&[Some("a\0")]),
            key(&[Some("ab"), None, Some("x")]),
            key(&[Some("ab"), Some("a")]),
            key(&[Some("b")]),
        ];
        assert!(sorted.is_sorted());
    }

    #[test]
    fn a_table_numbers_ranks_and_shows_tags() {
        let mut table = SeriesTable::default();
        let b = table.intern(&key(&[Some("b")])).expect("key");
        let none = table.intern(&key(&[])).expect("key");
        let a = table.intern(&key(&[Some("a"), Some("x")])).expect("key");
        assert_eq!(table.intern(&key(&[Some("b")])), Some(b));
        table.rank_all();
        assert_eq!(table.ranks, [2, 0, 1]);
        let (codes, values) = table.tag_codes(0, &[a, none, a, b]);
        assert_eq!(
            codes,
            Int32Array::from(vec![Some(0), None, Some(0), Some(1)])
        );
        assert_eq!(values.len(), 2);
        let (codes, _) = table.tag_codes(1, &[a, b]);
        assert_eq!(codes, Int32Array::from(vec![Some(0), None]));
    }
}
