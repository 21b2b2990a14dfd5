//! The write-ahead log: makes a write durable before it is acknowledged, then visible.
//!
//! Writes queue up while the previous flush is under way and leave together as the next one: a lone write costs one flush, many
//! share it. One thread does it all, so that the order of sequences, of the log and of the buffer is the same.
//! Two places to write to: [`folder`] (appended, synced segments) and [`objects`] (one object per flush).
//! [`recover`] takes over what an earlier process left; [`lost`] tells when a later one has taken over from us.
//! Byte layout: docs/formats/wal.md. Not here: when a segment may go (`persist` says, once a manifest covers it).

pub mod folder;

pub mod format;

pub mod objects;

pub mod recover;

pub mod replay;

pub mod bundle;

pub mod lost;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use runtime::{Clock, ErrorKind, World};
use tokio::sync::oneshot;

use crate::Error;
use crate::batch::Batch;
use crate::buffer::{Buffer, TableBuffer};
use folder::FolderLog;
use format::v1::Payload;
use lost::Lost;
use objects::ObjectLog;

/// Bytes of writes that may wait for a flush; further ones are refused.
const QUEUE_BYTES_MAX: usize = 256 << 20;

/// Bytes of rows that one flush takes, if there is more than one write: what a start must hold at once to read it back.
const FLUSH_BYTES_MAX: usize = 32 << 20;

/// Bytes of rows that a start puts together before they are in the buffer, if there is more than one write.
pub const BUNDLE_BYTES_MAX: usize = FLUSH_BYTES_MAX;

/// Bytes of waiting writes for which a flush begins before its time.
const HURRY_BYTES: usize = FLUSH_BYTES_MAX / 2;

/// How the log is written and read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Least time from one object of the log to the next, for what objects cost; a write after a longer pause does not wait.
    /// Zero where objects cost nothing. Without meaning for a log in a folder.
    pub object_flush_interval: Duration,
    /// Whether damage in the log stops a start rather than being passed over with an error in the program's log.
    pub fail_on_damage: bool,
    /// Segments that are read and decoded ahead of the one being replayed; at least one.
    pub read_ahead: usize,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            object_flush_interval: Duration::ZERO,
            fail_on_damage: false,
            read_ahead: 2,
        }
    }
}

/// Where the log is kept.
#[derive(Debug)]
pub enum Place {
    Folder(FolderLog),
    Objects(ObjectLog),
}

/// The log of one node.
#[derive(Debug)]
pub struct Wal {
    shared: Arc<Shared>,
    lost: Lost,
    compress: bool,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    counters: Counters,
}

#[derive(Debug)]
struct Queue {
    next_sequence: u64,
    entries: Vec<Entry>,
    bytes: usize,
    commands: Vec<Command>,
    /// Why nothing is accepted any more.
    closed: Option<(ErrorKind, String)>,
    /// The thread ends once the queue is empty.
    ending: bool,
}

#[derive(Debug)]
struct Entry {
    sequence: u64,
    /// In the queue, of payload and batches.
    bytes: usize,
    payload: Payload,
    batches: Vec<Batch>,
    acknowledge: Option<oneshot::Sender<Result<(), Error>>>,
}

#[derive(Debug)]
enum Command {
    /// Freeze the buffer; answer the last sequence in it.
    Freeze(oneshot::Sender<u64>),
    /// Keep what this table has so far apart from what comes; answer the last sequence in it.
    Barrier(Arc<TableBuffer>, oneshot::Sender<Result<u64, Error>>),
    /// Remove what holds nothing above this sequence.
    Remove(u64),
}

/// Running totals of the log.
#[derive(Debug, Default)]
pub struct Counters {
    pub flushes: AtomicU64,
    pub bytes: AtomicU64,
    pub flush_ns: AtomicU64,
    pub buffer_ns: AtomicU64,
}

impl Wal {
    /// Starts the log's thread. `next_sequence` is above every sequence ever used; flushes of objects are `pace` apart.
    pub fn start(
        place: Place,
        next_sequence: u64,
        pace: Duration,
        buffer: Arc<Buffer>,
        lost: Lost,
        world: &World,
    ) -> Result<Self, Error> {
        let compress = matches!(place, Place::Objects(_));
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                next_sequence,
                entries: Vec::new(),
                bytes: 0,
                commands: Vec::new(),
                closed: None,
                ending: false,
            }),
            wake: Condvar::new(),
            counters: Counters::default(),
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            pace: if compress { pace } else { Duration::ZERO },
            last_flush: None,
            place,
            buffer,
            lost: lost.clone(),
            clock: Arc::clone(&world.clock),
            last_sequence: next_sequence - 1,
            unanswered: None,
        };
        world.tasks.thread("wal", move || writer.run())?;
        Ok(Self {
            shared,
            lost,
            compress,
        })
    }

    /// Whether payloads should be compressed: worth it where bytes travel, not on a local disk.
    pub fn compress(&self) -> bool {
        self.compress
    }

    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Queues a write. The receiver answers once it is durable and visible, or why it is not.
    ///
    /// Errors: `Unavailable` when too much is waiting, the log is closed, or another process owns it.
    pub fn submit(
        &self,
        payload: Payload,
        batches: Vec<Batch>,
    ) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
        let (acknowledge, receiver) = oneshot::channel();
        if let Some(reason) = self.lost.reason() {
            return Err(reason);
        }
        let bytes = payload.frame_bytes() + batches.iter().map(Batch::bytes).sum::<usize>();
        {
            let mut queue = self.shared.queue.lock();
            if let Some((kind, reason)) = &queue.closed {
                return Err(Error::new(*kind, reason.clone()));
            }
            if queue.bytes > 0 && queue.bytes + bytes > QUEUE_BYTES_MAX {
                return Err(Error::unavailable(format!(
                    "the log is behind by {} bytes, try again later",
                    queue.bytes
                )));
            }
            let sequence = queue.next_sequence;
            queue.next_sequence += 1;
            queue.bytes += bytes;
            queue.entries.push(Entry {
                sequence,
                bytes,
                payload,
                batches,
                acknowledge: Some(acknowledge),
            });
        }
        self.shared.wake.notify_one();
        Ok(receiver)
    }

    /// Freezes the buffer between two writes; answers the last sequence it holds.
    pub async fn freeze(&self) -> Result<u64, Error> {
        let (reply, frozen) = oneshot::channel();
        self.command(Command::Freeze(reply));
        frozen
            .await
            .map_err(|_| Error::unavailable("the log is shut down"))
    }

    /// Draws a line in a table between two writes; answers the last sequence before it.
    ///
    /// Errors: as a flush, when an earlier one has to be made certain first and cannot.
    pub async fn barrier(&self, table: Arc<TableBuffer>) -> Result<u64, Error> {
        let (reply, drawn) = oneshot::channel();
        self.command(Command::Barrier(table, reply));
        drawn
            .await
            .map_err(|_| Error::unavailable("the log is shut down"))?
    }

    /// Removes segments that hold nothing above `sequence`, in the background.
    pub fn remove_through(&self, sequence: u64) {
        self.command(Command::Remove(sequence));
    }

    /// Refuses further writes; those queued are still flushed, then the thread ends.
    pub fn close(&self) {
        let mut queue = self.shared.queue.lock();
        queue.closed.get_or_insert((
            ErrorKind::Unavailable,
            "wal is shutdown and not accepting writes".to_string(),
        ));
        queue.ending = true;
        drop(queue);
        self.shared.wake.notify_one();
    }

    fn command(&self, command: Command) {
        let mut queue = self.shared.queue.lock();
        // After the end nobody would answer; dropping the command tells its sender.
        if !queue.ending {
            queue.commands.push(command);
        }
        drop(queue);
        self.shared.wake.notify_one();
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.close();
    }
}

/// The log's thread.
struct Writer {
    shared: Arc<Shared>,
    place: Place,
    /// Least time from one flush to the next.
    pace: Duration,
    last_flush: Option<Duration>,
    lost: Lost,
    buffer: Arc<Buffer>,
    clock: Arc<dyn Clock>,
    /// Of what is in the buffer.
    last_sequence: u64,
    unanswered: Option<Unanswered>,
}

/// A flush that may be stored or not: its writers have been told that it failed.
///
/// What is stored comes back with the next start, so it must not be missing until then, nor be passed over by a persist that covers
/// later sequences. Nothing else is put into the log before this is known to stand there; only then do its rows become visible.
struct Unanswered {
    frames: Vec<u8>,
    last_sequence: u64,
    entries: Vec<Entry>,
}

impl Writer {
    fn run(mut self) {
        let mut frames = Vec::new();
        while let Some((entries, commands)) = self.next() {
            if !entries.is_empty() {
                self.flush(entries, &mut frames);
            }
            for command in commands {
                match command {
                    Command::Freeze(reply) => {
                        self.buffer.freeze();
                        self.place.rotate();
                        // Whoever asked may have gone; what is frozen is persisted next time.
                        let _ = reply.send(self.last_sequence);
                    }
                    Command::Barrier(table, reply) => {
                        // Rows that come to light later would be older than the line and lie behind it.
                        let drawn = self.settle().map(|()| {
                            table.keep_apart(self.last_sequence);
                            self.last_sequence
                        });
                        // Whoever asked may have gone; keeping rows apart for nothing does no harm.
                        let _ = reply.send(drawn);
                    }
                    Command::Remove(through) => self.place.remove_through(through),
                }
            }
        }
    }

    /// Waits for work; `None` at the end.
    fn next(&self) -> Option<(Vec<Entry>, Vec<Command>)> {
        let mut queue = self.shared.queue.lock();
        while queue.entries.is_empty() && queue.commands.is_empty() {
            if queue.ending {
                return None;
            }
            self.shared.wake.wait(&mut queue);
        }
        while queue.commands.is_empty() && !queue.ending && queue.bytes < HURRY_BYTES {
            let wait = self.time_to_flush();
            if wait.is_zero() || self.shared.wake.wait_for(&mut queue, wait).timed_out() {
                break;
            }
        }
        let commands = std::mem::take(&mut queue.commands);
        let mut taken = 0;
        let mut count = 0;
        for entry in &queue.entries {
            if count > 0 && taken + entry.bytes > FLUSH_BYTES_MAX {
                break;
            }
            taken += entry.bytes;
            count += 1;
        }
        let later = queue.entries.split_off(count);
        queue.bytes -= taken;
        Some((std::mem::replace(&mut queue.entries, later), commands))
    }

    /// How long the pace lets the next flush wait.
    fn time_to_flush(&self) -> Duration {
        self.last_flush
            .map(|last| (last + self.pace).saturating_sub(self.clock.monotonic()))
            .unwrap_or_default()
    }

    fn flush(&mut self, entries: Vec<Entry>, frames: &mut Vec<u8>) {
        if let Some(reason) = self.lost.reason() {
            for mut entry in entries {
                entry.answer(Err(Error::new(reason.kind(), reason.message())));
            }
            return;
        }
        let started = self.clock.monotonic();
        self.last_flush = Some(started);
        frames.clear();
        let written = self.settle().and_then(|()| {
            for entry in &entries {
                entry.payload.write_frame(entry.sequence, frames);
            }
            let last_sequence = entries.last().map_or(0, |entry| entry.sequence);
            self.place.append(frames, last_sequence)
        });
        let flushed = self.clock.monotonic();
        let shared = Arc::clone(&self.shared);
        let counters = &shared.counters;
        counters.flushes.fetch_add(1, Ordering::Relaxed);
        counters
            .bytes
            .fetch_add(frames.len() as u64, Ordering::Relaxed);
        let flush_ns = (flushed - started).as_nanos() as u64;
        counters.flush_ns.fetch_add(flush_ns, Ordering::Relaxed);
        match written {
            Ok(()) => self.apply(entries),
            Err(fault) => self.refuse(entries, frames, &fault),
        }
        let buffer_ns = (self.clock.monotonic() - flushed).as_nanos() as u64;
        counters.buffer_ns.fetch_add(buffer_ns, Ordering::Relaxed);
        if frames.capacity() > QUEUE_BYTES_MAX / 4 {
            *frames = Vec::new();
        }
    }

    /// Answers writes whose flush failed.
    fn refuse(&mut self, mut entries: Vec<Entry>, frames: &mut Vec<u8>, fault: &Error) {
        tracing::error!(error = %fault, writes = entries.len(), "log flush failed");
        // When a newer process owns this log, retrying would fork history.
        self.lost.note(fault);
        let kind = match fault.kind() {
            // Whoever writes again may find the store back, or the process that has taken over.
            ErrorKind::Unavailable | ErrorKind::Conflict => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        };
        for entry in &mut entries {
            entry.answer(Err(Error::new(kind, fault.to_string())));
        }
        // No frames: these have not been tried.
        let may_be_stored = !frames.is_empty() && self.place.is_left_in_doubt_by(fault);
        if let (true, Some(last)) = (may_be_stored, entries.last()) {
            self.unanswered = Some(Unanswered {
                frames: std::mem::take(frames),
                last_sequence: last.sequence,
                entries,
            });
        }
    }

    /// Makes certain that the flush which had no answer stands in the log, if there was one, and its rows visible.
    fn settle(&mut self) -> Result<(), Error> {
        let Some(flush) = self.unanswered.take() else {
            return Ok(());
        };
        match self.place.append(&flush.frames, flush.last_sequence) {
            Ok(()) => {
                self.apply(flush.entries);
                Ok(())
            }
            Err(fault) => {
                if self.place.is_left_in_doubt_by(&fault) {
                    self.unanswered = Some(flush);
                }
                Err(fault)
            }
        }
    }

    fn apply(&mut self, entries: Vec<Entry>) {
        for mut entry in entries {
            self.last_sequence = entry.sequence;
            let applied = self
                .buffer
                .apply(entry.sequence, std::mem::take(&mut entry.batches));
            entry.answer(applied);
        }
    }
}

impl Entry {
    fn answer(&mut self, outcome: Result<(), Error>) {
        if let Some(acknowledge) = self.acknowledge.take() {
            // A writer that went away, or never waited, misses nothing it needs.
            let _ = acknowledge.send(outcome);
        }
    }
}

impl Place {
    /// Makes `frames` durable, the last of them under `last_sequence`.
    fn append(&mut self, frames: &[u8], last_sequence: u64) -> Result<(), Error> {
        match self {
            Self::Folder(log) => log.append(frames, last_sequence),
            Self::Objects(log) => log.append(frames, last_sequence),
        }
    }

    /// Whether an append that failed so may have stored its frames all the same. They are to be appended again then, before any others.
    fn is_left_in_doubt_by(&self, fault: &Error) -> bool {
        match self {
            // Cut off again.
            Self::Folder(_) => false,
            Self::Objects(_) => fault.kind() != ErrorKind::Conflict,
        }
    }

    /// Begins a new segment with the next append.
    fn rotate(&mut self) {
        match self {
            Self::Folder(log) => log.rotate(),
            // Every flush is an object of its own.
            Self::Objects(_) => {}
        }
    }

    fn remove_through(&mut self, sequence: u64) {
        match self {
            Self::Folder(log) => log.remove_through(sequence),
            Self::Objects(log) => log.remove_through(sequence),
        }
    }
}

/// Finished segments and the last sequence each holds.
#[derive(Clone, Debug, Default)]
pub struct Sealed {
    /// By segment number.
    pub segments: BTreeMap<u64, SealedSegment>,
}

/// A segment nothing is appended to any more.
#[derive(Clone, Copy, Debug, Default)]
pub struct SealedSegment {
    /// 0 when it has no frames.
    pub last_sequence: u64,
    /// Something in it could not be read: it is set aside rather than removed.
    pub damaged: bool,
}

impl Sealed {
    /// Takes out the segments that hold nothing above `sequence`.
    fn take_through(&mut self, sequence: u64) -> BTreeMap<u64, SealedSegment> {
        let (gone, kept) = std::mem::take(&mut self.segments)
            .into_iter()
            .partition(|(_, segment)| segment.last_sequence <= sequence);
        self.segments = kept;
        gone
    }
}
