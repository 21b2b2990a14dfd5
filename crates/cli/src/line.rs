//! A line of arguments before it is parsed: what has to be known of it to parse it.
//!
//! The name of the program comes first; what follows `--` is data.

use std::ffi::{OsStr, OsString};

/// The words that may be options or commands.
pub(crate) fn words(line: &[OsString]) -> impl Iterator<Item = &OsString> {
    line.iter().skip(1).take_while(|word| *word != "--")
}

/// The value of an option that is given as `--name VALUE` or `--name=VALUE`; `option` has its dashes.
pub(crate) fn value_of<'a>(line: &'a [OsString], option: &str) -> Option<&'a OsStr> {
    let mut words = words(line);
    while let Some(word) = words.next() {
        if word == option {
            return words.next().map(OsString::as_os_str);
        }
        let value = word.to_str().and_then(|word| word.strip_prefix(option));
        if let Some(value) = value.and_then(|value| value.strip_prefix('=')) {
            return Some(OsStr::new(value));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (line, expected) in [
            ("influxdb3 query", None),
            ("influxdb3 --profile a query", Some("a")),
            ("influxdb3 query --profile=a", Some("a")),
            ("influxdb3 query --profile", None),
            ("influxdb3 query -- --profile a", None),
            ("influxdb3 query --profiles a", None),
        ] {
            let line: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let value = value_of(&line, "--profile").and_then(OsStr::to_str);
            assert_eq!(value, expected, "{line:?}");
        }
    }
}
