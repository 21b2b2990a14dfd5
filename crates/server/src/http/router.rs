//! Every route in one table.
//!
//! Paths match exactly (but for the id at the end of some): case counts, a trailing slash is another path, and a wrong method is no route at all
//! (spec/http-api.md §1.5). Not here: who may use a route (`authorization`), what it does (one file per noun).

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Health,
    Ping,
    Metrics,
    WriteLp,
    WriteV2,
    WriteV1,
    QuerySql,
    QueryInfluxql,
    QueryV1,
    ListDatabases,
    CreateDatabase,
    UpdateDatabase,
    DeleteDatabase,
    SetDatabaseRetention,
    ClearDatabaseRetention,
    CreateTable,
    UpdateTable,
    DeleteTable,
    SetTableRetention,
    ClearTableRetention,
    DeleteRows,
    CreateOperatorToken,
    RegenerateOperatorToken,
    CreateNamedAdminToken,
    CreateToken,
    ListTokens,
    DescribeOwnToken,
    RegenerateToken,
    ConfirmRotation,
    DropPreviousSecret,
    DropStagedSecret,
    DeleteToken,
    CancelQuery,
    ShowQueryConcurrencyLimit,
    SetQueryConcurrencyLimit,
    ClearQueryConcurrencyLimit,
}

/// A method and path that are served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    pub(crate) method: &'static str,
    /// One that ends in `{id}` is of all ids.
    pub(crate) path: &'static str,
    pub(crate) route: Route,
}

const fn endpoint(method: &'static str, path: &'static str, route: Route) -> Endpoint {
    Endpoint {
        method,
        path,
        route,
    }
}

/// In the order in which they are looked for: the busy ones first.
#[rustfmt::skip] // One line per route, or it is no table.
pub(crate) static ENDPOINTS: [Endpoint; 49] = [
    endpoint("POST",   "/api/v3/write_lp", Route::WriteLp),
    endpoint("POST",   "/api/v2/write", Route::WriteV2),
    endpoint("POST",   "/write", Route::WriteV1),
    endpoint("POST",   "/api/v3/query_sql", Route::QuerySql),
    endpoint("GET",    "/api/v3/query_sql", Route::QuerySql),
    endpoint("POST",   "/api/v3/query_influxql", Route::QueryInfluxql),
    endpoint("GET",    "/api/v3/query_influxql", Route::QueryInfluxql),
    endpoint("POST",   "/query", Route::QueryV1),
    endpoint("GET",    "/query", Route::QueryV1),
    endpoint("GET",    "/health", Route::Health),
    endpoint("GET",    "/api/v1/health", Route::Health),
    endpoint("GET",    "/ping", Route::Ping),
    endpoint("POST",   "/ping", Route::Ping),
    // The one HEAD there is: clients of versions 1 and 2 knock with it.
    endpoint("HEAD",   "/ping", Route::Ping),
    endpoint("GET",    "/metrics", Route::Metrics),
    endpoint("GET",    "/api/v3/configure/database", Route::ListDatabases),
    endpoint("POST",   "/api/v3/configure/database", Route::CreateDatabase),
    endpoint("PUT",    "/api/v3/configure/database", Route::UpdateDatabase),
    endpoint("PATCH",  "/api/v3/configure/database", Route::UpdateDatabase),
    endpoint("DELETE", "/api/v3/configure/database", Route::DeleteDatabase),
    endpoint("POST",   "/api/v3/configure/database/retention_period", Route::SetDatabaseRetention),
    endpoint("DELETE", "/api/v3/configure/database/retention_period", Route::ClearDatabaseRetention),
    endpoint("POST",   "/api/v3/configure/table", Route::CreateTable),
    endpoint("PUT",    "/api/v3/configure/table", Route::UpdateTable),
    endpoint("PATCH",  "/api/v3/configure/table", Route::UpdateTable),
    endpoint("DELETE", "/api/v3/configure/table", Route::DeleteTable),
    endpoint("POST",   "/api/v3/configure/table/retention_period", Route::SetTableRetention),
    endpoint("DELETE", "/api/v3/configure/table/retention_period", Route::ClearTableRetention),
    endpoint("POST",   "/api/v2/delete", Route::DeleteRows),
    endpoint("POST",   "/api/v3/configure/token/admin", Route::CreateOperatorToken),
    endpoint("POST",   "/api/v3/configure/token/admin/regenerate", Route::RegenerateOperatorToken),
    endpoint("POST",   "/api/v3/configure/token/named_admin", Route::CreateNamedAdminToken),
    endpoint("POST",   "/api/v3/configure/token", Route::CreateToken),
    endpoint("GET",    "/api/v3/configure/token", Route::ListTokens),
    endpoint("DELETE", "/api/v3/configure/token", Route::DeleteToken),
    endpoint("GET",    "/api/v3/configure/token/self", Route::DescribeOwnToken),
    endpoint("POST",   "/api/v3/configure/token/regenerate", Route::RegenerateToken),
    endpoint("POST",   "/api/v3/configure/token/confirm", Route::ConfirmRotation),
    endpoint("DELETE", "/api/v3/configure/token/previous", Route::DropPreviousSecret),
    endpoint("DELETE", "/api/v3/configure/token/staged", Route::DropStagedSecret),
    endpoint("DELETE", "/api/v3/queries/{id}", Route::CancelQuery),
    endpoint("GET",    "/api/v3/configure/query_concurrency_limit", Route::ShowQueryConcurrencyLimit),
    endpoint("PUT",    "/api/v3/configure/query_concurrency_limit", Route::SetQueryConcurrencyLimit),
    endpoint("DELETE", "/api/v3/configure/query_concurrency_limit", Route::ClearQueryConcurrencyLimit),
    // Documentation advertises these two.
    endpoint("POST",   "/api/v3/enterprise/configure/token/admin", Route::CreateOperatorToken),
    endpoint("POST",   "/api/v3/enterprise/configure/token/admin/regenerate", Route::RegenerateOperatorToken),
    // And these, of the larger edition.
    endpoint("POST",   "/api/v3/enterprise/configure/token", Route::CreateToken),
    endpoint("POST",   "/api/v3/enterprise/configure/table/retention_period", Route::SetTableRetention),
    endpoint("DELETE", "/api/v3/enterprise/configure/table/retention_period", Route::ClearTableRetention),
];

/// The position in [`ENDPOINTS`] of a method and path.
pub(crate) fn find(method: &str, path: &str) -> Option<usize> {
    ENDPOINTS
        .iter()
        .position(|endpoint| is_path_of(endpoint, path) && endpoint.method == method)
}

fn is_path_of(endpoint: &Endpoint, path: &str) -> bool {
    match endpoint.path.strip_suffix("{id}") {
        None => endpoint.path == path,
        Some(before) => path
            .strip_prefix(before)
            .is_some_and(|id| !id.is_empty() && !id.contains('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_match_exactly() {
        let found = |method, path| find(method, path).map(|at| ENDPOINTS[at].route);
        assert_eq!(found("GET", "/health"), Some(Route::Health));
        assert_eq!(found("POST", "/api/v3/write_lp"), Some(Route::WriteLp));
        assert_eq!(found("GET", "/api/v3/query_sql"), Some(Route::QuerySql));
        assert_eq!(
            found("DELETE", "/api/v3/queries/7"),
            Some(Route::CancelQuery)
        );
        let unknown = [
            ("DELETE", "/api/v3/queries/"),
            ("DELETE", "/api/v3/queries/7/8"),
            ("GET", "/api/v3/queries/7"),
            ("HEAD", "/health"),
            ("get", "/health"),
            ("GET", "/health/"),
            ("GET", "/Health"),
            ("GET", "//health"),
            ("GET", "/"),
            ("GET", ""),
            ("GET", "/api/v3/configure/table"),
            ("PUT", "/api/v3/configure/token"),
            ("GET", "/api/v3/configure/token/admin"),
            ("POST", "/api/v2/write/"),
            ("GET", "/api/v2/write"),
            ("GET", "/write"),
            ("HEAD", "/query"),
            ("POST", "/api/v2/query"),
        ];
        for (method, path) in unknown {
            assert_eq!(found(method, path), None, "{method} {path}");
        }
    }

    #[test]
    fn no_endpoint_is_listed_twice() {
        for (at, endpoint) in ENDPOINTS.iter().enumerate() {
            assert_eq!(find(endpoint.method, endpoint.path), Some(at));
        }
    }
}
