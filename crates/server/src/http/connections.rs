//! Connections: accepting them, serving requests on them, and letting them end in peace.
//!
//! HTTP/1.1, HTTP/2 (by its preface) and gRPC on it share one port, in the clear or over TLS (`tls`). The accept loop outlives every accept
//! error; on stop it closes the port, lets running requests finish up to a limit, then cuts what is left. Not here: what a request
//! means (`http::handle`).

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Either;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use runtime::Tasks;

use super::metrics::Metrics;
use super::patience::{BusyBody, Patience, Patient, Watch};
use super::response::ResponseBody;
use super::{Services, handle};
use crate::ClientLimits;
use crate::flight::{self, CallBody, Protocol};
use crate::tls::{self, Stream, Tls};

/// Rest after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Calls that one HTTP/2 connection may have open at once.
const STREAMS_MAX: u32 = 200;

/// All headers of one request on HTTP/2; a query may be in its path.
const HEAD_BYTES_MAX: u32 = 64 << 10;

/// Refusals that are being told at once; beyond that they are told by closing alone.
const REFUSALS_MAX: usize = 64;

/// Longest time for telling one.
const REFUSAL_WAIT_MAX: Duration = Duration::from_secs(2);

/// To whom there is no room for.
const REFUSAL: &str = "HTTP/1.1 503 Service Unavailable\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    retry-after: 1\r\n\
    connection: close\r\n\
    content-length: 20\r\n\r\n\
    too many connections";

/// What bounds clients and the end of serving them.
pub(crate) struct Limits {
    pub(crate) clients: ClientLimits,
    /// Longest wait for open connections at the end.
    pub(crate) drain: Duration,
}

/// How often a silent HTTP/2 connection is asked for a sign of life, and how long it has to give one.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Runs the streams of HTTP/2 connections as tasks of the node.
#[derive(Clone)]
pub(crate) struct NodeExecutor(Tasks);

impl NodeExecutor {
    pub(crate) fn new(tasks: Tasks) -> Self {
        Self(tasks)
    }
}

impl<F> Executor<F> for NodeExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        // Dropping the handle leaves the task running; it ends with its connection.
        drop(self.0.detach(stream));
    }
}

/// Serves `listener`, over TLS where there is one, until `stop` is cancelled, then drains.
pub(crate) async fn serve(
    services: Arc<Services>,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    stop: CancellationToken,
    limits: Limits,
) {
    let tasks = services.world.tasks.clone();
    let mut server = auto::Builder::new(NodeExecutor::new(tasks.clone()));
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.clients.idle_max);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX);
    let server = Arc::new(server);
    let draining = GracefulShutdown::new();
    let cut = CancellationToken::new();
    let patience = Patience {
        idle: limits.clients.idle_max,
        head: limits.clients.head_max,
        unread: limits.clients.body_max,
    };
    let room = Arc::new(Semaphore::new(
        limits.clients.connections_max.min(Semaphore::MAX_PERMITS),
    ));
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    let mut was_full = false;

    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                    services.metrics.connection_refused();
                    if !was_full {
                        was_full = true;
                        let open = limits.clients.connections_max;
                        tracing::warn!(
                            open,
                            "as many connections are open as may be: new ones are refused"
                        );
                    }
                    if let Ok(telling) = Arc::clone(&refusals).try_acquire_owned() {
                        let is_plain = tls.is_none();
                        drop(tasks.detach(async move {
                            refuse(stream, is_plain).await;
                            drop(telling);
                        }));
                    }
                    continue;
                };
                was_full = false;
                let (services, server) = (Arc::clone(&services), Arc::clone(&server));
                let (tls, stop, cut) = (tls.clone(), stop.clone(), cut.clone());
                let watcher = draining.watcher();
                drop(tasks.detach(async move {
                    let _open = Open::new(Arc::clone(&services.metrics), place);
                    let connection = async {
                        let greeted = tls::greet(tls.as_deref(), stream, peer, &stop);
                        if let Some(stream) = greeted.await {
                            serve_connection(services, &server, watcher, stream, peer, patience)
                                .await;
                        }
                    };
                    tokio::select! {
                        () = connection => {}
                        () = cut.cancelled() => {}
                    }
                }));
            }
            // The peer gave up while it was still waiting to be accepted.
            Err(fault) if is_of_one_peer(&fault) => {}
            Err(fault) => {
                tracing::warn!(%fault, "cannot accept a connection");
                tokio::select! {
                    _ = tasks.pause(ACCEPT_PAUSE) => {}
                    () = stop.cancelled() => break,
                }
            }
        }
    }

    drop(listener);
    let open = draining.count();
    if tokio::time::timeout(limits.drain, draining.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            connections = open,
            "cutting connections that did not end in time"
        );
        cut.cancel();
    }
}

/// A connection's place among those that may be open, and in what is counted.
struct Open {
    metrics: Arc<Metrics>,
    _place: OwnedSemaphorePermit,
}

impl Open {
    fn new(metrics: Arc<Metrics>, place: OwnedSemaphorePermit) -> Self {
        metrics.connection_opened();
        Self {
            metrics,
            _place: place,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.connection_closed();
    }
}

/// Runs one connection to its end.
async fn serve_connection(
    services: Arc<Services>,
    server: &auto::Builder<NodeExecutor>,
    watcher: Watcher,
    stream: Stream,
    peer: SocketAddr,
    patience: Patience,
) {
    let watch = Arc::new(Watch::default());
    let stream = Patient::new(stream, patience, Arc::clone(&watch));
    let service = service_fn(move |request| {
        let services = Arc::clone(&services);
        let busy = watch.busy();
        async move {
            let response = respond(services, request, peer).await;
            Ok::<_, Infallible>(response.map(|body| BusyBody::new(body, busy)))
        }
    });
    let connection = server
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    if let Err(fault) = watcher.watch(connection).await {
        tracing::debug!(%peer, %fault, "connection ended early");
    }
}

/// Tells a client that there is no room for it, so that it does not take the server for dead. Over TLS that would take a handshake,
/// so there the connection is only closed.
async fn refuse(mut stream: TcpStream, is_plain: bool) {
    if !is_plain {
        return;
    }
    let telling = async {
        stream.write_all(REFUSAL.as_bytes()).await?;
        stream.shutdown().await?;
        // What the client has sent has to be taken, or the answer is lost with it.
        let mut taken = [0; 1_024];
        while stream.read(&mut taken).await? > 0 {}
        io::Result::Ok(())
    };
    // A client that does not listen is not told.
    let _ = tokio::time::timeout(REFUSAL_WAIT_MAX, telling).await;
}

/// Hands a call to `flight` and every other request to `http`.
async fn respond(
    services: Arc<Services>,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Response<Either<ResponseBody, CallBody>> {
    match flight::protocol(request.version(), request.headers()) {
        Protocol::Http => handle(services, request, peer.ip()).await.map(Either::Left),
        Protocol::Grpc => flight::answer(services, request, peer.ip())
            .await
            .map(Either::Right),
        Protocol::Broken(failure) => failure.into_response().map(Either::Left),
    }
}

fn is_of_one_peer(fault: &io::Error) -> bool {
    matches!(
        fault.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}
