//! Starting and stopping a node.

use std::time::Duration;

use server::{Config, ErrorKind, Node, ObjectStoreKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{config, get, post, send, start};

#[tokio::test]
async fn the_listener_file_holds_the_bound_address_and_must_be_new() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("listener");
    let with_file = Config {
        tcp_listener_file_path: Some(file.clone()),
        ..config()
    };
    let node = start(with_file.clone()).await;
    let written = std::fs::read_to_string(&file).expect("the file");
    assert_eq!(written, node.address().to_string());
    node.stop().await.expect("stops");

    let refused = Node::start(with_file).await.expect_err("the file is there");
    assert_eq!(refused.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let node = start(config()).await;
    let same_port = Config {
        http_bind: node.address(),
        ..config()
    };
    let refused = Node::start(same_port).await.expect_err("the port is taken");
    let start = format!("Failed to bind address {}: ", node.address());
    assert!(refused.to_string().starts_with(&start), "{refused}");
    node.stop().await.expect("stops");
}

/// Sends the head and half the body of a write; returns once the handler waits for the rest.
async fn half_a_write(node: &Node) -> TcpStream {
    const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut stream = TcpStream::connect(node.address()).await.expect("connects");
    let head = "POST /api/v3/write_lp?db=d HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 8\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("sends");
    let mut answer = vec![0; GO_ON.len()];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(answer, GO_ON);
    stream.write_all(b"t v=").await.expect("sends");
    stream
}

#[tokio::test]
async fn stopping_lets_a_running_request_finish() {
    let node = start(config()).await;
    let mut stream = half_a_write(&node).await;
    let address = node.address();
    let (stopped, answer) = tokio::join!(node.stop(), async {
        // The port closes at once, the connection does not.
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stream.write_all(b"1i 1").await.expect("still open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    });
    stopped.expect("stops");
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
}

#[tokio::test]
async fn stopping_cuts_requests_that_do_not_finish() {
    let node = start(Config {
        shutdown_timeout: Duration::from_millis(50),
        ..config()
    })
    .await;
    let mut stream = half_a_write(&node).await;
    let stopped = tokio::time::timeout(Duration::from_secs(20), node.stop()).await;
    stopped.expect("in time").expect("stops");
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest).await;
    assert!(read.is_err() || rest.is_empty());
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let on_disk = Config {
        object_store: ObjectStoreKind::File(folder.path().to_path_buf()),
        without_auth: false,
        ..config()
    };
    let node = start(on_disk.clone()).await;
    let created = send(&node, post("/api/v3/configure/token/admin", "")).await;
    let created: serde_json::Value = serde_json::from_slice(&created.body).expect("JSON");
    let token = created["token"].as_str().expect("a token").to_string();
    let authorized = |mut request: hyper::Request<_>| {
        let value = format!("Bearer {token}").parse().expect("a header value");
        request.headers_mut().insert("authorization", value);
        request
    };
    let written = send(&node, authorized(post("/api/v3/write_lp?db=d", "t v=1i 1"))).await;
    assert_eq!(written.status.as_u16(), 204, "{}", written.text());
    let cluster = written.headers["cluster-uuid"].clone();
    node.stop().await.expect("stops");

    let node = start(on_disk).await;
    let rows = "/api/v3/query_sql?db=d&q=SELECT%20v%20FROM%20t";
    let answer = send(&node, authorized(get(rows))).await;
    assert_eq!(answer.text(), r#"[{"v":1}]"#);
    assert_eq!(answer.headers["cluster-uuid"], cluster);
    let again = send(&node, post("/api/v3/configure/token/admin", "")).await;
    assert_eq!(again.text(), "token name already exists, _admin");
    node.stop().await.expect("stops");
}
