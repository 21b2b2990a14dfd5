//! Machines that come and go, and send few fields or many: what TSBS calls `devops-generic`.
//!
//! Half of the machines are there from the start, the others appear evenly over the time of the plan. By chance a machine stays for
//! ever, or for a number of epochs that is mostly small; how many fields it sends is mostly small too. Only machine 0 is sure to
//! stay, and to send the most fields.

use super::hosts;
use super::measurement::{Columns, Field, Start};
use super::plan::Plan;
use super::rows::Moment;
use crate::random::{Normal, Random, Zipf};
use std::ops::Range;
use std::sync::Arc;

const MEASUREMENT: &str = "generic_metrics";
const VALUE_MAX: f64 = 1_000.0;
const STAYS_CHANCE: f64 = 0.5;

#[derive(Clone, Debug)]
pub(super) struct Visitors {
    /// Of a machine with the most fields.
    columns: Columns,
    machines: Vec<Machine>,
    normal: Box<Normal>,
}

#[derive(Clone, Debug)]
struct Machine {
    /// The line up to its first field.
    head: Arc<[u8]>,
    life: Range<usize>,
    states: Box<[f64]>,
    random: Random,
}

impl Visitors {
    pub(super) fn new(plan: &Plan) -> Self {
        let (min, max) = (0.0, VALUE_MAX);
        let fields: Vec<Field> = (0..plan.fields_max)
            .map(|number| {
                let name = format!("metric_{number}");
                Field::clamped(name, 0.0, (min, max), Start::Between(min, max))
            })
            .collect();
        let columns = Columns::new(&fields);
        let lives = Lives::new(plan);
        let counts = Zipf::new(plan.fields_max.saturating_sub(1));
        let machine = |number| {
            let mut random = Random::new(plan.seed, number as u64);
            let life = lives.draw(number, &mut random);
            let tags = hosts::tags(number, &mut random);
            let count = match number {
                0 => plan.fields_max,
                _ => counts.draw(&mut random) + 1,
            };
            Machine {
                head: format!("{MEASUREMENT}{tags} ").into_bytes().into(),
                life,
                states: columns.start(&mut random).take(count).collect(),
                random,
            }
        };
        Self {
            machines: plan.hosts.clone().map(machine).collect(),
            columns,
            normal: Box::new(Normal::new()),
        }
    }

    /// Writes the row of a machine if it is there, and tells how many fields the row has.
    pub(super) fn write(&mut self, host: usize, moment: &Moment, out: &mut Vec<u8>) -> usize {
        let machine = &mut self.machines[host];
        if !machine.life.contains(&moment.epoch) {
            return 0;
        }
        let count = machine.states.len();
        out.extend_from_slice(&machine.head);
        self.columns
            .write(&machine.states, count, None, moment.elapsed_s, out);
        moment.end_line(out);
        self.columns
            .advance(&mut machine.states, &self.normal, &mut machine.random);
        count
    }
}

/// How many rows the machines of a plan send while they are there.
pub(super) fn rows(plan: &Plan) -> usize {
    let lives = Lives::new(plan);
    plan.hosts
        .clone()
        .map(|number| {
            let mut random = Random::new(plan.seed, number as u64);
            lives.draw(number, &mut random).len()
        })
        .sum()
}

/// When machines come and go, in epochs.
struct Lives {
    epochs: usize,
    hosts_total: usize,
    lengths: Zipf,
}

impl Lives {
    fn new(plan: &Plan) -> Self {
        Self {
            epochs: plan.epochs,
            hosts_total: plan.hosts_total,
            lengths: Zipf::new(plan.epochs.saturating_sub(1)),
        }
    }

    /// The first draws of a machine's stream.
    fn draw(&self, number: usize, random: &mut Random) -> Range<usize> {
        let stays = random.unit() < STAYS_CHANCE;
        let length = self.lengths.draw(random) + 1;
        let at_first = self.hosts_total.div_ceil(2);
        let start = match number.checked_sub(at_first) {
            None => 0,
            Some(later) => 1 + (self.epochs - 1) * later / (self.hosts_total - at_first),
        };
        let end = match stays || number == 0 {
            true => self.epochs,
            false => self.epochs.min(start + length),
        };
        start..end
    }
}
