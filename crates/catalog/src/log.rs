//! The durable log of changes: numbered objects made by create-if-absent, and checkpoints that shorten it.
//!
//! `{prefix}/catalog/log/{number}` holds one [`Record`]; the number after the last one belongs to whoever creates that
//! object first. `{prefix}/catalog/checkpoint/{number}` holds the whole snapshot after the record of that number, so
//! that the records up to it need not be read. Numbers have twenty digits. Bytes: `format`. Not here: what a change does
//! (`change`), who takes turns (`lib`).
//!
//! Removing a record frees its number, so somebody who slept meanwhile could create that number again. Two rules make
//! such a record void. A record is removed only when eight durable checkpoints lie beyond it, so a writer counts its record
//! as lost when it sees eight of them *after* the create; fewer may simply be rivals who were quick. And a reader who sees,
//! after reading records, a checkpoint beyond where it began, forgets them and loads anew.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use runtime::object_store::cas::{self, Created};
use runtime::object_store::{ObjectStore, ObjectStoreExt, Path, PutPayload, store_error};
use runtime::{Random, Store};

use crate::change::{self, Change};
use crate::{Error, ErrorKind, Snapshot, format};

/// How often a load starts again because somebody else made a checkpoint meanwhile.
const LOAD_ATTEMPTS: usize = 16;

/// How many objects are read at a time.
const READS_AT_ONCE: usize = 16;

/// What an object costs beyond its bytes, so that many small records count as the burden they are at the next start.
const OBJECT_COST_BYTES: u64 = 4096;

/// How many checkpoints beyond a record allow its removal.
///
/// Many, because a writer takes a record with that many checkpoints beyond it for one whose number had been free again. Were it two,
/// rivals could make that many between a writer's create and its look, and it would think that a change of its own had failed.
const CHECKPOINTS_BEYOND_REMOVED: usize = 8;

/// One more than the rule needs, so that a listing which overlaps with a checkpoint still shows enough of them.
const CHECKPOINTS_KEPT: usize = CHECKPOINTS_BEYOND_REMOVED + 1;

/// One entry of the log: changes that happen together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// From 1, without gaps.
    pub sequence: u64,
    /// Random; tells our own record from another one with the same changes.
    pub nonce: [u8; 16],
    pub changes: Vec<Change>,
}

impl Record {
    pub(crate) fn new(sequence: u64, changes: Vec<Change>, random: &Random) -> Result<Self, Error> {
        let mut nonce = [0; 16];
        random.fill(&mut nonce)?;
        Ok(Self {
            sequence,
            nonce,
            changes,
        })
    }
}

/// What became of an append.
#[derive(Debug)]
pub(crate) enum Appended {
    /// The record is durable and the next in line.
    Durable { cost_bytes: u64 },
    /// The log has gone on without us: catch up and think again.
    Overtaken,
}

/// A snapshot read from the store, and what reading it cost.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) snapshot: Snapshot,
    pub(crate) checkpoint_cost_bytes: u64,
    /// Of the records after the checkpoint.
    pub(crate) log_cost_bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Log {
    store: Store,
    records: Path,
    checkpoints: Path,
}

impl Log {
    pub(crate) fn below(prefix: &str, store: Store) -> Self {
        let catalog = Path::from(prefix).join("catalog");
        Self {
            store,
            records: catalog.clone().join("log"),
            checkpoints: catalog.join("checkpoint"),
        }
    }

    /// Reads the newest checkpoint and every record after it.
    pub(crate) async fn load(&self) -> Result<Loaded, Error> {
        for _ in 0..LOAD_ATTEMPTS {
            let checkpoint = self.newest_checkpoint().await?;
            let loaded = self.load_from(checkpoint).await;
            if self.newest_checkpoint().await? == checkpoint {
                return loaded;
            }
        }
        Err(Error::unavailable(format!(
            "the catalog in {} was checkpointed again and again while it was being loaded",
            self.checkpoints
        )))
    }

    /// The snapshot after every record that follows `known`.
    pub(crate) async fn catch_up(&self, known: &Snapshot) -> Result<Loaded, Error> {
        let mut next = known.clone();
        let mut log_cost_bytes = 0;
        let outcome = loop {
            let path = numbered(&self.records, next.sequence().saturating_add(1));
            let bytes = match cas::read(&self.store, &path).await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => break Ok(next),
                Err(cause) => break Err(cause),
            };
            log_cost_bytes += cost_bytes(&bytes);
            next = match replay(next, &path, &bytes) {
                Ok(next) => next,
                Err(cause) => break Err(cause),
            };
        };
        if self
            .newest_checkpoint()
            .await?
            .is_some_and(|newest| newest > known.sequence())
        {
            return self.load().await;
        }
        Ok(Loaded {
            snapshot: outcome?,
            checkpoint_cost_bytes: 0,
            log_cost_bytes,
        })
    }

    /// Makes `record` the next one. When this fails, the record may or may not be in the log: the next append finds out,
    /// because it finds the number taken or takes it.
    pub(crate) async fn append(&self, record: &Record) -> Result<Appended, Error> {
        let path = numbered(&self.records, record.sequence);
        let bytes = format::encode_log(record)?;
        let created = cas::create(&self.store, &path, bytes.clone()).await;
        if !matches!(created, Ok(Created::Yes)) {
            // The answer may have been lost, by us or by a client inside the store that tried again: what lies there
            // tells, since the nonce makes our bytes ours.
            match (cas::read(&self.store, &path).await, created) {
                (Ok(Some(stored)), _) if stored == bytes => {}
                (Ok(Some(_)), _) | (Ok(None), Ok(_)) => return Ok(Appended::Overtaken),
                (_, Err(cause)) | (Err(cause), _) => return Err(cause),
            }
        }
        let checkpoints = self.numbers(&self.checkpoints).await?;
        let beyond = checkpoints
            .iter()
            .filter(|number| **number > record.sequence)
            .count();
        if beyond >= CHECKPOINTS_BEYOND_REMOVED {
            return Ok(Appended::Overtaken);
        }
        Ok(Appended::Durable {
            cost_bytes: cost_bytes(&bytes),
        })
    }

    /// Puts the last record once more, as it is. A process that died between naming the record and making that name
    /// durable leaves a record that can be read and could still vanish; nothing may be built on it before this.
    pub(crate) async fn harden(&self, sequence: u64) -> Result<(), Error> {
        let path = numbered(&self.records, sequence);
        // Without its record, a snapshot stems from a checkpoint, which was durable before the record was removed.
        let Some(bytes) = cas::read(&self.store, &path).await? else {
            return Ok(());
        };
        self.store
            .put(&path, PutPayload::from_bytes(bytes))
            .await
            .map_err(|cause| store_error("write", &path, cause))?;
        Ok(())
    }

    /// Stores `snapshot` whole and removes what it makes superfluous; returns its cost in bytes.
    pub(crate) async fn checkpoint(&self, snapshot: &Snapshot) -> Result<u64, Error> {
        let path = numbered(&self.checkpoints, snapshot.sequence());
        let bytes = format::encode_checkpoint(snapshot)?;
        let cost = cost_bytes(&bytes);
        // Taken is as good: the snapshot after a given record is the same for everyone.
        cas::create(&self.store, &path, bytes).await?;
        let mut checkpoints = self.numbers(&self.checkpoints).await?;
        checkpoints.sort_unstable_by(|left, right| right.cmp(left));
        // The record that a kept checkpoint ends with stays, so the folder of the records never empties.
        if let Some(horizon) = checkpoints.get(CHECKPOINTS_BEYOND_REMOVED - 1) {
            self.remove_before(&self.records, *horizon).await?;
        }
        if let Some(oldest_kept) = checkpoints.get(CHECKPOINTS_KEPT - 1) {
            self.remove_before(&self.checkpoints, *oldest_kept).await?;
        }
        Ok(cost)
    }

    async fn load_from(&self, checkpoint: Option<u64>) -> Result<Loaded, Error> {
        let mut snapshot = Snapshot::default();
        let mut checkpoint_cost_bytes = 0;
        if let Some(sequence) = checkpoint {
            let path = numbered(&self.checkpoints, sequence);
            let bytes = self.read(&path).await?;
            checkpoint_cost_bytes = cost_bytes(&bytes);
            snapshot = format::decode_checkpoint(&bytes)
                .and_then(|snapshot| same_number(snapshot.sequence(), sequence).map(|()| snapshot))
                .map_err(|cause| damaged(&path, &cause))?;
        }
        let covered = snapshot.sequence();
        let mut numbers = self.numbers(&self.records).await?;
        numbers.retain(|number| *number > covered);
        numbers.sort_unstable();
        let mut records = stream::iter(numbers)
            .map(|number| async move {
                let path = numbered(&self.records, number);
                self.read(&path).await.map(|bytes| (number, path, bytes))
            })
            .buffered(READS_AT_ONCE);
        let mut log_cost_bytes = 0;
        while let Some((number, path, bytes)) = records.try_next().await? {
            if number > snapshot.sequence().saturating_add(1) {
                let missing = numbered(&self.records, snapshot.sequence() + 1);
                return Err(Error::corrupt(format!(
                    "catalog object {missing} is missing, but {path} is there"
                )));
            }
            log_cost_bytes += cost_bytes(&bytes);
            snapshot = replay(snapshot, &path, &bytes)?;
        }
        drop(records);
        Ok(Loaded {
            snapshot,
            checkpoint_cost_bytes,
            log_cost_bytes,
        })
    }

    async fn newest_checkpoint(&self) -> Result<Option<u64>, Error> {
        Ok(self.numbers(&self.checkpoints).await?.into_iter().max())
    }

    /// The numbers of all objects in `folder`, unordered.
    async fn numbers(&self, folder: &Path) -> Result<Vec<u64>, Error> {
        let listed: Vec<_> = self
            .store
            .list(Some(folder))
            .try_collect()
            .await
            .map_err(|cause| store_error("list", folder, cause))?;
        Ok(listed
            .iter()
            .filter_map(|object| number_of(&object.location))
            .collect())
    }

    async fn remove_before(&self, folder: &Path, sequence: u64) -> Result<(), Error> {
        let mut numbers = self.numbers(folder).await?;
        numbers.retain(|number| *number < sequence);
        // From the oldest on, so that an interruption leaves no gap.
        numbers.sort_unstable();
        for number in numbers {
            let path = numbered(folder, number);
            match self
                .store
                .delete(&path)
                .await
                .map_err(|cause| store_error("delete", &path, cause))
            {
                // Somebody else removed it.
                Err(cause) if cause.kind() == ErrorKind::NotFound => {}
                other => other?,
            }
        }
        Ok(())
    }

    async fn read(&self, path: &Path) -> Result<Bytes, Error> {
        cas::read(&self.store, path)
            .await?
            .ok_or_else(|| Error::corrupt(format!("catalog object {path} is missing")))
    }
}

fn replay(snapshot: Snapshot, path: &Path, bytes: &[u8]) -> Result<Snapshot, Error> {
    format::decode_log(bytes)
        .and_then(|record| {
            let expected = snapshot.sequence().saturating_add(1);
            same_number(record.sequence, expected)?;
            change::apply(snapshot, record.sequence, &record.changes)
        })
        .map_err(|cause| damaged(path, &cause))
}

fn same_number(stored: u64, expected: u64) -> Result<(), Error> {
    if stored == expected {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "it holds number {stored} instead of {expected}"
    )))
}

fn damaged(path: &Path, cause: &Error) -> Error {
    Error::corrupt(format!(
        "catalog object {path} is damaged {}",
        cause.message()
    ))
}

fn numbered(folder: &Path, number: u64) -> Path {
    folder.clone().join(format!("{number:020}"))
}

/// The number in an object's name; `None` for what is not ours.
pub(crate) fn number_of(path: &Path) -> Option<u64> {
    let name = path.filename()?;
    let is_number = name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| name.parse().ok()).flatten()
}

fn cost_bytes(object: &[u8]) -> u64 {
    object.len() as u64 + OBJECT_COST_BYTES
}
