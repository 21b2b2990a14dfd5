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
    Restart(commands::restart::Options),
}

/// Runs the command that the arguments name, the program's name first. Refuses bad arguments by ending the process, as programs do.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Error> {
    match Arguments::parse_from(arguments).command {
        Command::Generate(options) => commands::generate::run(&options),
        Command::Parse(options) => commands::parse::run(&options),
        Command::Idle(options) => on_runtime(commands::idle::run(options)),
        Command::Load(options) => on_runtime(commands::load::run(options)),
        Command::Tiny(options) => on_runtime(commands::tiny::run(options)),
        Command::Query(options) => on_runtime(commands::query::run(options)),
        Command::Restart(options) => on_runtime(commands::restart::run(options)),
    }
}

fn on_runtime(command: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    tokio::runtime::Runtime::new()?.block_on(command)
}
