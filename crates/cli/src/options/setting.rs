//! One option of the server: its names, what its values look like, what it is for.
//!
//! Plain data; the list of all is `table`. Grammars of values and texts of errors: spec/server-config.md §2, §7, §8.
//! Not here: which value is in force (`settings`), what a value does (`commands::serve`).

use std::net::{SocketAddr, ToSocketAddrs};

use crate::memory_size;

/// An option of the server, of the command line, the environment and the file alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// As on the command line, without dashes, and in the file.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) meaning: &'static str,
    pub(crate) short: Option<char>,
    /// Names of earlier versions.
    pub(crate) older: &'static [&'static str],
    variable: Variable,
    /// Variables of earlier versions, besides those that follow from `older`.
    older_variables: &'static [&'static str],
    /// Whether the variable is also known without the product's prefix (spec/server-config.md §4).
    is_unprefixed: bool,
    pub(crate) default: Usual,
    /// The value of the option when it is given without one.
    pub(crate) alone: Option<&'static str>,
    /// Whether several words may follow on the command line.
    pub(crate) takes_several: bool,
    pub(crate) effect: Effect,
    /// Whether the short page of help has it.
    pub(crate) is_common: bool,
    /// Whether only those find it who know it.
    pub(crate) is_hidden: bool,
    called: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
enum Variable {
    /// The product's prefix and the name.
    Usual,
    Named(&'static str),
    None,
}

/// What is in force when nothing is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usual {
    Nothing,
    /// A value as it could be given.
    Value(&'static str),
    /// Worked out at start, told in words.
    Told(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Full,
    /// Accepted so that scripts and files of the original keep working; the reason why it does nothing.
    Inert(&'static str),
}

/// What values look like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// On when it is there; variables and files say `true` or `false`.
    Switch,
    /// `true` or `false`.
    Truth,
    /// How often it is there.
    Count,
    Text,
    File,
    Folder,
    Address,
    /// Absolute; empty is as if not given.
    Url,
    Duration,
    /// Of memory; a number alone counts megabytes.
    Size,
    /// Of a request; a number alone counts bytes.
    RequestSize,
    /// A whole number, at least so large.
    Number(u64),
    /// A whole number that may be negative.
    Signed,
    /// One of these, in any case.
    One(&'static [&'static str]),
    /// Some of these, with commas.
    List(&'static [&'static str]),
    /// What the function takes.
    Checked(&'static str, fn(&str) -> Result<(), String>),
}

/// The product's prefix of variables.
pub(crate) const PREFIX: &str = "INFLUXDB3_";

/// An option that does something.
pub(crate) const fn setting(name: &'static str, kind: Kind, meaning: &'static str) -> Setting {
    Setting {
        name,
        kind,
        meaning,
        short: None,
        older: &[],
        variable: Variable::Usual,
        older_variables: &[],
        is_unprefixed: false,
        default: Usual::Nothing,
        alone: None,
        takes_several: false,
        effect: Effect::Full,
        is_common: false,
        is_hidden: false,
        called: None,
    }
}

/// An option that is accepted and does nothing, and why.
pub(crate) const fn inert(name: &'static str, kind: Kind, reason: &'static str) -> Setting {
    let mut inert = setting(name, kind, reason);
    inert.effect = Effect::Inert(reason);
    inert
}

impl Setting {
    pub(crate) const fn older(mut self, names: &'static [&'static str]) -> Self {
        self.older = names;
        self
    }

    pub(crate) const fn variable(mut self, name: &'static str) -> Self {
        self.variable = Variable::Named(name);
        self
    }

    pub(crate) const fn no_variable(mut self) -> Self {
        self.variable = Variable::None;
        self
    }

    pub(crate) const fn older_variables(mut self, names: &'static [&'static str]) -> Self {
        self.older_variables = names;
        self
    }

    pub(crate) const fn unprefixed(mut self) -> Self {
        self.is_unprefixed = true;
        self
    }

    pub(crate) const fn default(mut self, value: &'static str) -> Self {
        self.default = Usual::Value(value);
        self
    }

    pub(crate) const fn usually(mut self, words: &'static str) -> Self {
        self.default = Usual::Told(words);
        self
    }

    pub(crate) const fn alone(mut self, value: &'static str) -> Self {
        self.alone = Some(value);
        self
    }

    pub(crate) const fn several(mut self) -> Self {
        self.takes_several = true;
        self
    }

    pub(crate) const fn common(mut self) -> Self {
        self.is_common = true;
        self
    }

    pub(crate) const fn hidden(mut self) -> Self {
        self.is_hidden = true;
        self
    }

    pub(crate) const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    /// How the value is called in help.
    pub(crate) const fn called(mut self, name: &'static str) -> Self {
        self.called = Some(name);
        self
    }

    /// The variable that gives it, where there is one.
    pub(crate) fn variable_name(&self) -> Option<String> {
        match self.variable {
            Variable::Usual => Some(variable_of(self.name)),
            Variable::Named(name) => Some(name.to_string()),
            Variable::None => None,
        }
    }

    /// Earlier names of that variable.
    pub(crate) fn older_variable_names(&self) -> Vec<String> {
        let Some(current) = self.variable_name() else {
            return Vec::new();
        };
        let mut names: Vec<String> = self.older.iter().map(|name| variable_of(name)).collect();
        names.extend(self.older_variables.iter().map(|name| name.to_string()));
        if self.is_unprefixed {
            names.extend(current.strip_prefix(PREFIX).map(str::to_string));
        }
        names.retain(|name| *name != current);
        names
    }

    /// How its value is called in help; `None` of one that takes none.
    pub(crate) fn value_name(&self) -> Option<&'static str> {
        if self.called.is_some() {
            return self.called;
        }
        Some(match self.kind {
            Kind::Switch | Kind::Count => return None,
            Kind::Truth => "BOOL",
            Kind::Text => "TEXT",
            Kind::File => "FILE",
            Kind::Folder => "FOLDER",
            Kind::Address => "ADDR",
            Kind::Url => "URL",
            Kind::Duration => "DURATION",
            Kind::Size | Kind::RequestSize => "SIZE",
            Kind::Number(_) | Kind::Signed => "N",
            Kind::One(_) => "NAME",
            Kind::List(_) => "LIST",
            Kind::Checked(name, _) => name,
        })
    }

    /// The option as it is typed.
    pub(crate) fn flag(&self) -> String {
        format!("--{}", self.name)
    }
}

/// `wal-flush-interval` is `INFLUXDB3_WAL_FLUSH_INTERVAL`.
fn variable_of(name: &str) -> String {
    format!("{PREFIX}{}", name.to_ascii_uppercase().replace('-', "_"))
}

impl Kind {
    /// Whether `text` is a value. The error says what is wrong with it, without the name of the option.
    pub(crate) fn check(self, text: &str) -> Result<(), String> {
        match self {
            Self::Switch | Self::Truth => match text {
                "true" | "false" => Ok(()),
                _ => Err(format!("'{text}' is neither true nor false")),
            },
            Self::Count => whole_number(text, 0),
            Self::Text => Ok(()),
            Self::File | Self::Folder => match text {
                "" => Err("the path is empty".to_string()),
                _ => Ok(()),
            },
            Self::Address => address(text).map(drop),
            Self::Url => url(text).map(drop),
            Self::Duration => crate::duration::parse(text)
                .map(drop)
                .map_err(|fault| fault.to_string()),
            Self::Size => memory_size::parse(text).map(drop),
            Self::RequestSize => memory_size::parse_request_size(text).map(drop),
            Self::Number(least) => whole_number(text, least),
            Self::Signed => text
                .parse::<i32>()
                .map(drop)
                .map_err(|fault| format!("'{text}' is no whole number: {fault}")),
            Self::One(words) => {
                let known = words.iter().any(|word| word.eq_ignore_ascii_case(text));
                known
                    .then_some(())
                    .ok_or_else(|| format!("'{text}' is not one of {}", words.join(", ")))
            }
            Self::List(words) => {
                let unknown = text
                    .split(',')
                    .map(str::trim)
                    .find(|part| !words.contains(part));
                match unknown {
                    None => Ok(()),
                    Some(part) => Err(format!("'{part}' is not one of {}", words.join(", "))),
                }
            }
            Self::Checked(_, check) => check(text),
        }
    }

    /// What values look like, in words.
    pub(crate) fn told(self) -> String {
        match self {
            Self::Switch | Self::Truth => "true or false".to_string(),
            Self::Count => "how often".to_string(),
            Self::Text | Self::Checked(..) => "text".to_string(),
            Self::File => "file".to_string(),
            Self::Folder => "folder".to_string(),
            Self::Address => "address".to_string(),
            Self::Url => "URL".to_string(),
            Self::Duration => "duration".to_string(),
            Self::Size => "size".to_string(),
            Self::RequestSize => "size, bytes".to_string(),
            Self::Number(0) | Self::Signed => "number".to_string(),
            Self::Number(least) => format!("number, at least {least}"),
            Self::One(words) | Self::List(words) => words
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(", "),
        }
    }
}

fn whole_number(text: &str, least: u64) -> Result<(), String> {
    match text.parse::<u64>() {
        Ok(number) if number < least => Err(format!("must be at least {least}, got {text}")),
        Ok(_) => Ok(()),
        Err(fault) => Err(format!("'{text}' is no whole number: {fault}")),
    }
}

/// The first address that a name stands for.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let mut addresses = text
        .to_socket_addrs()
        .map_err(|cause| format!("Cannot parse socket address '{text}': {cause}"))?;
    addresses
        .next()
        .ok_or_else(|| format!("Found no addresses for '{text}'"))
}

/// An absolute URL without slashes at its end; empty is as if not given.
pub(crate) fn url(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let url = reqwest::Url::parse(text).map_err(|cause| format!("'{text}' is no URL: {cause}"))?;
    if url.cannot_be_a_base() || !url.has_host() {
        return Err(format!("'{text}' is no URL with a host"));
    }
    Ok(text.trim_end_matches('/').to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, text: &str, expected: Result<(), &str>) {
        assert_eq!(kind.check(text), expected.map_err(str::to_string), "{text}");
    }

    #[test]
    fn values() {
        check(Kind::Switch, "true", Ok(()));
        check(Kind::Switch, "1", Err("'1' is neither true nor false"));
        check(Kind::Number(1), "1", Ok(()));
        check(Kind::Number(1), "0", Err("must be at least 1, got 0"));
        check(Kind::Signed, "-3", Ok(()));
        check(Kind::Duration, "1h 30m", Ok(()));
        check(Kind::Size, "20%", Ok(()));
        check(Kind::RequestSize, "10485760", Ok(()));
        check(Kind::One(&["a", "b"]), "B", Ok(()));
        check(Kind::One(&["a", "b"]), "c", Err("'c' is not one of a, b"));
        check(Kind::List(&["a", "b"]), "a, b", Ok(()));
        check(
            Kind::List(&["a", "b"]),
            "a,,b",
            Err("'' is not one of a, b"),
        );
        check(Kind::Address, "127.0.0.1:0", Ok(()));
        check(Kind::Url, "", Ok(()));
        check(Kind::Url, "http://h:1/", Ok(()));
        check(
            Kind::Url,
            "mailto:a@b",
            Err("'mailto:a@b' is no URL with a host"),
        );
        check(Kind::File, "", Err("the path is empty"));
        let error = Kind::Address.check("nonsense").expect_err("no port");
        assert!(
            error.starts_with("Cannot parse socket address 'nonsense': "),
            "{error}"
        );
    }

    #[test]
    fn variables_follow_from_names() {
        let one = setting("new-name", Kind::Text, "")
            .older(&["old-name"])
            .older_variables(&["INFLUXDB3_VERY_OLD"])
            .unprefixed();
        assert_eq!(one.variable_name().as_deref(), Some("INFLUXDB3_NEW_NAME"));
        assert_eq!(
            one.older_variable_names(),
            ["INFLUXDB3_OLD_NAME", "INFLUXDB3_VERY_OLD", "NEW_NAME"]
        );
        let none = one.no_variable();
        assert!(none.variable_name().is_none() && none.older_variable_names().is_empty());
    }
}
