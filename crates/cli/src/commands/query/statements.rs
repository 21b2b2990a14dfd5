//! Where statements end in a text: at semicolons outside of quotes and comments. Not here: what they mean.

/// The statements of a text, without their semicolons; what holds nothing but comments is none.
pub(crate) fn split(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut has_content = false;
    let mut scanner = Scanner::default();
    for (at, character) in text.char_indices() {
        match scanner.step(character, text[at + character.len_utf8()..].chars().next()) {
            Seen::End => {
                if has_content {
                    found.push(text[start..at].trim());
                }
                start = at + 1;
                has_content = false;
            }
            Seen::Content => has_content = true,
            Seen::Nothing => {}
        }
    }
    if has_content {
        found.push(text[start..].trim());
    }
    found
}

/// Whether a text ends with the end of a statement, or holds none.
pub(crate) fn is_complete(text: &str) -> bool {
    let mut is_open = false;
    let mut scanner = Scanner::default();
    for (at, character) in text.char_indices() {
        match scanner.step(character, text[at + character.len_utf8()..].chars().next()) {
            Seen::End => is_open = false,
            Seen::Content => is_open = true,
            Seen::Nothing => {}
        }
    }
    !is_open
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Plain,
    Quoted(char),
    LineComment,
    /// How deep comments are nested, and whether the next character belongs to the sign that was just read.
    BlockComment {
        depth: usize,
        passes: bool,
    },
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    Content,
    End,
}

#[derive(Debug, Default)]
struct Scanner {
    place: Place,
}

impl Scanner {
    fn step(&mut self, character: char, next: Option<char>) -> Seen {
        match self.place {
            Place::Plain => match (character, next) {
                (';', _) => return Seen::End,
                ('-', Some('-')) => self.place = Place::LineComment,
                ('/', Some('*')) => {
                    self.place = Place::BlockComment {
                        depth: 1,
                        passes: true,
                    };
                }
                ('\'' | '"', _) => {
                    self.place = Place::Quoted(character);
                    return Seen::Content;
                }
                _ if character.is_whitespace() => {}
                _ => return Seen::Content,
            },
            Place::Quoted(quote) => {
                // A doubled quote ends and begins again.
                if character == quote {
                    self.place = Place::Plain;
                }
                return Seen::Content;
            }
            Place::LineComment => {
                if character == '\n' {
                    self.place = Place::Plain;
                }
            }
            Place::BlockComment {
                depth,
                passes: true,
            } => {
                self.place = match depth {
                    0 => Place::Plain,
                    _ => Place::BlockComment {
                        depth,
                        passes: false,
                    },
                };
            }
            Place::BlockComment {
                depth,
                passes: false,
            } => match (character, next) {
                ('*', Some('/')) => {
                    self.place = Place::BlockComment {
                        depth: depth - 1,
                        passes: true,
                    };
                }
                ('/', Some('*')) => {
                    self.place = Place::BlockComment {
                        depth: depth + 1,
                        passes: true,
                    };
                }
                _ => {}
            },
        }
        Seen::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_outside_of_quotes_and_comments_end_statements() {
        for (text, expected, complete) in [
            ("", &[][..], true),
            (" ; ;", &[], true),
            ("a", &["a"], false),
            ("a;", &["a"], true),
            ("a; b", &["a", "b"], false),
            ("a ';' \";\"; b;\n", &["a ';' \";\"", "b"], true),
            ("a 'it''s;'", &["a 'it''s;'"], false),
            ("a -- x; y\n; -- z", &["a -- x; y"], true),
            ("a /* ; /* ; */ ; */ b;", &["a /* ; /* ; */ ; */ b"], true),
            ("/*/ a; */ b;", &["/*/ a; */ b"], true),
            ("-- nothing;", &[], true),
            ("é;", &["é"], true),
        ] {
            assert_eq!(split(text), expected, "{text:?}");
            assert_eq!(is_complete(text), complete, "{text:?}");
        }
    }
}
