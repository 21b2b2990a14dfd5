//! Responses: a body that is whole or streamed, and that knows when its last byte has left.
//!
//! Used by every handler. Not here: what a failed request looks like (`error.rs`), rows to text (`encode`).

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::encode::WholeResult;
use super::encode::compression::{COMPRESSED_BYTES_MIN, Coding};
use super::error::CallSummary;
use super::metrics::Meter;
use crate::Error;

/// The content of a response.
pub(crate) struct ResponseBody {
    content: Content,
    meter: Option<Meter>,
    /// Whose log line a fault in the middle of the body is.
    call: Option<CallSummary>,
    /// The memory that the content takes, if it counts.
    held: Option<WholeResult>,
}

enum Content {
    /// Also what remains of anything once it is sent.
    Nothing,
    Whole(Bytes),
    /// Ends early, without a proper end, when an item is an error: the client must notice.
    Streamed(BoxStream<'static, Result<Bytes, Error>>),
    /// The rest of a streamed body that met a fault.
    Broken(Error),
}

impl ResponseBody {
    pub(crate) fn empty() -> Self {
        Self::of(Content::Nothing)
    }

    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::of(if bytes.is_empty() {
            Content::Nothing
        } else {
            Content::Whole(bytes)
        })
    }

    pub(crate) fn stream(chunks: BoxStream<'static, Result<Bytes, Error>>) -> Self {
        Self::of(Content::Streamed(chunks))
    }

    /// Reports to `meter` what is sent, and whether all of it was.
    pub(crate) fn metered(mut self, mut meter: Meter) -> Self {
        if self.is_end_stream() {
            meter.complete();
        }
        self.meter = Some(meter);
        self
    }

    /// Keeps a share of memory until the body is gone.
    pub(crate) fn holding(mut self, held: WholeResult) -> Self {
        self.held = Some(held);
        self
    }

    /// Whether a fault can still happen while the body is sent.
    pub(crate) fn is_streamed(&self) -> bool {
        matches!(self.content, Content::Streamed(_))
    }

    /// Logs such a fault as the failure of `call`; there is no status left to tell the client.
    pub(crate) fn reporting(mut self, call: CallSummary) -> Self {
        self.call = Some(call);
        self
    }

    fn of(content: Content) -> Self {
        Self {
            content,
            meter: None,
            call: None,
            held: None,
        }
    }

    fn count(&mut self, bytes: usize, last: bool) {
        if let Some(meter) = &mut self.meter {
            meter.sent(bytes);
            if last {
                meter.complete();
            }
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match std::mem::replace(&mut self.content, Content::Nothing) {
            Content::Nothing => Poll::Ready(None),
            Content::Whole(bytes) => {
                self.count(bytes.len(), true);
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Content::Broken(error) => Poll::Ready(Some(Err(error))),
            Content::Streamed(mut chunks) => match chunks.poll_next_unpin(context) {
                Poll::Pending => {
                    self.content = Content::Streamed(chunks);
                    Poll::Pending
                }
                Poll::Ready(Some(Ok(chunk))) => {
                    self.content = Content::Streamed(chunks);
                    self.count(chunk.len(), false);
                    Poll::Ready(Some(Ok(Frame::data(chunk))))
                }
                Poll::Ready(Some(Err(error))) => {
                    if let Some(call) = &self.call {
                        call.log_failure(&error);
                    }
                    // hyper drops what it has not sent yet when a body fails, the status too; but it sends all it has while a
                    // body lets it wait.
                    self.content = Content::Broken(error);
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                Poll::Ready(None) => {
                    self.count(0, true);
                    Poll::Ready(None)
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Nothing)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Nothing => SizeHint::with_exact(0),
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Streamed(_) | Content::Broken(_) => SizeHint::default(),
        }
    }
}

/// A response without a body.
pub(crate) fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    response
}

/// A response with a body of the given type.
pub(crate) fn typed(
    status: StatusCode,
    content_type: &'static str,
    body: ResponseBody,
) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}

/// A response of 200 with a body of JSON.
pub(crate) fn json(body: &impl Serialize) -> Result<Response<ResponseBody>, Error> {
    let text = serde_json::to_vec(body)
        .map_err(|fault| Error::internal("cannot encode the answer").with_source(fault))?;
    Ok(typed(
        StatusCode::OK,
        "application/json",
        ResponseBody::full(text),
    ))
}

/// A whole answer in the coding that the client likes best, when there is enough of it.
pub(crate) fn compressed(
    response: Response<ResponseBody>,
    head: &Parts,
) -> Result<Response<ResponseBody>, Error> {
    let (mut parts, body) = response.into_parts();
    let vary = HeaderValue::from_name(ACCEPT_ENCODING);
    parts.headers.insert(VARY, vary);
    let body = match (body.content, Coding::of(&head.headers)) {
        (Content::Whole(bytes), Some(coding)) if bytes.len() >= COMPRESSED_BYTES_MIN => {
            parts.headers.insert(CONTENT_ENCODING, coding.header());
            ResponseBody::full(coding.pack_whole(&bytes)?)
        }
        (content, _) => ResponseBody::of(content),
    };
    Ok(Response::from_parts(parts, body))
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_fault_comes_after_a_pause_in_which_the_rest_is_sent() {
        let pieces = vec![Ok(Bytes::from("a")), Err(Error::internal("fault"))];
        let mut body = ResponseBody::stream(stream::iter(pieces).boxed());
        let first = body.frame().await.and_then(Result::ok);
        assert_eq!(
            first.and_then(|frame| frame.into_data().ok()),
            Some(Bytes::from("a"))
        );
        let waits = futures::poll!(body.frame()).is_pending();
        assert!(waits);
        assert!(body.frame().await.is_some_and(|frame| frame.is_err()));
        assert!(body.is_end_stream());
    }
}
