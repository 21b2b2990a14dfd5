//! Runs the scenarios of the workspace's `compat/` folder.

use std::path::{Path, PathBuf};

use crate::scenario;

async fn run(name: &str) {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).expect("the scenario exists");
    scenario::run(name, &text).await;
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compat/scenarios")
}

/// One test per file, so that a failure names it.
macro_rules! scenarios {
    ($($name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                run(concat!(stringify!($name), ".txt")).await;
            }
        )*

        #[test]
        fn every_scenario_is_run() {
            let mut listed = vec![$(concat!(stringify!($name), ".txt").to_string()),*];
            let mut found: Vec<String> = std::fs::read_dir(folder())
                .expect("the folder exists")
                .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
                .collect();
            listed.sort();
            found.sort();
            assert_eq!(listed, found);
        }
    };
}

scenarios! {
    auth_exempt
    auth_off
    auth_tokens
    databases
    database_limit
    deletes
    influxql
    query_formats
    query_requests
    request_bodies
    server_information
    server_information_of_clients
    table_lifecycle
    token_named_admin
    token_permissions
    token_rotation
    write_errors
    write_v1
    write_v2
    write_visible
}
