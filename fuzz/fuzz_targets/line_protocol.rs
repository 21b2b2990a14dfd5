//! Any text is line protocol or a number of rejected lines, never a panic.
//!
//! Checked for each body: lines come in order and are numbered, nothing but blanks and comments is passed over, a
//! line read alone gives the same, lines that say so have the same keys, and a good line is whole: its series starts it, its parts are cut out of it.
//! Not here: what the values must be; the tables in the crate's own tests say that.

#![no_main]

use libfuzzer_sys::fuzz_target;
use line_protocol::{Field, Line, Name, Parser, Precision, Rejected, Series, Value};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(body) = std::str::from_utf8(bytes) {
        check_body(body);
    }
});

fn check_body(body: &str) {
    let mut parser = Parser::new(body);
    let mut fields = Vec::new();
    let mut covered = 0;
    let mut count = 0;
    let mut keys = (0, Vec::new());
    while let Some(outcome) = parser.next_line(&mut fields) {
        count += 1;
        let (number, text) = match &outcome {
            Ok(line) => (line.number, line.text),
            Err(rejected) => (rejected.number, rejected.text),
        };
        assert_eq!(number, count);
        let start = text.as_ptr().addr() - body.as_ptr().addr();
        let passed_over = &body[covered..start];
        assert!(first_line(passed_over).is_none(), "lost {passed_over:?}");
        covered = start + text.len();
        match &outcome {
            Ok(line) => {
                check_line(line, &fields);
                check_keys(line, &fields, &mut keys);
            }
            Err(rejected) => {
                assert!(fields.is_empty());
                check_rejected(rejected);
            }
        }
    }
    let left_over = &body[covered..];
    assert!(first_line(left_over).is_none(), "lost {left_over:?}");
    assert!(parser.next_line(&mut fields).is_none());
}

fn check_line(line: &Line<'_>, fields: &[Field<'_>]) {
    assert!(!fields.is_empty());
    let content = line.text.trim_start_matches([' ', '\t']);
    let after = content
        .strip_prefix(line.series)
        .expect("a line starts with its series");
    assert!(after.starts_with(' '));
    if let Ok(series) = Series::parse(line) {
        let mut series_length = series.measurement.raw.len();
        assert!(!series.measurement.unescape().is_empty());
        for (key, value) in series.tags {
            check_name(key);
            check_name(value);
            series_length += 1 + key.raw.len() + 1 + value.raw.len();
        }
        assert_eq!(series_length, line.series.len());
    }
    for field in fields {
        check_name(field.key);
        match field.value {
            Value::Float(value) => assert!(!value.is_nan()),
            Value::String(raw) => assert!(Value::unescape_string(raw).len() <= raw.len()),
            Value::Integer(_) | Value::Unsigned(_) | Value::Boolean(_) => {}
        }
    }
    if let Some(timestamp) = line.timestamp {
        for precision in [Precision::Auto, Precision::Second, Precision::Nanosecond] {
            let _ = precision.to_ns(timestamp);
            let _ = precision.truncate_ns(timestamp);
        }
    }

    let (alone, alone_fields) = first_line(line.text).expect("the line is there");
    // What the lines before had for keys is not known to one that is alone.
    let alone = alone.map(|alone| Line {
        number: line.number,
        keys: line.keys,
        ..alone
    });
    assert_eq!(alone, Ok(*line));
    assert_eq!(alone_fields, fields);
}

/// Lines that tell the same of their keys have the same ones, as far as both have fields.
fn check_keys<'a>(line: &Line<'a>, fields: &[Field<'a>], seen: &mut (u64, Vec<&'a str>)) {
    let (told, keys) = seen;
    if line.keys != *told {
        *told = line.keys;
        keys.clear();
    }
    for (place, field) in fields.iter().enumerate() {
        match keys.get(place) {
            Some(key) => assert_eq!(*key, field.key.raw),
            None => keys.push(field.key.raw),
        }
    }
}

fn check_name(name: Name<'_>) {
    let text = name.unescape();
    assert!(!text.is_empty() && !text.ends_with('\\') && text.len() <= name.raw.len());
}

fn check_rejected(rejected: &Rejected<'_>) {
    assert!(!rejected.error.to_string().is_empty());
    // Read alone, a line that ends with a carriage return would lose it as its line ending.
    if !rejected.text.ends_with('\r') {
        let (alone, _) = first_line(rejected.text).expect("the line is there");
        let expected = Rejected {
            number: 1,
            ..rejected.clone()
        };
        assert_eq!(alone, Err(expected));
    }
}

/// What the parser says of the first line of `text`.
type Outcome<'a> = (Result<Line<'a>, Rejected<'a>>, Vec<Field<'a>>);

fn first_line(text: &str) -> Option<Outcome<'_>> {
    let mut fields = Vec::new();
    let outcome = Parser::new(text).next_line(&mut fields)?;
    Some((outcome, fields))
}
