//! What tokens may do: the grammar of permissions, and the one place that decides whether one is enough.
//!
//! A permission names databases, tables or parts of the server, and what may be done with them; what a token may do is the
//! union of its permissions (spec/auth-tokens.md §15). Names are resolved when a token is made: permissions are bound to ids, so
//! a database made again under the same name is another one. Not here: which endpoint needs what (`server/authorization`).

use std::fmt;

use crate::{Database, DatabaseId, Error, Snapshot, TableId};

/// The server's own database: for administrators alone.
const INTERNAL: DatabaseId = DatabaseId(0);

/// What can be done with a database or a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To make databases, and tables in them.
    Create,
    /// To see that it exists and what it looks like.
    Describe,
    Read,
    Write,
    /// To delete rows, tables, and the database.
    Delete,
}

impl Action {
    pub const ALL: [Self; 5] = [
        Self::Create,
        Self::Describe,
        Self::Read,
        Self::Write,
        Self::Delete,
    ];

    /// The word for it in a permission; case counts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Describe => "describe",
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// A set of actions.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Actions(u8);

impl Actions {
    pub fn contains(self, action: Action) -> bool {
        self.0 & Self::of(action).0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// In the order of [`Action::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL
            .into_iter()
            .filter(move |action| self.contains(*action))
    }

    fn of(action: Action) -> Self {
        Self(1 << action as u8)
    }

    fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<Action> for Actions {
    fn from_iter<T: IntoIterator<Item = Action>>(actions: T) -> Self {
        actions
            .into_iter()
            .fold(Self::default(), |all, action| all.union(Self::of(action)))
    }
}

impl fmt::Display for Actions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&joined(self.iter().map(Action::name)))
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Actions({self})")
    }
}

/// A part of the server that can be read without being an administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemResource {
    Health,
    Metrics,
    Ping,
    Ready,
}

impl SystemResource {
    pub const ALL: [Self; 4] = [Self::Health, Self::Metrics, Self::Ping, Self::Ready];

    pub fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Metrics => "metrics",
            Self::Ping => "ping",
            Self::Ready => "ready",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        let name = name.trim();
        Self::ALL
            .into_iter()
            .find(|resource| resource.name().eq_ignore_ascii_case(name))
    }
}

/// One permission of a token, its names resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// `db:*:…`: those that exist, and those to come.
    EveryDatabase(Actions),
    Databases {
        databases: Vec<DatabaseId>,
        /// Tables alone, each with its database.
        tables: Vec<(DatabaseId, TableId)>,
        actions: Actions,
    },
    /// `system:*:read`.
    EverySystem,
    System(Vec<SystemResource>),
}

/// What a permission is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// All databases; also one that does not exist yet.
    EveryDatabase,
    /// All of a database.
    Database(DatabaseId),
    Table(DatabaseId, TableId),
}

/// All that a token may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    is_admin: bool,
    /// As they were given.
    grants: Vec<Grant>,
    every_database: Actions,
    /// By ascending id, each once.
    databases: Vec<(DatabaseId, Actions)>,
    /// By ascending ids, each once.
    tables: Vec<((DatabaseId, TableId), Actions)>,
    system: Vec<SystemResource>,
}

impl Permissions {
    /// Those of an administrator: everything.
    pub fn admin() -> Self {
        Self {
            is_admin: true,
            ..Self::of(Vec::new())
        }
    }

    /// The union of `grants`.
    pub fn of(grants: Vec<Grant>) -> Self {
        let mut every_database = Actions::default();
        let (mut on_databases, mut on_tables, mut system) = (Vec::new(), Vec::new(), Vec::new());
        for grant in &grants {
            match grant {
                Grant::EveryDatabase(actions) => every_database = every_database.union(*actions),
                Grant::Databases {
                    databases,
                    tables,
                    actions,
                } => {
                    on_databases.extend(databases.iter().map(|id| (*id, *actions)));
                    on_tables.extend(tables.iter().map(|id| (*id, *actions)));
                }
                Grant::EverySystem => system.extend(SystemResource::ALL),
                Grant::System(resources) => system.extend(resources),
            }
        }
        Self {
            is_admin: false,
            grants,
            every_database,
            databases: united(on_databases),
            tables: united(on_tables),
            system,
        }
    }

    pub fn is_admin(&self) -> bool {
        self.is_admin
    }

    /// As they were given; none for an administrator.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Whether `action` is allowed on all of `resource`.
    pub fn allows(&self, action: Action, resource: Resource) -> bool {
        self.is_admin || self.actions_on(resource).contains(action)
    }

    /// Whether `action` is allowed on the database or on any table of it.
    pub fn allows_within(&self, action: Action, database: DatabaseId) -> bool {
        self.allows(action, Resource::Database(database))
            || self
                .tables_of(database)
                .any(|(_, actions)| database != INTERNAL && actions.contains(action))
    }

    /// Whether there can be a database or table on which `action` is allowed.
    pub fn allows_somewhere(&self, action: Action) -> bool {
        let on_databases = self.databases.iter().map(|(_, actions)| actions);
        let on_tables = self.tables.iter().map(|(_, actions)| actions);
        self.is_admin
            || self.every_database.contains(action)
            || on_databases
                .chain(on_tables)
                .any(|actions| actions.contains(action))
    }

    pub fn allows_system(&self, resource: SystemResource) -> bool {
        self.is_admin || self.system.contains(&resource)
    }

    /// Whether all that `other` allows is allowed here too.
    pub fn covers(&self, other: &Self) -> bool {
        if self.is_admin || other.is_admin {
            return self.is_admin;
        }
        let covers = |resource, actions| self.actions_on(resource).covers(actions);
        covers(Resource::EveryDatabase, other.every_database)
            && other
                .databases
                .iter()
                .all(|(id, actions)| covers(Resource::Database(*id), *actions))
            && other.tables.iter().all(|((database, table), actions)| {
                covers(Resource::Table(*database, *table), *actions)
            })
            && other
                .system
                .iter()
                .all(|resource| self.system.contains(resource))
    }

    /// The permissions in the form they are written in, with the names that things have in `snapshot`. What is gone is left
    /// out.
    pub fn to_strings(&self, snapshot: &Snapshot) -> Vec<String> {
        if self.is_admin {
            return vec!["*:*:*".to_string()];
        }
        self.grants
            .iter()
            .filter_map(|grant| written(grant, snapshot))
            .collect()
    }

    fn actions_on(&self, resource: Resource) -> Actions {
        let (database, table) = match resource {
            Resource::EveryDatabase => return self.every_database,
            Resource::Database(INTERNAL) | Resource::Table(INTERNAL, _) => {
                return Actions::default();
            }
            Resource::Database(database) => (database, None),
            Resource::Table(database, table) => (database, Some((database, table))),
        };
        self.every_database
            .union(found(&self.databases, &database))
            .union(table.map_or_else(Actions::default, |table| found(&self.tables, &table)))
    }

    fn tables_of(
        &self,
        database: DatabaseId,
    ) -> impl Iterator<Item = &((DatabaseId, TableId), Actions)> {
        let start = self.tables.partition_point(|((of, _), _)| *of < database);
        self.tables[start..]
            .iter()
            .take_while(move |((of, _), _)| *of == database)
    }
}

/// What a new token is to be allowed, before names are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskedPermissions {
    Admin,
    Listed(Vec<AskedPermission>),
}

impl AskedPermissions {
    /// With the names of `snapshot`. Errors: `Invalid`, with the texts of spec/auth-tokens.md §15.3.
    pub(crate) fn resolve(&self, snapshot: &Snapshot) -> Result<Permissions, Error> {
        match self {
            Self::Admin => Ok(Permissions::admin()),
            Self::Listed(listed) => {
                let grants: Result<_, _> =
                    listed.iter().map(|asked| asked.resolve(snapshot)).collect();
                Ok(Permissions::of(grants?))
            }
        }
    }
}

/// What a name in a permission stands for.
enum Named {
    Database(DatabaseId),
    Table(DatabaseId, TableId),
}

/// One permission as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedPermission {
    /// `db` or `system`.
    pub resource_type: String,
    /// Databases, tables as `database.table`, parts of the server; or `*` alone.
    pub resource_names: Vec<String>,
    pub actions: Vec<String>,
}

impl AskedPermission {
    /// `type:names:actions`, lists separated by commas; names may hold colons. Errors: `Invalid`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parts = text.split_once(':').and_then(|(resource_type, rest)| {
            let (names, actions) = rest.rsplit_once(':')?;
            Some((resource_type, names, actions))
        });
        let Some((resource_type, names, actions)) = parts else {
            return Err(unparsable(&format!(
                "expected TYPE:NAMES:ACTIONS and got {text}"
            )));
        };
        let list = |text: &str| text.split(',').map(str::to_string).collect();
        Ok(Self {
            resource_type: resource_type.to_string(),
            resource_names: list(names),
            actions: list(actions),
        })
    }

    /// Whether it is a permission, whatever the names in it stand for. Errors: `Invalid`.
    pub fn check(&self) -> Result<(), Error> {
        let any = |name: &str| match name {
            "" => None,
            name if name.contains('.') => Some(Named::Table(DatabaseId(0), TableId(0))),
            _ => Some(Named::Database(DatabaseId(0))),
        };
        self.resolve_names(&any).map(|_| ())
    }

    fn resolve(&self, snapshot: &Snapshot) -> Result<Grant, Error> {
        // Names of databases have no dot in them.
        self.resolve_names(&|name| match name.split_once('.') {
            None => Some(Named::Database(snapshot.database(name)?.id)),
            Some((database, table)) => {
                let database = snapshot.database(database)?;
                Some(Named::Table(database.id, database.table(table)?.id))
            }
        })
    }

    fn resolve_names(&self, find: &dyn Fn(&str) -> Option<Named>) -> Result<Grant, Error> {
        match self.resource_type.as_str() {
            "db" => self.resolve_databases(find),
            "system" => self.resolve_system(),
            "*" => Err(unparsable(
                "* resource type can only be set for admin token",
            )),
            other => Err(unparsable(&format!("resource type not supported {other}"))),
        }
    }

    fn resolve_databases(&self, find: &dyn Fn(&str) -> Option<Named>) -> Result<Grant, Error> {
        let every = self.is_wildcard()?;
        let (mut databases, mut tables) = (Vec::new(), Vec::new());
        for name in self.resource_names.iter().filter(|_| !every) {
            match find(name).ok_or_else(|| invalid_name(name))? {
                Named::Database(database) => databases.push(database),
                Named::Table(database, table) => tables.push((database, table)),
            }
        }
        let actions = self.actions(|name| {
            Action::named(name)
                .ok_or_else(|| unparsable(&format!("action not supported, database action {name}")))
        })?;
        let actions: Actions = actions.into_iter().collect();
        if !tables.is_empty() && actions.contains(Action::Create) {
            return Err(unparsable("action not supported, table action create"));
        }
        Ok(if every {
            Grant::EveryDatabase(actions)
        } else {
            Grant::Databases {
                databases,
                tables,
                actions,
            }
        })
    }

    fn resolve_system(&self) -> Result<Grant, Error> {
        let every = self.is_wildcard()?;
        let resources: Result<Vec<_>, _> = self
            .resource_names
            .iter()
            .filter(|_| !every)
            .map(|name| SystemResource::named(name).ok_or_else(|| invalid_name(name)))
            .collect();
        let resources = resources?;
        self.actions(|name| match name {
            "read" => Ok(()),
            other => Err(unparsable(&format!(
                "action not supported, system action {other}"
            ))),
        })?;
        Ok(if every {
            Grant::EverySystem
        } else {
            Grant::System(resources)
        })
    }

    fn is_wildcard(&self) -> Result<bool, Error> {
        match self.resource_names.as_slice() {
            [] => Err(invalid_name("")),
            [name] if name == "*" => Ok(true),
            names if names.iter().any(|name| name == "*") => {
                Err(unparsable("mixed wildcard (*) and resource name"))
            }
            _ => Ok(false),
        }
    }

    /// At least one, or a permission would allow nothing without saying so.
    fn actions<T>(&self, read: impl Fn(&str) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        if self.actions.is_empty() {
            return read("").map(|action| vec![action]);
        }
        self.actions.iter().map(|name| read(name)).collect()
    }
}

fn invalid_name(name: &str) -> Error {
    unparsable(&format!("invalid resource name {name}"))
}

fn unparsable(why: &str) -> Error {
    Error::invalid(format!("cannot parse token permission, {why}"))
}

/// Sorted, and each key once.
fn united<K: Ord + Copy>(mut all: Vec<(K, Actions)>) -> Vec<(K, Actions)> {
    all.sort_by_key(|(key, _)| *key);
    all.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 = kept.1.union(later.1);
        }
        same
    });
    all
}

fn found<K: Ord>(sorted: &[(K, Actions)], key: &K) -> Actions {
    match sorted.binary_search_by(|(candidate, _)| candidate.cmp(key)) {
        Ok(at) => sorted[at].1,
        Err(_) => Actions::default(),
    }
}

fn written(grant: &Grant, snapshot: &Snapshot) -> Option<String> {
    let (kind, names, actions) = match grant {
        Grant::EveryDatabase(actions) => ("db", "*".to_string(), actions.to_string()),
        Grant::Databases {
            databases,
            tables,
            actions,
        } => {
            let databases = databases
                .iter()
                .filter_map(|id| snapshot.database_by_id(*id))
                .map(|database| database.name.to_string());
            let tables = tables.iter().filter_map(|(database, table)| {
                let database: &Database = snapshot.database_by_id(*database)?;
                let table = database.table_by_id(*table)?;
                Some(format!("{}.{}", database.name, table.name))
            });
            let names: Vec<String> = databases.chain(tables).collect();
            if names.is_empty() {
                return None;
            }
            ("db", names.join(","), actions.to_string())
        }
        Grant::EverySystem => ("system", "*".to_string(), "read".to_string()),
        Grant::System(resources) => {
            let names = joined(resources.iter().map(|resource| resource.name()));
            ("system", names, "read".to_string())
        }
    };
    Some(format!("{kind}:{names}:{actions}"))
}

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
