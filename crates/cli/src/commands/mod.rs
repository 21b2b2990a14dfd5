//! The tree of commands: what the line says, which file does it, and how failures are told.
//!
//! Tree and exit codes: spec/cli.md §1.2, §2. What each command does is in the file of its name.

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};

use auth::Auth;
use loadcap::Loadcap;
use manage::Manage;
use verbs::{
    Cancel, Create, Delete, Disable, Enable, Export, Import, Install, Package, Remove, RowDelete,
    Show, Status, Stop, Test, Undelete, Update, User,
};

use crate::environment::Environment;
use crate::exit_codes;
use crate::options::given;
use crate::options::settings::Settings;
use crate::output;

pub(crate) mod config;

pub(crate) mod verbs;

#[cfg(test)]
mod inventory;

#[cfg(test)]
mod reference;

pub(crate) mod auth;

pub(crate) mod backup;

mod cache;

pub(crate) mod completion;

pub(crate) mod database;

pub(crate) mod debug;

pub(crate) mod distinct_cache;

pub(crate) mod export;

pub(crate) mod file_index;

pub(crate) mod import;

mod key_value;

pub(crate) mod last_cache;

pub(crate) mod license;

pub(crate) mod loadcap;

pub(crate) mod man;

pub(crate) mod manage;

pub(crate) mod node;

mod node_spec;

pub(crate) mod object_store;

pub(crate) mod package;

pub(crate) mod ping;

pub(crate) mod plugin;

mod plugin_source;

pub(crate) mod profile;

pub(crate) mod query;

pub(crate) mod query_group;

pub(crate) mod quick_start;

pub(crate) mod restore;

pub(crate) mod retention;

pub(crate) mod rows;

pub(crate) mod serve;

mod sql;

pub(crate) mod system;

pub(crate) mod table;

pub(crate) mod token;

pub(crate) mod trigger;

pub(crate) mod user;

pub(crate) mod write;

/// What `--version` tells after the name of the binary.
const VERSION: &str = concat!(
    "InfluxDB 3 Core, ",
    env!("CARGO_PKG_VERSION"),
    ", revision ",
    env!("GNOMON_REVISION")
);

/// The target of warnings about older names of options.
const ARGUMENTS_TARGET: &str = "influxdb3::arguments";

/// Time-series database
#[derive(Debug, Parser)]
#[command(
    name = "influxdb3",
    version = VERSION,
    disable_help_flag = true
)]
pub(crate) struct Arguments {
    /// Print help
    #[arg(short = 'h', long, action = ArgAction::HelpShort, global = true)]
    help: Option<bool>,

    /// Print more detailed help
    #[arg(long, action = ArgAction::HelpLong, global = true)]
    help_all: Option<bool>,

    /// Use the settings of this profile where neither the line nor the environment has others
    #[arg(long, env = "INFLUXDB3_PROFILE", value_name = "NAME", global = true)]
    profile: Option<String>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Log in and out as a user
    #[command(subcommand)]
    Auth(Auth),
    /// Stop something that is under way
    #[command(subcommand)]
    Cancel(Cancel),
    /// Print a script that completes commands in a shell
    Completion(completion::Options),
    /// Show and check the options of a server
    #[command(subcommand)]
    Config(config::Config),
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
    /// Disable a trigger
    #[command(subcommand)]
    Disable(Disable),
    /// Go back from another storage engine
    #[command(hide = true, alias = "downgrade_to_parquet")]
    DowngradeToParquet(Box<manage::DowngradeOptions>),
    /// Enable a trigger
    #[command(subcommand)]
    Enable(Enable),
    /// Fetch data as Parquet files
    #[command(subcommand)]
    Export(Export),
    /// Bring data in from Parquet files
    #[command(subcommand)]
    Import(Import),
    /// Install packages for plugins
    #[command(subcommand)]
    Install(Install),
    /// Record what a node is asked to do
    #[command(subcommand)]
    Loadcap(Loadcap),
    /// Print manual pages
    Man(man::Options),
    /// Manage users and the storage engine as a whole
    #[command(subcommand)]
    Manage(Manage),
    /// Install packages for plugins
    #[command(subcommand, hide = true)]
    Package(Package),
    /// Keep addresses and tokens under names
    #[command(subcommand)]
    Profile(profile::Command),
    /// Ask whether a server answers
    Ping(ping::Options),
    /// Run a query
    #[command(visible_alias = "q")]
    Query(Box<query::Options>),
    /// Replace something secret
    #[command(subcommand)]
    Regenerate(Regenerate),
    /// Remove a node from the cluster
    #[command(subcommand)]
    Remove(Remove),
    /// End something before its time
    #[command(subcommand)]
    Revoke(Revoke),
    /// Delete rows
    #[command(subcommand, hide = true, alias = "row_delete")]
    RowDelete(RowDelete),
    /// Run the server
    Serve(Box<serve::Options>),
    /// List resources
    #[command(subcommand)]
    Show(Show),
    /// Tell how far something is
    #[command(subcommand)]
    Status(Status),
    /// Stop a node of the cluster
    #[command(subcommand)]
    Stop(Stop),
    /// Try a plugin without writing anything
    #[command(subcommand)]
    Test(Test),
    /// Bring something deleted back
    #[command(subcommand)]
    Undelete(Undelete),
    /// Change a resource
    #[command(subcommand)]
    Update(Update),
    /// Look after a user
    #[command(subcommand)]
    User(User),
    /// Write line protocol
    #[command(visible_alias = "w")]
    Write(Box<write::Options>),
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

impl Failure {
    /// What the program ends with.
    pub(crate) fn exit_code(&self, environment: &Environment) -> ExitCode {
        exit_codes::of(&self.error, environment)
    }
}

/// Whether the command on a line speaks with a server, and so uses a profile.
pub(crate) fn uses_profile(line: &[OsString]) -> bool {
    const ALONE: [&str; 7] = [
        "completion",
        "config",
        "debug",
        "help",
        "man",
        "profile",
        "serve",
    ];
    let tree = Arguments::command();
    let words = line.iter().skip(1).filter_map(|word| word.to_str());
    let mut words = words.take_while(|word| *word != "--");
    let asks_for_help = |word: &str| matches!(word, "-h" | "--help" | "--help-all");
    if words.clone().any(asks_for_help) {
        return false;
    }
    let command = words.find(|word| *word == "help" || tree.find_subcommand(word).is_some());
    command.is_some_and(|command| !ALONE.contains(&command))
}

/// What a line asks for.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) command: Command,
    /// The options that every command takes.
    pub(crate) program: Settings,
}

/// Reads a line, the program's name first. Errors are usage errors, and what `--help` and `--version` print.
pub(crate) fn parse(
    line: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Parsed, clap::Error> {
    let line: Vec<OsString> = line.into_iter().collect();
    if let Some(options) = quick_start::options(&line) {
        return quick_start::parse(options, environment);
    }
    let (arguments, program) = parse_line(line, environment)?;
    match arguments.command {
        Some(command) => Ok(Parsed { command, program }),
        None => quick_start::parse(&[], environment),
    }
}

fn parse_line(
    line: Vec<OsString>,
    environment: &Environment,
) -> Result<(Arguments, Settings), clap::Error> {
    for warning in given::older_names(&line) {
        output::early_warning(ARGUMENTS_TARGET, &warning);
    }
    let mut tree = environment.supply(given::with_program_options(Arguments::command()));
    let matches = tree.try_get_matches_from_mut(line)?;
    let arguments =
        Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut tree))?;
    let program = Settings::of(&given::program_options(&matches), environment);
    if let Some(Command::Create(Create::Token(options))) = &arguments.command {
        options.check().map_err(|(kind, message)| {
            usage_error(&mut tree, &["create", "token"], kind, &message)
        })?;
    }
    Ok((arguments, program))
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
            Self::Auth(command) => ("Auth", command.run()),
            Self::Cancel(command) => ("Cancel", command.run().await),
            Self::Completion(options) => ("Completion", options.run()),
            Self::Config(command) => ("Config", command.run(environment)),
            Self::Confirm(Confirm::Token(options)) => ("Confirm", options.run().await),
            Self::Create(command) => ("Create", command.run(environment).await),
            Self::Delete(command) => ("Delete", command.run(environment).await),
            Self::Disable(Disable::Trigger(options)) => ("Disable", options.disable().await),
            Self::DowngradeToParquet(_) => ("Manage", manage::downgrade_by_old_name()),
            Self::Enable(Enable::Trigger(options)) => ("Enable", options.enable().await),
            Self::Export(command) => ("Export", command.run().await),
            Self::Import(command) => ("Import", command.run().await),
            Self::Install(Install::Package(options)) => ("Install", options.run().await),
            Self::Loadcap(command) => ("Loadcap", command.run().await),
            Self::Man(options) => ("Man", options.run()),
            Self::Manage(command) => ("Manage", command.run()),
            Self::Package(Package::Install(options)) => ("Install", options.run().await),
            Self::Profile(command) => ("Profile", command.run(environment)),
            Self::Ping(options) => ("Ping", options.run().await),
            Self::Query(options) => ("Query", options.run().await),
            Self::Regenerate(Regenerate::Token(options)) => {
                ("Regenerate", options.run(environment).await)
            }
            Self::Remove(Remove::Node(options)) => ("Remove", options.run().await),
            Self::Revoke(Revoke::Token(options)) => ("Revoke", options.run().await),
            Self::RowDelete(command) => ("Delete", command.run().await),
            Self::Serve(options) => ("Serve", options.run(environment).await),
            Self::Show(command) => ("Show", command.run().await),
            Self::Status(command) => ("Status", command.run().await),
            Self::Stop(Stop::Node(options)) => ("Stop", options.run().await),
            Self::Test(command) => ("Test", command.run().await),
            Self::Undelete(command) => ("Undelete", command.run().await),
            Self::Update(command) => ("Update", command.run().await),
            Self::User(User::RequirePasswordReset(options)) => ("User", options.run().await),
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

    #[test]
    fn which_commands_use_a_profile() {
        for (line, expected) in [
            ("influxdb3", false),
            ("influxdb3 serve --node-id query", false),
            ("influxdb3 profile show", false),
            ("influxdb3 --profile a query", true),
            ("influxdb3 q SELECT", true),
            ("influxdb3 help query", false),
            ("influxdb3 query --help", false),
            ("influxdb3 write -d a -- -h", true),
        ] {
            let line: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(uses_profile(&line), expected, "{line:?}");
        }
    }
}
