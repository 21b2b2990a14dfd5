//! What each verb can be done to: `create database`, `create table`, … (spec/cli.md §2.1). What is done is in the file of the noun.
//!
//! Nouns of two words are spelt as the contract has them, with `_` or `-`; the other spelling is understood too.

use super::{
    backup, cache, database, distinct_cache, export, file_index, import, last_cache, license, node,
    package, plugin, query_group, restore, retention, rows, system, table, token, trigger, user,
};
use crate::environment::Environment;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Create {
    /// Create a new database
    Database(database::CreateOptions),
    /// Create a table
    Table(table::CreateOptions),
    /// Create a new auth token
    Token(Box<token::create::Options>),
    /// Create a trigger, which runs a plugin
    Trigger(Box<trigger::CreateOptions>),
    /// Create a cache of the newest rows
    #[command(name = "last_cache", alias = "last-cache")]
    LastCache(Box<last_cache::CreateOptions>),
    /// Create a cache of distinct values
    #[command(name = "distinct_cache", alias = "distinct-cache")]
    DistinctCache(Box<distinct_cache::CreateOptions>),
    /// Say which columns the index of files is about
    #[command(name = "file_index", alias = "file-index")]
    FileIndex(file_index::CreateOptions),
    /// Create a group of nodes that share queries
    #[command(name = "query_group", alias = "query-group")]
    QueryGroup(query_group::CreateOptions),
    /// Create a user
    User(user::CreateOptions),
    /// Begin a backup
    Backup(backup::CreateOptions),
    /// Begin to put everything back to a backup
    Restore(restore::CreateOptions),
}

impl Create {
    pub(crate) async fn run(self, environment: &Environment) -> anyhow::Result<()> {
        match self {
            Self::Database(options) => options.run().await,
            Self::Table(options) => options.run().await,
            Self::Token(options) => options.run(environment).await,
            Self::Trigger(options) => options.run().await,
            Self::LastCache(options) => options.run().await,
            Self::DistinctCache(options) => options.run().await,
            Self::FileIndex(options) => options.run().await,
            Self::QueryGroup(options) => options.run().await,
            Self::User(options) => options.run().await,
            Self::Backup(options) => options.run().await,
            Self::Restore(options) => options.run().await,
        }
    }
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Delete {
    /// Delete a database
    Database(database::DeleteOptions),
    /// Delete a table
    Table(table::DeleteOptions),
    /// Delete rows of a table
    Rows(rows::DeleteOptions),
    /// Delete a token
    Token(token::delete::Options),
    /// Delete a trigger
    Trigger(trigger::DeleteOptions),
    /// Delete a cache of the newest rows
    #[command(name = "last_cache", alias = "last-cache")]
    LastCache(last_cache::DeleteOptions),
    /// Delete a cache of distinct values
    #[command(name = "distinct_cache", alias = "distinct-cache")]
    DistinctCache(distinct_cache::DeleteOptions),
    /// Go back to the usual index of files
    #[command(name = "file_index", alias = "file-index")]
    FileIndex(file_index::DeleteOptions),
    /// Delete a group of nodes; the nodes stay
    #[command(name = "query_group", alias = "query-group")]
    QueryGroup(query_group::DeleteOptions),
    /// Delete a user
    User(user::DeleteOptions),
    /// Delete a backup
    Backup(backup::DeleteOptions),
}

impl Delete {
    pub(crate) async fn run(self, environment: &Environment) -> anyhow::Result<()> {
        match self {
            Self::Database(options) => options.run().await,
            Self::Table(options) => options.run().await,
            Self::Rows(options) => options.run().await,
            Self::Token(options) => options.run(environment).await,
            Self::Trigger(options) => options.run().await,
            Self::LastCache(options) => options.run().await,
            Self::DistinctCache(options) => options.run().await,
            Self::FileIndex(options) => options.run().await,
            Self::QueryGroup(options) => options.run().await,
            Self::User(options) => options.run().await,
            Self::Backup(options) => options.run().await,
        }
    }
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Undelete {
    /// Bring a deleted database back, while its rows are still there
    Database(database::UndeleteOptions),
    /// Bring a deleted table back, while its rows are still there
    Table(table::UndeleteOptions),
}

impl Undelete {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Database(options) => options.run().await,
            Self::Table(options) => options.run().await,
        }
    }
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Update {
    /// Change how long a database keeps its rows
    Database(database::UpdateOptions),
    /// Change how long a table keeps its rows
    Table(table::UpdateOptions),
    /// Replace the plugin of a trigger
    Trigger(trigger::UpdateOptions),
    /// Change a group of nodes that share queries
    #[command(name = "query_group", alias = "query-group")]
    QueryGroup(query_group::UpdateOptions),
    /// Change how a user is called
    User(user::UpdateOptions),
    /// Change what a user may do
    #[command(alias = "user_roles")]
    UserRoles(user::RolesOptions),
}

impl Update {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Database(options) => options.run().await,
            Self::Table(options) => options.run().await,
            Self::Trigger(options) => options.run().await,
            Self::QueryGroup(options) => options.run().await,
            Self::User(options) => options.run().await,
            Self::UserRoles(options) => options.run().await,
        }
    }
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Show {
    /// List databases
    Databases(database::ShowOptions),
    /// List the tables of a database
    Tables(table::ShowOptions),
    /// List the caches of a database
    Caches(cache::ShowOptions),
    /// List the triggers of a database
    Triggers(trigger::ShowOptions),
    /// List the nodes of the cluster
    Nodes(node::ShowOptions),
    /// List the files of plugins
    Plugins(plugin::ShowOptions),
    /// List how long databases keep their rows
    Retention(retention::ShowOptions),
    /// Show what the server tells of a database
    #[command(visible_alias = "s")]
    System(Box<system::Options>),
    /// Show the token that is presented: what it may do, and until when
    Token(token::show::SelfOptions),
    /// List tokens
    Tokens(token::show::ListOptions),
    /// Say that no license is needed
    License(Box<license::ShowOptions>),
    /// List groups of nodes that share queries
    #[command(name = "query_groups", alias = "query-groups")]
    QueryGroups(query_group::ShowOptions),
    /// List users
    Users(user::ShowOptions),
    /// List backups
    Backups(backup::ShowOptions),
    /// List restores
    Restores(restore::ShowOptions),
}

impl Show {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Databases(options) => options.run().await,
            Self::Tables(options) => options.run().await,
            Self::Caches(options) => options.run().await,
            Self::Triggers(options) => options.run().await,
            Self::Nodes(options) => options.run().await,
            Self::Plugins(options) => options.run().await,
            Self::Retention(options) => options.run().await,
            Self::System(options) => options.run().await,
            Self::Token(options) => options.run().await,
            Self::Tokens(options) => options.run().await,
            Self::License(options) => options.run(),
            Self::QueryGroups(options) => options.run().await,
            Self::Users(options) => options.run().await,
            Self::Backups(options) => options.run().await,
            Self::Restores(options) => options.run().await,
        }
    }
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Enable {
    /// Let a trigger run
    Trigger(trigger::SwitchOptions),
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Disable {
    /// Let a trigger run no more
    Trigger(trigger::SwitchOptions),
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Install {
    /// Install Python packages for plugins
    Package(Box<package::InstallOptions>),
}

/// `package install` is what some scripts say for `install package`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Package {
    /// Install Python packages for plugins
    Install(Box<package::InstallOptions>),
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Test {
    /// Run a plugin that reacts to writes
    #[command(name = "wal_plugin", alias = "wal-plugin")]
    WalPlugin(plugin::WalTestOptions),
    /// Run a plugin that has a schedule
    #[command(name = "schedule_plugin", alias = "schedule-plugin")]
    SchedulePlugin(plugin::ScheduleTestOptions),
}

impl Test {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::WalPlugin(options) => options.run().await,
            Self::SchedulePlugin(options) => options.run().await,
        }
    }
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Stop {
    /// Stop a node of the cluster
    Node(node::StopOptions),
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Remove {
    /// Remove a node that has stopped from the cluster
    Node(node::RemoveOptions),
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Cancel {
    /// Drop a request to delete rows
    #[command(alias = "row_delete")]
    RowDelete(rows::CancelOptions),
    /// Stop a backup
    Backup(backup::NamedOptions),
    /// Stop a restore
    Restore(restore::IdOptions),
}

impl Cancel {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::RowDelete(options) => options.run().await,
            Self::Backup(options) => options.cancel().await,
            Self::Restore(options) => options.cancel().await,
        }
    }
}

/// Deleting rows as it was called before it became `delete rows` and `cancel row-delete`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum RowDelete {
    /// Delete rows of a table
    Create(rows::DeleteOptions),
    /// Drop a request to delete rows
    Cancel(rows::CancelOptions),
}

impl RowDelete {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(options) => options.run().await,
            Self::Cancel(options) => options.run().await,
        }
    }
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Status {
    /// Tell how far a backup is
    Backup(backup::NamedOptions),
    /// Tell how far a restore is
    Restore(restore::IdOptions),
}

impl Status {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Backup(options) => options.status().await,
            Self::Restore(options) => options.status().await,
        }
    }
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Import {
    /// Import Parquet files into a table
    Upload(import::UploadOptions),
    /// List imports
    List(import::ListImportsOptions),
}

impl Import {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Upload(options) => options.run().await,
            Self::List(options) => options.run().await,
        }
    }
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Export {
    /// List databases that can be exported
    Databases(export::DatabasesOptions),
    /// List tables that can be exported
    Tables(export::TablesOptions),
    /// List days of a table that can be exported
    Windows(export::WindowsOptions),
    /// Export a table, as one archive of Parquet files
    Data(export::DataOptions),
}

impl Export {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Databases(options) => options.run().await,
            Self::Tables(options) => options.run().await,
            Self::Windows(options) => options.run().await,
            Self::Data(options) => options.run().await,
        }
    }
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum User {
    /// Have a user set another password
    #[command(alias = "require_password_reset")]
    RequirePasswordReset(user::PasswordResetOptions),
}
