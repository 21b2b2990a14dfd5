//! What every endpoint needs, in one table, and who may use it.
//!
//! [`rule`] says for each route what has to be allowed; a request that no token of the kind could ever make is refused before
//! its body is read. Which database or table it is about stands in the request, so the handler asks for that one through its
//! [`Permit`], and there is no other way to ask. What a token may do: `catalog`; the matrix: spec/auth-tokens.md §15.5.
//! Not here: whose a request is (`authenticator`), which rows of a query's answer are seen (`query`'s `Access`).

use std::sync::Arc;

use catalog::{
    Action, Asker, Authenticated, Database, Permissions, Resource, SecretKind, Snapshot,
    SystemResource,
};
use query::Access;

use crate::http::error::Failure;
use crate::http::router::{Feature, Route};

/// Who makes a request.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// The path needs no token, or the node runs without authentication.
    Anyone,
    /// The owner of a token that was accepted.
    Known(Authenticated),
}

impl Caller {
    /// As the catalog wants to hear it.
    pub(crate) fn asker(&self) -> Asker {
        match self {
            Self::Anyone => Asker::Anyone,
            Self::Known(authenticated) => Asker::Token(authenticated.clone()),
        }
    }

    pub(crate) fn authenticated(&self) -> Option<&Authenticated> {
        match self {
            Self::Anyone => None,
            Self::Known(authenticated) => Some(authenticated),
        }
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.permissions().is_none_or(|held| held.is_admin())
    }

    /// What a query may see.
    pub(crate) fn access(&self) -> Access {
        match self.permissions() {
            None => Access::Everything,
            Some(held) => Access::Of(Arc::clone(held)),
        }
    }

    /// Whether the caller may look into a database, or into some of its tables: to read, or to see what there is.
    pub(crate) fn may_browse(&self, snapshot: &Snapshot, database: &str) -> bool {
        let allows = |action, held: &Permissions| match snapshot.database_named(database) {
            Some(database) => held.allows_within(action, database.id),
            None => held.allows(action, Resource::EveryDatabase),
        };
        self.permissions()
            .is_none_or(|held| allows(Action::Read, held) || allows(Action::Describe, held))
    }

    /// `None`: nothing is forbidden.
    fn permissions(&self) -> Option<&Arc<Permissions>> {
        self.authenticated()
            .map(|authenticated| &authenticated.token.permissions)
    }
}

/// What an endpoint needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// No token at all.
    Open,
    /// Any valid token; whose tokens it may touch is decided where that is known, in the catalog.
    AnyToken,
    /// Even a secret that waits to be confirmed.
    AnySecret,
    /// To read a part of the server.
    System(SystemResource),
    /// One of these actions, on the database or table of the request.
    Data(&'static [Action]),
    /// To be read before it is known what they need: statements that may need one of these actions, or another one of them.
    Statement(&'static [Action]),
    /// One of these actions, on databases that do not exist yet.
    NewDatabase(&'static [Action]),
    Admin,
}

/// What `route` needs. No route is without a rule: this match has no wildcard, and may not get one.
pub(crate) fn rule(route: Route) -> Rule {
    match route {
        Route::Health => Rule::System(SystemResource::Health),
        Route::Ping => Rule::System(SystemResource::Ping),
        Route::Ready => Rule::System(SystemResource::Ready),
        Route::Metrics => Rule::System(SystemResource::Metrics),
        Route::OpenApi | Route::TelemetrySnapshot => Rule::AnyToken,
        Route::HeapProfile | Route::License => Rule::Admin,
        Route::WriteLp | Route::WriteV2 | Route::WriteV1 => Rule::Data(&[Action::Write]),
        // Whether a DELETE is allowed is asked again when the statement is known.
        Route::QuerySql | Route::QueryInfluxql => Rule::Data(&[Action::Read]),
        Route::QueryV1 => Rule::Statement(&[Action::Read, Action::Describe, Action::Create]),
        Route::ListDatabases => Rule::Data(&[Action::Describe, Action::Read]),
        Route::CreateDatabase => Rule::NewDatabase(&[Action::Create]),
        Route::UpdateDatabase | Route::SetDatabaseRetention | Route::ClearDatabaseRetention => {
            Rule::Admin
        }
        // To take back a deletion is allowed to who may delete; that it makes something is asked where the name is known.
        Route::DeleteDatabase | Route::UndeleteDatabase | Route::UndeleteTable => {
            Rule::Data(&[Action::Delete])
        }
        Route::CreateTable => Rule::Data(&[Action::Create, Action::Write]),
        Route::UpdateTable | Route::SetTableRetention | Route::ClearTableRetention => Rule::Admin,
        Route::DeleteTable => Rule::Data(&[Action::Delete]),
        Route::DeleteRows => Rule::Data(&[Action::Delete]),
        Route::CreateOperatorToken => Rule::Open,
        Route::RegenerateOperatorToken | Route::CreateNamedAdminToken | Route::CreateToken => {
            Rule::Admin
        }
        Route::ListTokens
        | Route::DeleteToken
        | Route::RegenerateToken
        | Route::DropPreviousSecret
        | Route::DropStagedSecret => Rule::AnyToken,
        // Whose query it is, is known where it runs.
        Route::CancelQuery => Rule::AnyToken,
        Route::ShowQueryConcurrencyLimit
        | Route::SetQueryConcurrencyLimit
        | Route::ClearQueryConcurrencyLimit => Rule::Admin,
        Route::ConfirmRotation | Route::DescribeOwnToken => Rule::AnySecret,
        Route::Unbuilt(feature) => rule_to_be(feature),
    }
}

/// What is not there yet needs what it will need, so that no client finds out later.
fn rule_to_be(feature: Feature) -> Rule {
    match feature {
        Feature::DistinctCaches | Feature::LastCaches | Feature::FileIndexes => {
            Rule::Data(&[Action::Write])
        }
        Feature::RowDeleteRequests => Rule::Data(&[Action::Delete]),
        Feature::RowDeleteRequestList => Rule::Data(&[Action::Read]),
        Feature::RequestPlugins | Feature::Login => Rule::AnyToken,
        Feature::Triggers
        | Feature::PluginPackages
        | Feature::PluginFiles
        | Feature::PluginTests
        | Feature::Nodes
        | Feature::QueryGroups
        | Feature::Backups
        | Feature::Imports
        | Feature::Exports
        | Feature::LoadCapture
        | Feature::Users
        | Feature::Roles
        | Feature::QueryTelemetry
        | Feature::ParquetCleanup => Rule::Admin,
    }
}

/// A request's right to use its route, as far as it is known without the request's content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permit<'a> {
    caller: &'a Caller,
    actions: &'static [Action],
    /// What a statement can be about; it allows nothing until [`Permit::for_statement`] says which.
    of_statements: &'static [Action],
}

impl<'a> Permit<'a> {
    /// Refuses whoever cannot use `route` whatever the request says.
    pub(crate) fn for_route(route: Route, caller: &'a Caller) -> Result<Self, Failure> {
        let rule = rule(route);
        let actions = match rule {
            Rule::Data(actions) | Rule::NewDatabase(actions) => actions,
            _ => &[],
        };
        let of_statements = match rule {
            Rule::Statement(actions) => actions,
            _ => &[],
        };
        let permit = Self {
            caller,
            actions,
            of_statements,
        };
        let Caller::Known(authenticated) = caller else {
            return Ok(permit);
        };
        let held = &authenticated.token.permissions;
        let is_staged = authenticated.kind == SecretKind::Staged;
        let allowed = match rule {
            Rule::Open | Rule::AnySecret => true,
            _ if is_staged => false,
            Rule::AnyToken => true,
            Rule::System(resource) => held.allows_system(resource),
            Rule::Data(actions) | Rule::Statement(actions) => {
                actions.iter().any(|action| held.allows_somewhere(*action))
            }
            Rule::NewDatabase(actions) => actions
                .iter()
                .any(|action| held.allows(*action, Resource::EveryDatabase)),
            Rule::Admin => held.is_admin(),
        };
        if allowed { Ok(permit) } else { Err(refused()) }
    }

    pub(crate) fn caller(&self) -> &'a Caller {
        self.caller
    }

    /// The right to a statement that needs one of `actions`, none of which may be beyond the rule of the route.
    pub(crate) fn for_statement(self, actions: &'static [Action]) -> Self {
        let within = actions
            .iter()
            .all(|action| self.of_statements.contains(action));
        Self {
            actions: if within { actions } else { &[] },
            ..self
        }
    }

    /// All of a database. One that does not exist is as forbidden as one that is not the caller's, so that nobody learns which
    /// of the two it is.
    pub(crate) fn database(&self, snapshot: &Snapshot, name: &str) -> Result<(), Failure> {
        self.require(database_resource(snapshot, name))
    }

    /// Whether all of a database is allowed, or only tables of it, which are then to be asked for one by one. A database that
    /// does not exist has to be made first, which must be allowed too.
    pub(crate) fn database_to_extend(
        &self,
        snapshot: &Snapshot,
        name: &str,
    ) -> Result<Reach, Failure> {
        match snapshot.database_named(name) {
            None => {
                self.require(Resource::EveryDatabase)?;
                let Some(held) = self.caller.permissions() else {
                    return Ok(Reach::Whole);
                };
                if held.allows(Action::Create, Resource::EveryDatabase) {
                    Ok(Reach::Whole)
                } else {
                    Err(refused())
                }
            }
            Some(database) => self.known_database(database),
        }
    }

    /// Whether all of a database is allowed, or only tables of it; of one that does not exist, whether it would be.
    pub(crate) fn database_or_tables(
        &self,
        snapshot: &Snapshot,
        name: &str,
    ) -> Result<Reach, Failure> {
        match snapshot.database_named(name) {
            None => self.require(Resource::EveryDatabase).map(|()| Reach::Whole),
            Some(database) => self.known_database(database),
        }
    }

    fn known_database(&self, database: &Database) -> Result<Reach, Failure> {
        if self.allows(Resource::Database(database.id)) {
            Ok(Reach::Whole)
        } else if self.sees(database) {
            Ok(Reach::Tables)
        } else {
            Err(refused())
        }
    }

    /// One table. One that does not exist needs all of the database.
    pub(crate) fn table(
        &self,
        snapshot: &Snapshot,
        database: &str,
        table: &str,
    ) -> Result<(), Failure> {
        let known = snapshot
            .database_named(database)
            .and_then(|database| Some((database.id, database.table_named(table)?.id)));
        self.require(match known {
            Some((database, table)) => Resource::Table(database, table),
            None => database_resource(snapshot, database),
        })
    }

    /// To bring a deleted database back: allowed to who may delete it, and make new ones.
    pub(crate) fn undelete_database(&self, snapshot: &Snapshot, name: &str) -> Result<(), Failure> {
        self.database(snapshot, name)?;
        self.require_as(Action::Create, Resource::EveryDatabase)
    }

    /// To bring a deleted table back: allowed to who may delete it, and make new ones in its database.
    pub(crate) fn undelete_table(
        &self,
        snapshot: &Snapshot,
        database: &str,
        table: &str,
    ) -> Result<(), Failure> {
        self.table(snapshot, database, table)?;
        self.require_as(Action::Create, database_resource(snapshot, database))
    }

    fn require_as(&self, action: Action, resource: Resource) -> Result<(), Failure> {
        let held = self.caller.permissions();
        match held.is_none_or(|held| held.allows(action, resource)) {
            true => Ok(()),
            false => Err(refused()),
        }
    }

    /// Whether the database or any table of it is allowed.
    pub(crate) fn sees(&self, database: &Database) -> bool {
        self.caller.permissions().is_none_or(|held| {
            self.actions
                .iter()
                .any(|action| held.allows_within(*action, database.id))
        })
    }

    /// What a query of the caller may see.
    pub(crate) fn access(&self) -> Access {
        self.caller.access()
    }

    fn require(&self, resource: Resource) -> Result<(), Failure> {
        if self.allows(resource) {
            Ok(())
        } else {
            Err(refused())
        }
    }

    fn allows(&self, resource: Resource) -> bool {
        self.caller.permissions().is_none_or(|held| {
            self.actions
                .iter()
                .any(|action| held.allows(*action, resource))
        })
    }
}

/// How much of a database a caller may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Whole,
    /// Some tables, to be asked for one by one.
    Tables,
}

fn database_resource(snapshot: &Snapshot, name: &str) -> Resource {
    match snapshot.database_named(name) {
        Some(database) => Resource::Database(database.id),
        None => Resource::EveryDatabase,
    }
}

fn refused() -> Failure {
    Failure::unauthorized_action()
}

#[cfg(test)]
mod tests;
