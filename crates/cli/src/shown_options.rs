//! The options a server was started with, as `system.nodes` shows them: what may be known by its value, the rest only by its name.
//!
//! Defaults are left out: they are in the manual. Which names are masked: spec/server-config.md §13, spec/catalog-and-caches.md §7.

use std::collections::BTreeMap;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use crate::environment::Environment;

const MASK: &str = "*******";

/// Parts of names whose values are nobody's business.
const SENSITIVE_PARTS: [&str; 6] = ["password", "secret", "token", "credential", "auth", "key"];

/// How names begin whose values are keys, or lead to them.
const SENSITIVE_BEGINNINGS: [&str; 2] = ["aws-", "azure-"];

const SENSITIVE: [&str; 2] = ["google-service-account", "tls-cert"];

/// By its long name, each option of `command` that the line or the environment has given.
pub(crate) fn of(
    command: &Command,
    given: &ArgMatches,
    environment: &Environment,
) -> BTreeMap<String, String> {
    let arguments = command.get_arguments().filter_map(|argument| {
        let name = argument.get_long()?;
        let id = argument.get_id().as_str();
        let is_given = match given.value_source(id)? {
            // What a file of variables says comes as a default.
            ValueSource::DefaultValue => argument
                .get_env()
                .is_some_and(|name| environment.get(name).is_some()),
            _ => true,
        };
        let values = given.get_raw(id)?.map(|value| value.to_string_lossy());
        let value = values.collect::<Vec<_>>().join(",");
        is_given.then(|| (name.to_string(), shown(name, value)))
    });
    arguments.collect()
}

fn shown(name: &str, value: String) -> String {
    // The address of a server may have a password in it.
    let has_user = value.contains("://") && value.contains('@');
    match is_sensitive(name) || has_user {
        true => MASK.to_string(),
        false => value,
    }
}

fn is_sensitive(name: &str) -> bool {
    SENSITIVE.contains(&name)
        || SENSITIVE_PARTS.iter().any(|part| name.contains(part))
        || SENSITIVE_BEGINNINGS
            .iter()
            .any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::commands::Arguments;

    #[test]
    fn what_is_given_is_shown_and_what_is_secret_is_masked() {
        let tree = Arguments::command();
        let line = "influxdb3 serve --node-id n --object-store s3 --bucket b --aws-secret-access-key hidden \
                    --aws-default-region r --without-auth --disable-authz health,ping --wal-flush-interval 5ms \
                    --telemetry-endpoint https://user:hidden@host/";
        let matches = tree
            .clone()
            .try_get_matches_from(line.split_whitespace())
            .expect("a valid line");
        let (_, given) = matches.subcommand().expect("serve");
        let serve = tree.find_subcommand("serve").expect("serve");
        let shown = of(serve, given, &Environment::default());
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
    fn options_that_are_shown() {
        let tree = Arguments::command();
        let serve = tree.find_subcommand("serve").expect("serve");
        let names = serve
            .get_arguments()
            .filter_map(|argument| argument.get_long())
            .filter(|name| is_sensitive(name));
        let masked: Vec<&str> = names.collect();
        for name in ["tls-key", "tls-cert", "admin-token-file", "without-auth"] {
            assert!(masked.contains(&name), "{name} is shown");
        }
        for name in ["node-id", "object-store", "data-dir", "http-bind"] {
            assert!(!masked.contains(&name), "{name} is masked");
        }
    }
}
