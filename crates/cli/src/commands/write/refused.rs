//! The lines that a server refused: found again by the numbers in its answer, and kept in a file of their own.
//!
//! An answer numbers the lines of its request, without blank lines and comments, and shows at most the first bytes of each
//! (spec/http-api.md §4.1). Not here: sending what is left of the request (`delivery`).

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Most lines that the server lists in one answer: when there are as many, there may be more.
pub(crate) const LISTED_LINES_MAX: usize = 100;

/// How the answer to a partial write begins.
const PARTIAL_WRITE: &str = "partial write of line protocol occurred";

#[derive(Debug, Deserialize)]
struct Answer {
    error: String,
    data: Vec<Listed>,
}

/// A line as the answer tells of it.
#[derive(Debug, Deserialize)]
struct Listed {
    error_message: String,
    line_number: usize,
    original_line: String,
}

/// A line of a request that was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Where it lies in the request.
    pub(crate) span: Range<usize>,
    pub(crate) reason: String,
}

/// What an answer says of a request's lines.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// In the order of the request.
    pub(crate) lines: Vec<Refused>,
    /// Where the lines begin of which the answer may have said nothing for want of room.
    pub(crate) untold_from: Option<usize>,
}

/// Reads the answer to a request that carried `text`. `None` when it is about the request as a whole; an error when it names lines that are not there.
pub(crate) fn read(answer: &str, text: &[u8]) -> Option<Result<Refusal, String>> {
    let answer: Answer = serde_json::from_str(answer).ok()?;
    if answer.error != PARTIAL_WRITE || answer.data.is_empty() {
        return None;
    }
    Some(find(answer.data, text))
}

fn find(mut listed: Vec<Listed>, text: &[u8]) -> Result<Refusal, String> {
    listed.sort_by_key(|line| line.line_number);
    listed.dedup_by_key(|line| line.line_number);
    let may_have_more = listed.len() == LISTED_LINES_MAX;
    let mut lines: Vec<Refused> = Vec::with_capacity(listed.len());
    let mut number = 0;
    let mut at = 0;
    for line in listed {
        let span = loop {
            let Some(span) = line_protocol::next_span(text, at) else {
                return Err(format!(
                    "the server refused line {} of a request that has {number}",
                    line.line_number
                ));
            };
            at = after(text, span.end);
            number += 1;
            if number == line.line_number {
                break span;
            }
        };
        let told = line.original_line.as_bytes();
        if !text[span.clone()].starts_with(told) {
            return Err(format!(
                "the server refused line {number} of a request as {:?}, but that line is {:?}",
                line.original_line,
                shown(&text[span])
            ));
        }
        lines.push(Refused {
            span,
            reason: line.error_message,
        });
    }
    Ok(Refusal {
        lines,
        untold_from: may_have_more.then_some(at),
    })
}

/// Lines that are no text, which no server could read, whatever else the request holds.
pub(crate) fn not_text(text: &[u8]) -> Vec<Refused> {
    if std::str::from_utf8(text).is_ok() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(span) = line_protocol::next_span(text, at) {
        at = after(text, span.end);
        if let Err(fault) = std::str::from_utf8(&text[span.clone()]) {
            found.push(Refused {
                span,
                reason: format!("not valid UTF-8: {fault}"),
            });
        }
    }
    found
}

/// `text` with blanks in the place of these lines, so that all others stay where they were.
pub(crate) fn blanked(text: &[u8], lines: &[Refused]) -> Vec<u8> {
    let mut kept = text.to_vec();
    for line in lines {
        kept[line.span.clone()].fill(b' ');
    }
    kept
}

/// The start of the line after the one that ends at `end`.
fn after(text: &[u8], end: usize) -> usize {
    match text[end..].iter().position(|&byte| byte == b'\n') {
        Some(newline) => end + newline + 1,
        None => text.len(),
    }
}

/// The head of a line, for messages.
fn shown(line: &[u8]) -> String {
    let head = String::from_utf8_lossy(&line[..line.len().min(40)]);
    head.into_owned()
}

/// The file that refused lines go to: line protocol again, each line below a comment that says where it stood and what was wrong.
pub(crate) struct ErrorsFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl ErrorsFile {
    /// Appends to what is there.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let opened = File::options().create(true).append(true).open(path);
        let file = opened.map_err(|cause| {
            anyhow::anyhow!("cannot open the errors file {}: {cause}", path.display())
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            file: BufWriter::new(file),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a line that stood in `source`; its number counts from 1.
    pub(crate) fn add(
        &mut self,
        source: &str,
        line_number: u64,
        line: &[u8],
        reason: &str,
    ) -> anyhow::Result<()> {
        // A comment is one line, whatever it tells of.
        let comment = format!("# {source}:{line_number}: {reason}").replace(['\n', '\r'], " ");
        let written = writeln!(self.file, "{comment}")
            .and_then(|()| self.file.write_all(line))
            .and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|cause| self.fault(&cause))
    }

    /// Makes sure that all of it is in the file.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        let flushed = self.file.flush();
        flushed.map_err(|cause| self.fault(&cause))
    }

    fn fault(&self, cause: &std::io::Error) -> anyhow::Error {
        anyhow::anyhow!(
            "cannot write to the errors file {}: {cause}",
            self.path.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(line_number: usize, original_line: &str) -> Listed {
        Listed {
            error_message: format!("wrong {line_number}"),
            line_number,
            original_line: original_line.to_string(),
        }
    }

    #[test]
    fn numbers_leave_out_blank_lines_and_comments() {
        let text = b"# a comment\n\na b=1\n  c d= 2\r\n\n# e\nf g=\"x\ny\" 1\nh\n";
        let refusal = find(
            vec![listed(4, "h"), listed(2, "  c d="), listed(3, "f g=\"x")],
            text,
        )
        .expect("these lines are there");
        let lines: Vec<&[u8]> = refusal
            .lines
            .iter()
            .map(|line| &text[line.span.clone()])
            .collect();
        assert_eq!(lines, [&b"  c d= 2"[..], b"f g=\"x\ny\" 1", b"h"]);
        assert_eq!(refusal.untold_from, None);
    }

    #[test]
    fn an_answer_that_does_not_fit_is_an_error() {
        let text = b"a b=1\nc d=2";
        let fault = find(vec![listed(3, "")], text).expect_err("two lines");
        assert_eq!(fault, "the server refused line 3 of a request that has 2");
        let fault = find(vec![listed(2, "e")], text).expect_err("another line");
        assert!(fault.contains("line 2 of a request as \"e\""), "{fault}");
    }

    #[test]
    fn only_a_partial_write_tells_of_lines() {
        let answer = |error: &str| {
            serde_json::json!({"error": error, "data": [{"error_message": "m", "line_number": 1, "original_line": "a"}]}).to_string()
        };
        assert!(read(&answer(PARTIAL_WRITE), b"a").is_some());
        assert!(read(&answer("other"), b"a").is_none());
        assert!(read("wrong", b"a").is_none());
        assert!(
            read(
                r#"{"error":"partial write of line protocol occurred","data":[]}"#,
                b"a"
            )
            .is_none()
        );
    }

    /// Random texts, of which random lines are refused: what is taken out and what is kept is every line once.
    #[test]
    fn every_line_is_kept_or_taken_out() {
        let mut state: u64 = 3;
        let mut chance = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..2000 {
            let mut text = String::new();
            let mut lines = Vec::new();
            for number in 0..chance(12) {
                match chance(6) {
                    0 => text.push_str(&"\n".repeat(chance(3) as usize)),
                    1 => text.push_str("  # a comment, \"quoted\n"),
                    kind => {
                        let line = match kind {
                            2 => format!("t{number} s=\"a\nb{number}\" 1"),
                            3 => format!("\t t{number} =\\"),
                            _ => format!("t{number},é=x a={number}i 1"),
                        };
                        text.push_str(&line);
                        text.push_str(if chance(2) == 0 { "\n" } else { "\r\n" });
                        lines.push(line);
                    }
                }
            }
            // A backslash takes the line's end along.
            if text.contains('\\') {
                continue;
            }
            let refused: Vec<usize> = (0..lines.len()).filter(|_| chance(3) == 0).collect();
            let answer = refused.iter().map(|&index| {
                let line = &lines[index];
                let head: String = line.chars().take(5).collect();
                listed(index + 1, &head)
            });
            let refusal = find(answer.collect(), text.as_bytes()).expect("all of them are there");
            let found: Vec<&str> = refusal
                .lines
                .iter()
                .map(|line| &text[line.span.clone()])
                .collect();
            let expected: Vec<&str> = refused.iter().map(|&index| lines[index].as_str()).collect();
            assert_eq!(found, expected, "{text:?}");
            let kept = String::from_utf8(blanked(text.as_bytes(), &refusal.lines)).expect("text");
            let mut at = 0;
            let mut left = Vec::new();
            while let Some(span) = line_protocol::next_span(kept.as_bytes(), at) {
                left.push(kept[span.clone()].to_string());
                at = after(kept.as_bytes(), span.end);
            }
            let expected: Vec<String> = (0..lines.len())
                .filter(|index| !refused.contains(index))
                .map(|index| lines[index].clone())
                .collect();
            assert_eq!(left, expected, "{text:?}");
        }
    }

    #[test]
    fn lines_that_are_no_text_are_found() {
        let text = b"a b=1\nc d=\xff 2\ne f=3";
        let found = not_text(text);
        assert_eq!(found.len(), 1);
        assert_eq!(&text[found[0].span.clone()], b"c d=\xff 2");
        assert_eq!(blanked(text, &found), b"a b=1\n       \ne f=3");
        assert!(not_text("é".as_bytes()).is_empty());
    }
}
