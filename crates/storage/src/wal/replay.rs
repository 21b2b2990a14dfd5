//! Reading the log back at start: every frame above what files already cover, in order.
//!
//! A few segments are read and decoded ahead while one is applied. Damage is reported with segment and offset and costs only what
//! it hit: a torn end (a flush that was never acknowledged) ends its segment; a damaged frame with a sound header is passed over.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use runtime::Tasks;
use runtime::object_store::{Store, cas, store_error};

use super::format::v1::{DecodedBatch, SEGMENT_HEADER_BYTES, decode_segment_header, next_frame};
use super::objects::taken_over;
use super::{LogSettings, Sealed, SealedSegment};
use crate::Error;
use crate::paths::{Paths, number_in_name, wal_segment_name};

/// Where the segments to read are.
#[derive(Clone, Debug)]
pub enum Source {
    Folder(Arc<Path>),
    Objects(Store, Paths),
}

/// A segment that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    number: u64,
    /// A header and nothing else, which need not be read.
    is_mark: bool,
}

impl Source {
    /// All segments, by number.
    async fn list(&self) -> Result<Vec<Found>, Error> {
        let mut found: Vec<Found> = match self {
            Self::Folder(folder) => folder_segments(folder).map_err(|cause| {
                Error::unavailable(format!("cannot list log folder {}", folder.display()))
                    .with_source(cause)
            })?,
            Self::Objects(store, paths) => {
                let folder = paths.wal();
                store
                    .list(Some(&folder))
                    .try_collect::<Vec<_>>()
                    .await
                    .map_err(|cause| store_error("list", &folder, cause))?
                    .iter()
                    .filter_map(|object| {
                        let number = number_in_name(object.location.filename()?, "wal")?;
                        let is_mark = object.size == SEGMENT_HEADER_BYTES as u64;
                        Some(Found { number, is_mark })
                    })
                    .collect()
            }
        };
        found.sort_unstable_by_key(|segment| segment.number);
        if let Some(newest) = found.last_mut() {
            // Who wrote last must be known.
            newest.is_mark = false;
        }
        Ok(found)
    }

    /// A segment's bytes, whole: at most a segment's size and one flush. `None` when it is gone.
    async fn read(&self, number: u64, tasks: &Tasks) -> Result<Option<Bytes>, Error> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(wal_segment_name(number));
                let read = {
                    let path = path.clone();
                    tasks.blocking(move || fs::read(path)).await?
                };
                read.map(|bytes| Some(Bytes::from(bytes))).map_err(|cause| {
                    Error::unavailable(format!("cannot read log segment {}", path.display()))
                        .with_source(cause)
                })
            }
            Self::Objects(store, paths) => cas::read(store, &paths.wal_segment(number)).await,
        }
    }

    /// How operators know the segment.
    fn name(&self, number: u64) -> String {
        match self {
            Self::Folder(folder) => folder.join(wal_segment_name(number)).display().to_string(),
            Self::Objects(_, paths) => paths.wal_segment(number).to_string(),
        }
    }
}

fn folder_segments(folder: &Path) -> io::Result<Vec<Found>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| number_in_name(name, "wal"));
        segments.extend(number.map(|number| Found {
            number,
            is_mark: false,
        }));
    }
    Ok(segments)
}

/// What one segment held.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Of the whole segment.
    pub bytes: usize,
    /// Of the process that wrote it; `None` when that cannot be read.
    pub epoch: Option<u64>,
    /// Above the covered sequence, in order.
    pub writes: Vec<(u64, Vec<DecodedBatch>)>,
    /// Of any frame in it, covered or not; 0 when it has none.
    pub last_sequence: u64,
    pub damage: Vec<Damage>,
}

/// Something in a segment that could not be read.
#[derive(Debug)]
pub struct Damage {
    /// Bytes from the start of the segment.
    pub offset: usize,
    pub error: Error,
    /// Nothing behind it could be read either.
    pub ends_segment: bool,
}

/// Reads a segment's frames above `covered`. Pure.
pub fn read_segment(bytes: &[u8], covered: u64) -> Replayed {
    let mut replayed = Replayed {
        bytes: bytes.len(),
        ..Replayed::default()
    };
    match decode_segment_header(bytes) {
        Ok(header) => replayed.epoch = Some(header.epoch),
        Err(error) => {
            replayed.damage.push(Damage {
                offset: 0,
                error,
                ends_segment: true,
            });
            return replayed;
        }
    }
    let mut offset = SEGMENT_HEADER_BYTES;
    loop {
        let frame = match next_frame(&bytes[offset..]) {
            Ok(Some(frame)) => frame,
            Ok(None) => return replayed,
            Err(error) => {
                replayed.damage.push(Damage {
                    offset,
                    error,
                    ends_segment: true,
                });
                return replayed;
            }
        };
        replayed.last_sequence = replayed.last_sequence.max(frame.sequence);
        if frame.sequence > covered {
            match frame.decode() {
                Ok(batches) => replayed.writes.push((frame.sequence, batches)),
                Err(error) => replayed.damage.push(Damage {
                    offset,
                    error,
                    ends_segment: false,
                }),
            }
        }
        offset += frame.bytes;
    }
}

/// Reads a segment off the threads that wait. `None` when it is gone.
async fn read_and_decode(
    source: Source,
    tasks: Tasks,
    number: u64,
    covered: u64,
) -> Result<Option<Replayed>, Error> {
    let Some(bytes) = source.read(number, &tasks).await? else {
        return Ok(None);
    };
    tasks
        .blocking(move || Some(read_segment(&bytes, covered)))
        .await
}

/// A replay under way: what it has found so far.
#[derive(Debug)]
pub struct Replay {
    source: Source,
    /// Of this process: no segment may have a higher one.
    epoch: u64,
    covered: u64,
    fail_on_damage: bool,
    read_ahead: usize,
    /// Of the last write given on, or what was covered before it.
    applied: u64,
    /// The segments found.
    pub sealed: Sealed,
    /// Of any write met, or covered.
    pub highest_sequence: u64,
}

impl Replay {
    /// A replay for the process of `epoch` of what is above sequence `covered`.
    pub fn new(source: Source, epoch: u64, covered: u64, settings: LogSettings) -> Self {
        Self {
            source,
            epoch,
            covered,
            fail_on_damage: settings.fail_on_damage,
            read_ahead: settings.read_ahead.max(1),
            applied: covered,
            sealed: Sealed::default(),
            highest_sequence: covered,
        }
    }

    /// The number behind all segments found.
    pub fn next_number(&self) -> u64 {
        let newest = self.sealed.segments.keys().next_back();
        newest.map_or(1, |newest| newest + 1)
    }

    /// Replays all segments in order, giving each write above the covered sequence to `apply`.
    ///
    /// Damage is logged, or an error where that is asked for. Errors: `Conflict` when a newer process has written a segment.
    pub async fn all(
        &mut self,
        tasks: &Tasks,
        apply: &mut impl AsyncFnMut(u64, Vec<DecodedBatch>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut to_read = VecDeque::from(self.source.list().await?);
        let mut under_way = VecDeque::new();
        loop {
            while under_way.len() < self.read_ahead
                && let Some(Found { number, is_mark }) = to_read.pop_front()
            {
                let reading = (!is_mark).then(|| {
                    let (source, tasks) = (self.source.clone(), tasks.clone());
                    let covered = self.covered;
                    let work = read_and_decode(source, tasks.clone(), number, covered);
                    tasks.detach(work)
                });
                under_way.push_back((number, reading));
            }
            let Some((number, reading)) = under_way.pop_front() else {
                return Ok(());
            };
            let Some(reading) = reading else {
                self.sealed
                    .segments
                    .insert(number, SealedSegment::default());
                continue;
            };
            let decoded = reading
                .await
                .map_err(|cause| Error::internal("reading the log failed").with_source(cause))??;
            match decoded {
                Some(replayed) => self.apply(number, replayed, apply).await?,
                // Its writer persisted it, committed that before we took over, and has removed it now: all of it is covered.
                None => tracing::info!(
                    segment = self.source.name(number),
                    "log segment was removed meanwhile"
                ),
            }
        }
    }

    /// Replays one more segment.
    pub async fn one(
        &mut self,
        number: u64,
        bytes: Bytes,
        apply: &mut impl AsyncFnMut(u64, Vec<DecodedBatch>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let replayed = read_segment(&bytes, self.covered);
        self.apply(number, replayed, apply).await
    }

    async fn apply(
        &mut self,
        number: u64,
        replayed: Replayed,
        apply: &mut impl AsyncFnMut(u64, Vec<DecodedBatch>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if replayed.epoch.is_some_and(|epoch| epoch > self.epoch) {
            return Err(taken_over());
        }
        let name = self.source.name(number);
        for damage in &replayed.damage {
            if self.fail_on_damage {
                return Err(Error::corrupt(format!(
                    "log segment {name} is damaged at offset {}: {}",
                    damage.offset, damage.error
                )));
            }
            tracing::error!(
                segment = name,
                offset = damage.offset,
                bytes = replayed.bytes,
                error = %damage.error,
                rest_is_lost = damage.ends_segment,
                "log segment is damaged; everything before this offset is kept"
            );
        }
        self.highest_sequence = self.highest_sequence.max(replayed.last_sequence);
        let mut damaged = !replayed.damage.is_empty();
        for (sequence, batches) in replayed.writes {
            if sequence <= self.applied {
                let fault = format!(
                    "log segment {name} has sequence {sequence} after {}",
                    self.applied
                );
                if self.fail_on_damage {
                    return Err(Error::corrupt(fault));
                }
                // A copy of a segment, most likely: applied again, old rows would pass for new ones.
                tracing::error!("{fault}; the write is left out");
                damaged = true;
                continue;
            }
            self.applied = sequence;
            apply(sequence, batches).await?;
        }
        let segment = SealedSegment {
            last_sequence: replayed.last_sequence,
            damaged,
        };
        self.sealed.segments.insert(number, segment);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
