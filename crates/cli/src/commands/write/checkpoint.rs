//! How far a command got, in a file that outlives it: everything before these places is written.
//!
//! The file is replaced whole, never changed. It belongs to one database at one server and to files as they were: any other is refused. It holds no
//! credential. Not here: who says that something is written (`ledger`).

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::pieces::Position;

/// What a checkpoint is called that stands beside a file.
const EXTENSION: &str = "checkpoint";

const FORMAT: u32 = 1;

/// How much of a file's beginning must be the same.
const PREFIX_BYTES: u64 = 64 << 10;

/// What makes a file the same file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    size_bytes: u64,
    modified_ns: u64,
    prefix_checksum: String,
}

impl Identity {
    pub(crate) fn of(path: &Path) -> anyhow::Result<Self> {
        let fault = |cause: std::io::Error| {
            anyhow::anyhow!("error reading file: {}: {cause}", path.display())
        };
        let mut file = std::fs::File::open(path).map_err(fault)?;
        let told = file.metadata().map_err(fault)?;
        if !told.is_file() {
            anyhow::bail!(
                "{} is no regular file: it cannot be resumed",
                path.display()
            );
        }
        let modified = told.modified().map_err(fault)?;
        let modified_ns = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut prefix = Vec::new();
        let mut head = (&mut file).take(PREFIX_BYTES);
        head.read_to_end(&mut prefix).map_err(fault)?;
        Ok(Self {
            size_bytes: told.len(),
            modified_ns: u64::try_from(modified_ns.as_nanos()).unwrap_or(u64::MAX),
            prefix_checksum: format!("{:016x}", xxh3_64(&prefix)),
        })
    }
}

/// How far one file got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    file: Identity,
    /// In the unpacked text.
    offset_bytes: u64,
    lines: u64,
    is_done: bool,
}

impl Progress {
    pub(crate) fn new(file: Identity, reached: Position, is_done: bool) -> Self {
        Self {
            file,
            offset_bytes: reached.offset_bytes,
            lines: reached.lines,
            is_done,
        }
    }

    pub(crate) fn position(&self) -> Position {
        Position {
            offset_bytes: self.offset_bytes,
            lines: self.lines,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    format: u32,
    host: String,
    database: String,
    files: BTreeMap<String, Progress>,
}

/// A checkpoint on disk.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    path: PathBuf,
    content: Content,
}

impl Checkpoint {
    /// The one beside the first file.
    pub(crate) fn beside(file: &Path) -> PathBuf {
        let mut name = file.as_os_str().to_os_string();
        name.push(".");
        name.push(EXTENSION);
        PathBuf::from(name)
    }

    /// Reads the checkpoint, or begins one.
    pub(crate) fn open(path: PathBuf, host: &str, database: &str) -> anyhow::Result<Self> {
        let fresh = Content {
            format: FORMAT,
            host: host.to_string(),
            database: database.to_string(),
            files: BTreeMap::new(),
        };
        let fault = |told: String| {
            anyhow::anyhow!(
                "the checkpoint {} {told}; remove it to begin anew, or name another with --checkpoint",
                path.display()
            )
        };
        let content = match std::fs::read(&path) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => fresh,
            Err(cause) => return Err(fault(format!("cannot be read: {cause}"))),
            Ok(bytes) => {
                let told: Content = serde_json::from_slice(&bytes)
                    .map_err(|cause| fault(format!("is no checkpoint: {cause}")))?;
                if told.format != FORMAT {
                    return Err(fault(format!("has the unknown format {}", told.format)));
                }
                if (&told.host, &told.database) != (&fresh.host, &fresh.database) {
                    return Err(fault(format!(
                        "is of database {:?} at {}",
                        told.database, told.host
                    )));
                }
                told
            }
        };
        Ok(Self { path, content })
    }

    /// How far a file got; an error when it is another file than it was.
    pub(crate) fn progress(
        &self,
        name: &str,
        identity: &Identity,
    ) -> anyhow::Result<Option<&Progress>> {
        match self.content.files.get(name) {
            Some(progress) if progress.file != *identity => anyhow::bail!(
                "{name} has changed since it was partly written; remove the checkpoint {} to begin anew",
                self.path.display()
            ),
            found => Ok(found),
        }
    }

    pub(crate) fn set(&mut self, name: &str, progress: Progress) {
        self.content.files.insert(name.to_string(), progress);
    }

    /// Replaces what is on disk.
    pub(crate) fn save(&self) -> anyhow::Result<()> {
        let mut temporary = self.path.as_os_str().to_os_string();
        temporary.push(".new");
        let saved = (|| {
            let mut file = std::fs::File::create(&temporary)?;
            file.write_all(&serde_json::to_vec_pretty(&self.content)?)?;
            file.sync_all()?;
            std::fs::rename(&temporary, &self.path)
        })();
        saved.map_err(|cause| {
            anyhow::anyhow!(
                "cannot save the checkpoint {}: {cause}",
                self.path.display()
            )
        })
    }

    /// Removes it: nothing is left to be done.
    pub(crate) fn remove(self) -> anyhow::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(anyhow::anyhow!(
                "all is written, but the checkpoint {} cannot be removed: {cause}",
                self.path.display()
            )),
            _ => Ok(()),
        }
    }
}
