//! Token events as operators see them: refusals are counted and limited, and a process that is killed loses no change.

use crate::harness::{Server, Setup, binary, eventually, run, temporary_folder};

#[test]
fn invalid_tokens_are_counted_and_limited_and_valid_ones_never() {
    let data = temporary_folder();
    let setup = Setup::file(data.path())
        .with_auth()
        .with(&["--auth-failures-per-minute", "5"]);
    let mut server = Server::start(setup.clone());
    let token = server.create_token();
    let health = |token: &str| {
        let answer = server.connect().ask("GET", "/health", Some(token), b"");
        answer.expect("an answer")
    };
    let wrong = format!("apiv3_{}", "wrong".repeat(17));
    for nth in 0..5 {
        assert_eq!(health(&wrong).status, 401, "{nth}");
    }
    let refused = health(&wrong);
    assert_eq!(refused.status, 429);
    let wait = refused.header("retry-after").expect("when to come again");
    assert!(
        (1..=60).contains(&wait.parse::<u64>().expect("seconds")),
        "{wait}"
    );
    assert!(
        refused
            .text()
            .contains("too many requests with an invalid token")
    );
    assert_eq!(
        health(&token).status,
        200,
        "a valid token is never locked out"
    );
    assert_eq!(health(&wrong).status, 429);

    let counted = |server: &Server| {
        let rows = server.query(
            "_internal",
            "SELECT outcome, sum(count) AS attempts FROM system.token_events WHERE kind = 'refused' \
             AND client_address = '127.0.0.1' GROUP BY outcome ORDER BY outcome",
        );
        let told = rows.iter().map(|row| {
            let outcome = row["outcome"].as_str().unwrap_or_default().to_string();
            (outcome, row["attempts"].as_u64().unwrap_or_default())
        });
        told.collect::<Vec<_>>()
    };
    let expected = [
        ("too_many".to_string(), 2),
        ("unknown_token".to_string(), 5),
    ];
    eventually("the refusals are events", || counted(&server) == expected);
    server.kill();
    let mut server = Server::start(setup);
    server.use_token(&token);
    assert_eq!(counted(&server), expected);
    assert!(!server.log().contains(&wrong));
}

#[test]
fn a_kill_after_the_answer_loses_no_event() {
    let data = temporary_folder();
    let setup = Setup::file(data.path()).with_auth();
    let mut server = Server::start(setup.clone());
    let mut token = server.create_token();
    for rotations in 1..=3 {
        let target = "/api/v3/configure/token/admin/regenerate";
        let answer = server.connect().ask("POST", target, Some(&token), b"");
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 201, "{}", answer.text());
        server.kill();
        token = answer.json()["token"]
            .as_str()
            .expect("a token")
            .to_string();
        server = Server::start(setup.clone());
        server.use_token(&token);
        let rows = server.query(
            "_internal",
            "SELECT kind, by_token_name, client_address, protocol, details FROM system.token_events ORDER BY time",
        );
        assert_eq!(rows.len(), 1 + rotations, "{rows:?}");
        assert_eq!(rows[0]["kind"], "create");
        for row in &rows[1..] {
            assert_eq!(
                (&row["kind"], &row["by_token_name"]),
                (&"rotate".into(), &"_admin".into())
            );
            assert_eq!(
                (&row["client_address"], &row["protocol"]),
                (&"127.0.0.1".into(), &"http".into())
            );
        }
    }
}

#[test]
fn verify_knows_token_events_and_finds_damaged_ones() {
    let data = temporary_folder();
    let mut server = Server::start(Setup::file(data.path()).with_auth());
    server.create_token();
    server.kill();
    let verify = || {
        let folder = temporary_folder();
        let mut command = binary(folder.path());
        command
            .args(["debug", "verify", "--node-id", "test-server"])
            .args(["--object-store", "file", "--data-dir"])
            .arg(data.path());
        run(command, b"")
    };
    let told = verify().succeeded();
    assert!(told.ends_with(": clean\n"), "{told}");

    let folder = data.path().join("test-server/token_events");
    let object = std::fs::read_dir(folder)
        .expect("a folder of events")
        .flatten()
        .next()
        .expect("an event")
        .path();
    let mut bytes = std::fs::read(&object).expect("its bytes");
    *bytes.last_mut().expect("not empty") ^= 1;
    std::fs::write(&object, bytes).expect("damaged");
    let ran = verify();
    assert_eq!(ran.code, 1, "{ran:?}");
    let told = "the checksum should be";
    assert!(
        ran.stdout.contains("token_events/") && ran.stdout.contains(told),
        "{ran:?}"
    );
}

#[test]
fn a_secret_in_a_query_string_is_in_no_log() {
    let data = temporary_folder();
    let server = {
        let mut server = Server::start(
            Setup::file(data.path())
                .with_auth()
                .with(&["-vvv", "--disable-log-filter-noise-reduction"]),
        );
        server.create_token();
        server
    };
    let secret = "OPENSESAMEOPENSESAME";
    for method in ["GET", "POST", "OPTIONS", "DELETE"] {
        for path in ["/query", "/write", "/api/v3/query_sql", "/nowhere"] {
            let target = format!("{path}?db=d&q=SELECT+1&u=x&p={secret}");
            let answer = server.connect().ask_with(method, &target, &[], b"m v=1");
            assert!(answer.expect("an answer").status < 500);
        }
    }
    let basic = [(
        "authorization",
        "Basic T1BFTlNFU0FNRTpPUEVOU0VTQU1FT1BFTlNFU0FNRQ==",
    )];
    let answer = server.connect().ask_with("GET", "/health", &basic, b"");
    assert_eq!(answer.expect("an answer").status, 401);
    let log = server.log();
    assert!(
        log.contains("log_filter_active filter=\"trace\""),
        "the log is not at its loudest: {log}"
    );
    assert!(
        !log.contains(secret) && !log.contains("T1BFTlNFU0FNRT"),
        "a secret is in the log"
    );
}
