//! Random points, deletes and questions, and the points as line protocol.
//!
//! Times lie where they hurt: close together, so that points meet; days apart, so that they fall into windows of their own; at
//! the ends of what 64 bits hold.

use std::fmt::Write as _;

use runtime::sim::Dice;

use crate::model::{Delete, Fields, Model, Point, Question, TableName, Tags};
use crate::profile::Profile;

const MINUTE_NS: i64 = 60_000_000_000;
const DAY_NS: i64 = 86_400_000_000_000;

const TEXTS: [&str; 6] = [
    "",
    "a",
    "say \"hi\"",
    "back\\slash",
    "ü,= x",
    "long text without end",
];

const TAG_VALUES: [&str; 4] = ["a", "b", "c d", "ä,="];

/// Draws what a seed's requests are made of.
#[derive(Debug)]
pub(crate) struct Drawer<'a> {
    pub(crate) dice: &'a mut Dice,
    pub(crate) profile: &'a Profile,
    /// Around which most times lie, nanoseconds.
    pub(crate) now_ns: i64,
}

impl Drawer<'_> {
    pub(crate) fn database(&mut self) -> String {
        format!("db{}", self.dice.below(self.profile.databases))
    }

    pub(crate) fn table(&mut self) -> TableName {
        let database = self.database();
        self.table_of(&database)
    }

    fn table_of(&mut self, database: &str) -> TableName {
        TableName {
            database: database.to_string(),
            table: format!("table{}", self.dice.below(self.profile.tables)),
        }
    }

    /// The points of one request, all in one database. Many meet a row that the model has already.
    pub(crate) fn points(&mut self, model: &Model, step: u64) -> Vec<Point> {
        let database = self.database();
        let one = self.table_of(&database);
        (0..1 + self.dice.below(self.profile.points_max))
            .map(|_| {
                let table = match self.dice.one_in(4) {
                    true => self.table_of(&database),
                    false => one.clone(),
                };
                self.point(model, table, step)
            })
            .collect()
    }

    fn point(&mut self, model: &Model, table: TableName, step: u64) -> Point {
        let (mut tags, mut time) = (self.tags(), self.time());
        if self.dice.one_in(3) {
            let known = model.keys(&table);
            if !known.is_empty() {
                (tags, time) = self.dice.pick(&known).clone();
            }
        }
        // The later, the more fields there are.
        let fields_now = (1 + step / 6).min(self.profile.fields);
        let always = self.dice.below(fields_now);
        let mut fields = Fields::new();
        for field in 0..fields_now {
            if field == always || self.dice.one_in(3) {
                fields.insert(format!("f{field}"), self.value(field));
            }
        }
        Point {
            table,
            tags,
            fields,
            time,
        }
    }

    fn tags(&mut self) -> Tags {
        let mut tags = Tags::new();
        for tag in 0..self.profile.tags {
            if !self.dice.one_in(3) {
                let value = TAG_VALUES[self.dice.below(self.profile.tag_values) as usize];
                tags.insert(format!("tag {tag}"), value.to_string());
            }
        }
        tags
    }

    pub(crate) fn time(&mut self) -> i64 {
        let small = self.dice.below(30) as i64;
        match self.dice.below(16) {
            0 => i64::MIN + small % 2,
            1 => i64::MAX - small % 2,
            2 => small - 15,
            3 => self.now_ns + (small - 15) * DAY_NS,
            4 => (small - 15) * 365 * DAY_NS / 4,
            5 => self.now_ns - small % 3 * DAY_NS + self.dice.below(5) as i64,
            _ => self.now_ns - small * MINUTE_NS,
        }
    }

    fn value(&mut self, field: u64) -> String {
        let number = self.dice.below(1000) as i64 - 500;
        match field % 5 {
            0 => match self.dice.below(12) {
                0 => format!("{}i", i64::MIN),
                1 => format!("{}i", i64::MAX),
                _ => format!("{number}i"),
            },
            1 => match self.dice.below(10) {
                0 => 1e300_f64.to_string(),
                _ => (number as f64 / 8.0).to_string(),
            },
            2 => {
                let text: &&str = self.dice.pick(&TEXTS);
                quoted(text)
            }
            3 => (number % 2 == 0).to_string(),
            _ => match self.dice.below(10) {
                0 => format!("{}u", u64::MAX),
                _ => format!("{}u", number.unsigned_abs()),
            },
        }
    }

    pub(crate) fn delete(&mut self) -> Delete {
        let table = self.table();
        let question = self.question();
        let field =
            (self.dice.one_in(3)).then(|| ("f0".to_string(), self.dice.below(1000) as i64 - 500));
        Delete {
            table,
            times: question.times,
            tag: question.tag,
            field,
        }
    }

    pub(crate) fn question(&mut self) -> Question {
        let mut question = Question::all(i64::MIN, 1 + self.dice.below(4) as usize);
        if !self.dice.one_in(3) {
            let (a, b) = (self.time(), self.time());
            question.times = a.min(b)..=a.max(b);
        }
        if self.dice.one_in(2) {
            let value = *self.dice.pick(&["a", "b", "c d", "nobody"]);
            question.tag = Some((format!("tag {}", self.dice.below(4)), value.to_string()));
        }
        for field in 0..self.profile.fields {
            if self.dice.one_in(5) {
                question.without.insert(format!("f{field}"));
            }
        }
        question.rotation = self.dice.below(8) as usize;
        question
    }
}

/// The points as line protocol, nanoseconds.
pub(crate) fn lines(points: &[Point]) -> String {
    let escape = |name: &str| {
        name.replace(',', "\\,")
            .replace('=', "\\=")
            .replace(' ', "\\ ")
    };
    let mut text = String::new();
    for point in points {
        text.push_str(&point.table.table);
        for (key, value) in &point.tags {
            text.push_str(&format!(",{}={}", escape(key), escape(value)));
        }
        let mut separator = ' ';
        for (key, value) in &point.fields {
            text.push(separator);
            text.push_str(&format!("{}={value}", escape(key)));
            separator = ',';
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, " {}", point.time);
    }
    text
}

/// A string value in line protocol.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
