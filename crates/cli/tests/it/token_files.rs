//! Tokens that a server takes from files at its start, and the file that it makes (spec/auth-tokens.md §13).

use std::path::{Path, PathBuf};

use crate::harness::{Server, Setup, temporary_folder};

const STRONG: &str = "apiv3_0oYt1Lq9Wk2bN4cVx7zR5mHs";
const OTHER: &str = "apiv3_Zu6dKp3QeGw8TjX0aBn1CfMi";

/// A file with this text that only its owner can read.
fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    set_mode(&path, 0o600);
    path
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a file of ours");
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn admin(secret: &str, name: &str) -> String {
    format!("{{\n  \"token\": \"{secret}\",\n  \"name\": \"{name}\"\n}}\n")
}

/// The status of a query of `_internal`.
fn status(server: &Server, token: &str) -> u16 {
    let target = "/api/v3/query_sql?db=_internal&q=SELECT+1&format=json";
    let answer = server.connect().ask("GET", target, Some(token), b"");
    answer.expect("an answer").status
}

/// What became of tokens; who was turned away is told when it is told.
fn events(server: &Server) -> Vec<(String, String, String)> {
    let rows = server.query(
        "_internal",
        "SELECT kind, token_name, protocol FROM system.token_events WHERE kind != 'refused' ORDER BY time, kind",
    );
    let text =
        |row: &serde_json::Value, key: &str| row[key].as_str().unwrap_or_default().to_string();
    rows.iter()
        .map(|row| {
            (
                text(row, "kind"),
                text(row, "token_name"),
                text(row, "protocol"),
            )
        })
        .collect()
}

#[test]
fn an_admin_token_file_is_good_at_once_and_changes_nothing_later() {
    let (data, folder) = (temporary_folder(), temporary_folder());
    let path = file(folder.path(), "admin.json", &admin(STRONG, "_admin"));
    let setup = Setup::file(data.path()).with_auth();
    let with_file = setup.clone().with(&["--admin-token-file", text_of(&path)]);

    let mut server = Server::start(with_file.clone());
    assert_eq!(status(&server, STRONG), 200);
    server.use_token(STRONG);
    assert_eq!(
        events(&server),
        [("create".into(), "_admin".into(), "file".into())]
    );
    let again = server
        .connect()
        .ask("POST", "/api/v3/configure/token/admin", None, b"");
    let again = again.expect("an answer");
    assert_eq!(
        (again.status, again.text().as_str()),
        (409, "token name already exists, _admin")
    );
    let log = server.log();
    assert!(
        !log.contains("has mode") && !log.contains("entropy"),
        "{log}"
    );
    server.kill();

    let server = Server::start(with_file.clone());
    assert!(
        server
            .log()
            .contains("token name already exists, the file changes nothing"),
        "{}",
        server.log()
    );
    server.stop();

    file(folder.path(), "admin.json", &admin(OTHER, "_admin"));
    let server = Server::start(with_file.clone());
    assert!(
        server.log().contains("is NOT that of the token"),
        "{}",
        server.log()
    );
    assert_eq!(
        (status(&server, STRONG), status(&server, OTHER)),
        (200, 401)
    );
    server.stop();

    let mut server = Server::start(with_file.with(&["--admin-token-file-rotate"]));
    assert_eq!(
        (status(&server, STRONG), status(&server, OTHER)),
        (401, 200)
    );
    server.use_token(OTHER);
    let told = events(&server);
    assert_eq!(
        told.last(),
        Some(&("rotate".into(), "_admin".into(), "file".into()))
    );
    for secret in [STRONG, OTHER] {
        assert!(!server.log().contains(secret));
    }
    server.stop();
    let mut server = Server::start(setup);
    assert_eq!(status(&server, OTHER), 200);
    server.use_token(OTHER);
    assert_eq!(events(&server), told, "and the events are kept");
}

#[test]
fn an_admin_token_of_another_name_closes_the_open_door() {
    let folder = temporary_folder();
    let path = file(folder.path(), "admin.json", &admin(STRONG, "ops"));
    let server = Server::start(
        Setup::memory()
            .with_auth()
            .with(&["--admin-token-file", text_of(&path)]),
    );
    let mut connection = server.connect();
    let create = "/api/v3/configure/token/admin";
    let answer = connection
        .ask("POST", create, None, b"")
        .expect("an answer");
    assert!(
        [403, 409].contains(&answer.status),
        "{}: {}",
        answer.status,
        answer.text()
    );
    assert!(
        !answer.text().contains("apiv3_") && !answer.text().contains("ops"),
        "{}",
        answer.text()
    );
    assert_eq!(status(&server, STRONG), 200);
}

#[test]
fn what_is_wrong_with_a_file_is_told_without_its_secret() {
    let folder = temporary_folder();
    let weak = "apiv3_correct-horse";
    let path = file(folder.path(), "loose.json", &admin(weak, "_admin"));
    set_mode(&path, 0o640);
    let server = Server::start(
        Setup::memory()
            .with_auth()
            .with(&["--admin-token-file", text_of(&path)]),
    );
    let log = server.log();
    assert!(
        log.contains("has mode 640") && log.contains("bits of entropy"),
        "{log}"
    );
    assert!(!log.contains(weak), "{log}");
    assert_eq!(status(&server, weak), 200);
    drop(server);

    let missing = folder.path().join("missing.json");
    let cases = [
        (missing, "Token error: Failed to read admin token file"),
        (
            file(folder.path(), "text.json", STRONG),
            "Token error: Failed to parse admin token file as JSON: ",
        ),
        (
            file(folder.path(), "string.json", &format!("\"{STRONG}\"")),
            "Token error: Failed to parse admin token file as JSON: ",
        ),
        (
            file(
                folder.path(),
                "nameless.json",
                &format!("{{\"token\":\"{STRONG}\"}}"),
            ),
            "Token error: Failed to parse admin token file as JSON: missing field `name`",
        ),
        (
            file(folder.path(), "prefix.json", &admin(&STRONG[6..], "_admin")),
            "Token error: Invalid token format: must start with 'apiv3_'",
        ),
    ];
    for (path, expected) in cases {
        let setup = Setup::memory().with_auth();
        let log = Server::launch(&setup.with(&["--admin-token-file", text_of(&path)]))
            .expect_err("no such start");
        assert!(
            log.contains(&format!("Serve command failed: {expected}")),
            "{log}"
        );
        assert!(!log.contains(&STRONG[6..]), "{log}");
    }
    // Nobody needs a token there, so nobody reads the file.
    let unread = Setup::memory().with(&["--admin-token-file", "/nowhere/at/all"]);
    Server::start(unread).stop();
}

#[test]
fn permission_tokens_come_with_their_databases() {
    let folder = temporary_folder();
    let listed = |permission: &str| {
        serde_json::json!({
            "create_databases": ["sensors", "metrics", "sensors"],
            "tokens": [
                { "token": STRONG, "name": "writer", "permissions": [permission, "system:health:read"] },
                { "token": OTHER, "name": "late", "expiry_millis": 1, "permissions": ["db:sensors:read"] },
            ],
        })
        .to_string()
    };
    let path = file(
        folder.path(),
        "tokens.json",
        &listed("db:sensors:write,read"),
    );
    let data = temporary_folder();
    let setup = Setup::file(data.path())
        .with_auth()
        .with(&["--permission-tokens-file", text_of(&path)]);
    for _ in 0..2 {
        let server = Server::start(setup.clone());
        let ask = |method: &str, target: &str, token: &str| {
            let answer = server.connect().ask(method, target, Some(token), b"m v=1");
            answer.expect("an answer").status
        };
        assert_eq!(ask("POST", "/api/v3/write_lp?db=sensors", STRONG), 204);
        assert_eq!(ask("POST", "/api/v3/write_lp?db=metrics", STRONG), 403);
        assert_eq!(ask("GET", "/health", STRONG), 200);
        assert_eq!(ask("GET", "/ping", STRONG), 403);
        assert_eq!(ask("GET", "/health", OTHER), 401, "expired");
        assert!(!server.log().contains(STRONG) && !server.log().contains(OTHER));
        server.stop();
    }

    let path = file(folder.path(), "tokens.json", &listed("db:nowhere:read"));
    let setup = Setup::memory()
        .with_auth()
        .with(&["--permission-tokens-file", text_of(&path)]);
    let log = Server::launch(&setup).expect_err("no such database");
    let expected = "Serve command failed: Token error: cannot parse token permission, invalid resource name nowhere";
    assert!(log.contains(expected), "{log}");
}

#[test]
fn a_bootstrap_file_is_made_and_then_read() {
    let (data, folder) = (temporary_folder(), temporary_folder());
    let path = folder.path().join("operator");
    let setup = Setup::file(data.path())
        .with_auth()
        .with(&["--bootstrap-token-file", text_of(&path)]);
    let mut server = Server::start(setup.clone());
    let secret = std::fs::read_to_string(&path)
        .expect("made")
        .trim()
        .to_string();
    assert_eq!(secret.len(), 92);
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&path).expect("made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(status(&server, &secret), 200);
    let log = server.log();
    assert!(
        log.contains("MADE THE OPERATOR TOKEN") && log.contains(text_of(&path)),
        "{log}"
    );
    assert!(!log.contains(&secret));
    server.use_token(&secret);
    assert_eq!(
        events(&server),
        [("create".into(), "_admin".into(), "file".into())]
    );
    let target = "/api/v3/configure/token/admin/regenerate";
    let answer = server
        .connect()
        .ask("POST", target, Some(&secret), b"")
        .expect("an answer");
    assert_eq!(answer.status, 201);
    let regenerated = answer.json()["token"]
        .as_str()
        .expect("a token")
        .to_string();
    server.kill();

    let server = Server::start(setup.clone());
    assert!(
        server.log().contains("it has been regenerated since"),
        "{}",
        server.log()
    );
    assert_eq!(
        (status(&server, &secret), status(&server, &regenerated)),
        (401, 200)
    );
    server.stop();

    std::fs::remove_file(&path).expect("a file of ours");
    let server = Server::start(setup);
    assert!(!path.exists(), "nobody needs it any more");
    assert_eq!(status(&server, &regenerated), 200);

    // A file that is there makes the token that it holds.
    let path = file(folder.path(), "mine", &format!("{STRONG}\n"));
    let setup = Setup::memory().with_auth();
    let server = Server::start(setup.with(&["--bootstrap-token-file", text_of(&path)]));
    assert_eq!(status(&server, STRONG), 200);
    assert!(!server.log().contains(STRONG));
}
