//! Cuts the sources into the pieces that requests carry, and knows where in its source each one lies.
//!
//! A piece ends at a line end, never inside of a string that has a newline in it, and does not reach over two sources. Not here: reading and unpacking
//! (`input`), sending (`delivery`).

use bytes::{Bytes, BytesMut};

use super::input::{Input, READ_BYTES, Source, read_fault};

/// A place in the unpacked text of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) offset_bytes: u64,
    /// Newlines before it.
    pub(crate) lines: u64,
}

impl Position {
    fn after(self, text: &[u8]) -> Self {
        Self {
            offset_bytes: self.offset_bytes + text.len() as u64,
            lines: self.lines + newlines(text),
        }
    }
}

pub(crate) fn newlines(text: &[u8]) -> u64 {
    text.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// Lines for one request.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// Index into the sources.
    pub(crate) source: usize,
    pub(crate) start: Position,
    pub(crate) end: Position,
    pub(crate) text: Bytes,
    /// How much of the source was read for it, before unpacking.
    pub(crate) raw_bytes: u64,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    Piece(Piece),
    /// All of this source has been given out.
    SourceEnded(usize),
    AllEnded,
}

/// A source and where to begin in it.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) source: Source,
    pub(crate) position: Position,
    /// Nothing of it is wanted any more.
    pub(crate) is_done: bool,
}

impl From<Source> for Start {
    fn from(source: Source) -> Self {
        Self {
            source,
            position: Position::default(),
            is_done: false,
        }
    }
}

pub(crate) struct Pieces {
    starts: Vec<Start>,
    bytes_max: usize,
    /// Index of the source being read.
    source: usize,
    input: Option<Input>,
    /// Read and not yet given out, from `position` on.
    gathered: BytesMut,
    position: Position,
    input_ended: bool,
    /// How much of the source was read for what was given out or passed by.
    raw_given: u64,
    /// How much of all sources was passed by.
    raw_skipped: u64,
}

impl Pieces {
    pub(crate) fn new(starts: Vec<Start>, bytes_max: usize) -> Self {
        Self {
            starts,
            bytes_max,
            source: 0,
            input: None,
            gathered: BytesMut::new(),
            position: Position::default(),
            input_ended: false,
            raw_given: 0,
            raw_skipped: 0,
        }
    }

    /// How much of the sources was written before, as it was before unpacking; what is known of it so far.
    pub(crate) fn raw_skipped(&self) -> u64 {
        self.raw_skipped
    }

    /// The next piece has at least one character that is no blank. May be dropped while it waits.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Next> {
        loop {
            let Some(start) = self.starts.get(self.source) else {
                return Ok(Next::AllEnded);
            };
            if start.is_done {
                self.raw_skipped += start.source.size_bytes().unwrap_or(0);
                self.source += 1;
                return Ok(Next::SourceEnded(self.source - 1));
            }
            if self.input.is_none() {
                let opened = Input::open(&start.source);
                self.input = Some(opened.map_err(|cause| self.fault(&cause))?);
                self.position = Position::default();
                self.input_ended = false;
                self.raw_given = 0;
                continue;
            }
            // What was written before goes by unseen.
            let skip_to = start.position.offset_bytes;
            let seen_bytes = skip_to.saturating_sub(self.position.offset_bytes);
            if seen_bytes > 0 && !self.gathered.is_empty() {
                let length = self.gathered.len().min(usize::try_from(seen_bytes)?);
                let seen = self.gathered.split_to(length);
                self.position = self.position.after(&seen);
                self.raw_skipped += self.newly_read_bytes();
                continue;
            }
            if seen_bytes == 0
                && let Some(length) = self.cut()
            {
                let piece = self.give(length);
                if piece.text.iter().any(|byte| !byte.is_ascii_whitespace()) {
                    return Ok(Next::Piece(piece));
                }
            } else if self.input_ended {
                if seen_bytes > 0 {
                    anyhow::bail!(
                        "{} ends before byte {skip_to}, up to which it was written",
                        start.source.name()
                    );
                }
                self.input = None;
                self.source += 1;
                return Ok(Next::SourceEnded(self.source - 1));
            } else {
                let read = match &mut self.input {
                    Some(input) => input.read(&mut self.gathered).await,
                    None => continue,
                };
                self.input_ended = !read.map_err(|cause| self.fault(&cause))?;
            }
        }
    }

    fn fault(&self, cause: &std::io::Error) -> anyhow::Error {
        read_fault(&self.starts[self.source].source, self.starts.len(), cause)
    }

    fn give(&mut self, length: usize) -> Piece {
        let text = self.gathered.split_to(length).freeze();
        let start = self.position;
        self.position = start.after(&text);
        let raw_bytes = self.newly_read_bytes();
        Piece {
            source: self.source,
            start,
            end: self.position,
            text,
            raw_bytes,
        }
    }

    /// How much of the source was read, before unpacking, since this was asked last; what waits to be given out is left out where it can be told.
    fn newly_read_bytes(&mut self) -> u64 {
        let Some(input) = &self.input else {
            return 0;
        };
        let waiting = match input.is_compressed() {
            true => 0,
            false => self.gathered.len() as u64,
        };
        let read = input.raw_bytes().saturating_sub(waiting);
        let newly = read.saturating_sub(self.raw_given);
        self.raw_given += newly;
        newly
    }

    /// How much of what is gathered is the next piece; `None` when more must be read, or nothing is left.
    fn cut(&self) -> Option<usize> {
        let gathered = self.gathered.as_ref();
        if gathered.is_empty() {
            return None;
        }
        if self.input_ended && gathered.len() <= self.bytes_max {
            return Some(gathered.len());
        }
        if !self.input_ended && gathered.len() < READ_BYTES.min(self.bytes_max) {
            return None;
        }
        let (allowed, beyond) = gathered.split_at(self.bytes_max.min(gathered.len()));
        if let Some(end) = line_protocol::spans_end(allowed) {
            return Some(end);
        }
        if !self.input_ended && gathered.len() < self.bytes_max {
            return None;
        }
        // A string that is opened and not closed must not take all the rest along.
        if let Some(last) = allowed.iter().rposition(|&byte| byte == b'\n') {
            return Some(last + 1);
        }
        let longer = beyond.iter().position(|&byte| byte == b'\n');
        match longer {
            Some(end) => Some(allowed.len() + end + 1),
            None => self.input_ended.then_some(gathered.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces of a text, begun somewhere; each is checked to lie where it says.
    fn pieces_from(text: &str, bytes_max: usize, start: Position) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let mut pieces = Pieces::new(
            vec![Start {
                source: Source::Argument(text.to_string()),
                position: start,
                is_done: false,
            }],
            bytes_max,
        );
        let mut found = Vec::new();
        let mut raw_bytes = 0;
        loop {
            match runtime.block_on(pieces.next()).expect("memory is readable") {
                Next::Piece(piece) => {
                    let start = usize::try_from(piece.start.offset_bytes).expect("small");
                    assert_eq!(
                        &text.as_bytes()[start..start + piece.text.len()],
                        &piece.text
                    );
                    assert_eq!(piece.start.lines, newlines(&text.as_bytes()[..start]));
                    assert_eq!(piece.end, piece.start.after(&piece.text));
                    raw_bytes += piece.raw_bytes;
                    found.push(String::from_utf8(piece.text.to_vec()).expect("cut between lines"));
                }
                Next::SourceEnded(0) => {}
                Next::SourceEnded(other) => panic!("there is no source {other}"),
                Next::AllEnded => break,
            }
        }
        assert!(raw_bytes <= text.len() as u64);
        found
    }

    fn cut_into(text: &str, bytes_max: usize) -> Vec<String> {
        pieces_from(text, bytes_max, Position::default())
    }

    #[test]
    fn pieces_end_at_line_ends() {
        assert_eq!(cut_into("", 10), Vec::<String>::new());
        assert_eq!(cut_into("\n \n", 1), Vec::<String>::new());
        assert_eq!(cut_into("a\nb\nc", 10), ["a\nb\nc"]);
        assert_eq!(cut_into("aa\nbb\ncc\n", 6), ["aa\nbb\n", "cc\n"]);
        assert_eq!(cut_into("aa\nbb\ncc", 5), ["aa\n", "bb\n", "cc"]);
        assert_eq!(
            cut_into("a very long line\nb\n", 4),
            ["a very long line\n", "b\n"]
        );
        assert_eq!(cut_into("a very long line", 4), ["a very long line"]);
        assert_eq!(cut_into("a\n\n\n\n\n\n", 2), ["a\n"]);
        let long = "x".repeat(1000) + "\n";
        let many = long.repeat(10_000);
        let found = cut_into(&many, 1 << 30);
        assert!(found.len() > 1 && found.iter().all(|lines| lines.ends_with('\n')));
        assert_eq!(found.concat(), many);
    }

    #[test]
    fn a_string_with_a_newline_is_not_cut() {
        let text = "a b=\"x\ny\" 1\nc d=\"x\ny\" 2\n";
        assert_eq!(cut_into(text, 14), ["a b=\"x\ny\" 1\n", "c d=\"x\ny\" 2\n"]);
        // Left open, it is cut as if there were no strings.
        assert_eq!(
            cut_into("a b=\"x\ny 1\nc 23\n", 8),
            ["a b=\"x\n", "y 1\n", "c 23\n"]
        );
    }

    #[test]
    fn cutting_again_from_any_cut_gives_the_same_rest() {
        let mut state: u64 = 11;
        for _ in 0..500 {
            let mut text = String::new();
            for _ in 0..20 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                text.push_str(
                    [
                        "a b=1 ",
                        "\n",
                        "c d=\"e\nf\" 1\n",
                        "\n\n",
                        "é",
                        "\"",
                        "#x\n",
                        "\r\n",
                    ][(state >> 61) as usize],
                );
            }
            let bytes_max = 1 + (state >> 40) as usize % 24;
            let all = cut_into(&text, bytes_max);
            let mut start = Position::default();
            for (index, piece) in all.iter().enumerate() {
                // Blank pieces are left out, so look where this one is.
                let at = usize::try_from(start.offset_bytes).expect("small");
                let found = at
                    + text[at..]
                        .find(piece.as_str())
                        .expect("a piece of the text");
                start = Position::default().after(&text.as_bytes()[..found]);
                assert_eq!(
                    pieces_from(&text, bytes_max, start),
                    all[index..],
                    "{text:?}"
                );
                start = start.after(piece.as_bytes());
            }
        }
    }
}
