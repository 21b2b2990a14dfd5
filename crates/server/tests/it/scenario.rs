//! Scenario files: requests and expected responses as text (the format is described in `compat/README.md`).

use std::collections::HashMap;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use server::{AuthorizationExempt, Config, Node};

use crate::client::{Answer, config, send, start};

/// Stands for any text in an expected header or body.
const ANYTHING: char = '…';

/// Lines that begin alike, without their marks, and where they begin.
struct Block {
    mark: char,
    line_number: usize,
    lines: Vec<String>,
}

/// Runs every exchange of a scenario against a node of its own.
pub(crate) async fn run(name: &str, text: &str) {
    let blocks = blocks(name, text);
    let mut settings = Config {
        without_auth: false,
        ..config()
    };
    for block in blocks.iter().filter(|block| block.mark == 's') {
        for line in &block.lines {
            apply_settings(&mut settings, line);
        }
    }
    let node = start(settings).await;
    let mut names = HashMap::new();
    let mut request = None;
    let mut answer = None;
    for block in blocks {
        let place = format!("{name}:{}", block.line_number);
        let lines: Vec<String> = block
            .lines
            .iter()
            .map(|line| fill_in(line, &names))
            .collect();
        match block.mark {
            '>' => request = Some(build_request(&place, &lines)),
            '<' => {
                let request = request
                    .take()
                    .unwrap_or_else(|| panic!("{place}: no request"));
                let found = send_to(&node, request).await;
                check(&place, &lines, &found);
                answer = Some(found);
            }
            'l' => {
                let found = answer
                    .as_ref()
                    .unwrap_or_else(|| panic!("{place}: no answer"));
                remember(&place, &lines, found, &mut names);
            }
            _ => {}
        }
    }
    assert!(
        request.is_none(),
        "{name}: the last request has no response"
    );
    node.stop().await.expect("the node stops");
}

async fn send_to(node: &Node, request: Request<Full<Bytes>>) -> Answer {
    send(node, request).await
}

fn blocks(name: &str, text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut previous = ' ';
    for (at, line) in text.lines().enumerate() {
        let (mark, content) = match line.chars().next() {
            None | Some('#') => (' ', ""),
            Some(mark @ ('>' | '<')) => {
                let content = &line[1..];
                (mark, content.strip_prefix(' ').unwrap_or(content))
            }
            Some(_) => match line.split_once(' ') {
                Some(("server", content)) => ('s', content),
                Some(("let", content)) => ('l', content),
                _ => panic!("{name}:{}: cannot read `{line}`", at + 1),
            },
        };
        if mark != ' ' && mark == previous {
            let block = blocks.last_mut().expect("a block was begun");
            block.lines.push(content.to_string());
        } else if mark != ' ' {
            blocks.push(Block {
                mark,
                line_number: at + 1,
                lines: vec![content.to_string()],
            });
        }
        previous = mark;
    }
    blocks
}

fn apply_settings(settings: &mut Config, line: &str) {
    for setting in line.split_whitespace() {
        match setting.split_once('=') {
            Some(("auth", "off")) => settings.without_auth = true,
            Some(("databases", limit)) => {
                settings.limits.databases = limit.parse().expect("a number");
            }
            Some(("request_bytes", limit)) => {
                settings.max_http_request_bytes = limit.parse().expect("a number");
            }
            Some(("exempt", names)) => {
                let exempt = names.split(',').map(|name| match name {
                    "health" => AuthorizationExempt::Health,
                    "ping" => AuthorizationExempt::Ping,
                    "metrics" => AuthorizationExempt::Metrics,
                    other => panic!("unknown exemption {other}"),
                });
                settings.disable_authz = exempt.collect();
            }
            _ => panic!("unknown setting {setting}"),
        }
    }
}

/// `METHOD PATH`, headers, an empty line, a body.
fn build_request(place: &str, lines: &[String]) -> Request<Full<Bytes>> {
    let (method, path) = lines[0]
        .split_once(' ')
        .unwrap_or_else(|| panic!("{place}: no method and path"));
    let mut request = Request::builder().method(method).uri(path);
    let (headers, body) = split_at_empty(&lines[1..]);
    for header in headers {
        let (name, value) = header
            .split_once(": ")
            .unwrap_or_else(|| panic!("{place}: cannot read header `{header}`"));
        request = request.header(name, value);
    }
    let body = body.map(|lines| lines.join("\n")).unwrap_or_default();
    request
        .body(Full::new(Bytes::from(body)))
        .unwrap_or_else(|fault| panic!("{place}: {fault}"))
}

/// A status, headers that must (or with `!` must not) be there, an empty line, the whole body.
fn check(place: &str, lines: &[String], answer: &Answer) {
    let shown = format!(
        "{place}: got {} {:?}\n{}",
        answer.status,
        answer.headers,
        answer.text()
    );
    assert_eq!(lines[0], answer.status.as_str(), "{shown}");
    let (headers, body) = split_at_empty(&lines[1..]);
    for header in headers {
        match header.split_once(": ") {
            Some((name, expected)) => {
                let found = answer
                    .headers
                    .get(name)
                    .map(|value| value.to_str().expect("text"));
                let matches = found.is_some_and(|found| like(expected, found));
                assert!(matches, "expected header `{header}`\n{shown}");
            }
            None => {
                let name = header
                    .strip_prefix('!')
                    .unwrap_or_else(|| panic!("{place}: `{header}`"));
                assert!(
                    !answer.headers.contains_key(name),
                    "unexpected `{name}`\n{shown}"
                );
            }
        }
    }
    if let Some(expected) = body {
        let expected = expected.join("\n");
        assert!(
            like(&expected, &answer.text()),
            "expected body\n{expected}\n{shown}"
        );
    }
}

/// `NAME = KEY`: gives the value of a key of the last JSON body a name.
fn remember(place: &str, lines: &[String], answer: &Answer, names: &mut HashMap<String, String>) {
    for line in lines {
        let (name, key) = line
            .split_once(" = ")
            .unwrap_or_else(|| panic!("{place}: cannot read `{line}`"));
        let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        let value = body[key]
            .as_str()
            .unwrap_or_else(|| panic!("{place}: no text `{key}`"));
        names.insert(name.to_string(), value.to_string());
    }
}

fn fill_in(line: &str, names: &HashMap<String, String>) -> String {
    names.iter().fold(line.to_string(), |line, (name, value)| {
        line.replace(&format!("${{{name}}}"), value)
    })
}

fn split_at_empty(lines: &[String]) -> (&[String], Option<&[String]>) {
    match lines.iter().position(String::is_empty) {
        Some(at) => (&lines[..at], Some(&lines[at + 1..])),
        None => (lines, None),
    }
}

/// Whether `found` is `expected`, where `…` in the latter stands for any text.
fn like(expected: &str, found: &str) -> bool {
    let mut parts = expected.split(ANYTHING);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = found.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn wildcards() {
    for (expected, found, matches) in [
        ("abc", "abc", true),
        ("abc", "abcd", false),
        ("a…c", "abbc", true),
        ("a…c", "ac", true),
        ("a…c", "acb", false),
        ("…", "", true),
        ("a…b…c", "a1c2b3c", true),
        ("a…b…c", "a1c2c", false),
    ] {
        assert_eq!(like(expected, found), matches, "{expected} {found}");
    }
}
