//! The `cpu` measurement of TSBS: ten usages in percent, each a random walk between 0 and 100.
//!
//! Rows come epoch by epoch, and within an epoch host by host; the first epoch shows where each walk starts. What a
//! host does depends on the seed and its number alone, so the work can be split among tasks by hosts.

use super::{Written, hosts};
use crate::random::{Normal, Random};
use std::ops::Range;

/// In the order of the line.
pub(crate) const FIELDS: [&str; 10] = [
    "usage_user",
    "usage_system",
    "usage_idle",
    "usage_nice",
    "usage_iowait",
    "usage_irq",
    "usage_softirq",
    "usage_steal",
    "usage_guest",
    "usage_guest_nice",
];

const USAGE_MAX: f64 = 100.0;

/// Which moments and hosts there are rows for.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) hosts: Range<usize>,
    pub(crate) start_ns: i64,
    pub(crate) interval_ns: i64,
    pub(crate) epochs: usize,
    pub(crate) seed: u64,
}

impl Plan {
    pub(crate) fn lines(&self) -> Rows {
        Rows::new(self)
    }

    pub(crate) fn rows(&self) -> usize {
        self.hosts.len() * self.epochs
    }

    /// The same for a part of the hosts each, as many parts as asked for or as there are hosts.
    pub(crate) fn split(&self, parts: usize) -> Vec<Self> {
        let parts = parts.clamp(1, self.hosts.len().max(1));
        let bound = |part: usize| self.hosts.start + self.hosts.len() * part / parts;
        (0..parts)
            .map(|part| Self {
                hosts: bound(part)..bound(part + 1),
                ..self.clone()
            })
            .collect()
    }
}

/// Writes the rows of a plan, one after the other.
#[derive(Debug)]
pub(crate) struct Rows {
    hosts: Vec<Host>,
    normal: Normal,
    /// What a line has before each value, and after the last one but for the timestamp.
    separators: [String; FIELDS.len() - 1],
    /// A value with its suffix, for every value there is.
    values: Vec<String>,
    /// The end of each line of the current epoch: timestamp and newline.
    line_end: String,
    timestamp_ns: i64,
    interval_ns: i64,
    epochs_left: usize,
    /// Within the current epoch.
    next_host: usize,
}

#[derive(Debug)]
struct Host {
    /// The line up to the first value.
    head: Box<str>,
    usages: [f64; FIELDS.len()],
    random: Random,
}

impl Rows {
    pub(crate) fn new(plan: &Plan) -> Self {
        let hosts = plan.hosts.clone().map(|number| {
            let mut random = Random::new(plan.seed, number as u64);
            let tags = hosts::tags(number, &mut random);
            Host {
                head: format!("cpu{tags} {}=", FIELDS[0]).into(),
                usages: std::array::from_fn(|_| random.unit() * USAGE_MAX),
                random,
            }
        });
        Self {
            hosts: hosts.collect(),
            normal: Normal::new(),
            separators: std::array::from_fn(|before| format!(",{}=", FIELDS[before + 1])),
            values: (0..=USAGE_MAX as usize)
                .map(|value| format!("{value}i"))
                .collect(),
            line_end: line_end(plan.start_ns),
            timestamp_ns: plan.start_ns,
            interval_ns: plan.interval_ns,
            epochs_left: plan.epochs,
            next_host: 0,
        }
    }

    /// Appends up to `rows_max` rows to `out` and tells how many; 0 at the end.
    pub(crate) fn write(&mut self, rows_max: usize, out: &mut Vec<u8>) -> Written {
        let mut rows = 0;
        while rows < rows_max && self.epochs_left > 0 {
            let Some(host) = self.hosts.get_mut(self.next_host) else {
                self.next_epoch();
                continue;
            };
            out.extend_from_slice(host.head.as_bytes());
            for (field, usage) in host.usages.iter_mut().enumerate() {
                if field > 0 {
                    out.extend_from_slice(self.separators[field - 1].as_bytes());
                }
                out.extend_from_slice(self.values[*usage as usize].as_bytes());
                *usage = (*usage + self.normal.draw(&mut host.random)).clamp(0.0, USAGE_MAX);
            }
            out.extend_from_slice(self.line_end.as_bytes());
            self.next_host += 1;
            rows += 1;
        }
        Written {
            rows,
            values: rows * FIELDS.len(),
        }
    }

    fn next_epoch(&mut self) {
        self.epochs_left -= 1;
        self.next_host = 0;
        self.timestamp_ns += self.interval_ns;
        self.line_end = line_end(self.timestamp_ns);
    }
}

fn line_end(timestamp_ns: i64) -> String {
    format!(" {timestamp_ns}\n")
}

#[cfg(test)]
mod tests {
    use super::{FIELDS, Plan, Rows};
    use line_protocol::{Parser, Series, Value};
    use std::collections::HashSet;

    fn plan(hosts: usize, epochs: usize) -> Plan {
        Plan {
            hosts: 0..hosts,
            start_ns: 1_451_606_400_000_000_000,
            interval_ns: 10_000_000_000,
            epochs,
            seed: 123,
        }
    }

    fn text(plan: &Plan, rows_per_call: usize) -> String {
        let mut rows = Rows::new(plan);
        let mut out = Vec::new();
        while rows.write(rows_per_call, &mut out).rows > 0 {}
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_host_has_one_row_each_epoch() {
        let plan = plan(7, 5);
        let text = text(&plan, usize::MAX);
        let mut parser = Parser::new(&text);
        let mut fields = Vec::new();
        for row in 0..plan.rows() {
            let line = parser.next_line(&mut fields).unwrap().unwrap();
            let epoch = (row / 7) as i64;
            assert_eq!(
                line.timestamp,
                Some(plan.start_ns + epoch * plan.interval_ns)
            );
            let series = Series::parse(&line).unwrap();
            assert_eq!(series.measurement.raw, "cpu");
            assert_eq!(series.tags.len(), 10);
            assert_eq!(series.tags[0].1.raw, format!("host_{}", row % 7));
            let keys: Vec<&str> = fields.iter().map(|field| field.key.raw).collect();
            assert_eq!(keys, FIELDS);
            for field in &fields {
                assert!(matches!(field.value, Value::Integer(0..=100)), "{field:?}");
            }
        }
        assert!(parser.next_line(&mut fields).is_none());
    }

    #[test]
    fn rows_do_not_depend_on_how_they_are_asked_for() {
        let plan = plan(5, 4);
        assert_eq!(text(&plan, usize::MAX), text(&plan, 3));
        let other_seed = Plan {
            seed: 124,
            ..plan.clone()
        };
        assert_ne!(text(&plan, 3), text(&other_seed, 3));

        let whole = text(&plan, 3);
        let parts: Vec<String> = plan.split(3).iter().map(|part| text(part, 3)).collect();
        let lines: HashSet<&str> = whole.lines().collect();
        let lines_of_parts: HashSet<&str> = parts.iter().flat_map(|part| part.lines()).collect();
        assert_eq!(lines.len(), plan.rows());
        assert_eq!(lines, lines_of_parts);
        assert_eq!(plan.split(9).len(), 5);
    }

    /// What was measured of the original's files: a mean line of 346 bytes, and 8.5 to 10.8 % of `usage_user` above 90.
    #[test]
    fn lines_look_like_the_original() {
        let text = text(&plan(400, 300), usize::MAX);
        let lines = text.lines().count();
        let mean_line_bytes = text.len() / lines;
        assert!((340..=350).contains(&mean_line_bytes), "{mean_line_bytes}");
        let high = text
            .lines()
            .filter_map(|line| {
                line.split_once("usage_user=")?
                    .1
                    .split_once('i')?
                    .0
                    .parse()
                    .ok()
            })
            .filter(|usage: &u32| *usage > 90)
            .count();
        let share = high as f64 / lines as f64;
        assert!((0.07..0.13).contains(&share), "{share}");
    }
}
