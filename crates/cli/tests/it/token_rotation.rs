//! Rotations through the real binary, with the commands an operator would use: at once, with an overlap, staged, insisting on a hash,
//! and killed in the middle (spec/auth-tokens.md §8, §18).
//!
//! Rotation under load is `rotate`; every crash point, one by one, is tested in `catalog`.

use std::time::Duration;

use serde_json::Value;

use crate::harness::chance::Chance;
use crate::harness::http::Connection;
use crate::harness::{Ran, Server, Setup, eventually, temporary_folder, token_in};

/// A server with an operator token and an admin token `ci`.
fn with_ci(setup: Setup) -> (Server, String) {
    let mut server = Server::start(setup);
    server.create_token();
    let text = server
        .cli(&["create", "token", "--admin"], &["--name", "ci"])
        .succeeded();
    (server, token_in(&text))
}

/// Runs `regenerate token --token-name ci --yes` and more.
fn regenerate(server: &Server, arguments: &[&str]) -> Ran {
    let arguments = [&["--token-name", "ci", "--yes"], arguments].concat();
    server.cli(&["regenerate", "token"], &arguments)
}

fn status(server: &Server, token: &str, target: &str) -> u16 {
    let answer = server.connect().ask("GET", target, Some(token), b"");
    answer.expect("an answer").status
}

fn is_good(server: &Server, token: &str) -> bool {
    match status(server, token, "/health") {
        200 => true,
        401 => false,
        status => panic!("{status}"),
    }
}

/// The row of `ci` in the listing over HTTP.
fn listed(server: &Server, operator: &str) -> Value {
    let answer = server
        .connect()
        .ask("GET", "/api/v3/configure/token", Some(operator), b"")
        .expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let rows = answer.json();
    let row = rows
        .as_array()
        .expect("an array")
        .iter()
        .find(|row| row["name"] == "ci");
    row.expect("ci is listed").clone()
}

fn hash(server: &Server) -> String {
    let rows = server.query(
        "_internal",
        "SELECT hash FROM system.tokens WHERE name = 'ci'",
    );
    rows[0]["hash"].as_str().expect("a hash").to_string()
}

#[test]
fn at_once() {
    let folder = temporary_folder();
    let setup = Setup::file(folder.path()).with_auth();
    let (server, old) = with_ci(setup.clone());
    let before = hash(&server);
    let new = token_in(&regenerate(&server, &[]).succeeded());
    assert!(!is_good(&server, &old) && is_good(&server, &new));
    assert_ne!(hash(&server), before);
    let rows = server.query(
        "_internal",
        "SELECT token_id, updated_by_token_id, expiry FROM system.tokens WHERE name = 'ci'",
    );
    assert_eq!(
        rows,
        [serde_json::json!({"token_id": 1, "updated_by_token_id": 0})]
    );
    server.kill();
    let server = Server::start(setup);
    assert!(!is_good(&server, &old) && is_good(&server, &new));
}

#[test]
fn with_an_overlap() {
    let folder = temporary_folder();
    let setup = Setup::file(folder.path()).with_auth();
    let (server, old) = with_ci(setup.clone());
    let new = token_in(&regenerate(&server, &["--grace", "1h"]).succeeded());
    assert!(is_good(&server, &old) && is_good(&server, &new));
    server.kill();

    let mut server = Server::start(setup);
    assert!(is_good(&server, &old) && is_good(&server, &new));
    server.use_token(&new);
    assert!(listed(&server, &new)["previous_until"].is_string());
    let revoke = || server.cli(&["revoke", "token"], &["--previous", "--token-name", "ci"]);
    assert_eq!(
        revoke().succeeded(),
        "The previous secret of token \"ci\" revoked successfully\n"
    );
    assert!(!is_good(&server, &old) && is_good(&server, &new));
    assert!(revoke().failed(1).contains("[404 Not Found]"));
    assert_eq!(listed(&server, &new)["previous_until"], Value::Null);

    // It ends by itself too.
    let next = token_in(&regenerate(&server, &["--grace", "1s"]).succeeded());
    eventually("the overlap is over", || !is_good(&server, &new));
    assert!(is_good(&server, &next));
}

#[test]
fn with_the_overlap_of_the_server() {
    let setup = Setup::memory()
        .with_auth()
        .with(&["--token-grace-period", "1h"]);
    let (server, first) = with_ci(setup);
    let second = token_in(&regenerate(&server, &[]).succeeded());
    assert!(is_good(&server, &first) && is_good(&server, &second));
    let third = token_in(&regenerate(&server, &["--grace", "0s"]).succeeded());
    assert!(!is_good(&server, &first) && !is_good(&server, &second));
    assert!(is_good(&server, &third));
}

#[test]
fn in_two_stages() {
    let folder = temporary_folder();
    let setup = Setup::file(folder.path()).with_auth();
    let (server, old) = with_ci(setup.clone());
    // Staging again replaces what was staged: a lost answer costs nothing.
    let lost = token_in(&regenerate(&server, &["--stage"]).succeeded());
    let new = token_in(&regenerate(&server, &["--stage"]).succeeded());
    server.kill();

    let mut server = Server::start(setup.clone());
    assert!(is_good(&server, &old));
    for staged in [&lost, &new] {
        assert_ne!(status(&server, staged, "/health"), 200);
        assert_ne!(
            status(&server, staged, "/api/v3/configure/database?format=json"),
            200
        );
    }
    assert_eq!(status(&server, &lost, "/api/v3/configure/token/self"), 401);
    assert_eq!(status(&server, &new, "/api/v3/configure/token/self"), 200);
    server.use_token(&lost);
    assert!(
        server
            .cli(&["confirm", "token"], &[])
            .failed(1)
            .contains("401")
    );
    server.use_token(&new);
    for _ in 0..2 {
        // The second time as after a lost answer.
        let told = server.cli(&["confirm", "token"], &[]).succeeded();
        assert_eq!(told, "Token \"ci\" confirmed successfully\n");
        assert!(!is_good(&server, &old) && is_good(&server, &new));
    }
    server.kill();

    let mut server = Server::start(setup);
    assert!(!is_good(&server, &old) && is_good(&server, &new) && !is_good(&server, &lost));
    // Dropped, and lapsed.
    server.use_token(&new);
    let dropped = token_in(&regenerate(&server, &["--stage"]).succeeded());
    assert!(listed(&server, &new)["staged_until"].is_string());
    server
        .cli(&["revoke", "token"], &["--staged", "--token-name", "ci"])
        .succeeded();
    let lapsed = token_in(&regenerate(&server, &["--stage", "--stage-for", "1s"]).succeeded());
    let target = "/api/v3/configure/token/self";
    eventually("the staged secret lapses", || {
        status(&server, &lapsed, target) == 401
    });
    for staged in [&dropped, &lapsed] {
        server.use_token(staged);
        assert!(
            server
                .cli(&["confirm", "token"], &[])
                .failed(1)
                .contains("401")
        );
    }
    assert!(is_good(&server, &new));
}

#[test]
fn only_one_of_two_with_the_same_hash() {
    let (server, old) = with_ci(Setup::memory().with_auth());
    let seen = hash(&server);
    let wrong = regenerate(&server, &["--if-match", "000000000"]).failed(1);
    assert!(
        wrong.contains("[412 Precondition Failed]") && wrong.contains(&seen),
        "{wrong}"
    );
    assert!(is_good(&server, &old));
    let asked: Vec<Ran> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| regenerate(&server, &["--if-match", &seen, "--format", "token"]))
            })
            .collect();
        let ended = running.into_iter().map(|one| one.join().expect("it ends"));
        ended.collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = asked.into_iter().partition(|ran| ran.code == 0);
    assert_eq!((won.len(), lost.len()), (1, 3), "{won:?} {lost:?}");
    assert!(is_good(&server, won[0].stdout.trim_end()) && !is_good(&server, &old));
    for ran in lost {
        assert!(ran.stderr.contains("[412 Precondition Failed]"), "{ran:?}");
    }
    regenerate(&server, &["--if-match", "*"]).succeeded();
}

#[test]
fn with_a_new_end() {
    let (server, _) = with_ci(Setup::memory().with_auth());
    let brief = token_in(&regenerate(&server, &["--expiry", "1s"]).succeeded());
    eventually("the token has expired", || !is_good(&server, &brief));
    // Nobody gets a secret that is dead already.
    assert!(
        regenerate(&server, &[])
            .failed(1)
            .contains("[400 Bad Request]")
    );
    let new = token_in(&regenerate(&server, &["--expiry", "1d"]).succeeded());
    assert!(is_good(&server, &new));
}

#[test]
fn a_token_may_rotate_itself_and_no_other() {
    let (mut server, ci) = with_ci(Setup::memory().with_auth());
    server.cli(&["create", "database"], &["d"]).succeeded();
    let text = server.cli(
        &["create", "token"],
        &["--name", "reader", "--permission", "db:d:read"],
    );
    let reader = token_in(&text.succeeded());
    server.use_token(&reader);
    assert!(
        regenerate(&server, &[])
            .failed(1)
            .contains("[403 Forbidden]")
    );
    let arguments = ["--token-name", "reader", "--yes"];
    let new = token_in(&server.cli(&["regenerate", "token"], &arguments).succeeded());
    server.use_token(&new);
    let told = server.cli(&["show", "token"], &[]).succeeded();
    assert!(
        told.contains("Name: reader\n") && told.contains("Permissions: db:d:read\n"),
        "{told}"
    );
    server.cli(&["show", "tokens"], &[]).failed(1);
    // An admin token may rotate any but the operator's.
    server.use_token(&ci);
    server.cli(&["regenerate", "token"], &arguments).succeeded();
    let arguments = ["--token-name", "_admin", "--yes"];
    let refused = server.cli(&["regenerate", "token"], &arguments).failed(1);
    assert!(refused.contains("[403 Forbidden]"), "{refused}");
}

/// Killed at any moment of a rotation, a server comes back with exactly one secret: the old one, or the one that the listing has.
#[test]
fn killed_in_the_middle() {
    let mut chance = Chance::announced("killed rotation");
    let folder = temporary_folder();
    let setup = Setup::file(folder.path()).with_auth();
    let mut server = Server::start(setup.clone());
    let operator = server.create_token();
    let text = server.cli(&["create", "token", "--admin"], &["--name", "ci"]);
    let mut current = token_in(&text.succeeded());
    let (mut happened, mut told) = (0, 0);
    for round in 0..8 {
        let before = hash(&server);
        let stages = round % 2 == 1;
        let staged = stages.then(|| token_in(&regenerate(&server, &["--stage"]).succeeded()));
        let address = server.address();
        let (target, credential) = match &staged {
            Some(staged) => ("/api/v3/configure/token/confirm", staged.clone()),
            None => (
                "/api/v3/configure/token/regenerate?token_name=ci",
                operator.clone(),
            ),
        };
        let asking = std::thread::spawn(move || {
            let mut connection = Connection::open(address)?;
            connection.ask("POST", target, Some(&credential), b"")
        });
        std::thread::sleep(Duration::from_micros(chance.within(0..12_000)));
        server.kill();
        let answer = asking.join().expect("it ends");

        server = Server::start(setup.clone());
        server.use_token(&operator);
        let changed = hash(&server) != before;
        happened += usize::from(changed);
        assert_eq!(is_good(&server, &current), !changed, "round {round}");
        let new = match (&answer, staged) {
            // Staged, the new secret is known whatever became of the answer.
            (_, Some(staged)) => Some(staged),
            (Ok(answer), None) => answer.json()["token"].as_str().map(str::to_string),
            (Err(_), None) => None,
        };
        if let Ok(answer) = answer {
            assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
            assert!(changed, "round {round}: told and not done");
            told += 1;
        }
        match new {
            Some(new) => {
                // One that is still staged is known, and good for nothing here.
                let enters = status(&server, &new, "/health") == 200;
                assert_eq!(enters, changed, "round {round}");
                if changed {
                    current = new;
                }
            }
            // Nobody knows it: another rotation makes the token usable again.
            None if changed => current = token_in(&regenerate(&server, &[]).succeeded()),
            None => {}
        }
        assert!(is_good(&server, &current));
    }
    println!("killed rotation: {happened} of 8 happened, {told} of them were told");
}

/// Each step, in order, by whom, and still there after a kill.
#[test]
fn every_step_is_told() {
    let folder = temporary_folder();
    let setup = Setup::file(folder.path()).with_auth();
    let (mut server, _) = with_ci(setup.clone());
    let operator = server.token().to_string();
    regenerate(&server, &["--grace", "1h"]).succeeded();
    let arguments = ["--previous", "--token-name", "ci"];
    server.cli(&["revoke", "token"], &arguments).succeeded();
    let staged = token_in(&regenerate(&server, &["--stage"]).succeeded());
    server.use_token(&staged);
    server.cli(&["confirm", "token"], &[]).succeeded();
    server.use_token(&operator);
    let arguments = ["--token-name", "ci", "--yes"];
    server.cli(&["delete", "token"], &arguments).succeeded();
    server.kill();

    let mut server = Server::start(setup);
    server.use_token(&operator);
    let told = server.query(
        "_internal",
        "SELECT kind, outcome, token_name, by_token_name FROM system.token_events WHERE token_name = 'ci' ORDER BY time",
    );
    let expected = [
        ("create", "_admin"),
        ("rotate", "_admin"),
        ("revoke", "_admin"),
        ("stage", "_admin"),
        ("confirm", "ci"),
        ("delete", "_admin"),
    ];
    let expected = expected.map(|(kind, by)| {
        serde_json::json!({"kind": kind, "outcome": "done", "token_name": "ci", "by_token_name": by})
    });
    assert_eq!(told, expected);
}
