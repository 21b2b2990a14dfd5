//! Measurements: makes a TSBS-like workload, sends it, asks for it, and says how long that took.
//!
//! A program of its own (`influxdb3-bench`) that aims at any server with this API over HTTP; of the project it uses only the parser,
//! which it also measures. How to run each measurement: the crate's README.
//! Not here: pass or fail. A number is printed; whoever runs it compares.

#![expect(
    clippy::disallowed_methods,
    reason = "a measurement reads the real clock and runs real tasks; there is nothing to simulate"
)]

mod answer;
mod client;
mod commands;
mod compression;
mod engine;
mod latencies;
mod machine;
mod pace;
mod process;
mod queries;
mod random;
mod record;
mod report;
mod sender;
mod settle;
mod suite;
mod visible;
mod watch;
mod workload;

use clap::{Parser, Subcommand};
use std::ffi::OsString;

/// Anything that ends a measurement before its time.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Measures a time-series database with the TSBS cpu workload
#[derive(Debug, Parser)]
#[command(name = "influxdb3-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Generate(commands::generate::Options),
    Parse(commands::parse::Options),
    Idle(commands::idle::Options),
    Load(commands::load::Options),
    #[command(visible_alias = "latency")]
    Tiny(commands::tiny::Options),
    Query(commands::query::Options),
    Mixed(commands::mixed::Options),
    Churn(commands::churn::Options),
    /// Write rows out of order
    Late(commands::load::Options),
    Restart(commands::restart::Options),
    Report(commands::report::Options),
    Compare(commands::compare::Options),
}

/// Runs the command that the arguments name, the program's name first. Refuses bad arguments by ending the process, as programs do.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Error> {
    match Arguments::parse_from(arguments).command {
        // Those that are about one core have no use for a runtime.
        Command::Generate(options) => commands::generate::run(&options),
        Command::Parse(options) => commands::parse::run(&options),
        command => tokio::runtime::Runtime::new()?.block_on(run_command(command)),
    }
}

/// The same within a command that consists of others.
async fn run_words(words: Vec<String>) -> Result<(), Error> {
    // Commands of a report are commands, and one of them could be a report.
    Box::pin(run_command(Arguments::try_parse_from(words)?.command)).await
}

async fn run_command(command: Command) -> Result<(), Error> {
    match command {
        Command::Generate(options) => commands::generate::run(&options),
        Command::Parse(options) => commands::parse::run(&options),
        Command::Idle(options) => commands::idle::run(options).await,
        Command::Load(options) => commands::load::run(options).await,
        Command::Tiny(options) => commands::tiny::run(options).await,
        Command::Query(options) => commands::query::run(options).await,
        Command::Mixed(options) => commands::mixed::run(options).await,
        Command::Churn(options) => commands::churn::run(options).await,
        Command::Late(options) => commands::late::run(options).await,
        Command::Restart(options) => commands::restart::run(options).await,
        Command::Compare(options) => commands::compare::run(options).await,
        Command::Report(options) => commands::report::run(options).await,
    }
}

/// The error and what led to it, in one line.
pub fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Arguments;
    use clap::CommandFactory;

    #[test]
    fn the_commands_fit_together() {
        Arguments::command().debug_assert();
    }
}
