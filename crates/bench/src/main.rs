//! Measurements: makes a TSBS-like workload, sends it, asks for it, and says how long that took.
//!
//! A program of its own that aims at any server with this API over HTTP; of the project it uses only the parser,
//! which it also measures. How to run each measurement: the crate's README.
//! Not here: pass or fail. A number is printed; whoever runs it compares.

#![expect(
    clippy::disallowed_methods,
    reason = "a measurement reads the real clock and runs real tasks; there is nothing to simulate"
)]

mod client;
mod commands;
mod cpu_usage;
mod hosts;
mod process;
mod quantiles;
mod queries;
mod random;
mod workload;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Anything that ends a measurement before its time.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// Measures a time-series database with the TSBS cpu workload
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Generate(commands::generate::Options),
    Parse(commands::parse::Options),
    Load(commands::load::Options),
    Latency(commands::latency::Options),
    Query(commands::query::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Generate(options) => commands::generate::run(&options),
        Command::Parse(options) => commands::parse::run(&options),
        Command::Load(options) => on_runtime(commands::load::run(options)),
        Command::Latency(options) => on_runtime(commands::latency::run(options)),
        Command::Query(options) => on_runtime(commands::query::run(options)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {}", with_sources(&*error));
            ExitCode::FAILURE
        }
    }
}

fn on_runtime(command: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    // The first provider set is the one used; there is no other here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Runtime::new()?.block_on(command)
}

/// The error and what led to it, in one line.
fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}
