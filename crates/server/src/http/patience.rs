//! How long a connection waits for its client: when idle, for the head of a request that has begun, for the client to read.
//!
//! [`Patient`] lies between the socket and HTTP and sees bytes; [`Busy`] tells it when a request is being answered, for then the client
//! owes nothing but its body, which has a pace of its own (`body`). A connection of HTTP/2 is watched by its pings instead, once its
//! preface is there. Not here: how many connections there may be (`connections`).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) idle: Duration,
    pub(crate) head: Duration,
    /// Without reading anything of an answer.
    pub(crate) unread: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    /// Some of a request's head has come.
    Head,
    Busy,
    Http2,
}

/// The phase of a connection, with a number that grows at each change.
#[derive(Debug, Default)]
pub(crate) struct Watch(AtomicU64);

impl Watch {
    fn now(&self) -> (u64, Phase) {
        let state = self.0.load(Ordering::Acquire);
        let phase = match state & 3 {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Busy,
            _ => Phase::Http2,
        };
        (state, phase)
    }

    fn enter(&self, phase: Phase) {
        let code = match phase {
            Phase::Idle => 0,
            Phase::Head => 1,
            Phase::Busy => 2,
            Phase::Http2 => 3,
        };
        let next = |state: u64| {
            // Whatever it says later, a connection stays what its preface made it.
            (state & 3 != 3).then_some(((state >> 2) + 1) << 2 | code)
        };
        let _ = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }

    /// A request has come whole; lasts until the answer is gone.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.enter(Phase::Busy);
        Busy(Arc::clone(self))
    }
}

/// While a request is being answered.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Watch>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.enter(Phase::Idle);
    }
}

/// The body of an answer, which keeps its connection busy.
pub(crate) struct BusyBody<B> {
    body: B,
    _busy: Busy,
}

impl<B> BusyBody<B> {
    pub(crate) fn new(body: B, busy: Busy) -> Self {
        Self { body, _busy: busy }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for BusyBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that fails when its client takes too long.
pub(crate) struct Patient<S> {
    stream: S,
    patience: Patience,
    watch: Arc<Watch>,
    /// Of the phase that was current when it was set.
    timer: Pin<Box<Sleep>>,
    timer_of: Option<u64>,
    /// How much of HTTP/2's preface has come; `None` once something else has.
    preface_bytes: Option<usize>,
    /// Since when nothing can be written.
    unread: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(crate) fn new(stream: S, patience: Patience, watch: Arc<Watch>) -> Self {
        Self {
            stream,
            patience,
            watch,
            timer: Box::pin(tokio::time::sleep(patience.idle)),
            timer_of: None,
            preface_bytes: Some(0),
            unread: None,
        }
    }

    fn saw(&mut self, bytes: &[u8]) {
        if let Some(known) = self.preface_bytes {
            let compared = bytes.len().min(PREFACE.len() - known);
            if bytes[..compared] != PREFACE[known..known + compared] {
                self.preface_bytes = None;
            } else if known + compared == PREFACE.len() {
                self.watch.enter(Phase::Http2);
                return;
            } else {
                self.preface_bytes = Some(known + compared);
            }
        }
        // Some clients end a body with an empty line too many.
        let is_blank = bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        if self.watch.now().1 == Phase::Idle && !is_blank {
            self.watch.enter(Phase::Head);
        }
    }

    /// Ready when the client has had its time.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (state, phase) = self.watch.now();
        let limit = match phase {
            Phase::Idle => self.patience.idle,
            Phase::Head => self.patience.head,
            Phase::Busy | Phase::Http2 => return Poll::Pending,
        };
        if self.timer_of != Some(state) {
            self.timer.as_mut().set(tokio::time::sleep(limit));
            self.timer_of = Some(state);
        }
        self.timer.as_mut().poll(context)
    }

    fn watch_write<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.unread = None;
            return written;
        }
        let limit = self.patience.unread;
        let unread = self
            .unread
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        match unread.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(too_slow("the client does not read"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

fn too_slow(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(read) => {
                read?;
                self.saw(&buffer.filled()[before..]);
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                ready!(self.poll_timer(context));
                Poll::Ready(Err(too_slow("no request came in time")))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch_write(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.watch_write(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watch_write(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch_write(shut, context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);
    const SHORT: Duration = Duration::from_millis(20);
    const PATIENT: Patience = Patience {
        idle: LONG,
        head: LONG,
        unread: LONG,
    };

    /// Reads until the stream fails.
    async fn fails(stream: &mut (impl AsyncRead + Unpin)) -> io::ErrorKind {
        let mut buffer = [0; 64];
        loop {
            if let Err(fault) = stream.read(&mut buffer).await {
                return fault.kind();
            }
        }
    }

    /// Whether the stream goes on for longer than what is short.
    async fn goes_on(stream: &mut (impl AsyncRead + Unpin)) -> bool {
        tokio::time::timeout(SHORT * 5, fails(stream))
            .await
            .is_err()
    }

    #[tokio::test]
    async fn an_idle_connection_and_a_head_that_has_begun_have_limits_of_their_own() {
        let (_client, server) = duplex(64);
        let short_idle = Patience {
            idle: SHORT,
            ..PATIENT
        };
        let mut idle = Patient::new(server, short_idle, Arc::default());
        assert_eq!(fails(&mut idle).await, io::ErrorKind::TimedOut);

        let short_head = Patience {
            head: SHORT,
            ..PATIENT
        };
        let (mut client, server) = duplex(64);
        let mut begun = Patient::new(server, short_head, Arc::default());
        client.write_all(b"\r\n").await.expect("sends");
        assert!(goes_on(&mut begun).await);
        // A byte now and then does not make it longer.
        let trickle = async {
            while client.write_all(b"G").await.is_ok() {
                tokio::time::sleep(SHORT / 4).await;
            }
        };
        tokio::select! {
            kind = fails(&mut begun) => assert_eq!(kind, io::ErrorKind::TimedOut),
            () = trickle => panic!("a head without an end"),
        }
    }

    #[tokio::test]
    async fn who_is_answered_owes_nothing() {
        let (mut client, server) = duplex(64);
        let watch = Arc::new(Watch::default());
        let short = Patience {
            idle: SHORT,
            head: SHORT,
            ..PATIENT
        };
        let mut patient = Patient::new(server, short, Arc::clone(&watch));
        client.write_all(b"GET").await.expect("sends");
        patient.read_exact(&mut [0; 3]).await.expect("reads");
        let busy = watch.busy();
        assert!(goes_on(&mut patient).await);
        drop(busy);
        assert_eq!(fails(&mut patient).await, io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn http_2_is_left_to_its_pings_once_its_preface_is_there() {
        for (sent, is_left_alone) in [(PREFACE, true), (&PREFACE[..20], false), (b"POST /", false)]
        {
            let (mut client, server) = duplex(64);
            let short = Patience {
                idle: SHORT,
                head: SHORT,
                ..PATIENT
            };
            let mut patient = Patient::new(server, short, Arc::default());
            client.write_all(sent).await.expect("sends");
            assert_eq!(goes_on(&mut patient).await, is_left_alone, "{sent:?}");
        }
    }

    #[tokio::test]
    async fn who_does_not_read_is_left() {
        let (_client, server) = duplex(4);
        let short = Patience {
            unread: SHORT,
            ..PATIENT
        };
        let mut patient = Patient::new(server, short, Arc::default());
        let fault = patient.write_all(b"12345").await.expect_err("full");
        assert_eq!(fault.kind(), io::ErrorKind::TimedOut);
    }
}
