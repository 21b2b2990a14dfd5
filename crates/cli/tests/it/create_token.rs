//! `create token --admin` against a real server (spec/cli.md §7.1, spec/auth-tokens.md §8.1, §14).

use crate::harness::fake_server::FakeServer;
use crate::harness::{Server, Setup, influxdb3, temporary_folder, token_in};

const CREATE: &[&str] = &["create", "token", "--admin"];

#[test]
fn the_text_has_the_token_once_in_each_form() {
    let server = FakeServer::answering(
        "201 Created",
        r#"{"id":0,"name":"_admin","token":"apiv3_abc"}"#,
    );
    let text = influxdb3(&["create", "token", "--admin", "--host", &server.url()]).succeeded();
    assert_eq!(
        text,
        "\nNew token created successfully!\n\nToken: apiv3_abc\nHTTP Requests Header: Authorization: Bearer apiv3_abc\n\n\
         IMPORTANT: Store this token securely, as it will not be shown again.\n\n"
    );
    let requests = server.requests();
    assert_eq!(
        requests[0].line,
        "POST /api/v3/configure/token/admin HTTP/1.1"
    );
    assert_eq!(requests[0].body, b"");
}

#[test]
fn json_has_a_message_and_the_token() {
    let server = FakeServer::answering(
        "201 Created",
        r#"{"id":0,"name":"_admin","token":"apiv3_abc"}"#,
    );
    let line = [
        "create",
        "token",
        "--admin",
        "--format",
        "json",
        "--host",
        &server.url(),
    ];
    assert_eq!(
        influxdb3(&line).succeeded(),
        "{\n  \"help_msg\": \"Store this token securely, as it will not be shown again.\",\n  \"token\": \"apiv3_abc\"\n}\n"
    );
}

#[test]
fn the_first_caller_gets_the_token_and_the_second_none() {
    let folder = temporary_folder();
    let mut server = Server::start(Setup::file(folder.path()).with_auth());
    let token = server.create_token();
    assert!(token.starts_with("apiv3_") && token.len() > 80, "{token}");
    let again = server.cli(CREATE, &[]);
    assert_eq!(again.stderr, "");
    assert_eq!(
        again.succeeded(),
        "Failed to create token, error: ApiError { code: 409, message: \"token name already exists, _admin\", error_code: None }\n"
    );
    server.cli(&["show", "databases"], &[]).succeeded();
    assert!(!server.log().contains(&token));
}

#[test]
fn regenerating_asks_and_kills_the_old_token() {
    let mut server = Server::start(Setup::memory().with_auth());
    let old = server.create_token();
    let question = "Are you sure you want to regenerate admin token? Enter 'yes' to confirm\n";

    for answer in ["no\n", "y\n", "YES\n", "\n", ""] {
        let ran = server.cli_with_input(CREATE, &["--regenerate"], answer.as_bytes());
        assert_eq!(
            ran.succeeded(),
            format!(
                "{question}Failed to create token, error: \"Cannot regenerate token without confirmation\"\n"
            ),
            "{answer:?}"
        );
    }
    server.cli(&["show", "databases"], &[]).succeeded();

    let ran = server.cli_with_input(CREATE, &["--regenerate"], b"yes");
    let text = ran.succeeded();
    assert!(text.starts_with(question), "{text}");
    let new = token_in(&text);
    assert_ne!(new, old);

    let error = server.cli(&["show", "databases"], &[]).failed(1);
    assert!(error.contains("401 Unauthorized"), "{error}");
    let refused = server
        .cli_with_input(CREATE, &["--regenerate"], b"yes\n")
        .succeeded();
    assert!(
        refused.contains("Failed to create token, error: ApiError { code: 401"),
        "{refused}"
    );
    server.use_token(&new);
    server.cli(&["show", "databases"], &[]).succeeded();

    // In JSON the question does not stand before the object.
    let ran = server.cli_with_input(CREATE, &["--regenerate", "--format", "json"], b"yes\n");
    assert_eq!(ran.stderr, question);
    let object: serde_json::Value =
        serde_json::from_str(&ran.succeeded()).expect("one JSON object");
    server.use_token(object["token"].as_str().expect("a token"));
    server.cli(&["show", "databases"], &[]).succeeded();
    assert!(!server.log().contains(&new));
}

#[test]
fn regenerating_needs_the_token() {
    let server = Server::start(Setup::memory().with_auth());
    let text = server
        .cli_with_input(CREATE, &["--regenerate"], b"yes\n")
        .succeeded();
    assert!(text.contains("Failed to create token"), "{text}");
}

#[test]
fn without_authentication_there_are_no_tokens() {
    let server = Server::start(Setup::memory());
    for arguments in [&[][..], &["--regenerate"]] {
        let text = server
            .cli_with_input(CREATE, arguments, b"yes\n")
            .succeeded();
        let expected = "code: 405, message: \"endpoint disabled, started without auth\"";
        assert!(text.contains(expected), "{text}");
    }
}
