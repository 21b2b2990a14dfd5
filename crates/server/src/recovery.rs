//! The recovery listener: gives the operator token another secret to whoever reaches it, once (spec/auth-tokens.md §12).
//!
//! Off unless asked for, with a port of its own, on the loopback unless told otherwise. It knows one request and asks for no token; after its
//! one success it is closed before the answer is sent. Not here: rotating with a token (`http/v3/token`), client commands.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use catalog::{Asker, Catalog, OPERATOR_TOKEN, Rotation};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, HeaderValue, ORIGIN};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use runtime::World;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::http::connections::NodeExecutor;
use crate::http::v3::token;
use crate::tls::{self, Stream, Tls};
use crate::token_events::{Event, EventKind, Protocol, TokenEvents};
use crate::{Error, ErrorKind};

/// The one request that is answered.
const PATH: &str = "/api/v3/configure/token/admin/regenerate";

/// The request's body says nothing, and is read all the same.
const BODY_BYTES_MAX: usize = 64 << 10;

/// Longest wait for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest wait for connections once the listener is closed.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// Rest after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const NOT_FOUND: &str = "not found";
const UNREADABLE: &str = "Failed to read request body";
const NO_OPERATOR: &str = "missing admin token, cannot update";
const FROM_A_PAGE: &str = "a recovery is not for web pages: ask without an origin";
const UNDER_WAY: &str =
    "another recovery is under way or done, and there is only one: restart the server for the next";

/// What a recovery works with.
pub(crate) struct Recovery {
    world: World,
    catalog: Arc<Catalog>,
    events: TokenEvents,
    /// Whether the node asks for tokens at all.
    with_auth: bool,
    /// Taken by the request that may rotate, given back when it fails.
    is_taken: AtomicBool,
    stop: CancellationToken,
    /// Once the port is closed.
    closed: CancellationToken,
}

impl Recovery {
    pub(crate) fn new(
        world: &World,
        catalog: Arc<Catalog>,
        events: TokenEvents,
        with_auth: bool,
    ) -> Self {
        Self {
            world: world.clone(),
            catalog,
            events,
            with_auth,
            is_taken: AtomicBool::new(false),
            stop: CancellationToken::new(),
            closed: CancellationToken::new(),
        }
    }

    /// Serves `listener` in the background, until the first success or the end of the node.
    pub(crate) fn start(self, listener: TcpListener, address: SocketAddr, tls: Option<Arc<Tls>>) {
        tracing::warn!(
            %address,
            "the recovery listener is open: whoever reaches it can give the operator token another secret, WITHOUT ANY TOKEN; \
             it closes after the first success"
        );
        if !address.ip().is_loopback() {
            tracing::warn!(
                %address,
                "THE RECOVERY LISTENER CAN BE REACHED FROM BEYOND THIS MACHINE: the first who comes owns the server; \
                 without an address it would listen on the loopback alone"
            );
        }
        let tasks = self.world.tasks.clone();
        tasks.spawn("recovery listener", Arc::new(self).serve(listener, tls));
    }

    async fn serve(self: Arc<Self>, listener: TcpListener, tls: Option<Arc<Tls>>) {
        let tasks = self.world.tasks.clone();
        let mut server = auto::Builder::new(NodeExecutor::new(tasks.clone()));
        server
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT);
        server.http2().timer(TokioTimer::new());
        let server = Arc::new(server);
        let draining = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => break,
                () = tasks.stopping() => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let recovery = Arc::clone(&self);
                    let (server, tls) = (Arc::clone(&server), tls.clone());
                    let watcher = draining.watcher();
                    drop(tasks.detach(async move {
                        let greeted = tls::greet(tls.as_deref(), stream, peer, &recovery.stop);
                        if let Some(stream) = greeted.await {
                            recovery
                                .serve_connection(&server, watcher, stream, peer)
                                .await;
                        }
                    }));
                }
                Err(fault) => {
                    tracing::debug!(%fault, "the recovery listener cannot accept a connection");
                    if !tasks.pause(ACCEPT_PAUSE).await {
                        break;
                    }
                }
            }
        }
        drop(listener);
        self.stop.cancel();
        self.closed.cancel();
        if tokio::time::timeout(DRAIN_LIMIT, draining.shutdown())
            .await
            .is_err()
        {
            tracing::debug!("connections to the recovery listener did not end in time");
        }
    }

    /// Runs one connection to its end.
    async fn serve_connection(
        self: Arc<Self>,
        server: &auto::Builder<NodeExecutor>,
        watcher: Watcher,
        stream: Stream,
        peer: SocketAddr,
    ) {
        let recovery = self;
        let service = service_fn(move |request| {
            let recovery = Arc::clone(&recovery);
            async move { Ok::<_, Infallible>(recovery.answer(request, peer).await) }
        });
        let connection = server
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        if let Err(fault) = watcher.watch(connection).await {
            tracing::debug!(%peer, %fault, "a connection to the recovery listener ended early");
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<Full<Bytes>> {
        let (status, body) = self.outcome(request, peer).await;
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        let content_type = match status {
            StatusCode::CREATED => "application/json",
            _ => "text/plain; charset=utf-8",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
    }

    async fn outcome(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> (StatusCode, Bytes) {
        let text = |status, text: &str| (status, Bytes::copy_from_slice(text.as_bytes()));
        if request.method() != Method::POST || request.uri().path() != PATH {
            return text(StatusCode::NOT_FOUND, NOT_FOUND);
        }
        // Whatever page a browser on this machine shows may send this request, and may read the answer.
        if request.headers().contains_key(ORIGIN) {
            return text(StatusCode::FORBIDDEN, FROM_A_PAGE);
        }
        let body = Limited::new(request.into_body(), BODY_BYTES_MAX);
        if let Err(fault) = body.collect().await {
            tracing::debug!(%peer, fault, "the body of a recovery cannot be read");
            return text(StatusCode::BAD_REQUEST, UNREADABLE);
        }
        if !self.with_auth {
            return text(StatusCode::INTERNAL_SERVER_ERROR, NO_OPERATOR);
        }
        if self.is_taken.swap(true, Ordering::SeqCst) {
            return text(StatusCode::CONFLICT, UNDER_WAY);
        }
        // The client may go away; what has begun is carried through.
        let recovery = Arc::clone(&self);
        let rotated = self
            .world
            .tasks
            .detach(async move { recovery.rotate(peer).await })
            .await;
        match rotated {
            Ok(Ok(body)) => (StatusCode::CREATED, body),
            Ok(Err(fault)) => {
                tracing::error!(%peer, %fault, "the recovery failed");
                let status = match fault.kind() {
                    ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::INTERNAL_SERVER_ERROR,
                };
                text(status, &fault.to_string())
            }
            Err(_) => text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the recovery did not end",
            ),
        }
    }

    /// Rotates the operator token and closes the listener; the answer's body.
    async fn rotate(&self, peer: SocketAddr) -> Result<Bytes, Error> {
        let rotated = self
            .catalog
            .rotate_token(OPERATOR_TOKEN, Rotation::default(), &Asker::Node)
            .await;
        let created = match rotated {
            Ok(created) => created,
            Err(fault) => {
                self.is_taken.store(false, Ordering::SeqCst);
                return Err(fault);
            }
        };
        self.stop.cancel();
        tracing::warn!(%peer, "the operator token was regenerated through the recovery listener, which is closed now");
        let event = Event::done(EventKind::Rotate, &created.token)
            .from(peer.ip(), Protocol::Recovery)
            .saying("through the recovery listener");
        self.events.record(event).await;
        self.closed.cancelled().await;
        Ok(token::encode(&created)?.into())
    }
}
