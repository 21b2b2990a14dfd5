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
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use runtime::Tasks;

use super::response::ResponseBody;
use super::{Services, handle};
use crate::flight::{self, CallBody, Protocol};
use crate::tls::{self, Stream, Tls};

/// Rest after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Longest wait for the head of a request on HTTP/1.1, and so the longest idle life of a connection there. Longer than
/// the pools of common clients keep theirs, so that clients are the ones who close.
const HEAD_TIMEOUT: Duration = Duration::from_secs(180);

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

/// Serves `listener`, over TLS where there is one, until `stop` is cancelled, then drains for at most `drain_limit`.
pub(crate) async fn serve(
    services: Arc<Services>,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    stop: CancellationToken,
    drain_limit: Duration,
) {
    let tasks = services.world.tasks.clone();
    let mut server = auto::Builder::new(NodeExecutor::new(tasks.clone()));
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let server = Arc::new(server);
    let draining = GracefulShutdown::new();
    let cut = CancellationToken::new();

    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (services, server) = (Arc::clone(&services), Arc::clone(&server));
                let (tls, stop, cut) = (tls.clone(), stop.clone(), cut.clone());
                let watcher = draining.watcher();
                drop(tasks.detach(async move {
                    let connection = async {
                        let greeted = tls::greet(tls.as_deref(), stream, peer, &stop);
                        if let Some(stream) = greeted.await {
                            serve_connection(services, &server, watcher, stream, peer).await;
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
    if tokio::time::timeout(drain_limit, draining.shutdown())
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

/// Runs one connection to its end.
async fn serve_connection(
    services: Arc<Services>,
    server: &auto::Builder<NodeExecutor>,
    watcher: Watcher,
    stream: Stream,
    peer: SocketAddr,
) {
    let service = service_fn(move |request| {
        let services = Arc::clone(&services);
        async move { Ok::<_, Infallible>(respond(services, request, peer).await) }
    });
    let connection = server
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    if let Err(fault) = watcher.watch(connection).await {
        tracing::debug!(%peer, %fault, "connection ended early");
    }
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
