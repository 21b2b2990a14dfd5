//! The program `influxdb3-bench`: the library's commands, and what ends them told on stderr.

use std::process::ExitCode;

fn main() -> ExitCode {
    match bench::run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("influxdb3-bench: {}", bench::with_sources(&*error));
            ExitCode::FAILURE
        }
    }
}
