//! `cargo xtask`: the chores of this repository, as a program instead of shell scripts.
//!
//! `tidy` reads the checkout and reports what prose cannot enforce; `ci` runs every step of continuous integration; `dist` makes
//! packages; `perf` measures the hot paths.
//! Not here: anything that ends up in the `influxdb3` binary.

mod ci;
mod dist;
mod perf;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "usage: cargo xtask <tidy | ci | dist [BINARY] | perf [FILTER] [--record]>

  tidy   check crate dependencies, module docs, banned calls and the docs against the code
  ci     format check, clippy, tidy and all tests, with the seconds each took
  dist   a Debian package and an archive in target/dist, of BINARY or of a release built first
  perf   microbenchmarks (those with FILTER in their names), compared with the recorded figures; --record records them";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["tidy"] => tidy::run(&root()),
        ["ci"] => ci::run(&root()),
        ["dist"] => dist::run(&root(), None),
        ["dist", binary] => dist::run(&root(), Some(binary)),
        ["perf", ref rest @ ..] => {
            perf::Options::parse(rest).and_then(|it| perf::run(&root(), &it))
        }
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("xtask: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace's Cargo.toml: the parent of this crate's.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate's folder lies in the workspace")
        .to_path_buf()
}

/// Cargo, the one that runs this program if one does, at work in the checkout at `root`.
fn cargo(root: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root);
    command
}

/// Where cargo puts what it builds.
fn target_folder(root: &Path) -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root.join(folder),
        None => root.join("target"),
    }
}
