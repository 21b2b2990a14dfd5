//! Rows on their way to the client, in pieces of text of about [`PIECE_BYTES`].
//!
//! The first piece is made where the request is answered. When the result turns out larger, the rest is made on threads of its
//! own, at most [`PIECES_AHEAD`] pieces before the client takes them: scanning, encoding and sending go on side by side, memory
//! stays bounded, and nobody's request waits for an encoder. Not here: how rows look (`rows`).

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use runtime::Workers;
use runtime::workers::Running;

use super::compression::{COMPRESSED_BYTES_MIN, Coding, Packer};
use super::rows::{RowWriter, Shape, Text};
use super::{Batches, Format, cannot_encode};
use crate::Error;
use crate::http::response::ResponseBody;

/// Size of a piece that leaves. Large enough that handing it over costs nothing, small enough to stay in the cache of a core.
const PIECE_BYTES: usize = 256 << 10;

/// Pieces that wait for the client.
const PIECES_AHEAD: usize = 2;

/// Buffers that are kept for the next pieces of a result, and the largest that is worth it.
const SPARE_BUFFERS_MAX: usize = PIECES_AHEAD + 1;
const SPARE_BUFFER_BYTES_MAX: usize = 4 * PIECE_BYTES;

/// A result that is being encoded.
pub(super) struct Encoding {
    batches: Batches,
    format: Format,
    writer: RowWriter,
    /// What to say next instead of going on.
    fault: Option<Error>,
    ended: bool,
    packer: Option<Packer>,
    spare: Arc<Spare>,
}

impl Encoding {
    pub(super) fn new(batches: Batches, format: Format, shape: Shape) -> Self {
        Self {
            batches,
            format,
            writer: RowWriter::new(shape),
            fault: None,
            ended: false,
            packer: None,
            spare: Arc::default(),
        }
    }

    /// The body, and what it is compressed with: what is asked for, unless it does not pay.
    ///
    /// Runs until the first rows are encoded or the result has ended; a fault up to there is an error.
    pub(super) async fn respond(
        mut self,
        asked: Option<Coding>,
        workers: Arc<Workers>,
    ) -> Result<(ResponseBody, Option<Coding>), Error> {
        let Some(first) = self.next_text().await? else {
            return Ok((ResponseBody::empty(), None));
        };
        let coding = asked.filter(|_| !self.ended || first.length() >= COMPRESSED_BYTES_MIN);
        self.packer = coding.map(Packer::new).transpose()?;
        let is_large = first.length() >= PIECE_BYTES;
        let first = self.packed(first)?;
        if self.ended {
            return Ok((ResponseBody::full(first), coding));
        }
        let rest = match is_large {
            true => there(self, workers),
            false => here(self, workers),
        };
        let pieces = stream::once(std::future::ready(Ok(first))).chain(rest);
        Ok((ResponseBody::stream(pieces.boxed()), coding))
    }

    /// The next piece as it is sent; `None` after the last.
    async fn next_piece(&mut self) -> Result<Option<Bytes>, Error> {
        match self.next_text().await? {
            Some(text) => self.packed(text).map(Some),
            None => {
                // What was compressed before has no proper end yet.
                let packer = self.packer.take();
                packer.map(|mut packer| packer.pack(&[], true)).transpose()
            }
        }
    }

    /// The next piece of text, which is not empty; `None` after the last. A piece is full, or all that is there without waiting.
    async fn next_text(&mut self) -> Result<Option<Text>, Error> {
        if let Some(fault) = self.fault.take() {
            return Err(self.ends_with(fault));
        }
        let mut text = Text::reusing(self.spare.take());
        while !self.ended && self.fault.is_none() && text.length() < PIECE_BYTES {
            if self.writer.is_in_batch() {
                let written = self.writer.write(&mut text, PIECE_BYTES);
                // A part of a row may have been written, so the piece is of no use.
                written.map_err(|fault| self.ends_with(cannot_encode(self.format, fault)))?;
                continue;
            }
            let next = match text.is_empty() {
                true => self.batches.try_next().await,
                false => match self.batches.try_next().now_or_never() {
                    Some(next) => next,
                    None => break,
                },
            };
            match next {
                Ok(Some(batch)) => {
                    let begun = self.writer.begin(&batch);
                    self.fault = begun
                        .map_err(|fault| cannot_encode(self.format, fault))
                        .err();
                }
                Ok(None) => {
                    self.writer.finish(&mut text);
                    self.ended = true;
                }
                Err(fault) => self.fault = Some(fault),
            }
        }
        match self.fault.take() {
            Some(fault) if text.is_empty() => Err(self.ends_with(fault)),
            later => {
                self.fault = later;
                Ok(Some(text).filter(|text| !text.is_empty()))
            }
        }
    }

    fn ends_with(&mut self, fault: Error) -> Error {
        self.ended = true;
        self.packer = None;
        fault
    }

    fn packed(&mut self, text: Text) -> Result<Bytes, Error> {
        let Some(mut packer) = self.packer.take() else {
            return Ok(self.spare.lend(text));
        };
        let packed = packer.pack(text.bytes(), self.ended)?;
        self.spare.give_back(text.into_parts().0);
        self.packer = Some(packer).filter(|_| !self.ended);
        Ok(packed)
    }
}

type Pieces = BoxStream<'static, Result<Bytes, Error>>;

/// Pieces made by whoever asks for them, until they amount to a full one: a small answer is not worth the way to another thread.
fn here(encoding: Encoding, workers: Arc<Workers>) -> Pieces {
    let state = (encoding, 0);
    let small = stream::try_unfold(Some(state), move |state| {
        let workers = Arc::clone(&workers);
        async move {
            let Some((mut encoding, sent_bytes)) = state else {
                return Ok(None);
            };
            let Some(piece) = encoding.next_piece().await? else {
                return Ok(None);
            };
            let sent_bytes = sent_bytes + piece.len();
            let one = stream::once(std::future::ready(Ok::<_, Error>(piece)));
            Ok(Some(match sent_bytes < PIECE_BYTES {
                true => (one.boxed(), Some((encoding, sent_bytes))),
                false => (one.chain(there(encoding, workers)).boxed(), None),
            }))
        }
    });
    small.try_flatten().boxed()
}

/// Pieces on their way from a worker. Whoever drops them drops the work.
struct Ahead {
    receiver: mpsc::Receiver<Result<Option<Bytes>, Error>>,
    _running: Running,
    /// There for as long as they have work.
    _workers: Arc<Workers>,
}

/// Pieces made by `workers`, ahead of whoever asks for them.
fn there(mut encoding: Encoding, workers: Arc<Workers>) -> Pieces {
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    let running = workers.run(async move {
        loop {
            let piece = encoding.next_piece().await;
            let goes_on = matches!(piece, Ok(Some(_)));
            // Whoever asked may have gone; then nobody needs the rest.
            if sender.send(piece).await.is_err() || !goes_on {
                return;
            }
        }
    });
    let ahead = Ahead {
        receiver,
        _running: running,
        _workers: workers,
    };
    stream::try_unfold(ahead, |mut ahead| async move {
        match ahead.receiver.recv().await {
            Some(piece) => Ok(piece?.map(|piece| (piece, ahead))),
            None => Err(Error::internal("the encoder ended before the result did")),
        }
    })
    .boxed()
}

/// Buffers of pieces that have been sent.
#[derive(Default)]
struct Spare(Mutex<Vec<Vec<u8>>>);

impl Spare {
    fn take(&self) -> Vec<u8> {
        self.0.lock().pop().unwrap_or_default()
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut spare = self.0.lock();
        if spare.len() < SPARE_BUFFERS_MAX && buffer.len() <= SPARE_BUFFER_BYTES_MAX {
            spare.push(buffer);
        }
    }

    /// The text, whose buffer comes back once nobody has it any more.
    fn lend(self: &Arc<Self>, text: Text) -> Bytes {
        let (buffer, length) = text.into_parts();
        Bytes::from_owner(Lent {
            buffer,
            length,
            owner: Arc::clone(self),
        })
    }
}

struct Lent {
    buffer: Vec<u8>,
    length: usize,
    owner: Arc<Spare>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.owner.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests;
