//! Every route that clients may know (`compat/inventory/routes.txt`) is served, and scenarios show each of its statuses.
//!
//! What is served is read from the node's own document; statuses that only the table of who may do what shows count too.

use std::collections::BTreeSet;
use std::path::Path;

use crate::client::{config, get, send, start};
use crate::compat;

const ROUTES: &str = include_str!("../../../../compat/inventory/routes.txt");
const AUTHORIZATION: &str = include_str!("../../testdata/authorization.txt");

struct Listed {
    method: String,
    path: String,
    statuses: Vec<String>,
}

fn listed() -> Vec<Listed> {
    ROUTES
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (route, statuses) = line.split_once(": ").expect("a route and statuses");
            let (method, path) = route.split_once(' ').expect("a method and a path");
            Listed {
                method: method.to_string(),
                path: path.trim().to_string(),
                statuses: statuses.split(' ').map(str::to_string).collect(),
            }
        })
        .collect()
}

#[tokio::test]
async fn what_is_listed_is_what_is_served_with_statuses_that_are_declared() {
    let node = start(config()).await;
    let document = send(&node, get("/api/v3/openapi.json")).await;
    node.stop().await.expect("stops");
    let document: serde_json::Value = serde_json::from_slice(&document.body).expect("JSON");
    let mut served = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            served.insert((method.to_uppercase(), path.clone()));
        }
    }
    let listed = listed();
    let routes: BTreeSet<_> = listed
        .iter()
        .map(|route| (route.method.clone(), route.path.clone()))
        .collect();
    assert_eq!(routes, served);
    for route in listed {
        let operation = &document["paths"][&route.path][route.method.to_lowercase()];
        for status in route.statuses {
            assert!(
                operation["responses"][&status].is_object(),
                "{} {} does not declare {status}",
                route.method,
                route.path
            );
        }
    }
}

#[test]
fn every_status_of_every_route_is_shown_by_a_scenario() {
    let listed = listed();
    let mut shown = BTreeSet::new();
    let mut note = |request: &str, status: &str| {
        let (method, target) = request.split_once(' ').expect("a method and a path");
        let path = target.split('?').next().unwrap_or_default();
        let route = listed
            .iter()
            .position(|route| route.method == method && is_path_of(&route.path, path));
        if let Some(route) = route {
            shown.insert((route, status.to_string()));
        }
    };
    for entry in std::fs::read_dir(compat::folder()).expect("the folder exists") {
        let path = entry.expect("readable").path();
        each_exchange(&path, &mut note);
    }
    for case in AUTHORIZATION.split("\n\n") {
        let mut lines = case.lines().filter(|line| !line.starts_with('#'));
        let request = lines.next().and_then(|line| line.strip_prefix("> "));
        let statuses = lines.filter(|line| !line.starts_with('>'));
        for status in statuses.filter_map(|line| line.split_once(": ")) {
            note(request.expect("a request"), status.0);
        }
    }
    let missing: Vec<String> = listed
        .iter()
        .enumerate()
        .flat_map(|(at, route)| route.statuses.iter().map(move |status| (at, route, status)))
        .filter(|(at, _, status)| !shown.contains(&(*at, status.to_string())))
        .map(|(_, route, status)| format!("{} {} {status}", route.method, route.path))
        .collect();
    assert!(missing.is_empty(), "no scenario shows {missing:#?}");
}

/// The first line of each request and of each response of a scenario.
fn each_exchange(path: &Path, note: &mut impl FnMut(&str, &str)) {
    let text = std::fs::read_to_string(path).expect("text");
    let mut request = None;
    let mut previous = None;
    for line in text.lines() {
        let mark = line.chars().next();
        if mark != previous {
            if let Some(first) = line.strip_prefix("> ") {
                request = Some(first);
            } else if let (Some(status), Some(request)) = (line.strip_prefix("< "), request) {
                note(request, status);
            }
        }
        previous = mark;
    }
}

fn is_path_of(pattern: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    for wanted in pattern.split('/') {
        match (wanted, parts.next()) {
            ("{path}", Some(part)) => return !part.is_empty(),
            (name, Some(part)) if name.starts_with('{') && !part.is_empty() => {}
            (word, Some(part)) if word == part => {}
            _ => return false,
        }
    }
    parts.next().is_none()
}
