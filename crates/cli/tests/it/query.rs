//! `query`: sources, formats, destinations (spec/cli.md §7.4, §4.2).

use crate::harness::fake_server::FakeServer;
use crate::harness::{Server, Setup, binary, run, temporary_folder};

#[test]
fn the_argument_wins_over_the_file_and_the_file_over_stdin() {
    let server = FakeServer::answering("200 OK", "[]");
    let folder = temporary_folder();
    std::fs::write(folder.path().join("q.sql"), "from file").expect("a file");
    for (arguments, expected) in [
        (&["-f", "q.sql", "from argument"][..], "from argument"),
        (&["-f", "q.sql"], "from file"),
        (&[], "from stdin"),
    ] {
        let mut command = binary(folder.path());
        command
            .args([
                "query",
                "-d",
                "foo",
                "--host",
                "http://127.0.0.1:1",
                "--query-host",
                &server.url(),
            ])
            .args(arguments);
        assert_eq!(run(command, b"from stdin").succeeded(), "[]\n");
        let requests = server.requests();
        assert_eq!(requests[0].line, "POST /api/v3/query_sql HTTP/1.1");
        assert_eq!(requests[0].header("content-type"), Some("application/json"));
        assert_eq!(
            requests[0].json(),
            serde_json::json!({ "db": "foo", "q": expected, "format": "pretty" })
        );
    }
    let mut command = binary(folder.path());
    command.args(["query", "-d", "foo", "-f", "nowhere"]);
    let error = run(command, b"").failed(1);
    assert!(
        error.starts_with("Query command failed: error reading file: nowhere: "),
        "{error}"
    );
}

#[test]
fn formats_and_languages_on_the_wire() {
    let server = FakeServer::answering("200 OK", "body");
    for (format, wire) in [
        ("pretty", "pretty"),
        ("json", "json"),
        ("jsonl", "json_lines"),
        ("csv", "csv"),
        ("parquet", "parquet"),
    ] {
        let folder = temporary_folder();
        let mut command = binary(folder.path());
        command.args(["q", "-d", "foo", "-l", "influxql", "--host", &server.url()]);
        command.args(["--format", format, "SHOW DATABASES"]);
        let expected = if format == "parquet" {
            "body"
        } else {
            "body\n"
        };
        assert_eq!(run(command, b"").succeeded(), expected);
        let requests = server.requests();
        assert_eq!(requests[0].line, "POST /api/v3/query_influxql HTTP/1.1");
        assert_eq!(requests[0].json()["format"], wire);
    }
}

#[test]
fn a_failed_query_leaves_the_output_file_alone() {
    let server = FakeServer::answering("400 Bad Request", "wrong");
    let folder = temporary_folder();
    let path = folder.path().join("out");
    std::fs::write(&path, "precious").expect("a file");
    let mut command = binary(folder.path());
    command.args([
        "query",
        "-d",
        "foo",
        "--host",
        &server.url(),
        "-o",
        "out",
        "SELECT",
    ]);
    assert_eq!(
        run(command, b"").failed(1),
        "Query command failed: server responded with error [400 Bad Request]: wrong\n"
    );
    assert_eq!(
        std::fs::read_to_string(&path).expect("the file"),
        "precious"
    );
}

#[test]
fn a_result_that_breaks_off_is_a_failure() {
    let server = FakeServer::breaking_off_after("half of");
    let folder = temporary_folder();
    let mut command = binary(folder.path());
    command.args(["query", "-d", "foo", "--host", &server.url(), "SELECT"]);
    let error = run(command, b"").failed(1);
    assert!(
        error.starts_with("Query command failed: failed to read the API response bytes: "),
        "{error}"
    );
}

#[test]
fn rows_in_every_format() {
    let server = Server::start(Setup::memory());
    server.write(
        "foo",
        "second",
        "cpu,host=a usage=0.5 1\ncpu,host=b usage=99,n=3i 2",
    );
    let sql = "SELECT host, usage, n, time FROM cpu ORDER BY time";
    let query = ["query"];
    for (format, expected) in [
        (
            "json",
            "[{\"host\":\"a\",\"usage\":0.5,\"time\":\"1970-01-01T00:00:01\"},{\"host\":\"b\",\"usage\":99.0,\"n\":3,\"time\":\"1970-01-01T00:00:02\"}]\n",
        ),
        (
            "jsonl",
            "{\"host\":\"a\",\"usage\":0.5,\"time\":\"1970-01-01T00:00:01\"}\n{\"host\":\"b\",\"usage\":99.0,\"n\":3,\"time\":\"1970-01-01T00:00:02\"}\n\n",
        ),
        (
            "csv",
            "host,usage,n,time\na,0.5,,1970-01-01T00:00:01\nb,99.0,3,1970-01-01T00:00:02\n\n",
        ),
        (
            "pretty",
            "+------+-------+---+---------------------+\n\
             | host | usage | n | time                |\n\
             +------+-------+---+---------------------+\n\
             | a    | 0.5   |   | 1970-01-01T00:00:01 |\n\
             | b    | 99.0  | 3 | 1970-01-01T00:00:02 |\n\
             +------+-------+---+---------------------+\n",
        ),
    ] {
        let text = server
            .cli(&query, &["-d", "foo", "--format", format, sql])
            .succeeded();
        assert_eq!(text, expected);
    }
    let ran = server.cli(&query, &["-d", "foo", "--format", "parquet", sql]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout_bytes.starts_with(b"PAR1") && ran.stdout_bytes.ends_with(b"PAR1"));

    let folder = temporary_folder();
    let path = folder.path().join("out");
    let out = path.to_str().expect("a readable path");
    for format in ["parquet", "csv"] {
        let ran = server.cli(
            &query,
            &["-d", "foo", "--format", format, "--output", out, sql],
        );
        assert_eq!(
            (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
            (0, "", "")
        );
        let bytes = std::fs::read(&path).expect("the file");
        match format {
            "parquet" => assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1")),
            _ => assert_eq!(
                String::from_utf8_lossy(&bytes),
                "host,usage,n,time\na,0.5,,1970-01-01T00:00:01\nb,99.0,3,1970-01-01T00:00:02\n"
            ),
        }
    }
    let text = server.cli(
        &query,
        &[
            "-d",
            "foo",
            "--format",
            "json",
            "SELECT * FROM cpu WHERE host = 'c'",
        ],
    );
    assert_eq!(text.succeeded(), "[]\n");
}

#[test]
fn errors_of_the_server_are_passed_on() {
    let server = Server::start(Setup::memory());
    server.write("foo", "second", "cpu usage=1 1");
    let query = ["query"];
    let error = server.cli(&query, &["-d", "nowhere", "SELECT 1"]).failed(1);
    let expected = "Query command failed: server responded with error [404 Not Found]: ";
    assert!(
        error.starts_with(expected) && error.contains("database not found: nowhere"),
        "{error}"
    );
    let error = server.cli(&query, &["-d", "foo", "SELECT * cpu"]).failed(1);
    assert!(
        error.starts_with("Query command failed: server responded with error [400 Bad Request]: "),
        "{error}"
    );
    // InfluxQL is whatever the server makes of it: rows one day, a plain refusal until then.
    let ran = server.cli(
        &query,
        &["-d", "foo", "-l", "influxql", "SELECT * FROM cpu"],
    );
    match ran.code {
        0 => assert!(ran.stdout.contains("usage"), "{ran:?}"),
        _ => {
            let error = ran.failed(1);
            assert!(
                error.starts_with("Query command failed: server responded with error [4"),
                "{error}"
            );
        }
    }
}

#[test]
fn a_long_result_arrives_whole() {
    let server = Server::start(Setup::memory());
    let lines: String = (0..20_000)
        .map(|number| format!("cpu,host=h{} value={number}i {number}\n", number % 10))
        .collect();
    server.write("foo", "second", &lines);
    let arguments = [
        "-d",
        "foo",
        "--format",
        "csv",
        "SELECT value FROM cpu ORDER BY value",
    ];
    let text = server.cli(&["query"], &arguments).succeeded();
    let values: Vec<&str> = text.lines().skip(1).take(20_000).collect();
    assert_eq!(values.len(), 20_000);
    assert!(
        values
            .iter()
            .enumerate()
            .all(|(number, value)| *value == number.to_string())
    );
}

#[test]
fn values_and_a_timeout_go_along() {
    let server = FakeServer::answering("200 OK", "[]");
    let folder = temporary_folder();
    let ask = |arguments: &[&str]| {
        let mut command = binary(folder.path());
        command
            .args(["query", "-d", "foo", "--host", &server.url()])
            .args(arguments);
        run(command, b"")
    };
    ask(&[
        "--param",
        "host=a",
        "--param",
        "$n=5",
        "--timeout",
        "1m30s",
        "SELECT $n",
    ])
    .succeeded();
    let request = &server.requests()[0];
    assert_eq!(request.header("x-query-timeout"), Some("1m 30s"));
    assert_eq!(
        request.json(),
        serde_json::json!({"db": "foo", "q": "SELECT $n", "format": "pretty", "params": {"host": "a", "n": 5}})
    );
    let error = ask(&["--param", "host", "SELECT"]).failed(2);
    assert!(
        error.contains("invalid value 'host' for '--param <NAME=VALUE>': must be formatted as"),
        "{error}"
    );
    let error = ask(&["--timeout", "5", "SELECT"]).failed(2);
    assert!(
        error.contains("invalid value '5' for '--timeout <DURATION>'"),
        "{error}"
    );

    // Statements of a file one after the other, those of an argument as they are.
    std::fs::write(
        folder.path().join("q.sql"),
        "-- two\nSELECT ';';\nSELECT 2;\n",
    )
    .expect("a file");
    assert_eq!(ask(&["-f", "q.sql"]).succeeded(), "[]\n[]\n");
    ask(&["SELECT 1; SELECT 2"]).succeeded();
    let asked: Vec<String> = server
        .requests()
        .iter()
        .map(|request| request.json()["q"].as_str().expect("text").to_string())
        .collect();
    assert_eq!(
        asked,
        ["-- two\nSELECT ';'", "SELECT 2", "SELECT 1; SELECT 2"]
    );
}

#[test]
fn values_reach_placeholders_and_timeouts_the_server() {
    let server = Server::start(Setup::memory());
    server.write(
        "foo",
        "second",
        "cpu,host=a usage=1 1\ncpu,host=b usage=2 2",
    );
    let sql = "SELECT usage FROM cpu WHERE host = $host AND usage > $least";
    let arguments = [
        "-d",
        "foo",
        "--format",
        "csv",
        "--param",
        "host=b",
        "--param",
        "least=1.5",
        sql,
    ];
    assert_eq!(
        server.cli(&["query"], &arguments).succeeded(),
        "usage\n2.0\n\n"
    );
    let endless = "SELECT count(*) FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b WHERE a.value + b.value = 7";
    let error = server
        .cli(&["query"], &["-d", "foo", "--timeout", "200ms", endless])
        .failed(1);
    assert!(error.contains("[504 Gateway Timeout]"), "{error}");
}
