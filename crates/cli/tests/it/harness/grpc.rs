//! One gRPC call with an empty message, as plain as HTTP/2 allows: for what a server makes of its metadata.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper::{HeaderMap, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A message of no bytes, not compressed.
const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// Calls a method of the Flight service; answers its `grpc-status`.
pub(crate) fn call(
    address: SocketAddr,
    tls: Option<ClientConfig>,
    method: &str,
    metadata: &[(&str, &str)],
) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let stream = TcpStream::connect(address).await.expect("a connection");
        match tls {
            None => send(stream, "http", method, metadata).await,
            Some(client) => {
                let name = "localhost".try_into().expect("a name");
                let connector = TlsConnector::from(Arc::new(client));
                let stream = connector.connect(name, stream).await.expect("a handshake");
                send(stream, "https", method, metadata).await
            }
        }
    })
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    scheme: &str,
    method: &str,
    metadata: &[(&str, &str)],
) -> String {
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .expect("HTTP/2");
    let running = tokio::spawn(connection);
    let path = format!("{scheme}://localhost/arrow.flight.protocol.FlightService/{method}");
    let mut request = Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in metadata {
        request = request.header(*name, *value);
    }
    let request = request
        .body(Full::new(Bytes::from_static(EMPTY_MESSAGE)))
        .expect("a request");
    let response = sender.send_request(request).await.expect("an answer");
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a whole answer");
    let status = |headers: &HeaderMap| {
        let status = headers.get("grpc-status")?;
        Some(status.to_str().expect("text").to_string())
    };
    let trailers = body.trailers().and_then(status);
    drop(sender);
    running.abort();
    trailers
        .or_else(|| status(&head.headers))
        .expect("a status")
}
