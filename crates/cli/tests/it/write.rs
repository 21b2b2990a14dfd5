//! `write`: sources, cutting, compression, statistics, errors (spec/cli.md §7.5).

use std::io::Read;

use crate::harness::fake_server::FakeServer;
use crate::harness::{Ran, Server, Setup, binary, influxdb3, run, temporary_folder};

/// Runs `write` against a fake server with some input.
fn write(server: &FakeServer, arguments: &[&str], input: &[u8]) -> Ran {
    let folder = temporary_folder();
    let mut command = binary(folder.path());
    command
        .args(["write", "--host", &server.url(), "-d", "foo"])
        .args(arguments);
    run(command, input)
}

#[test]
fn options_become_parameters() {
    let server = FakeServer::answering("204 No Content", "");
    write(&server, &["cpu a=1"], b"").succeeded();
    write(
        &server,
        &["-p", "ms", "--accept-partial", "--no-sync", "cpu a=1"],
        b"",
    )
    .succeeded();
    let mut lines = server.requests().into_iter().map(|request| request.line);
    assert_eq!(
        lines.next().as_deref(),
        Some("POST /api/v3/write_lp?db=foo HTTP/1.1")
    );
    assert_eq!(
        lines.next().as_deref(),
        Some("POST /api/v3/write_lp?db=foo&precision=ms&accept_partial=true&no_sync=true HTTP/1.1")
    );
}

#[test]
fn the_argument_wins_over_the_file_and_the_file_over_stdin() {
    let server = FakeServer::answering("204 No Content", "");
    let folder = temporary_folder();
    let path = folder.path().join("lines");
    std::fs::write(&path, "file a=1\n").expect("a file");
    let path = path.to_str().expect("a readable path");
    write(&server, &["-f", path, "argument a=1"], b"stdin a=1").succeeded();
    write(&server, &["-f", path], b"stdin a=1").succeeded();
    write(&server, &[], b"stdin a=1").succeeded();
    let bodies: Vec<Vec<u8>> = server
        .requests()
        .into_iter()
        .map(|request| request.body)
        .collect();
    assert_eq!(bodies, [&b"argument a=1"[..], b"file a=1\n", b"stdin a=1"]);
}

#[test]
fn nothing_to_write_is_no_request() {
    let server = FakeServer::answering("204 No Content", "");
    let ran = write(&server, &[], b"");
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (0, "", "")
    );
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn gzip_compresses_each_request() {
    let server = FakeServer::answering("204 No Content", "");
    write(&server, &["--gzip"], b"cpu a=1 1\ncpu a=2 2\n").succeeded();
    let requests = server.requests();
    assert_eq!(requests[0].header("content-encoding"), Some("gzip"));
    let mut lines = String::new();
    flate2::read::GzDecoder::new(requests[0].body.as_slice())
        .read_to_string(&mut lines)
        .expect("gzip");
    assert_eq!(lines, "cpu a=1 1\ncpu a=2 2\n");
}

#[test]
fn long_input_is_cut_at_line_ends() {
    let server = FakeServer::answering("204 No Content", "");
    let lines: Vec<String> = (0..1000)
        .map(|number| format!("cpu a={number} {number}\n"))
        .collect();
    let input = lines.concat();
    let ran = write(
        &server,
        &[
            "--max-request-size",
            "1000",
            "--max-concurrent-requests",
            "3",
        ],
        input.as_bytes(),
    );
    let requests = server.requests();
    assert!(requests.len() > 10);
    let mut sent: Vec<String> = Vec::new();
    for request in &requests {
        assert!(request.body.len() <= 1000 && request.body.ends_with(b"\n"));
        let body = std::str::from_utf8(&request.body).expect("text");
        sent.extend(body.split_inclusive('\n').map(str::to_string));
    }
    let mut expected = lines;
    expected.sort();
    sent.sort();
    assert_eq!(sent, expected);

    // One line of statistics per request, the last one telling all.
    assert_eq!(ran.stdout, "");
    let statistics: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(statistics.len(), requests.len(), "{}", ran.stderr);
    assert!(
        statistics.iter().all(|line| line.starts_with("  ")),
        "{}",
        ran.stderr
    );
    let last = statistics.last().expect("at least one");
    assert!(
        last.contains(&format!(": {} requests (", requests.len())),
        "{last}"
    );
    assert!(last.contains(" 1000 lines ("), "{last}");
}

#[test]
fn quiet_prints_nothing() {
    let server = FakeServer::answering("204 No Content", "");
    let ran = write(&server, &["--quiet", "cpu a=1"], b"");
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (0, "", "")
    );
}

#[test]
fn the_first_failure_ends_the_command() {
    let server = FakeServer::answering("400 Bad Request", "wrong");
    let input = "cpu a=1 1\n".repeat(1000);
    let arguments = ["--max-request-size", "10", "--max-concurrent-requests", "1"];
    let error = write(&server, &arguments, input.as_bytes()).failed(1);
    assert_eq!(
        error,
        "Write command failed: server responded with error [400 Bad Request]: wrong\n"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn what_is_refused_before_any_request() {
    for (arguments, expected) in [
        (&[""][..], "no line protocol string provided"),
        (
            &["cpu", "a=1"],
            "ensure that a single protocol line string is provided as the final argument, enclosed in quotes",
        ),
        (
            &["cpu a=1", "--precision", "s"],
            "ensure that a single protocol line string is provided as the final argument, enclosed in quotes",
        ),
        (
            &["-f", "/nowhere"],
            "error reading file: No such file or directory (os error 2)",
        ),
    ] {
        let line: Vec<&str> = ["write", "-d", "x"]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        let error = influxdb3(&line).failed(1);
        let last = error.lines().last();
        let expected = format!("Write command failed: {expected}");
        assert_eq!(last, Some(expected.as_str()), "{arguments:?}");
        let warned = error.lines().count() > 1;
        assert_eq!(warned, arguments.contains(&"--precision"), "{error}");
    }
}

#[test]
fn options_behind_the_line_protocol_are_warned_of() {
    let error = influxdb3(&["write", "-d", "x", "cpu a=1", "--precision", "s"]).failed(1);
    assert!(
        error.starts_with("warning: --precision stands behind the line protocol "),
        "{error}"
    );
}

#[test]
fn every_source_arrives_in_the_database() {
    let server = Server::start(Setup::memory());
    let folder = temporary_folder();
    let path = folder.path().join("lines");
    std::fs::write(&path, "cpu,from=file value=2 2\n").expect("a file");
    let path = path.to_str().expect("a readable path");
    let write = ["write"];
    for (arguments, input) in [
        (&["-d", "foo", "cpu,from=argument value=1 1"][..], ""),
        (&["-d", "foo", "-f", path], ""),
        (&["-d", "foo"], "cpu,from=stdin value=3 3"),
        (&["-d", "foo", "--gzip"], "cpu,from=gzip value=4 4"),
        (&["-d", "foo", "-p", "ns"], "cpu,from=nanoseconds value=0 5"),
    ] {
        let ran = server.cli_with_input(&write, arguments, input.as_bytes());
        assert!(ran.stderr.contains(": 1 request ("), "{ran:?}");
        assert_eq!(ran.succeeded(), "");
    }
    let rows = server.query("foo", "SELECT \"from\", value, time FROM cpu ORDER BY time");
    let told: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {} {}", row["from"], row["value"], row["time"]))
        .collect();
    assert_eq!(
        told,
        [
            r#""nanoseconds" 0.0 "1970-01-01T00:00:00.000000005""#,
            r#""argument" 1.0 "1970-01-01T00:00:01""#,
            r#""file" 2.0 "1970-01-01T00:00:02""#,
            r#""stdin" 3.0 "1970-01-01T00:00:03""#,
            r#""gzip" 4.0 "1970-01-01T00:00:04""#,
        ]
    );
    let error = server
        .cli(&write, &["-d", "foo", "cpu,from=bad value= 1"])
        .failed(1);
    assert!(
        error.starts_with("Write command failed: server responded with error [400 Bad Request]: "),
        "{error}"
    );
    assert!(
        error.contains("partial write of line protocol occurred"),
        "{error}"
    );
}
