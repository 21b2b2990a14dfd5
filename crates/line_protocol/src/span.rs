//! Where lines lie in bytes, without reading them: for whoever cuts input into requests, or looks for the line that an answer names.
//!
//! A span is what [`Parser`](crate::Parser) counts as one line, text or not, sound or not. Not here: what is wrong with it.

use std::ops::Range;

use crate::lexer;

/// The next line from `from` on, which must be the start of a line: its physical text, without its line ending. Blank lines and comments are passed
/// over; `None` when nothing else is left.
pub fn next_span(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let (line_start, start) = lexer::next_content(bytes, from)?;
    let newline = lexer::logical_line_end(bytes, start);
    let end = match bytes[start..newline].last() {
        Some(b'\r') => newline - 1,
        _ => newline,
    };
    Some(line_start..end)
}

/// The last place at which `bytes`, which begin with a line, can be cut without cutting a line; after its newline. `None` when no line ends in them.
pub fn spans_end(bytes: &[u8]) -> Option<usize> {
    let last_newline = memchr::memrchr(b'\n', bytes)? + 1;
    // Only a quote, or a backslash before it, can make a newline part of a line.
    let head = &bytes[..last_newline];
    if memchr::memchr2(b'"', b'\\', head).is_none() {
        return Some(last_newline);
    }
    let mut end = None;
    let mut at = 0;
    while let Some((_, start)) = lexer::next_content(bytes, at) {
        let newline = lexer::logical_line_end(bytes, start);
        if newline == bytes.len() {
            break;
        }
        at = newline + 1;
        end = Some(at);
    }
    // Blank lines and comments may follow.
    match lexer::next_content(bytes, at) {
        Some(_) => end,
        None => Some(last_newline),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parser;

    /// Texts made of what lines are made of, in any order; the same ones at each run.
    fn texts() -> impl Iterator<Item = String> {
        const PARTS: [&str; 16] = [
            "cpu", ",host=a", " ", "a=1", ",b=\"x", "\"", "\n", "\r\n", "\\", "# c", "=", "1",
            "\t", "c,d=2", "\n\n", "é",
        ];
        let mut state: u64 = 7;
        (0..20_000).map(move |_| {
            let mut text = String::new();
            for _ in 0..(state % 13 + 1) {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                text.push_str(PARTS[(state >> 60) as usize]);
            }
            text
        })
    }

    #[test]
    fn spans_are_the_lines_that_the_parser_counts() {
        for text in texts() {
            let mut parser = Parser::new(&text);
            let mut fields = Vec::new();
            let mut at = 0;
            while let Some(line) = parser.next_line(&mut fields) {
                let told = match line {
                    Ok(line) => line.text,
                    Err(rejected) => rejected.text,
                };
                let span =
                    next_span(text.as_bytes(), at).expect("as many lines as the parser finds");
                assert_eq!(&text[span.clone()], told, "{text:?}");
                at = lexer::after_line_end(text.as_bytes(), span.end).expect("a line ends there");
            }
            assert_eq!(next_span(text.as_bytes(), at), None, "{text:?}");
        }
    }

    #[test]
    fn a_cut_parts_no_line() {
        let lines = |text: &str| {
            let mut parser = Parser::new(text);
            let mut fields = Vec::new();
            let mut found = Vec::new();
            while let Some(line) = parser.next_line(&mut fields) {
                found.push(match line {
                    Ok(line) => line.text.to_string(),
                    Err(rejected) => rejected.text.to_string(),
                });
            }
            found
        };
        for text in texts() {
            if let Some(end) = spans_end(text.as_bytes()) {
                let (head, tail) = text.split_at(end);
                assert!(head.ends_with('\n'), "{text:?}");
                assert_eq!(
                    [lines(head), lines(tail)].concat(),
                    lines(&text),
                    "{text:?}"
                );
            }
        }
        assert_eq!(spans_end(b"a b=1\nc"), Some(6));
        assert_eq!(spans_end(b"a b=\"x\ny"), None);
        assert_eq!(spans_end(b"a b=\"x\ny\" 1\n# \"\n"), Some(16));
    }
}
