//! The commands of tokens alone, against a server that answers everything alike: what they send, what they print, how they
//! end (spec/cli.md §7, §9.2, spec/auth-tokens.md §13, §14).

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::fake_server::FakeServer;
use crate::harness::{Ran, binary, influxdb3, run, secrets_in, temporary_folder, token_in};

const MADE: &str = r#"{"id":3,"name":"ci","token":"apiv3_abc","hash":"9f0c1e77ab","created_at":"2026-02-03T04:05:06Z","expiry":null}"#;

/// Runs a line with the address of a server that answers `MADE`, and returns what it was asked.
fn asked(line: &[&str], input: &[u8]) -> (Ran, Vec<crate::harness::fake_server::Request>) {
    let server = FakeServer::answering("201 Created", MADE);
    let folder = temporary_folder();
    let mut command = binary(folder.path());
    command
        .args(line)
        .args(["--host", &server.url(), "--token", "apiv3_mine"]);
    let ran = run(command, input);
    (ran, server.requests())
}

/// The request line, without the version of HTTP, and the body.
#[track_caller]
fn check(line: &[&str], expected: &str, body: Value) {
    let (ran, requests) = asked(line, b"");
    ran.succeeded();
    assert_eq!(requests.len(), 1, "{line:?}");
    assert_eq!(requests[0].line, format!("{expected} HTTP/1.1"), "{line:?}");
    assert_eq!(
        requests[0].header("authorization"),
        Some("Bearer apiv3_mine")
    );
    let found = match requests[0].body.is_empty() {
        true => Value::Null,
        false => requests[0].json(),
    };
    assert_eq!(found, body, "{line:?}");
}

#[test]
fn what_is_sent() {
    let named = "POST /api/v3/configure/token/named_admin";
    check(
        &[
            "create", "token", "--admin", "--name", "ci", "--expiry", "2h",
        ],
        named,
        json!({"token_name": "ci", "expiry_secs": 7200}),
    );
    check(
        &["create", "token", "--name", "ci", "--admin"],
        named,
        json!({"token_name": "ci", "expiry_secs": null}),
    );
    check(
        &[
            "create",
            "token",
            "--permission",
            "db:a,b:read,write",
            "--permission",
            "system:*:read",
            "--name",
            "x",
            "--expiry",
            "1d",
            "--description",
            "for x",
        ],
        "POST /api/v3/configure/token",
        json!({
            "token_name": "x", "permissions": ["db:a,b:read,write", "system:*:read"], "expiry_secs": 86_400,
            "description": "for x",
        }),
    );
    let operator = "POST /api/v3/configure/token/admin/regenerate";
    check(
        &["create", "token", "--admin", "--regenerate", "--yes"],
        operator,
        Value::Null,
    );
    check(
        &[
            "create",
            "token",
            "--admin",
            "--regenerate",
            "--yes",
            "--grace",
            "90s",
            "--expiry",
            "1d",
        ],
        &format!("{operator}?grace_secs=90&expiry_secs=86400"),
        Value::Null,
    );
    check(
        &[
            "create",
            "token",
            "--admin",
            "--regenerate",
            "--yes",
            "--stage",
        ],
        &format!("{operator}?stage=true"),
        Value::Null,
    );
    let any = "POST /api/v3/configure/token/regenerate?token_name";
    check(
        &["regenerate", "token", "--token-name", "a b&c", "-y"],
        &format!("{any}=a+b%26c"),
        Value::Null,
    );
    check(
        &[
            "regenerate",
            "token",
            "--token-name",
            "x",
            "--stage",
            "--stage-for",
            "10m",
        ],
        &format!("{any}=x&stage=true&stage_secs=600"),
        Value::Null,
    );
    check(
        &[
            "regenerate",
            "token",
            "--token-name",
            "x",
            "--grace",
            "0",
            "--yes",
        ],
        &format!("{any}=x&grace_secs=0"),
        Value::Null,
    );
    check(
        &["confirm", "token"],
        "POST /api/v3/configure/token/confirm",
        Value::Null,
    );
    check(
        &["confirm", "token", "--grace", "1m"],
        "POST /api/v3/configure/token/confirm?grace_secs=60",
        Value::Null,
    );
    check(
        &["revoke", "token", "--previous", "--token-name", "x"],
        "DELETE /api/v3/configure/token/previous?token_name=x",
        Value::Null,
    );
    check(
        &["revoke", "token", "--staged", "--token-name", "x"],
        "DELETE /api/v3/configure/token/staged?token_name=x",
        Value::Null,
    );
    check(
        &["delete", "token", "--token-name", "x", "--yes"],
        "DELETE /api/v3/configure/token?token_name=x",
        Value::Null,
    );
    check(
        &["show", "tokens", "--format", "jsonl"],
        "POST /api/v3/query_sql",
        json!({"db": "_internal", "q": "SELECT * FROM system.tokens ORDER BY token_id", "format": "json_lines"}),
    );
    check(
        &["show", "token"],
        "GET /api/v3/configure/token/self",
        Value::Null,
    );
}

#[test]
fn a_rotation_can_insist_on_the_hash() {
    for (given, sent) in [("9f0c1e77a", "\"9f0c1e77a\""), ("*", "*")] {
        let line = [
            "regenerate",
            "token",
            "--token-name",
            "x",
            "--yes",
            "--if-match",
            given,
        ];
        let (ran, requests) = asked(&line, b"");
        ran.succeeded();
        assert_eq!(requests[0].header("if-match"), Some(sent));
    }
    let line = [
        "create",
        "token",
        "--admin",
        "--regenerate",
        "--yes",
        "--if-match",
        "9f0c1e77a",
    ];
    let (ran, requests) = asked(&line, b"");
    ran.succeeded();
    assert_eq!(requests[0].header("if-match"), Some("\"9f0c1e77a\""));
}

#[test]
fn a_new_token_is_printed_as_asked_for() {
    let line = ["create", "token", "--admin", "--name", "ci", "--format"];
    let with = |format| asked(&[&line[..], &[format]].concat(), b"").0.succeeded();
    assert_eq!(token_in(&with("text")), "apiv3_abc");
    assert_eq!(with("token"), "apiv3_abc\n");
    let object: Value = serde_json::from_str(&with("json")).expect("one object");
    assert_eq!(
        object,
        json!({"help_msg": "Store this token securely, as it will not be shown again.", "token": "apiv3_abc"})
    );
    // A rotation tells what the server told: the next one can insist on this hash.
    let line = [
        "regenerate",
        "token",
        "--token-name",
        "ci",
        "--yes",
        "--format",
        "json",
    ];
    let text = asked(&line, b"").0.succeeded();
    let object: Value = serde_json::from_str(&text).expect("one object");
    assert_eq!(object["token"], "apiv3_abc");
    assert_eq!(object["hash"], "9f0c1e77ab");
    assert_eq!(object["expiry"], Value::Null);
}

#[test]
fn a_staged_token_says_what_is_still_to_do() {
    for line in [
        &["regenerate", "token", "--token-name", "ci", "--stage"][..],
        &[
            "create",
            "token",
            "--admin",
            "--regenerate",
            "--yes",
            "--stage",
        ],
    ] {
        let text = asked(line, b"").0.succeeded();
        assert_eq!(token_in(&text), "apiv3_abc");
        assert!(text.contains("influxdb3 confirm token"), "{text}");
    }
}

#[test]
fn questions_of_new_commands_are_on_stderr_and_take_yes() {
    for (line, verb) in [
        (
            &["regenerate", "token", "--token-name", "ci"][..],
            "regenerate",
        ),
        (&["delete", "token", "--token-name", "ci"], "delete"),
    ] {
        let question =
            format!("Are you sure you want to {verb} \"ci\"? Enter 'yes' or 'y' to confirm\n");
        for answer in ["yes", "y\n", "YES\n"] {
            let (ran, requests) = asked(line, answer.as_bytes());
            assert_eq!(ran.stderr, question);
            ran.succeeded();
            assert_eq!(requests.len(), 1);
        }
        for answer in ["no\n", ""] {
            let (ran, requests) = asked(line, answer.as_bytes());
            assert_eq!(ran.stdout, "");
            let command = format!("{}{}", verb[..1].to_uppercase(), &verb[1..]);
            assert_eq!(
                ran.failed(1),
                format!(
                    "{question}{command} command failed: Cannot proceed without confirmation\n"
                )
            );
            assert!(requests.is_empty());
        }
    }
}

#[test]
fn the_results_of_the_other_commands() {
    let text = |line: &[&str]| asked(line, b"").0.succeeded();
    assert_eq!(
        text(&["delete", "token", "--token-name", "ci", "-y"]),
        "Token \"ci\" deleted successfully\n"
    );
    assert_eq!(
        text(&["confirm", "token"]),
        "Token \"ci\" confirmed successfully\n"
    );
    assert_eq!(
        text(&["revoke", "token", "--previous", "--token-name", "ci"]),
        "The previous secret of token \"ci\" revoked successfully\n"
    );
    let line = ["delete", "token", "--token-name", "_admin"];
    let (ran, requests) = asked(&line, b"");
    assert!(requests.is_empty());
    assert_eq!(
        ran.succeeded(),
        "The operator token \"_admin\" is required and cannot be deleted. To regenerate an operator token, use: influxdb3 create token --admin --regenerate --token [TOKEN]\n"
    );
}

#[test]
fn failures_have_exit_code_1_except_those_that_scripts_know() {
    let server = FakeServer::answering("409 Conflict", "token name already exists, ci");
    let url = server.url();
    let told = "server responded with error [409 Conflict]: token name already exists, ci";
    let create = ["create", "token", "--admin", "--name", "ci", "--host", &url];
    assert_eq!(
        influxdb3(&create).succeeded(),
        "Failed to create token, error: ApiError { code: 409, message: \"token name already exists, ci\", error_code: None }\n"
    );
    let strict = influxdb3(&[&create[..], &["--strict"]].concat());
    assert_eq!(strict.stdout, "");
    assert_eq!(strict.failed(1), format!("Create command failed: {told}\n"));
    let folder = temporary_folder();
    let mut command = binary(folder.path());
    command.args(create).env("INFLUXDB3_STRICT", "true");
    assert_eq!(
        run(command, b"").failed(1),
        format!("Create command failed: {told}\n")
    );
    for (line, verb) in [
        (
            &[
                "create",
                "token",
                "--permission",
                "db:a:read",
                "--name",
                "ci",
            ][..],
            "Create",
        ),
        (
            &["regenerate", "token", "--token-name", "ci", "--yes"],
            "Regenerate",
        ),
        (&["confirm", "token"], "Confirm"),
        (
            &["revoke", "token", "--staged", "--token-name", "ci"],
            "Revoke",
        ),
        (
            &["delete", "token", "--token-name", "ci", "--yes"],
            "Delete",
        ),
        (&["show", "tokens"], "Show"),
        (&["show", "token"], "Show"),
    ] {
        let ran = influxdb3(&[line, &["--host", &url]].concat());
        assert_eq!(ran.stdout, "", "{line:?}");
        assert_eq!(ran.failed(1), format!("{verb} command failed: {told}\n"));
    }
}

#[test]
fn lines_that_make_no_sense() {
    let create = &["create", "token"][..];
    for (words, rest, expected) in [
        (create, &["--regenerate"][..], "--admin"),
        (create, &["--permission", "db:a:read"], "--name <NAME>"),
        (
            create,
            &["--admin", "--permission", "db:a:read", "--name", "x"],
            "cannot be used with",
        ),
        (
            create,
            &["--admin", "--grace", "1m"],
            "--grace can only be used with --regenerate",
        ),
        (
            create,
            &["--admin", "--stage"],
            "--stage can only be used with --regenerate",
        ),
        (
            create,
            &["--admin", "--regenerate", "--stage", "--grace", "1m"],
            "cannot be used with",
        ),
        (
            create,
            &["--admin", "--regenerate", "--offline", "--output-file", "x"],
            "cannot be used with",
        ),
        (create, &["--admin", "--offline"], "--output-file <FILE>"),
        (create, &["--admin", "--output-file", "x"], "--offline"),
        (
            create,
            &[
                "--admin",
                "--offline",
                "--output-file",
                "x",
                "--create-databases",
                "a",
            ],
            "--permission <PERMISSION>",
        ),
        (
            create,
            &["--admin", "--description", "x"],
            "--permission <PERMISSION>",
        ),
        (
            create,
            &["--admin", "--name", "x", "--expiry", "5"],
            "--expiry <DURATION>",
        ),
        (&["regenerate", "token"], &[], "--token-name <NAME>"),
        (
            &["regenerate", "token"],
            &["--token-name", "x", "--stage-for", "1m"],
            "--stage",
        ),
        (
            &["revoke", "token"],
            &["--token-name", "x"],
            "<--previous|--staged>",
        ),
        (
            &["revoke", "token"],
            &["--token-name", "x", "--previous", "--staged"],
            "cannot be used with",
        ),
        (&["delete", "token"], &[], "--token-name <NAME>"),
    ] {
        let error = influxdb3(&[words, rest].concat()).failed(2);
        assert!(error.contains(expected), "{words:?} {rest:?}: {error}");
        assert!(error.starts_with("error: "), "{error}");
    }
}

#[test]
fn an_end_of_the_operator_token_is_warned_of() {
    let (ran, requests) = asked(&["create", "token", "--admin", "--expiry", "1d"], b"");
    assert!(
        ran.stderr.starts_with("warning: --expiry is ignored"),
        "{ran:?}"
    );
    ran.succeeded();
    assert!(requests[0].body.is_empty());
}

#[test]
fn a_token_in_words() {
    let server = FakeServer::answering(
        "200 OK",
        r#"{"id":1,"name":"x","hash":"0123456ab","description":null,"expiry":"2026-02-03T04:05:06Z","permissions":["db:a:read","system:*:read"]}"#,
    );
    let line = ["show", "token", "--host", &server.url()];
    assert_eq!(
        influxdb3(&line).succeeded(),
        "Id: 1\nName: x\nHash: 0123456ab\nPermissions: db:a:read system:*:read\nValid until: 2026-02-03T04:05:06Z\n"
    );
}

/// Makes a token offline in `folder`, in the file `tokens.json`.
fn offline(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = binary(folder);
    command
        .args([
            "create",
            "token",
            "--offline",
            "--output-file",
            "tokens.json",
        ])
        .args(arguments);
    run(command, b"")
}

/// The file that [`offline`] made; asserts that only its owner can read it and that nothing lies beside it.
#[track_caller]
fn written(folder: &Path) -> Value {
    let path = folder.join("tokens.json");
    let mode = path.metadata().expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let names: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("readable").file_name())
        .collect();
    assert_eq!(names, ["tokens.json"]);
    let text = std::fs::read_to_string(path).expect("the file");
    assert!(
        text.starts_with("{\n  \"") && text.ends_with("}\n"),
        "{text}"
    );
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn offline_admin_tokens() {
    let folder = temporary_folder();
    let text = offline(folder.path(), &["--admin"]).succeeded();
    assert!(
        text.starts_with("Token saved to: tokens.json\n\nNew token created successfully!\n"),
        "{text}"
    );
    let token = token_in(&text);
    assert_eq!(secrets_in(&token), [token.as_str()]);
    assert_eq!(token.len(), 92);
    assert_eq!(
        written(folder.path()),
        json!({"token": token, "name": "_admin"})
    );

    // Made anew, not extended; without a name there is no end.
    let ran = offline(
        folder.path(),
        &["--admin", "--expiry", "1d", "--format", "token"],
    );
    assert!(ran.stderr.contains("--expiry is ignored"), "{ran:?}");
    assert!(
        ran.stderr.ends_with("Token saved to: tokens.json\n"),
        "{ran:?}"
    );
    let again = ran.succeeded();
    assert_ne!(again.trim_end(), token);
    assert_eq!(
        written(folder.path()),
        json!({"token": again.trim_end(), "name": "_admin"})
    );

    let line = [
        "--admin", "--name", "ci", "--expiry", "1d", "--format", "json",
    ];
    let text = offline(folder.path(), &line).succeeded();
    let object: Value = serde_json::from_str(&text).expect("one object and nothing else");
    let file = written(folder.path());
    assert_eq!(file["token"], object["token"]);
    assert_eq!(file["name"], "ci");
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let left_ms = file["expiry_millis"].as_i64().expect("a number")
        - i64::try_from(since.as_millis()).expect("in range");
    assert!((86_000_000..=86_400_000).contains(&left_ms), "{left_ms}");
}

#[test]
fn offline_tokens_with_permissions_gather_in_one_file() {
    let folder = temporary_folder();
    let first = offline(
        folder.path(),
        &[
            "--permission",
            "db:a,b:read,write",
            "--permission",
            "system:health:read",
            "--name",
            "writer",
            "--create-databases",
            "a,b",
        ],
    );
    let first = token_in(&first.succeeded());
    let line = [
        "--permission",
        "db:*:read",
        "--name",
        "reader",
        "--create-databases",
        "b,c",
    ];
    let second = token_in(&offline(folder.path(), &line).succeeded());
    assert_eq!(
        written(folder.path()),
        json!({
            "create_databases": ["a", "b", "c"],
            "tokens": [
                {"token": first, "name": "writer", "permissions": ["db:a,b:read,write", "system:health:read"]},
                {"token": second, "name": "reader", "permissions": ["db:*:read"]},
            ],
        })
    );
    // What others wrote stays.
    let mut file = written(folder.path());
    file["comment"] = json!("ours");
    file["tokens"][0]["owner"] = json!("team");
    std::fs::write(folder.path().join("tokens.json"), file.to_string()).expect("written");
    let line = [
        "--permission",
        "db:*:write",
        "--name",
        "third",
        "--expiry",
        "1h",
    ];
    offline(folder.path(), &line).succeeded();
    let file = written(folder.path());
    assert_eq!(file["comment"], "ours");
    assert_eq!(file["tokens"][0]["owner"], "team");
    assert_eq!(file["tokens"][2]["name"], "third");
    assert!(file["tokens"][2]["expiry_millis"].is_i64());

    // Refusals leave the file as it was.
    let error = offline(
        folder.path(),
        &["--permission", "db:a:read", "--name", "writer"],
    )
    .failed(1);
    assert_eq!(
        error,
        "Create command failed: tokens.json has a token named \"writer\"\n"
    );
    let error = offline(
        folder.path(),
        &["--permission", "db:a:fly", "--name", "flier"],
    )
    .failed(1);
    assert!(
        error.contains("action not supported, database action fly"),
        "{error}"
    );
    let error = offline(folder.path(), &["--permission", "*:*:*", "--name", "all"]).failed(1);
    assert!(
        error.contains("* resource type can only be set for admin token"),
        "{error}"
    );
    assert_eq!(written(folder.path()), file);
}

#[test]
fn offline_files_that_cannot_be_written() {
    let folder = temporary_folder();
    let path = folder.path().join("tokens.json");
    let permission = ["--permission", "db:a:read", "--name", "x"];
    std::fs::write(&path, r#"{"tokens": "apiv3_hidden"}"#).expect("written");
    let ran = offline(folder.path(), &permission);
    assert!(!format!("{ran:?}").contains("hidden"), "{ran:?}");
    assert_eq!(
        ran.failed(1),
        "Create command failed: tokens.json is no file of tokens with permissions: line 1 column 25\n"
    );
    let draft = folder.path().join(".tokens.json.tmp");
    std::fs::write(&draft, "").expect("written");
    for line in [&["--admin"][..], &permission] {
        let ran = offline(folder.path(), line);
        assert_eq!(secrets_in(&ran.stdout), [""; 0]);
        assert!(ran.failed(1).contains(".tokens.json.tmp exists"));
    }
    std::fs::remove_file(draft).expect("removed");
    std::fs::remove_file(&path).expect("removed");
    std::fs::create_dir(&path).expect("a folder of that name");
    for line in [&["--admin"][..], &permission] {
        let ran = offline(folder.path(), line);
        assert_eq!(secrets_in(&ran.stdout), [""; 0]);
        ran.failed(1);
    }
    assert!(!folder.path().join(".tokens.json.tmp").exists());
}
