//! Client profiles and files with tokens: which credential a request carries, and who can read what is kept
//! (docs/guide/command-line.md). What the commands print is in `compat/commands/profiles.txt`.

use std::path::Path;

use crate::harness::fake_server::FakeServer;
use crate::harness::{Ran, binary, run, temporary_folder};

/// Runs a command in a folder that is its home too.
fn influxdb3(folder: &Path, variables: &[(&str, &str)], line: &[&str], input: &str) -> Ran {
    let mut command = binary(folder);
    command.envs(variables.iter().copied()).args(line);
    run(command, input.as_bytes())
}

/// The credential of the one request that was made.
#[track_caller]
fn presented(server: &FakeServer) -> Option<String> {
    let requests = server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests[0].header("authorization").map(str::to_string)
}

#[test]
fn the_strongest_credential_is_presented() {
    let server = FakeServer::answering("200 OK", "[]");
    let home = temporary_folder();
    let home = home.path();
    std::fs::write(home.join("a.token"), "apiv3_file\nmore\n").expect("a file");
    let url = server.url();
    let set = ["profile", "set", "p", "--host", &url, "--token", "-"];
    influxdb3(home, &[], &set, "apiv3_profile\n").succeeded();
    influxdb3(home, &[], &["profile", "use", "p"], "").succeeded();
    let from_file = [
        "profile",
        "set",
        "f",
        "--host",
        &url,
        "--token-file",
        "a.token",
    ];
    influxdb3(home, &[], &from_file, "").succeeded();

    let token = ("INFLUXDB3_AUTH_TOKEN", "apiv3_variable");
    let file = ("INFLUXDB3_AUTH_TOKEN_FILE", "a.token");
    for (variables, options, expected) in [
        (&[][..], &[][..], "apiv3_profile"),
        (&[], &["--profile", "f"], "apiv3_file"),
        (&[("INFLUXDB3_PROFILE", "f")], &[], "apiv3_file"),
        (&[token], &[], "apiv3_variable"),
        (&[file], &[], "apiv3_file"),
        (&[token, file], &[], "apiv3_variable"),
        (&[token], &["--token-file", "a.token"], "apiv3_file"),
        (&[file], &["--token", "apiv3_flag"], "apiv3_flag"),
        (&[token], &["--token-file", "-"], "apiv3_typed"),
    ] {
        let line = [&["show", "databases"], options].concat();
        influxdb3(home, variables, &line, "apiv3_typed\n").succeeded();
        let expected = Some(format!("Bearer {expected}"));
        assert_eq!(presented(&server), expected, "{variables:?} {options:?}");
    }
}

#[test]
fn a_file_env_is_stronger_than_a_profile() {
    let server = FakeServer::answering("200 OK", "[]");
    let home = temporary_folder();
    let home = home.path();
    let url = server.url();
    let set = ["profile", "set", "p", "--host", &url, "--token", "-"];
    influxdb3(home, &[], &set, "apiv3_profile\n").succeeded();
    std::fs::write(home.join(".env"), "INFLUXDB3_AUTH_TOKEN=apiv3_dotenv").expect("a file");
    influxdb3(home, &[], &["show", "databases", "--profile", "p"], "").succeeded();
    assert_eq!(presented(&server), Some("Bearer apiv3_dotenv".to_string()));
}

#[test]
fn tokens_of_profiles_are_kept_from_others() {
    let home = temporary_folder();
    let home = home.path();
    let set = ["profile", "set", "p", "--token", "-"];
    let mut told = influxdb3(home, &[], &set, "apiv3_hidden\n").succeeded();
    for line in [&["profile", "list"][..], &["profile", "show", "p"]] {
        told.push_str(&influxdb3(home, &[], line, "").succeeded());
    }
    assert!(!told.contains("hidden"), "{told}");
    let file = home.join(".config/influxdb3/config.toml");
    let text = std::fs::read_to_string(&file).expect("the file of profiles");
    assert!(text.contains("apiv3_hidden"), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let about = std::fs::metadata(&file).expect("a file");
        assert_eq!(about.permissions().mode() & 0o777, 0o600);
    }
    // A file that cannot be understood is not quoted.
    std::fs::write(&file, "[profiles.p]\ntoken = \"apiv3_hidden").expect("a file");
    let error = influxdb3(home, &[], &["show", "databases"], "").failed(2);
    assert!(
        error.contains("line 2") && !error.contains("hidden"),
        "{error}"
    );
}

#[test]
fn a_broken_file_of_profiles_stops_no_command_that_needs_none() {
    let home = temporary_folder();
    let home = home.path();
    let folder = home.join("settings/influxdb3");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("config.toml"), "nonsense").expect("a file");
    let settings = home.join("settings").display().to_string();
    let variables = [("XDG_CONFIG_HOME", settings.as_str())];
    influxdb3(home, &variables, &["help", "query"], "").succeeded();
    influxdb3(home, &variables, &["query", "--help"], "").succeeded();
    influxdb3(home, &variables, &["completion", "fish"], "").succeeded();
    influxdb3(home, &variables, &["--version"], "").succeeded();
    influxdb3(home, &variables, &["show", "databases"], "").failed(2);
}
