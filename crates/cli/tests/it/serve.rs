//! `serve`: start, stop, failures, logs (spec/server-config.md §3, §8.9).

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::harness::http::Connection;
use crate::harness::{Server, Setup, binary, eventually, influxdb3, run, temporary_folder};

#[test]
fn a_restart_keeps_everything() {
    let folder = temporary_folder();
    let setup = Setup::file(folder.path()).with_auth();
    let mut server = Server::start(setup.clone());
    let token = server.create_token();
    server.cli(&["create", "database"], &["empty"]).succeeded();
    server.write(
        "full",
        "second",
        "cpu,host=a usage=0.5 1\ncpu,host=b usage=1.5 2",
    );
    let rows = server.query("full", "SELECT * FROM cpu ORDER BY time");
    server.stop();

    for clean in [true, false] {
        let mut server = Server::start(setup.clone());
        server.use_token(&token);
        let databases = server
            .cli(&["show", "databases"], &["--format", "csv"])
            .succeeded();
        assert_eq!(databases, "iox::database\n_internal\nempty\nfull\n\n");
        assert_eq!(
            server.query("full", "SELECT * FROM cpu ORDER BY time"),
            rows
        );
        match clean {
            true => server.stop(),
            false => server.kill(),
        }
    }
}

#[test]
fn a_signal_ends_the_server_cleanly() {
    for signal in ["TERM", "INT"] {
        let folder = temporary_folder();
        let server = Server::start(Setup::file(folder.path()));
        match signal {
            "TERM" => server.stop(),
            _ => server.interrupt(),
        }
    }
}

#[test]
fn a_second_signal_does_not_wait_for_connections() {
    let mut server = Server::start(Setup::memory().with(&["--shutdown-timeout", "1h"]));
    let mut connection = Connection::open(server.address()).expect("a connection");
    // The body never comes, so that this request stays open.
    connection
        .send(b"POST /api/v3/write_lp?db=x HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nc")
        .expect("the request is sent");
    std::thread::sleep(Duration::from_millis(200));
    server.terminate();
    std::thread::sleep(Duration::from_millis(500));
    let asked = Instant::now();
    server.terminate();
    assert_eq!(server.wait().code(), Some(1), "{}", server.log());
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert!(
        server
            .log()
            .contains("Serve command failed: stopped by a second signal"),
        "{}",
        server.log()
    );
}

#[test]
fn failures_at_start_are_one_line_on_stderr() {
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let occupied = occupied
        .local_addr()
        .map(|address| (address.to_string(), occupied));
    let (address, _listener) = occupied.expect("a bound port");
    for (arguments, expected) in [
        (
            &["--node-id-from-env", "NOT_SET"][..],
            "Must set INFLUXDB3_NODE_IDENTIFIER_PREFIX=NOT_SET to a valid env var value for the node id",
        ),
        (
            &["--node-id", "n", "--object-store", "s3"],
            "Cannot parse object store config: Error configuring Amazon S3: Generic S3 error: Missing bucket name",
        ),
        (
            &[
                "--node-id",
                "n",
                "--object-store",
                "memory",
                "--log-filter",
                "=x=",
            ],
            "Initializing logs failed: ",
        ),
        (
            &[
                "--node-id",
                "n",
                "--object-store",
                "memory",
                "--http-bind",
                &address,
            ],
            &address,
        ),
    ] {
        let line: Vec<&str> = ["serve"].iter().chain(arguments).copied().collect();
        let error = influxdb3(&line).failed(1);
        let last = error.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("Serve command failed: ") && last.contains(expected),
            "{error}"
        );
        assert!(!error.contains("panicked"), "{error}");
    }
}

#[test]
fn the_node_may_be_named_by_another_variable() {
    let folder = temporary_folder();
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = occupied.local_addr().expect("a bound port").to_string();
    let mut command = binary(folder.path());
    command
        .env("MY_NAME", "from-variable")
        .args([
            "serve",
            "--node-id-from-env",
            "MY_NAME",
            "--object-store",
            "memory",
        ])
        .args(["--http-bind", &address]);
    let ran = run(command, b"");
    assert!(ran.stdout.contains("from-variable"), "{ran:?}");
    assert_eq!(ran.code, 1);
}

#[test]
fn the_log_says_when_the_server_is_ready() {
    let server = Server::start(Setup::memory());
    eventually("the line of a finished start", || {
        server.log().contains("startup time: ")
    });
    let log = server.log();
    assert!(!log.contains('\u{1b}'), "{log}");
    let line = log
        .lines()
        .find(|line| line.contains("startup time: "))
        .unwrap_or_else(|| panic!("{log}"));
    assert!(
        line.contains(&format!("address={}", server.address())),
        "{line}"
    );
    let (time, _) = line.split_once(' ').expect("a time, then the rest");
    assert!(
        time.len() == "2026-01-01T00:00:00.000000Z".len() && time.ends_with('Z'),
        "{line}"
    );
}

#[test]
fn log_formats_and_filters() {
    for format in ["full", "pretty", "json", "logfmt"] {
        let server = Server::start(Setup::memory().with(&[
            "--log-format",
            format,
            "--log-destination",
            "stderr",
        ]));
        eventually("the line of a finished start", || {
            server.log().contains("startup time: ")
        });
        let log = server.log();
        let line = log
            .lines()
            .find(|line| line.contains("startup time: "))
            .unwrap_or_else(|| panic!("{log}"));
        match format {
            "json" => {
                let object: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
                assert_eq!(object["level"], "INFO");
            }
            "logfmt" => assert!(
                line.starts_with("ts=") && line.contains(" level=info target="),
                "{line}"
            ),
            _ => {}
        }
    }
    let server = Server::start(Setup::memory().with(&["-vv"]));
    let log = server.log();
    assert!(
        log.contains("log_filter_active") && log.contains("reqwest=info"),
        "{log}"
    );
    assert!(
        log.contains("Initializing TelemetryStore with upload disabled."),
        "{log}"
    );
    let server = Server::start(Setup::memory().with(&[
        "--log-filter",
        "debug",
        "--disable-log-filter-noise-reduction",
    ]));
    let log = server.log();
    assert!(
        log.contains("log_filter_active") && !log.contains("reqwest=info"),
        "{log}"
    );
}

#[test]
fn closed_output_does_not_harm_the_server() {
    let folder = temporary_folder();
    let listener = folder.path().join("listener");
    let mut child = binary(folder.path())
        .args([
            "serve",
            "--node-id",
            "n",
            "--object-store",
            "memory",
            "--without-auth",
            "-vvv",
        ])
        .args(["--http-bind", "127.0.0.1:0", "--tcp-listener-file-path"])
        .arg(&listener)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    drop(child.stderr.take());
    let mut answered = false;
    let deadline = Instant::now() + crate::harness::PATIENCE;
    while !answered && Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(Duration::from_millis(10));
        let told = std::fs::read_to_string(&listener).unwrap_or_default();
        answered = told.parse().is_ok_and(|address| {
            Connection::open(address)
                .and_then(|mut connection| connection.ask("GET", "/health", None, b""))
                .is_ok_and(|answer| answer.status == 200)
        });
    }
    if answered {
        crate::harness::signal(&child, "TERM");
    }
    let ended = crate::harness::wait(&mut child);
    let _ = child.kill();
    assert!(answered);
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
}

/// systemd knows when the server serves and when it stops (sd_notify(3)).
#[cfg(target_os = "linux")]
#[test]
fn the_supervisor_is_told() {
    let folder = temporary_folder();
    let path = folder.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    socket
        .set_read_timeout(Some(crate::harness::PATIENCE))
        .expect("a time limit");
    let news = || {
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).expect("news");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let mut child = binary(folder.path())
        .env("NOTIFY_SOCKET", &path)
        .args(["serve", "--node-id", "n", "--object-store", "memory"])
        .args(["--http-bind", "127.0.0.1:0", "--log-destination", "stderr"])
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let first = std::panic::catch_unwind(news);
    crate::harness::signal(&child, "TERM");
    let second = std::panic::catch_unwind(news);
    let ended = crate::harness::wait(&mut child);
    let _ = child.kill();
    assert_eq!(first.expect("news of the start"), "READY=1");
    assert_eq!(second.expect("news of the stop"), "STOPPING=1");
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
}
