//! The tree of commands: what the line says, which file does it, and how failures are told.
//!
//! Tree and exit codes: spec/cli.md §1.2, §2. What each command does is in the file of its name.

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::environment::Environment;
use crate::shown_options;

pub(crate) mod database;

pub(crate) mod debug;

pub(crate) mod node;

pub(crate) mod object_store;

pub(crate) mod plugin;

pub(crate) mod query;

pub(crate) mod quick_start;

pub(crate) mod retention;

pub(crate) mod serve;

pub(crate) mod system;

pub(crate) mod table;

pub(crate) mod token;

pub(crate) mod write;

/// What `--version` tells after the name of the binary.
const VERSION: &str = concat!(
    "InfluxDB 3 Core, ",
    env!("CARGO_PKG_VERSION"),
    ", revision ",
    env!("GNOMON_REVISION")
);

/// Time-series database
#[derive(Debug, Parser)]
#[command(
    name = "influxdb3",
    version = VERSION,
    disable_help_flag = true,
    disable_help_subcommand = true
)]
pub(crate) struct Arguments {
    /// Print help
    #[arg(short = 'h', long, action = ArgAction::HelpShort, global = true)]
    help: Option<bool>,

    /// Print more detailed help
    #[arg(long, action = ArgAction::HelpLong, global = true)]
    help_all: Option<bool>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Put something new to use
    #[command(subcommand)]
    Confirm(Confirm),
    /// Create a resource
    #[command(subcommand)]
    Create(Create),
    /// Look into what a server keeps, without a server
    #[command(subcommand)]
    Debug(debug::Debug),
    /// Delete a resource
    #[command(subcommand)]
    Delete(Delete),
    /// Run a query
    #[command(visible_alias = "q")]
    Query(Box<query::Options>),
    /// Replace something secret
    #[command(subcommand)]
    Regenerate(Regenerate),
    /// End something before its time
    #[command(subcommand)]
    Revoke(Revoke),
    /// Run the server
    Serve(Box<serve::Options>),
    /// List resources
    #[command(subcommand)]
    Show(Show),
    /// Change a resource
    #[command(subcommand)]
    Update(Update),
    /// Write line protocol
    #[command(visible_alias = "w")]
    Write(Box<write::Options>),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Create {
    /// Create a new database
    Database(database::CreateOptions),
    /// Create a table
    Table(table::CreateOptions),
    /// Create a new auth token
    Token(Box<token::create::Options>),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Regenerate {
    /// Give a token a new secret; its name and permissions stay
    Token(token::regenerate::Options),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Confirm {
    /// Put a staged secret to use, with that secret as the token
    Token(token::confirm::Options),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Revoke {
    /// End a secret beside the one in use; the token stays
    Token(token::revoke::Options),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Delete {
    /// Delete a database
    Database(database::DeleteOptions),
    /// Delete a table
    Table(table::DeleteOptions),
    /// Delete a token
    Token(token::delete::Options),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Update {
    /// Change how long a database keeps its rows
    Database(database::UpdateOptions),
    /// Change how long a table keeps its rows
    Table(table::UpdateOptions),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Show {
    /// List databases
    Databases(database::ShowOptions),
    /// List the nodes of the cluster
    Nodes(node::ShowOptions),
    /// List the files of plugins
    Plugins(plugin::ShowOptions),
    /// List how long databases keep their rows
    Retention(retention::ShowOptions),
    /// Show what the server tells of a database
    System(system::Options),
    /// Show the token that is presented: what it may do, and until when
    Token(token::show::SelfOptions),
    /// List tokens
    Tokens(token::show::ListOptions),
}

/// A command that did not do its work; displayed as the one line that goes to stderr.
#[derive(Debug)]
pub(crate) struct Failure {
    verb: &'static str,
    error: anyhow::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} command failed: {}", self.verb, self.error)
    }
}

/// The command that a line asks for. Errors are usage errors, and what `--help` and `--version` print.
pub(crate) fn parse(
    line: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Command, clap::Error> {
    match parse_line(line, environment)?.command {
        Some(command) => Ok(command),
        None => quick_start::command(environment),
    }
}

fn parse_line(
    line: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Arguments, clap::Error> {
    let mut tree = environment.supply(Arguments::command());
    let matches = tree.try_get_matches_from_mut(line)?;
    let mut arguments =
        Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut tree))?;
    if let Some(Command::Serve(options)) = &mut arguments.command
        && let Some((name, given)) = matches.subcommand()
        && let Some(serve) = tree.find_subcommand(name)
    {
        options.shown = shown_options::of(serve, given, environment);
    }
    if let Some(Command::Create(Create::Token(options))) = &arguments.command {
        options.check().map_err(|(kind, message)| {
            usage_error(&mut tree, &["create", "token"], kind, &message)
        })?;
    }
    Ok(arguments)
}

/// A usage error that clap's own rules cannot express, worded as if they could.
fn usage_error(
    tree: &mut clap::Command,
    path: &[&str],
    kind: ErrorKind,
    message: &str,
) -> clap::Error {
    match path.split_first() {
        Some((name, rest)) if tree.find_subcommand(name).is_some() => {
            let subcommand = tree
                .find_subcommand_mut(name)
                .expect("the same lookup has just succeeded");
            usage_error(subcommand, rest, kind, message)
        }
        _ => tree.error(kind, message),
    }
}

impl Command {
    /// Errors are failures with exit code 1, but for `debug`, which tells its own.
    pub(crate) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let (verb, result) = match self {
            Self::Debug(command) => return Ok(command.run(environment).await),
            Self::Confirm(Confirm::Token(options)) => ("Confirm", options.run().await),
            Self::Create(Create::Database(options)) => ("Create", options.run().await),
            Self::Create(Create::Table(options)) => ("Create", options.run().await),
            Self::Create(Create::Token(options)) => ("Create", options.run(environment).await),
            Self::Delete(Delete::Database(options)) => ("Delete", options.run().await),
            Self::Delete(Delete::Table(options)) => ("Delete", options.run().await),
            Self::Delete(Delete::Token(options)) => ("Delete", options.run().await),
            Self::Query(options) => ("Query", options.run().await),
            Self::Regenerate(Regenerate::Token(options)) => {
                ("Regenerate", options.run(environment).await)
            }
            Self::Revoke(Revoke::Token(options)) => ("Revoke", options.run().await),
            Self::Serve(options) => ("Serve", options.run(environment).await),
            Self::Show(Show::Databases(options)) => ("Show", options.run().await),
            Self::Show(Show::Nodes(options)) => ("Show", options.run().await),
            Self::Show(Show::Plugins(options)) => ("Show", options.run().await),
            Self::Show(Show::Retention(options)) => ("Show", options.run().await),
            Self::Show(Show::System(options)) => ("Show", options.run().await),
            Self::Show(Show::Token(options)) => ("Show", options.run().await),
            Self::Show(Show::Tokens(options)) => ("Show", options.run().await),
            Self::Update(Update::Database(options)) => ("Update", options.run().await),
            Self::Update(Update::Table(options)) => ("Update", options.run().await),
            Self::Write(options) => ("Write", options.run(environment).await),
        };
        match result {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => Err(Failure { verb, error }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_consistent() {
        Arguments::command().debug_assert();
    }
}
