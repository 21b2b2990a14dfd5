//! The memory of results that must be whole before they are sent (pretty, parquet), shared by all such responses of a node.
//!
//! Not here: the memory of the queries themselves (`query`); rows that leave as they come need none of this.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Format;
use crate::Error;

/// A number of bytes that whole results may take together.
#[derive(Debug)]
pub(crate) struct WholeResults {
    bytes_max: usize,
    bytes: AtomicUsize,
}

impl WholeResults {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            bytes: AtomicUsize::new(0),
        }
    }

    /// Bytes taken now.
    pub(crate) fn used_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// A result that has no bytes yet.
    pub(crate) fn begin(self: &Arc<Self>, format: Format) -> WholeResult {
        WholeResult {
            shared: Arc::clone(self),
            format,
            bytes: 0,
        }
    }
}

/// The share of one result; given back when dropped.
pub(crate) struct WholeResult {
    shared: Arc<WholeResults>,
    format: Format,
    bytes: usize,
}

impl WholeResult {
    /// Changes the share to `bytes`.
    ///
    /// Errors: `Invalid` when this result alone is larger than all may be together, `Unavailable` when others leave too little.
    pub(crate) fn resize(&mut self, bytes: usize) -> Result<(), Error> {
        let bytes_max = self.shared.bytes_max;
        if bytes > bytes_max {
            return Err(Error::invalid(format!(
                "the result is larger than {bytes_max} bytes, too much for format {}: ask for json, jsonl or csv, or for fewer rows",
                self.format.name()
            )));
        }
        let own = self.bytes;
        self.shared
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |all| {
                (all - own)
                    .checked_add(bytes)
                    .filter(|all| *all <= bytes_max)
            })
            .map_err(|_| {
                Error::unavailable("this service is overloaded, please try again later")
            })?;
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for WholeResult {
    fn drop(&mut self) {
        self.shared.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl fmt::Debug for WholeResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WholeResult({} bytes)", self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn results_share_their_memory_and_give_it_back() {
        let all = Arc::new(WholeResults::new(100));
        let kind = |outcome: Result<(), Error>| outcome.err().map(|error| error.kind());
        let mut first = all.begin(Format::Pretty);
        let mut second = all.begin(Format::Parquet);
        assert_eq!(kind(first.resize(60)), None);
        assert_eq!(kind(second.resize(40)), None);
        assert_eq!(kind(second.resize(41)), Some(ErrorKind::Unavailable));
        assert_eq!(kind(second.resize(101)), Some(ErrorKind::Invalid));
        assert_eq!(kind(first.resize(10)), None);
        assert_eq!(kind(second.resize(90)), None);
        drop(second);
        assert_eq!(kind(first.resize(100)), None);
        drop(first);
        assert_eq!(all.bytes.load(Ordering::Relaxed), 0);
    }
}
