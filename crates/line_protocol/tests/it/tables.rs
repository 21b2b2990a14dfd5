//! The rows of spec/write-and-storage.md §3.1 to §3.6.

use crate::table::{check, to_symbols};
use line_protocol::{Error, Field, Line, Name, Parser, Series, Value};

#[test]
fn lines_are_cut() {
    check("lines", describe);
}

#[test]
fn the_grammar_is_kept() {
    check("grammar", describe);
}

#[test]
fn escapes_are_resolved() {
    check("escapes", describe);
}

#[test]
fn errors_say_what_was_wrong() {
    check("errors", describe);
}

/// What becomes of each line of `body`: `number measurement [tags] [fields] timestamp`, or its text and error.
fn describe(body: &str) -> String {
    let mut parser = Parser::new(body);
    let mut fields = Vec::new();
    let mut descriptions = Vec::new();
    while let Some(outcome) = parser.next_line(&mut fields) {
        let (number, text, described) = match &outcome {
            Ok(line) => (line.number, line.text, describe_line(line, &fields)),
            Err(rejected) => {
                assert!(fields.is_empty(), "a rejected line has no fields");
                (rejected.number, rejected.text, Err(rejected.error.clone()))
            }
        };
        descriptions.push(match described {
            Ok(description) => format!("{number} {description}"),
            Err(error) => format!(
                "{number} error in |{}|\n  {}",
                to_symbols(text),
                to_symbols(&error.to_string())
            ),
        });
    }
    match descriptions.is_empty() {
        true => "nothing".to_owned(),
        false => descriptions.join("\n"),
    }
}

fn describe_line(line: &Line<'_>, fields: &[Field<'_>]) -> Result<String, Error> {
    let series = Series::parse(line)?;
    let mut description = to_symbols(&series.measurement.unescape());
    for (key, value) in &series.tags {
        description += &format!(" [{}={}]", name(*key), name(*value));
    }
    for field in fields {
        let value = match field.value {
            Value::Float(value) => format!("{value:?}"),
            Value::Integer(value) => format!("{value}i"),
            Value::Unsigned(value) => format!("{value}u"),
            Value::String(raw) => format!("\"{}\"", to_symbols(&Value::unescape_string(raw))),
            Value::Boolean(value) => value.to_string(),
        };
        description += &format!(" {}={value}", name(field.key));
    }
    if let Some(timestamp) = line.timestamp {
        description += &format!(" @{timestamp}");
    }
    Ok(description)
}

fn name(name: Name<'_>) -> String {
    to_symbols(&name.unescape())
}
