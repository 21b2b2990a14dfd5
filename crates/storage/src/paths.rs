//! Every object path of the storage engine, in one file.
//!
//! All of them begin with the node id. `snapshots` holds the manifest and `wal` the log: operators know these names.

use catalog::{DatabaseId, TableId};
use runtime::object_store::Path;

/// Where one node's objects are.
#[derive(Clone, Debug)]
pub struct Paths {
    node: Path,
}

impl Paths {
    pub fn new(node_id: &str) -> Self {
        Self {
            node: Path::from(node_id),
        }
    }

    /// Folder of the log.
    pub fn wal(&self) -> Path {
        self.node.clone().join("wal")
    }

    /// One object or segment of the log.
    pub fn wal_segment(&self, number: u64) -> Path {
        self.wal().join(wal_segment_name(number))
    }

    /// Folder of the manifest's changes.
    pub fn manifest_log(&self) -> Path {
        self.node.clone().join("snapshots")
    }

    /// One change of the manifest.
    pub fn manifest_change(&self, number: u64) -> Path {
        self.manifest_log().join(format!("{number:020}.manifest"))
    }

    /// Folder of the manifest's checkpoints.
    pub fn manifest_checkpoints(&self) -> Path {
        self.node.clone().join("snapshot-checkpoints")
    }

    /// The whole manifest after change `number`.
    pub fn manifest_checkpoint(&self, number: u64) -> Path {
        self.manifest_checkpoints()
            .join(format!("{number:020}.manifest"))
    }

    /// Folder of all Parquet files: below it one per database, below that one per table.
    pub fn data_files(&self) -> Path {
        self.node.clone().join("dbs")
    }

    /// Folder of the lists of deleted rows.
    pub fn tombstones(&self) -> Path {
        self.node.clone().join("deletes")
    }

    /// The rows that one delete covers.
    pub fn tombstone(&self, id: u64) -> Path {
        self.tombstones().join(format!("{id:020}.rows"))
    }

    /// One Parquet file.
    pub fn data_file(&self, database: DatabaseId, table: TableId, file: u64) -> Path {
        self.data_files()
            .join(database.0.to_string())
            .join(table.0.to_string())
            .join(format!("{file:020}.parquet"))
    }
}

pub fn wal_segment_name(number: u64) -> String {
    format!("{number:011}.wal")
}

/// The number in a name such as `00000000007.wal`, if it is one.
pub fn number_in_name(name: &str, extension: &str) -> Option<u64> {
    let digits = name.strip_suffix(extension)?.strip_suffix('.')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}
