//! Every endpoint has cases in `testdata/authorization.txt`, which `tests/it/authorization.rs` runs against a node.

use crate::http::router::{ENDPOINTS, Route};

use super::*;

const CASES: &str = include_str!("../../testdata/authorization.txt");

/// Whether a case for the endpoint expects what `is_expected` says of its statuses.
fn has_case(method: &str, path: &str, is_expected: impl Fn(&str) -> bool) -> bool {
    let of_endpoint = |request: &str| {
        let mut words = request.split_whitespace();
        let is_method = words.next() == Some(method);
        let target = words.next().unwrap_or_default();
        is_method && target.split('?').next() == Some(path)
    };
    CASES.split("\n\n").any(|case| {
        let mut lines = case.lines().filter(|line| !line.starts_with('#'));
        let request = lines.next().and_then(|line| line.strip_prefix("> "));
        request.is_some_and(of_endpoint)
            && lines.any(|line| {
                let status = line.split(':').next().unwrap_or_default();
                status.parse::<u16>().is_ok() && is_expected(status)
            })
    })
}

#[test]
fn every_endpoint_is_tried_by_who_may_and_by_who_may_not() {
    for endpoint in &ENDPOINTS {
        let (method, path) = (endpoint.method, endpoint.path);
        let is_allowed = |status: &str| !matches!(status, "401" | "403");
        assert!(
            has_case(method, path, is_allowed),
            "nobody may use {method} {path}"
        );
        if rule(endpoint.route) != Rule::Open {
            assert!(
                has_case(method, path, |status| status == "403" || status == "401"),
                "nobody is refused {method} {path}"
            );
        }
    }
}

/// A list by hand, so that an endpoint does not become open by mistake.
#[test]
fn one_endpoint_is_open_and_two_take_staged_secrets() {
    let with = |wanted: Rule| {
        let mut routes: Vec<Route> = Vec::new();
        for endpoint in &ENDPOINTS {
            if rule(endpoint.route) == wanted && !routes.contains(&endpoint.route) {
                routes.push(endpoint.route);
            }
        }
        routes
    };
    assert_eq!(with(Rule::Open), [Route::CreateOperatorToken]);
    assert_eq!(
        with(Rule::AnySecret),
        [Route::DescribeOwnToken, Route::ConfirmRotation]
    );
}
