//! All of continuous integration on one machine: the steps of `.ci/run`, one after the other.
//!
//! Each step is a cargo command; the first that fails ends the run. Not here: what a step checks, and the client libraries of others,
//! which only `.ci/run` installs.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// A step's name and the arguments given to cargo. Keep in step with `.ci/run`.
const STEPS: &[(&str, &[&str])] = &[
    ("format", &["fmt", "--all", "--", "--check"]),
    (
        "clippy",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ],
    ),
    ("tidy", &["xtask", "tidy"]),
    ("test", &["test", "--workspace"]),
];

/// Runs every step below `root`; false when one failed.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let mut took = Vec::new();
    let mut passed = true;
    for (name, arguments) in STEPS {
        println!("== {name}: cargo {}", arguments.join(" "));
        let (success, duration) = step(root, arguments)?;
        took.push((*name, duration));
        if !success {
            eprintln!("xtask: step {name} failed");
            passed = false;
            break;
        }
    }
    for (name, duration) in took {
        println!("{name:>7} {:>7.1} s", duration.as_secs_f64());
    }
    Ok(passed)
}

#[allow(
    clippy::disallowed_methods,
    reason = "a chore outside the product; it times real commands"
)]
fn step(root: &Path, arguments: &[&str]) -> Result<(bool, Duration)> {
    let started = Instant::now();
    let status = crate::cargo(root)
        .args(arguments)
        .status()
        .context("cannot run cargo")?;
    Ok((status.success(), started.elapsed()))
}
