//! The program `influxdb3-bench`: the library's commands, and what ends them told on stderr.

use std::process::ExitCode;

fn main() -> ExitCode {
    match bench::run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("influxdb3-bench: {}", with_sources(&*error));
            ExitCode::FAILURE
        }
    }
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
