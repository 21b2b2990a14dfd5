//! A hash map whose copies share what did not change.
//!
//! A snapshot is copied on every commit, so a copy must not cost as much as the catalog is large. The entries lie in
//! a fixed number of shards behind `Arc`: cloning the map clones one pointer, and changing an entry copies its shard
//! alone. Not a general container: no order, and nothing may depend on the order of [`SharedMap::iter`].

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

/// A power of two; ten thousand entries make shards of about 160.
const SHARDS: usize = 64;

type Shard<K, V> = Arc<HashTable<(K, V)>>;

pub(crate) struct SharedMap<K, V> {
    hasher: DefaultHashBuilder,
    /// Always `SHARDS` long.
    shards: Arc<Vec<Shard<K, V>>>,
    entries: usize,
}

impl<K, V> SharedMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    /// All entries in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards
            .iter()
            .flat_map(|shard| shard.iter().map(|(key, value)| (key, value)))
    }
}

impl<K: Hash + Eq + Clone, V: Clone> SharedMap<K, V> {
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(key);
        self.shards[shard_of(hash)]
            .find(hash, |(candidate, _)| candidate.borrow() == key)
            .map(|(_, value)| value)
    }

    /// The value of `key` to change in place; its shard is copied first when another map shares it.
    pub(crate) fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(key);
        let shard = Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[shard_of(hash)]);
        shard
            .find_mut(hash, |(candidate, _)| candidate.borrow() == key)
            .map(|(_, value)| value)
    }

    pub(crate) fn contains<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// Sets the value of `key`; returns the one it had.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let hash = self.hasher.hash_one(&key);
        let hasher = &self.hasher;
        let shard = Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[shard_of(hash)]);
        let entry = shard.entry(
            hash,
            |(candidate, _)| *candidate == key,
            |(other, _)| hasher.hash_one(other),
        );
        match entry {
            Entry::Occupied(mut present) => {
                Some(std::mem::replace(&mut present.get_mut().1, value))
            }
            Entry::Vacant(free) => {
                free.insert((key, value));
                self.entries += 1;
                None
            }
        }
    }

    pub(crate) fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(key);
        let shard = Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[shard_of(hash)]);
        let found = shard
            .find_entry(hash, |(candidate, _)| candidate.borrow() == key)
            .ok()?;
        self.entries -= 1;
        Some(found.remove().0.1)
    }
}

/// Bits that the tables themselves use neither for the slot (the lowest) nor for the tag (the highest).
fn shard_of(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        let empty = Arc::new(HashTable::new());
        Self {
            hasher: DefaultHashBuilder::default(),
            shards: Arc::new((0..SHARDS).map(|_| Arc::clone(&empty)).collect()),
            entries: 0,
        }
    }
}

impl<K, V> Clone for SharedMap<K, V> {
    fn clone(&self) -> Self {
        Self {
            hasher: self.hasher.clone(),
            shards: Arc::clone(&self.shards),
            entries: self.entries,
        }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_what_it_had() {
        let mut map: SharedMap<Arc<str>, u32> = SharedMap::default();
        for number in 0..1_000 {
            assert_eq!(map.insert(number.to_string().into(), number), None);
        }
        let before = map.clone();
        assert_eq!(map.insert("7".into(), 77), Some(7));
        assert_eq!(map.remove("8"), Some(8));
        assert_eq!(map.remove("8"), None);
        assert_eq!((map.len(), before.len()), (999, 1_000));
        assert_eq!((map.get("7"), map.get("8")), (Some(&77), None));
        assert_eq!((before.get("7"), before.get("8")), (Some(&7), Some(&8)));
        assert_eq!(
            before.iter().map(|(_, number)| *number).sum::<u32>(),
            499_500
        );
        assert!(!map.contains("x"));
    }
}
