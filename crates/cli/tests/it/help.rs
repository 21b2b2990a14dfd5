//! Help and version: which text, on which stream, with which exit code (spec/cli.md §1.5, §3).

use std::process::Stdio;

use crate::harness::{binary, influxdb3, temporary_folder};

#[test]
fn the_root_has_a_short_and_a_long_page() {
    let short = influxdb3(&["--help"]).succeeded();
    assert!(
        short.contains("Common Commands") && short.contains("query, q"),
        "{short}"
    );
    assert_eq!(influxdb3(&["-h"]).succeeded(), short);
    let long = influxdb3(&["--help-all"]).succeeded();
    assert!(long.contains("Configuration Options"), "{long}");
    assert!(!short.contains('\u{1b}') && !long.contains('\u{1b}'));
}

#[test]
fn serve_has_a_short_and_a_long_page_and_asks_for_nothing() {
    let short = influxdb3(&["serve", "-h"]).succeeded();
    assert!(
        short.contains("--node-id <PREFIX>") && !short.contains("--wal-flush-interval"),
        "{short}"
    );
    let long = influxdb3(&["serve", "--help-all"]).succeeded();
    assert!(long.contains("--wal-flush-interval <DURATION>"), "{long}");
}

#[test]
fn other_commands_have_pages_of_their_own() {
    for words in [
        &["query", "--help"][..],
        &["q", "-h"],
        &["write", "--help-all"],
        &["create", "database", "--help"],
        &["show", "databases", "-h"],
        &["delete", "database", "--help"],
        &["create", "table", "--help"],
        &["update", "database", "-h"],
        &["update", "table", "--help"],
        &["delete", "table", "--help"],
        &["create", "token", "--admin", "--help"],
        &["regenerate", "token", "-h"],
        &["confirm", "token", "--help"],
        &["revoke", "token", "--help"],
        &["delete", "token", "--help"],
        &["show", "token", "--help"],
        &["show", "tokens", "--help"],
        &["show", "system", "--help"],
        &["show", "nodes", "--help"],
        &["show", "plugins", "-h"],
        &["show", "retention", "--help"],
    ] {
        let page = influxdb3(words).succeeded();
        assert!(
            page.contains("Usage: influxdb3 ") && page.contains("--host <HOST_URL>"),
            "{words:?}: {page}"
        );
    }
    let page = influxdb3(&["create", "token", "--help"]).succeeded();
    for part in [
        "Create a new auth token",
        "Usage: influxdb3 create token",
        "--admin",
    ] {
        assert!(page.contains(part), "{page}");
    }
}

#[test]
fn pages_name_variables_and_not_their_secrets() {
    let folder = temporary_folder();
    let mut command = binary(folder.path());
    command
        .env("INFLUXDB3_AUTH_TOKEN", "apiv3_hidden")
        .args(["query", "--help-all"]);
    let page = crate::harness::run(command, b"").succeeded();
    assert!(
        page.contains("INFLUXDB3_AUTH_TOKEN") && !page.contains("hidden"),
        "{page}"
    );
}

#[test]
fn the_version_names_the_package_and_the_revision() {
    let version = influxdb3(&["--version"]).succeeded();
    let rest = version
        .strip_prefix(concat!(
            "influxdb3 InfluxDB 3 Core, ",
            env!("CARGO_PKG_VERSION"),
            ", revision "
        ))
        .unwrap_or_else(|| panic!("{version}"));
    let revision = rest.trim_end();
    assert!(
        revision == "unknown"
            || revision.len() == 40 && revision.bytes().all(|digit| digit.is_ascii_hexdigit()),
        "{version}"
    );
    assert_eq!(influxdb3(&["-V"]).succeeded(), version);
    influxdb3(&["serve", "--version"]).failed(2);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let folder = temporary_folder();
    let mut child = binary(folder.path())
        .arg("--help-all")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the binary ends");
    assert_eq!(output.status.code(), Some(0));
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
