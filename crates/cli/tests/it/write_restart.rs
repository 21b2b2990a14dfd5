//! `write` of a large file while the server dies and comes back, or the client does: every line is there once, none is lost.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::harness::forwarder::Forwarder;
use crate::harness::{Server, Setup, binary, eventually, run, signal, temporary_folder, wait};

const LINES: usize = 100_000;

fn lines() -> String {
    (0..LINES)
        .map(|number| {
            format!(
                "pour,host=h{} value={number}i {}\n",
                number % 100,
                number + 1
            )
        })
        .collect()
}

#[track_caller]
fn all_are_there(server: &Server) {
    let told = server.query(
        "foo",
        "SELECT count(*) AS n, count(DISTINCT value) AS d, sum(value) AS s FROM pour",
    );
    let sum = LINES * (LINES - 1) / 2;
    assert_eq!(
        (&told[0]["n"], &told[0]["d"], &told[0]["s"]),
        (&LINES.into(), &LINES.into(), &sum.into())
    );
}

fn spawn(folder: &Path, url: &str, arguments: &[&str]) -> Child {
    let mut command = binary(folder);
    command
        .args([
            "write",
            "--host",
            url,
            "-d",
            "foo",
            "-f",
            "lines",
            "--max-request-size",
            "20000",
            "-p",
            "s",
        ])
        .args(arguments)
        .stderr(std::fs::File::create(folder.join("stderr")).expect("a file"))
        .stdout(Stdio::null());
    command.spawn().expect("the binary starts")
}

fn told(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("stderr")).expect("a file")
}

#[test]
fn a_server_that_is_killed_and_started_again_loses_nothing() {
    let data = temporary_folder();
    let folder = temporary_folder();
    std::fs::write(folder.path().join("lines"), lines()).expect("a file");
    let setup = Setup::file(data.path());
    let server = Server::start(setup.clone());
    let forwarder = Forwarder::to(server.address());
    let mut client = spawn(
        folder.path(),
        &forwarder.url(),
        &["--max-concurrent-requests", "4"],
    );
    eventually("a part is sent", || forwarder.sent_bytes() > 500_000);
    server.kill();
    assert!(
        client.try_wait().expect("a process of ours").is_none(),
        "{}",
        told(folder.path())
    );
    let server = Server::start(setup);
    forwarder.turn_to(server.address());
    let status = wait(&mut client).expect("the client ends");
    let told = told(folder.path());
    assert_eq!(status.code(), Some(0), "{told}");
    assert!(told.contains("  waiting for the server: "), "{told}");
    assert!(
        told.lines()
            .last()
            .is_some_and(|line| line.contains(" 100000 lines (")),
        "{told}"
    );
    all_are_there(&server);
}

#[test]
fn a_client_that_is_killed_goes_on_where_it_was() {
    let server = Server::start(Setup::memory());
    let folder = temporary_folder();
    let checkpoint = folder.path().join("lines.checkpoint");
    std::fs::write(folder.path().join("lines"), lines()).expect("a file");
    let offset = || -> u64 {
        let text = std::fs::read_to_string(&checkpoint).unwrap_or_default();
        let told: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let files = told["files"].as_object();
        let file = files.and_then(|files| files.values().next());
        file.and_then(|file| file["offset_bytes"].as_u64())
            .unwrap_or(0)
    };
    let slowly = ["--resume", "--rate-limit", "900kb"];
    let mut client = spawn(folder.path(), &server.url(), &slowly);
    eventually("the checkpoint tells of progress", || offset() > 0);
    client.kill().expect("a process of ours");
    client.wait().expect("a process of ours");
    let reached = offset();
    assert!(reached > 0 && reached < lines().len() as u64);

    // Another database, or another file, does not go on there.
    let mut command = binary(folder.path());
    command.args([
        "write",
        "--host",
        &server.url(),
        "-d",
        "bar",
        "-f",
        "lines",
        "--resume",
    ]);
    let error = run(command, b"").failed(1);
    assert!(
        error.contains("lines.checkpoint is of database \"foo\" at http://"),
        "{error}"
    );

    // Ctrl-C is an orderly end.
    let mut client = spawn(folder.path(), &server.url(), &slowly);
    eventually("it goes on from there", || offset() > reached);
    signal(&client, "INT");
    let status = wait(&mut client).expect("the client ends");
    let text = told(folder.path());
    assert_eq!(status.code(), Some(1), "{text}");
    let last = text.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("Write command failed: interrupted; all is written up to line ")
            && last.ends_with(" of lines, the same command goes on there"),
        "{text}"
    );
    let reached = offset();

    let mut client = spawn(folder.path(), &server.url(), &["--resume"]);
    let status = wait(&mut client).expect("the client ends");
    let text = told(folder.path());
    assert_eq!(status.code(), Some(0), "{text}");
    // Only what was left was sent.
    let left = lines()[reached as usize..].lines().count();
    let last = text.lines().last().unwrap_or_default();
    assert!(last.contains(&format!(" {left} lines (")), "{left}: {last}");
    assert!(!checkpoint.exists());
    all_are_there(&server);
}

#[test]
fn a_packed_file_is_resumed_too_unless_it_has_changed() {
    let server = Server::start(Setup::memory());
    let folder = temporary_folder();
    let path = folder.path().join("lines");
    std::fs::write(
        &path,
        zstd::encode_all(lines().as_bytes(), 0).expect("to memory"),
    )
    .expect("a file");
    let resume = ["--checkpoint", "mark", "--rate-limit", "900kb"];
    let mut client = spawn(folder.path(), &server.url(), &resume);
    // The checkpoint is there from the start; wait for more to be in it.
    let mark = folder.path().join("mark");
    eventually("there is progress", || {
        std::fs::read_to_string(&mark).is_ok_and(|text| {
            text.contains("offset_bytes") && !text.contains("\"offset_bytes\": 0,")
        })
    });
    client.kill().expect("a process of ours");
    client.wait().expect("a process of ours");

    let packed = std::fs::read(&path).expect("a file");
    std::fs::write(
        &path,
        zstd::encode_all(&b"pour value=1i 1\n"[..], 0).expect("to memory"),
    )
    .expect("a file");
    let mut client = spawn(folder.path(), &server.url(), &resume);
    assert_eq!(wait(&mut client).expect("the client ends").code(), Some(1));
    let text = told(folder.path());
    assert!(
        text.contains("lines has changed since it was partly written; remove the checkpoint mark"),
        "{text}"
    );

    let before = std::fs::read_to_string(&mark).expect("the checkpoint");
    std::fs::write(&path, packed).expect("a file");
    // As it was, to the time of its last change.
    let told_time = before
        .split("\"modified_ns\": ")
        .nth(1)
        .and_then(|rest| rest.split(',').next());
    let modified_ns: u64 = told_time
        .and_then(|text| text.trim().parse().ok())
        .expect("a time");
    let modified = std::time::UNIX_EPOCH + Duration::from_nanos(modified_ns);
    let file = std::fs::File::options()
        .write(true)
        .open(&path)
        .expect("a file");
    file.set_modified(modified).expect("a time can be set");
    let mut client = spawn(folder.path(), &server.url(), &["--checkpoint", "mark"]);
    assert_eq!(
        wait(&mut client).expect("the client ends").code(),
        Some(0),
        "{}",
        told(folder.path())
    );
    assert!(!mark.exists());
    all_are_there(&server);
}
