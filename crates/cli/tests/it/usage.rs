//! Usage errors, and failures that happen before any server could answer (spec/cli.md §1.2, §4, §5).

use crate::harness::influxdb3;

/// An address where nothing listens: the port was free a moment ago.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound port");
    format!("http://{address}")
}

#[test]
fn a_group_alone_prints_its_help_on_stderr() {
    for group in ["create", "delete", "show"] {
        let ran = influxdb3(&[group]);
        assert_eq!(ran.stdout, "");
        let page = ran.failed(2);
        assert!(
            page.contains(&format!("Usage: influxdb3 {group}")),
            "{page}"
        );
    }
}

#[test]
fn unknown_commands_and_options() {
    let error = influxdb3(&["nonsense"]).failed(2);
    assert!(
        error.contains("error: unrecognized subcommand 'nonsense'"),
        "{error}"
    );
    let error = influxdb3(&["--objekt-store", "memory"]).failed(2);
    assert!(
        error.contains("error: unexpected argument '--objekt-store' found"),
        "{error}"
    );
    let error = influxdb3(&["create", "triger", "x"]).failed(2);
    assert!(
        error.contains("error: unrecognized subcommand 'triger'") && error.contains("'trigger'"),
        "{error}"
    );
}

#[test]
fn options_are_given_once() {
    for line in [
        &["query", "-d", "a", "-d", "b", "x"][..],
        &[
            "create", "token", "--admin", "--host", "http://a", "--host", "http://b",
        ],
    ] {
        let error = influxdb3(line).failed(2);
        assert!(error.contains("cannot be used multiple times"), "{error}");
    }
}

#[test]
fn required_options_are_named() {
    let error = influxdb3(&["query", "SELECT 1"]).failed(2);
    assert!(
        error.starts_with("error: the following required arguments were not provided:\n  --database <DATABASE_NAME>\n"),
        "{error}"
    );
    let error = influxdb3(&["create", "database"]).failed(2);
    assert!(error.contains("<DATABASE_NAME>"), "{error}");
    let error = influxdb3(&["serve"]).failed(2);
    assert!(
        error.contains("<--node-id <PREFIX>|--node-id-from-env <FROM_ENV_VAR>>"),
        "{error}"
    );
}

#[test]
fn create_token_without_a_kind() {
    let error = influxdb3(&["create", "token"]).failed(2);
    assert!(error.contains("Missing required subcommand"), "{error}");
    assert!(
        error.contains("Use: influxdb3 create token --admin"),
        "{error}"
    );
    assert!(!error.contains("panicked"), "{error}");
    let error = influxdb3(&["create", "token", "--name", "test"]).failed(2);
    assert!(
        error.contains("error: unexpected argument '--name' found"),
        "{error}"
    );
    let error = influxdb3(&["create", "token", "--admin", "--name", "x", "--regenerate"]).failed(2);
    let expected =
        "--regenerate cannot be used with --name, --regenerate only applies for operator token";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn write_limits_are_at_least_one() {
    for option in ["--max-request-size", "--max-concurrent-requests"] {
        let error = influxdb3(&["write", "-d", "x", option, "0", "cpu a=1"]).failed(2);
        assert!(
            error.contains(option) && error.contains("value must be at least 1"),
            "{error}"
        );
    }
}

#[test]
fn precision_is_checked() {
    let error = influxdb3(&["write", "-d", "x", "--precision", "fake", "cpu a=1"]).failed(2);
    assert_eq!(
        error,
        "error: invalid value 'fake' for '--precision <PRECISION>': unrecognized precision unit: fake\n\nFor more information, try '--help'.\n"
    );
}

#[test]
fn durations_are_checked() {
    for period in ["5", "1 moon", ""] {
        influxdb3(&["create", "database", "--retention-period", period, "x"]).failed(2);
    }
}

#[test]
fn addresses_are_checked() {
    let error = influxdb3(&["query", "-d", "x", "--host", "nonsense", "SELECT 1"]).failed(2);
    assert!(
        error.contains("invalid value 'nonsense' for '--host <HOST_URL>'"),
        "{error}"
    );
    let error = influxdb3(&["query", "-d", "x", "--host", "ftp://localhost", "SELECT 1"]).failed(1);
    assert_eq!(
        error,
        "Query command failed: base URL error: URL scheme is not allowed\n"
    );
    // Without a scheme, a host with a port is asked over plain HTTP.
    let host = nobody();
    let bare = host.trim_start_matches("http://");
    let error = influxdb3(&["query", "-d", "x", "--host", bare, "SELECT 1"]).failed(1);
    let expected = format!("Query command failed: failed to send POST {host}/");
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn a_refused_connection_names_the_request_and_the_cause() {
    let host = nobody();
    let error = influxdb3(&["write", "-d", "x", "--host", &host, "cpu a=1"]).failed(1);
    let expected =
        format!("Write command failed: failed to send POST {host}/api/v3/write_lp?db=x request: ");
    assert!(error.starts_with(&expected), "{error}");
    assert!(error.contains("Connection refused"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    let error = influxdb3(&["show", "databases", "--host", &host]).failed(1);
    assert!(
        error.starts_with("Show command failed: failed to send GET "),
        "{error}"
    );
}

#[test]
fn a_refused_connection_of_create_token_is_told_on_stdout() {
    let ran = influxdb3(&["create", "token", "--admin", "--host", &nobody()]);
    assert_eq!(ran.stderr, "");
    let text = ran.succeeded();
    assert!(
        text.starts_with("Failed to create token, error: RequestSend"),
        "{text}"
    );
    assert!(text.contains("ConnectError"), "{text}");
}

#[test]
fn tokens_are_never_shown() {
    let host = nobody();
    let host = host.as_str();
    for line in [
        &[
            "query",
            "-d",
            "x",
            "--token",
            "apiv3_hidden",
            "--host",
            host,
            "SELECT 1",
        ][..],
        &[
            "query",
            "-d",
            "x",
            "--token",
            "apiv3_hidden\n",
            "--host",
            host,
            "SELECT 1",
        ],
        &[
            "query",
            "-d",
            "x",
            "--token",
            "apiv3_hidden",
            "--token",
            "apiv3_hidden",
        ],
        &[
            "create",
            "token",
            "--admin",
            "--token",
            "apiv3_hidden",
            "--host",
            host,
        ],
        &["create", "database", "--token", "apiv3_hidden"],
        &["write", "-d", "x", "--token", "apiv3_hidden", "--help-all"],
    ] {
        let ran = influxdb3(line);
        assert!(
            !ran.stdout.contains("hidden") && !ran.stderr.contains("hidden"),
            "{ran:?}"
        );
    }
}

#[test]
fn certificates_that_cannot_be_used() {
    let error = influxdb3(&["query", "-d", "x", "--tls-ca", "/nowhere", "SELECT 1"]).failed(1);
    assert!(
        error.starts_with("Query command failed: io error: /nowhere: "),
        "{error}"
    );
}
