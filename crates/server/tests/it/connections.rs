//! Connections: both versions of HTTP on one port, bodies as clients really send them, many requests on one connection.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use server::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{config, get, post, send, start, try_send};

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

#[tokio::test]
async fn http_2_without_an_upgrade() {
    let node = start(config()).await;
    let stream = TcpStream::connect(node.address()).await.expect("connects");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    let requests = async {
        for _ in 0..3 {
            let request = Request::get(format!("http://{}/health", node.address()))
                .body(Full::<Bytes>::default())
                .expect("a request");
            let response = sender.send_request(request).await.expect("an answer");
            assert_eq!(response.status(), StatusCode::OK);
            let body = response.into_body().collect().await.expect("a body");
            assert_eq!(body.to_bytes(), "OK");
        }
    };
    tokio::select! {
        () = requests => {}
        ended = connection => panic!("the connection ended: {ended:?}"),
    }
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn requests_follow_each_other_on_one_connection() {
    let node = start(config()).await;
    let mut stream = TcpStream::connect(node.address()).await.expect("connects");
    let pair = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n\
        GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(pair.as_bytes()).await.expect("sends");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("answers");
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(
        text.contains("\r\n\r\nOKHTTP/1.1 404 Not Found\r\n"),
        "{text}"
    );
    assert!(text.ends_with("\r\n\r\nNot found"), "{text}");
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn gzip_bodies_of_several_members() {
    let node = start(config()).await;
    let compressed = [gzip(b"t v=1i 1\n"), gzip(b""), gzip(b"t v=2i 2\n")].concat();
    let mut request = post("/api/v3/write_lp?db=d&precision=s", compressed);
    let encoding = "gzip".parse().expect("a header value");
    request.headers_mut().insert("content-encoding", encoding);
    let answer = send(&node, request).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    let rows = "/api/v3/query_sql?db=d&format=csv&q=SELECT%20v%20FROM%20t%20ORDER%20BY%20time";
    assert_eq!(send(&node, get(rows)).await.text(), "v\n1\n2\n");

    let mut bomb = post("/api/v3/write_lp?db=d", gzip(&vec![b'#'; 64 << 20]));
    let encoding = "gzip".parse().expect("a header value");
    bomb.headers_mut().insert("content-encoding", encoding);
    let answer = send(&node, bomb).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn a_body_beyond_the_cap_is_answered_not_cut_off() {
    let node = start(Config {
        max_http_request_bytes: 1_000,
        ..config()
    })
    .await;
    let expected = "max request size (1000 bytes) exceeded";
    let whole = try_send(&node, post("/api/v3/write_lp?db=d", vec![b'x'; 4 << 20])).await;
    let whole = whole.expect("an answer");
    assert_eq!(
        (whole.status.as_u16(), whole.text().as_str()),
        (413, expected)
    );

    let chunks =
        (0..1_000).map(|_| Ok::<_, hyper::Error>(Frame::data(Bytes::from(vec![b'x'; 4_096]))));
    let request = Request::post("/api/v3/write_lp?db=d")
        .body(StreamBody::new(stream::iter(chunks)))
        .expect("a request");
    let chunked = try_send(&node, request).await.expect("an answer");
    assert_eq!(
        (chunked.status.as_u16(), chunked.text().as_str()),
        (413, expected)
    );
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused() {
    let node = start(config()).await;
    let answer = send(&node, post("/api/v3/write_lp?db=d", &b"t v=\"\xff\" 1"[..])).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer.text(),
        "body content is not valid utf8: invalid utf-8 sequence of 1 bytes from index 5"
    );
    node.stop().await.expect("stops");
}
