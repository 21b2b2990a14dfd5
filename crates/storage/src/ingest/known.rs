//! Series by their raw text: what a line's measurement and tags, as written, were found to mean before.

use std::sync::Arc;

use catalog::{DatabaseId, TableId};
use hashbrown::HashMap;
use parking_lot::RwLock;

/// Bytes of text per database at which everything is forgotten and learned again.
const TEXT_BYTES_MAX: usize = 256 << 20;

/// What a raw series text means.
#[derive(Clone, Copy, Debug)]
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
    texts: HashMap<Box<str>, Known>,
    bytes: usize,
}

impl KnownSeries {
    pub fn database(&self, database: DatabaseId) -> Arc<RwLock<Texts>> {
        if let Some(found) = self.databases.read().get(&database) {
            return Arc::clone(found);
        }
        Arc::clone(self.databases.write().entry(database).or_default())
    }
}

impl Texts {
    #[inline]
    pub fn get(&self, text: &str) -> Option<Known> {
        self.texts.get(text).copied()
    }

    pub fn insert(&mut self, text: &str, known: Known) {
        if self.bytes > TEXT_BYTES_MAX {
            *self = Self::default();
        }
        self.bytes += text.len() + 48;
        self.texts.insert(text.into(), known);
    }
}
