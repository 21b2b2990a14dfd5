//! Reading the log back at start: every frame above what files already cover, in order.
//!
//! Damage is reported with segment and offset and costs only what it hit: a torn end (a flush that was never
//! acknowledged) ends its segment; a damaged frame with a sound header is passed over.

use std::fs;
use std::io;
use std::path::Path;

use bytes::Bytes;
use futures::TryStreamExt;
use runtime::object_store::{Store, cas, store_error};

use super::format::v1::{DecodedBatch, SEGMENT_HEADER_BYTES, decode_segment_header, next_frame};
use super::{Sealed, SealedSegment};
use crate::Error;
use crate::paths::{Paths, number_in_name, wal_segment_name};

/// Where the segments to read are.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    Folder(&'a Path),
    Objects(&'a Store, &'a Paths),
}

impl Source<'_> {
    /// The numbers of all segments, ascending.
    pub async fn numbers(self) -> Result<Vec<u64>, Error> {
        let mut numbers = match self {
            Self::Folder(folder) => folder_numbers(folder).map_err(|cause| {
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
                    .filter_map(|object| number_in_name(object.location.filename()?, "wal"))
                    .collect()
            }
        };
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// A segment's bytes, whole: at most a segment's size and one flush.
    pub async fn read(self, number: u64) -> Result<Bytes, Error> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(wal_segment_name(number));
                fs::read(&path).map(Bytes::from).map_err(|cause| {
                    Error::unavailable(format!("cannot read log segment {}", path.display()))
                        .with_source(cause)
                })
            }
            Self::Objects(store, paths) => {
                let path = paths.wal_segment(number);
                cas::read(store, &path)
                    .await?
                    .ok_or_else(|| Error::unavailable(format!("log object {path} is gone")))
            }
        }
    }

    /// How operators know the segment.
    fn name(self, number: u64) -> String {
        match self {
            Self::Folder(folder) => folder.join(wal_segment_name(number)).display().to_string(),
            Self::Objects(_, paths) => paths.wal_segment(number).to_string(),
        }
    }
}

fn folder_numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| number_in_name(name, "wal")));
    }
    Ok(numbers)
}

/// What one segment held.
#[derive(Debug, Default)]
pub struct Replayed {
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
    let mut replayed = Replayed::default();
    if let Err(error) = decode_segment_header(bytes) {
        replayed.damage.push(Damage {
            offset: 0,
            error,
            ends_segment: true,
        });
        return replayed;
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

/// Replays all segments in order, giving each write above `covered` to `apply`.
///
/// Returns the segments found and the highest sequence met. Damage is logged; with `fail_on_damage` it is an error instead.
pub async fn replay(
    source: Source<'_>,
    covered: u64,
    fail_on_damage: bool,
    mut apply: impl AsyncFnMut(u64, Vec<DecodedBatch>) -> Result<(), Error>,
) -> Result<(Sealed, u64), Error> {
    let mut sealed = Sealed::default();
    let mut highest = covered;
    let mut applied = covered;
    for number in source.numbers().await? {
        let bytes = source.read(number).await?;
        let replayed = read_segment(&bytes, covered);
        for damage in &replayed.damage {
            let name = source.name(number);
            if fail_on_damage {
                return Err(Error::corrupt(format!(
                    "log segment {name} is damaged at offset {}: {}",
                    damage.offset, damage.error
                )));
            }
            tracing::error!(
                segment = name,
                offset = damage.offset,
                bytes = bytes.len(),
                error = %damage.error,
                rest_is_lost = damage.ends_segment,
                "log segment is damaged; everything before this offset is kept"
            );
        }
        highest = highest.max(replayed.last_sequence);
        let mut damaged = !replayed.damage.is_empty();
        for (sequence, batches) in replayed.writes {
            if sequence <= applied {
                let name = source.name(number);
                let fault = format!("log segment {name} has sequence {sequence} after {applied}");
                if fail_on_damage {
                    return Err(Error::corrupt(fault));
                }
                // A copy of a segment, most likely: applied again, old rows would pass for new ones.
                tracing::error!("{fault}; the write is left out");
                damaged = true;
                continue;
            }
            applied = sequence;
            apply(sequence, batches).await?;
        }
        let segment = SealedSegment {
            last_sequence: replayed.last_sequence,
            damaged,
        };
        sealed.segments.insert(number, segment);
    }
    Ok((sealed, highest))
}

#[cfg(test)]
mod tests;
