//! Series by their raw text: what a line's measurement and tags, as written, were found to mean before.
//!
//! Senders repeat themselves: a line is most often of the series that followed last time. Texts stand one after the other in
//! the order they were first met, so looking at the next one first costs a comparison of bytes that are already on their way
//! from memory, however many series there are.

use std::hash::BuildHasher;
use std::sync::Arc;

use catalog::{DatabaseId, TableId};
use hashbrown::hash_table::Entry as Slot;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use parking_lot::RwLock;

/// Bytes of one database's texts at which everything is forgotten and learned again.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// Bytes that an entry takes besides its text.
const ENTRY_BYTES: usize = size_of::<Entry>() + 8;

/// What a raw series text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pub table: TableId,
    /// Series number in the table.
    pub series: u32,
}

/// The known texts of every database.
#[derive(Debug, Default)]
pub struct KnownSeries {
    databases: RwLock<HashMap<DatabaseId, Arc<RwLock<Texts>>>>,
}

/// The known texts of one database.
#[derive(Debug, Default)]
pub struct Texts {
    /// All texts, one after the other.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Indices into `entries`.
    by_hash: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    start: u32,
    end: u32,
    known: Known,
}

/// Where the next text is expected.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected(u32);

impl KnownSeries {
    pub fn database(&self, database: DatabaseId) -> Arc<RwLock<Texts>> {
        if let Some(found) = self.databases.read().get(&database) {
            return Arc::clone(found);
        }
        Arc::clone(self.databases.write().entry(database).or_default())
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let databases = self.databases.read();
        databases.values().map(|texts| texts.read().held()).sum()
    }
}

impl Texts {
    /// What `text` means, looked for first where it is expected; the one behind it is expected next.
    #[inline]
    pub fn get(&self, text: &str, expected: &mut Expected) -> Option<Known> {
        let found = match self.entries.get(expected.0 as usize) {
            Some(entry) if self.text(entry) == text.as_bytes() => {
                expected.0 += 1;
                return Some(entry.known);
            }
            _ => self.find(text)?,
        };
        expected.0 = found + 1;
        Some(self.entries[found as usize].known)
    }

    fn find(&self, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text.as_bytes());
        let is_same = |at: &u32| {
            let entry = &self.entries[*at as usize];
            entry.hash == hash && self.text(entry) == text.as_bytes()
        };
        self.by_hash.find(hash, is_same).copied()
    }

    #[inline]
    fn text(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.start as usize..entry.end as usize]
    }

    fn held(&self) -> usize {
        self.bytes.len() + self.entries.len() * ENTRY_BYTES
    }

    /// Learns a text; one that is known already keeps its place.
    pub fn insert(&mut self, text: &str, known: Known) {
        if self.held() + text.len() > TEXT_BYTES_MAX {
            *self = Self::default();
        }
        let hash = self.hasher.hash_one(text.as_bytes());
        let (bytes, entries) = (&self.bytes, &self.entries);
        let is_same = |at: &u32| {
            let entry = &entries[*at as usize];
            entry.hash == hash
                && bytes[entry.start as usize..entry.end as usize] == *text.as_bytes()
        };
        let hash_of = |at: &u32| entries[*at as usize].hash;
        match self.by_hash.entry(hash, is_same, hash_of) {
            Slot::Occupied(place) => self.entries[*place.get() as usize].known = known,
            Slot::Vacant(place) => {
                // Both stay far below what 32 bits can count: see `TEXT_BYTES_MAX`.
                place.insert(self.entries.len() as u32);
                let start = self.bytes.len() as u32;
                self.bytes.extend_from_slice(text.as_bytes());
                self.entries.push(Entry {
                    hash,
                    start,
                    end: self.bytes.len() as u32,
                    known,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(series: u32) -> Known {
        Known {
            table: TableId(1),
            series,
        }
    }

    #[test]
    fn texts_are_found_in_order_and_out_of_it() {
        let mut texts = Texts::default();
        for number in 0..1000 {
            texts.insert(&format!("cpu,host=h{number}"), known(number));
        }
        texts.insert("cpu,host=h3", known(3));
        let mut expected = Expected::default();
        for number in (0..1000).chain((0..1000).rev()) {
            let found = texts.get(&format!("cpu,host=h{number}"), &mut expected);
            assert_eq!(found, Some(known(number)));
        }
        assert_eq!(texts.get("cpu,host=h1000", &mut expected), None);
        assert_eq!(texts.entries.len(), 1000);
    }

    #[test]
    fn too_many_texts_are_learned_again() {
        let mut texts = Texts::default();
        let long = "x".repeat(1 << 20);
        for number in 0..200 {
            texts.insert(&format!("{long}{number}"), known(number));
            assert!(texts.held() <= TEXT_BYTES_MAX + (2 << 20));
        }
        let mut expected = Expected(77);
        assert_eq!(
            texts.get(&format!("{long}199"), &mut expected),
            Some(known(199))
        );
        assert_eq!(texts.get(&format!("{long}0"), &mut expected), None);
    }
}
