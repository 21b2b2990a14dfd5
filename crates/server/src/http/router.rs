//! Every route in one table.
//!
//! Paths match exactly (but for the names in some): case counts, a trailing slash is another path, and a wrong method is no route at all
//! (spec/http-api.md §1.5). Not here: who may use a route (`authorization`), what it does (one file per noun), what it is told to be
//! (`description`).

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Health,
    Ready,
    Ping,
    Metrics,
    OpenApi,
    HeapProfile,
    License,
    /// Only there in a mode for tests, which this server does not have.
    TelemetrySnapshot,
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
    UndeleteDatabase,
    SetDatabaseRetention,
    ClearDatabaseRetention,
    CreateTable,
    UpdateTable,
    DeleteTable,
    UndeleteTable,
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
    /// Known, and not there yet.
    Unbuilt(Feature),
}

/// What clients may ask for and this version does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    DistinctCaches,
    LastCaches,
    FileIndexes,
    Triggers,
    PluginPackages,
    PluginFiles,
    PluginTests,
    RequestPlugins,
    Nodes,
    QueryGroups,
    Backups,
    Imports,
    Exports,
    LoadCapture,
    RowDeleteRequests,
    RowDeleteRequestList,
    Users,
    Roles,
    Login,
    QueryTelemetry,
    ParquetCleanup,
}

impl Feature {
    /// As it is named in the answer, in the plural.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DistinctCaches => "distinct value caches",
            Self::LastCaches => "last value caches",
            Self::FileIndexes => "file indexes",
            Self::Triggers => "triggers of the processing engine",
            Self::PluginPackages => "packages of plugins",
            Self::PluginFiles => "files of plugins",
            Self::PluginTests => "trials of plugins",
            Self::RequestPlugins => "plugins that answer requests",
            Self::Nodes => "changes of nodes",
            Self::QueryGroups => "query groups",
            Self::Backups => "backups through the server",
            Self::Imports => "imports of Parquet files",
            Self::Exports => "exports of Parquet files",
            Self::LoadCapture => "captures of load",
            Self::RowDeleteRequests | Self::RowDeleteRequestList => "requests to delete rows",
            Self::Users => "users",
            Self::Roles => "roles",
            Self::Login => "logins of users",
            Self::QueryTelemetry => "figures of single queries",
            Self::ParquetCleanup => "cleanups after an upgrade",
        }
    }
}

/// A method and path that are served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    pub(crate) method: &'static str,
    /// A part in braces stands for any name without a slash; `{path}` for all that follows.
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
pub(crate) static ENDPOINTS: [Endpoint; 131] = [
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
    // Clients of versions 1 and 2 knock with HEAD, and so do load balancers.
    endpoint("HEAD",   "/ping", Route::Ping),
    endpoint("HEAD",   "/health", Route::Health),
    endpoint("HEAD",   "/api/v1/health", Route::Health),
    endpoint("GET",    "/ready", Route::Ready),
    endpoint("HEAD",   "/ready", Route::Ready),
    endpoint("GET",    "/metrics", Route::Metrics),
    endpoint("HEAD",   "/metrics", Route::Metrics),
    endpoint("GET",    "/api/v3/configure/database", Route::ListDatabases),
    endpoint("POST",   "/api/v3/configure/database", Route::CreateDatabase),
    endpoint("PUT",    "/api/v3/configure/database", Route::UpdateDatabase),
    endpoint("PATCH",  "/api/v3/configure/database", Route::UpdateDatabase),
    endpoint("DELETE", "/api/v3/configure/database", Route::DeleteDatabase),
    endpoint("POST",   "/api/v3/configure/database/undelete", Route::UndeleteDatabase),
    endpoint("POST",   "/api/v3/configure/database/retention_period", Route::SetDatabaseRetention),
    endpoint("DELETE", "/api/v3/configure/database/retention_period", Route::ClearDatabaseRetention),
    endpoint("POST",   "/api/v3/configure/table", Route::CreateTable),
    endpoint("PUT",    "/api/v3/configure/table", Route::UpdateTable),
    endpoint("PATCH",  "/api/v3/configure/table", Route::UpdateTable),
    endpoint("DELETE", "/api/v3/configure/table", Route::DeleteTable),
    endpoint("POST",   "/api/v3/configure/table/undelete", Route::UndeleteTable),
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
    endpoint("GET",    "/api/v3/openapi.json", Route::OpenApi),
    endpoint("GET",    "/api/v3/show/license", Route::License),
    endpoint("GET",    "/debug/pprof/heap", Route::HeapProfile),
    endpoint("POST",   "/debug/pprof/heap", Route::HeapProfile),
    endpoint("GET",    "/api/v3/test/telemetry_snapshot", Route::TelemetrySnapshot),
    // What is still to come.
    endpoint("POST",   "/api/v3/configure/distinct_cache", Route::Unbuilt(Feature::DistinctCaches)),
    endpoint("DELETE", "/api/v3/configure/distinct_cache", Route::Unbuilt(Feature::DistinctCaches)),
    endpoint("POST",   "/api/v3/configure/last_cache", Route::Unbuilt(Feature::LastCaches)),
    endpoint("DELETE", "/api/v3/configure/last_cache", Route::Unbuilt(Feature::LastCaches)),
    endpoint("POST",   "/api/v3/configure/processing_engine_trigger", Route::Unbuilt(Feature::Triggers)),
    endpoint("DELETE", "/api/v3/configure/processing_engine_trigger", Route::Unbuilt(Feature::Triggers)),
    endpoint("POST",   "/api/v3/configure/processing_engine_trigger/enable", Route::Unbuilt(Feature::Triggers)),
    endpoint("POST",   "/api/v3/configure/processing_engine_trigger/disable", Route::Unbuilt(Feature::Triggers)),
    endpoint("POST",   "/api/v3/configure/plugin_environment/install_packages", Route::Unbuilt(Feature::PluginPackages)),
    endpoint("POST",   "/api/v3/configure/plugin_environment/install_requirements", Route::Unbuilt(Feature::PluginPackages)),
    endpoint("POST",   "/api/v3/plugins/files", Route::Unbuilt(Feature::PluginFiles)),
    endpoint("PUT",    "/api/v3/plugins/files", Route::Unbuilt(Feature::PluginFiles)),
    endpoint("PUT",    "/api/v3/plugins/directory", Route::Unbuilt(Feature::PluginFiles)),
    endpoint("POST",   "/api/v3/plugin_test/wal", Route::Unbuilt(Feature::PluginTests)),
    endpoint("POST",   "/api/v3/plugin_test/schedule", Route::Unbuilt(Feature::PluginTests)),
    endpoint("GET",    "/api/v3/engine/{path}", Route::Unbuilt(Feature::RequestPlugins)),
    endpoint("POST",   "/api/v3/engine/{path}", Route::Unbuilt(Feature::RequestPlugins)),
    endpoint("POST",   "/api/v3/enterprise/configure/node/stop", Route::Unbuilt(Feature::Nodes)),
    endpoint("POST",   "/api/v3/enterprise/configure/node/remove", Route::Unbuilt(Feature::Nodes)),
    endpoint("POST",   "/api/v3/enterprise/configure/file_index", Route::Unbuilt(Feature::FileIndexes)),
    endpoint("DELETE", "/api/v3/enterprise/configure/file_index", Route::Unbuilt(Feature::FileIndexes)),
    endpoint("POST",   "/api/v3/enterprise/configure/query_groups", Route::Unbuilt(Feature::QueryGroups)),
    endpoint("GET",    "/api/v3/enterprise/configure/query_groups", Route::Unbuilt(Feature::QueryGroups)),
    endpoint("GET",    "/api/v3/enterprise/configure/query_groups/{id}", Route::Unbuilt(Feature::QueryGroups)),
    endpoint("PUT",    "/api/v3/enterprise/configure/query_groups/{id}", Route::Unbuilt(Feature::QueryGroups)),
    endpoint("PATCH",  "/api/v3/enterprise/configure/query_groups/{id}", Route::Unbuilt(Feature::QueryGroups)),
    endpoint("DELETE", "/api/v3/enterprise/configure/query_groups/{id}", Route::Unbuilt(Feature::QueryGroups)),
    endpoint("POST",   "/api/v3/enterprise/backup", Route::Unbuilt(Feature::Backups)),
    endpoint("GET",    "/api/v3/enterprise/backup", Route::Unbuilt(Feature::Backups)),
    endpoint("DELETE", "/api/v3/enterprise/backup", Route::Unbuilt(Feature::Backups)),
    endpoint("GET",    "/api/v3/enterprise/backup/{name}", Route::Unbuilt(Feature::Backups)),
    endpoint("DELETE", "/api/v3/enterprise/backup/{name}", Route::Unbuilt(Feature::Backups)),
    endpoint("POST",   "/api/v3/enterprise/restore", Route::Unbuilt(Feature::Backups)),
    endpoint("GET",    "/api/v3/enterprise/restore", Route::Unbuilt(Feature::Backups)),
    endpoint("GET",    "/api/v3/enterprise/restore/{id}", Route::Unbuilt(Feature::Backups)),
    endpoint("DELETE", "/api/v3/enterprise/restore/{id}", Route::Unbuilt(Feature::Backups)),
    endpoint("POST",   "/api/v3/enterprise/import", Route::Unbuilt(Feature::Imports)),
    endpoint("GET",    "/api/v3/enterprise/import", Route::Unbuilt(Feature::Imports)),
    endpoint("GET",    "/api/v3/export/databases", Route::Unbuilt(Feature::Exports)),
    endpoint("GET",    "/api/v3/export/tables", Route::Unbuilt(Feature::Exports)),
    endpoint("GET",    "/api/v3/export/windows", Route::Unbuilt(Feature::Exports)),
    endpoint("GET",    "/api/v3/export/window_data", Route::Unbuilt(Feature::Exports)),
    endpoint("POST",   "/api/v3/loadcap/start", Route::Unbuilt(Feature::LoadCapture)),
    endpoint("GET",    "/api/v3/loadcap/profiles", Route::Unbuilt(Feature::LoadCapture)),
    endpoint("GET",    "/api/v3/loadcap/profiles/{id}", Route::Unbuilt(Feature::LoadCapture)),
    endpoint("DELETE", "/api/v3/loadcap/profiles/{id}", Route::Unbuilt(Feature::LoadCapture)),
    endpoint("GET",    "/api/v3/loadcap/profiles/{id}/preview", Route::Unbuilt(Feature::LoadCapture)),
    endpoint("GET",    "/api/v3/loadcap/profiles/{id}/download", Route::Unbuilt(Feature::LoadCapture)),
    endpoint("GET",    "/api/v3/row_delete_requests", Route::Unbuilt(Feature::RowDeleteRequestList)),
    endpoint("POST",   "/api/v3/row_delete_requests", Route::Unbuilt(Feature::RowDeleteRequests)),
    endpoint("POST",   "/api/v3/row_delete_requests/{seq}/abort", Route::Unbuilt(Feature::RowDeleteRequests)),
    endpoint("POST",   "/api/v3/configure/user", Route::Unbuilt(Feature::Users)),
    endpoint("POST",   "/api/v3/authorize", Route::Unbuilt(Feature::Login)),
    endpoint("POST",   "/api/v3/authorize/refresh", Route::Unbuilt(Feature::Login)),
    endpoint("POST",   "/api/v3/authorize/reset-password", Route::Unbuilt(Feature::Login)),
    endpoint("GET",    "/api/v3/users", Route::Unbuilt(Feature::Users)),
    endpoint("POST",   "/api/v3/users", Route::Unbuilt(Feature::Users)),
    endpoint("GET",    "/api/v3/users/{id}", Route::Unbuilt(Feature::Users)),
    endpoint("PATCH",  "/api/v3/users/{id}", Route::Unbuilt(Feature::Users)),
    endpoint("DELETE", "/api/v3/users/{id}", Route::Unbuilt(Feature::Users)),
    endpoint("POST",   "/api/v3/users/{id}/require-password-reset", Route::Unbuilt(Feature::Users)),
    endpoint("GET",    "/api/v3/users/{id}/roles", Route::Unbuilt(Feature::Users)),
    endpoint("PUT",    "/api/v3/users/{id}/roles", Route::Unbuilt(Feature::Users)),
    endpoint("GET",    "/api/v3/users_by_oauth_id/{oauth_id}", Route::Unbuilt(Feature::Users)),
    endpoint("GET",    "/api/v3/roles", Route::Unbuilt(Feature::Roles)),
    endpoint("GET",    "/api/v3/roles/{id}/permissions", Route::Unbuilt(Feature::Roles)),
    endpoint("GET",    "/api/v3/roles_by_name/{name}", Route::Unbuilt(Feature::Roles)),
    endpoint("GET",    "/api/v3/auth/oauth/config", Route::Unbuilt(Feature::Login)),
    endpoint("GET",    "/api/v3/query_sql_telemetry", Route::Unbuilt(Feature::QueryTelemetry)),
    endpoint("POST",   "/api/v3/enterprise/upgrade/parquet_cleanup", Route::Unbuilt(Feature::ParquetCleanup)),
];

/// The position in [`ENDPOINTS`] of a method and path.
pub(crate) fn find(method: &str, path: &str) -> Option<usize> {
    ENDPOINTS
        .iter()
        .position(|endpoint| is_path_of(endpoint, path) && endpoint.method == method)
}

/// The methods that `path` has, for an `Allow` header; `None` when there is nothing there.
pub(crate) fn methods_of(path: &str) -> Option<String> {
    let methods: Vec<&str> = ENDPOINTS
        .iter()
        .filter(|endpoint| is_path_of(endpoint, path))
        .map(|endpoint| endpoint.method)
        .collect();
    (!methods.is_empty()).then(|| format!("{}, OPTIONS", methods.join(", ")))
}

fn is_path_of(endpoint: &Endpoint, path: &str) -> bool {
    if !endpoint.path.contains('{') {
        return endpoint.path == path;
    }
    let mut parts = path.split('/');
    for wanted in endpoint.path.split('/') {
        let Some(part) = parts.next() else {
            return false;
        };
        match wanted {
            "{path}" => return !part.is_empty(),
            name if name.starts_with('{') && !part.is_empty() => {}
            word if word != part => return false,
            _ => {}
        }
    }
    parts.next().is_none()
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
        let engine = Some(Route::Unbuilt(Feature::RequestPlugins));
        assert_eq!(found("GET", "/api/v3/engine/a/b/"), engine);
        assert_eq!(
            found("GET", "/api/v3/users/7/roles"),
            Some(Route::Unbuilt(Feature::Users))
        );
        let unknown = [
            ("DELETE", "/api/v3/queries/"),
            ("DELETE", "/api/v3/queries/7/8"),
            ("GET", "/api/v3/queries/7"),
            ("HEAD", "/api/v3/configure/database"),
            ("GET", "/api/v3/engine/"),
            ("GET", "/api/v3/engine"),
            ("GET", "/api/v3/users//roles"),
            ("GET", "/api/v3/users/7/roles/8"),
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
    fn the_methods_of_a_path() {
        assert_eq!(methods_of("/write").as_deref(), Some("POST, OPTIONS"));
        let of_engine = methods_of("/api/v3/engine/x");
        assert_eq!(of_engine.as_deref(), Some("GET, POST, OPTIONS"));
        assert_eq!(methods_of("/nothing"), None);
    }

    #[test]
    fn no_endpoint_is_listed_twice() {
        for (at, endpoint) in ENDPOINTS.iter().enumerate() {
            assert_eq!(find(endpoint.method, endpoint.path), Some(at));
        }
    }
}
