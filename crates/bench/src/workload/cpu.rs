//! The `cpu` measurement: ten usages in percent, each a random walk between 0 and 100.

use super::measurement::{Field, Measurement, Start};

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

pub(super) fn measurement() -> Measurement {
    let start = Start::Between(0.0, USAGE_MAX);
    Measurement {
        name: "cpu",
        tags: Measurement::no_tags,
        fields: FIELDS
            .map(|name| Field::clamped(name, 0.0, (0.0, USAGE_MAX), start))
            .into(),
    }
}
