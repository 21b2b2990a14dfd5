//! The file with options of the server: TOML, one key for each option, named as on the command line.
//!
//! Pure: text in, values out. Strict: a key that is no option, a value that is none and a table are errors with their line. Older
//! names are taken, with a warning. Which file is read is `environment`'s business; values that may be secret are never told.

use std::collections::BTreeMap;
use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::given::{self, is_secret};
use super::setting::Setting;
use super::table;

/// What a file says.
#[derive(Debug, Default)]
pub(crate) struct FileValues {
    pub(crate) values: BTreeMap<&'static str, FileValue>,
    pub(crate) warnings: Vec<String>,
}

/// A value, and the line (from 1) it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileValue {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// What is wrong in a file, each with its line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileFault(Vec<String>);

impl fmt::Display for FileFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for FileFault {}

/// Reads the text of a file.
pub(crate) fn parse(text: &str) -> Result<FileValues, FileFault> {
    let document = DeTable::parse(text).map_err(|fault| {
        let line = fault.span().map_or(1, |span| line_of(text, span.start));
        FileFault(vec![format!(
            "line {line}: {}",
            fault.message().replace('\n', ", ")
        )])
    })?;
    let mut told = FileValues::default();
    let mut faults = Vec::new();
    let mut entries: Vec<(&Spanned<_>, &Spanned<DeValue<'_>>)> =
        document.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let line = line_of(text, key.span().start);
        if let Err(fault) = told.add(key.get_ref(), value.get_ref(), line) {
            faults.push(format!("line {line}: {fault}"));
        }
    }
    match faults.is_empty() {
        true => Ok(told),
        false => Err(FileFault(faults)),
    }
}

impl FileValues {
    fn add(&mut self, key: &str, value: &DeValue<'_>, line: usize) -> Result<(), String> {
        let setting = named(key)?;
        let text = text_of(value).map_err(|found| format!("'{key}' cannot be {found}"))?;
        setting
            .kind
            .check(&text)
            .map_err(|fault| match is_secret(setting.name) {
                true => format!("the value of '{key}' is none that it can have"),
                false => format!("invalid value for '{key}': {fault}"),
            })?;
        let is_older = key != setting.name;
        if is_older {
            self.warnings
                .push(format!("{key} is deprecated, use {} instead", setting.name));
        }
        // The newer name is stronger, wherever it stands.
        if !(is_older && self.values.contains_key(setting.name)) {
            self.values.insert(setting.name, FileValue { text, line });
        }
        Ok(())
    }
}

/// The option that a key means.
fn named(key: &str) -> Result<&'static Setting, String> {
    let known = || table::all();
    if let Some(setting) =
        known().find(|setting| setting.name == key || setting.older.contains(&key))
    {
        return Ok(setting);
    }
    if key == given::CONFIG {
        return Err("a file cannot name another file".to_string());
    }
    let nearest = known()
        .map(|setting| (strsim::levenshtein(key, setting.name), setting.name))
        .min();
    Err(match nearest {
        Some((far, name)) if far <= key.len() / 3 + 1 => {
            format!("unknown key '{key}', did you mean '{name}'?")
        }
        _ => format!("unknown key '{key}'"),
    })
}

/// The value as it would be typed; the error says what it is instead.
fn text_of(value: &DeValue<'_>) -> Result<String, &'static str> {
    Ok(match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().replace('_', ""),
        DeValue::Integer(_) => return Err("a number in another base than ten"),
        DeValue::Float(number) => number.as_str().replace('_', ""),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => return Err("a date"),
        DeValue::Array(parts) => {
            let parts: Result<Vec<String>, _> = parts
                .iter()
                .map(|part| match part.get_ref() {
                    DeValue::Array(_) => Err("a list of lists"),
                    part => text_of(part),
                })
                .collect();
            parts?.join(",")
        }
        DeValue::Table(_) => return Err("a table"),
    })
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    before.iter().filter(|&&byte| byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[(&str, &str, usize)], &str>) {
        let told = parse(text).map(|told| {
            let values = told.values.into_iter();
            values
                .map(|(name, value)| (name, value.text, value.line))
                .collect::<Vec<_>>()
        });
        let told = told.map_err(|fault| fault.to_string());
        let expected = expected.map(|values| {
            let values = values.iter();
            values
                .map(|(name, text, line)| (*name, text.to_string(), *line))
                .collect::<Vec<_>>()
        });
        assert_eq!(told, expected.map_err(str::to_string), "{text}");
    }

    #[test]
    fn keys_are_options() {
        check("", Ok(&[]));
        check(
            "# mine\nnode-id = \"n\"\n\nwithout-auth = true\nquery-queue-size = 1_000\ndisable-authz = [\"health\", \"ping\"]\n",
            Ok(&[
                ("disable-authz", "health,ping", 6),
                ("node-id", "n", 2),
                ("query-queue-size", "1000", 5),
                ("without-auth", "true", 4),
            ]),
        );
        check(
            "parquet-mem-cache-prune-percentage = 0.2",
            Ok(&[("parquet-mem-cache-prune-percentage", "0.2", 1)]),
        );
        check("num-io-threads = 2", Ok(&[("num-io-threads", "2", 1)]));
    }

    #[test]
    fn older_names_are_weaker_and_earn_a_warning() {
        let told =
            parse("wal-files-per-snapshot = 1\nwal-snapshot-size = 2").expect("both are known");
        assert_eq!(told.values["wal-files-per-snapshot"].text, "1");
        assert_eq!(
            told.warnings,
            ["wal-snapshot-size is deprecated, use wal-files-per-snapshot instead"]
        );
        let told =
            parse("wal-snapshot-size = 2\nwal-files-per-snapshot = 1").expect("both are known");
        assert_eq!(told.values["wal-files-per-snapshot"].text, "1");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_all_at_once() {
        check(
            "wal-flush-intervall = '1s'\nquery-timeout = 'soon'\nxyz = 1\nnode_id = 'n'",
            Err(
                "line 1: unknown key 'wal-flush-intervall', did you mean 'wal-flush-interval'?; \
                 line 2: invalid value for 'query-timeout': expected a number at `soon`; \
                 line 3: unknown key 'xyz'; line 4: unknown key 'node_id', did you mean 'node-id'?",
            ),
        );
        check("[tls]\ncert = 'x'", Err("line 1: unknown key 'tls'"));
        check(
            "[bucket]\ncert = 'x'",
            Err("line 1: 'bucket' cannot be a table"),
        );
        check(
            "bucket = 1979-05-27",
            Err("line 1: 'bucket' cannot be a date"),
        );
        check(
            "config = 'x'",
            Err("line 1: a file cannot name another file"),
        );
        check(
            "without-auth = 1",
            Err("line 1: the value of 'without-auth' is none that it can have"),
        );
        let error = parse("node-id = 'n'\nnode-id = 'm'")
            .expect_err("given twice")
            .to_string();
        assert!(error.starts_with("line 2: "), "{error}");
        let error = parse("node-id = 'n").expect_err("no end").to_string();
        assert!(error.starts_with("line 1: "), "{error}");
    }

    #[test]
    fn secrets_are_not_told() {
        let error = parse("tls-key = 7\naws-allow-http = 'hidden'")
            .expect_err("no truth")
            .to_string();
        assert!(!error.contains("hidden"), "{error}");
    }
}
