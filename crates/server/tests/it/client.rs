//! A node in memory on a free port, and a plain HTTP client for it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use server::{
    AskedMemory, ClientLimits, Config, Node, ObjectStoreKind, QuerySettings, TokenSettings,
};
use tokio::net::TcpStream;

/// Settings for tests: memory store, free port, no tokens.
pub(crate) fn config() -> Config {
    Config {
        node_id: "node".to_string(),
        object_store: ObjectStoreKind::Memory,
        http_bind: ([127, 0, 0, 1], 0).into(),
        tcp_listener_file_path: None,
        without_auth: true,
        disable_authz: Vec::new(),
        token_grace_period: Duration::ZERO,
        tokens: TokenSettings::default(),
        tls: None,
        max_http_request_bytes: 10 << 20,
        clients: ClientLimits::default(),
        wal_flush_interval: Duration::from_millis(10),
        wal_snapshot_size: 600,
        wal_replay_fail_on_error: false,
        delete_grace: Duration::from_secs(86_400),
        memory: server::memory::shares(1 << 30, &AskedMemory::default()).expect("enough"),
        query_threads: 2,
        queries: QuerySettings::default(),
        limits: catalog::Limits::default(),
        shutdown_timeout: Duration::from_secs(30),
        processors: 2,
        options: [("node-id".to_string(), "node".to_string())].into(),
        version: "3.10.0".to_string(),
        revision: "0123456789".to_string(),
    }
}

pub(crate) async fn start(config: Config) -> Node {
    Node::start(config).await.expect("the node starts")
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends one request on a connection of its own.
pub(crate) async fn send(node: &Node, request: Request<Full<Bytes>>) -> Answer {
    try_send(node, request).await.expect("an answer")
}

pub(crate) async fn try_send<B>(
    node: &Node,
    mut request: Request<B>,
) -> Result<Answer, hyper::Error>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect(node.address())
        .await
        .expect("the node accepts connections");
    let host = node.address().to_string().parse().expect("a header value");
    request.headers_mut().insert("host", host);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    };
    tokio::pin!(connection);
    tokio::select! {
        answer = exchange => answer,
        ended = &mut connection => {
            ended?;
            panic!("the connection ended before the answer did")
        }
    }
}

pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).expect("a request")
}

pub(crate) fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(path)
        .body(Full::new(body.into()))
        .expect("a request")
}
