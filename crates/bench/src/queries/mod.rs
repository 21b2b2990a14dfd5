//! What is asked. A type of question is drawn with hosts and times, and the question is then put into any language.
//!
//! ```text
//! Kind + workload + random ─> Question ─> Statement in a language ─> (client) ─> Answer ─> read by the question's Shape
//! ```
//! A question means the same in every language, so that answers can be compared; a language that cannot say it refuses. Each drawing
//! has other hosts and another window of time, so that an answer kept from before is of no use. Not here: asking (`client`), reading
//! answers (`answer`).

mod cpu;
mod iot;
mod language;
mod window;

#[cfg(test)]
mod tests;

use crate::Error;
use crate::answer::Shape;
use crate::random::Random;
use crate::workload::WorkloadOptions;
pub(crate) use language::{Language, Statement};
use std::fmt;
use std::str::FromStr;

/// A type of question; written `single-groupby-1-8-1`, `lastpoint`, `long-driving-sessions` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Cpu(cpu::Kind),
    Iot(iot::Kind),
}

impl Kind {
    /// The sixteen of the cpu workload, in the order in which TSBS lists them.
    pub(crate) fn all_cpu() -> impl Iterator<Item = Self> {
        cpu::KINDS.iter().map(|(_, kind)| Self::Cpu(*kind))
    }

    /// The thirteen of the iot workload.
    pub(crate) fn all_iot() -> impl Iterator<Item = Self> {
        iot::KINDS.iter().map(|(_, kind)| Self::Iot(*kind))
    }

    pub(crate) fn name(self) -> &'static str {
        let cpu = cpu::KINDS
            .iter()
            .map(|(name, kind)| (*name, Self::Cpu(*kind)));
        let iot = iot::KINDS
            .iter()
            .map(|(name, kind)| (*name, Self::Iot(*kind)));
        cpu.chain(iot)
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| name)
    }

    /// What records call questions of this type. Those with windows on whole hours are others.
    pub(crate) fn named(self, aligned: bool) -> String {
        match aligned {
            true => format!("{self} aligned"),
            false => self.to_string(),
        }
    }

    /// The random numbers that questions of this type are drawn with; the same whichever other types are asked.
    pub(crate) fn random(self, seed: u64, use_: Use) -> Random {
        let stream = xxhash_rust::xxh3::xxh3_64(self.name().as_bytes());
        Random::new(seed, stream ^ use_ as u64)
    }

    /// A question with hosts and times among those of `workload`; with windows on whole hours if `aligned`.
    pub(crate) fn draw(
        self,
        workload: &WorkloadOptions,
        aligned: bool,
        random: &mut Random,
    ) -> Result<Question, Error> {
        let asked = match self {
            Self::Cpu(kind) => Asked::Cpu(cpu::Question::draw(kind, workload, aligned, random)?),
            Self::Iot(kind) => Asked::Iot(iot::Question::draw(kind, workload, aligned, random)?),
        };
        let (kind, aligned) = (self, aligned);
        Ok(Question {
            kind,
            aligned,
            asked,
        })
    }
}

/// What questions are drawn for. Those to warm up with are others than those that count.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Use {
    Count = 0,
    WarmUp = 1,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::all_cpu()
            .chain(Self::all_iot())
            .find(|kind| kind.name() == text)
            .ok_or_else(|| format!("there is no question {text:?}"))
    }
}

/// Types of questions as the command line names them: one, or all of a workload.
#[derive(Clone, Debug)]
pub(crate) struct Kinds(pub(crate) Vec<Kind>);

impl FromStr for Kinds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(match text {
            "all" => Kind::all_cpu().collect(),
            "all-iot" => Kind::all_iot().collect(),
            name => vec![name.parse()?],
        }))
    }
}

/// A question with everything drawn that is up to chance.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    kind: Kind,
    aligned: bool,
    asked: Asked,
}

#[derive(Clone, Debug)]
enum Asked {
    Cpu(cpu::Question),
    Iot(iot::Question),
}

impl Question {
    /// The question in `language`, or why that language has none.
    pub(crate) fn statement(&self, language: Language) -> Result<Statement, Error> {
        let said = match &self.asked {
            Asked::Cpu(question) => question.statement(language, self.aligned),
            Asked::Iot(question) => question.statement(language).map(Statement::Text),
        };
        said.map_err(|why| format!("{} cannot ask {}: {why}", language.title(), self.kind).into())
    }

    /// What an answer has to look like.
    pub(crate) fn shape(&self) -> Shape {
        match &self.asked {
            Asked::Cpu(question) => question.shape(),
            Asked::Iot(question) => question.shape(),
        }
    }

    /// The question in every language that has it, and what its answer looks like, for engines that are asked by other programs.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let shape = self.shape();
        let columns: Vec<_> = shape
            .columns
            .iter()
            .map(|column| serde_json::json!({ "name": column.name, "kind": column.kind.name() }))
            .collect();
        let mut object = serde_json::json!({
            "type": self.kind.name(),
            "question": self.kind.named(self.aligned),
            "columns": columns,
            "rows_min": shape.rows.start(),
            "rows_max": shape.rows.end(),
            "order": shape.order.name(),
        });
        for language in Language::ALL {
            if let Ok(statement) = self.statement(language) {
                object[language.name()] = statement.to_json();
            }
        }
        object
    }
}
