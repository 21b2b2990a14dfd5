//! Clients of versions 1 and 2 as they are: requests of Telegraf's three outputs, made by hand after spec/clients.md §1.10, and the libraries
//! for Python and Node themselves, where they can be had (`GNOMON_PYTHON` names a Python that has them).
//!
//! Not here: what each endpoint answers to what (`compat/scenarios`).

use std::io::Write;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::harness::http::{Answer, base64};
use crate::harness::{Server, Setup, say};

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("to memory");
    encoder.finish().expect("to memory")
}

fn server() -> (Server, String) {
    let mut server = Server::start(Setup::memory().with_auth());
    let token = server.create_token();
    (server, token)
}

/// A POST as Telegraf makes it.
#[track_caller]
fn telegraf(server: &Server, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let all = [&[("user-agent", "Telegraf/1.38.0")], headers].concat();
    server
        .connect()
        .ask_with("POST", target, &all, body)
        .expect("an answer")
}

/// As [`telegraf`], in chunks and without a length: so version 1's output sends what it compresses while it sends it.
#[track_caller]
fn telegraf_in_chunks(
    server: &Server,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut request =
        format!("POST {target} HTTP/1.1\r\nHost: test\r\nUser-Agent: Telegraf/1.38.0\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("Transfer-Encoding: chunked\r\nAccept-Encoding: gzip\r\n\r\n");
    let mut request = request.into_bytes();
    for chunk in body.chunks(20) {
        request.extend(format!("{:x}\r\n", chunk.len()).bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    let mut connection = server.connect();
    connection.send(&request).expect("a server that reads");
    connection.answer().expect("an answer")
}

const TEXT: (&str, &str) = ("content-type", "text/plain; charset=utf-8");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

const METRICS: &str = "cpu,cpu=cpu-total,host=a usage_idle=98.5,usage_user=1.5 1700000000000000000\n\
    mem,host=a total=8589934592u,used=1024i 1700000000000000000\n";

/// Two metrics arrived in `database`, at their own times.
#[track_caller]
fn arrived(server: &Server, database: &str) {
    let rows = server.query(database, "SELECT time, usage_idle FROM cpu");
    let cpu = json!({"time": "2023-11-14T22:13:20", "usage_idle": 98.5});
    assert_eq!(rows, [cpu]);
    let rows = server.query(database, "SELECT total, used FROM mem");
    assert_eq!(rows, [json!({"total": 8_589_934_592_u64, "used": 1024})]);
}

#[test]
fn telegraf_output_of_version_1() {
    let (server, token) = server();
    let basic = format!("Basic {}", base64(&format!("telegraf:{token}")));
    let form = ("content-type", "application/x-www-form-urlencoded");
    let by = ("authorization", basic.as_str());
    let statement = b"q=CREATE+DATABASE+%22telegraf%22";
    for _ in 0..2 {
        let created = telegraf(&server, "/query", &[form, by], statement);
        assert_eq!(created.status, 200);
        assert_eq!(created.json(), json!({"results": [{"statement_id": 0}]}));
    }
    let target = "/write?consistency=any&db=telegraf";
    let written = telegraf_in_chunks(&server, target, &[TEXT, GZIP, by], &packed(METRICS));
    assert_eq!((written.status, written.body.len()), (204, 0));
    arrived(&server, "telegraf");
    // With a retention policy; and without compression, as `content_encoding = "identity"` has it.
    let target_of_week = "/write?consistency=any&db=telegraf&rp=week";
    let written = telegraf_in_chunks(&server, target_of_week, &[TEXT, by], METRICS.as_bytes());
    assert_eq!(written.status, 204, "{}", written.text());
    arrived(&server, "telegraf/week");
    // It looks for words in the body of a 400, and drops what can never be written.
    let refused = telegraf(&server, target, &[TEXT, by], b"cpu usage_idle=\"text\" 1\n");
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"], "line protocol parsing error");
}

#[test]
fn telegraf_output_of_version_2() {
    let (server, token) = server();
    let token = format!("Token {token}");
    let by = ("authorization", token.as_str());
    let target = "/api/v2/write?bucket=telegraf&org=home";
    let written = telegraf(&server, target, &[TEXT, GZIP, by], &packed(METRICS));
    assert_eq!((written.status, written.body.len()), (204, 0));
    arrived(&server, "telegraf");
    let refused = telegraf(&server, target, &[TEXT, by], b"cpu usage_idle=\"text\" 1\n");
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["code"], "invalid");
    let stranger = ("authorization", "Token wrong");
    let refused = telegraf(&server, target, &[TEXT, stranger], METRICS.as_bytes());
    assert_eq!(refused.status, 401);
    let target = "/api/v2/write?bucket=telegraf%2Fweek&org=home";
    let written = telegraf_in_chunks(&server, target, &[TEXT, GZIP, by], &packed(METRICS));
    assert_eq!(written.status, 204, "{}", written.text());
    arrived(&server, "telegraf/week");
}

/// Telegraf keeps and sends again what is answered with 401 or 403, and halves a batch that is answered with 413 (spec/clients.md §0.8).
#[test]
fn telegraf_without_leave_and_with_too_much() {
    let mut server = Server::start(
        Setup::memory()
            .with_auth()
            .with(&["--max-http-request-size", "200"]),
    );
    server.create_token();
    let words = [
        "--permission",
        "db:telegraf:read",
        "--name",
        "reader",
        "--format",
        "token",
    ];
    server
        .cli(&["create", "database", "telegraf"], &[])
        .succeeded();
    let reader = server.cli(&["create", "token"], &words).succeeded();
    let reader = format!("Token {}", reader.trim());
    let writer = format!("Token {}", server.token());
    for target in [
        "/api/v3/write_lp?db=telegraf",
        "/api/v2/write?bucket=telegraf&org=home",
        "/write?db=telegraf",
    ] {
        let by = ("authorization", reader.as_str());
        let refused = telegraf(&server, target, &[TEXT, by], METRICS.as_bytes());
        assert_eq!(refused.status, 403, "{target} {}", refused.text());
        let by = ("authorization", writer.as_str());
        let many = METRICS.repeat(9);
        let refused = telegraf(&server, target, &[TEXT, by], many.as_bytes());
        assert_eq!(refused.status, 413, "{target} {}", refused.text());
        let refused = telegraf(&server, target, &[TEXT, GZIP, by], &packed(&many));
        assert_eq!(refused.status, 413, "{target} {}", refused.text());
        let written = telegraf(&server, target, &[TEXT, by], METRICS.as_bytes());
        assert_eq!(written.status, 204, "{target} {}", written.text());
    }
    arrived(&server, "telegraf");
}

#[test]
fn telegraf_output_of_version_3() {
    let (server, token) = server();
    let token = format!("Bearer {token}");
    let by = ("authorization", token.as_str());
    let target = "/api/v3/write_lp?db=telegraf&no_sync=false";
    let written = telegraf(&server, target, &[TEXT, GZIP, by], &packed(METRICS));
    assert_eq!((written.status, written.body.len()), (204, 0));
    arrived(&server, "telegraf");
    let refused = telegraf(&server, target, &[TEXT, by], b"cpu usage_idle=\"text\" 1\n");
    assert_eq!(refused.status, 400);
    assert!(refused.json()["data"].is_array());
}

/// The shell of version 1 sends an empty type and a space before the line; others send no type at all.
#[test]
fn odd_content_types() {
    let (server, token) = server();
    let bearer = format!("Bearer {token}");
    let by = ("authorization", bearer.as_str());
    for (at, headers) in [
        &[by, ("content-type", "")][..],
        &[by],
        &[by, ("content-type", "application/octet-stream")],
    ]
    .into_iter()
    .enumerate()
    {
        for target in [
            "/write?consistency=all&db=d&precision=ns&rp=",
            "/api/v2/write?bucket=d",
            "/api/v3/write_lp?db=d",
        ] {
            let line = format!(" t v=1i {at}");
            let answer = telegraf(&server, target, headers, line.as_bytes());
            assert_eq!(answer.status, 204, "{headers:?} {}", answer.text());
        }
    }
    let rows = server.query("d", "SELECT count(v) AS n FROM t");
    // Versions 1 and 2 write the same nanoseconds; the first of them is the first second of version 3 too.
    assert_eq!(rows, [json!({"n": 5})]);
}

/// Runs a script of `compat/` with a server's address and token; `false` when its libraries are missing and `must` does not say
/// that they cannot be.
#[track_caller]
fn runs(mut interpreter: Command, script: &str, server: &Server, must: bool) -> bool {
    let path = format!("{}/../../compat/{script}", env!("CARGO_MANIFEST_DIR"));
    let output = interpreter
        .args([path, server.url()])
        .env("INFLUXDB3_AUTH_TOKEN", server.token())
        .env("NO_PROXY", "*")
        .output();
    match output {
        Err(fault) => {
            assert!(!must, "{script}: {fault}");
            say(&format!("skipped: {script} has no interpreter: {fault}"));
            false
        }
        Ok(output) => match output.status.code() {
            Some(0) => true,
            Some(77) if !must => {
                say(&String::from_utf8_lossy(&output.stdout));
                false
            }
            code => panic!(
                "{script}: exit code {code:?}: {}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ),
        },
    }
}

/// `GNOMON_NODE_PATH` names a folder of modules, `node_modules`, with the library.
#[test]
fn node_library() {
    let (server, _) = server();
    let modules = std::env::var_os("GNOMON_NODE_PATH");
    let mut node = Command::new("node");
    if let Some(modules) = &modules {
        node.env("NODE_PATH", modules);
    }
    if !runs(node, "client_influx.js", &server, modules.is_some()) {
        return;
    }
    let rows = server.query("npm", "SELECT host, time, usage FROM cpu ORDER BY time");
    let row =
        |host: &str, time: &str, usage: f64| json!({"host": host, "time": time, "usage": usage});
    let expected = [
        row("a b,c", "1970-01-01T00:00:10", 1.5),
        row("a b,c", "1970-01-01T00:00:20", 1.5),
        row("last", "1970-01-01T00:01:00", 2.5),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn python_libraries() {
    let (server, _) = server();
    let named = std::env::var_os("GNOMON_PYTHON");
    let python = Command::new(named.as_deref().unwrap_or("python3".as_ref()));
    if !runs(python, "client_libraries.py", &server, named.is_some()) {
        return;
    }
    let hosts = |database: &str| -> Vec<Value> {
        let by_host = "SELECT host, count(*) AS n FROM cpu GROUP BY host ORDER BY host";
        server.query(database, by_host)
    };
    let v1 = [
        json!({"host": "a b,c", "n": 15}),
        json!({"host": "line", "n": 1}),
    ];
    assert_eq!(hosts("v1"), v1);
    let v2 = [
        ("batch", 10),
        ("host 0", 1),
        ("host 1", 1),
        ("host 2", 1),
        ("host 3", 1),
        ("line", 1),
        ("packed", 1),
        ("packed batch", 10),
    ];
    assert_eq!(
        hosts("v2"),
        v2.map(|(host, n)| json!({"host": host, "n": n}))
    );
    let at = "SELECT time, note FROM cpu WHERE room = 'kitchen'";
    let kitchen = json!({"time": "1970-01-01T00:00:00.020", "note": "x\"y"});
    assert_eq!(server.query("v1", at), [kitchen]);
}
