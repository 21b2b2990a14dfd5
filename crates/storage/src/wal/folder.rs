//! The log in a local folder: segments that are appended to and synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use runtime::object_store::local::{create_folders, sync_folder};

use super::Sealed;
use super::SealedSegment;
use super::format::v1::{SEGMENT_HEADER_BYTES, SegmentHeader, encode_segment_header};
use crate::Error;
use crate::paths::wal_segment_name;

/// Bytes after which the next append begins a new segment.
const SEGMENT_BYTES_MAX: u64 = 16 << 20;

/// Name of the file whose lock marks the folder as in use.
const LOCK_NAME: &str = "lock";

/// The log's folder, held by this process alone.
#[derive(Debug)]
pub struct FolderLock {
    folder: PathBuf,
    // Held for its lock, which ends with it.
    _file: File,
}

impl FolderLock {
    /// Creates the folder when missing and locks it. Errors: `Conflict` when another process holds it.
    pub fn acquire(folder: &Path) -> Result<Self, Error> {
        let fault = |cause: io::Error| {
            Error::unavailable(format!("cannot use log folder {}", folder.display()))
                .with_source(cause)
        };
        create_folders(folder).map_err(fault)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(LOCK_NAME))
            .map_err(fault)?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                folder: folder.to_path_buf(),
                _file: file,
            }),
            Err(fs::TryLockError::WouldBlock) => Err(Error::conflict(format!(
                "another process is using log folder {}",
                folder.display()
            ))),
            Err(fs::TryLockError::Error(cause)) => Err(fault(cause)),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The log in a folder.
#[derive(Debug)]
pub struct FolderLog {
    lock: FolderLock,
    epoch: u64,
    next_number: u64,
    current: Option<Current>,
    sealed: Sealed,
}

/// The segment being appended to.
#[derive(Debug)]
struct Current {
    number: u64,
    path: PathBuf,
    file: File,
    bytes: u64,
    last_sequence: u64,
}

impl FolderLog {
    /// Continues a log whose earlier segments are `sealed`; new ones are numbered from `next_number`.
    pub fn new(lock: FolderLock, epoch: u64, next_number: u64, sealed: Sealed) -> Self {
        Self {
            lock,
            epoch,
            next_number,
            current: None,
            sealed,
        }
    }

    pub fn append(&mut self, frames: &[u8], last_sequence: u64) -> Result<(), Error> {
        if self
            .current
            .as_ref()
            .is_some_and(|current| current.bytes >= SEGMENT_BYTES_MAX)
        {
            self.rotate();
        }
        let current = match &mut self.current {
            Some(current) => current,
            None => {
                let begun = begin(self.lock.folder(), self.epoch, self.next_number);
                // A number is used once, whether its segment came about or not.
                self.next_number += 1;
                self.current.insert(begun.map_err(|cause| {
                    Error::internal("error writing wal file: cannot begin a segment")
                        .with_source(cause)
                })?)
            }
        };
        let written = current
            .file
            .write_all(frames)
            .and_then(|()| current.file.sync_data());
        match written {
            Ok(()) => {
                current.bytes += frames.len() as u64;
                current.last_sequence = last_sequence;
                Ok(())
            }
            Err(cause) => {
                let path = current.path.display().to_string();
                // What a failed write or sync left on disk is unknown: cut it off and never append there again.
                let cut = current
                    .file
                    .set_len(current.bytes)
                    .and_then(|()| current.file.sync_all());
                if let Err(cause) = cut {
                    tracing::error!(path, error = %cause, "cannot cut a failed flush off the log segment");
                }
                self.rotate();
                Err(Error::internal(format!("error writing wal file: {path}")).with_source(cause))
            }
        }
    }

    pub fn rotate(&mut self) {
        if let Some(current) = self.current.take() {
            let segment = SealedSegment {
                last_sequence: current.last_sequence,
                damaged: false,
            };
            self.sealed.segments.insert(current.number, segment);
        }
    }

    pub fn remove_through(&mut self, sequence: u64) {
        let gone = self.sealed.take_through(sequence);
        for (number, segment) in &gone {
            let path = self.lock.folder().join(wal_segment_name(*number));
            let removed = if segment.damaged {
                fs::rename(&path, path.with_extension("wal.damaged"))
            } else {
                fs::remove_file(&path)
            };
            if let Err(cause) = removed
                && cause.kind() != io::ErrorKind::NotFound
            {
                // It holds nothing that is not in files; the next start removes it.
                tracing::warn!(path = %path.display(), error = %cause, "cannot remove a log segment");
            }
        }
    }
}

fn begin(folder: &Path, epoch: u64, number: u64) -> io::Result<Current> {
    let path = folder.join(wal_segment_name(number));
    let mut file = OpenOptions::new()
        .append(true)
        .create_new(true)
        .open(&path)?;
    file.write_all(&encode_segment_header(SegmentHeader { epoch, number }))?;
    file.sync_all()?;
    sync_folder(folder)?;
    Ok(Current {
        number,
        path,
        file,
        bytes: SEGMENT_HEADER_BYTES as u64,
        last_sequence: 0,
    })
}
