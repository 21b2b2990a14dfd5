//! A store in memory that fails when told to, for tests of what must survive such failures.
//!
//! A [`FaultyStore`] is one process's way to the objects. [`FaultyStore::crash`] cuts that way for good, as the end of the
//! process would, and [`FaultyStore::another`] opens a new one to the same objects. How operations fail: `faults`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::faults::{Action, Fate, Faults, Judge};
use crate::clock::SimulatedClock;

/// The longest a slow operation takes, in simulated time.
const SLOW_MAX_MS: u64 = 15;

/// One process's way to objects in memory; clones share it.
#[derive(Clone, Debug, Default)]
pub struct FaultyStore {
    objects: Arc<Objects>,
    process: Arc<Process>,
}

/// What outlives every process.
#[derive(Debug, Default)]
struct Objects {
    memory: InMemory,
    /// Objects that are gone.
    deleted: Mutex<BTreeMap<Path, ObjectMeta>>,
}

#[derive(Debug)]
struct Process {
    faults: Mutex<Faults>,
    judge: Judge,
    /// How many of the next puts fail before they store anything.
    refuse_puts: AtomicU64,
    /// How many of the next puts store the object and then lose their answer.
    lose_answers: AtomicU64,
    operations: AtomicU64,
    crashed: AtomicBool,
    /// The operation, counted from the start, at which the process ends.
    crash_at: AtomicU64,
    /// Puts below this path wait.
    held: watch::Sender<Option<Path>>,
    /// How many puts have begun to wait.
    waiting: watch::Sender<u64>,
    clock: Mutex<Option<Arc<SimulatedClock>>>,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            faults: Mutex::default(),
            judge: Judge::default(),
            refuse_puts: AtomicU64::new(0),
            lose_answers: AtomicU64::new(0),
            operations: AtomicU64::new(0),
            crashed: AtomicBool::new(false),
            crash_at: AtomicU64::new(u64::MAX),
            held: watch::Sender::new(None),
            waiting: watch::Sender::new(0),
            clock: Mutex::default(),
        }
    }
}

impl FaultyStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// The way of another process to the same objects; nothing fails on it yet.
    pub fn another(&self) -> Self {
        Self {
            objects: Arc::clone(&self.objects),
            process: Arc::default(),
        }
    }

    /// The clock that slow operations move.
    pub fn set_clock(&self, clock: Arc<SimulatedClock>) {
        *self.process.clock.lock() = Some(clock);
    }

    /// What fails from now on; says what did until now.
    pub fn set_faults(&self, faults: Faults) -> Faults {
        std::mem::replace(&mut *self.process.faults.lock(), faults)
    }

    pub fn refuse_next_puts(&self, count: u64) {
        self.process.refuse_puts.store(count, Ordering::SeqCst);
    }

    pub fn lose_next_answers(&self, count: u64) {
        self.process.lose_answers.store(count, Ordering::SeqCst);
    }

    /// Ends this process's access: every operation fails from now on, for good.
    pub fn crash(&self) {
        self.process.crashed.store(true, Ordering::SeqCst);
        self.release_puts();
    }

    /// The same after so many further operations; the next one still happens, or not, without an answer.
    pub fn crash_after(&self, operations: u64) {
        let now = self.process.operations.load(Ordering::SeqCst);
        let at = now.saturating_add(operations);
        self.process.crash_at.store(at, Ordering::SeqCst);
    }

    pub fn is_crashed(&self) -> bool {
        self.process.crashed.load(Ordering::SeqCst)
    }

    /// How many operations this process has asked for.
    pub fn operations(&self) -> u64 {
        self.process.operations.load(Ordering::SeqCst)
    }

    /// Lets puts below `path` wait until [`FaultyStore::release_puts`].
    pub fn hold_puts(&self, path: Path) {
        self.process.held.send_replace(Some(path));
    }

    pub fn release_puts(&self) {
        self.process.held.send_replace(None);
    }

    /// How many puts have had to wait so far; to be watched by who holds them.
    pub fn waiting_puts(&self) -> watch::Receiver<u64> {
        self.process.waiting.subscribe()
    }
}

impl Process {
    /// Lets an operation begin, and decides what becomes of it.
    async fn begin(&self, action: Action, path: &Path) -> Result<Fate> {
        let faults = *self.faults.lock();
        let draw = self.judge.draw(faults.seed, action, path);
        // From the upper half: which failure it is comes from the lower one.
        let chance = draw >> 32;
        if chance % 1000 < faults.slow {
            self.dawdle(chance / 1000).await;
        }
        if action == Action::Put {
            self.wait_while_held(path).await;
        }
        if self.crashed.load(Ordering::SeqCst) {
            return Err(fault("the process has ended"));
        }
        let number = self.operations.fetch_add(1, Ordering::SeqCst);
        if number >= self.crash_at.load(Ordering::SeqCst) {
            self.crashed.store(true, Ordering::SeqCst);
            self.held.send_replace(None);
            return Ok(if chance.is_multiple_of(2) {
                Fate::Unanswered
            } else {
                Fate::Refused
            });
        }
        Ok(action.fate(&faults, draw))
    }

    /// Gives other tasks turns and moves the clock.
    async fn dawdle(&self, draw: u64) {
        for _ in 0..1 + draw % 16 {
            tokio::task::yield_now().await;
        }
        if let Some(clock) = &*self.clock.lock() {
            clock.advance(Duration::from_millis(1 + draw % SLOW_MAX_MS));
        }
    }

    async fn wait_while_held(&self, path: &Path) {
        let mut held = self.held.subscribe();
        let is_held =
            |held: &Option<Path>| held.as_ref().is_some_and(|held| path.prefix_matches(held));
        if !is_held(&held.borrow_and_update()) {
            return;
        }
        self.waiting.send_modify(|waiting| *waiting += 1);
        // An error means that the sender is gone, which `self` holds.
        let _ = held.wait_for(|held| !is_held(held)).await;
    }

    async fn put_fate(&self, path: &Path) -> Result<Fate> {
        let fate = self.begin(Action::Put, path).await?;
        if take_one(&self.refuse_puts) {
            return Ok(Fate::Refused);
        }
        Ok(fate)
    }
}

fn take_one(counter: &AtomicU64) -> bool {
    counter
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        })
        .is_ok()
}

fn fault(what: &str) -> object_store::Error {
    object_store::Error::Generic {
        store: "FaultyStore",
        source: what.to_string().into(),
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FaultyStore")
    }
}

impl FaultyStore {
    async fn delete_one(&self, location: Path) -> Result<Path> {
        let fate = self.process.begin(Action::Delete, &location).await?;
        if fate == Fate::Refused {
            return Err(fault("delete refused"));
        }
        let found = object_store::ObjectStoreExt::head(&self.objects.memory, &location).await;
        object_store::ObjectStoreExt::delete(&self.objects.memory, &location).await?;
        if let Ok(meta) = found {
            self.objects.deleted.lock().insert(location.clone(), meta);
        }
        match fate {
            Fate::Done => Ok(location),
            _ => Err(fault("answer of a delete lost")),
        }
    }

    async fn listing(self, prefix: Path) -> Result<Vec<Result<ObjectMeta>>> {
        let fate = self.process.begin(Action::List, &prefix).await?;
        if fate == Fate::Refused {
            return Err(fault("list refused"));
        }
        let listed = self.objects.memory.list(Some(&prefix));
        let mut listed: Vec<Result<ObjectMeta>> = listed.collect().await;
        let faults = *self.process.faults.lock();
        if faults.deleted_listed > 0 {
            let deleted = self.objects.deleted.lock();
            let ghosts = deleted.iter().filter(|(path, _)| {
                let is_below = path.prefix_matches(&prefix) && path.as_ref() != prefix.as_ref();
                is_below && {
                    let draw = self
                        .process
                        .judge
                        .draw(faults.seed, Action::ListDeleted, path);
                    Action::ListDeleted.fate(&faults, draw) != Fate::Done
                }
            });
            listed.extend(ghosts.map(|(_, meta)| Ok(meta.clone())));
        }
        if fate == Fate::Unanswered {
            listed.truncate(listed.len() / 2);
            listed.push(Err(fault("listing cut")));
        }
        Ok(listed)
    }
}

/// The first half of what was found, then an error.
async fn cut(found: GetResult) -> Result<GetResult> {
    let (meta, range, attributes) = (
        found.meta.clone(),
        found.range.clone(),
        found.attributes.clone(),
    );
    let bytes = found.bytes().await?;
    let half: Result<Bytes> = Ok(bytes.slice(..bytes.len() / 2));
    let parts = [half, Err(fault("body cut"))];
    Ok(GetResult {
        payload: GetResultPayload::Stream(stream::iter(parts).boxed()),
        meta,
        range,
        attributes,
    })
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let fate = self.process.put_fate(location).await?;
        if fate == Fate::Refused {
            return Err(fault("put refused"));
        }
        let memory = &self.objects.memory;
        let stored = memory.put_opts(location, payload, options).await?;
        self.objects.deleted.lock().remove(location);
        if fate == Fate::Unanswered || take_one(&self.process.lose_answers) {
            return Err(fault("answer lost"));
        }
        Ok(stored)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if self.process.put_fate(location).await? != Fate::Done {
            return Err(fault("upload refused"));
        }
        let memory = &self.objects.memory;
        memory.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let fate = self.process.begin(Action::Get, location).await?;
        if fate == Fate::Refused {
            return Err(fault("get refused"));
        }
        let found = self.objects.memory.get_opts(location, options).await?;
        match fate {
            Fate::Done => Ok(found),
            _ => cut(found).await,
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move { store.delete_one(location?).await }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listing = self.clone().listing(prefix.cloned().unwrap_or_default());
        stream::once(listing)
            .map_ok(stream::iter)
            .try_flatten()
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let path = prefix.cloned().unwrap_or_default();
        if self.process.begin(Action::List, &path).await? != Fate::Done {
            return Err(fault("list refused"));
        }
        self.objects.memory.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let fate = self.process.put_fate(to).await?;
        if fate == Fate::Refused {
            return Err(fault("copy refused"));
        }
        self.objects.memory.copy_opts(from, to, options).await?;
        match fate {
            Fate::Done => Ok(()),
            _ => Err(fault("answer of a copy lost")),
        }
    }
}

#[cfg(test)]
mod tests;
