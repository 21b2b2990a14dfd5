//! The log in an object store: one object per flush, created only if its name is free.
//!
//! Objects are numbered without gaps while they are written, and a writer never moves on from a number until an object of its own
//! epoch is known to stand there. So two processes that write always meet at one number, and the store says whose it
//! is. For the same reason some objects outlive their content, as empty *marks*: see [`ObjectLog::remove_through`].

use std::collections::{BTreeMap, BTreeSet};

use runtime::object_store::cas::{self, Created};
use runtime::object_store::{ObjectStoreExt, PutPayload, Store, store_error};
use tokio::runtime::Handle;

use super::format::v1::{SegmentHeader, encode_segment_header};
use super::{Sealed, SealedSegment};
use crate::paths::Paths;
use crate::{Error, ErrorKind};

/// Marks that are kept. A process that so many starts have passed by is taken to be gone.
const MARKS_MAX: usize = 10_000;

/// The log in an object store. Used from a thread of its own, which waits for the store.
#[derive(Debug)]
pub struct ObjectLog {
    store: Store,
    paths: Paths,
    /// Where the store's futures run.
    handle: Handle,
    epoch: u64,
    /// No object of ours is known to stand there yet; one may.
    next_number: u64,
    /// Objects with frames.
    sealed: Sealed,
    /// Objects without.
    marks: BTreeSet<u64>,
}

/// The error of a process that finds another one's object at its number. Nothing may be written any more.
pub(super) fn taken_over() -> Error {
    Error::conflict("another process has written to the WAL ahead of this one")
}

impl ObjectLog {
    /// Continues behind `fence`, which this process has created; `sealed` is what stands before it.
    pub fn new(
        store: Store,
        paths: Paths,
        handle: Handle,
        epoch: u64,
        fence: u64,
        sealed: Sealed,
    ) -> Self {
        let (marks, segments) = sealed
            .segments
            .into_iter()
            .partition(|(_, segment)| segment.last_sequence == 0 && !segment.damaged);
        let marks: BTreeMap<u64, SealedSegment> = marks;
        let mut marks: BTreeSet<u64> = marks.into_keys().collect();
        marks.insert(fence);
        Self {
            store,
            paths,
            handle,
            epoch,
            next_number: fence + 1,
            sealed: Sealed { segments },
            marks,
        }
    }

    /// Makes `frames` durable as one object. After any error but `Conflict` they may be stored: the next append must be of the same
    /// frames, which finds out.
    ///
    /// Errors: `Conflict` when the log is somebody else's, `Unavailable` when the store did not say.
    pub fn append(&mut self, frames: &[u8], last_sequence: u64) -> Result<(), Error> {
        let path = self.paths.wal_segment(self.next_number);
        let mut object = Vec::with_capacity(frames.len() + 32);
        object.extend(self.header(self.next_number));
        object.extend_from_slice(frames);
        let create = cas::create(&self.store, &path, object.into());
        match self.handle.block_on(create)? {
            Created::Yes => {
                let segment = SealedSegment {
                    last_sequence,
                    damaged: false,
                };
                self.sealed.segments.insert(self.next_number, segment);
                self.next_number += 1;
                Ok(())
            }
            Created::Taken => Err(taken_over()),
        }
    }

    fn header(&self, number: u64) -> [u8; super::format::v1::SEGMENT_HEADER_BYTES] {
        encode_segment_header(SegmentHeader {
            epoch: self.epoch,
            number,
        })
    }

    /// Removes what holds nothing above `sequence`, but for three kinds of objects.
    ///
    /// The newest stays, or a later start would not know where the numbers are. A mark stays, because it may be what an older process
    /// is to run into. And the object before a mark becomes a mark: its writer may never have heard that it was stored, and
    /// would find its number free again.
    pub fn remove_through(&mut self, sequence: u64) {
        let newest = self.next_number - 1;
        for (number, segment) in self.sealed.take_through(sequence) {
            if number == newest {
                self.sealed.segments.insert(number, segment);
            } else if segment.damaged {
                // Left for people to look at; the next start finds it again.
            } else if self.marks.contains(&(number + 1)) {
                self.make_mark(number, segment);
            } else {
                self.remove(number);
            }
        }
        while self.marks.len() > MARKS_MAX {
            if let Some(oldest) = self.marks.pop_first() {
                self.remove(oldest);
            }
        }
    }

    fn make_mark(&mut self, number: u64, segment: SealedSegment) {
        let path = self.paths.wal_segment(number);
        let mark = PutPayload::from(self.header(number).to_vec());
        match self.handle.block_on(self.store.put(&path, mark)) {
            Ok(_) => {
                self.marks.insert(number);
            }
            Err(cause) => {
                let fault = store_error("empty", &path, cause);
                tracing::warn!(error = %fault, "cannot empty a log object; it is tried again later");
                self.sealed.segments.insert(number, segment);
            }
        }
    }

    fn remove(&self, number: u64) {
        let path = self.paths.wal_segment(number);
        if let Err(cause) = self.handle.block_on(self.store.delete(&path)) {
            let fault = store_error("remove", &path, cause);
            if fault.kind() != ErrorKind::NotFound {
                // It holds nothing that is not in files; the next start removes it.
                tracing::warn!(error = %fault, "cannot remove a log object");
            }
        }
    }
}
