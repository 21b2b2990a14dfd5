//! Who may use which endpoint: `testdata/authorization.txt`, every case against a node of its own.
//!
//! A refusal leaves no trace and tells nothing: all 403 of version 3 have the same body.

use std::fmt::Write as _;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode};
use server::{Config, Node};

use crate::client::{Answer, config, send, start, try_send};

const CASES: &str = include_str!("../../testdata/authorization.txt");

const UNAUTHORIZED: &str =
    r#"{"error": "unauthorized to perform requested action with the token"}"#;

struct Case {
    method: String,
    target: String,
    body: String,
    /// A status and who gets it.
    expected: Vec<(u16, Vec<String>)>,
}

fn cases() -> Vec<Case> {
    CASES
        .split("\n\n")
        .map(|block| block.lines().filter(|line| !line.starts_with('#')))
        .filter_map(|mut lines| {
            let request = lines.next()?.strip_prefix("> ").expect("a request");
            let (method, target) = request.split_once(' ').expect("a method and a target");
            let mut case = Case {
                method: method.to_string(),
                target: target.to_string(),
                body: String::new(),
                expected: Vec::new(),
            };
            for line in lines {
                if let Some(body) = line.strip_prefix("> ") {
                    writeln!(case.body, "{body}").expect("text");
                    continue;
                }
                let (status, tokens) = line.split_once(": ").expect("a status and tokens");
                case.expected
                    .push((status.parse().expect("a status"), names(tokens)));
            }
            Some(case)
        })
        .collect()
}

/// Permissions have commas of their own, without a space behind them.
fn names(tokens: &str) -> Vec<String> {
    tokens.split(", ").map(str::to_string).collect()
}

fn request(method: &str, target: &str, token: Option<&str>, body: &str) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(target);
    if body.starts_with('{') {
        request = request.header("content-type", "application/json");
    }
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request
        .body(Full::new(Bytes::from(body.to_string())))
        .expect("a request")
}

async fn secret_from(node: &Node, target: &str, token: Option<&str>, body: &str) -> String {
    let answer = send(node, request("POST", target, token, body)).await;
    let text = answer.text();
    let made: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    made["token"]
        .as_str()
        .unwrap_or_else(|| panic!("{text}"))
        .to_string()
}

/// A node with databases, an operator, a token `other` with an overlap and a staged secret, and the token of the case.
async fn prepared(holder: &str) -> (Node, Option<String>, &'static str) {
    let node = start(Config {
        without_auth: false,
        ..config()
    })
    .await;
    let operator = secret_from(&node, "/api/v3/configure/token/admin", None, "").await;
    let by = Some(operator.as_str());
    for (database, lines) in [("a", "t f=1\nu f=1"), ("b", "t f=1")] {
        let target = format!("/api/v3/write_lp?db={database}");
        let answer = send(&node, request("POST", &target, by, lines)).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    let other = r#"{"token_name":"other"}"#;
    secret_from(&node, "/api/v3/configure/token/named_admin", by, other).await;
    let regenerate = "/api/v3/configure/token/regenerate?token_name=other";
    for options in ["&grace_secs=600", "&stage=true"] {
        secret_from(&node, &format!("{regenerate}{options}"), by, "").await;
    }
    let (token, name) = match holder {
        "none" => (None, ""),
        "operator" => (Some(operator), "_admin"),
        "admin" => {
            let body = r#"{"token_name":"mine"}"#;
            let made = secret_from(&node, "/api/v3/configure/token/named_admin", by, body).await;
            (Some(made), "mine")
        }
        "staged" => {
            let body = r#"{"token_name":"mine"}"#;
            secret_from(&node, "/api/v3/configure/token/named_admin", by, body).await;
            let target = "/api/v3/configure/token/regenerate?token_name=mine&stage=true";
            let staged = secret_from(&node, target, by, "").await;
            (Some(staged), "mine")
        }
        permission => {
            let body = format!(r#"{{"token_name":"mine","permissions":["{permission}"]}}"#);
            let made = secret_from(&node, "/api/v3/configure/token", by, &body).await;
            (Some(made), "mine")
        }
    };
    (node, token, name)
}

fn check(case: &Case, holder: &str, status: u16, answer: &Answer) {
    let place = format!(
        "{} {} {} by {holder}",
        case.method,
        case.target,
        case.body.trim()
    );
    assert_eq!(answer.status.as_u16(), status, "{place}: {}", answer.text());
    // An answer to HEAD has no body to look at.
    if status == 403 && case.method != "HEAD" {
        let expected = if case.target.starts_with("/api/v2/") {
            r#""code":"forbidden""#
        } else {
            UNAUTHORIZED
        };
        assert!(
            answer.text().contains(expected),
            "{place}: {}",
            answer.text()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_use_which_endpoint() {
    let mut tried = 0;
    for case in cases() {
        for (status, holders) in &case.expected {
            for holder in holders {
                let (node, token, own) = prepared(holder).await;
                let target = case.target.replace("{own}", own);
                let asked = request(&case.method, &target, token.as_deref(), &case.body);
                check(&case, holder, *status, &send(&node, asked).await);
                node.stop().await.expect("the node stops");
                tried += 1;
            }
        }
    }
    assert!(tried > 200, "{tried} cases");
}

/// A body may take its time: what the token is for is asked again when it is there.
#[tokio::test]
async fn a_database_made_again_under_a_slow_write_is_not_written_to() {
    let (node, token, _) = prepared("operator").await;
    let operator = token.expect("the operator's");
    let by = Some(operator.as_str());
    let tokens = "/api/v3/configure/token";
    let body = r#"{"token_name":"slow","permissions":["db:a:write"]}"#;
    let writer = secret_from(&node, tokens, by, body).await;

    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let lines = futures::stream::once(async move {
        released.await.expect("the test goes on");
        Ok::<_, std::io::Error>(hyper::body::Frame::data(Bytes::from_static(b"t f=9")))
    });
    let write = Request::post("/api/v3/write_lp?db=a")
        .header("authorization", format!("Bearer {writer}"))
        .body(http_body_util::StreamBody::new(Box::pin(lines)))
        .expect("a request");
    let meanwhile = async {
        loop {
            let listed = send(&node, request("GET", tokens, by, "")).await.text();
            let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
            let of_writer = listed
                .as_array()
                .and_then(|all| all.last())
                .expect("listed");
            if !of_writer["last_used_at"].is_null() {
                break;
            }
            tokio::task::yield_now().await;
        }
        for (method, target, body) in [
            ("DELETE", "/api/v3/configure/database?db=a", ""),
            ("POST", "/api/v3/configure/database", r#"{"db":"a"}"#),
        ] {
            let answer = send(&node, request(method, target, by, body)).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        }
        release.send(()).expect("the write waits");
    };
    let (answer, ()) = tokio::join!(try_send(&node, write), meanwhile);
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text());
    let files = "/api/v3/query_sql?db=a&q=SHOW+TABLES&format=csv";
    let shown = send(&node, request("GET", files, by, "")).await.text();
    assert!(!shown.contains(",iox,"), "{shown}");
    node.stop().await.expect("the node stops");
}
