//! Placeholders in the text of a statement: `$1`, `$name` and `?`. Pure.
//!
//! Works on tokens, so that neither a string nor a comment is mistaken for one. Not here: what type a placeholder has
//! (`describe`), values for them (`engine`).

use std::borrow::Cow;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use crate::Error;

/// The statement with each `?` as a number in its place: the first becomes `$1`, and so on. Text that is no SQL stays as it is;
/// the parser says why.
///
/// Errors: `Invalid` when `?` and `$` meet in one statement, whose numbers nobody could tell.
pub fn number_placeholders(text: &str) -> Result<Cow<'_, str>, Error> {
    let Some(tokens) = tokens(text) else {
        return Ok(Cow::Borrowed(text));
    };
    let mut numbered = String::new();
    let mut count = 0;
    let mut named = None;
    let mut cursor = Cursor::new(text);
    let mut copied = 0;
    for token in &tokens {
        let Token::Placeholder(name) = &token.token else {
            continue;
        };
        if name != "?" {
            named.get_or_insert(name);
            continue;
        }
        count += 1;
        let at = cursor.seek(token.span.start);
        numbered.push_str(&text[copied..at]);
        numbered.push_str(&format!("${count}"));
        copied = at + 1;
    }
    if count == 0 {
        return Ok(Cow::Borrowed(text));
    }
    if let Some(name) = named {
        return Err(Error::invalid(format!(
            "a statement has placeholders of one kind: `?` or `{name}`, not both"
        )));
    }
    numbered.push_str(&text[copied..]);
    Ok(Cow::Owned(numbered))
}

/// The names of the placeholders, without `$`: numbers first, in their order, then names in that of their first appearance.
pub fn placeholder_names(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for token in tokens(text).unwrap_or_default() {
        if let Token::Placeholder(placeholder) = token.token {
            let name = placeholder.trim_start_matches(['$', '?', ':']);
            if !names.iter().any(|known| known == name) {
                names.push(name.to_string());
            }
        }
    }
    // The sort keeps the order of what it cannot tell apart.
    names.sort_by_key(|name| name.parse::<usize>().unwrap_or(usize::MAX));
    names
}

fn tokens(text: &str) -> Option<Vec<TokenWithSpan>> {
    Tokenizer::new(&GenericDialect {}, text)
        .tokenize_with_location()
        .ok()
}

/// Finds the bytes of lines and columns, going forward only.
struct Cursor<'a> {
    characters: std::str::CharIndices<'a>,
    length: usize,
    line: u64,
    column: u64,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            characters: text.char_indices(),
            length: text.len(),
            line: 1,
            column: 1,
        }
    }

    /// The byte at which `location` begins.
    fn seek(&mut self, location: Location) -> usize {
        while (self.line, self.column) < (location.line, location.column) {
            match self.characters.next() {
                Some((_, '\n')) => {
                    self.line += 1;
                    self.column = 1;
                }
                Some(_) => self.column += 1,
                None => return self.length,
            }
        }
        self.characters.offset()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(text: &str) -> String {
        match number_placeholders(text) {
            Ok(text) => text.into_owned(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn question_marks_get_numbers() {
        assert_eq!(numbered("SELECT ?, ?"), "SELECT $1, $2");
        assert_eq!(
            numbered(
                "SELECT 'ä?', \"?\"\n-- ?\r\nFROM t WHERE ä='x' /* ? */ AND b=? OR c IN (?,?)\n"
            ),
            "SELECT 'ä?', \"?\"\n-- ?\r\nFROM t WHERE ä='x' /* ? */ AND b=$1 OR c IN ($2,$3)\n"
        );
        assert_eq!(numbered("SELECT 'it''s', ?"), "SELECT 'it''s', $1");
        assert_eq!(numbered("?"), "$1");
        assert_eq!(numbered("SELECT $1, $name"), "SELECT $1, $name");
        assert_eq!(numbered("SELECT 'open ?"), "SELECT 'open ?");
        assert_eq!(
            numbered("SELECT ?, $2"),
            "error: a statement has placeholders of one kind: `?` or `$2`, not both"
        );
    }

    #[test]
    fn names_come_in_an_order() {
        let names = |text| placeholder_names(text).join(" ");
        assert_eq!(names("SELECT $b, $10, $a, $2, $b, '$c'"), "2 10 b a");
        assert_eq!(names("SELECT 1"), "");
        assert_eq!(names("SELECT 'open $1"), "");
    }
}
