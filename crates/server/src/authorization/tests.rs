//! Every endpoint has cases in `testdata/authorization.txt`, which `tests/it/authorization.rs` runs against a node.

use catalog::{AskedPermission, AskedPermissions, Catalog, Limits, TokenRequest};
use runtime::{Random, SystemClock, Tasks, World, object_store};

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
        // One case for each rule of these is in the table; that all of them ask for a token, a scenario shows.
        if matches!(endpoint.route, Route::Unbuilt(_)) {
            continue;
        }
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

/// Nothing is allowed until a statement says what it needs, nor when that is more than the route's rule has.
#[tokio::test]
async fn a_statement_is_allowed_no_more_than_its_route() {
    let world = World {
        clock: Arc::new(SystemClock::new()),
        random: Random::seeded(1),
        store: object_store::in_memory(),
        tasks: Tasks::new(),
    };
    let catalog = Catalog::open("node", &world, Limits::default())
        .await
        .expect("it opens");
    let everything = "db:*:create,describe,read,write,delete";
    let everything = AskedPermission::parse(everything).expect("a permission");
    let request = TokenRequest {
        name: "t".to_string(),
        description: None,
        expiry_ms: None,
        permissions: AskedPermissions::Listed(vec![everything]),
    };
    let made = catalog.create_token(request, &Asker::Node).await;
    let secret = made.expect("a token").secret;
    let caller = Caller::Known(
        catalog
            .authenticate(secret.as_bytes())
            .expect("it is valid"),
    );
    let snapshot = catalog.snapshot();
    let of_route = |route| Permit::for_route(route, &caller).expect("the route is allowed");

    let permit = of_route(Route::QueryV1);
    let is_allowed = |permit: Permit<'_>| permit.database(&snapshot, "d").is_ok();
    assert!(!is_allowed(permit));
    assert!(is_allowed(permit.for_statement(&[Action::Read])));
    assert!(!is_allowed(permit.for_statement(&[Action::Delete])));
    assert!(!is_allowed(
        permit.for_statement(&[Action::Read, Action::Write])
    ));
    let permit = of_route(Route::QuerySql);
    assert!(is_allowed(permit));
    assert!(!is_allowed(permit.for_statement(&[Action::Read])));
}
