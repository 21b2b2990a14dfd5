//! Runs the scenarios of the workspace's `compat/` folder.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{HeaderName, HeaderValue};
use server::{AuthorizationExempt, Config};

use crate::client::{config, send, start};
use crate::scenario::{self, Scenario};

async fn run(name: &str) {
    let text = std::fs::read_to_string(folder().join(name)).expect("the scenario exists");
    let mut scenario = Scenario::parse(name, &text);
    let node = start(config_of(&scenario)).await;
    while let Some(asked) = scenario.next_request() {
        let answer = send(&node, request(asked)).await;
        let headers = answer.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), value)
        });
        scenario.check(scenario::Answer {
            status: answer.status.as_u16(),
            headers: headers.collect(),
            body: answer.body.to_vec(),
        });
    }
    node.stop().await.expect("the node stops");
}

fn request(asked: scenario::Request) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .method(asked.method.as_str())
        .uri(&asked.target);
    for (name, value) in &asked.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        request = request.header(name, value);
    }
    request
        .body(Full::new(Bytes::from(asked.body)))
        .expect("a request")
}

fn config_of(scenario: &Scenario) -> Config {
    let mut settings = Config {
        without_auth: false,
        ..config()
    };
    for (key, value) in scenario.settings() {
        let number = || value.parse().expect("a number");
        match key.as_str() {
            "auth" => settings.without_auth = value == "off",
            "databases" => settings.limits.databases = number(),
            "tables" => settings.limits.tables = number(),
            "columns" => settings.limits.columns_per_table = number(),
            "request_bytes" => settings.max_http_request_bytes = number(),
            "exempt" => {
                let exempt = value.split(',').map(|name| match name {
                    "health" => AuthorizationExempt::Health,
                    "ping" => AuthorizationExempt::Ping,
                    "metrics" => AuthorizationExempt::Metrics,
                    "ready" => AuthorizationExempt::Ready,
                    other => panic!("unknown exemption {other}"),
                });
                settings.disable_authz = exempt.collect();
            }
            other => panic!("unknown setting {other}"),
        }
    }
    settings
}

pub(crate) fn folder() -> PathBuf {
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
    database_changes
    database_limit
    databases
    deletes
    influxql
    limits
    manners
    not_implemented
    query_formats
    query_requests
    request_bodies
    server_information
    server_information_of_clients
    table_changes
    table_lifecycle
    token_named_admin
    token_permissions
    token_requests
    token_rotation
    tokens_off
    unauthenticated
    undelete
    write_errors
    write_v1
    write_v2
    write_visible
}
