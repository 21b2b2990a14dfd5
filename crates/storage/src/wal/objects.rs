//! The log in an object store: one object per flush, created only if its name is free.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use runtime::Clock;
use runtime::object_store::cas::{self, Created};
use runtime::object_store::{ObjectStoreExt, Store, store_error};
use tokio::runtime::Handle;

use super::format::v1::{SegmentHeader, encode_segment_header};
use super::{Sealed, SealedSegment};
use crate::paths::Paths;
use crate::{Error, ErrorKind};

/// The log in an object store. Used from a thread of its own, which waits for the store.
#[derive(Debug)]
pub struct ObjectLog {
    pub store: Store,
    pub paths: Paths,
    pub clock: Arc<dyn Clock>,
    /// Where the store's futures run.
    pub handle: Handle,
    pub epoch: u64,
    pub next_number: u64,
    /// Least time from one flush to the next: what each object costs decides it.
    pub pace: Duration,
    pub last_flush: Option<Duration>,
    pub sealed: Sealed,
}

impl ObjectLog {
    pub fn append(&mut self, frames: &[u8], last_sequence: u64) -> Result<(), Error> {
        let now = self.clock.monotonic();
        if let Some(wait) = self
            .last_flush
            .and_then(|last| (last + self.pace).checked_sub(now))
            .filter(|wait| !wait.is_zero())
        {
            self.handle.block_on(tokio::time::sleep(wait));
        }
        self.last_flush = Some(self.clock.monotonic());
        let number = self.next_number;
        let header = SegmentHeader {
            epoch: self.epoch,
            number,
        };
        let mut object = Vec::with_capacity(frames.len() + 32);
        object.extend(encode_segment_header(header));
        object.extend_from_slice(frames);
        let created = self.handle.block_on(self.create(number, object.into()));
        // A number is used once: an object whose answer was lost may exist, and the next one must not take it for a stranger's.
        self.next_number += 1;
        if !matches!(&created, Err(error) if error.kind() == ErrorKind::Conflict) {
            let segment = SealedSegment {
                last_sequence,
                damaged: false,
            };
            self.sealed.segments.insert(number, segment);
        }
        created
    }

    /// Errors: `Conflict` when the object is somebody else's.
    async fn create(&self, number: u64, object: Bytes) -> Result<(), Error> {
        let path = self.paths.wal_segment(number);
        match cas::create(&self.store, &path, object).await? {
            Created::Yes => Ok(()),
            Created::Taken => Err(Error::conflict(
                "another process has written to the WAL ahead of this one",
            )),
        }
    }

    pub fn remove_through(&mut self, sequence: u64) {
        let gone = self.sealed.take_through(sequence);
        for (number, segment) in gone {
            if segment.damaged {
                continue;
            }
            let path = self.paths.wal_segment(number);
            if let Err(cause) = self.handle.block_on(self.store.delete(&path)) {
                let fault = store_error("remove", &path, cause);
                if fault.kind() == ErrorKind::NotFound {
                    // A flush that failed, and had not stored it after all.
                    continue;
                }
                tracing::warn!(error = %fault, "cannot remove a log object");
            }
        }
    }
}
