//! One line and its parts.

use crate::{Error, Rejected};
use std::borrow::Cow;

/// A cursor over the lines of a request body.
#[derive(Debug)]
pub struct Parser<'a> {
    _text: &'a str,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { _text: text }
    }

    /// The next line, its fields put into `fields` (cleared first), or what was wrong with it; `None` at the end.
    ///
    /// A line is returned only when all of it but the inside of its series is sound.
    pub fn next_line(
        &mut self,
        fields: &mut Vec<Field<'a>>,
    ) -> Option<Result<Line<'a>, Rejected<'a>>> {
        let _ = fields;
        unimplemented!()
    }
}

/// A line whose fields and timestamp are sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line<'a> {
    /// 1-based, counting logical lines: blank lines and comments are not counted.
    pub number: usize,
    /// The physical text of the line, whole.
    pub text: &'a str,
    /// Measurement and tags as written, escapes and all: the bytes up to the first unescaped space.
    pub series: &'a str,
    /// As written, in the request's precision.
    pub timestamp: Option<i64>,
}

/// The inside of a line's series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<'a> {
    pub measurement: Name<'a>,
    /// In the order written.
    pub tags: Vec<(Name<'a>, Name<'a>)>,
}

impl<'a> Series<'a> {
    /// Parses measurement and tags of `line`. Rejects repeated tag keys.
    pub fn parse(line: &Line<'a>) -> Result<Self, Error> {
        let _ = line;
        unimplemented!()
    }
}

/// A measurement, tag key, tag value or field key as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// With its escapes.
    pub raw: &'a str,
}

impl<'a> Name<'a> {
    /// Without its escapes; borrowed when there are none.
    pub fn unescape(self) -> Cow<'a, str> {
        unimplemented!()
    }
}

/// A field and its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    pub key: Name<'a>,
    pub value: Value<'a>,
}

/// A field value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    /// Without its quotes, with its escapes; see [`Value::unescape_string`].
    String(&'a str),
    Boolean(bool),
}

impl<'a> Value<'a> {
    /// A string value's text without escapes; borrowed when there are none.
    pub fn unescape_string(raw: &'a str) -> Cow<'a, str> {
        let _ = raw;
        unimplemented!()
    }
}
