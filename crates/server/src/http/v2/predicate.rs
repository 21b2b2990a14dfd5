//! Delete predicates as InfluxDB 2 writes them: `_measurement="cpu" AND host="a"`, and a little more.
//!
//! Version 2 knows `=` joined by AND; `!=`, OR and parentheses are understood too. Keys are tags or `_measurement`; keys and
//! values stand bare or in double or single quotes, where a backslash keeps the next character. A tag that a row does not have counts as
//! the empty text, as it does there. What comes out is SQL for one table at a time; who runs it is in `delete`.

use catalog::{ColumnKind, Table};

use crate::Error;

/// Parentheses inside one another.
const DEPTH_MAX: usize = 32;

/// Comparisons in one predicate.
const COMPARISONS_MAX: usize = 200;

/// What the rows to delete have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Compare {
        key: String,
        equal: bool,
        value: String,
    },
    /// True when there are none.
    All(Vec<Condition>),
    /// Never empty.
    Any(Vec<Condition>),
}

/// A condition as far as it can be told for one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rendered {
    Always,
    Never,
    Sql(String),
}

impl Condition {
    /// The condition over the tags of `table`. `bind` takes a value and gives the placeholder that stands for it.
    pub(super) fn for_table(
        &self,
        table: &Table,
        bind: &mut impl FnMut(&str) -> String,
    ) -> Rendered {
        match self {
            Self::Compare { key, equal, value } if key == "_measurement" => {
                constant((value == &*table.name) == *equal)
            }
            Self::Compare { key, equal, value } => {
                let is_tag = table
                    .column(key)
                    .is_some_and(|column| column.kind == ColumnKind::Tag);
                if !is_tag {
                    return constant(value.is_empty() == *equal);
                }
                let tag = quoted(key);
                Rendered::Sql(match (*equal, value.is_empty()) {
                    (true, true) => format!("({tag} IS NULL OR {tag} = '')"),
                    (false, true) => format!("({tag} IS NOT NULL AND {tag} != '')"),
                    (true, false) => format!("{tag} = {}", bind(value)),
                    (false, false) => format!("({tag} IS NULL OR {tag} != {})", bind(value)),
                })
            }
            Self::All(parts) => {
                let mut terms = Vec::new();
                for part in parts {
                    match part.for_table(table, bind) {
                        Rendered::Always => {}
                        Rendered::Never => return Rendered::Never,
                        Rendered::Sql(sql) => terms.push(sql),
                    }
                }
                joined(terms, " AND ", Rendered::Always)
            }
            Self::Any(parts) => {
                let mut terms = Vec::new();
                for part in parts {
                    match part.for_table(table, bind) {
                        Rendered::Always => return Rendered::Always,
                        Rendered::Never => {}
                        Rendered::Sql(sql) => terms.push(sql),
                    }
                }
                joined(terms, " OR ", Rendered::Never)
            }
        }
    }
}

fn constant(holds: bool) -> Rendered {
    match holds {
        true => Rendered::Always,
        false => Rendered::Never,
    }
}

fn joined(terms: Vec<String>, by: &str, when_none: Rendered) -> Rendered {
    match terms.len() {
        0 => when_none,
        _ => Rendered::Sql(format!("({})", terms.join(by))),
    }
}

/// A name as SQL takes it literally.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Reads a predicate; an empty one holds for every row. Errors: `Invalid`, with the place.
pub(super) fn parse(text: &str) -> Result<Condition, Error> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(Condition::All(Vec::new()));
    }
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        end: text.len(),
        comparisons: 0,
    };
    let condition = parser.any(0)?;
    match parser.peek() {
        None => Ok(condition),
        Some(_) => Err(parser.unexpected("AND, OR or the end")),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// In quotes, so never an operator.
    Quoted(String),
    Equal,
    NotEqual,
    Open,
    Close,
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Error> {
    let mut tokens = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, character)) = rest.next() {
        let token = match character {
            _ if character.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            '=' => Token::Equal,
            '!' => match rest.next() {
                Some((_, '=')) => Token::NotEqual,
                _ => return Err(Error::invalid(format!("expected != at position {at}"))),
            },
            '"' | '\'' => {
                let mut value = String::new();
                loop {
                    match rest.next() {
                        Some((_, end)) if end == character => break,
                        Some((_, '\\')) => value.extend(rest.next().map(|(_, kept)| kept)),
                        Some((_, other)) => value.push(other),
                        None => {
                            return Err(Error::invalid(format!(
                                "the quote at position {at} has no end"
                            )));
                        }
                    }
                }
                Token::Quoted(value)
            }
            _ => {
                let mut word = String::from(character);
                while let Some((_, next)) = rest.next_if(|(_, next)| is_bare(*next)) {
                    word.push(next);
                }
                Token::Word(word)
            }
        };
        tokens.push((at, token));
    }
    Ok(tokens)
}

fn is_bare(character: char) -> bool {
    !character.is_whitespace() && !matches!(character, '(' | ')' | '=' | '!' | '"' | '\'')
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    /// Length of the text.
    end: usize,
    comparisons: usize,
}

impl Parser<'_> {
    fn any(&mut self, depth: usize) -> Result<Condition, Error> {
        let mut parts = vec![self.all(depth)?];
        while self.takes_word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Condition::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Condition, Error> {
        let mut parts = vec![self.one(depth)?];
        while self.takes_word("and") {
            parts.push(self.one(depth)?);
        }
        Ok(one_or(parts, Condition::All))
    }

    fn one(&mut self, depth: usize) -> Result<Condition, Error> {
        if self.peek() != Some(&Token::Open) {
            return self.comparison();
        }
        if depth == DEPTH_MAX {
            return Err(Error::invalid(format!(
                "more than {DEPTH_MAX} parentheses inside one another"
            )));
        }
        self.at += 1;
        let condition = self.any(depth + 1)?;
        match self.next() {
            Some(Token::Close) => Ok(condition),
            _ => Err(self.unexpected_before("a closing parenthesis")),
        }
    }

    fn comparison(&mut self) -> Result<Condition, Error> {
        self.comparisons += 1;
        if self.comparisons > COMPARISONS_MAX {
            return Err(Error::invalid(format!(
                "more than {COMPARISONS_MAX} comparisons"
            )));
        }
        let key = self.text("a tag key")?;
        if key == "_field" {
            return Err(Error::invalid(
                "deleting by _field is not supported: rows are deleted whole",
            ));
        }
        let equal = match self.next() {
            Some(Token::Equal) => true,
            Some(Token::NotEqual) => false,
            _ => return Err(self.unexpected_before("= or !=")),
        };
        let value = self.text("a value")?;
        Ok(Condition::Compare { key, equal, value })
    }

    fn text(&mut self, what: &str) -> Result<String, Error> {
        match self.next() {
            Some(Token::Word(text) | Token::Quoted(text)) => Ok(text),
            _ => Err(self.unexpected_before(what)),
        }
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found =
            matches!(self.peek(), Some(Token::Word(next)) if next.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    fn unexpected_before(&mut self, wanted: &str) -> Error {
        self.at -= 1;
        self.unexpected(wanted)
    }

    fn unexpected(&self, wanted: &str) -> Error {
        let position = self.tokens.get(self.at).map_or(self.end, |(at, _)| *at);
        Error::invalid(format!("expected {wanted} at position {position}"))
    }
}

fn one_or(mut parts: Vec<Condition>, several: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            several(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(key: &str, equal: bool, value: &str) -> Condition {
        Condition::Compare {
            key: key.to_string(),
            equal,
            value: value.to_string(),
        }
    }

    #[test]
    fn what_is_understood() {
        let cases = [
            ("", Condition::All(Vec::new())),
            ("  ", Condition::All(Vec::new())),
            (
                r#"_measurement="cpu""#,
                compare("_measurement", true, "cpu"),
            ),
            (
                r#"_measurement = "cpu" and host='a b'"#,
                Condition::All(vec![
                    compare("_measurement", true, "cpu"),
                    compare("host", true, "a b"),
                ]),
            ),
            (r#""my tag"!=x-1"#, compare("my tag", false, "x-1")),
            (r#"t="a\"b\\""#, compare("t", true, r#"a"b\"#)),
            (
                "a=1 OR b=2 AND c=3",
                Condition::Any(vec![
                    compare("a", true, "1"),
                    Condition::All(vec![compare("b", true, "2"), compare("c", true, "3")]),
                ]),
            ),
            (
                "(a=1 OR b=2) AND (c=3)",
                Condition::All(vec![
                    Condition::Any(vec![compare("a", true, "1"), compare("b", true, "2")]),
                    compare("c", true, "3"),
                ]),
            ),
            ("\"and\"=\"or\"", compare("and", true, "or")),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).expect(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood() {
        let deep = format!("{}a=1{}", "(".repeat(33), ")".repeat(33));
        let many = vec!["a=1"; 201].join(" OR ");
        let cases = [
            ("a", "expected = or != at position 1"),
            ("a=", "expected a value at position 2"),
            ("a=1 b=2", "expected AND, OR or the end at position 4"),
            ("a=1 AND", "expected a tag key at position 7"),
            ("=1", "expected a tag key at position 0"),
            ("(a=1", "expected a closing parenthesis at position 4"),
            ("a=1)", "expected AND, OR or the end at position 3"),
            ("a=\"x", "the quote at position 2 has no end"),
            ("a!x", "expected != at position 1"),
            (
                "_field=\"f\"",
                "deleting by _field is not supported: rows are deleted whole",
            ),
            (&deep, "more than 32 parentheses inside one another"),
            (&many, "more than 200 comparisons"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).expect_err(text).message(), expected, "{text}");
        }
    }
}
