//! Queries as operators meet them: options, memory that stays flat, what is left on disk, commands that are interrupted.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, Server, Setup, binary, influxdb3, temporary_folder};

const LONG: &str =
    "SELECT count(*) FROM generate_series(1, 3000000) a, generate_series(1, 3000000) b";

const MEBIBYTE: u64 = 1 << 20;

fn metric(server: &Server, name: &str) -> u64 {
    let answer = server.connect().ask("GET", "/metrics", None, b"");
    let metrics = answer.expect("metrics").text();
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = value.unwrap_or_else(|| panic!("no {name} in {metrics}"));
    value.parse().expect("a number")
}

#[test]
fn a_result_of_any_size_streams_with_memory_flat() {
    const ROWS: u64 = 600_000;
    let server = Server::start(Setup::memory().with(&["--memory-limit", "256mb"]));
    server.write("db", "second", "t v=1i 1");
    let text = "x".repeat(250);
    let statement = format!(
        "SELECT '{text}' AS t FROM generate_series(1, {}) a, generate_series(1, 1000) b",
        ROWS / 1000
    );
    let body = serde_json::json!({ "db": "db", "q": statement, "format": "csv" }).to_string();
    let head = format!(
        "POST /api/v3/query_sql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(server.address()).expect("connects");
    stream.write_all(head.as_bytes()).expect("sends");
    let mut piece = vec![0; 1 << 20];
    let (mut bytes, mut next_look, mut before, mut most) = (0, MEBIBYTE, 0, 0);
    loop {
        let length = stream.read(&mut piece).expect("reads");
        if length == 0 {
            break;
        }
        bytes += length as u64;
        if bytes > next_look {
            next_look += 10 * MEBIBYTE;
            let resident = metric(&server, "process_resident_memory_bytes");
            before = if before == 0 { resident } else { before };
            most = resident.max(most);
        }
    }
    assert!(
        bytes > ROWS * 251,
        "{bytes} bytes of a result that is larger"
    );
    assert!(
        most - before < 48 * MEBIBYTE,
        "{most} bytes of memory after {before}"
    );
    assert_eq!(
        metric(&server, "influxdb3_queries_total{outcome=\"success\"}"),
        1
    );
    server.stop();
}

#[test]
fn limits_are_options() {
    let server = Server::start(Setup::memory().with(&[
        "--query-timeout",
        "100ms",
        "--max-concurrent-queries",
        "7",
        "--query-log-size",
        "1",
    ]));
    server.write("db", "second", "t v=1i 1");
    assert_eq!(metric(&server, "influxdb3_queries_concurrent_max"), 7);
    let error = server.cli(&["query"], &["-d", "db", LONG]).failed(1);
    assert!(
        error.contains("the query did not end within its timeout of 100ms"),
        "{error}"
    );
    server.query("db", "SELECT 1 AS one");
    let log = server.query(
        "db",
        "SELECT query_text FROM system.queries WHERE NOT running",
    );
    assert_eq!(
        log,
        [serde_json::json!({ "query_text": "SELECT 1 AS one" })]
    );
    server.stop();
    let refused = influxdb3(&[
        "serve",
        "--node-id",
        "n",
        "--object-store",
        "memory",
        "--max-concurrent-queries",
        "0",
    ]);
    let refused = refused.failed(2);
    assert!(
        refused.contains("must be a positive integer, got 0"),
        "{refused}"
    );
}

#[test]
fn a_command_that_is_interrupted_ends_its_query() {
    let server = Server::start(Setup::memory());
    server.write("db", "second", "t v=1i 1");
    let folder = temporary_folder();
    let mut command = binary(folder.path())
        .args(["query", "-d", "db", "--host", &server.url(), LONG])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let until = |expected: u64, limit: Duration| {
        let begun = Instant::now();
        while metric(&server, "influxdb3_queries_running") != expected {
            assert!(begun.elapsed() < limit, "not {expected} after {limit:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    until(1, PATIENCE);
    command.kill().expect("a process of ours");
    command.wait().expect("a process of ours");
    until(0, Duration::from_secs(1));
    assert_eq!(
        metric(&server, "influxdb3_queries_total{outcome=\"cancel\"}"),
        1
    );
    server.stop();
}

#[test]
fn what_a_killed_server_left_on_disk_is_removed() {
    let place = temporary_folder();
    let folders = || {
        let entries = std::fs::read_dir(place.path()).expect("the place");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names.collect::<Vec<_>>()
    };
    let path = place.path().to_string_lossy().into_owned();
    let setup = || Setup::memory().with(&["--query-spill-dir", &path]);
    Server::start(setup()).kill();
    let left = folders();
    assert_eq!(left.len(), 1);
    let server = Server::start(setup());
    let own = folders();
    assert_eq!(own.len(), 1);
    assert_ne!(own, left);
    // One that runs keeps its folder, whoever starts beside it.
    let beside = Server::start(setup());
    assert_eq!(folders().len(), 2);
    beside.stop();
    assert_eq!(folders(), own);
    server.stop();
    assert!(folders().is_empty());
    let file = place.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let file = file.to_string_lossy().into_owned();
    let log = Server::launch(&Setup::memory().with(&["--query-spill-dir", &file]));
    let log = log.expect_err("no folder");
    assert!(
        log.contains(&format!("queries cannot use the folder {file}")),
        "{log}"
    );
}
