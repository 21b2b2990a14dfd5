//! `create table`, `update table`, `delete table`, `update database` (spec/cli.md §7.1, §7.2, §7.6, §9.3).

use crate::harness::fake_server::FakeServer;
use crate::harness::{Server, Setup, influxdb3};

const CREATE: &[&str] = &["create", "table"];
const DELETE: &[&str] = &["delete", "table"];
const UPDATE: &[&str] = &["update", "table"];
const QUERY: &[&str] = &["query"];
const WRITE: &[&str] = &["write"];

#[test]
fn what_is_sent() {
    let server = FakeServer::answering("200 OK", "");
    let host = server.url();
    let lines: [&[&str]; 9] = [
        &["create", "table", "-d", "foo", "t"],
        &[
            "create",
            "table",
            "--database",
            "foo",
            "t",
            "--retention-period",
            "7d",
            "--tags",
            "a,b",
            "c",
            "--fields",
            "f:float64,g:utf8",
        ],
        &["update", "table", "-d", "foo", "-r", "1h", "t"],
        &["update", "table", "-d", "foo", "-r", "none", "t"],
        &["update", "database", "-d", "foo", "-r", "30d"],
        &["delete", "table", "-d", "foo", "-y", "t"],
        &[
            "delete",
            "table",
            "-d",
            "foo",
            "--yes",
            "--hard-delete",
            "NOW",
            "t",
        ],
        &["delete", "table", "-d", "foo", "-y", "--data-only", "t"],
        &[
            "delete",
            "database",
            "-y",
            "--data-only",
            "--remove-tables",
            "foo",
        ],
    ];
    for line in lines {
        let (verb, rest) = line.split_at(2);
        influxdb3(&[verb, &["--host", host.as_str()], rest].concat()).succeeded();
    }
    let told: Vec<String> = server
        .requests()
        .iter()
        .map(|request| {
            let body = String::from_utf8_lossy(&request.body);
            format!("{} {body}", request.line.replace(" HTTP/1.1", ""))
        })
        .collect();
    assert_eq!(
        told,
        [
            r#"POST /api/v3/configure/table {"db":"foo","fields":[],"table":"t","tags":[]}"#,
            r#"POST /api/v3/configure/table {"db":"foo","fields":[{"name":"f","type":"float64"},{"name":"g","type":"utf8"}],"retention_period":"7days","table":"t","tags":["a","b","c"]}"#,
            r#"PUT /api/v3/configure/table {"db":"foo","retention_period":"1h","table":"t"}"#,
            r#"PUT /api/v3/configure/table {"db":"foo","retention_period":null,"table":"t"}"#,
            r#"PUT /api/v3/configure/database {"db":"foo","retention_period":"30days"}"#,
            "DELETE /api/v3/configure/table?db=foo&table=t ",
            "DELETE /api/v3/configure/table?db=foo&table=t&hard_delete_at=now ",
            "DELETE /api/v3/configure/table?db=foo&table=t&data_only=true ",
            "DELETE /api/v3/configure/database?db=foo&data_only=true&remove_tables=true ",
        ]
    );
}

#[test]
fn what_is_missing_is_named() {
    let error = influxdb3(&["create", "table", "-d", "foo", "t", "--tags"]).failed(2);
    assert!(
        error.contains("error: a value is required for '--tags <TAGS>...' but none was supplied"),
        "{error}"
    );
    let error = influxdb3(&["create", "table", "-d", "foo", "t", "--fields", "f:double"]).failed(2);
    assert!(error.contains("double is not a valid data type"), "{error}");
    let error = influxdb3(&["update", "database", "-d", "foo"]).failed(1);
    assert_eq!(
        error,
        "Update command failed: --retention-period is required for update database\n"
    );
    let error = influxdb3(&["delete", "table", "t"]).failed(2);
    assert!(error.contains("--database <DATABASE_NAME>"), "{error}");
}

#[test]
fn deleting_asks() {
    let server = FakeServer::answering("200 OK", "");
    let folder = crate::harness::temporary_folder();
    let mut command = crate::harness::binary(folder.path());
    command.args(["delete", "table", "--host", &server.url(), "-d", "foo", "t"]);
    let ran = crate::harness::run(command, b"no");
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (
            1,
            "Are you sure you want to delete \"foo\".\"t\"? Enter 'yes' or 'y' to confirm\n\
             Delete command failed: Cannot proceed without confirmation\n"
        )
    );
    assert!(server.requests().is_empty());
}

#[test]
fn tables_come_and_go() {
    let server = Server::start(Setup::memory());
    let table = ["-d", "foo", "t", "--tags", "host", "--fields", "v:float64"];
    assert_eq!(
        server.cli(CREATE, &table).succeeded(),
        "Table \"foo\".\"t\" created successfully\n"
    );
    assert_eq!(
        server.cli(CREATE, &table).failed(1),
        "Create command failed: server responded with error [409 Conflict]: attempted to create a resource that already exists\n"
    );
    let select = |text: &str| {
        let line = ["-d", "foo", "--format", "json", text];
        server.cli(QUERY, &line).succeeded().trim_end().to_string()
    };
    assert_eq!(select("SELECT * FROM t"), "[]");
    server
        .cli(WRITE, &["-d", "foo", "t,host=a v=1"])
        .succeeded();
    assert_eq!(select("SELECT host, v FROM t"), r#"[{"host":"a","v":1.0}]"#);

    assert_eq!(
        server
            .cli(UPDATE, &["-d", "foo", "-r", "1h", "t"])
            .succeeded(),
        "Table \"foo\".\"t\" updated successfully\n"
    );
    let error = server
        .cli(UPDATE, &["-d", "foo", "-r", "1h", "u"])
        .failed(1);
    assert!(error.contains("[404 Not Found]"), "{error}");

    assert_eq!(
        server.cli(DELETE, &["-d", "foo", "-y", "t"]).succeeded(),
        "Table \"foo\".\"t\" deleted successfully\n"
    );
    let error = server.cli(DELETE, &["-d", "foo", "-y", "t"]).failed(1);
    assert!(error.contains("[404 Not Found]"), "{error}");
    server.cli(CREATE, &["-d", "foo", "t"]).succeeded();

    let listed = |column: &str| {
        let text = format!(
            "SELECT {column} FROM system.tables WHERE database_name = 'foo' AND table_name LIKE 't-%'"
        );
        let line = ["-d", "_internal", "--format", "json", &text];
        server.cli(QUERY, &line).succeeded()
    };
    assert!(listed("deleted").contains(r#"{"deleted":true}"#));
    let name = listed("table_name");
    let renamed = name.split('"').nth(3).expect("a name").to_string();
    assert_eq!(
        select(&format!("SELECT v FROM \"{renamed}\"")),
        r#"[{"v":1.0}]"#
    );
    let error = server.cli(DELETE, &["-d", "foo", "-y", &renamed]).failed(1);
    assert!(
        error.contains("[409 Conflict]: attempted to modify resource that was already deleted"),
        "{error}"
    );
    let line = format!("{renamed} v=2");
    let error = server.cli(WRITE, &["-d", "foo", &line]).failed(1);
    assert!(error.contains("[400 Bad Request]"), "{error}");
}

#[test]
fn the_retention_of_a_database_changes() {
    let server = Server::start(Setup::memory());
    server.cli(&["create", "database"], &["foo"]).succeeded();
    let update = |period: &str| {
        server
            .cli(&["update", "database"], &["-d", "foo", "-r", period])
            .succeeded()
    };
    let retention = || {
        let text = "SELECT retention_period_ns FROM system.databases WHERE database_name = 'foo'";
        let line = ["-d", "_internal", "--format", "json", text];
        server.cli(QUERY, &line).succeeded().trim_end().to_string()
    };
    assert_eq!(retention(), "[{}]");
    assert_eq!(update("30d"), "Database \"foo\" updated successfully\n");
    assert_eq!(retention(), r#"[{"retention_period_ns":2592000000000000}]"#);
    update("none");
    assert_eq!(retention(), "[{}]");
    server
        .cli(
            &["delete", "database"],
            &["-y", "--hard-delete", "2125-12-31T23:59:59Z", "foo"],
        )
        .succeeded();
    let text = "SELECT database_name, hard_deletion_time FROM system.databases WHERE deleted";
    let line = ["-d", "_internal", "--format", "json", text];
    let deleted = server.cli(QUERY, &line).succeeded();
    assert!(
        deleted.contains(r#""hard_deletion_time":"2125-12-31T23:59:59Z""#),
        "{deleted}"
    );
    let renamed = deleted.split('"').nth(3).expect("a name");
    let error = server
        .cli(&["update", "database"], &["-d", renamed, "-r", "1d"])
        .failed(1);
    assert!(
        error.starts_with(
            "Update command failed: server responded with error [409 Conflict]: attempted to modify resource that was already deleted: "
        ),
        "{error}"
    );
}
