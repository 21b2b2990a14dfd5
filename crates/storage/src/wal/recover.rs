//! Taking over a log at start: replaying what is there and, in an object store, fencing whoever had it before.
//!
//! The manifest's epoch is taken before. In an object store an older process may still be writing: each of its objects takes the
//! next number, and so does our fence, so exactly one of them gets it. What came before the fence is replayed; behind it
//! the older process finds its number taken and stops. Rules and reasons: docs/formats/wal.md.

use std::sync::Arc;

use runtime::World;
use runtime::object_store::cas::{self, Created};
use tokio::runtime::Handle;

use super::bundle::Bundle;
use super::folder::{FolderLock, FolderLog};
use super::format::v1::{SegmentHeader, encode_segment_header};
use super::objects::{ObjectLog, taken_over};
use super::replay::{Replay, Rules, Source};
use super::{LogSettings, Place};
use crate::Error;
use crate::paths::Paths;

/// How often a number that is taken but has no object is tried.
const VANISHED_MAX: usize = 16;

/// What a start knows about the log it takes over.
#[derive(Debug)]
pub struct Recovery<'a> {
    /// Of the log's folder; `None` when the log is in the object store.
    pub lock: Option<FolderLock>,
    pub paths: &'a Paths,
    /// Of this process.
    pub epoch: u64,
    pub rules: Rules,
    pub settings: LogSettings,
    pub world: &'a World,
}

/// A log taken over.
#[derive(Debug)]
pub struct Recovered {
    /// Where to go on.
    pub place: Place,
    /// How many segments were found.
    pub segments: usize,
    /// Of any write met, covered or not.
    pub highest_sequence: u64,
}

/// Gives all writes above the covered sequence to `apply`, in order, and makes the log this process's own.
///
/// Errors: `Conflict` when a newer process has taken the log over meanwhile, `Corrupt` for damage where that is asked for,
/// `Unavailable`.
pub async fn recover(
    recovery: Recovery<'_>,
    mut apply: impl AsyncFnMut(Bundle) -> Result<(), Error>,
) -> Result<Recovered, Error> {
    let world = recovery.world;
    let source = match &recovery.lock {
        Some(lock) => Source::Folder(Arc::from(lock.folder())),
        None => Source::Objects(world.store.clone(), recovery.paths.clone()),
    };
    let rules = recovery.rules.clone();
    let mut replay = Replay::new(source, recovery.epoch, rules, recovery.settings);
    replay.all(&world.tasks, &mut apply).await?;
    let segments = replay.sealed.segments.len();
    let place = match recovery.lock {
        Some(lock) => {
            let next_number = replay.next_number();
            Place::Folder(FolderLog::new(
                lock,
                recovery.epoch,
                next_number,
                std::mem::take(&mut replay.sealed),
            ))
        }
        None => {
            let fence = fence(&mut replay, &recovery, &mut apply).await?;
            Place::Objects(ObjectLog::new(
                world.store.clone(),
                recovery.paths.clone(),
                Handle::current(),
                recovery.epoch,
                fence,
                std::mem::take(&mut replay.sealed),
            ))
        }
    };
    Ok(Recovered {
        place,
        segments,
        highest_sequence: replay.highest_sequence,
    })
}

/// Creates this process's fence at the next free number, replaying what an older process puts before it.
async fn fence(
    replay: &mut Replay,
    recovery: &Recovery<'_>,
    apply: &mut impl AsyncFnMut(Bundle) -> Result<(), Error>,
) -> Result<u64, Error> {
    let store = &recovery.world.store;
    let mut vanished = 0;
    loop {
        let number = replay.next_number();
        let path = recovery.paths.wal_segment(number);
        let header = encode_segment_header(SegmentHeader {
            epoch: recovery.epoch,
            number,
        });
        match cas::create(store, &path, header.to_vec().into()).await? {
            Created::Yes => return Ok(number),
            Created::Taken => match cas::read(store, &path).await? {
                Some(bytes) => replay.one(number, bytes, apply).await?,
                // Only a newer process removes at this place, and it says so when we look at its next object.
                None if vanished < VANISHED_MAX => vanished += 1,
                None => return Err(taken_over()),
            },
        }
    }
}
