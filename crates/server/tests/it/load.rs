//! More than one of everything: large results, many writers, two rotations at once.

use std::fmt::Write;

use futures::future::join_all;
use server::{Config, Node};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{config, get, post, send, start};

#[tokio::test]
async fn large_results_arrive_whole_in_every_text_format() {
    // More than one piece in every format.
    const ROWS: usize = 60_000;
    let node = start(config()).await;
    let mut lines = String::new();
    for at in 0..ROWS {
        writeln!(lines, "t,host=h{} v={at}i {}", at % 7, at + 1).expect("writing to memory");
    }
    let written = send(&node, post("/api/v3/write_lp?db=d&precision=s", lines)).await;
    assert_eq!(written.status.as_u16(), 204, "{}", written.text());
    let rows = |format: &str| {
        get(&format!(
            "/api/v3/query_sql?db=d&format={format}&q=SELECT%20v%20FROM%20t%20ORDER%20BY%20time"
        ))
    };

    let csv = send(&node, rows("csv")).await;
    let expected: String = (0..ROWS).map(|at| format!("{at}\n")).collect();
    assert_eq!(csv.text(), format!("v\n{expected}"));
    assert!(!csv.headers.contains_key("content-length"));

    let lines = send(&node, rows("jsonl")).await.text();
    assert_eq!(lines.lines().count(), ROWS);
    let json = send(&node, rows("json")).await;
    let json: Vec<serde_json::Value> = serde_json::from_slice(&json.body).expect("JSON");
    assert_eq!(json.len(), ROWS);
    assert_eq!(json[ROWS - 1]["v"], ROWS - 1);
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn a_fault_after_the_first_rows_breaks_the_body_but_not_the_status() {
    const ROWS: usize = 60_000;
    let node = start(config()).await;
    let mut lines = String::new();
    for at in 0..ROWS {
        writeln!(lines, "t v={at}i {}", at + 1).expect("writing to memory");
    }
    let written = send(&node, post("/api/v3/write_lp?db=d&precision=s", lines)).await;
    assert_eq!(written.status.as_u16(), 204, "{}", written.text());
    for format in ["json", "jsonl", "csv"] {
        let path = format!(
            "/api/v3/query_sql?db=d&format={format}&q=SELECT%201/(v-59999)%20AS%20x%20FROM%20t"
        );
        let (status, body) = until_broken(&node, &path).await;
        match status {
            // Rows come in no promised order, so the fault can be among the first.
            400 => assert!(body.contains("Divide by zero"), "{body}"),
            _ => assert_eq!(status, 200, "{format}"),
        }
    }
    node.stop().await.expect("stops");
}

/// Asks for `path` and reads until the end, which must not be a proper one if the status is 200.
async fn until_broken(node: &Node, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(node.address()).await.expect("connects");
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sends");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an end");
    let answer = String::from_utf8(answer).expect("text");
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.expect("a status");
    if status == 200 {
        assert!(!answer.ends_with("\r\n0\r\n\r\n"), "the body seems whole");
    }
    (status, answer)
}

#[tokio::test]
async fn writers_at_once_lose_nothing() {
    let node = start(config()).await;
    let writes = (0..40).map(|writer| {
        let body = format!(
            "t{},w=w{writer} v=1i 1\nt,w=w{writer} v={writer}i 1",
            writer % 4
        );
        send(&node, post("/api/v3/write_lp?db=d", body))
    });
    for answer in join_all(writes).await {
        assert_eq!(answer.status.as_u16(), 204, "{}", answer.text());
    }
    let sum = "/api/v3/query_sql?db=d&format=csv&q=SELECT%20count(*)%20AS%20n%2C%20sum(v)%20AS%20s%20FROM%20t";
    assert_eq!(send(&node, get(sum)).await.text(), "n,s\n40,780\n");
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn of_two_rotations_with_one_token_only_one_succeeds() {
    let node = start(Config {
        without_auth: false,
        ..config()
    })
    .await;
    let created = send(&node, post("/api/v3/configure/token/admin", "")).await;
    let created: serde_json::Value = serde_json::from_slice(&created.body).expect("JSON");
    let token = created["token"].as_str().expect("a token");
    let rotate = || {
        let mut request = post("/api/v3/configure/token/admin/regenerate", "");
        let value = format!("Bearer {token}").parse().expect("a header value");
        request.headers_mut().insert("authorization", value);
        send(&node, request)
    };
    let answers = join_all((0..4).map(|_| rotate())).await;
    let mut statuses: Vec<u16> = answers
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 401, 401, 401]);
    let refused = answers
        .iter()
        .find(|answer| answer.status == 401)
        .expect("one");
    assert_eq!(
        refused.text(),
        r#"{"error": "the request was not authenticated"}"#
    );
    node.stop().await.expect("stops");
}
