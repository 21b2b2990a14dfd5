//! The variables a run sees: the process environment, then `.env`, with old names copied to the new ones.
//!
//! The process environment itself is never changed. Options that clap binds to a variable get the values that clap
//! cannot see (from `.env`, or under an old name) as their defaults: [`Environment::supply`].
//! Rules: spec/cli.md §1.1, spec/server-config.md §1, §4, §5.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{Arg, ArgGroup, Command};

use crate::dotenv;
use crate::output;

/// Old names without the product's prefix; the new name is `INFLUXDB3_` and the same (spec/server-config.md §4).
const UNPREFIXED: &[&str] = &[
    "OBJECT_STORE_CONNECTION_LIMIT",
    "OBJECT_STORE_HTTP2_ONLY",
    "OBJECT_STORE_HTTP2_MAX_FRAME_SIZE",
    "OBJECT_STORE_REQUEST_TIMEOUT",
    "OBJECT_STORE_MAX_RETRIES",
    "OBJECT_STORE_RETRY_TIMEOUT",
    "OBJECT_STORE_CACHE_ENDPOINT",
    "OBJECT_STORE_TLS_ALLOW_INSECURE",
    "OBJECT_STORE_TLS_CA",
    "LOG_FILTER",
    "LOG_DESTINATION",
    "LOG_FORMAT",
    "TRACES_EXPORTER",
    "TRACES_EXPORTER_JAEGER_AGENT_HOST",
    "TRACES_EXPORTER_JAEGER_AGENT_PORT",
    "TRACES_EXPORTER_JAEGER_SERVICE_NAME",
    "TRACES_EXPORTER_JAEGER_TRACE_CONTEXT_HEADER_NAME",
    "TRACES_EXPORTER_JAEGER_DEBUG_NAME",
    "TRACES_EXPORTER_JAEGER_TAGS",
    "TRACES_JAEGER_MAX_MSGS_PER_SECOND",
];

/// Variables renamed within the product, old name first (spec/server-config.md §5).
const RENAMED: &[(&str, &str)] = &[
    (
        "INFLUXDB3_EXEC_MEM_POOL_BYTES",
        "INFLUXDB3_EXEC_MEM_POOL_SIZE",
    ),
    (
        "INFLUXDB3_FORCE_SNAPSHOT_MEM_THRESHOLD",
        "INFLUXDB3_FORCE_SNAPSHOT_MEM_SIZE",
    ),
    (
        "INFLUXDB3_PARQUET_MEM_CACHE_SIZE",
        "INFLUXDB3_FILE_CACHE_SIZE",
    ),
    (
        "INFLUXDB3_QUERY_LOG_SIZE",
        "INFLUXDB3_QUERY_LOG_MAX_ENTRIES",
    ),
    (
        "INFLUXDB3_WAL_SNAPSHOT_SIZE",
        "INFLUXDB3_WAL_FILES_PER_SNAPSHOT",
    ),
    ("INFLUXDB3_DB_DIR", "INFLUXDB3_DATA_DIR"),
    ("INFLUXDB3_NODE_IDENTIFIER_PREFIX", "INFLUXDB3_NODE_ID"),
    (
        "INFLUXDB3_NODE_IDENTIFIER_FROM_ENV",
        "INFLUXDB3_NODE_ID_FROM_ENV",
    ),
    ("INFLUXDB3_START_WITHOUT_AUTH", "INFLUXDB3_WITHOUT_AUTH"),
    (
        "INFLUXDB3_TCP_LISTINER_FILE_PATH",
        "INFLUXDB3_TCP_LISTENER_FILE_PATH",
    ),
    (
        "INFLUXDB3_TELEMETRY_DISABLE_UPLOAD",
        "INFLUXDB3_DISABLE_TELEMETRY_UPLOAD",
    ),
    (
        "INFLUXDB3_ENTERPRISE_NUM_DATABASE_LIMIT",
        "INFLUXDB3_NUM_DATABASE_LIMIT",
    ),
    (
        "INFLUXDB3_ENTERPRISE_NUM_TABLE_LIMIT",
        "INFLUXDB3_NUM_TABLE_LIMIT",
    ),
    (
        "INFLUXDB3_ENTERPRISE_NUM_TOTAL_COLUMNS_PER_TABLE_LIMIT",
        "INFLUXDB3_NUM_TOTAL_COLUMNS_PER_TABLE_LIMIT",
    ),
];

/// As [`RENAMED`], but both names are documented as current, so that neither earns a warning.
const SYNONYMS: &[(&str, &str)] = &[
    (
        "INFLUXDB3_DATAFUSION_NUM_THREADS",
        "INFLUXDB3_NUM_DATAFUSION_THREADS",
    ),
    (
        "INFLUXDB3_ADMIN_TOKEN_RECOVERY_HTTP_BIND",
        "INFLUXDB3_ADMIN_TOKEN_RECOVERY_HTTP_BIND_ADDR",
    ),
];

/// The target that warnings about old names carry.
const WARNING_TARGET: &str = "influxdb3::env_compat";

/// What a run can read as environment variables.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    process: BTreeMap<OsString, OsString>,
    /// Names the process environment does not have.
    added: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// Reads the process environment and the nearest `.env` file, and copies old names, warning on stderr.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let mut environment = Self {
            process: std::env::vars_os().collect(),
            added: BTreeMap::new(),
        };
        // A working directory that was removed has no `.env` file.
        if let Ok(folder) = std::env::current_dir() {
            environment.add_file_near(&folder)?;
        }
        for warning in environment.copy_old_names() {
            output::early_warning(WARNING_TARGET, &warning);
        }
        Ok(environment)
    }

    pub(crate) fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        let name = name.as_ref();
        let value = self.process.get(name).or_else(|| self.added.get(name))?;
        Some(value)
    }

    /// Makes a value known where neither the process nor `.env` has one.
    pub(crate) fn add_default(&mut self, name: &str, value: String) {
        if self.get(name).is_none() {
            self.added.insert(name.into(), value.into());
        }
    }

    /// Whether `NO_COLOR` asks for plain text.
    pub(crate) fn refuses_color(&self) -> bool {
        self.get("NO_COLOR").is_some_and(|value| !value.is_empty())
    }

    /// Gives every option bound to a variable the value clap does not find in the process environment.
    pub(crate) fn supply(&self, mut command: Command) -> Command {
        let supplied: Vec<(String, OsString)> = command
            .get_arguments()
            .filter_map(|argument| {
                let value = self.added.get(argument.get_env()?)?;
                Some((argument.get_id().to_string(), value.clone()))
            })
            .collect();
        for (id, value) in supplied {
            let satisfied: Vec<String> = command
                .get_groups()
                .filter(|group| group.get_args().any(|member| member.as_str() == id))
                .map(|group| group.get_id().to_string())
                .collect();
            for group in satisfied {
                command = command.mut_group(group, |group: ArgGroup| group.required(false));
            }
            command = command.mut_arg(&id, |argument: Arg| {
                // The help must not show the value: it may be a secret.
                let argument = argument.required(false).default_value(value);
                // A flag shows no default anyway, and must not be told to hide it.
                match argument.get_action().takes_values() {
                    true => argument.hide_default_value(true),
                    false => argument,
                }
            });
        }
        let names: Vec<String> = command
            .get_subcommands()
            .map(|subcommand| subcommand.get_name().to_string())
            .collect();
        for name in names {
            command = command.mut_subcommand(name, |subcommand| self.supply(subcommand));
        }
        command
    }

    /// Adds the pairs of the first `.env` in `folder` or its parents, where the process does not set them.
    fn add_file_near(&mut self, folder: &Path) -> anyhow::Result<()> {
        for folder in folder.ancestors() {
            let path = folder.join(".env");
            // A folder of that name (a Python environment, often) is not a settings file.
            if !path.is_file() {
                continue;
            }
            let text = std::fs::read_to_string(&path)
                .map_err(|cause| anyhow::anyhow!("{}: {cause}", path.display()))?;
            return self
                .add_text(&text)
                .map_err(|cause| anyhow::anyhow!("{}: {cause}", path.display()));
        }
        Ok(())
    }

    fn add_text(&mut self, text: &str) -> Result<(), dotenv::SyntaxError> {
        let lookup = |name: &str| {
            let value = self.process.get(OsStr::new(name))?;
            value.to_str().map(str::to_string)
        };
        for (name, value) in dotenv::parse(text, lookup)? {
            let name = OsString::from(name);
            if !self.process.contains_key(&name) {
                self.added.entry(name).or_insert_with(|| value.into());
            }
        }
        Ok(())
    }

    /// Makes values given under an old name known under the new one; returns the warnings this earns.
    fn copy_old_names(&mut self) -> Vec<String> {
        let mut warnings = Vec::new();
        for old in UNPREFIXED {
            warnings.extend(self.copy_old_name(old, &format!("INFLUXDB3_{old}")));
        }
        for (old, new) in RENAMED {
            warnings.extend(self.copy_old_name(old, new));
        }
        for (old, new) in SYNONYMS {
            let _both_are_current = self.copy_old_name(old, new);
        }
        warnings
    }

    fn copy_old_name(&mut self, old: &str, new: &str) -> Option<String> {
        let value = self.get(old)?.to_os_string();
        if self.get(new).is_some() {
            return Some(format!(
                "both {old} and {new} are set; using {new}, as {old} is deprecated"
            ));
        }
        self.added.insert(new.into(), value);
        Some(format!(
            "environment variable {old} is deprecated, use {new} instead"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(process: &[(&str, &str)], file: &str) -> Environment {
        let mut environment = Environment {
            process: process
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            added: BTreeMap::new(),
        };
        environment.add_text(file).expect("the file is well formed");
        environment
    }

    #[test]
    fn the_process_wins_over_the_file() {
        let environment = environment(&[("A", "process")], "A=file\nB=file\nB=again");
        assert_eq!(environment.get("A"), Some(OsStr::new("process")));
        assert_eq!(environment.get("B"), Some(OsStr::new("file")));
        assert_eq!(environment.get("C"), None);
    }

    #[test]
    fn old_names_are_copied_with_a_warning_unless_the_new_one_is_set() {
        let mut environment = environment(
            &[
                ("LOG_FILTER", "debug"),
                ("LOG_FORMAT", "json"),
                ("INFLUXDB3_LOG_FORMAT", "full"),
                ("INFLUXDB3_DATAFUSION_NUM_THREADS", "3"),
            ],
            "INFLUXDB3_DB_DIR=/data",
        );
        let warnings = environment.copy_old_names();
        assert_eq!(
            warnings,
            [
                "environment variable LOG_FILTER is deprecated, use INFLUXDB3_LOG_FILTER instead",
                "both LOG_FORMAT and INFLUXDB3_LOG_FORMAT are set; using INFLUXDB3_LOG_FORMAT, as LOG_FORMAT is deprecated",
                "environment variable INFLUXDB3_DB_DIR is deprecated, use INFLUXDB3_DATA_DIR instead",
            ]
        );
        assert_eq!(
            environment.get("INFLUXDB3_LOG_FILTER"),
            Some(OsStr::new("debug"))
        );
        assert_eq!(
            environment.get("INFLUXDB3_LOG_FORMAT"),
            Some(OsStr::new("full"))
        );
        assert_eq!(
            environment.get("INFLUXDB3_DATA_DIR"),
            Some(OsStr::new("/data"))
        );
        assert_eq!(
            environment.get("INFLUXDB3_NUM_DATAFUSION_THREADS"),
            Some(OsStr::new("3"))
        );
    }

    #[test]
    fn supplied_values_satisfy_required_options_and_groups_and_stay_out_of_the_help() {
        let command = Command::new("root").subcommand(
            Command::new("leaf")
                .arg(
                    Arg::new("secret")
                        .long("secret")
                        .env("SOME_SECRET")
                        .required(true),
                )
                .arg(
                    Arg::new("flag")
                        .long("flag")
                        .env("SOME_FLAG")
                        .action(clap::ArgAction::SetTrue),
                )
                .arg(Arg::new("first").long("first").env("SOME_FIRST"))
                .arg(Arg::new("second").long("second"))
                .group(
                    ArgGroup::new("either")
                        .args(["first", "second"])
                        .required(true),
                ),
        );
        let environment = environment(&[], "SOME_SECRET=hidden\nSOME_FIRST=1\nSOME_FLAG=true");
        let mut command = environment.supply(command);
        let matches = command
            .try_get_matches_from_mut(["root", "leaf"])
            .expect("both requirements are met");
        let leaf = matches.subcommand_matches("leaf").expect("leaf was given");
        assert!(leaf.get_flag("flag"));
        assert_eq!(
            leaf.get_one::<String>("secret").map(String::as_str),
            Some("hidden")
        );
        let help = command
            .find_subcommand_mut("leaf")
            .expect("leaf exists")
            .render_long_help()
            .to_string();
        assert!(!help.contains("hidden"), "{help}");
    }
}
