//! Reading the log back at start: every frame above what files already cover, in order.
//!
//! A few segments are read, decoded and put together in bundles ahead, side by side, while what was read before is given on in order.
//! Damage is reported with segment and offset and costs only what it hit: a torn end (a flush that was never acknowledged) ends its
//! segment; a damaged frame with a sound header is passed over.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use runtime::Tasks;
use runtime::object_store::{Store, cas, store_error};

use super::bundle::{Bundle, Bundler, Bundling, Unreadable};
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

/// What one segment held, beside its writes.
#[derive(Debug, Default)]
pub struct SegmentRead {
    /// Of the whole segment.
    pub bytes: usize,
    /// Of the process that wrote it; `None` when that cannot be read.
    pub epoch: Option<u64>,
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

/// Reads a segment's frames above `covered` and gives each write to `take`, which may refuse it and so end the reading. Pure.
pub fn read_segment(
    bytes: &[u8],
    covered: u64,
    mut take: impl FnMut(u64, Vec<DecodedBatch>) -> Result<(), Error>,
) -> Result<SegmentRead, Error> {
    let mut read = SegmentRead {
        bytes: bytes.len(),
        ..SegmentRead::default()
    };
    match decode_segment_header(bytes) {
        Ok(header) => read.epoch = Some(header.epoch),
        Err(error) => {
            read.damage.push(Damage {
                offset: 0,
                error,
                ends_segment: true,
            });
            return Ok(read);
        }
    }
    let mut offset = SEGMENT_HEADER_BYTES;
    loop {
        let frame = match next_frame(&bytes[offset..]) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(read),
            Err(error) => {
                read.damage.push(Damage {
                    offset,
                    error,
                    ends_segment: true,
                });
                return Ok(read);
            }
        };
        read.last_sequence = read.last_sequence.max(frame.sequence);
        if frame.sequence > covered {
            match frame.decode() {
                Ok(batches) => take(frame.sequence, batches)?,
                Err(error) => read.damage.push(Damage {
                    offset,
                    error,
                    ends_segment: false,
                }),
            }
        }
        offset += frame.bytes;
    }
}

/// A segment as it is given on.
#[derive(Debug)]
struct Replayed {
    read: SegmentRead,
    /// Above the covered sequence, in order.
    bundles: VecDeque<Bundle>,
    /// Writes that are left out: the sequence, and the one before it that is not lower.
    repeated: Vec<(u64, u64)>,
    unreadable: Vec<Unreadable>,
}

/// Which writes are wanted, and how they are put together.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Writes up to here are in files.
    pub covered: u64,
    pub bundling: Bundling,
}

impl Rules {
    /// What a segment has for a buffer that has the writes up to `applied`. Pure.
    fn replayed(&self, bytes: &[u8], applied: u64) -> Result<Replayed, Error> {
        let mut bundler = Bundler::new(self.bundling.clone());
        let mut repeated = Vec::new();
        let mut last = applied;
        let read = read_segment(bytes, self.covered, |sequence, batches| {
            if sequence <= last {
                repeated.push((sequence, last));
                return Ok(());
            }
            last = sequence;
            bundler.add(sequence, batches)
        })?;
        bundler.finish()?;
        Ok(Replayed {
            read,
            bundles: bundler.finished,
            repeated,
            unreadable: bundler.unreadable,
        })
    }
}

/// Reads a segment off the threads that wait. `None` when it is gone.
async fn read_and_bundle(
    source: Source,
    tasks: Tasks,
    number: u64,
    rules: Rules,
    applied: u64,
) -> Result<Option<Replayed>, Error> {
    let Some(bytes) = source.read(number, &tasks).await? else {
        return Ok(None);
    };
    tasks
        .blocking(move || rules.replayed(&bytes, applied).map(Some))
        .await?
}

/// A replay under way: what it has found so far.
#[derive(Debug)]
pub struct Replay {
    source: Source,
    /// Of this process: no segment may have a higher one.
    epoch: u64,
    rules: Rules,
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
    /// A replay for the process of `epoch`.
    pub fn new(source: Source, epoch: u64, rules: Rules, settings: LogSettings) -> Self {
        let covered = rules.covered;
        Self {
            source,
            epoch,
            rules,
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

    /// Replays all segments in order, giving all writes above the covered sequence to `apply`, in bundles.
    ///
    /// Damage is logged, or an error where that is asked for. Errors: `Conflict` when a newer process has written a segment.
    pub async fn all(
        &mut self,
        tasks: &Tasks,
        apply: &mut impl AsyncFnMut(Bundle) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut to_read = VecDeque::from(self.source.list().await?);
        let mut under_way = VecDeque::new();
        loop {
            while under_way.len() < self.read_ahead
                && let Some(Found { number, is_mark }) = to_read.pop_front()
            {
                let reading = (!is_mark).then(|| {
                    // Nothing before it is known to have been applied: what has is seen below.
                    tasks.detach(self.reading(tasks, number, self.rules.covered))
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
            let decoded = match decoded {
                Some(replayed) if replayed.repeats(self.applied) => {
                    self.reading(tasks, number, self.applied).await?
                }
                decoded => decoded,
            };
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

    fn reading(
        &self,
        tasks: &Tasks,
        number: u64,
        applied: u64,
    ) -> impl Future<Output = Result<Option<Replayed>, Error>> + Send + use<> {
        let (source, rules) = (self.source.clone(), self.rules.clone());
        read_and_bundle(source, tasks.clone(), number, rules, applied)
    }

    /// Replays one more segment.
    pub async fn one(
        &mut self,
        number: u64,
        bytes: Bytes,
        apply: &mut impl AsyncFnMut(Bundle) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let replayed = self.rules.replayed(&bytes, self.applied)?;
        self.apply(number, replayed, apply).await
    }

    async fn apply(
        &mut self,
        number: u64,
        replayed: Replayed,
        apply: &mut impl AsyncFnMut(Bundle) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let read = replayed.read;
        if read.epoch.is_some_and(|epoch| epoch > self.epoch) {
            return Err(taken_over());
        }
        let name = self.source.name(number);
        for damage in &read.damage {
            if self.fail_on_damage {
                return Err(Error::corrupt(format!(
                    "log segment {name} is damaged at offset {}: {}",
                    damage.offset, damage.error
                )));
            }
            tracing::error!(
                segment = name,
                offset = damage.offset,
                bytes = read.bytes,
                error = %damage.error,
                rest_is_lost = damage.ends_segment,
                "log segment is damaged; everything before this offset is kept"
            );
        }
        self.highest_sequence = self.highest_sequence.max(read.last_sequence);
        for (sequence, after) in &replayed.repeated {
            let fault = format!("log segment {name} has sequence {sequence} after {after}");
            if self.fail_on_damage {
                return Err(Error::corrupt(fault));
            }
            // A copy of a segment, most likely: applied again, old rows would pass for new ones.
            tracing::error!("{fault}; the write is left out");
        }
        for unreadable in &replayed.unreadable {
            tracing::error!(
                segment = name,
                table = unreadable.table.0,
                rows = unreadable.rows,
                "the log has series keys that cannot be read; their rows are left out"
            );
        }
        for bundle in replayed.bundles {
            self.applied = bundle.last_sequence;
            apply(bundle).await?;
        }
        let segment = SealedSegment {
            last_sequence: read.last_sequence,
            damaged: !read.damage.is_empty() || !replayed.repeated.is_empty(),
        };
        self.sealed.segments.insert(number, segment);
        Ok(())
    }
}

impl Replayed {
    /// Whether it has writes that are not later than those up to `applied`.
    fn repeats(&self, applied: u64) -> bool {
        let first = self.bundles.front();
        first.is_some_and(|bundle| bundle.first_sequence <= applied)
    }
}

#[cfg(test)]
mod tests;
