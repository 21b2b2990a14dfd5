//! The recovery listener: what it answers, that it works once, and what becomes of the tokens (spec/auth-tokens.md §12).

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use crate::harness::http::{Answer, Connection};
use crate::harness::{Server, Setup, binary, run, temporary_folder};

const REGENERATE: &str = "/api/v3/configure/token/admin/regenerate";

/// A server with the listener on a free port, and its address.
fn start(setup: Setup, told: &Path) -> (Server, SocketAddr) {
    let told = told.join("recovery");
    let file = told.to_str().expect("a plain path");
    let server = Server::start(setup.with(&[
        "--admin-token-recovery-http-bind",
        "127.0.0.1:0",
        "--admin-token-recovery-tcp-listener-file-path",
        file,
    ]));
    let address =
        std::fs::read_to_string(&told).expect("the file is there before the server answers");
    (server, address.parse().expect("an address"))
}

fn ask(address: SocketAddr, method: &str, target: &str) -> Answer {
    Connection::open(address)
        .expect("the listener accepts connections")
        .ask_with(method, target, &[], b"")
        .expect("an answer")
}

fn folders() -> (TempDir, TempDir) {
    (temporary_folder(), temporary_folder())
}

#[test]
fn it_works_once_and_for_nothing_else() {
    let (data, told) = folders();
    let (mut server, recovery) = start(Setup::file(data.path()).with_auth(), told.path());
    assert!(
        server.log().contains("the recovery listener is open"),
        "{}",
        server.log()
    );

    let early = ask(recovery, "POST", REGENERATE);
    assert_eq!(
        (early.status, early.text().as_str()),
        (500, "missing admin token, cannot update")
    );
    let old = server.create_token();
    for (method, target) in [
        ("GET", REGENERATE),
        ("OPTIONS", REGENERATE),
        ("POST", "/api/v3/configure/token/admin"),
        ("POST", "/api/v3/configure/token/admin/regenerate/"),
        ("GET", "/health"),
        ("GET", "/api/v3/query_sql?db=_internal&q=SELECT+1"),
    ] {
        let answer = ask(recovery, method, target);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (404, "not found"),
            "{method} {target}"
        );
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
    let page = [("origin", "http://example.com")];
    let answer = Connection::open(recovery)
        .expect("a connection")
        .ask_with("POST", REGENERATE, &page, b"")
        .expect("an answer");
    assert_eq!(answer.status, 403, "{}", answer.text());
    // One that is open already does not keep the listener open.
    let mut idle = Connection::open(recovery).expect("a connection");

    let answer = ask(recovery, "POST", REGENERATE);
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cluster-uuid"), None);
    let created = answer.json();
    let new = created["token"].as_str().expect("a token").to_string();
    assert_eq!(
        (&created["name"], &created["expiry"]),
        (&"_admin".into(), &serde_json::Value::Null)
    );

    assert!(
        Connection::open(recovery).is_err(),
        "the listener is closed"
    );
    if let Ok(answer) = idle.ask_with("POST", REGENERATE, &[], b"") {
        assert_eq!(answer.status, 409, "{}", answer.text());
    }
    let status = |token: &str| {
        let target = "/api/v3/query_sql?db=_internal&q=SELECT+1&format=json";
        let mut main = server.connect();
        main.ask("GET", target, Some(token), b"")
            .expect("an answer")
            .status
    };
    assert_eq!((status(&old), status(&new)), (401, 200));
    server.use_token(&new);
    let told = server.query(
        "_internal",
        "SELECT kind, outcome, token_name, client_address, protocol FROM system.token_events WHERE kind = 'rotate'",
    );
    let expected = serde_json::json!([{
        "kind": "rotate", "outcome": "done", "token_name": "_admin",
        "client_address": "127.0.0.1", "protocol": "recovery",
    }]);
    assert_eq!(serde_json::Value::from(told), expected);
    let log = server.log();
    assert!(
        !log.contains(&old) && !log.contains(&new),
        "a token is in the log"
    );
}

#[test]
fn without_authentication_there_is_nothing_to_recover() {
    let told = temporary_folder();
    let (server, recovery) = start(Setup::memory(), told.path());
    for _ in 0..2 {
        let answer = ask(recovery, "POST", REGENERATE);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (500, "missing admin token, cannot update")
        );
    }
    server.stop();
}

#[test]
fn its_command_is_the_ordinary_one() {
    let (data, told) = folders();
    let (mut server, recovery) = start(Setup::file(data.path()).with_auth(), told.path());
    server.create_token();
    let regenerate = || {
        let folder = temporary_folder();
        let mut command = binary(folder.path());
        command.args(["create", "token", "--admin", "--regenerate", "--host"]);
        command.arg(format!("http://{recovery}"));
        run(command, b"yes\n").succeeded()
    };
    let text = regenerate();
    assert!(text.contains("New token created successfully!"), "{text}");
    server.use_token(&crate::harness::token_in(&text));
    server.cli(&["show", "databases"], &[]).succeeded();
    let text = regenerate();
    assert!(text.contains("ConnectError"), "{text}");
}

#[test]
fn both_variables_are_known() {
    for name in [
        "INFLUXDB3_ADMIN_TOKEN_RECOVERY_HTTP_BIND",
        "INFLUXDB3_ADMIN_TOKEN_RECOVERY_HTTP_BIND_ADDR",
    ] {
        let folder = temporary_folder();
        let mut command = binary(folder.path());
        command.env(name, "nonsense");
        command.args(["serve", "--node-id", "n", "--object-store", "memory"]);
        let told = run(command, b"").failed(2);
        assert!(
            told.contains("Cannot parse socket address 'nonsense'"),
            "{name}: {told}"
        );
        assert!(!told.contains("deprecated"), "{name}: {told}");
    }
}
