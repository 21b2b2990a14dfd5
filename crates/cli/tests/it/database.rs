//! `create database`, `delete database`, `show databases` (spec/cli.md §7.1–§7.3).

use crate::harness::fake_server::FakeServer;
use crate::harness::{Server, Setup, influxdb3};

const CREATE: &[&str] = &["create", "database"];
const DELETE: &[&str] = &["delete", "database"];
const SHOW: &[&str] = &["show", "databases"];

#[test]
fn what_is_sent() {
    let server = FakeServer::answering("200 OK", "");
    let host = server.url();
    let host = host.as_str();
    for line in [
        &["create", "database", "--host", host, "foo"][..],
        &[
            "create",
            "database",
            "--host",
            host,
            "--retention-period",
            "30d",
            "foo",
        ],
        &[
            "create",
            "database",
            "--host",
            host,
            "--retention-period",
            "none",
            "foo",
        ],
        &["delete", "database", "--host", host, "--yes", "foo bar"],
        &[
            "delete",
            "database",
            "--host",
            host,
            "-y",
            "--hard-delete",
            "NOW",
            "foo",
        ],
        &[
            "show",
            "databases",
            "--host",
            host,
            "--format",
            "jsonl",
            "--show-deleted",
        ],
    ] {
        influxdb3(line).succeeded();
    }
    let told: Vec<String> = server
        .requests()
        .iter()
        .map(|request| {
            format!(
                "{} {}",
                request.line,
                String::from_utf8_lossy(&request.body)
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            r#"POST /api/v3/configure/database HTTP/1.1 {"db":"foo","retention_period":null}"#,
            r#"POST /api/v3/configure/database HTTP/1.1 {"db":"foo","retention_period":"30days"}"#,
            r#"POST /api/v3/configure/database HTTP/1.1 {"db":"foo","retention_period":null}"#,
            "DELETE /api/v3/configure/database?db=foo+bar HTTP/1.1 ",
            "DELETE /api/v3/configure/database?db=foo&hard_delete_at=now HTTP/1.1 ",
            "GET /api/v3/configure/database?format=json_lines&show_deleted=true HTTP/1.1 ",
        ]
    );
}

#[test]
fn errors_of_the_server_are_one_line() {
    for (body, message) in [
        (
            r#"{"message":"no such thing","error_code":"x"}"#,
            "no such thing",
        ),
        ("plain text", "plain text"),
        (r#"{"error":"as it is"}"#, r#"{"error":"as it is"}"#),
    ] {
        let server = FakeServer::answering("404 Not Found", body);
        let error = influxdb3(&["create", "database", "--host", &server.url(), "x"]).failed(1);
        assert_eq!(
            error,
            format!(
                "Create command failed: server responded with error [404 Not Found]: {message}\n"
            )
        );
    }
}

#[test]
fn deleting_asks() {
    let server = FakeServer::answering("200 OK", "");
    let question = "Are you sure you want to delete \"foo\"? Enter 'yes' or 'y' to confirm\n";
    let line = ["delete", "database", "--host", &server.url(), "foo"];
    let folder = crate::harness::temporary_folder();
    for (answer, confirmed) in [
        ("y", true),
        ("YES\n", true),
        (" Yes \n", true),
        ("no\n", false),
        ("", false),
        ("yesyes\n", false),
    ] {
        let mut command = crate::harness::binary(folder.path());
        command.args(line);
        let ran = crate::harness::run(command, answer.as_bytes());
        let expected = match confirmed {
            true => (
                0,
                "Database \"foo\" deleted successfully\n",
                question.to_string(),
            ),
            false => (
                1,
                "",
                format!("{question}Delete command failed: Cannot proceed without confirmation\n"),
            ),
        };
        assert_eq!(
            (ran.code, ran.stdout.as_str(), ran.stderr.clone()),
            expected,
            "{answer:?}"
        );
        assert_eq!(server.requests().len(), usize::from(confirmed));
    }
}

#[test]
fn databases_come_and_go() {
    let server = Server::start(Setup::memory());
    for name in ["foo", "bar"] {
        assert_eq!(
            server.cli(CREATE, &[name]).succeeded(),
            format!("Database \"{name}\" created successfully\n")
        );
    }
    let error = server.cli(CREATE, &["foo"]).failed(1);
    assert_eq!(
        error,
        "Create command failed: server responded with error [409 Conflict]: attempted to create a resource that already exists\n"
    );
    let error = server.cli(CREATE, &["_foo"]).failed(1);
    assert!(
        error.contains("db name did not start with a number or letter"),
        "{error}"
    );
    for (format, expected) in [
        (
            "pretty",
            "+---------------+\n| iox::database |\n+---------------+\n| _internal     |\n| bar           |\n| foo           |\n+---------------+\n",
        ),
        (
            "json",
            "[{\"iox::database\":\"_internal\"},{\"iox::database\":\"bar\"},{\"iox::database\":\"foo\"}]\n",
        ),
        ("csv", "iox::database\n_internal\nbar\nfoo\n\n"),
        (
            "jsonl",
            "{\"iox::database\":\"_internal\"}\n{\"iox::database\":\"bar\"}\n{\"iox::database\":\"foo\"}\n\n",
        ),
    ] {
        assert_eq!(
            server.cli(SHOW, &["--format", format]).succeeded(),
            expected
        );
    }
    assert_eq!(
        server.cli(DELETE, &["--yes", "foo"]).succeeded(),
        "Database \"foo\" deleted successfully\n"
    );
    assert_eq!(
        server.cli(SHOW, &["--format", "csv"]).succeeded(),
        "iox::database\n_internal\nbar\n\n"
    );
    let all = server
        .cli(SHOW, &["--format", "csv", "--show-deleted"])
        .succeeded();
    let lines: Vec<&str> = all.lines().collect();
    assert_eq!(lines[0], "iox::database,deleted");
    assert!(lines.contains(&"bar,false"), "{all}");
    let renamed = lines
        .iter()
        .find_map(|line| line.strip_suffix(",true"))
        .unwrap_or_else(|| panic!("{all}"));
    assert!(
        renamed.starts_with("foo-2") && renamed.len() == "foo-20260101T000000".len(),
        "{renamed}"
    );

    let error = server.cli(DELETE, &["--yes", "foo"]).failed(1);
    assert!(error.contains("[404 Not Found]"), "{error}");
    let error = server.cli(DELETE, &["--yes", renamed]).failed(1);
    assert!(error.contains("[409 Conflict]"), "{error}");
    server
        .cli(
            DELETE,
            &["--yes", "--hard-delete", "2125-12-31T23:59:59Z", renamed],
        )
        .succeeded();
    server.cli(CREATE, &["foo"]).succeeded();
}

#[test]
fn a_limit_is_a_failure_that_names_it() {
    let server = Server::start(Setup::memory().with(&["--num-database-limit", "5"]));
    for number in 0..5 {
        server.cli(CREATE, &[&format!("db{number}")]).succeeded();
    }
    let error = server.cli(CREATE, &["db5"]).failed(1);
    assert!(error.contains("[422 Unprocessable Entity]"), "{error}");
    assert!(
        error.contains("Adding a new database would exceed limit of 5 databases"),
        "{error}"
    );
}
