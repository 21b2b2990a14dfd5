//! `write --dry-run`: reads lines as the server would, and says what is wrong with which, without a server.
//!
//! Not here: what only a server knows, such as the types of columns.

use line_protocol::{Parser, Series};

use super::pieces::{Piece, newlines};

/// A line that no server would take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// From 1, in the source.
    pub(crate) line: u64,
    /// From 1, in characters.
    pub(crate) column: usize,
    pub(crate) message: String,
}

/// What a piece holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) sound_lines: u64,
    pub(crate) faults: Vec<Fault>,
}

pub(crate) fn check(piece: &Piece) -> Checked {
    let mut checked = Checked::default();
    let text = match std::str::from_utf8(&piece.text) {
        Ok(text) => text,
        Err(fault) => {
            let before = &piece.text[..fault.valid_up_to()];
            let line_start = before
                .iter()
                .rposition(|&byte| byte == b'\n')
                .map_or(0, |at| at + 1);
            checked.faults.push(Fault {
                line: piece.start.lines + newlines(before) + 1,
                column: before[line_start..]
                    .iter()
                    .filter(|&&byte| byte & 0xc0 != 0x80)
                    .count()
                    + 1,
                message: format!("not valid UTF-8: {fault}"),
            });
            // Everything before it can still be judged.
            std::str::from_utf8(&before[..line_start]).unwrap_or_default()
        }
    };
    let mut parser = Parser::new(text);
    let mut fields = Vec::new();
    // Up to where lines were counted, and how many there are.
    let (mut counted_to, mut lines) = (0, piece.start.lines);
    while let Some(line) = parser.next_line(&mut fields) {
        let (line_text, error) = match line {
            Ok(line) => match Series::parse(&line) {
                Ok(_) => {
                    checked.sound_lines += 1;
                    continue;
                }
                Err(error) => (line.text, error),
            },
            Err(rejected) => (rejected.text, rejected.error),
        };
        let start = line_text.as_ptr().addr() - text.as_ptr().addr();
        let indentation = line_text.len() - line_text.trim_start_matches([' ', '\t']).len();
        let found = start + indentation + error.at();
        // Blanks are not what is wrong.
        let rest = &text[found..];
        let at = found + rest.len() - rest.trim_start_matches(' ').len();
        lines += newlines(&text.as_bytes()[counted_to..at]);
        counted_to = at;
        let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        checked.faults.push(Fault {
            line: lines + 1,
            column: text[line_start..at].chars().count() + 1,
            message: error.to_string(),
        });
    }
    checked
        .faults
        .sort_by_key(|fault| (fault.line, fault.column));
    checked
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::pieces::Position;
    use super::*;

    #[test]
    fn faults_have_a_line_and_a_column() {
        let text = b"cpu a=1\n# c\n  cpu,h\xc3\xb6st a=1\ncpu a=1 x\r\ncpu,a=1,a=2 b=1\n\ncpu a=\"x\ny\" z\ncpu\n";
        let piece = Piece {
            source: 0,
            start: Position {
                offset_bytes: 0,
                lines: 100,
            },
            end: Position::default(),
            text: Bytes::from_static(text),
            raw_bytes: 0,
        };
        let checked = check(&piece);
        assert_eq!(checked.sound_lines, 1);
        let told: Vec<String> = checked
            .faults
            .iter()
            .map(|fault| format!("{}:{} {}", fault.line, fault.column, fault.message))
            .collect();
        assert_eq!(
            told,
            [
                "103:7 Tag set malformed: could not find equals sign in `höst a=1`",
                "104:9 Could not parse entire line. Found trailing content: ` x`",
                "105:1 invalid line protocol - multiple instances of 'a' tag found",
                "108:4 Could not parse entire line. Found trailing content: ` z`",
                "109:4 Expected at least one space character, got end of input",
            ]
        );
        let text = b"cpu a=1\ncpu \xff";
        let checked = check(&Piece {
            text: Bytes::from_static(text),
            ..piece
        });
        assert_eq!(checked.sound_lines, 1);
        assert_eq!((checked.faults[0].line, checked.faults[0].column), (102, 5));
    }
}
