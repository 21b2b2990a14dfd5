//! Makes the rows of a plan in several threads, each for its hosts, and puts them together as one alone would have written them.

use super::disorder::{Disorder, Pulled};
use super::lines::Lines;
use super::plan::{Plan, UseCase};
use super::rows::{Rows, RowsInTime, Written};
use crate::Error;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// How much a thread makes before it hands it over, and how much is handed on together.
const CHUNK_BYTES: usize = 256 << 10;
const CHUNKS_WAITING: usize = 4;
/// Rows that are made before it is looked how many bytes there are.
const ROWS_AT_ONCE: usize = 500;

/// Hands the rows of a plan to `sink`, up to `rows_max` of them; the bytes do not depend on the number of workers.
pub(crate) fn write(
    plan: &Plan,
    workers: usize,
    rows_max: usize,
    mut sink: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<Written, Error> {
    if workers <= 1 {
        let mut rows = Rows::new(plan);
        return pass_on(rows_max, &mut sink, |rows_max, out| {
            rows.write(rows_max, out)
        });
    }
    std::thread::scope(|scope| {
        let mut shards = Vec::new();
        for part in plan.split(workers) {
            let (sender, receiver) = sync_channel(CHUNKS_WAITING);
            let (used, used_receiver) = channel();
            scope.spawn(move || make(&part, &sender, &used_receiver));
            shards.push(Shard {
                receiver,
                chunk: Chunk::default(),
                used,
            });
        }
        // Dropped before the threads are waited for, so that those with more to send see that nobody wants it.
        let mut merged = Merged {
            // The turn is that of the first next.
            turn: shards.len() - 1,
            rows_left: 0,
            shards,
        };
        match plan.use_case {
            UseCase::Iot => {
                let mut disorder = Disorder::new(plan);
                pass_on(rows_max, &mut sink, |rows_max, out| {
                    let mut written = Written::default();
                    while written.rows < rows_max {
                        let Some(values) = disorder.next(|lines| merged.pull(lines), out) else {
                            break;
                        };
                        written += Written { rows: 1, values };
                    }
                    written
                })
            }
            UseCase::CpuOnly | UseCase::Devops | UseCase::Churn => {
                pass_on(rows_max, &mut sink, |rows_max, out| {
                    merged.take(rows_max, out)
                })
            }
        }
    })
}

/// Asks for rows until there are enough or none are left, and hands them on in larger pieces.
fn pass_on(
    rows_max: usize,
    sink: &mut impl FnMut(&[u8]) -> Result<(), Error>,
    mut write: impl FnMut(usize, &mut Vec<u8>) -> Written,
) -> Result<Written, Error> {
    let mut total = Written::default();
    let mut out = Vec::with_capacity(2 * CHUNK_BYTES);
    loop {
        let written = write(ROWS_AT_ONCE.min(rows_max - total.rows), &mut out);
        total += written;
        if written.rows == 0 || out.len() >= CHUNK_BYTES {
            sink(&out)?;
            out.clear();
        }
        if written.rows == 0 {
            return Ok(total);
        }
    }
}

/// Some steps of one part of the hosts.
#[derive(Default)]
struct Chunk {
    lines: Lines,
    /// The rows of each step.
    steps: VecDeque<usize>,
}

/// The work of one thread: ends when all is made, or when nobody takes it any more. Chunks that come back empty are filled again.
fn make(part: &Plan, sender: &SyncSender<Chunk>, used: &Receiver<Chunk>) {
    let mut rows = RowsInTime::new(part);
    while rows.step().is_some() {
        let mut chunk = used.try_recv().unwrap_or_default();
        while let Some(step) = rows.step()
            && chunk.lines.bytes() < CHUNK_BYTES
        {
            let before = chunk.lines.rows();
            while rows.step() == Some(step) {
                chunk.lines.push_with(|out| rows.visit(out));
            }
            chunk.steps.push_back(chunk.lines.rows() - before);
        }
        if sender.send(chunk).is_err() {
            return;
        }
    }
}

struct Shard {
    receiver: Receiver<Chunk>,
    chunk: Chunk,
    /// Takes back the memory of chunks.
    used: Sender<Chunk>,
}

/// The rows of all shards: step by step, and within a step shard by shard.
struct Merged {
    shards: Vec<Shard>,
    /// The shard whose turn it is, and what is left of its step.
    turn: usize,
    rows_left: usize,
}

impl Merged {
    /// Appends up to `rows_max` rows that are together; none at the end, or if none are wanted.
    fn take(&mut self, rows_max: usize, out: &mut Vec<u8>) -> Written {
        match self.find_rows() {
            true => {
                let rows = rows_max.min(self.rows_left);
                self.rows_left -= rows;
                self.shards[self.turn].chunk.lines.take(rows, out)
            }
            false => Written::default(),
        }
    }

    fn pull(&mut self, lines: &mut Lines) -> Pulled {
        if !self.find_rows() {
            return Pulled::End;
        }
        self.rows_left -= 1;
        self.shards[self.turn].chunk.lines.move_to(1, lines);
        Pulled::Row
    }

    /// Goes on to the next step with rows unless there are some left of this one; false at the end.
    fn find_rows(&mut self) -> bool {
        while self.rows_left == 0 {
            let turn = (self.turn + 1) % self.shards.len();
            let shard = &mut self.shards[turn];
            if shard.chunk.steps.is_empty() {
                // All shards have the same number of steps, so the others have ended too.
                let Ok(chunk) = shard.receiver.recv() else {
                    return false;
                };
                let used = std::mem::replace(&mut shard.chunk, chunk);
                // A thread that has made all needs it no more.
                let _ = shard.used.send(used);
            }
            self.rows_left = shard.chunk.steps.pop_front().unwrap_or(0);
            self.turn = turn;
        }
        true
    }
}
