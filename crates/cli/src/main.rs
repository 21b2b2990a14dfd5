//! The binary `influxdb3`: reads arguments, runs one command, exits.
//!
//! Start-up sequence: spec/cli.md §1.1. One file per command in `commands`; all but `serve` talk HTTP (`client`).
//! Only this crate prints, exits or reads arguments.

use std::ffi::OsString;
use std::process::ExitCode;

mod commands;

mod environment;

mod dotenv;

mod line;

mod profile;

mod private_file;

mod help;

mod client;

mod credential;

mod output;

mod listing;

mod exit_codes;

mod pretty_table;

mod logging;

mod duration;

mod memory_size;

mod options;

mod open_files;

mod signals;

mod supervisor;

mod threads;

use environment::Environment;

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Fails only when a provider is installed already, which nothing before this line does.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let line: Vec<OsString> = std::env::args_os().collect();
    let mut environment = match Environment::load() {
        Ok(environment) => environment,
        Err(fault) => {
            output::complain(format_args!(
                "FATAL Error loading config from: {fault}\nAborting"
            ));
            return ExitCode::FAILURE;
        }
    };
    if let Some(page) = help::asked_for(&line) {
        return printed(page.render(&environment));
    }
    if commands::uses_profile(&line)
        && let Err(fault) = profile::supply(&line, &mut environment)
    {
        output::complain(format_args!("error: {fault}"));
        return exit_codes::usage();
    }
    if let Err(fault) = environment.read_config_file(&line) {
        output::complain(format_args!("Serve command failed: {fault}"));
        return ExitCode::FAILURE;
    }
    let commands::Parsed { command, program } = match commands::parse(line, &environment) {
        Ok(parsed) => parsed,
        Err(usage) => {
            // A closed stream must not turn a usage error into a panic.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    let runtime = match threads::runtime(&program) {
        Ok(runtime) => runtime,
        Err(fault) => {
            output::complain(format_args!("Error: cannot start the runtime: {fault}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(command.run(&environment));
    // A thread that still waits for input must not hold up the exit.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            let code = failure.exit_code(&environment);
            output::complain(failure);
            code
        }
    }
}

fn printed(text: String) -> ExitCode {
    match output::print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            output::complain(fault);
            ExitCode::FAILURE
        }
    }
}
