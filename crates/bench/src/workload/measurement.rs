//! What a measurement consists of, as a table, and how its table becomes lines: each number's walk, and how it is shown.
//!
//! Every number is a state that moves by one step each epoch, or is derived from such states. A row shows the states as they are and
//! then moves them, so the first row shows where the walks start. Which measurements there are: `cpu`, `devops`, `iot`, `churn`.

use super::number;
use crate::random::{Normal, Random};
use std::borrow::Cow;

/// How far a walk goes in one epoch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Normal { mean: f64, deviation: f64 },
    Uniform { low: f64, high: f64 },
}

impl Step {
    #[inline]
    fn draw(self, normal: &Normal, random: &mut Random) -> f64 {
        match self {
            Self::Normal { mean, deviation } => mean + deviation * normal.draw(random),
            Self::Uniform { low, high } => between(low, high, random),
        }
    }
}

fn between(low: f64, high: f64, random: &mut Random) -> f64 {
    low + random.unit() * (high - low)
}

/// How a state moves.
#[derive(Clone, Copy, Debug)]
pub(super) enum Walk {
    /// Up and down, between two limits.
    Clamped { step: Step, min: f64, max: f64 },
    /// Up and down, without limits.
    Free { step: Step },
    /// Never down.
    Rising { step: Step },
    /// Down to the lower limit, and from there at once to the upper one.
    Refilled { step: Step, min: f64, max: f64 },
    /// Stays, but with a chance is drawn anew.
    Redrawn { chance: f64, low: f64, high: f64 },
    /// Stays.
    Constant,
}

impl Walk {
    #[inline]
    fn next(self, state: f64, normal: &Normal, random: &mut Random) -> f64 {
        match self {
            Self::Clamped { step, min, max } => (state + step.draw(normal, random)).clamp(min, max),
            Self::Free { step } => state + step.draw(normal, random),
            Self::Rising { step } => state + step.draw(normal, random).abs(),
            Self::Refilled { step, min, max } => {
                let next = (state + step.draw(normal, random)).clamp(min, max);
                if next == min { max } else { next }
            }
            Self::Redrawn { chance, low, high } => {
                if random.unit() < chance {
                    between(low, high, random)
                } else {
                    state
                }
            }
            Self::Constant => state,
        }
    }
}

/// Where a walk starts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    At(f64),
    Between(f64, f64),
    OneOf(&'static [f64]),
}

impl Start {
    fn draw(self, random: &mut Random) -> f64 {
        match self {
            Self::At(start) => start,
            Self::Between(low, high) => between(low, high, random),
            Self::OneOf(choices) => *random.pick(choices),
        }
    }
}

/// How a number is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown {
    /// As an integer, truncated toward zero.
    Whole,
    /// As a float, rounded down to so many decimal places.
    Decimal(u8),
    /// As a float with all its digits.
    Exact,
    /// Not at all: others are derived from it.
    Not,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    State(Walk, Start),
    /// From the states of the measurement, in the order of its table.
    Derived(fn(&[f64]) -> f64),
    ElapsedSeconds,
}

/// One line of a measurement's table.
#[derive(Clone, Debug)]
pub(super) struct Field {
    name: Cow<'static, str>,
    value: Value,
    shown: Shown,
}

impl Field {
    pub(super) fn state(name: impl Into<Cow<'static, str>>, walk: Walk, start: Start) -> Self {
        Self::new(name, Value::State(walk, start))
    }

    pub(super) fn hidden(walk: Walk, start: Start) -> Self {
        Self::state("", walk, start).shown(Shown::Not)
    }

    /// Up and down between the limits by steps of deviation 1.
    pub(super) fn clamped(
        name: impl Into<Cow<'static, str>>,
        mean: f64,
        (min, max): (f64, f64),
        start: Start,
    ) -> Self {
        let step = Step::normal(mean);
        Self::state(name, Walk::Clamped { step, min, max }, start)
    }

    /// From zero, never down, by steps of deviation 1.
    pub(super) fn rising(name: &'static str, mean: f64) -> Self {
        let step = Step::normal(mean);
        Self::state(name, Walk::Rising { step }, Start::At(0.0))
    }

    pub(super) fn derived(name: &'static str, from_states: fn(&[f64]) -> f64) -> Self {
        Self::new(name, Value::Derived(from_states))
    }

    pub(super) fn elapsed_seconds(name: &'static str) -> Self {
        Self::new(name, Value::ElapsedSeconds)
    }

    /// Unless told otherwise, numbers are shown as integers.
    pub(super) fn shown(self, shown: Shown) -> Self {
        Self { shown, ..self }
    }

    fn new(name: impl Into<Cow<'static, str>>, value: Value) -> Self {
        Self {
            name: name.into(),
            value,
            shown: Shown::Whole,
        }
    }
}

impl Step {
    pub(super) fn normal(mean: f64) -> Self {
        Self::Normal {
            mean,
            deviation: 1.0,
        }
    }
}

/// A measurement's table.
#[derive(Debug)]
pub(super) struct Measurement {
    pub(super) name: &'static str,
    /// Tags beside those of the host, as in a line: `,path=/dev/sda3`.
    pub(super) tags: fn(&mut Random) -> String,
    pub(super) fields: Vec<Field>,
}

impl Measurement {
    /// For those that have the tags of the host alone.
    pub(super) fn no_tags(_: &mut Random) -> String {
        String::new()
    }
}

const LABEL_BYTES: usize = 32;

/// What is shown of a measurement: a column of its rows.
#[derive(Clone, Debug)]
struct Column {
    /// `name=`, padded, and its length without the padding.
    label: [u8; LABEL_BYTES],
    label_bytes: u8,
    source: Source,
    shown: Shown,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    State(usize),
    Derived(fn(&[f64]) -> f64),
    ElapsedSeconds,
}

/// A table made ready to write rows.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    columns: Vec<Column>,
    states: Vec<(Walk, Start)>,
}

impl Columns {
    pub(super) fn new(fields: &[Field]) -> Self {
        let mut columns = Vec::new();
        let mut states = Vec::new();
        for field in fields {
            let source = match field.value {
                Value::State(walk, start) => {
                    states.push((walk, start));
                    Source::State(states.len() - 1)
                }
                Value::Derived(from_states) => Source::Derived(from_states),
                Value::ElapsedSeconds => Source::ElapsedSeconds,
            };
            if matches!(field.shown, Shown::Not) {
                continue;
            }
            let label_bytes = field.name.len() + 1;
            assert!(label_bytes <= LABEL_BYTES, "too long: {}", field.name);
            let mut label = [b'='; LABEL_BYTES];
            label[..field.name.len()].copy_from_slice(field.name.as_bytes());
            columns.push(Column {
                label,
                label_bytes: label_bytes as u8,
                source,
                shown: field.shown,
            });
        }
        Self { columns, states }
    }

    /// How many fields a row has.
    pub(super) fn count(&self) -> usize {
        self.columns.len()
    }

    /// How many states a host keeps.
    pub(super) fn states(&self) -> usize {
        self.states.len()
    }

    pub(super) fn start(&self, random: &mut Random) -> impl Iterator<Item = f64> {
        self.states.iter().map(|(_, start)| start.draw(random))
    }

    /// Writes the first `count` fields but the one at `without`, each with a comma after it.
    #[inline]
    pub(super) fn write(
        &self,
        states: &[f64],
        count: usize,
        without: Option<usize>,
        elapsed_s: i64,
        out: &mut Vec<u8>,
    ) {
        for (index, column) in self.columns.iter().take(count).enumerate() {
            if without == Some(index) {
                continue;
            }
            number::padded(&column.label, column.label_bytes, out);
            let value = match column.source {
                Source::State(at) => states[at],
                Source::Derived(from_states) => from_states(states),
                Source::ElapsedSeconds => elapsed_s as f64,
            };
            match column.shown {
                Shown::Whole => number::whole(value as i64, out),
                Shown::Decimal(places) => number::decimal(value, places, out),
                Shown::Exact => number::exact(value, out),
                Shown::Not => unreachable!("such fields have no column"),
            }
        }
    }

    /// One step of each walk.
    #[inline]
    pub(super) fn advance(&self, states: &mut [f64], normal: &Normal, random: &mut Random) {
        for (state, (walk, _)) in states.iter_mut().zip(&self.states) {
            *state = walk.next(*state, normal, random);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Columns, Field, Start, Step, Walk};
    use crate::random::{Normal, Random};

    /// The states of one walk after each of so many steps.
    fn walked(walk: Walk, start: f64, steps: usize) -> Vec<f64> {
        let columns = Columns::new(&[Field::state("x", walk, Start::At(start))]);
        let (normal, mut random) = (Normal::new(), Random::new(1, 1));
        let mut states = [start];
        (0..steps)
            .map(|_| {
                columns.advance(&mut states, &normal, &mut random);
                states[0]
            })
            .collect()
    }

    fn changes(states: &[f64]) -> Vec<f64> {
        states.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[test]
    fn clamped_walks_reach_their_limits_and_stay_within() {
        let step = Step::normal(0.0);
        let (min, max) = (-3.0, 3.0);
        let states = walked(Walk::Clamped { step, min, max }, 0.0, 10_000);
        assert!(states.iter().all(|state| (min..=max).contains(state)));
        assert!(states.contains(&min) && states.contains(&max));
    }

    #[test]
    fn rising_walks_never_fall() {
        let states = walked(
            Walk::Rising {
                step: Step::normal(0.5),
            },
            0.0,
            10_000,
        );
        assert!(changes(&states).iter().all(|change| *change >= 0.0));
    }

    #[test]
    fn free_walks_drift_by_the_mean_of_their_steps() {
        let states = walked(
            Walk::Free {
                step: Step::normal(1.0),
            },
            0.0,
            10_000,
        );
        assert!((9_600.0..10_400.0).contains(&states[9_999]));
        assert!(changes(&states).iter().any(|change| *change < 0.0));
    }

    #[test]
    fn refilled_walks_fall_and_start_again_at_the_top() {
        let step = Step::Uniform {
            low: -0.1,
            high: 0.0,
        };
        let (min, max) = (0.0, 1.0);
        let states = walked(Walk::Refilled { step, min, max }, 1.0, 1_000);
        let refills = changes(&states)
            .iter()
            .filter(|change| **change > 0.0)
            .count();
        assert!((35..60).contains(&refills), "{refills}");
        assert!(states.iter().all(|state| *state > min && *state <= max));
    }

    #[test]
    fn redrawn_values_change_with_their_chance() {
        let walk = Walk::Redrawn {
            chance: 0.05,
            low: 0.0,
            high: 5_000.0,
        };
        let states = walked(walk, 1.0, 10_000);
        let redrawn = changes(&states)
            .iter()
            .filter(|change| **change != 0.0)
            .count();
        assert!((400..600).contains(&redrawn), "{redrawn}");
        assert!(states.iter().all(|state| (0.0..5_000.0).contains(state)));
    }

    #[test]
    fn constants_stay_where_they_were_drawn() {
        assert!(
            walked(Walk::Constant, 7.0, 10)
                .iter()
                .all(|state| *state == 7.0)
        );
    }
}
