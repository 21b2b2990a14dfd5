//! `config`: what is in force of a server's options and why, whether a file is right, and a file to start from.
//!
//! No server is asked: the commands read the same line, environment, `.env` and file as `serve` would. Values that may be secret are
//! masked, as in `system.nodes`.

use clap::{Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use crate::environment::Environment;
use crate::options::given::AnyOptions;
use crate::options::setting::{Setting, Usual};
use crate::options::settings::{Origin, Settings, shown};
use crate::options::table::{self, Scope};
use crate::options::{reference, template};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show which options a server would have here, and where they come from
    Show(Box<ShowOptions>),
    /// Check options without starting a server: nothing is told when all is well
    Check(Box<CheckOptions>),
    /// Print a file with every option, to start from
    Init,
    /// Print the reference of all options, in Markdown
    Reference,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    #[command(flatten)]
    given: AnyOptions,

    /// Tell where each value comes from
    #[arg(long)]
    origin: bool,

    /// Leave out what has its default
    #[arg(long)]
    given_only: bool,

    /// How to show them
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CheckOptions {
    #[command(flatten)]
    given: AnyOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lowercase")]
enum Format {
    /// A line for each option, as in a file
    Text,
    /// One JSON object
    Json,
}

impl Config {
    pub(crate) fn run(self, environment: &Environment) -> anyhow::Result<()> {
        match self {
            Self::Show(options) => options.run(environment),
            Self::Check(options) => options.run(environment),
            Self::Init => output::print(template::template().trim_end()),
            Self::Reference => output::print(reference::page().trim_end()),
        }
    }
}

impl ShowOptions {
    fn run(&self, environment: &Environment) -> anyhow::Result<()> {
        let settings = Settings::of(&self.given.0, environment);
        let in_force: Vec<InForce<'_>> = table::of_scope(Scope::Server)
            .filter(|setting| settings.is_given(setting.name) || !setting.is_hidden)
            .map(|setting| InForce::of(setting, &settings))
            .filter(|one| !self.given_only || one.origin != Origin::Default)
            .collect();
        match self.format {
            Format::Text => {
                let lines = in_force.iter().map(|one| one.line(self.origin));
                output::print(lines.collect::<Vec<_>>().join("\n"))
            }
            Format::Json => {
                let pairs = in_force
                    .iter()
                    .map(|one| (one.setting.name.to_string(), one.json(self.origin)));
                output::print(Value::Object(pairs.collect::<Map<_, _>>()))
            }
        }
    }
}

impl CheckOptions {
    /// Values are checked by now; what is left is what belongs together.
    fn run(&self, environment: &Environment) -> anyhow::Result<()> {
        let settings = Settings::of(&self.given.0, environment);
        for notice in settings.notices() {
            output::complain(notice);
        }
        super::serve::check(&settings, environment)
    }
}

/// An option with its value.
struct InForce<'a> {
    setting: &'static Setting,
    value: Option<&'a str>,
    origin: Origin,
}

impl<'a> InForce<'a> {
    fn of(setting: &'static Setting, settings: &'a Settings) -> Self {
        let (value, origin) = settings.in_force(setting);
        Self {
            setting,
            value,
            origin,
        }
    }

    /// `name = "value" # origin`, or a comment where there is no value.
    fn line(&self, has_origin: bool) -> String {
        let name = self.setting.name;
        let text = match (self.value, self.setting.default) {
            (Some(value), _) => format!("{name} = {:?}", shown(self.setting, value)),
            (None, Usual::Told(words)) => format!("# {name}: {words}"),
            (None, _) => format!("# {name}: not set"),
        };
        match has_origin {
            true => format!("{text:<58} # {}", self.origin),
            false => text,
        }
    }

    fn json(&self, has_origin: bool) -> Value {
        let value = self.value.map(|value| shown(self.setting, value));
        match has_origin {
            true => json!({ "value": value, "origin": self.origin.to_string() }),
            false => json!(value),
        }
    }
}
