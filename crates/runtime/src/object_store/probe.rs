//! Does a store do what everything durable relies on? Asked once at start, before anything is written to it.
//!
//! A store that takes the second of two creates as if it were the first would let two processes overwrite each other's log in
//! silence. So that, above all, is tried and not believed. A handful of requests below a folder of their own.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStoreExt, PutMode, PutOptions};

use super::cas;
use super::{Path, PutPayload, Store, StoreError, store_error};
use crate::{Clock, Error, Random};

/// What was tried, and what came of it.
#[derive(Debug)]
pub struct Check {
    /// In words an operator knows.
    pub name: &'static str,
    pub took: Duration,
    /// `None`: not tried, because an earlier one failed that it needs.
    pub outcome: Option<Result<(), Error>>,
}

/// One thing to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Create,
    Read,
    Refuse,
    Range,
    List,
    ListAfter,
    Delete,
}

/// All of them in order; what they tell completes "the store does not …".
const STEPS: [(Step, &str); 7] = [
    (Step::Create, "create an object"),
    (Step::Read, "read it back"),
    (Step::Range, "read a range of it"),
    (Step::List, "list it by prefix"),
    (Step::ListAfter, "list what comes after it"),
    // A store that does not refuse has other bytes there from now on.
    (Step::Refuse, "refuse to create it again (conditional put)"),
    (Step::Delete, "delete it"),
];

/// Tries everything that a store must do, with one small object below `folder`, and removes it again.
///
/// Errors only when the machine gives no randomness; what the store cannot do is in the checks.
pub async fn probe(
    store: &Store,
    folder: &Path,
    random: &Random,
    clock: &dyn Clock,
) -> Result<Vec<Check>, Error> {
    let mut chance = [0; 16];
    random.fill(&mut chance)?;
    let name: String = chance.iter().map(|byte| format!("{byte:02x}")).collect();
    let probed = Probed {
        store,
        folder,
        path: folder.clone().join(name.as_str()),
        after: folder.clone().join(format!("{name}~")),
        bytes: Bytes::from(format!("probe {name}")),
        other: Bytes::from(format!("again {name}")),
    };
    let mut checks: Vec<Check> = Vec::new();
    let mut stands = true;
    for (step, name) in STEPS {
        let started = clock.monotonic();
        let outcome = if stands {
            Some(probed.attempt(step).await)
        } else {
            None
        };
        // Without its object, nothing else can be tried.
        stands &= step != Step::Create || matches!(outcome, Some(Ok(())));
        checks.push(Check {
            name,
            took: clock.monotonic().saturating_sub(started),
            outcome,
        });
    }
    Ok(checks)
}

/// The first thing that a store cannot do, as a reason not to use it.
pub fn verdict(checks: Vec<Check>) -> Result<(), Error> {
    for check in checks {
        if let Some(Err(cause)) = check.outcome {
            let what = format!(
                "the object store cannot be used: it does not {}",
                check.name
            );
            return Err(Error::new(cause.kind(), what).with_source(cause));
        }
    }
    Ok(())
}

struct Probed<'a> {
    store: &'a Store,
    folder: &'a Path,
    path: Path,
    /// A name behind it.
    after: Path,
    bytes: Bytes,
    other: Bytes,
}

impl Probed<'_> {
    async fn attempt(&self, step: Step) -> Result<(), Error> {
        match step {
            Step::Create => self.create().await,
            Step::Read => self.read().await,
            Step::Refuse => self.refuse().await,
            Step::Range => self.range().await,
            Step::List => self.list().await,
            Step::ListAfter => self.list_after().await,
            Step::Delete => self.delete().await,
        }
    }

    async fn create(&self) -> Result<(), Error> {
        match cas::create(self.store, &self.path, self.bytes.clone()).await? {
            cas::Created::Yes => Ok(()),
            cas::Created::Taken => Err(unexpected("a new name is said to be taken")),
        }
    }

    async fn read(&self) -> Result<(), Error> {
        match cas::read(self.store, &self.path).await? {
            Some(found) if found == self.bytes => Ok(()),
            Some(_) => Err(unexpected("it gives other bytes than were put")),
            None => Err(unexpected("an object is not there right after its put")),
        }
    }

    async fn refuse(&self) -> Result<(), Error> {
        // Not `cas::create`, which would call the refusal its answer: the store's own word is wanted.
        let options = PutOptions::from(PutMode::Create);
        let payload = PutPayload::from_bytes(self.other.clone());
        let outcome = self.store.put_opts(&self.path, payload, options).await;
        match outcome {
            Err(StoreError::AlreadyExists { .. }) => self.read().await,
            Ok(_) => Err(unexpected(
                "it overwrites an object that was to be created only if its name is free, so two processes could not be kept apart",
            )),
            Err(cause) => Err(store_error("create", &self.path, cause)),
        }
    }

    async fn range(&self) -> Result<(), Error> {
        let range = self.store.get_range(&self.path, 2..9).await;
        let found = range.map_err(|cause| store_error("read", &self.path, cause))?;
        if found == self.bytes.slice(2..9) {
            Ok(())
        } else {
            Err(unexpected("it gives other bytes than those of the range"))
        }
    }

    async fn list(&self) -> Result<(), Error> {
        let listed: Vec<_> = self
            .store
            .list(Some(self.folder))
            .try_collect()
            .await
            .map_err(|cause| store_error("list", self.folder, cause))?;
        let size = self.bytes.len() as u64;
        if listed
            .iter()
            .any(|object| object.location == self.path && object.size == size)
        {
            Ok(())
        } else {
            Err(unexpected(
                "a listing right after the put lacks the object, or has another size",
            ))
        }
    }

    async fn list_after(&self) -> Result<(), Error> {
        let listed: Vec<_> = self
            .store
            .list_with_offset(Some(self.folder), &self.after)
            .try_collect()
            .await
            .map_err(|cause| store_error("list", self.folder, cause))?;
        if listed.iter().all(|object| object.location != self.path) {
            Ok(())
        } else {
            Err(unexpected("a listing has an object before its offset"))
        }
    }

    async fn delete(&self) -> Result<(), Error> {
        self.store
            .delete(&self.path)
            .await
            .map_err(|cause| store_error("delete", &self.path, cause))?;
        match cas::read(self.store, &self.path).await? {
            None => Ok(()),
            Some(_) => Err(unexpected("an object is still there after its delete")),
        }
    }
}

fn unexpected(what: &str) -> Error {
    Error::new(crate::ErrorKind::Unsupported, what)
}

#[cfg(test)]
mod tests;
