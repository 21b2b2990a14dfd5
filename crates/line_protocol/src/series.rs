//! The inside of a line's series: measurement and tags.
//!
//! Read only for a series not met before, and for lines that are about to be rejected.
//! Not here: which names a database refuses (`time`, reserved words), and order or identity of tags.

use crate::error::{Error, Fault};
use crate::lexer::{self, Stop};
use crate::line::{Line, Name, is_too_long, unescape};
use std::borrow::Cow;

/// A measurement as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement<'a> {
    /// With its escapes.
    pub raw: &'a str,
}

impl<'a> Measurement<'a> {
    /// Without its escapes; borrowed when there are none. Unlike in other names, `\=` stays as it is
    /// (spec/write-and-storage.md §3.3).
    pub fn unescape(self) -> Cow<'a, str> {
        unescape(self.raw, b", \\")
    }
}

/// The inside of a line's series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<'a> {
    pub measurement: Measurement<'a>,
    /// In the order written, no key twice.
    pub tags: Vec<(Name<'a>, Name<'a>)>,
}

impl<'a> Series<'a> {
    /// Parses measurement and tags of `line`. Rejects repeated tag keys.
    ///
    /// An error is one of spec/write-and-storage.md §3.6 and concerns the whole line.
    pub fn parse(line: &Line<'a>) -> Result<Self, Error> {
        // Messages quote what follows the series too, so read up to the line's end, not the series'.
        let content = line.text.trim_start_matches([' ', '\t']);
        debug_assert!(content.starts_with(line.series), "a line holds its series");
        read(content).map(|(series, _)| series)
    }
}

/// The series at the start of `content`, a line from its measurement on, and where it ends: at a space.
pub(crate) fn read(content: &str) -> Result<(Series<'_>, usize), Error> {
    let (series, end) = read_names(content).map_err(|fault| fault.explain(content))?;
    match first_repeated(&series.tags) {
        None => Ok((series, end)),
        Some(key) => Err(Error {
            message: format!(
                "invalid line protocol - multiple instances of '{}' tag found",
                key.unescape()
            ),
            at: 0,
        }),
    }
}

fn read_names(content: &str) -> Result<(Series<'_>, usize), Fault> {
    let bytes = content.as_bytes();
    let mut at = lexer::name_end(bytes, 0, Stop::MEASUREMENT);
    if at == 0 {
        return Err(Fault::NoMeasurement);
    }
    let measurement = Measurement {
        raw: sound(&content[..at], |raw| Measurement { raw }.unescape())?,
    };
    let mut tags = Vec::new();
    while bytes.get(at) == Some(&b',') {
        let key_start = at + 1;
        let key_end = lexer::name_end(bytes, key_start, Stop::TAG_KEY);
        if key_end == key_start {
            return Err(Fault::NoTagKey { at: key_start });
        }
        let key = tag_part(&content[key_start..key_end])?;
        if bytes.get(key_end) != Some(&b'=') {
            return Err(Fault::NoTagEquals { at: key_start });
        }
        let value_start = key_end + 1;
        at = lexer::name_end(bytes, value_start, Stop::TAG_VALUE);
        if at == value_start {
            return Err(Fault::NoTagValue { at });
        }
        tags.push((key, tag_part(&content[value_start..at])?));
    }
    match bytes.get(at) {
        Some(b' ') => Ok((Series { measurement, tags }, at)),
        _ => Err(Fault::NoSpace { at }),
    }
}

fn tag_part(raw: &str) -> Result<Name<'_>, Fault> {
    let raw = sound(raw, |raw| Name { raw }.unescape())?;
    Ok(Name { raw })
}

/// `raw`, if a name may look like that. An unescaped name ends with a backslash just when its raw text does.
fn sound<'a>(
    raw: &'a str,
    unescape: impl FnOnce(&'a str) -> Cow<'a, str>,
) -> Result<&'a str, Fault> {
    if raw.ends_with('\\') {
        Err(Fault::EndsWithBackslash)
    } else if is_too_long(raw, unescape) {
        Err(Fault::TooLong)
    } else {
        Ok(raw)
    }
}

/// Up to this many tags, comparing each with each is cheaper than sorting.
const PAIRWISE_MAX_TAGS: usize = 16;

/// The first key that stands a second time.
fn first_repeated<'a>(tags: &[(Name<'a>, Name<'a>)]) -> Option<Name<'a>> {
    // Equal raw text is equal text, and without escapes the reverse holds too.
    if tags.len() <= PAIRWISE_MAX_TAGS && !tags.iter().any(|(key, _)| key.raw.contains('\\')) {
        return (1..tags.len())
            .find(|&later| tags[..later].iter().any(|tag| tag.0 == tags[later].0))
            .map(|later| tags[later].0);
    }
    let mut keys: Vec<(Cow<'_, str>, usize)> = tags
        .iter()
        .enumerate()
        .map(|(position, (key, _))| (key.unescape(), position))
        .collect();
    keys.sort_unstable();
    keys.windows(2)
        .filter(|pair| pair[0].0 == pair[1].0)
        .map(|pair| pair[1].1)
        .min()
        .map(|position| tags[position].0)
}
