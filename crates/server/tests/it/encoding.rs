//! Answers as bytes on a socket: compressed for whom offers it, and broken off where a query fails in the middle.

use std::io::Read;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use server::Node;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{config, get, post, send, start};

/// A query for `rows` rows.
fn series(format: &str, rows: usize) -> String {
    format!(
        "/api/v3/query_sql?db=d&format={format}&q=SELECT%20value%20AS%20v,'text'%20AS%20s%20FROM%20generate_series(1,{rows})"
    )
}

fn offering(path: &str, codings: &str) -> Request<Full<Bytes>> {
    let mut request = get(path);
    let value = codings.parse().expect("a header value");
    request.headers_mut().insert("accept-encoding", value);
    request
}

fn unpacked(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    match coding {
        "gzip" => flate2::read::GzDecoder::new(body)
            .read_to_end(&mut bytes)
            .expect("gzip"),
        _ => zstd::stream::read::Decoder::new(body)
            .expect("zstd")
            .read_to_end(&mut bytes)
            .expect("zstd"),
    };
    bytes
}

async fn node_with_database() -> Node {
    let node = start(config()).await;
    let written = send(&node, post("/api/v3/write_lp?db=d", "t v=1")).await;
    assert_eq!(written.status.as_u16(), 204, "{}", written.text());
    node
}

#[tokio::test]
async fn answers_are_compressed_for_whom_offers_to_read_it() {
    let node = node_with_database().await;
    for format in ["json", "jsonl", "csv", "pretty", "parquet"] {
        let path = series(format, 30_000);
        let plain = send(&node, get(&path)).await;
        assert_eq!(plain.headers.get("content-encoding"), None);
        assert_eq!(plain.headers["vary"], "accept-encoding");
        for (offered, expected) in [
            ("gzip", "gzip"),
            ("gzip, deflate, br, zstd", "zstd"),
            ("zstd;q=0.1, gzip;q=0.5", "gzip"),
        ] {
            let packed = send(&node, offering(&path, offered)).await;
            assert_eq!(packed.headers["content-encoding"], expected, "{format}");
            assert_eq!(
                packed.headers["content-type"],
                plain.headers["content-type"]
            );
            assert!(packed.body.len() * 3 < plain.body.len() * 2, "{format}");
            assert!(unpacked(expected, &packed.body) == plain.body, "{format}");
        }
        for offered in ["identity", "br", "gzip;q=0"] {
            let answer = send(&node, offering(&path, offered)).await;
            assert_eq!(answer.headers.get("content-encoding"), None, "{offered}");
            assert!(answer.body == plain.body, "{format}");
        }
    }
    // What is small as it is stays so.
    let small = send(&node, offering(&series("csv", 0), "gzip")).await;
    assert_eq!(small.headers.get("content-encoding"), None);
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn a_fault_far_behind_the_first_rows_breaks_the_body() {
    let node = node_with_database().await;
    for format in ["json", "jsonl", "csv"] {
        for coding in ["identity", "gzip", "zstd"] {
            let path = format!(
                "/api/v3/query_sql?db=d&format={format}&q=SELECT%20value%20AS%20v,1000/(value-399999)%20AS%20x%20FROM%20generate_series(1,400000)"
            );
            let head = format!(
                "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept-encoding: {coding}\r\n\r\n"
            );
            let mut stream = TcpStream::connect(node.address()).await.expect("connects");
            stream.write_all(head.as_bytes()).await.expect("sends");
            let mut answer = Vec::new();
            // How the connection ends does not matter, as long as the body has no end.
            let _ = stream.read_to_end(&mut answer).await;
            let seen = String::from_utf8_lossy(&answer[..answer.len().min(300)]).into_owned();
            assert!(seen.starts_with("HTTP/1.1 200 OK\r\n"), "{format}: {seen}");
            assert!(answer.len() > 600, "rows came before the fault: {seen}");
            assert!(!answer.ends_with(b"\r\n0\r\n\r\n"), "the body seems whole");
        }
    }
    node.stop().await.expect("stops");
}
