//! The footers of files kept for the next query, within a bound of bytes.
//!
//! One cache serves all tables of an engine. What is evicted is read again when it is needed. Not here: what a footer says
//! ([`super::Footer`]), reading it ([`super::read`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::Footer;
use crate::Error;

/// A guess of a footer's size, for the first allocation only.
const FOOTER_BYTES_USUAL: u64 = 64 << 10;

/// Footers by file id.
#[derive(Debug)]
pub struct FooterCache {
    footers: Cache<u64, Arc<Footer>, FooterBytes>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Clone, Debug)]
struct FooterBytes;

impl Weighter<u64, Arc<Footer>> for FooterBytes {
    fn weight(&self, _: &u64, footer: &Arc<Footer>) -> u64 {
        footer.memory_bytes as u64
    }
}

/// What a cache holds and how often it helped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatistics {
    pub footers: u64,
    pub bytes: u64,
    pub bytes_max: u64,
    pub hits: u64,
    /// Footers that had to be read, or waited for while someone else did.
    pub misses: u64,
}

impl FooterCache {
    /// `bytes_max` bounds what is kept. A footer larger than all of it is given out, and not kept.
    pub fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max as u64;
        let options = OptionsBuilder::new()
            .weight_capacity(bytes_max)
            .estimated_items_capacity((bytes_max / FOOTER_BYTES_USUAL).max(16) as usize)
            // Each shard has its part of the bound; one may use all of it.
            .shards(1)
            .build()
            .expect("capacity and items are given");
        Self {
            footers: Cache::with_options(
                options,
                FooterBytes,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
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
        CacheStatistics {
            footers: self.footers.len() as u64,
            bytes: self.footers.weight(),
            bytes_max: self.footers.capacity(),
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }
}
