//! Clients that are slow, many, lying or mad: each is served or refused, and the server goes on.
//!
//! Limits are short here; what they are by default: `server::ClientLimits`.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::StatusCode;
use server::{ClientLimits, Config, Node};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{config, get, post, send, start};

/// How long a test waits for what has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

const SHORT: Duration = Duration::from_millis(200);

async fn short(change: impl FnOnce(&mut ClientLimits)) -> Node {
    let mut clients = ClientLimits::default();
    change(&mut clients);
    start(Config {
        clients,
        ..config()
    })
    .await
}

async fn connect(node: &Node) -> TcpStream {
    TcpStream::connect(node.address()).await.expect("connects")
}

/// All that comes until the server closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // A reset is an end too.
    let _ = read.expect("the server closes");
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn still_answers(node: &Node) {
    let answer = send(node, get("/health")).await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (StatusCode::OK, "OK")
    );
    let written = send(node, post("/api/v3/write_lp?db=d", "t v=1i 1")).await;
    assert_eq!(written.status, StatusCode::NO_CONTENT, "{}", written.text());
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

/// `VmRSS` of this process in bytes; `None` where there is no `/proc`.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

#[tokio::test]
async fn a_thousand_idle_connections_take_little_and_go() {
    let node = short(|limits| limits.idle_max = Duration::from_secs(2)).await;
    still_answers(&node).await;
    let before = resident_bytes();
    // As many as the descriptors of a process usually allow: here are both ends of each.
    let count = 450;
    let mut idle = Vec::new();
    for _ in 0..count {
        idle.push(connect(&node).await);
    }
    still_answers(&node).await;
    if let (Some(before), Some(now)) = (before, resident_bytes()) {
        let each = now.saturating_sub(before) / count;
        assert!(each < 64 << 10, "{each} bytes for each connection");
    }
    for mut stream in idle {
        assert_eq!(rest(&mut stream).await, "");
    }
    still_answers(&node).await;
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn heads_have_to_come_to_an_end() {
    let node = short(|limits| limits.head_max = SHORT).await;
    let mut slow = connect(&node).await;
    slow.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n")
        .await
        .expect("sends");
    let trickle = async {
        while slow.write_all(b"x: y\r\n").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    tokio::time::timeout(PATIENCE, trickle)
        .await
        .expect("the server closes");
    still_answers(&node).await;

    // One that never says which version of HTTP it speaks.
    let mut undecided = connect(&node).await;
    undecided
        .write_all(b"PRI * HTTP/2.0\r\n")
        .await
        .expect("sends");
    assert_eq!(rest(&mut undecided).await, "");
    // Between requests there is more time.
    let mut kept = connect(&node).await;
    for _ in 0..2 {
        kept.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .expect("sends");
        let mut seen = String::new();
        while !seen.ends_with("\r\n\r\nOK") {
            let mut some = [0; 1_024];
            let count = kept.read(&mut some).await.expect("an answer");
            assert!(count > 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&some[..count]));
        }
        tokio::time::sleep(SHORT * 2).await;
    }
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn bodies_have_to_come_at_some_pace() {
    let node = short(|limits| limits.body_window = SHORT).await;
    for target in [
        "/api/v3/write_lp?db=d",
        "/api/v3/query_sql",
        "/api/v2/write?bucket=d",
    ] {
        let mut slow = connect(&node).await;
        let head = format!("POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\nt");
        slow.write_all(head.as_bytes()).await.expect("sends");
        let answer = rest(&mut slow).await;
        assert!(
            answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
            "{target}: {answer}"
        );
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert!(
            answer.contains("the request body comes too slowly: 1 bytes"),
            "{answer}"
        );
    }
    still_answers(&node).await;
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn whoever_finds_no_place_is_told() {
    let node = short(|limits| limits.connections_max = 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = connect(&node).await;
        stream
            .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .expect("sends");
        stream.read_exact(&mut [0; 15]).await.expect("an answer");
        held.push(stream);
    }
    let mut late = connect(&node).await;
    late.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("sends");
    let answer = rest(&mut late).await;
    assert!(
        answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{answer}"
    );
    assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\ntoo many connections"), "{answer}");
    drop(held);
    // The places are free once the server has noticed.
    let freed = async {
        loop {
            let mut stream = connect(&node).await;
            let request = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(request).await;
            if rest(&mut stream).await.starts_with("HTTP/1.1 200 OK") {
                break;
            }
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    tokio::time::timeout(PATIENCE, freed)
        .await
        .expect("a place");
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn gzip_that_lies_is_refused() {
    let node = start(config()).await;
    let whole = gzip(b"t v=1i 1\n");
    let mut damaged = whole.clone();
    let last = damaged.len() - 6;
    damaged[last] ^= 1;
    let bomb = gzip(&vec![b'#'; 200 << 20]);
    let nested = gzip(&whole);
    let cases: [(&str, &[u8], u16); 6] = [
        ("truncated", &whole[..whole.len() - 4], 400),
        ("a wrong checksum", &damaged, 400),
        ("no gzip", b"t v=1i 1", 400),
        ("nothing", b"", 400),
        ("a bomb", &bomb, 413),
        ("gzip in gzip", &nested, 400),
    ];
    for (name, body, status) in cases {
        let mut request = post("/api/v3/write_lp?db=d", body.to_vec());
        let gzip = "gzip".parse().expect("a value");
        request.headers_mut().insert("content-encoding", gzip);
        let answer = send(&node, request).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.text());
    }
    still_answers(&node).await;
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn a_body_of_the_limit_is_taken_and_one_byte_more_is_not() {
    let node = start(config()).await;
    let limit = config().max_http_request_bytes;
    let mut lines = b"t v=1i 1\n".to_vec();
    lines.resize(limit, b'\n');
    let taken = send(&node, post("/api/v3/write_lp?db=d", lines.clone())).await;
    assert_eq!(taken.status, StatusCode::NO_CONTENT, "{}", taken.text());
    lines.push(b'\n');
    let refused = send(&node, post("/api/v3/write_lp?db=d", lines)).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(refused.text(), "max request size (10485760 bytes) exceeded");

    // Whoever asks first is told before sending, and asked to go on otherwise.
    for (length, told) in [
        (limit + 1, "HTTP/1.1 413 "),
        (8, "HTTP/1.1 100 Continue\r\n\r\n"),
    ] {
        let mut polite = connect(&node).await;
        let head = format!(
            "POST /api/v3/write_lp?db=d HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\n\
             content-length: {length}\r\n\r\n"
        );
        polite.write_all(head.as_bytes()).await.expect("sends");
        let mut seen = vec![0; told.len()];
        polite.read_exact(&mut seen).await.expect("an answer");
        assert_eq!(String::from_utf8_lossy(&seen), told);
        if length == 8 {
            polite.write_all(b"t v=1i 1").await.expect("sends");
            assert!(rest(&mut polite).await.starts_with("HTTP/1.1 204 "));
        }
    }
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn bytes_that_are_no_request_are_refused() {
    let node = start(config()).await;
    let mut state = 7_u64;
    for round in 0..50 {
        let noise: Vec<u8> = (0..200)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        let mut stream = connect(&node).await;
        let begin: &[u8] = match round % 3 {
            0 => b"",
            1 => b"GET /health HTTP/1.1\r\n",
            _ => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        };
        let _ = stream
            .write_all(&[begin, &noise, b"\r\n\r\n"].concat())
            .await;
        let _ = stream.shutdown().await;
        let answer = rest(&mut stream).await;
        assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
    }
    // Too many headers, and too long ones.
    let many = "a: b\r\n".repeat(200);
    let long = format!("a: {}\r\n", "b".repeat(1 << 20));
    for headers in [many, long] {
        let mut stream = connect(&node).await;
        let head = format!("GET /health HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        let _ = stream.write_all(head.as_bytes()).await;
        let answer = rest(&mut stream).await;
        // The answer may be lost when the server closes on what is still being sent.
        let refused = "HTTP/1.1 431 Request Header Fields Too Large\r\n";
        assert!(answer.is_empty() || answer.starts_with(refused), "{answer}");
    }
    // Half closed after a whole request: the answer still comes.
    let mut half = connect(&node).await;
    half.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("sends");
    half.shutdown().await.expect("closes");
    let answer = rest(&mut half).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 200 OK\r\n"),
        "{answer}"
    );
    // And in the middle of a body.
    let mut cut = connect(&node).await;
    cut.write_all(
        b"POST /api/v3/write_lp?db=d HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nt v=1",
    )
    .await
    .expect("sends");
    cut.shutdown().await.expect("closes");
    assert!(!rest(&mut cut).await.contains("204"));
    still_answers(&node).await;
    node.stop().await.expect("stops");
}

/// Streams that are opened and reset at once, as fast as they go: the connection ends, the server does not.
#[tokio::test]
async fn rapid_resets_end_their_connection() {
    let node = start(config()).await;
    let mut stream = connect(&node).await;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut bytes, 4, 0, 0, &[]);
    // GET / with static table entries only: method GET, scheme http, path /.
    let head = [0x82, 0x86, 0x84];
    for at in 0..5_000_u32 {
        let id = 2 * at + 1;
        frame(&mut bytes, 1, 0b101, id, &head);
        frame(&mut bytes, 3, 0, id, &8_u32.to_be_bytes());
    }
    // The server may be gone before all of it is sent.
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
    rest(&mut stream).await;
    still_answers(&node).await;
    node.stop().await.expect("stops");
}

fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("short");
    bytes.extend_from_slice(&length.to_be_bytes()[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}
