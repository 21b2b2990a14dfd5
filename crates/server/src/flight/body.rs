//! The body of an answered call: its messages, its trailers, and its end at the deadline.
//!
//! Whatever way a call ends, it is counted and, if it failed, logged once. Dropping the body drops the query behind it.
//! Not here: what the messages are (`rows`).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::HeaderMap;
use tokio::time::Sleep;
use tonic::{Code, Status};

use super::compression::GzipMessages;
use super::status::status_of;
use super::trailers::Asked;
use crate::http::error::CallSummary;
use crate::http::metrics::CallMeter;

/// A call that is being answered.
pub(crate) struct CallBody {
    inner: tonic::body::Body,
    /// When its messages are to be compressed here.
    gzip: Option<GzipMessages>,
    /// When the client stops waiting.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Until the call has ended.
    meter: Option<CallMeter>,
    summary: CallSummary,
    asked: Arc<Asked>,
}

impl CallBody {
    pub(super) fn new(
        inner: tonic::body::Body,
        gzip: Option<GzipMessages>,
        deadline: Option<Pin<Box<Sleep>>>,
        meter: CallMeter,
        summary: CallSummary,
        asked: Arc<Asked>,
    ) -> Self {
        Self {
            deadline: deadline.filter(|_| !inner.is_end_stream()),
            inner,
            gzip,
            meter: Some(meter),
            summary,
            asked,
        }
    }

    fn ended(&mut self, trailers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(trailers) {
            log(&self.summary, &status);
            if let Some(mut meter) = self.meter.take() {
                meter.ended(&status);
            }
        }
    }
}

/// What a client is told that did not want to wait longer.
pub(super) fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("the deadline of the call is over")
}

/// Writes the one line that a failed call gets.
pub(super) fn log(summary: &CallSummary, status: &Status) {
    match status.code() {
        // Who went away has no failure to hear of.
        Code::Ok | Code::Cancelled => {}
        code => summary.log_failure(&format!("{code:?}: {}", status.message())),
    }
}

impl Body for CallBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let over = match &mut self.deadline {
            Some(deadline) => deadline.as_mut().poll(context).is_ready(),
            None => false,
        };
        if over {
            self.deadline = None;
            // The query ends with its stream.
            self.inner = tonic::body::Body::empty();
            let mut trailers = HeaderMap::new();
            // A status of ours always fits a header.
            let _ = deadline_exceeded().add_header(&mut trailers);
            self.ended(&trailers);
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        let Poll::Ready(Some(Ok(frame))) = polled else {
            return polled;
        };
        match frame.into_trailers() {
            Ok(mut trailers) => {
                self.deadline = None;
                self.ended(&trailers);
                self.asked.add_to(&mut trailers);
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            Err(frame) => Poll::Ready(Some(match (&mut self.gzip, frame.into_data()) {
                (Some(gzip), Ok(data)) => gzip
                    .pack(&data)
                    .map(Frame::data)
                    .map_err(|error| status_of(&error)),
                (None, Ok(data)) => Ok(Frame::data(data)),
                (_, Err(frame)) => Ok(frame),
            })),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream() && self.deadline.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
