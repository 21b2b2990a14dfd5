//! What is to be made: for which hosts, from when to when, and by which seed. Plain data; nothing is drawn or written here.
//!
//! A host is whatever a use case watches: a machine, or for `iot` a truck. What a host sends depends on the seed and its number alone,
//! so a plan can be split by hosts and its parts made at the same time.

use super::{churn, iot};
use clap::ValueEnum;
use std::fmt;
use std::ops::Range;

/// The workloads of TSBS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UseCase {
    /// Machines: one measurement of ten whole numbers
    CpuOnly,
    /// Machines: nine measurements, 101 fields in all
    Devops,
    /// Trucks: two measurements with gaps, and out of order
    Iot,
    /// Machines that come and go, with few fields or many: new series all the time
    #[value(alias("devops-generic"))]
    Churn,
}

impl UseCase {
    /// The tables whose rows can be counted, each with a field that every row has; none if rows may lose what tells them apart.
    pub(crate) fn tables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::CpuOnly => &[("cpu", "usage_user")],
            Self::Devops => &[
                ("cpu", "usage_user"),
                ("diskio", "reads"),
                ("disk", "free"),
                ("kernel", "interrupts"),
                ("mem", "used"),
                ("net", "bytes_sent"),
                ("nginx", "accepts"),
                ("postgresl", "numbackends"),
                ("redis", "connected_clients"),
            ],
            Self::Iot | Self::Churn => &[],
        }
    }
}

impl fmt::Display for UseCase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        formatter.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// Which moments and hosts there are rows for.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) use_case: UseCase,
    /// Those that this plan makes rows for.
    pub(crate) hosts: Range<usize>,
    /// How many there are, also in other parts of the plan that this one was split from.
    pub(crate) hosts_total: usize,
    pub(crate) start_ns: i64,
    pub(crate) interval_ns: i64,
    pub(crate) epochs: usize,
    pub(crate) seed: u64,
    /// The most fields that a host of `churn` has.
    pub(crate) fields_max: usize,
}

impl Plan {
    /// How many rows there are. Of `iot`, how many to expect; of the others, how many exactly.
    pub(crate) fn rows(&self) -> usize {
        let one_each = self.hosts.len() * self.epochs;
        match self.use_case {
            UseCase::CpuOnly | UseCase::Devops => one_each * self.measurements(),
            UseCase::Iot => ((one_each * self.measurements()) as f64 * iot::SENT_SHARE) as usize,
            UseCase::Churn => churn::rows(self),
        }
    }

    /// How many measurements each host sends each epoch.
    pub(crate) fn measurements(&self) -> usize {
        match self.use_case {
            UseCase::CpuOnly | UseCase::Churn => 1,
            UseCase::Devops => 9,
            UseCase::Iot => 2,
        }
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
