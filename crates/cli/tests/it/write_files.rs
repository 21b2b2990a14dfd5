//! `write --file`: several files, patterns, compressed ones, refused lines, checks without a server, progress.
//!
//! Not here: what a restart or an abort does to a write (`write_restart`).

use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::harness::fake_server::FakeServer;
use crate::harness::{Ran, Server, Setup, binary, run, temporary_folder};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("to memory");
    encoder.finish().expect("to memory")
}

/// Runs `write` in `folder`.
fn write(url: &str, folder: &Path, arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = binary(folder);
    command
        .args(["write", "--host", url, "-d", "foo"])
        .args(arguments);
    run(command, input)
}

fn sent(server: &FakeServer) -> String {
    let bodies = server.requests().into_iter().map(|request| request.body);
    String::from_utf8(bodies.collect::<Vec<_>>().concat()).expect("text")
}

#[test]
fn several_files_in_any_packing_go_in_order() {
    let server = FakeServer::answering("204 No Content", "");
    let folder = temporary_folder();
    let put = |name: &str, bytes: Vec<u8>| {
        std::fs::write(folder.path().join(name), bytes).expect("a file");
    };
    let lines = |name: &str| -> String {
        (0..5000)
            .map(|number| format!("{name} a={number} {number}\n"))
            .collect()
    };
    put("1.lp", lines("one").into_bytes());
    // The name says nothing, and more may be appended.
    put("2.lp", [gzip(&lines("two")), gzip("two last=1 1")].concat());
    put(
        "3.lp",
        zstd::encode_all(lines("three").as_bytes(), 0).expect("to memory"),
    );
    put("other", b"other a=1 1\n".to_vec());
    let one_by_one = [
        "--max-concurrent-requests",
        "1",
        "--max-request-size",
        "30000",
    ];
    let arguments = [
        &one_by_one[..],
        &["-f", "other", "--file", "*.lp", "-f", "-"],
    ]
    .concat();
    let ran = write(&server.url(), folder.path(), &arguments, b"stdin a=1 1");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
    let expected = [
        "other a=1 1\n",
        &lines("one"),
        &lines("two"),
        "two last=1 1",
        &lines("three"),
        "stdin a=1 1",
    ];
    assert!(sent(&server) == expected.concat());
    let last = ran.stderr.lines().last().expect("statistics");
    assert!(last.contains(" 15003 lines ("), "{last}");

    for (file, told) in [
        (
            "nothing*",
            "error reading file: no file matches \"nothing*\"",
        ),
        ("1.lp", "1.lp is named twice"),
        (
            "missing",
            "error reading file: missing: No such file or directory (os error 2)",
        ),
    ] {
        let error = write(
            &server.url(),
            folder.path(),
            &["-f", "1.lp", "-f", file],
            b"",
        )
        .failed(1);
        assert_eq!(error, format!("Write command failed: {told}\n"));
    }
    assert_eq!(
        sent(&server),
        "",
        "nothing is written when a file is missing"
    );

    put("cut.gz", gzip(&lines("cut"))[..200].to_vec());
    let error = write(&server.url(), folder.path(), &["-f", "cut.gz"], b"").failed(1);
    assert!(
        error.contains("error reading file: the compressed data break off or are damaged"),
        "{error}"
    );
}

/// Bad lines of many kinds among good ones, more of them in one request than an answer lists.
#[test]
fn refused_lines_go_to_a_file_and_all_others_in() {
    let server = Server::start(Setup::memory());
    server.write("foo", "second", "cpu value=1.5 1");
    let folder = temporary_folder();
    let mut text: Vec<u8> = Vec::new();
    let mut refused: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut good = 1;
    for number in 0..5000 {
        let line_number = 1 + text.iter().filter(|&&byte| byte == b'\n').count();
        let line: Vec<u8> = match number % 37 {
            3 => format!("cpu,host=a value= {number}").into_bytes(),
            11 => format!("cpu value=\"text\" {number}").into_bytes(),
            19 => format!("cpu nonsense {number}").into_bytes(),
            23 => [b"cpu value=\xff ", number.to_string().as_bytes()].concat(),
            7 => b"# a comment with a \" in it".to_vec(),
            8 => b"  ".to_vec(),
            15 => format!("log text=\"two\nlines\" {}", number + 10).into_bytes(),
            _ => format!("cpu value={number} {}", number + 10).into_bytes(),
        };
        match number % 37 {
            3 | 11 | 19 | 23 => refused.push((line_number, line.clone())),
            7 | 8 => {}
            _ => good += 1,
        }
        text.extend_from_slice(&line);
        text.extend_from_slice(if number % 2 == 0 { b"\n" } else { b"\r\n" });
    }
    std::fs::write(folder.path().join("lines"), &text).expect("a file");
    let kept = folder.path().join("kept");
    for arguments in [
        &["-f", "lines", "--errors-file", "kept", "-p", "s"][..],
        &[
            "-f",
            "lines",
            "--errors-file",
            "kept",
            "-p",
            "s",
            "--gzip",
            "--max-request-size",
            "9000",
        ],
    ] {
        let error = write(&server.url(), folder.path(), arguments, b"").failed(1);
        let last = format!(
            "Write command failed: {} lines were refused and kept in kept; all others are written",
            refused.len()
        );
        assert_eq!(error.lines().last(), Some(last.as_str()), "{error}");
        let count = "SELECT (SELECT count(*) FROM cpu) + (SELECT count(*) FROM log) AS n";
        assert_eq!(server.query("foo", count)[0]["n"], good);

        let told = std::fs::read(&kept).expect("the errors file");
        let lines: Vec<&[u8]> = told.split(|&byte| byte == b'\n').collect();
        let mut found: Vec<(usize, Vec<u8>)> = lines
            .chunks_exact(2)
            .map(|pair| {
                let comment = String::from_utf8_lossy(pair[0]);
                let number = comment
                    .strip_prefix("# lines:")
                    .and_then(|rest| rest.split(':').next());
                (
                    number
                        .and_then(|number| number.parse().ok())
                        .expect("a number"),
                    pair[1].to_vec(),
                )
            })
            .collect();
        found.sort();
        assert!(found == refused, "{}", String::from_utf8_lossy(&told));
        assert!(String::from_utf8_lossy(&told).contains("No fields were provided"));
        std::fs::remove_file(&kept).expect("the errors file");
    }

    let limited = ["-f", "lines", "--errors-file", "kept", "--max-errors", "20"];
    let error = write(&server.url(), folder.path(), &limited, b"").failed(1);
    assert!(
        error.contains("more than --max-errors 20; they are in kept"),
        "{error}"
    );
    let error = write(
        &server.url(),
        folder.path(),
        &["--max-errors", "20", "x a=1"],
        b"",
    )
    .failed(1);
    assert_eq!(
        error,
        "Write command failed: --max-errors needs --errors-file or --dry-run\n"
    );
}

/// An answer about the whole request is no list of lines.
#[test]
fn other_refusals_end_the_command_even_with_an_errors_file() {
    let server = FakeServer::answering("400 Bad Request", "wrong");
    let folder = temporary_folder();
    let error = write(
        &server.url(),
        folder.path(),
        &["--errors-file", "kept", "cpu a=1"],
        b"",
    )
    .failed(1);
    assert_eq!(
        error,
        "Write command failed: server responded with error [400 Bad Request]: wrong\n"
    );
    assert_eq!(
        std::fs::read(folder.path().join("kept")).expect("a file"),
        b""
    );
}

#[test]
fn a_dry_run_tells_where_lines_are_wrong() {
    let folder = temporary_folder();
    std::fs::write(
        folder.path().join("lines"),
        "cpu a=1 1\n\ncpu a=1 x\ncpu a=2\ncpu,a b=1\n",
    )
    .expect("a file");
    // Nothing listens there.
    let nowhere = "http://127.0.0.1:1";
    let error = write(nowhere, folder.path(), &["--dry-run", "-f", "lines"], b"").failed(1);
    assert_eq!(
        error,
        "lines:3:9: Could not parse entire line. Found trailing content: ` x`\n\
         lines:5:5: Tag set malformed: could not find equals sign in `a b=1`\n\
         Write command failed: 2 of 4 lines are wrong\n"
    );
    let error = write(
        nowhere,
        folder.path(),
        &["--dry-run", "--max-errors", "0", "-f", "lines"],
        b"",
    )
    .failed(1);
    assert!(
        error.ends_with("Write command failed: more than 0 lines are wrong\n"),
        "{error}"
    );
    let ran = write(nowhere, folder.path(), &["--dry-run", "cpu a=1"], b"");
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (0, "  1 line, nothing is wrong\n")
    );
}

#[test]
fn progress_is_one_line_and_a_summary() {
    let server = FakeServer::answering("204 No Content", "");
    let folder = temporary_folder();
    std::fs::write(folder.path().join("lines"), "cpu a=1 1\n".repeat(1000)).expect("a file");
    let always = [
        "--progress",
        "always",
        "-f",
        "lines",
        "--max-request-size",
        "1000",
    ];
    let ran = write(&server.url(), folder.path(), &always, b"");
    assert!(
        ran.stderr
            .contains("\r[########################] 100%  1000 lines"),
        "{ran:?}"
    );
    let last = ran.stderr.lines().last().expect("a summary");
    assert!(last.contains("Written: 1000 lines, 9.77KiB, in "), "{last}");
    assert!(
        !ran.stderr.contains("\u{1b}[32m"),
        "no colour where no terminal is: {ran:?}"
    );
    let quiet = [&always[..], &["--quiet"]].concat();
    let ran = write(&server.url(), folder.path(), &quiet, b"");
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (0, "", "")
    );
}

/// On a terminal, which `script` makes, there is colour unless NO_COLOR says otherwise.
#[test]
#[cfg(target_os = "linux")]
fn progress_appears_on_a_terminal() {
    let server = FakeServer::answering("204 No Content", "");
    let folder = temporary_folder();
    std::fs::write(folder.path().join("lines"), "cpu a=1 1\n".repeat(1000)).expect("a file");
    for (option, is_coloured, is_shown) in [
        ("", true, true),
        ("NO_COLOR=1", false, true),
        ("X=1", false, false),
    ] {
        let more = if is_shown { "" } else { "--progress never" };
        let line = format!(
            "env {option} {} write --host {} -d foo -f lines {more}",
            env!("CARGO_BIN_EXE_influxdb3"),
            server.url()
        );
        let mut command = Command::new("script");
        command
            .args(["-qec", &line, "/dev/null"])
            .current_dir(folder.path());
        command.env_remove("NO_COLOR");
        let ran = run(command, b"");
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(ran.stdout.contains("Written"), is_shown, "{ran:?}");
        assert_eq!(ran.stdout.contains("\u{1b}[32m"), is_coloured, "{ran:?}");
        assert_eq!(ran.stdout.contains("1 request ("), !is_shown, "{ran:?}");
    }
}

#[test]
fn what_passes_is_tried_again_and_nothing_else() {
    let folder = temporary_folder();
    let busy = "503 Service Unavailable";
    let server = FakeServer::answering_in_turn(&[
        "429 Too Many Requests\r\nretry-after: 1",
        "500 Internal Server Error",
        busy,
        "204 No Content",
    ]);
    let started = std::time::Instant::now();
    let ran = write(&server.url(), folder.path(), &["cpu a=1"], b"");
    assert!(
        started.elapsed() >= std::time::Duration::from_secs(1),
        "it waits as long as it is told"
    );
    assert!(
        ran.stderr.starts_with(
            "  waiting for the server: server responded with error [429 Too Many Requests]"
        ),
        "{ran:?}"
    );
    assert!(ran.stderr.contains(": 1 request ("), "{ran:?}");
    ran.succeeded();
    assert_eq!(server.requests().len(), 4);

    let server = FakeServer::answering_in_turn(&[busy]);
    let error = write(
        &server.url(),
        folder.path(),
        &["-q", "--max-retries", "2", "cpu a=1"],
        b"",
    )
    .failed(1);
    assert_eq!(
        error,
        "Write command failed: server responded with error [503 Service Unavailable]:  (tried again 2 times)\n"
    );
    assert_eq!(server.requests().len(), 3);
    write(
        &server.url(),
        folder.path(),
        &["-q", "--retry-timeout", "0s", "cpu a=1"],
        b"",
    )
    .failed(1);
    assert_eq!(server.requests().len(), 1);
    // Nothing ever answered there: a wrong address is told at once.
    let error = write("http://127.0.0.1:1", folder.path(), &["cpu a=1"], b"").failed(1);
    assert!(
        !error.contains("tried again") && error.contains("failed to send POST"),
        "{error}"
    );
    let error = write(
        "http://127.0.0.1:1",
        folder.path(),
        &["--max-retries", "1", "cpu a=1"],
        b"",
    )
    .failed(1);
    assert!(error.contains("(tried again once)"), "{error}");
}

#[test]
fn a_rate_is_kept() {
    let server = FakeServer::answering("204 No Content", "");
    let folder = temporary_folder();
    let lines = "cpu a=1 1\n".repeat(3000);
    let started = std::time::Instant::now();
    write(
        &server.url(),
        folder.path(),
        &["--rate-limit", "20kb"],
        lines.as_bytes(),
    )
    .succeeded();
    assert!(started.elapsed() >= std::time::Duration::from_secs(1));
    assert_eq!(sent(&server).len(), lines.len());
    let error = write(
        &server.url(),
        folder.path(),
        &["--rate-limit", "5%", "x a=1"],
        b"",
    )
    .failed(2);
    assert!(error.contains("not a percentage"), "{error}");
}
