//! No secret reaches a log, an error, a metric, a query or a file, however much is logged (docs/architecture.md, invariant 13).
//!
//! One server at trace level meets every way to present a credential, right and wrong, and every command that makes one. All other tests here
//! look at their logs and data folders too, when their servers end (`Server::keeps_secrets`).

use crate::harness::http::base64;
use crate::harness::{
    Server, Setup, files_below, influxdb3, secrets_in, temporary_folder, token_in,
};

/// Text that is presented as a token and is none.
const WRONG: &str = "apiv3_wrong-secret-0123456789";

#[test]
fn not_even_at_trace_level() {
    let folder = temporary_folder();
    let setup = Setup::file(folder.path())
        .with_auth()
        .with(&["-vvv", "--disable-log-filter-noise-reduction"]);
    let mut server = Server::start(setup.clone());
    let mut secrets = vec![WRONG.to_string(), server.create_token()];
    let operator = secrets[1].clone();
    server.write("d", "second", "t v=1 1");
    let make = |server: &Server, words: &[&str], arguments: &[&str]| {
        token_in(&server.cli(words, arguments).succeeded())
    };
    let create = &["create", "token"][..];
    secrets.push(make(&server, create, &["--admin", "--name", "ci"]));
    secrets.push(make(
        &server,
        create,
        &["--name", "reader", "--permission", "db:d:read"],
    ));
    secrets.push(make(
        &server,
        create,
        &["--admin", "--name", "gone", "--expiry", "1s"],
    ));
    let rotate = &["regenerate", "token", "--yes"][..];
    secrets.push(make(
        &server,
        rotate,
        &["--token-name", "ci", "--grace", "1h"],
    ));
    let staged = make(&server, rotate, &["--token-name", "ci", "--stage"]);
    secrets.push(staged.clone());
    secrets.push(make(
        &server,
        rotate,
        &["--token-name", "reader", "--stage"],
    ));
    server.use_token(&staged);
    server.cli(&["confirm", "token"], &[]).succeeded();
    // Again, and with what is not there.
    server.cli(&["confirm", "token"], &[]).succeeded();
    server
        .cli(&["revoke", "token"], &["--staged", "--token-name", "ci"])
        .failed(1);
    server
        .cli(&["delete", "token"], &["--token-name", "reader", "--yes"])
        .succeeded();
    server.use_token(&operator);

    let mut connection = server.connect();
    let presented: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let mut told = String::new();
    for secret in &presented {
        let bearer = format!("Bearer {secret}");
        let malformed = format!("bearer {secret}");
        let basic = format!("Basic {}", base64(&format!("u:{secret}")));
        let requests = [
            ("GET", "/health".to_string()),
            ("GET", format!("/query?db=d&q=SELECT+1&p={secret}")),
            ("POST", format!("/write?db=d&u=x&p={secret}")),
            ("OPTIONS", format!("/query?db=d&q=SELECT+1&p={secret}")),
            ("OPTIONS", format!("/api/v3/write_lp?db=d&p={secret}")),
            ("GET", format!("/nothing?p={secret}")),
            (
                "GET",
                "/api/v3/query_sql?db=d&q=SELECT+*+FROM+t".to_string(),
            ),
            (
                "GET",
                "/api/v3/query_sql?db=d&q=SELECT+no+FROM+t".to_string(),
            ),
            ("POST", "/api/v3/configure/token/confirm".to_string()),
            ("GET", "/api/v3/configure/token/self".to_string()),
        ];
        for (method, target) in &requests {
            for header in [None, Some(&bearer), Some(&malformed), Some(&basic)] {
                let headers: Vec<_> = header
                    .map(|value| ("authorization", value.as_str()))
                    .into_iter()
                    .collect();
                let answer = connection
                    .ask_with(method, target, &headers, b"t v=1 1")
                    .expect("an answer");
                told.push_str(&answer.text());
            }
        }
        let error = influxdb3(&[
            "show",
            "tokens",
            "--host",
            "http://127.0.0.1:1",
            "--token",
            secret,
        ]);
        told.push_str(&error.stderr);
    }
    for target in [
        "/metrics",
        "/api/v3/configure/token",
        "/api/v3/query_sql?db=_internal&q=SELECT+*+FROM+system.tokens&format=json",
        "/api/v3/query_sql?db=_internal&q=SELECT+*+FROM+system.token_events&format=json",
    ] {
        let answer = connection
            .ask("GET", target, Some(&operator), b"")
            .expect("an answer");
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        told.push_str(&answer.text());
    }
    let encoded: Vec<String> = presented
        .iter()
        .map(|secret| base64(&format!("u:{secret}")))
        .collect();
    let presented: Vec<&str> = presented
        .into_iter()
        .chain(encoded.iter().map(String::as_str))
        .collect();
    for secret in &presented {
        assert!(!told.contains(secret), "a secret is told: {}", &secret[..9]);
    }
    server.keeps_secrets(&presented);
    let log = server.log();
    assert!(log.contains("TRACE"), "nothing was logged in detail");
    assert_eq!(secrets_in(&log), [""; 0]);

    // What is written at the end, and at the next start.
    server.stop();
    let server = Server::start(setup);
    server.keeps_secrets(&presented);
    server.kill();
    for file in files_below(folder.path()) {
        let bytes = std::fs::read(&file).expect("the file");
        let text = String::from_utf8_lossy(&bytes);
        for secret in &presented {
            assert!(!text.contains(secret), "{}", file.display());
        }
    }
}
