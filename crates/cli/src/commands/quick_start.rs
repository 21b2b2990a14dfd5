//! `influxdb3` alone: `serve` with what a first look needs.
//!
//! Rules: spec/cli.md §6. The node's name comes from the environment, else from the machine.

use std::ffi::OsString;

use clap::error::ErrorKind;

use super::Parsed;
use crate::environment::Environment;
use crate::options::given::CONFIG;
use crate::options::table::{self, Scope};
use crate::output;

/// The options of a line (the program's name first) that has no command and begins with an option of the server.
pub(super) fn options(line: &[OsString]) -> Option<&[OsString]> {
    let first = line.get(1)?.to_str()?.strip_prefix("--")?;
    let name = first.split_once('=').map_or(first, |(name, _)| name);
    let is_of_server = table::of_scope(Scope::Server)
        .any(|setting| setting.name == name || setting.older.contains(&name));
    (is_of_server || name == CONFIG).then_some(&line[1..])
}

/// The command `serve` as a quick start runs it, with these options. Errors are usage errors, in the environment or the options.
pub(super) fn parse(
    options: &[OsString],
    environment: &Environment,
) -> Result<Parsed, clap::Error> {
    let line = [
        "influxdb3",
        "serve",
        "--serve-invocation-method",
        "quick-start",
    ];
    let line = line.into_iter().map(OsString::from);
    let line: Vec<OsString> = line.chain(options.iter().cloned()).collect();
    match super::parse(line.clone(), environment) {
        Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {}
        given => return given,
    }
    let node_id = format!(
        "{}-node",
        machine_name(environment).as_deref().unwrap_or("primary")
    );
    output::complain(format_args!(
        "Using auto-generated node id: {node_id}. For production deployments, explicitly set --node-id"
    ));
    let named = [OsString::from("--node-id"), OsString::from(node_id)];
    super::parse(line.into_iter().chain(named), environment)
}

/// What the operating system calls this machine.
fn machine_name(environment: &Environment) -> Option<String> {
    let told = [
        std::fs::read_to_string("/proc/sys/kernel/hostname").ok(),
        std::fs::read_to_string("/etc/hostname").ok(),
        environment
            .get("HOSTNAME")
            .and_then(|name| name.to_str())
            .map(str::to_string),
        environment
            .get("COMPUTERNAME")
            .and_then(|name| name.to_str())
            .map(str::to_string),
    ];
    told.into_iter()
        .flatten()
        .map(|name| name.trim().to_string())
        .find(|name| !name.is_empty())
}
