//! Counts the rows in a result while it passes by. Not here: the result's rendering, which is the server's.

use crate::output::Format;

#[derive(Debug)]
pub(crate) struct RowCounter {
    format: Format,
    count: u64,
    /// Inside of a quoted text, and whether its next character is taken as it is.
    is_quoted: bool,
    is_escaped: bool,
    depth: usize,
    at_line_start: bool,
}

impl RowCounter {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            count: 0,
            is_quoted: false,
            is_escaped: false,
            depth: 0,
            at_line_start: true,
        }
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match self.format {
                Format::Jsonl => self.count += u64::from(byte == b'\n'),
                Format::Pretty => {
                    self.count += u64::from(self.at_line_start && byte == b'|');
                    self.at_line_start = byte == b'\n';
                }
                Format::Csv => match byte {
                    b'"' => self.is_quoted = !self.is_quoted,
                    b'\n' if !self.is_quoted => self.count += 1,
                    _ => {}
                },
                Format::Json => self.add_json(byte),
                Format::Parquet => {}
            }
        }
    }

    fn add_json(&mut self, byte: u8) {
        if self.is_quoted {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_quoted = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.is_quoted = true,
            b'{' | b'[' => {
                // The rows are the objects of the one array.
                self.count += u64::from(byte == b'{' && self.depth == 1);
                self.depth += 1;
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }

    /// Rows so far. A line of names is none.
    pub(crate) fn count(&self) -> u64 {
        match self.format {
            Format::Pretty | Format::Csv => self.count.saturating_sub(1),
            Format::Json | Format::Jsonl | Format::Parquet => self.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_every_text_format() {
        for (format, text, expected) in [
            (Format::Json, "[]", 0),
            (Format::Json, r#"[{"a":"}{\""},{"a":{"b":[{}]}},{}]"#, 3),
            (Format::Jsonl, "{}\n{}\n", 2),
            (Format::Jsonl, "", 0),
            (Format::Csv, "a,b\n1,\"x\ny\"\n2,z\n", 2),
            (Format::Csv, "", 0),
            (Format::Pretty, "+--+\n| a|\n+--+\n| 1|\n| 2|\n+--+", 2),
            (Format::Pretty, "++\n++", 0),
        ] {
            for size in 1..=text.len().max(1) {
                let mut counter = RowCounter::new(format);
                text.as_bytes()
                    .chunks(size)
                    .for_each(|part| counter.add(part));
                assert_eq!(counter.count(), expected, "{text}");
            }
        }
    }
}
