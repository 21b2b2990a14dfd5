//! The canonical form of rows, and the checksum over it.
//!
//! A row is its cells in the order of the question's columns, with tabs between them: a time in nanoseconds, a string as it is, a
//! number rounded to nine significant digits (`82`, `-0.5`, `5.12345679e1`), nothing for null. A row counts as its CRC-32 times 2³²
//! plus its Adler-32; an answer as the sum of its rows modulo 2⁶⁴, so that their order does not matter (what a question
//! orders is checked apart). Both are in the library of every language: `others/in_process.py` works out the same.

use super::{Contents, Kind, Order, Shape};
use crate::Error;
use std::fmt::{self, Write};

/// Stands for all rows of an answer, or for several answers; shows as sixteen hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checksum(u64);

impl fmt::Display for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// One for answers to several questions, in that order: of the line of their checksums, with tabs between.
pub(crate) fn of_answers(checksums: impl IntoIterator<Item = Checksum>) -> Checksum {
    let texts: Vec<String> = checksums.into_iter().map(|sum| sum.to_string()).collect();
    Checksum(of_row(texts.join("\t").as_bytes()))
}

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    TimeNs(i64),
    Text(&'a str),
    Number(f64),
}

/// Takes rows one by one.
pub(super) struct Sum {
    rows: usize,
    checksum: u64,
    order: Order,
    /// The time of the row before, if the question orders by it.
    previous_ns: Option<i64>,
    row: String,
}

impl Sum {
    pub(super) fn new(shape: &Shape) -> Self {
        let by_time = shape.columns.first().map(|column| column.kind) == Some(Kind::Time);
        Self {
            rows: 0,
            checksum: 0,
            order: match by_time {
                true => shape.order,
                false => Order::Any,
            },
            previous_ns: None,
            row: String::new(),
        }
    }

    /// For languages that cannot be asked for the order of the question.
    pub(super) fn in_any_order(&mut self) {
        self.order = Order::Any;
    }

    /// Adds a row, its cells in the order of the shape's columns.
    pub(super) fn add<'a>(
        &mut self,
        cells: impl IntoIterator<Item = Cell<'a>>,
    ) -> Result<(), Error> {
        self.row.clear();
        for (position, cell) in cells.into_iter().enumerate() {
            if position == 0 {
                self.check_order(cell)?;
            } else {
                self.row.push('\t');
            }
            match cell {
                Cell::Null => {}
                Cell::TimeNs(time_ns) => write!(self.row, "{time_ns}")?,
                Cell::Text(text) => self.row.push_str(text),
                Cell::Number(number) => write_number(number, &mut self.row)?,
            }
        }
        self.rows += 1;
        self.checksum = self.checksum.wrapping_add(of_row(self.row.as_bytes()));
        Ok(())
    }

    fn check_order(&mut self, first: Cell<'_>) -> Result<(), Error> {
        let Cell::TimeNs(time_ns) = first else {
            return Ok(());
        };
        let previous_ns = self.previous_ns.replace(time_ns).unwrap_or(time_ns);
        let in_order = match self.order {
            Order::Any => true,
            Order::Ascending => previous_ns <= time_ns,
            Order::Descending => previous_ns >= time_ns,
        };
        if in_order {
            return Ok(());
        }
        let (row, order) = (self.rows + 1, self.order.name());
        Err(format!("row {row} of the answer, at {time_ns} ns, is not in {order} order").into())
    }

    pub(super) fn contents(self) -> Contents {
        Contents {
            rows: self.rows,
            checksum: Some(Checksum(self.checksum)),
        }
    }
}

fn of_row(row: &[u8]) -> u64 {
    let mut crc = flate2::Crc::new();
    crc.update(row);
    u64::from(crc.sum()) << 32 | u64::from(adler32(row))
}

fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    // So many bytes cannot overflow the sums.
    const BYTES_AT_ONCE: usize = 5_552;
    let (mut low, mut high) = (1_u32, 0_u32);
    for part in bytes.chunks(BYTES_AT_ONCE) {
        for byte in part {
            low += u32::from(*byte);
            high += low;
        }
        low %= MODULUS;
        high %= MODULUS;
    }
    high << 16 | low
}

/// Whole numbers below this are written with all their digits.
const WHOLE_END: f64 = 1e9;

fn write_number(number: f64, text: &mut String) -> fmt::Result {
    if is_whole(number) {
        return write!(text, "{}", number as i64);
    }
    if !number.is_finite() {
        return write!(text, "{number}");
    }
    let start = text.len();
    write!(text, "{number:.8e}")?;
    // What is a whole number but for a rounding error is one.
    let rounded: f64 = text[start..].parse().unwrap_or(number);
    if is_whole(rounded) {
        text.truncate(start);
        write!(text, "{}", rounded as i64)?;
    }
    Ok(())
}

fn is_whole(number: f64) -> bool {
    number.trunc() == number && number.abs() < WHOLE_END
}

#[cfg(test)]
mod tests {
    use super::{Checksum, adler32, of_answers, of_row, write_number};

    fn number(number: f64) -> String {
        let mut text = String::new();
        write_number(number, &mut text).expect("a string takes everything");
        text
    }

    #[test]
    fn numbers_have_nine_digits() {
        for (value, text) in [
            (82.0, "82"),
            (-0.0, "0"),
            (-7.0, "-7"),
            (0.5, "5.00000000e-1"),
            (51.234567891, "5.12345679e1"),
            (81.999_999_999_99, "82"),
            (82.000_000_000_01, "82"),
            (999_999_999.0, "999999999"),
            (1e9, "1.00000000e9"),
            (1_234_567_891_234.0, "1.23456789e12"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(number(value), text, "{value}");
        }
    }

    #[test]
    fn sums_are_those_that_other_libraries_work_out() {
        // zlib.crc32 and zlib.adler32 of Python.
        assert_eq!(of_row(b"Wikipedia"), 0xadaa_c02e_11e6_0398);
        assert_eq!(adler32(&[255; 20_000]), 0x9f51_d664);
        let all = of_answers([Checksum(1), Checksum(u64::MAX)]);
        assert_eq!(all, Checksum(of_row(b"0000000000000001\tffffffffffffffff")));
        assert_ne!(all, of_answers([Checksum(u64::MAX), Checksum(1)]));
    }
}
