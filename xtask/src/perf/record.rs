//! Figures of benchmarks, and the file that keeps them: one figure a line, sorted by name, so that a change shows as that line.
//!
//! Not here: what is measured (`measured`), what is made of it (`table`).

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// By the name of the benchmark: crate, slash, what is timed.
pub(crate) type Figures = BTreeMap<String, Figure>;

/// What a benchmark found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Figure {
    NsPerRow(f64),
    /// Millions of bytes.
    MbPerS(f64),
}

impl Figure {
    fn of_key(key: &str, value: f64) -> Option<Self> {
        match key {
            "ns_per_row" => Some(Self::NsPerRow(value)),
            "mb_per_s" => Some(Self::MbPerS(value)),
            _ => None,
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::NsPerRow(_) => "ns_per_row",
            Self::MbPerS(_) => "mb_per_s",
        }
    }

    fn value(self) -> f64 {
        match self {
            Self::NsPerRow(value) | Self::MbPerS(value) => value,
        }
    }

    /// How many times as long this takes as `other`; `None` when they count different things.
    pub(crate) fn slower_than(self, other: Self) -> Option<f64> {
        match (self, other) {
            (Self::NsPerRow(now), Self::NsPerRow(before)) => Some(now / before),
            (Self::MbPerS(now), Self::MbPerS(before)) => Some(before / now),
            _ => None,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self {
            Self::NsPerRow(_) => "ns/row",
            Self::MbPerS(_) => "MB/s",
        };
        write!(formatter, "{} {unit}", digits(self.value()))
    }
}

/// A number as far as measuring it again would give the same: three digits or four.
fn digits(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The figures of one run, and where they come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) build: String,
    pub(crate) figures: Figures,
}

impl Record {
    /// What a file holds; `None` when there is no file.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(fault) => {
                return Err(fault).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let record = Self::parse(&text);
        record
            .map(Some)
            .with_context(|| format!("{} is no record of figures", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let whole: Value = serde_json::from_str(text)?;
        let word = |key: &str| {
            let found = whole[key].as_str().map(str::to_string);
            found.with_context(|| format!("it has no text {key}"))
        };
        let mut figures = Figures::new();
        let listed = whole["figures"].as_object();
        for (name, pair) in listed.context("it has no figures")? {
            let pair = pair.as_object().filter(|pair| pair.len() == 1);
            let figure = pair
                .and_then(|pair| pair.iter().next())
                .and_then(|(key, value)| {
                    Figure::of_key(key, value.as_f64().filter(|it| *it > 0.0)?)
                });
            let Some(figure) = figure else {
                bail!("the figure of {name} is no number above 0 of ns_per_row or mb_per_s");
            };
            figures.insert(name.clone(), figure);
        }
        Ok(Self {
            date: word("date")?,
            machine: word("machine")?,
            build: word("build")?,
            figures,
        })
    }

    /// The text of the file.
    pub(crate) fn to_json(&self) -> String {
        let line = |(name, figure): (&String, &Figure)| {
            let digits = digits(figure.value());
            format!("    {}: {{ \"{}\": {digits} }}", json!(name), figure.key())
        };
        let figures: Vec<String> = self.figures.iter().map(line).collect();
        format!(
            "{{\n  \"date\": {},\n  \"machine\": {},\n  \"build\": {},\n  \"figures\": {{\n{}\n  }}\n}}\n",
            json!(self.date),
            json!(self.machine),
            json!(self.build),
            figures.join(",\n")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            date: "2026-01-31".to_string(),
            machine: "A \"CPU\", 2 cores".to_string(),
            build: "release".to_string(),
            figures: Figures::from([
                ("storage/sort".to_string(), Figure::NsPerRow(41.26)),
                ("server/encode_csv".to_string(), Figure::MbPerS(812.4)),
                ("storage/series".to_string(), Figure::NsPerRow(3.456)),
            ]),
        }
    }

    #[test]
    fn records_are_sorted_and_read_back() {
        let text = record().to_json();
        let expected = r#"{
  "date": "2026-01-31",
  "machine": "A \"CPU\", 2 cores",
  "build": "release",
  "figures": {
    "server/encode_csv": { "mb_per_s": 812 },
    "storage/series": { "ns_per_row": 3.46 },
    "storage/sort": { "ns_per_row": 41.3 }
  }
}
"#;
        assert_eq!(text, expected);
        let read = Record::parse(&text).expect("a record");
        assert_eq!(read.to_json(), text);
        assert_eq!(read.figures["storage/sort"], Figure::NsPerRow(41.3));
    }

    #[test]
    fn what_is_no_record_is_told() {
        let text = record().to_json();
        for (from, to, named) in [
            ("ns_per_row", "s_per_row", "storage/series"),
            ("3.46", "\"fast\"", "storage/series"),
            ("41.3", "0", "storage/sort"),
            ("\"machine\"", "\"cpu\"", "machine"),
            ("\"figures\"", "\"numbers\"", "figures"),
        ] {
            let damaged = text.replacen(from, to, 1);
            let told = Record::parse(&damaged).expect_err("is refused").to_string();
            assert!(told.contains(named), "{told}");
        }
    }

    #[test]
    fn slower_is_slower_in_either_unit() {
        let time = |now, before| Figure::NsPerRow(now).slower_than(Figure::NsPerRow(before));
        let rate = |now, before| Figure::MbPerS(now).slower_than(Figure::MbPerS(before));
        assert_eq!(time(30.0, 20.0), Some(1.5));
        assert_eq!(rate(20.0, 30.0), Some(1.5));
        assert_eq!(Figure::NsPerRow(1.0).slower_than(Figure::MbPerS(1.0)), None);
    }
}
