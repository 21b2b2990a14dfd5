//! What is kept of files for the next query, within a bound of bytes: footers, and the pages that queries read.
//!
//! One cache serves all tables of an engine; half of it is for footers. What is evicted is read again when it is needed. Pages are kept
//! twice: their bytes as the file has them, checked, so that a store need not be asked, and their values, so that nothing is decoded; a dashboard
//! asks for the same again. What is asked for stays. Not here: what a footer says ([`super::Footer`]), reading ([`super::read`], [`super::pages`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef};
use bytes::Bytes;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::Footer;
use crate::Error;

/// A guess of a footer's size, for the first allocation only.
const FOOTER_BYTES_USUAL: u64 = 64 << 10;

/// The same of a page, as it is in the file or as values.
const PAGE_BYTES_USUAL: u64 = 16 << 10;

/// A page of a file, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct PageKey {
    file: u64,
    start: u64,
    /// Its values, not its bytes.
    values: bool,
}

#[derive(Clone, Debug)]
enum KeptPage {
    Bytes(Bytes),
    Values(ArrayRef),
}

/// Footers by file id, and pages by where they start.
#[derive(Debug)]
pub struct FileCache {
    footers: Cache<u64, Arc<Footer>, Weight>,
    pages: Cache<PageKey, KeptPage, Weight>,
    hits: AtomicU64,
    misses: AtomicU64,
    page_hits: AtomicU64,
    page_misses: AtomicU64,
}

/// Weighs in bytes.
#[derive(Clone, Debug)]
struct Weight;

impl Weighter<u64, Arc<Footer>> for Weight {
    fn weight(&self, _: &u64, footer: &Arc<Footer>) -> u64 {
        footer.memory_bytes as u64
    }
}

impl Weighter<PageKey, KeptPage> for Weight {
    fn weight(&self, _: &PageKey, page: &KeptPage) -> u64 {
        let held = match page {
            KeptPage::Bytes(bytes) => bytes.len(),
            KeptPage::Values(values) => values.get_array_memory_size(),
        };
        (held + size_of::<(PageKey, KeptPage)>()) as u64
    }
}

/// What a cache holds and how often it helped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatistics {
    pub footers: u64,
    pub footer_bytes: u64,
    pub page_bytes: u64,
    /// Of footers and pages together.
    pub bytes_max: u64,
    pub hits: u64,
    /// Footers that had to be read, or waited for while someone else did.
    pub misses: u64,
    pub page_hits: u64,
    /// Pages that had to be read.
    pub page_misses: u64,
}

/// A cache of at most so many bytes.
fn bounded<K, V>(bytes_max: u64, bytes_usual: u64) -> Cache<K, V, Weight>
where
    K: Eq + std::hash::Hash + Clone,
    V: Clone,
    Weight: Weighter<K, V>,
{
    let options = OptionsBuilder::new()
        .weight_capacity(bytes_max)
        .estimated_items_capacity((bytes_max / bytes_usual).max(16) as usize)
        // Each shard has its part of the bound; one may use all of it.
        .shards(1)
        .build()
        .expect("capacity and items are given");
    Cache::with_options(
        options,
        Weight,
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}

impl FileCache {
    /// `bytes_max` bounds what is kept. What is larger than its half is given out, and not kept.
    pub fn new(bytes_max: usize) -> Self {
        let half = bytes_max as u64 / 2;
        Self {
            footers: bounded(bytes_max as u64 - half, FOOTER_BYTES_USUAL),
            pages: bounded(half, PAGE_BYTES_USUAL),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            page_hits: AtomicU64::new(0),
            page_misses: AtomicU64::new(0),
        }
    }

    /// The bytes of a page that were kept.
    pub fn page(&self, file: u64, start: u64) -> Option<Bytes> {
        let values = false;
        let found = match self.pages.get(&PageKey {
            file,
            start,
            values,
        }) {
            Some(KeptPage::Bytes(bytes)) => Some(bytes),
            _ => None,
        };
        let counter = match found {
            Some(_) => &self.page_hits,
            None => &self.page_misses,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps the bytes of a page, which are checked. They are copied: a store may hand out parts of something larger.
    pub fn keep_page(&self, file: u64, start: u64, bytes: &Bytes) {
        let bytes = KeptPage::Bytes(Bytes::copy_from_slice(bytes));
        let values = false;
        self.pages.insert(
            PageKey {
                file,
                start,
                values,
            },
            bytes,
        );
    }

    /// The values of a page that were kept.
    pub fn values(&self, file: u64, start: u64) -> Option<ArrayRef> {
        let values = true;
        match self.pages.get(&PageKey {
            file,
            start,
            values,
        }) {
            Some(KeptPage::Values(values)) => {
                self.page_hits.fetch_add(1, Ordering::Relaxed);
                Some(values)
            }
            _ => None,
        }
    }

    /// Keeps the values of a page.
    pub fn keep_values(&self, file: u64, start: u64, values: &ArrayRef) {
        let kept = KeptPage::Values(ArrayRef::clone(values));
        let values = true;
        self.pages.insert(
            PageKey {
                file,
                start,
                values,
            },
            kept,
        );
    }

    /// The footer of a file, read if it is not there. Whoever asks for the same file meanwhile waits for the one reading.
    pub async fn get(
        &self,
        file: u64,
        read: impl Future<Output = Result<Footer, Error>>,
    ) -> Result<Arc<Footer>, Error> {
        if let Some(footer) = self.footers.get(&file) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(footer);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let reading = async { read.await.map(Arc::new) };
        self.footers.get_or_insert_async(&file, reading).await
    }

    /// Lets go of a file's footer.
    pub fn remove(&self, file: u64) {
        self.footers.remove(&file);
    }

    pub fn statistics(&self) -> CacheStatistics {
        let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheStatistics {
            footers: self.footers.len() as u64,
            footer_bytes: self.footers.weight(),
            page_bytes: self.pages.weight(),
            bytes_max: self.footers.capacity() + self.pages.capacity(),
            hits: counted(&self.hits),
            misses: counted(&self.misses),
            page_hits: counted(&self.page_hits),
            page_misses: counted(&self.page_misses),
        }
    }
}
