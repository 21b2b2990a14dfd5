//! Where settings come from: the process environment, `.env`, old names (spec/cli.md §1.1, spec/server-config.md §4).

use crate::harness::fake_server::FakeServer;
use crate::harness::{binary, run, temporary_folder};

#[test]
fn the_nearest_dotenv_file_fills_what_the_environment_leaves_open() {
    let server = FakeServer::answering("200 OK", "[]");
    let folder = temporary_folder();
    let inner = folder.path().join("a/b");
    std::fs::create_dir_all(&inner).expect("folders");
    let text = format!(
        "# settings\nINFLUXDB3_HOST_URL='{}'\nexport INFLUXDB3_DATABASE_NAME=from_file\nINFLUXDB3_AUTH_TOKEN=\"from file\"\n",
        server.url()
    );
    std::fs::write(folder.path().join(".env"), text).expect("a file");
    let mut command = binary(&inner);
    command
        .env("INFLUXDB3_DATABASE_NAME", "from_process")
        .args(["query", "--format", "json", "SELECT 1"]);
    assert_eq!(run(command, b"").succeeded(), "[]\n");
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].json()["db"], "from_process");
    assert_eq!(
        requests[0].header("authorization"),
        Some("Bearer from file")
    );

    let mut command = binary(&inner);
    command.args(["create", "database"]);
    assert_eq!(
        run(command, b"").succeeded(),
        "Database \"from_file\" created successfully\n"
    );

    let mut command = binary(&inner);
    command.args(["query", "--help-all"]);
    assert!(!run(command, b"").succeeded().contains("from file"));
}

#[test]
fn a_broken_dotenv_file_ends_everything() {
    let folder = temporary_folder();
    std::fs::write(folder.path().join(".env"), "A=1\nhidden value\n").expect("a file");
    let mut command = binary(folder.path());
    command.arg("--version");
    let error = run(command, b"").failed(1);
    assert!(
        error.starts_with("FATAL Error loading config from: "),
        "{error}"
    );
    assert!(
        error.ends_with("line 2: expected '=' after the name of a variable\nAborting\n"),
        "{error}"
    );
    assert!(!error.contains("hidden"), "{error}");
}

#[test]
fn old_names_work_with_a_warning() {
    let folder = temporary_folder();
    let mut command = binary(folder.path());
    command
        .env("LOG_FILTER", "=broken=")
        .env("INFLUXDB3_NODE_IDENTIFIER_PREFIX", "n")
        .env("INFLUXDB3_DB_DIR", "/old")
        .env("INFLUXDB3_DATA_DIR", "/new")
        .args(["serve"]);
    let error = run(command, b"").failed(1);
    let warnings: Vec<&str> = error.lines().collect();
    for (line, expected) in warnings.iter().zip([
        "environment variable INFLUXDB3_NODE_IDENTIFIER_PREFIX is deprecated, use INFLUXDB3_NODE_ID instead",
        "both INFLUXDB3_DB_DIR and INFLUXDB3_DATA_DIR are set; using INFLUXDB3_DATA_DIR, as INFLUXDB3_DB_DIR is deprecated",
        "environment variable LOG_FILTER is deprecated, use INFLUXDB3_LOG_FILTER instead",
    ]) {
        let (time, rest) = line.split_once(' ').expect("a time, then the rest");
        assert!(time.len() == 27 && time.ends_with('Z'), "{line}");
        assert_eq!(rest, format!(" WARN influxdb3::env_compat: {expected}"));
    }
    assert!(
        error.contains("Serve command failed: Initializing logs failed: "),
        "{error}"
    );
    assert!(error.contains("=broken="), "{error}");
}

#[test]
fn flags_in_the_environment_are_true_or_false() {
    for (value, code) in [("true", 0), ("false", 0), ("1", 2), ("yes", 2), ("", 2)] {
        let server = FakeServer::answering("200 OK", "[]");
        let folder = temporary_folder();
        let mut command = binary(folder.path());
        command.env("INFLUXDB3_TLS_NO_VERIFY", value).args([
            "show",
            "databases",
            "--host",
            &server.url(),
        ]);
        let ran = run(command, b"");
        assert_eq!(ran.code, code, "{value:?}: {ran:?}");
    }
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let server = FakeServer::answering("200 OK", "[]");
    let folder = temporary_folder();
    let file = folder.path().join("token");
    std::fs::write(&file, "from_file\n").expect("a file");
    let asks = |own: Option<&str>| {
        let mut command = binary(folder.path());
        command
            .env("INFLUXDB3_HOST_URL", server.url())
            .env("INFLUXDB3_AUTH_TOKEN_FILE", &file)
            .args(["query", "-d", "d", "SELECT 1"]);
        if let Some(own) = own {
            command.env("INFLUXDB3_AUTH_TOKEN", own);
        }
        run(command, b"").succeeded();
        let requests = server.requests();
        let last = requests.last().expect("a request");
        last.header("authorization").map(str::to_string)
    };
    assert_eq!(asks(None).as_deref(), Some("Bearer from_file"));
    assert_eq!(asks(Some("own")).as_deref(), Some("Bearer own"));

    let mut command = binary(folder.path());
    command.env("AWS_SECRET_ACCESS_KEY_FILE", &file).args([
        "config",
        "show",
        "--given-only",
        "--origin",
    ]);
    let told = run(command, b"").succeeded();
    let words: Vec<&str> = told.split_whitespace().collect();
    let expected = "aws-secret-access-key = \"*******\" # variable AWS_SECRET_ACCESS_KEY_FILE";
    assert_eq!(words.join(" "), expected);

    let mut command = binary(folder.path());
    command
        .env("AWS_SECRET_ACCESS_KEY_FILE", "/nowhere")
        .arg("--version");
    let error = run(command, b"").failed(1);
    assert!(
        error.contains("AWS_SECRET_ACCESS_KEY_FILE: /nowhere: "),
        "{error}"
    );
}
