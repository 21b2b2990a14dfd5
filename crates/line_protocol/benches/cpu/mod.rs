//! The rows that all microbenchmarks measure with: the TSBS cpu workload, hosts with ten tags and ten usages every ten seconds.
//!
//! Other crates include this file by its path, so that each stage meets the same rows. Not the generator of `bench`, which makes
//! any number of rows of any workload: nothing may depend on that program.

pub(crate) const TAGS: [&str; 10] = [
    "hostname",
    "region",
    "datacenter",
    "rack",
    "os",
    "arch",
    "team",
    "service",
    "service_version",
    "service_environment",
];

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

/// 2016-01-01T00:00:00Z, the time of the first rows.
const START_NS: i64 = 1_451_606_400_000_000_000;

const INTERVAL_NS: i64 = 10_000_000_000;

const USAGE_MAX: f64 = 100.0;

/// Rows of `hosts` at `epochs` times.
pub(crate) struct Cpu {
    pub(crate) hosts: usize,
    pub(crate) epochs: usize,
    tags: Vec<[String; TAGS.len()]>,
    /// Epoch by epoch, host by host.
    usages: Vec<[u8; FIELDS.len()]>,
}

impl Cpu {
    /// The same rows each time.
    pub(crate) fn new(hosts: usize, epochs: usize) -> Self {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let tags = (0..hosts).map(|host| tags(host, &mut dice)).collect();
        let mut walks: Vec<[f64; FIELDS.len()]> = (0..hosts)
            .map(|_| std::array::from_fn(|_| dice.unit() * USAGE_MAX))
            .collect();
        let mut usages = Vec::with_capacity(hosts * epochs);
        for _ in 0..epochs {
            for walk in &mut walks {
                usages.push(walk.map(|usage| usage as u8));
                for usage in walk {
                    *usage = (*usage + dice.step()).clamp(0.0, USAGE_MAX);
                }
            }
        }
        Self {
            hosts,
            epochs,
            tags,
            usages,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.usages.len()
    }

    /// The values of a host's tags, in the order of [`TAGS`].
    pub(crate) fn tags(&self, host: usize) -> &[String; TAGS.len()] {
        &self.tags[host]
    }

    /// The values of a row's fields, in the order of [`FIELDS`].
    pub(crate) fn usages(&self, host: usize, epoch: usize) -> &[u8; FIELDS.len()] {
        &self.usages[epoch * self.hosts + host]
    }

    pub(crate) fn time_ns(epoch: usize) -> i64 {
        START_NS + epoch as i64 * INTERVAL_NS
    }

    /// Measurement and tags of a host, as a line begins with them.
    pub(crate) fn series(&self, host: usize) -> String {
        let mut series = "cpu".to_string();
        for (name, value) in TAGS.iter().zip(self.tags(host)) {
            series += &format!(",{name}={value}");
        }
        series
    }

    /// Some epochs as line protocol, host by host within each.
    pub(crate) fn lines(&self, epochs: std::ops::Range<usize>) -> String {
        let series: Vec<String> = (0..self.hosts).map(|host| self.series(host)).collect();
        let mut lines = String::new();
        for epoch in epochs {
            for (host, series) in series.iter().enumerate() {
                let usages = FIELDS.iter().zip(self.usages(host, epoch));
                let fields: Vec<String> = usages
                    .map(|(name, usage)| format!("{name}={usage}i"))
                    .collect();
                lines += &format!("{series} {} {}\n", fields.join(","), Self::time_ns(epoch));
            }
        }
        lines
    }
}

fn tags(host: usize, dice: &mut Dice) -> [String; TAGS.len()] {
    let region = [
        "us-east-1",
        "us-west-2",
        "eu-west-1",
        "ap-northeast-1",
        "sa-east-1",
    ][dice.below(5)];
    let letter = ["a", "b", "c"][dice.below(3)];
    [
        format!("host_{host}"),
        region.to_string(),
        format!("{region}{letter}"),
        dice.below(100).to_string(),
        ["Ubuntu16.10", "Ubuntu16.04LTS", "Ubuntu15.10"][dice.below(3)].to_string(),
        ["x64", "x86"][dice.below(2)].to_string(),
        ["SF", "NYC", "LON", "CHI"][dice.below(4)].to_string(),
        dice.below(20).to_string(),
        dice.below(2).to_string(),
        ["production", "staging", "test"][dice.below(3)].to_string(),
    ]
}

/// Chance that is the same each time (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About a normal distribution around 0 with deviation 1.
    fn step(&mut self) -> f64 {
        let sum: f64 = (0..12).map(|_| self.unit()).sum();
        sum - 6.0
    }
}
