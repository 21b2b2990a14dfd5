//! Machines as `cpu-only` and `devops` watch them: every machine sends every measurement each epoch.
//!
//! Machines of the same number and seed send the same `cpu` rows in both.

use super::hosts;
use super::measurement::{Columns, Measurement};
use super::plan::Plan;
use super::rows::Moment;
use crate::random::{Normal, Random};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(super) struct Machines {
    measurements: Vec<Sender>,
    normal: Box<Normal>,
}

/// What all machines of the plan send of one measurement.
#[derive(Clone, Debug)]
struct Sender {
    columns: Columns,
    /// Of each machine, the line up to its first field.
    heads: Arc<[Box<[u8]>]>,
    /// Of each machine, one after the other.
    states: Vec<f64>,
    randoms: Vec<Random>,
}

impl Machines {
    pub(super) fn new(plan: &Plan, measurements: &[Measurement]) -> Self {
        Self {
            measurements: measurements
                .iter()
                .zip(0..)
                .map(|(measurement, number)| Sender::new(plan, measurement, number))
                .collect(),
            normal: Box::new(Normal::new()),
        }
    }

    /// Writes a row and tells how many fields it has.
    #[inline]
    pub(super) fn write(
        &mut self,
        measurement: usize,
        host: usize,
        moment: &Moment,
        out: &mut Vec<u8>,
    ) -> usize {
        let sender = &mut self.measurements[measurement];
        let columns = &sender.columns;
        let states = &mut sender.states[host * columns.states()..][..columns.states()];
        out.extend_from_slice(&sender.heads[host]);
        columns.write(states, columns.count(), None, moment.elapsed_s, out);
        moment.end_line(out);
        columns.advance(states, &self.normal, &mut sender.randoms[host]);
        columns.count()
    }
}

impl Sender {
    fn new(plan: &Plan, measurement: &Measurement, number: u64) -> Self {
        let columns = Columns::new(&measurement.fields);
        let mut heads = Vec::with_capacity(plan.hosts.len());
        let mut states = Vec::with_capacity(plan.hosts.len() * columns.states());
        let mut randoms = Vec::with_capacity(plan.hosts.len());
        for host in plan.hosts.clone() {
            let mut of_host = Random::new(plan.seed, host as u64);
            let host_tags = hosts::tags(host, &mut of_host);
            // The first measurement goes on where the tags ended; each other one has a stream of its own.
            let mut random = match number {
                0 => of_host,
                _ => Random::new(plan.seed, number << 32 | host as u64),
            };
            let tags = (measurement.tags)(&mut random);
            let head = format!("{}{host_tags}{tags} ", measurement.name);
            heads.push(head.into_bytes().into());
            states.extend(columns.start(&mut random));
            randoms.push(random);
        }
        Self {
            columns,
            heads: heads.into(),
            states,
            randoms,
        }
    }
}
