//! The text of a `.env` file: lines `NAME=value`, as the dotenv family of tools understands them.
//!
//! Pure: text in, pairs out. Which file is read and which value wins is `environment`'s business.

use std::fmt;

/// A line that is no assignment, with its number (from 1).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    line_number: usize,
    reason: &'static str,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The line itself is left out: it may hold a secret.
        write!(formatter, "line {}: {}", self.line_number, self.reason)
    }
}

impl std::error::Error for SyntaxError {}

/// Reads all assignments in their order. `lookup` answers `$NAME` for variables that the file itself has not set.
///
/// Values may be bare (up to ` #`), in single quotes (literal) or in double quotes (with `\n`, `\"`, `\\`, `\$`);
/// quoted values may span lines. `export NAME=value` is the same as `NAME=value`.
pub(crate) fn parse(
    text: &str,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, SyntaxError> {
    let mut reader = Reader {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
        line_number: 1,
    };
    let mut pairs: Vec<(String, String)> = Vec::new();
    while reader.skip_blank_and_comments() {
        let name = reader.name()?;
        let known = |wanted: &str| {
            lookup(wanted).or_else(|| {
                let found = pairs.iter().rev().find(|(name, _)| name == wanted);
                found.map(|(_, value)| value.clone())
            })
        };
        let value = reader.value(&known)?;
        pairs.push((name, value));
    }
    Ok(pairs)
}

struct Reader<'a> {
    rest: &'a str,
    line_number: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        self.rest = &self.rest[character.len_utf8()..];
        if character == '\n' {
            self.line_number += 1;
        }
        Some(character)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn error(&self, reason: &'static str) -> SyntaxError {
        SyntaxError {
            line_number: self.line_number,
            reason,
        }
    }

    /// Moves to the next assignment; false at the end of the text.
    fn skip_blank_and_comments(&mut self) -> bool {
        while let Some(character) = self.peek() {
            match character {
                '#' => self.skip_line(),
                _ if character.is_whitespace() => {
                    self.next();
                }
                _ => return true,
            }
        }
        false
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|character| character != '\n') {
            self.next();
        }
    }

    fn skip_spaces(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\r')) {
            self.next();
        }
    }

    fn name(&mut self) -> Result<String, SyntaxError> {
        let mut name = self.word();
        self.skip_spaces();
        if name == "export" && self.peek() != Some('=') {
            name = self.word();
            self.skip_spaces();
        }
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(self.error("expected the name of a variable"));
        }
        if self.peek() != Some('=') {
            return Err(self.error("expected '=' after the name of a variable"));
        }
        self.next();
        self.skip_spaces();
        Ok(name)
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(character) = self.peek() {
            if !(character.is_ascii_alphanumeric() || character == '_' || character == '.') {
                break;
            }
            word.push(character);
            self.next();
        }
        word
    }

    fn value(&mut self, known: &impl Fn(&str) -> Option<String>) -> Result<String, SyntaxError> {
        let mut value = String::new();
        // Blanks inside a bare value belong to it only when something other than a comment follows.
        let mut blanks = String::new();
        while let Some(character) = self.peek() {
            match character {
                '\n' => break,
                '#' if !blanks.is_empty() => {
                    self.skip_line();
                    break;
                }
                ' ' | '\t' | '\r' => {
                    blanks.push(character);
                    self.next();
                    continue;
                }
                _ => value.push_str(&std::mem::take(&mut blanks)),
            }
            self.next();
            match character {
                '\'' => self.single_quoted(&mut value)?,
                '"' => self.double_quoted(&mut value, known)?,
                '\\' => value.push(self.escaped()?),
                '$' => value.push_str(&self.substituted(known)?),
                _ => value.push(character),
            }
        }
        Ok(value)
    }

    fn single_quoted(&mut self, value: &mut String) -> Result<(), SyntaxError> {
        let opened = self.error("a single quote is not closed");
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(character) => value.push(character),
                None => return Err(opened),
            }
        }
    }

    fn double_quoted(
        &mut self,
        value: &mut String,
        known: &impl Fn(&str) -> Option<String>,
    ) -> Result<(), SyntaxError> {
        let opened = self.error("a double quote is not closed");
        loop {
            match self.next() {
                Some('"') => return Ok(()),
                Some('\\') => value.push(self.escaped()?),
                Some('$') => value.push_str(&self.substituted(known)?),
                Some(character) => value.push(character),
                None => return Err(opened),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, SyntaxError> {
        match self.next() {
            Some('n') => Ok('\n'),
            Some(character @ ('\\' | '"' | '\'' | '$' | ' ' | '#')) => Ok(character),
            _ => Err(self.error("a backslash is followed by nothing that it could escape")),
        }
    }

    fn substituted(
        &mut self,
        known: &impl Fn(&str) -> Option<String>,
    ) -> Result<String, SyntaxError> {
        let braced = self.peek() == Some('{');
        if braced {
            self.next();
        }
        let name = self.word();
        if braced && self.next() != Some('}') {
            return Err(self.error("'${' is not closed"));
        }
        if name.is_empty() && !braced {
            return Ok("$".to_string());
        }
        Ok(known(&name).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let lookup = |name: &str| (name == "OUTSIDE").then(|| "world".to_string());
        let pairs = parse(text, lookup).expect("the text is well formed");
        let pairs: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(pairs, expected, "{text}");
    }

    #[test]
    fn assignments_in_all_their_forms() {
        check("", &[]);
        check("# only a comment\n\n", &[]);
        check(
            "A=1\nexport B = two words  # why\r\nC=",
            &[("A", "1"), ("B", "two words"), ("C", "")],
        );
        check("A='$B \\n # x'", &[("A", "$B \\n # x")]);
        check(
            "A=\"one\\ntwo\nthree \\\"x\\\" \\$B\"",
            &[("A", "one\ntwo\nthree \"x\" $B")],
        );
        check("A=x#y", &[("A", "x#y")]);
        check("A=1\nB=${A}2$OUTSIDE$NONE", &[("A", "1"), ("B", "12world")]);
        check("A=pre'mid'\"post\"", &[("A", "premidpost")]);
        check("export=1", &[("export", "1")]);
    }

    #[test]
    fn errors_name_the_line_and_no_value() {
        for (text, expected) in [
            (
                "A=1\nsecret stuff",
                "line 2: expected '=' after the name of a variable",
            ),
            ("\n=1", "line 2: expected the name of a variable"),
            ("A='x\ny", "line 1: a single quote is not closed"),
            (
                "A=\\q",
                "line 1: a backslash is followed by nothing that it could escape",
            ),
            ("A=${B", "line 1: '${' is not closed"),
        ] {
            let error = parse(text, |_| None).expect_err("the text is malformed");
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }
}
