//! The variables a run sees: the process environment, then `.env`, with old names copied to the new ones; and the file with options.
//!
//! The process environment itself is never changed. Options get the values that clap cannot see (under an old name, from `.env`, from
//! the file) as their defaults: [`Environment::supply`]. Which names are old is told by the table of options.
//! Rules: spec/cli.md §1.1, spec/server-config.md §1, §4, §5.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgGroup, Command};

use crate::dotenv;
use crate::line;
use crate::options::file::{self, FileValues};
use crate::options::given::{CONFIG_VARIABLE, is_secret};
use crate::options::setting::{Effect, Kind, PREFIX, Setting};
use crate::options::settings::Origin;
use crate::options::table::{self, Scope};
use crate::output;

/// Older names that documents call current, so that none earns a warning.
const SYNONYMS: [&str; 4] = [
    "INFLUXDB3_DATAFUSION_NUM_THREADS",
    "INFLUXDB3_ADMIN_TOKEN_RECOVERY_HTTP_BIND",
    "INFLUXDB3_NUM_THREADS",
    "INFLUXDB3_IO_NUM_THREADS",
];

/// What variables of the larger edition began with; the rest of the name is the same (spec/server-config.md §11.9).
const LARGER_EDITION: &str = "INFLUXDB3_ENTERPRISE_";

/// Variables, or beginnings of them, that mean nothing any more (spec/server-config.md §3, §5).
const WITHOUT_MEANING: [&str; 2] = ["INFLUXDB3_PT_", "INFLUXDB3_PARQUET_MEM_CACHE_SIZE_MB"];

/// Commands that take options of the server, and so the file with them.
const WITH_FILE: [&str; 3] = ["config", "debug", "serve"];

/// The target that warnings about old names carry.
const WARNING_TARGET: &str = "influxdb3::env_compat";

/// What a run can read as environment variables, and what a file says instead of them.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    process: BTreeMap<OsString, OsString>,
    /// Names the process environment does not have.
    added: BTreeMap<OsString, Added>,
    /// The file with options of the server.
    file: Option<(PathBuf, FileValues)>,
}

/// A variable that the process does not have.
#[derive(Debug)]
struct Added {
    value: OsString,
    origin: Origin,
}

impl Environment {
    /// Reads the process environment and the nearest `.env` file, and copies old names, warning on stderr.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let mut environment = Self {
            process: std::env::vars_os().collect(),
            ..Self::default()
        };
        // A working directory that was removed has no `.env` file.
        if let Ok(folder) = std::env::current_dir() {
            environment.add_file_near(&folder)?;
        }
        environment.add_secret_files()?;
        for warning in environment.copy_old_names() {
            output::early_warning(WARNING_TARGET, &warning);
        }
        Ok(environment)
    }

    /// Reads the file with options that `line` (the program's name first) or a variable names, if the command takes one.
    pub(crate) fn read_config_file(&mut self, line: &[OsString]) -> anyhow::Result<()> {
        let Some(path) = self.config_file(line) else {
            return Ok(());
        };
        let text = std::fs::read_to_string(&path)
            .map_err(|cause| anyhow::anyhow!("cannot read {}: {cause}", path.display()))?;
        let values = file::parse(&text)
            .map_err(|fault| anyhow::anyhow!("cannot use {}: {fault}", path.display()))?;
        for warning in &values.warnings {
            output::early_warning(WARNING_TARGET, &format!("{}: {warning}", path.display()));
        }
        self.file = Some((path, values));
        Ok(())
    }

    fn config_file(&self, line: &[OsString]) -> Option<PathBuf> {
        let typed = line::value_of(line, "--config");
        let mut words = line::words(line).filter_map(|word| word.to_str());
        let command = words.find(|word| !word.starts_with('-') && Some(OsStr::new(word)) != typed);
        // Without a command this is a quick start; a word may also be the value of an option before it.
        let takes_file = command.is_none_or(|command| {
            WITH_FILE.contains(&command) || line.iter().any(|word| word == "serve")
        });
        let named = typed
            .or_else(|| self.get(CONFIG_VARIABLE))
            .map(PathBuf::from);
        named.filter(|path| takes_file && !path.as_os_str().is_empty())
    }

    pub(crate) fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        let name = name.as_ref();
        if let Some(value) = self.process.get(name) {
            return Some(value);
        }
        self.added.get(name).map(|added| added.value.as_os_str())
    }

    /// Makes a value known where neither the process nor `.env` has one.
    pub(crate) fn add_default(&mut self, name: &str, value: String) {
        if self.get(name).is_none() {
            let added = Added {
                value: value.into(),
                origin: Origin::Default,
            };
            self.added.insert(name.into(), added);
        }
    }

    /// Whether `NO_COLOR` asks for plain text.
    pub(crate) fn refuses_color(&self) -> bool {
        self.get("NO_COLOR").is_some_and(|value| !value.is_empty())
    }

    /// Where the value of an option comes from that was supplied; `None` when none was.
    pub(crate) fn origin_of(&self, setting: &Setting) -> Option<Origin> {
        let variable = setting.variable_name();
        let added = variable.and_then(|variable| self.added.get(OsStr::new(&variable)));
        if let Some(added) = added {
            return Some(added.origin.clone());
        }
        let (path, values) = self.file.as_ref()?;
        let value = values.values.get(setting.name)?;
        Some(Origin::File {
            path: path.clone(),
            line: value.line,
        })
    }

    /// Gives every option the value that clap does not find on the line or in the process environment.
    pub(crate) fn supply(&self, command: Command) -> Command {
        self.supply_from(command, false)
    }

    fn supply_from(&self, mut command: Command, takes_file: bool) -> Command {
        let supplied: Vec<(String, OsString)> = command
            .get_arguments()
            .filter_map(|argument| {
                let id = argument.get_id().to_string();
                let added = argument.get_env().and_then(|name| self.added.get(name));
                let value = match added {
                    Some(added) => Some(added.value.clone()),
                    // A variable of the process is stronger than the file, and clap sees it by itself.
                    None => self.value_of_file(&id, takes_file).map(OsString::from),
                };
                Some((id, value?))
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
                // The help must not show the value: it may be a secret. That of a switch never shows.
                let hidden = argument.get_action().takes_values();
                let argument = argument.required(false).hide_default_value(hidden);
                argument.default_value(value)
            });
        }
        let names: Vec<String> = command
            .get_subcommands()
            .map(|subcommand| subcommand.get_name().to_string())
            .collect();
        for name in names {
            let takes_file = takes_file || WITH_FILE.contains(&name.as_str());
            command =
                command.mut_subcommand(name, |subcommand| self.supply_from(subcommand, takes_file));
        }
        command
    }

    /// What the file says of the option; those of the program itself stand at the root.
    fn value_of_file(&self, id: &str, takes_file: bool) -> Option<&str> {
        let (_, values) = self.file.as_ref()?;
        let is_of_program = || table::of_scope(Scope::Program).any(|setting| setting.name == id);
        if !takes_file && !is_of_program() {
            return None;
        }
        values.values.get(id).map(|value| value.text.as_str())
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
                .add_text(&text, &path)
                .map_err(|cause| anyhow::anyhow!("{}: {cause}", path.display()));
        }
        Ok(())
    }

    fn add_text(&mut self, text: &str, path: &Path) -> Result<(), dotenv::SyntaxError> {
        let lookup = |name: &str| {
            let value = self.process.get(OsStr::new(name))?;
            value.to_str().map(str::to_string)
        };
        for (name, value) in dotenv::parse(text, lookup)? {
            if self.process.contains_key(OsStr::new(&name)) {
                continue;
            }
            let origin = Origin::DotEnv {
                path: path.to_path_buf(),
                variable: name.clone(),
            };
            self.added.entry(name.into()).or_insert_with(|| Added {
                value: value.into(),
                origin,
            });
        }
        Ok(())
    }

    /// Reads the secrets that stand in files: `…_FILE` names the file of a variable that is not set itself.
    fn add_secret_files(&mut self) -> anyhow::Result<()> {
        for name in secret_variables() {
            let of_file = format!("{name}_FILE");
            if self.get(&name).is_some() {
                continue;
            }
            let Some(path) = self.get(&of_file).filter(|path| !path.is_empty()) else {
                continue;
            };
            let path = PathBuf::from(path);
            let text = std::fs::read_to_string(&path)
                .map_err(|cause| anyhow::anyhow!("{of_file}: {}: {cause}", path.display()))?;
            let added = Added {
                // Editors end files with a line end, and no secret does.
                value: text.trim_end_matches(['\n', '\r']).into(),
                origin: Origin::Variable(of_file),
            };
            self.added.insert(name.into(), added);
        }
        Ok(())
    }

    /// Makes values given under an old name known under the new one; returns the warnings this earns.
    fn copy_old_names(&mut self) -> Vec<String> {
        let mut warnings = Vec::new();
        let names = self.process.keys().chain(self.added.keys());
        let names: Vec<String> = names
            .filter_map(|name| Some(name.to_str()?.to_string()))
            .collect();
        for name in &names {
            if WITHOUT_MEANING
                .iter()
                .any(|beginning| name.starts_with(beginning))
            {
                warnings.push(format!(
                    "environment variable {name} is ignored: it means nothing any more"
                ));
            }
            if let Some(rest) = name.strip_prefix(LARGER_EDITION) {
                warnings.extend(self.copy_old_name(name, &format!("{PREFIX}{rest}")));
            }
        }
        for setting in table::all() {
            let Some(new) = setting.variable_name() else {
                continue;
            };
            for old in setting.older_variable_names() {
                let warning = self.copy_old_name(&old, &new);
                warnings.extend(warning.filter(|_| !SYNONYMS.contains(&old.as_str())));
            }
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
        let origin = match self.added.get(OsStr::new(old)) {
            Some(added) => added.origin.clone(),
            None => Origin::Variable(old.to_string()),
        };
        self.added.insert(new.into(), Added { value, origin });
        Some(format!(
            "environment variable {old} is deprecated, use {new} instead"
        ))
    }
}

/// Variables with a secret that may stand in a file instead; those that name a file have a meaning of their own.
fn secret_variables() -> Vec<String> {
    let of_server = table::all().filter(|setting| {
        matches!(setting.kind, Kind::Text)
            && is_secret(setting.name)
            && setting.effect == Effect::Full
    });
    of_server.filter_map(Setting::variable_name).collect()
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
            ..Environment::default()
        };
        let path = Path::new("/.env");
        environment
            .add_text(file, path)
            .expect("the file is well formed");
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
    fn which_lines_take_the_file() {
        let environment = Environment::default();
        for (line, expected) in [
            ("influxdb3 serve --config a.toml", Some("a.toml")),
            ("influxdb3 --config=a.toml", Some("a.toml")),
            ("influxdb3 --config a.toml", Some("a.toml")),
            (
                "influxdb3 --num-io-threads 2 serve --config a.toml",
                Some("a.toml"),
            ),
            ("influxdb3 debug verify --config a.toml", Some("a.toml")),
            ("influxdb3 query --config a.toml", None),
            ("influxdb3 serve", None),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let found = environment.config_file(&words);
            assert_eq!(found, expected.map(PathBuf::from), "{line}");
        }
    }

    #[test]
    fn old_names_are_copied_with_a_warning_unless_the_new_one_is_set() {
        let mut environment = environment(
            &[
                ("LOG_FILTER", "debug"),
                ("LOG_FORMAT", "json"),
                ("INFLUXDB3_LOG_FORMAT", "full"),
                ("INFLUXDB3_DATAFUSION_NUM_THREADS", "3"),
                ("INFLUXDB3_ENTERPRISE_NUM_TABLE_LIMIT", "4"),
                ("INFLUXDB3_PT_SNAPSHOT_SIZE", "1mb"),
            ],
            "INFLUXDB3_DB_DIR=/data",
        );
        let warnings = environment.copy_old_names();
        assert_eq!(
            warnings,
            [
                "environment variable INFLUXDB3_ENTERPRISE_NUM_TABLE_LIMIT is deprecated, use INFLUXDB3_NUM_TABLE_LIMIT instead",
                "environment variable INFLUXDB3_PT_SNAPSHOT_SIZE is ignored: it means nothing any more",
                "environment variable INFLUXDB3_DB_DIR is deprecated, use INFLUXDB3_DATA_DIR instead",
                "environment variable LOG_FILTER is deprecated, use INFLUXDB3_LOG_FILTER instead",
                "both LOG_FORMAT and INFLUXDB3_LOG_FORMAT are set; using INFLUXDB3_LOG_FORMAT, as LOG_FORMAT is deprecated",
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
        let origin = |name| environment.origin_of(table::find(name).expect("an option"));
        assert_eq!(
            origin("num-table-limit"),
            Some(Origin::Variable(
                "INFLUXDB3_ENTERPRISE_NUM_TABLE_LIMIT".to_string()
            ))
        );
        assert_eq!(
            origin("data-dir"),
            Some(Origin::DotEnv {
                path: PathBuf::from("/.env"),
                variable: "INFLUXDB3_DB_DIR".to_string()
            })
        );
        assert_eq!(origin("http-bind"), None);
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
