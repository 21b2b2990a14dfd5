//! Writes the rows of a plan, one after the other, as line protocol.
//!
//! Rows come epoch by epoch, within an epoch measurement by measurement, and within that host by host; those of trucks are put out of
//! order before they leave. The same plan gives the same bytes, however many rows are asked for at a time.

use super::churn::Visitors;
use super::disorder::{Disorder, Pulled};
use super::iot::Trucks;
use super::lines::Lines;
use super::machines::Machines;
use super::plan::{Plan, UseCase};
use super::{cpu, devops};
use std::ops::AddAssign;

/// How much was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) rows: usize,
    /// Fields of all rows together, which TSBS calls metrics.
    pub(crate) values: usize,
}

impl AddAssign for Written {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.values += other.values;
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Rows {
    in_time: RowsInTime,
    disorder: Option<Disorder>,
}

impl Rows {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            in_time: RowsInTime::new(plan),
            disorder: (plan.use_case == UseCase::Iot).then(|| Disorder::new(plan)),
        }
    }

    /// Appends up to `rows_max` rows to `out`; 0 rows are the end.
    pub(crate) fn write(&mut self, rows_max: usize, out: &mut Vec<u8>) -> Written {
        self.write_until(usize::MAX, rows_max, out)
    }

    /// The same, but goes no further in time than to the beginning of an epoch. What is held back there comes later.
    pub(super) fn write_until(
        &mut self,
        epoch_end: usize,
        rows_max: usize,
        out: &mut Vec<u8>,
    ) -> Written {
        let mut written = Written::default();
        while written.rows < rows_max {
            let Some(values) = self.next(epoch_end, out) else {
                break;
            };
            written += Written { rows: 1, values };
        }
        written
    }

    #[inline]
    fn next(&mut self, epoch_end: usize, out: &mut Vec<u8>) -> Option<usize> {
        let in_time = &mut self.in_time;
        match &mut self.disorder {
            None => in_time.next(epoch_end, out),
            Some(disorder) => disorder.next(|lines| in_time.pull(epoch_end, lines), out),
        }
    }

    /// How far in time it has gone.
    pub(super) fn epoch(&self) -> usize {
        self.in_time.moment.epoch
    }
}

/// The rows of a plan in the order of time.
#[derive(Clone, Debug)]
pub(super) struct RowsInTime {
    source: Source,
    hosts: usize,
    measurements: usize,
    epochs: usize,
    /// Of the next row, as are its measurement and host.
    moment: Moment,
    measurement: usize,
    host: usize,
}

#[derive(Clone, Debug)]
enum Source {
    Machines(Machines),
    Trucks(Trucks),
    Visitors(Visitors),
}

/// What all rows of an epoch have in common.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) epoch: usize,
    pub(super) elapsed_s: i64,
    /// From the last field to the next line.
    line_end: Vec<u8>,
    start_ns: i64,
    interval_ns: i64,
}

impl Moment {
    fn new(plan: &Plan) -> Self {
        let mut moment = Self {
            epoch: 0,
            elapsed_s: 0,
            line_end: Vec::new(),
            start_ns: plan.start_ns,
            interval_ns: plan.interval_ns,
        };
        moment.set_epoch(0);
        moment
    }

    fn set_epoch(&mut self, epoch: usize) {
        let elapsed_ns = epoch as i64 * self.interval_ns;
        self.epoch = epoch;
        self.elapsed_s = elapsed_ns / 1_000_000_000;
        let timestamp_ns = self.start_ns + elapsed_ns;
        self.line_end = format!(" {timestamp_ns}\n").into_bytes();
    }

    /// Ends a line whose last field has a comma after it.
    #[inline]
    pub(super) fn end_line(&self, out: &mut Vec<u8>) {
        out.pop();
        out.extend_from_slice(&self.line_end);
    }
}

impl RowsInTime {
    pub(super) fn new(plan: &Plan) -> Self {
        let source = match plan.use_case {
            UseCase::CpuOnly => Source::Machines(Machines::new(plan, &[cpu::measurement()])),
            UseCase::Devops => Source::Machines(Machines::new(plan, &devops::measurements())),
            UseCase::Iot => Source::Trucks(Trucks::new(plan)),
            UseCase::Churn => Source::Visitors(Visitors::new(plan)),
        };
        Self {
            source,
            hosts: plan.hosts.len(),
            measurements: plan.measurements(),
            epochs: if plan.hosts.is_empty() {
                0
            } else {
                plan.epochs
            },
            moment: Moment::new(plan),
            measurement: 0,
            host: 0,
        }
    }

    /// Which run of hosts comes next: one for each measurement of each epoch; none at the end.
    pub(super) fn step(&self) -> Option<usize> {
        let epoch = self.moment.epoch;
        (epoch < self.epochs).then(|| epoch * self.measurements + self.measurement)
    }

    /// Writes the row of the host whose turn it is and tells how many fields it has; with none there is no row.
    #[inline]
    pub(super) fn visit(&mut self, out: &mut Vec<u8>) -> usize {
        let (measurement, host, moment) = (self.measurement, self.host, &self.moment);
        let values = match &mut self.source {
            Source::Machines(machines) => machines.write(measurement, host, moment, out),
            Source::Trucks(trucks) => trucks.write(measurement, host, moment, out),
            Source::Visitors(visitors) => visitors.write(host, moment, out),
        };
        self.host += 1;
        if self.host == self.hosts {
            self.next_step();
        }
        values
    }

    fn next_step(&mut self) {
        self.host = 0;
        self.measurement += 1;
        if self.measurement == self.measurements {
            self.measurement = 0;
            self.moment.set_epoch(self.moment.epoch + 1);
        }
    }

    #[inline]
    fn next(&mut self, epoch_end: usize, out: &mut Vec<u8>) -> Option<usize> {
        let epoch_end = epoch_end.min(self.epochs);
        while self.moment.epoch < epoch_end {
            let values = self.visit(out);
            if values > 0 {
                return Some(values);
            }
        }
        None
    }

    fn pull(&mut self, epoch_end: usize, lines: &mut Lines) -> Pulled {
        let values = lines.push_with(|out| self.next(epoch_end, out).unwrap_or(0));
        match values {
            0 if self.moment.epoch < self.epochs => Pulled::Pause,
            0 => Pulled::End,
            _ => Pulled::Row,
        }
    }
}
