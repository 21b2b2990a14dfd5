//! What is in force: for every option its value, and where that comes from.
//!
//! Made once from what was given; the getters turn text that was checked before into values. Not here: what the options do.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::given::{Given, Source, is_secret};
use super::setting::{self, Effect, Setting, Usual};
use super::table;
use crate::environment::Environment;
use crate::memory_size::{self, MemorySize};

/// What stands for a value that is never shown.
const MASK: &str = "*******";

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Line,
    Variable(String),
    /// A file `.env`, and the variable in it.
    DotEnv {
        path: PathBuf,
        variable: String,
    },
    /// The file with options, and the line (from 1) in it.
    File {
        path: PathBuf,
        line: usize,
    },
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line => formatter.write_str("command line"),
            Self::Variable(name) => write!(formatter, "variable {name}"),
            Self::DotEnv { path, variable } => {
                write!(formatter, "{} {variable}", path.display())
            }
            Self::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Self::Default => formatter.write_str("default"),
        }
    }
}

/// A value that was given.
#[derive(Clone, Debug)]
struct Value {
    text: String,
    origin: Origin,
}

/// The options in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings(BTreeMap<&'static str, Value>);

impl Settings {
    /// `environment` tells where the values come from that it has supplied.
    pub(crate) fn of(given: &Given, environment: &Environment) -> Self {
        let values = table::all().filter_map(|setting| {
            let text = given.get(setting.name)?;
            let origin = match text.source {
                Source::Line => Origin::Line,
                Source::Variable => Origin::Variable(setting.variable_name()?),
                Source::Supplied => environment.origin_of(setting)?,
            };
            let text = text.value.clone();
            Some((setting.name, Value { text, origin }))
        });
        Self(values.collect())
    }

    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The value and its origin; no value where the default is worked out at start, or there is none.
    pub(crate) fn in_force(&self, setting: &Setting) -> (Option<&str>, Origin) {
        match self.0.get(setting.name) {
            Some(value) => (Some(&value.text), value.origin.clone()),
            None => match setting.default {
                Usual::Value(text) => (Some(text), Origin::Default),
                Usual::Told(_) | Usual::Nothing => (None, Origin::Default),
            },
        }
    }

    /// What was given, as it may be shown (spec/server-config.md §13).
    pub(crate) fn shown(&self) -> BTreeMap<String, String> {
        // Options of the program are not the server's.
        let of_server = table::of_scope(table::Scope::Server);
        let given = of_server.filter_map(|setting| {
            let value = self.0.get(setting.name)?;
            Some((setting.name.to_string(), shown(setting, &value.text)))
        });
        given.collect()
    }

    /// A line for each option that was given and does nothing.
    pub(crate) fn notices(&self) -> Vec<String> {
        let given = table::all().filter(|setting| self.is_given(setting.name));
        given
            .filter_map(|setting| match setting.effect {
                Effect::Inert(reason) => {
                    Some(format!("{} has no effect: {reason}", setting.flag()))
                }
                Effect::Full => None,
            })
            .collect()
    }

    /// The value, given or by default; an empty one is none: scripts set variables to nothing.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let setting = table::find(name).expect("only options of the table are asked for");
        let (value, _) = self.in_force(setting);
        value.filter(|text| !text.is_empty())
    }

    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_string)
    }

    /// A word without regard to case.
    pub(crate) fn word(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_ascii_lowercase)
    }

    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    pub(crate) fn switch(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    pub(crate) fn count(&self, name: &str) -> u8 {
        self.number(name).unwrap_or(0)
    }

    pub(crate) fn number<N: FromStr>(&self, name: &str) -> Option<N> {
        self.text(name)?.parse().ok()
    }

    pub(crate) fn duration(&self, name: &str) -> Option<Duration> {
        crate::duration::parse(self.text(name)?).ok()
    }

    pub(crate) fn size(&self, name: &str) -> Option<MemorySize> {
        memory_size::parse(self.text(name)?).ok()
    }

    pub(crate) fn request_size(&self, name: &str) -> Option<MemorySize> {
        memory_size::parse_request_size(self.text(name)?).ok()
    }

    /// A name may have moved since it was checked; then there is none.
    pub(crate) fn address(&self, name: &str) -> Option<SocketAddr> {
        setting::address(self.text(name)?).ok()
    }

    pub(crate) fn url(&self, name: &str) -> Option<String> {
        setting::url(self.text(name)?).ok()
    }

    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let text = self.text(name).unwrap_or_default();
        let parts = text.split(',').map(str::trim);
        parts.filter(|part| !part.is_empty()).collect()
    }
}

/// A value as anybody may see it.
pub(crate) fn shown(setting: &Setting, text: &str) -> String {
    // The address of a server may have a password in it.
    let has_user = text.contains("://") && text.contains('@');
    match is_secret(setting.name) || has_user {
        true => MASK.to_string(),
        false => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;
    use crate::options::given::AnyOptions;

    fn settings(line: &str) -> Settings {
        let words = std::iter::once("x").chain(line.split_whitespace());
        let command = AnyOptions::augment_args(Command::new("x"));
        let matches = command.try_get_matches_from(words).expect("a valid line");
        let given = AnyOptions::from_arg_matches(&matches).expect("a valid line");
        Settings::of(&given.0, &Environment::default())
    }

    #[test]
    fn what_is_given_is_shown_and_what_is_secret_is_masked() {
        let shown = settings(
            "--node-id n --object-store s3 --bucket b --aws-secret-access-key hidden --aws-default-region r --without-auth \
             --disable-authz health,ping --wal-flush-interval 5ms --telemetry-endpoint https://user:hidden@host/",
        )
        .shown();
        let shown: Vec<(&str, &str)> = shown
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ("aws-default-region", MASK),
                ("aws-secret-access-key", MASK),
                ("bucket", "b"),
                ("disable-authz", MASK),
                ("node-id", "n"),
                ("object-store", "s3"),
                ("telemetry-endpoint", MASK),
                ("wal-flush-interval", "5ms"),
                ("without-auth", MASK),
            ]
        );
    }

    #[test]
    fn names_that_are_secret() {
        for name in ["tls-key", "tls-cert", "admin-token-file", "without-auth"] {
            assert!(is_secret(name), "{name} is shown");
        }
        for name in ["node-id", "object-store", "data-dir", "http-bind"] {
            assert!(!is_secret(name), "{name} is masked");
        }
    }

    #[test]
    fn values_and_defaults() {
        let given = settings(
            "--object-store MEMORY --wal-snapshot-size 7 -vv --restrict-plugin-triggers-to wal schedule --query-timeout 1m --aws-endpoint=",
        );
        assert_eq!(given.word("object-store").as_deref(), Some("memory"));
        assert_eq!(given.number("wal-files-per-snapshot"), Some(7_u32));
        assert_eq!(given.count("verbose"), 2);
        assert_eq!(
            given.list("restrict-plugin-triggers-to"),
            ["wal", "schedule"]
        );
        assert_eq!(
            given.duration("query-timeout"),
            Some(Duration::from_secs(60))
        );
        assert_eq!(given.url("aws-endpoint"), None);
        assert_eq!(
            given.duration("query-queue-timeout"),
            Some(Duration::from_secs(30))
        );
        assert!(!given.switch("without-auth") && !given.is_given("without-auth"));
        assert_eq!(
            given.notices(),
            ["--restrict-plugin-triggers-to has no effect: plugins are not implemented yet"]
        );
    }
}
