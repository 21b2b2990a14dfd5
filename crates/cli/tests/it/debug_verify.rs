//! `debug verify`: what it says of a store that a server has used, and by which exit code.

use std::fs;
use std::path::Path;

use crate::harness::{Ran, Server, Setup, binary, run, temporary_folder};

fn verify(data: &Path, arguments: &[&str]) -> Ran {
    let folder = temporary_folder();
    let mut command = binary(folder.path());
    command
        .args(["debug", "verify", "--node-id", "test-server"])
        .args(["--object-store", "file", "--data-dir"])
        .arg(data)
        .args(arguments);
    run(command, b"")
}

/// Some data file of a folder.
fn a_data_file(folder: &Path) -> Option<std::path::PathBuf> {
    for entry in fs::read_dir(folder).ok()? {
        let path = entry.ok()?.path();
        if path.is_dir() {
            if let Some(found) = a_data_file(&path) {
                return Some(found);
            }
        } else if path
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            return Some(path);
        }
    }
    None
}

#[test]
fn a_store_is_verified_with_and_without_its_server() {
    let folder = temporary_folder();
    let data = folder.path();
    // Rows become files all the time.
    let server = Server::start(Setup::file(data).with(&["--wal-snapshot-size", "1"]));
    for time in 0..30 {
        server.write("db", "second", &format!("t,a=x v={time} {time}"));
    }
    crate::harness::eventually("a data file", || a_data_file(data).is_some());
    let told = verify(data, &[]).succeeded();
    assert!(told.contains(": clean"), "{told}");
    let refused = verify(data, &["--repair"]).failed(2);
    assert!(
        refused.contains("another process is using log folder"),
        "{refused}"
    );
    server.kill();

    let told = verify(data, &["--fast"]).succeeded();
    assert!(told.contains(": clean"), "{told}");
    let live = a_data_file(data).expect("a data file");
    let orphan = live.with_file_name("00000000000000000001.parquet");
    fs::write(&orphan, "left behind").expect("write");
    let ran = verify(data, &["--format", "json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let lines: Vec<serde_json::Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .filter(|finding: &serde_json::Value| finding["kind"] != "note")
        .collect();
    assert_eq!(lines.len(), 1, "{ran:?}");
    assert_eq!(lines[0]["kind"], "orphan");
    assert_eq!(lines[0]["repaired"], "no");
    let object = lines[0]["object"].as_str().expect("a path");
    assert!(data.join(object) == orphan, "{object}");
    let told = verify(data, &["--repair"]);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.stdout.contains("[removed]"), "{told:?}");
    assert!(!orphan.exists());
    verify(data, &["--repair"]).succeeded();

    let damaged = a_data_file(data).expect("a data file");
    let mut bytes = fs::read(&damaged).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&damaged, bytes).expect("write");
    let told = verify(data, &[]);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.stdout.starts_with("damaged  "), "{told:?}");
}

#[test]
fn what_is_not_there_cannot_be_verified() {
    let folder = temporary_folder();
    let nothing = verify(folder.path(), &[]).failed(2);
    assert!(
        nothing.contains("nothing is stored under node id 'test-server'"),
        "{nothing}"
    );
    let nowhere = folder.path().join("nowhere");
    verify(&nowhere, &[]).failed(2);
    assert!(!nowhere.exists(), "looking creates nothing");
}
