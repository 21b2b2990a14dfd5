//! The scenarios of the workspace's `compat/` folder, against the binary: one server per file, set up by its options.
//!
//! The tests of `server` run the same files inside of their process, which tells more of a failure; here it is proven that the options
//! and the program around the node change nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use crate::harness::{PATIENCE, Server, Setup};
use crate::scenario::{Answer, Request, Scenario};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compat/scenarios")
}

/// Runs every third file, beginning with the given one, so that the tests are few and none takes long.
fn run_each_third(first: usize) {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .expect("the folder exists")
        .map(|entry| {
            let name = entry.expect("readable").file_name();
            name.to_string_lossy().into_owned()
        })
        .collect();
    names.sort();
    assert!(names.len() > 20, "{names:?}");
    for name in names.iter().skip(first).step_by(3) {
        run(name);
    }
}

#[test]
fn scenarios_of_one_third() {
    run_each_third(0);
}

#[test]
fn scenarios_of_another_third() {
    run_each_third(1);
}

#[test]
fn scenarios_of_the_last_third() {
    run_each_third(2);
}

fn run(name: &str) {
    let text = std::fs::read_to_string(folder().join(name)).expect("the scenario exists");
    let mut scenario = Scenario::parse(name, &text);
    let server = Server::start(setup(&scenario));
    while let Some(request) = scenario.next_request() {
        let answer = ask(server.address(), &request);
        scenario.check(answer.unwrap_or_else(|fault| panic!("{name}: {fault}")));
    }
}

fn setup(scenario: &Scenario) -> Setup {
    let mut setup = Setup::memory().with_auth();
    for (key, value) in scenario.settings() {
        let option = match key.as_str() {
            "auth" => {
                setup.with_auth = value != "off";
                continue;
            }
            "exempt" => "--disable-authz",
            "databases" => "--num-database-limit",
            "tables" => "--num-table-limit",
            "columns" => "--num-total-columns-per-table-limit",
            "request_bytes" => "--max-http-request-size",
            other => panic!("unknown setting {other}"),
        };
        setup = setup.with(&[option, value.as_str()]);
    }
    setup
}

/// One request on a connection of its own, which ends with the answer.
fn ask(address: SocketAddr, request: &Request) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    head.push_str("host: test\r\nconnection: close\r\n");
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", request.body.len()));
    stream.write_all(&[head.as_bytes(), request.body.as_bytes()].concat())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(answer_in(&bytes))
}

fn answer_in(bytes: &[u8]) -> Answer {
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(bytes)));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_string()))
        .collect();
    let body = &bytes[end + 4..];
    let is_chunked = headers
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    Answer {
        status: status.and_then(|text| text.parse().ok()).expect("a status"),
        body: if is_chunked {
            joined(body)
        } else {
            body.to_vec()
        },
        headers,
    }
}

/// The chunks of a body without their frames.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = chunks.windows(2).position(|window| window == b"\r\n") {
        let length = String::from_utf8_lossy(&chunks[..at]);
        let length = usize::from_str_radix(&length, 16).expect("a length");
        let chunk = &chunks[at + 2..];
        body.extend_from_slice(&chunk[..length]);
        chunks = &chunk[length + 2..];
    }
    body
}
