//! Any bytes are a page of a data file or an error, never a panic; and what was decoded has the rows that were asked for.
//!
//! The first bytes choose the column, how many rows it should have, and whether the rest is taken as a page or as what follows a sound
//! header. Not here: where pages lie in a file, and their checksums.

#![no_main]

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, TimeUnit};
use libfuzzer_sys::fuzz_target;
use storage::file::page::PageColumn;

const ROWS_MAX: usize = 1000;

fuzz_target!(|bytes: &[u8]| {
    let Some(([kind, encoding, low, high], rest)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let types = [
        DataType::Int64,
        DataType::Float64,
        DataType::Boolean,
        DataType::Utf8,
        DataType::Timestamp(TimeUnit::Nanosecond, None),
    ];
    let data_type = &types[usize::from(kind & 7) % types.len()];
    let column = PageColumn {
        data_type,
        nullable: kind & 8 != 0,
        packed: kind & 16 != 0,
    };
    let rows = usize::from(u16::from_le_bytes([*low, *high])) % ROWS_MAX;
    if kind & 32 != 0 {
        check(column, rest, rows, None);
        return;
    }
    // A dictionary of what comes first, for some.
    let (first, rest) = rest.split_at(rest.len() / 2);
    let dictionary = (kind & 64 != 0)
        .then(|| column.dictionary(&page(2, first, rows, 0)).ok())
        .flatten();
    let body = if dictionary.is_some() { rest } else { &bytes[4..] };
    check(column, &page(0, body, rows, encoding % 10), rows, dictionary.as_ref());
});

fn check(column: PageColumn<'_>, page: &[u8], rows: usize, dictionary: Option<&ArrayRef>) {
    let Ok(values) = column.values(page, rows, dictionary) else {
        return;
    };
    assert_eq!(values.len(), rows);
    assert_eq!(values.data_type(), column.data_type);
    values.to_data().validate_full().expect("arrays are sound");
}

/// A page with a header that fits; compressed ones are left to chance.
fn page(kind: u64, body: &[u8], rows: usize, encoding: u8) -> Vec<u8> {
    fn number(out: &mut Vec<u8>, value: u64) {
        out.push(0x15);
        let mut zigzag = value << 1;
        while zigzag >= 0x80 {
            out.push(zigzag as u8 | 0x80);
            zigzag >>= 7;
        }
        out.push(zigzag as u8);
    }
    let mut out = Vec::new();
    number(&mut out, kind);
    number(&mut out, body.len() as u64);
    number(&mut out, body.len() as u64);
    // Field 5 of a data page, 7 of a dictionary.
    out.push(if kind == 0 { 0x2c } else { 0x4c });
    number(&mut out, rows as u64);
    number(&mut out, u64::from(encoding));
    out.extend([0, 0]);
    out.extend_from_slice(body);
    out
}
