//! The options of the table as clap takes them: which were given, as text.
//!
//! A line or a variable with a value that is none ends here, with clap's error. Not here: older variables, `.env` and the file,
//! which `environment` hands to clap as defaults; what is in force when nothing is given (`settings`).

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Args, Command, Error, FromArgMatches};

use super::setting::{Kind, Setting};
use super::table::{self, Scope};
use crate::line;

/// The group of the two ways to name a node.
pub(crate) const NODE_NAME: &str = "node-name";

/// What was given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given(BTreeMap<&'static str, Text>);

#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) value: String,
    pub(crate) source: Source,
}

/// Who gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Line,
    /// The variable itself, in the environment of the process.
    Variable,
    /// `environment`, from an older variable, `.env` or the file.
    Supplied,
}

impl Given {
    pub(crate) fn get(&self, name: &str) -> Option<&Text> {
        self.0.get(name)
    }

    fn of(settings: impl Iterator<Item = &'static Setting>, matches: &ArgMatches) -> Self {
        let given = settings.filter_map(|setting| Some((setting.name, text(setting, matches)?)));
        Self(given.collect())
    }
}

fn text(setting: &Setting, matches: &ArgMatches) -> Option<Text> {
    // A command with a part of the table only knows that part.
    let source = match matches.try_contains_id(setting.name).ok()? {
        true => matches.value_source(setting.name)?,
        false => return None,
    };
    let source = match source {
        ValueSource::CommandLine => Source::Line,
        ValueSource::EnvVariable => Source::Variable,
        _ => Source::Supplied,
    };
    let value = match setting.kind {
        Kind::Switch => matches.get_flag(setting.name).to_string(),
        Kind::Count => matches.get_count(setting.name).to_string(),
        _ => {
            let values = matches.get_many::<String>(setting.name)?;
            values.map(String::as_str).collect::<Vec<_>>().join(",")
        }
    };
    // A switch that nobody touched has clap's default.
    let is_untouched = source == Source::Supplied && matches!(value.as_str(), "false" | "0");
    let takes_none = matches!(setting.kind, Kind::Switch | Kind::Count);
    (!(is_untouched && takes_none)).then_some(Text { value, source })
}

/// One option of the table as an argument.
fn argument(setting: &'static Setting) -> Arg {
    let mut argument = Arg::new(setting.name)
        .long(setting.name)
        .help(setting.meaning)
        .aliases(setting.older)
        .hide(setting.is_hidden)
        .hide_env_values(is_secret(setting.name));
    if let Some(letter) = setting.short {
        argument = argument.short(letter);
    }
    if let Some(variable) = setting.variable_name() {
        argument = argument.env(variable);
    }
    match setting.kind {
        Kind::Switch => argument.action(ArgAction::SetTrue),
        Kind::Count => argument.action(ArgAction::Count),
        kind => {
            let check = move |text: &str| kind.check(text).map(|()| text.to_string());
            argument = argument
                .action(ArgAction::Set)
                .value_parser(check)
                .value_name(setting.value_name().unwrap_or("VALUE"));
            if matches!(kind, Kind::Signed) {
                argument = argument.allow_negative_numbers(true);
            }
            if let Some(alone) = setting.alone {
                argument = argument.num_args(0..=1).default_missing_value(alone);
            }
            if setting.takes_several {
                argument = argument.num_args(1..);
            }
            argument
        }
    }
}

fn with_arguments(command: Command, settings: impl Iterator<Item = &'static Setting>) -> Command {
    settings.map(argument).fold(command, Command::arg)
}

/// `--node-id` or `--node-id-from-env`, and not both.
fn node_name(is_required: bool) -> ArgGroup {
    ArgGroup::new(NODE_NAME)
        .args(["node-id", "node-id-from-env"])
        .required(is_required)
        .multiple(false)
}

/// Where settings may come from besides: the file.
pub(crate) const CONFIG: &str = "config";

fn config_file() -> Arg {
    Arg::new(CONFIG)
        .long(CONFIG)
        .env(CONFIG_VARIABLE)
        .value_name("FILE")
        .value_parser(clap::builder::NonEmptyStringValueParser::new())
        .help("TOML file with options of the server, by the same names")
}

/// The variable that names the file.
pub(crate) const CONFIG_VARIABLE: &str = "INFLUXDB3_CONFIG";

/// Makes a type of options out of a part of the table.
macro_rules! part_of_the_table {
    ($(#[$about:meta])* $name:ident, $settings:expr, $finish:expr) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $name(pub(crate) Given);

        impl Args for $name {
            fn augment_args(command: Command) -> Command {
                let finish: fn(Command) -> Command = $finish;
                finish(with_arguments(command, $settings).arg(config_file()))
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
                Ok(Self(Given::of($settings, matches)))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
}

part_of_the_table! {
    /// All options of a server; the name of the node is among those that must be given.
    ServerOptions, table::of_scope(Scope::Server), |command| command.group(node_name(true))
}

part_of_the_table! {
    /// All options of a server, of which none need be given.
    AnyOptions, table::of_scope(Scope::Server), |command| command.group(node_name(false))
}

part_of_the_table! {
    /// What says where data is kept.
    StoreOptions, table::of_scope(Scope::Store), |command| command
}

part_of_the_table! {
    /// What says where data is kept, and which node's.
    NodeStoreOptions,
    table::of_scope(Scope::Store).chain(["node-id", "node-id-from-env"].into_iter().filter_map(table::find)),
    |command| command.group(node_name(true))
}

/// The options that every command takes: hidden in help, but for the page of the root.
pub(crate) fn with_program_options(command: Command) -> Command {
    table::of_scope(Scope::Program)
        .map(|setting| argument(setting).global(true).hide(true))
        .fold(command, Command::arg)
}

/// What was given of the options that every command takes.
pub(crate) fn program_options(matches: &ArgMatches) -> Given {
    Given::of(table::of_scope(Scope::Program), matches)
}

/// A warning for every older name of an option on a line (the program's name first) of a command that takes it.
pub(crate) fn older_names(line: &[OsString]) -> Vec<String> {
    let words: Vec<&str> = line::words(line).filter_map(|word| word.to_str()).collect();
    if !words
        .iter()
        .any(|word| matches!(*word, "config" | "debug" | "serve"))
    {
        return Vec::new();
    }
    let named = words.iter().filter_map(|word| {
        let word = word.strip_prefix("--")?;
        let name = word.split_once('=').map_or(word, |(name, _)| name);
        let setting = table::all().find(|setting| setting.older.contains(&name))?;
        Some(format!(
            "option --{name} is deprecated, use {} instead",
            setting.flag()
        ))
    });
    named.collect()
}

/// Parts of names whose values are nobody's business (spec/server-config.md §13, spec/catalog-and-caches.md §7).
const SECRET_PARTS: [&str; 6] = ["password", "secret", "token", "credential", "auth", "key"];

/// How names begin whose values are keys, or lead to them.
const SECRET_BEGINNINGS: [&str; 2] = ["aws-", "azure-"];

const SECRET: [&str; 2] = ["google-service-account", "tls-cert"];

/// Whether the value of an option of that name is never shown.
pub(crate) fn is_secret(name: &str) -> bool {
    SECRET.contains(&name)
        || SECRET_PARTS.iter().any(|part| name.contains(part))
        || SECRET_BEGINNINGS
            .iter()
            .any(|beginning| name.starts_with(beginning))
}
