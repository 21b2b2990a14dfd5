//! What a measurement found, as one line of JSON that `report` and `compare` read back.
//!
//! Figures carry their unit in their name (`p50_ms`, `rows_per_s`). Not here: which figures a command finds, and how they are shown.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct RecordOptions {
    /// File to which a line of JSON with the figures is added
    #[arg(long)]
    record: Option<PathBuf>,

    /// What the figures are of, such as the server's name
    #[arg(long, default_value = "gnomon")]
    label: String,
}

impl RecordOptions {
    /// A record of `command`, which measured `name`, under the label that was asked for.
    pub(crate) fn start(&self, command: &str, name: &str) -> Record {
        Record {
            label: self.label.clone(),
            command: command.to_owned(),
            name: name.to_owned(),
            figures: BTreeMap::new(),
            texts: BTreeMap::new(),
            series: BTreeMap::new(),
        }
    }

    /// Adds the record to the file, if there is one.
    pub(crate) fn keep(&self, record: &Record) -> Result<(), Error> {
        match &self.record {
            Some(path) => record.append(path),
            None => Ok(()),
        }
    }
}

/// The figures of one measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Which server or engine was measured.
    pub(crate) label: String,
    /// The command that measured: `load`, `query` and so on.
    pub(crate) command: String,
    /// What was measured: a type of query, a use case.
    pub(crate) name: String,
    pub(crate) figures: BTreeMap<String, f64>,
    /// What is compared for being equal, such as a checksum; and remarks.
    #[serde(default)]
    pub(crate) texts: BTreeMap<String, String>,
    /// Points to plot, x and y.
    #[serde(default)]
    pub(crate) series: BTreeMap<String, Vec<[f64; 2]>>,
}

impl Record {
    pub(crate) fn figure(&mut self, name: &str, value: f64) -> &mut Self {
        self.figures.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn text(&mut self, name: &str, text: impl Into<String>) -> &mut Self {
        self.texts.insert(name.to_owned(), text.into());
        self
    }

    pub(crate) fn series(&mut self, name: &str, points: Vec<[f64; 2]>) -> &mut Self {
        self.series.insert(name.to_owned(), points);
        self
    }

    pub(crate) fn append(&self, path: &Path) -> Result<(), Error> {
        let named = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path)
            .map_err(named)?;
        let line = serde_json::to_string(self)? + "\n";
        file.write_all(line.as_bytes()).map_err(named)?;
        Ok(())
    }

    /// All records of a file, in its order.
    pub(crate) fn read(path: &Path) -> Result<Vec<Self>, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        text.lines()
            .zip(1..)
            .map(|(line, number)| {
                serde_json::from_str(line).map_err(|error| {
                    format!("{} line {number} is no record: {error}", path.display()).into()
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Record, RecordOptions};

    #[test]
    fn records_are_read_back_as_they_were_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("records.jsonl");
        let options = RecordOptions {
            record: Some(path.clone()),
            label: "some".to_owned(),
        };
        let mut record = options.start("query", "lastpoint");
        record
            .figure("p50_ms", 1.25)
            .text("checksum", "ff")
            .series("rows", vec![[0.0, 1.0]]);
        for _ in 0..2 {
            options.keep(&record).expect("the file can be written");
        }
        assert_eq!(
            Record::read(&path).expect("records"),
            [record.clone(), record]
        );

        std::fs::write(&path, "{}\n").expect("the file can be written");
        let told = Record::read(&path).unwrap_err().to_string();
        assert!(told.contains("records.jsonl line 1 is no record"), "{told}");
    }
}
