//! Properties that hold for every text, tried on many texts from a seeded generator.

use super::{Field, Line, Name, Parser, Value};
use crate::keys::Keys;
use crate::{Rejected, Series, lexer};

/// A small generator of pseudo-random numbers (splitmix64): the same seed gives the same run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    fn text(&mut self, alphabet: &[char], max_characters: usize) -> String {
        let length = self.below(max_characters + 1);
        (0..length).map(|_| *self.pick(alphabet)).collect()
    }
}

#[derive(Debug, PartialEq)]
enum OwnedValue {
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    String(String),
    Boolean(bool),
}

#[derive(Debug, PartialEq)]
struct Point {
    measurement: String,
    tags: Vec<(String, String)>,
    fields: Vec<(String, OwnedValue)>,
    timestamp: Option<i64>,
}

const NAME_CHARACTERS: [char; 14] = [
    'a', 'b', 'z', '0', '9', ',', '=', ' ', '\\', '"', '#', '.', 'é', '日',
];

fn random_name(random: &mut Random) -> String {
    loop {
        let name = random.text(&NAME_CHARACTERS, 12);
        if !name.is_empty() && !name.starts_with('#') && !name.ends_with('\\') {
            return name;
        }
    }
}

fn random_value(random: &mut Random) -> OwnedValue {
    let bits = random.next() >> random.below(64);
    match random.below(5) {
        0 => loop {
            let value = f64::from_bits(random.next());
            if value.is_finite() {
                return OwnedValue::Float(value);
            }
        },
        1 => OwnedValue::Integer(bits as i64),
        2 => OwnedValue::Unsigned(bits),
        3 => OwnedValue::String(
            random.text(&['a', ',', '=', ' ', '\\', '"', '\n', '\r', '#', 'é'], 12),
        ),
        _ => OwnedValue::Boolean(bits.is_multiple_of(2)),
    }
}

fn random_point(random: &mut Random) -> Point {
    let mut tags: Vec<(String, String)> = Vec::new();
    for _ in 0..random.below(5) {
        let key = random_name(random);
        if tags.iter().all(|(other, _)| *other != key) {
            tags.push((key, random_name(random)));
        }
    }
    Point {
        measurement: random_name(random),
        tags,
        fields: (0..=random.below(5))
            .map(|_| (random_name(random), random_value(random)))
            .collect(),
        timestamp: match random.below(3) {
            0 => None,
            _ => Some(random.next() as i64 >> random.below(64)),
        },
    }
}

fn escaped(name: &str, special: &[char]) -> String {
    let mut text = String::new();
    for character in name.chars() {
        if special.contains(&character) {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

fn render(point: &Point, random: &mut Random) -> String {
    const NAME: [char; 4] = [',', '=', ' ', '\\'];
    let mut text = escaped(&point.measurement, &[',', ' ', '\\']);
    for (key, value) in &point.tags {
        text += &format!(",{}={}", escaped(key, &NAME), escaped(value, &NAME));
    }
    for (position, (key, value)) in point.fields.iter().enumerate() {
        let separator = match position {
            0 => *random.pick(&[" ", "  "]),
            _ => ",",
        };
        let value = match value {
            OwnedValue::Float(value) => format!("{value:?}"),
            OwnedValue::Integer(value) => format!("{value}i"),
            OwnedValue::Unsigned(value) => format!("{value}u"),
            OwnedValue::String(value) => format!("\"{}\"", escaped(value, &['"', '\\'])),
            OwnedValue::Boolean(true) => {
                random.pick(&["t", "T", "true", "True", "TRUE"]).to_string()
            }
            OwnedValue::Boolean(false) => random
                .pick(&["f", "F", "false", "False", "FALSE"])
                .to_string(),
        };
        text += &format!("{separator}{}={value}", escaped(key, &NAME));
    }
    if let Some(timestamp) = point.timestamp {
        text += &format!("{}{timestamp}", random.pick(&[" ", "   "]));
    }
    text + *random.pick(&["", "", " "])
}

fn to_point(line: &Line<'_>, fields: &[Field<'_>]) -> Point {
    let series = Series::parse(line).expect("the series was rendered well");
    let name = |name: Name<'_>| name.unescape().into_owned();
    Point {
        measurement: series.measurement.unescape().into_owned(),
        tags: series
            .tags
            .iter()
            .map(|(key, value)| (name(*key), name(*value)))
            .collect(),
        fields: fields
            .iter()
            .map(|field| {
                let value = match field.value {
                    Value::Float(value) => OwnedValue::Float(value),
                    Value::Integer(value) => OwnedValue::Integer(value),
                    Value::Unsigned(value) => OwnedValue::Unsigned(value),
                    Value::String(raw) => {
                        OwnedValue::String(Value::unescape_string(raw).into_owned())
                    }
                    Value::Boolean(value) => OwnedValue::Boolean(value),
                };
                (name(field.key), value)
            })
            .collect(),
        timestamp: line.timestamp,
    }
}

#[test]
fn what_was_rendered_is_read_back() {
    let mut random = Random(1);
    for _ in 0..2_000 {
        let points: Vec<Point> = (0..=random.below(6))
            .map(|_| random_point(&mut random))
            .collect();
        let mut body = String::new();
        for point in &points {
            body += *random.pick(&["", "", "  ", "\t", "\n", "# \"x=\"\n", "\r\n"]);
            body += &render(point, &mut random);
            body += *random.pick(&["\n", "\r\n"]);
        }
        if random.below(2) == 0 {
            body.truncate(body.trim_end_matches(['\r', '\n']).len());
        }
        let mut parser = Parser::new(&body);
        let mut fields = Vec::new();
        for (position, point) in points.iter().enumerate() {
            let line = parser
                .next_line(&mut fields)
                .expect("a line for each point")
                .unwrap_or_else(|rejected| panic!("{rejected:?} in {body:?}"));
            assert_eq!(line.number, position + 1, "{body:?}");
            assert_eq!(to_point(&line, &fields), *point, "{body:?}");
        }
        assert_eq!(parser.next_line(&mut fields), None, "{body:?}");
    }
}

/// Text that is nearly line protocol.
fn random_soup(random: &mut Random) -> String {
    const PIECES: [&str; 38] = [
        "w",
        ",",
        "=",
        " ",
        " ",
        "\"",
        "\\",
        "\n",
        "\n",
        "\r",
        "\r\n",
        "\t",
        "#",
        "1",
        "-",
        "i",
        "u",
        ".",
        "e",
        "t",
        "true",
        "é",
        "\0",
        " t=",
        " t=1i",
        " t=\"",
        ",u=",
        ",u=2",
        ",u=\"",
        "\" ",
        "\"\n",
        "\nw,a=b",
        "\nw t=1",
        " 10",
        " 10\n",
        ",a=b",
        "\\\n",
        "99999999999999999999",
    ];
    (0..random.below(24))
        .map(|_| *random.pick(&PIECES))
        .collect()
}

/// What the parser says of the first line of `text`.
type Outcome<'a> = (Result<Line<'a>, Rejected<'a>>, Vec<Field<'a>>);

fn first_line(text: &str) -> Option<Outcome<'_>> {
    let mut fields = Vec::new();
    let outcome = Parser::new(text).next_line(&mut fields)?;
    Some((outcome, fields))
}

/// Checks one body: lines come in order, nothing but blanks and comments is passed over, a line read alone or slowly
/// gives the same, and it ends where the rules for line ends say.
fn check_body(body: &str) -> usize {
    let mut parser = Parser::new(body);
    let mut fields = Vec::new();
    let mut covered = 0;
    let mut count = 0;
    let mut good = 0;
    while let Some(outcome) = parser.next_line(&mut fields) {
        count += 1;
        let (number, text) = match &outcome {
            Ok(line) => (line.number, line.text),
            Err(rejected) => (rejected.number, rejected.text),
        };
        assert_eq!(number, count);
        let start = text.as_ptr().addr() - body.as_ptr().addr();
        assert_eq!(
            first_line(&body[covered..start]),
            None,
            "passed over in {body:?}"
        );
        covered = start + text.len();

        let content = start + text.len() - text.trim_start_matches([' ', '\t']).len();
        let newline = lexer::logical_line_end(body.as_bytes(), content);
        let content_end = match body[content..newline].strip_suffix('\r') {
            Some(stripped) => content + stripped.len(),
            None => newline,
        };
        assert_eq!(covered, content_end, "ends of {text:?} in {body:?}");

        let mut slow_fields = Vec::new();
        let slow = Parser {
            text: body,
            position: start,
            number,
            keys: Keys::default(),
        }
        .reread_line(start, content, &mut slow_fields);
        // That parser has met no other lines.
        let slow = slow.map(|slow| match &outcome {
            Ok(line) => Line {
                keys: line.keys,
                ..slow
            },
            Err(_) => slow,
        });
        match &outcome {
            Ok(line) => {
                good += 1;
                match Series::parse(line) {
                    Ok(_) => assert_eq!((&slow, &slow_fields), (&outcome, &fields), "{body:?}"),
                    Err(error) => assert_eq!(
                        slow.map_err(|rejected| rejected.error),
                        Err(error),
                        "{body:?}"
                    ),
                }
                let (alone, alone_fields) = first_line(text).expect("the line is there");
                let alone = alone.map(|alone| (alone.text, alone.series, alone.timestamp));
                assert_eq!(
                    alone,
                    Ok((line.text, line.series, line.timestamp)),
                    "{body:?}"
                );
                assert_eq!(alone_fields, fields, "{body:?}");
            }
            Err(rejected) => {
                assert_eq!(slow, outcome, "{body:?}");
                // Read alone, a line that ends with a carriage return would lose it as its line ending.
                if !text.ends_with('\r') {
                    let (alone, _) = first_line(text).expect("the line is there");
                    let alone = alone.map_err(|alone| (alone.text, alone.error));
                    assert_eq!(
                        alone,
                        Err((rejected.text, rejected.error.clone())),
                        "{body:?}"
                    );
                }
            }
        }
    }
    assert_eq!(first_line(&body[covered..]), None, "left over in {body:?}");
    assert_eq!(parser.next_line(&mut fields), None, "the end stays the end");
    good
}

#[test]
fn every_byte_of_any_text_is_accounted_for() {
    let mut random = Random(2);
    let mut good = 0;
    for _ in 0..60_000 {
        good += check_body(&random_soup(&mut random));
    }
    assert!(good > 5_000, "only {good} good lines: the soup is too thin");
}

#[test]
fn damaged_lines_are_accounted_for() {
    let mut random = Random(3);
    for _ in 0..5_000 {
        let mut body = String::new();
        for _ in 0..3 {
            let point = random_point(&mut random);
            body += &render(&point, &mut random);
            body.push('\n');
        }
        for _ in 0..random.below(3) {
            let mut at = random.below(body.len());
            while !body.is_char_boundary(at) {
                at -= 1;
            }
            match random.below(3) {
                0 => body.truncate(at),
                1 => drop(body.remove(at)),
                _ => body.insert(
                    at,
                    *random.pick(&['"', '\\', '\n', '\r', ',', '=', ' ', '1']),
                ),
            }
            if body.is_empty() {
                break;
            }
        }
        check_body(&body);
    }
}

/// The field keys of each sound line of `body`, and what the parser says of them.
fn keys_of(body: &str) -> Vec<(u64, Vec<String>)> {
    let mut parser = Parser::new(body);
    let mut fields = Vec::new();
    let mut found = Vec::new();
    while let Some(outcome) = parser.next_line(&mut fields) {
        let keys = fields.iter().map(|field| field.key.raw.to_string());
        found.extend(outcome.ok().map(|line| (line.keys, keys.collect())));
    }
    found
}

#[test]
fn lines_that_are_said_to_have_the_same_keys_have_them() {
    let bodies = [
        "m a=1,bb=2\nm a=3,bb=4\nm a=5\nm a=6,bb=7\nm a=6,bb=7,c=8\nm a=1,bb=1,c=1",
        "m a=1\nm aa=1\nm a=1\nm b=1\nm =1\nm a=1",
        "m usage_guest_nice=1i,usage=2\nm usage_guest_mice=1i,usage=2\nm usage_guest_nice_=1i,usage=2",
        "m a\\ b=1,c=2\nm a\\ b=1,c=2\nm a=1,c=2\nm a,b=1,c=2\nm a=1,c=2",
        "m a=1,b=x\nm a=1,b=2\nm a=1,c=x\nm a=1,b=2",
        "m a=\"=\",b=1\nm a=\",b=\",b=1\nm a",
    ];
    for body in bodies {
        let lines = keys_of(body);
        for (at, (version, keys)) in lines.iter().enumerate() {
            for (earlier_version, earlier) in &lines[..at] {
                let both = keys.len().min(earlier.len());
                if version == earlier_version {
                    assert_eq!(keys[..both], earlier[..both], "{body:?}");
                }
            }
        }
    }
    let versions = |body| keys_of(body).into_iter().map(|(version, _)| version);
    let steady: Vec<u64> = versions("m a=1,bb=2\nm a=3,bb=4\nm a=5\nm a=6,bb=7").collect();
    assert!(
        steady.windows(2).all(|pair| pair[0] == pair[1]),
        "{steady:?}"
    );
}
