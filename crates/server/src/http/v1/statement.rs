//! The few statements that clients of version 1 send before they write, told from all others.
//!
//! Not here: InfluxQL as a language, which this version of the server does not have.

/// What a statement asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Statement {
    ShowDatabases,
    /// With the name as it is to be, without quotes. Not checked.
    CreateDatabase(String),
    /// Anything else, several statements too.
    Other,
}

/// Reads one statement; keywords in any case, one semicolon at the end allowed.
pub(super) fn parse(text: &str) -> Statement {
    let text = text.trim();
    let text = text.strip_suffix(';').unwrap_or(text).trim_end();
    let Some((first, rest)) = text.split_once(char::is_whitespace) else {
        return Statement::Other;
    };
    let rest = rest.trim_start();
    if first.eq_ignore_ascii_case("SHOW") && rest.eq_ignore_ascii_case("DATABASES") {
        return Statement::ShowDatabases;
    }
    if first.eq_ignore_ascii_case("CREATE")
        && let Some((second, name)) = rest.split_once(char::is_whitespace)
        && second.eq_ignore_ascii_case("DATABASE")
        && let Some(name) = identifier(name.trim_start())
    {
        return Statement::CreateDatabase(name);
    }
    Statement::Other
}

/// A name alone: a word, or anything between double quotes, where a backslash makes the next character a plain one.
fn identifier(text: &str) -> Option<String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let is_word = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        return (starts_well && is_word).then(|| text.to_string());
    };
    let mut name = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => name.push(characters.next()?),
            other => name.push(other),
        }
    }
    characters.as_str().is_empty().then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements() {
        let create = |name: &str| Statement::CreateDatabase(name.to_string());
        let cases = [
            ("SHOW DATABASES", Statement::ShowDatabases),
            (" show\n databases ; ", Statement::ShowDatabases),
            ("CREATE DATABASE \"telegraf\"", create("telegraf")),
            ("create database d_1;", create("d_1")),
            ("CREATE DATABASE \"a b\\\"c;\"", create("a b\"c;")),
            ("CREATE DATABASE \"\"", create("")),
            ("CREATE DATABASE", Statement::Other),
            ("CREATE DATABASE 1d", Statement::Other),
            ("CREATE DATABASE \"d", Statement::Other),
            ("CREATE DATABASE \"d\\", Statement::Other),
            ("CREATE DATABASE \"d\" WITH DURATION 1d", Statement::Other),
            ("CREATE DATABASE d WITH NAME x", Statement::Other),
            ("CREATE DATABASE a; DROP DATABASE b", Statement::Other),
            ("SHOW DATABASES; SHOW DATABASES", Statement::Other),
            ("SHOW DATABASES;;", Statement::Other),
            ("SHOW measurements", Statement::Other),
            ("SELECT 1", Statement::Other),
            ("", Statement::Other),
            (";", Statement::Other),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
