//! Lines that wait: first in, first out, in one piece of memory, each with the number of its fields.

use super::rows::Written;
use std::collections::VecDeque;

#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Where the first line begins.
    front: usize,
    rows: VecDeque<Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    bytes: u32,
    values: u32,
}

impl Lines {
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() - self.front
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn push(&mut self, line: &[u8], values: usize) {
        self.bytes.extend_from_slice(line);
        self.push_row(line.len(), values);
    }

    /// Adds the line that `write` appends, and hands on the number of its fields; without fields there is no line.
    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>) -> usize) -> usize {
        let start = self.bytes.len();
        let values = write(&mut self.bytes);
        if values > 0 {
            self.push_row(self.bytes.len() - start, values);
        }
        values
    }

    fn push_row(&mut self, bytes: usize, values: usize) {
        let number = |number: usize| u32::try_from(number).expect("a line is below 4 GiB");
        self.rows.push_back(Row {
            bytes: number(bytes),
            values: number(values),
        });
    }

    /// Moves up to `rows_max` lines to the end of `out`.
    pub(super) fn take(&mut self, rows_max: usize, out: &mut Vec<u8>) -> Written {
        let rows = rows_max.min(self.rows.len());
        let (mut bytes, mut values) = (0, 0);
        for row in self.rows.drain(..rows) {
            bytes += row.bytes as usize;
            values += row.values as usize;
        }
        out.extend_from_slice(&self.bytes[self.front..][..bytes]);
        self.front += bytes;
        self.forget();
        Written { rows, values }
    }

    /// Moves up to `rows_max` lines to the end of `other`.
    pub(super) fn move_to(&mut self, rows_max: usize, other: &mut Self) {
        for _ in 0..rows_max {
            let Some(row) = self.rows.pop_front() else {
                break;
            };
            let end = self.front + row.bytes as usize;
            other.bytes.extend_from_slice(&self.bytes[self.front..end]);
            other.rows.push_back(row);
            self.front = end;
        }
        self.forget();
    }

    /// Gives back the memory before the first line when that is most of it.
    fn forget(&mut self) {
        if self.rows.is_empty() {
            self.bytes.clear();
            self.front = 0;
        } else if self.front > self.bytes.len() / 2 {
            self.bytes.drain(..self.front);
            self.front = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn lines_leave_in_the_order_they_came() {
        let (mut lines, mut other) = (Lines::default(), Lines::default());
        let mut out = Vec::new();
        for number in 0..100 {
            lines.push(format!("{number}\n").as_bytes(), number);
            if number % 3 == 0 {
                lines.move_to(1, &mut other);
            }
            if number % 5 == 0 {
                other.take(1, &mut out);
            }
        }
        assert_eq!((lines.rows(), other.rows()), (66, 14));
        other.take(usize::MAX, &mut out);
        let rest = lines.take(usize::MAX, &mut out);
        assert_eq!((rest.rows, rest.values), (66, (34..100).sum()));
        let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert!(lines.is_empty() && lines.bytes() == 0);
    }
}
