//! The Arrow Flight clients that people use, unmodified, against the binary with authentication on.
//!
//! `GNOMON_PYTHON` names a Python that has all of them, and `GNOMON_NODE_MODULES` a folder with the client for JavaScript in its
//! `node_modules`; then a missing one fails the test. Otherwise `python3` and `node` are tried, and what they lack is said and
//! passed over. The talking is done by `compat/flight_clients.py` and `compat/flight_client.mjs`.

use std::ffi::OsString;
use std::process::Command;

use crate::harness::{Server, Setup, say};

/// What a script says when the client is not there.
const MISSING: i32 = 77;

#[test]
fn clients_of_python_and_javascript_get_their_rows() {
    let mut server = Server::start(Setup::memory().with_auth());
    let token = server.create_token();
    let address = server.address();
    let arguments = [
        address.ip().to_string(),
        address.port().to_string(),
        token,
        "clients".to_string(),
    ];

    let named = std::env::var_os("GNOMON_PYTHON");
    let mut python = Command::new(named.clone().unwrap_or_else(|| "python3".into()));
    python.arg(script("flight_clients.py")).args(&arguments);
    if named.is_some() {
        python.arg("--all");
    }
    let wrote = talk("Python", python, named);

    let named = std::env::var_os("GNOMON_NODE_MODULES");
    if wrote {
        let mut node = Command::new("node");
        node.arg(script("flight_client.mjs")).args(&arguments);
        talk("JavaScript", node, named);
    }
    server.stop();
}

fn script(name: &str) -> String {
    format!("{}/../../compat/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs a script; tells whether there was one that could be run.
fn talk(language: &str, mut command: Command, named: Option<OsString>) -> bool {
    let output = match command.output() {
        Ok(output) => output,
        Err(fault) => {
            assert!(named.is_none(), "{language}: {fault}");
            say(&format!("skipped: {language} is not installed: {fault}"));
            return false;
        }
    };
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) => {
            say(&said);
            true
        }
        Some(MISSING) if named.is_none() => {
            say(&said);
            // Python has written its rows before it looks for clients.
            true
        }
        code => panic!(
            "{language} ended with {code:?}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}
