//! csv: how names and values look between commas.
//!
//! Each cell but the first begins with its comma. What could be mistaken for the end of a cell or a line stands in quotes.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::number;
use super::style::Style;
use super::text::Text;

const OPTIONS: FormatOptions<'static> = FormatOptions::new();

/// Lines of cells.
pub(super) struct Csv;

/// Arrow's writer, and where it writes to.
pub(super) struct Rare<'a> {
    formatter: ArrayFormatter<'a>,
    scratch: String,
}

impl Style for Csv {
    const SHOWS_NULLS: bool = true;
    const QUOTES_TIMESTAMPS: bool = false;
    const CHANGES_FIRST_CELL: bool = false;

    type Rare<'a> = Rare<'a>;

    fn key(_: &str, column: usize) -> Vec<u8> {
        match column {
            0 => Vec::new(),
            _ => vec![b','],
        }
    }

    fn push_string(value: &str, text: &mut Text) {
        let bytes = value.as_bytes();
        if !bytes.iter().any(|byte| is_special(*byte)) {
            return text.push(bytes);
        }
        text.push_byte(b'"');
        for part in bytes.split_inclusive(|byte| *byte == b'"') {
            text.push(part);
            if part.ends_with(b"\"") {
                text.push_byte(b'"');
            }
        }
        text.push_byte(b'"');
    }

    fn push_null_of_dictionary(_: &mut Text) {}

    #[inline]
    fn push_float(value: f64, text: &mut Text) {
        if !number::push_plain_float(value, text) {
            text.push(ryu::Buffer::new().format(value).as_bytes());
        }
    }

    fn rare<'a>(field: &'a FieldRef, array: &'a ArrayRef) -> Result<Rare<'a>, ArrowError> {
        if array.data_type().is_nested() {
            return Err(ArrowError::CsvError(format!(
                "column `{}` has parts, its type is {}",
                field.name(),
                array.data_type()
            )));
        }
        Ok(Rare {
            formatter: ArrayFormatter::try_new(array.as_ref(), &OPTIONS)?,
            scratch: String::new(),
        })
    }

    fn leaves_out(_: &Rare<'_>, _: usize) -> bool {
        false
    }

    fn push_rare(rare: &mut Rare<'_>, row: usize, text: &mut Text) -> Result<(), ArrowError> {
        rare.scratch.clear();
        rare.formatter.value(row).write(&mut rare.scratch)?;
        Self::push_string(&rare.scratch, text);
        Ok(())
    }
}

/// The names of the columns.
pub(super) fn push_header(schema: &SchemaRef, text: &mut Text) {
    let start = text.length();
    for (column, field) in schema.fields().iter().enumerate() {
        text.push(&Csv::key(field.name(), column));
        Csv::push_string(field.name(), text);
    }
    end_row(text, start);
}

/// Ends the line that began at `start`. One without any byte would be no line for readers.
#[inline]
pub(super) fn end_row(text: &mut Text, start: usize) {
    if text.length() == start {
        text.push(b"\"\"");
    }
    text.push_byte(b'\n');
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b',' | b'"' | b'\r' | b'\n')
}
