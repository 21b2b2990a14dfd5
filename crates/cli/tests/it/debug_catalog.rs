//! `debug catalog`: what it shows of the catalog that a server has written (spec/cli.md §7.10).

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Ran, Server, Setup, binary, run, temporary_folder};

fn looks(data: &Path, words: &[&str]) -> Ran {
    let folder = temporary_folder();
    let mut command = binary(folder.path());
    command
        .args(["debug", "catalog"])
        .args(words)
        .args(["--node-id", "test-server", "--object-store", "file"])
        .arg("--data-dir")
        .arg(data);
    run(command, b"")
}

fn json(ran: Ran) -> Value {
    serde_json::from_str(&ran.succeeded()).expect("JSON")
}

#[test]
fn the_catalog_of_a_server() {
    let folder = temporary_folder();
    let data = folder.path();
    let mut server = Server::start(Setup::file(data).with_auth());
    server.create_token();
    server.cli(&["create", "database"], &["home"]).succeeded();
    server.write("home", "second", "room,name=a celsius=1 1");
    server.stop();

    let listed = json(looks(data, &["list", "--all", "--format", "json"]));
    let files = listed["files"].as_array().expect("a list").clone();
    assert_eq!(listed["log_count"], files.len());
    let last = files.last().expect("a record");
    assert_eq!(last["kind"], "log");
    let number = last["sequence"].as_u64().expect("a number");
    let path = format!("test-server/catalog/log/{number:020}");
    assert_eq!(last["path"], path);
    let size = fs::metadata(data.join(&path)).expect("a file").len();
    assert_eq!(last["size_bytes"], size);

    let pretty = looks(data, &["ls"]).succeeded();
    assert!(
        pretty.contains("| kind") && pretty.contains(&path) && pretty.contains(" log(s), total "),
        "{pretty}"
    );

    let mut kinds = Vec::new();
    for file in &files {
        let number = file["sequence"].to_string();
        let shown = json(looks(data, &["sequence", &number, "--format", "json"]));
        assert_eq!(shown["header"]["magic"], "GNOMCLOG");
        assert_eq!(
            shown["header"]["checksum"],
            shown["header"]["checksum_computed"]
        );
        for change in shown["records"]["changes"].as_array().expect("changes") {
            kinds.push(change["kind"].as_str().expect("a kind").to_string());
            if let Some(digest) = change.get("digest") {
                assert_eq!(digest, "*******");
            }
        }
    }
    for kind in [
        "begin",
        "create_admin_token",
        "create_database",
        "create_table",
    ] {
        assert!(kinds.iter().any(|found| found == kind), "{kind}: {kinds:?}");
    }
    let counted = looks(data, &["sequence", "1", "--headers-only"]).succeeded();
    assert!(
        counted.contains("Record types:") && counted.contains("begin"),
        "{counted}"
    );

    let none = looks(data, &["snapshot"]).failed(1);
    assert_eq!(none, "Debug command failed: no catalog snapshot present\n");

    // A byte of the JSON is another one now.
    let damaged = data.join(&path);
    let mut bytes = fs::read(&damaged).expect("a file");
    let at = bytes
        .windows(5)
        .position(|word| word == b"nonce")
        .expect("a nonce")
        + 8;
    bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
    fs::write(&damaged, bytes).expect("a file");
    let refused = looks(data, &["sequence"]).failed(1);
    assert!(
        refused.contains("is damaged: the checksum should be "),
        "{refused}"
    );
    let shown = looks(data, &["sequence", "--skip-crc"]);
    assert!(
        shown.stderr.starts_with("warning: the checksum of "),
        "{shown:?}"
    );
    assert!(shown.succeeded().contains("\"nonce\""));
}
