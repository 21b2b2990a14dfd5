//! The sixteen questions of TSBS about the measurement `cpu`.

use super::language::{Language, Statement, Width};
use super::window::{SECONDS_PER_HOUR, Window};
use crate::Error;
use crate::answer::{Column, Order, Shape};
use crate::random::Random;
use crate::workload::WorkloadOptions;
use crate::workload::cpu::FIELDS;

/// The tags of a host, in the order of its lines.
const TAGS: [&str; 10] = [
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Largest values of the first `fields` fields each minute, for some hosts.
    SingleGroupby {
        fields: usize,
        hosts: usize,
        hours: i64,
    },
    /// Largest values of all fields each hour, for some hosts.
    CpuMaxAll { hosts: usize, hours: i64 },
    /// Means of the first `fields` fields each hour for each host, in 12 hours.
    DoubleGroupby { fields: usize },
    /// All rows of busy hosts in 12 hours; of one host if `one`.
    HighCpu { one: bool },
    /// The newest row of each host.
    Lastpoint,
    /// The five minutes before a random moment.
    GroupbyOrderbyLimit,
}

pub(super) const KINDS: [(&str, Kind); 16] = [
    ("single-groupby-1-1-1", single(1, 1, 1)),
    ("single-groupby-1-1-12", single(1, 1, 12)),
    ("single-groupby-1-8-1", single(1, 8, 1)),
    ("single-groupby-5-1-1", single(5, 1, 1)),
    ("single-groupby-5-1-12", single(5, 1, 12)),
    ("single-groupby-5-8-1", single(5, 8, 1)),
    ("cpu-max-all-1", Kind::CpuMaxAll { hosts: 1, hours: 8 }),
    ("cpu-max-all-8", Kind::CpuMaxAll { hosts: 8, hours: 8 }),
    (
        "cpu-max-all-32-24",
        Kind::CpuMaxAll {
            hosts: 32,
            hours: 24,
        },
    ),
    ("double-groupby-1", Kind::DoubleGroupby { fields: 1 }),
    ("double-groupby-5", Kind::DoubleGroupby { fields: 5 }),
    (
        "double-groupby-all",
        Kind::DoubleGroupby {
            fields: FIELDS.len(),
        },
    ),
    ("high-cpu-1", Kind::HighCpu { one: true }),
    ("high-cpu-all", Kind::HighCpu { one: false }),
    ("lastpoint", Kind::Lastpoint),
    ("groupby-orderby-limit", Kind::GroupbyOrderbyLimit),
];

const fn single(fields: usize, hosts: usize, hours: i64) -> Kind {
    Kind::SingleGroupby {
        fields,
        hosts,
        hours,
    }
}

const DOUBLE_GROUPBY_S: i64 = 12 * SECONDS_PER_HOUR;
const HIGH_CPU_S: i64 = 12 * SECONDS_PER_HOUR;
const NEWEST_BUCKETS: usize = 5;

/// What is asked, with everything drawn. Several types are the same but for their numbers.
#[derive(Clone, Debug)]
pub(super) enum Question {
    /// One value of each field for each bucket, over all of some hosts, or for each host there is.
    Buckets {
        function: Function,
        width: Width,
        fields: &'static [&'static str],
        hosts: Hosts,
        window: Window,
        rows: usize,
    },
    /// All rows in which `usage_user` is above 90.
    Busy {
        host: Option<String>,
        window: Window,
        rows_max: usize,
    },
    /// The newest row of each host.
    Newest { hosts: usize },
    /// Largest `usage_user` of the newest minutes before a time, newest first.
    NewestBuckets { end_s: i64, rows: usize },
}

#[derive(Clone, Debug)]
pub(super) enum Hosts {
    /// All these together.
    These(Vec<String>),
    /// Each for itself.
    Each,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Function {
    Max,
    Mean,
}

impl Function {
    /// The function in SQL, and what columns with its values begin with.
    fn sql(self) -> &'static str {
        match self {
            Self::Max => "max",
            Self::Mean => "avg",
        }
    }

    fn influxql(self) -> &'static str {
        match self {
            Self::Max => "max",
            Self::Mean => "mean",
        }
    }
}

impl Question {
    pub(super) fn draw(
        kind: Kind,
        workload: &WorkloadOptions,
        aligned: bool,
        random: &mut Random,
    ) -> Result<Self, Error> {
        let mut of_some_hosts = |width: Width, fields: usize, hosts: usize, hours: i64| {
            let hosts = Hosts::These(random_hosts(hosts, workload, random));
            let window = Window::draw(hours * SECONDS_PER_HOUR, workload, aligned, random)?;
            Ok(Self::Buckets {
                function: Function::Max,
                width,
                fields: &FIELDS[..fields],
                hosts,
                window,
                rows: window.buckets(width.seconds(), workload)?,
            })
        };
        match kind {
            Kind::SingleGroupby {
                fields,
                hosts,
                hours,
            } => of_some_hosts(Width::Minute, fields, hosts, hours),
            Kind::CpuMaxAll { hosts, hours } => {
                of_some_hosts(Width::Hour, FIELDS.len(), hosts, hours)
            }
            Kind::DoubleGroupby { fields } => {
                let window = Window::draw(DOUBLE_GROUPBY_S, workload, aligned, random)?;
                Ok(Self::Buckets {
                    function: Function::Mean,
                    width: Width::Hour,
                    fields: &FIELDS[..fields],
                    hosts: Hosts::Each,
                    window,
                    rows: window.buckets(Width::Hour.seconds(), workload)? * workload.hosts,
                })
            }
            Kind::HighCpu { one } => {
                let host = one.then(|| random_hosts(1, workload, random).concat());
                let window = Window::draw(HIGH_CPU_S, workload, aligned, random)?;
                let hosts = match one {
                    true => 1,
                    false => workload.hosts,
                };
                Ok(Self::Busy {
                    host,
                    window,
                    rows_max: window.rows(workload)? * hosts,
                })
            }
            Kind::Lastpoint => Ok(Self::Newest {
                hosts: workload.hosts,
            }),
            Kind::GroupbyOrderbyLimit => {
                let window = Window::until_some_time(workload, aligned, random)?;
                let buckets = window.buckets(Width::Minute.seconds(), workload)?;
                Ok(Self::NewestBuckets {
                    end_s: window.end_s,
                    rows: buckets.min(NEWEST_BUCKETS),
                })
            }
        }
    }

    pub(super) fn shape(&self) -> Shape {
        match self {
            Self::Buckets {
                function,
                width,
                fields,
                hosts,
                rows,
                ..
            } => {
                let mut columns = vec![Column::time(width.column())];
                if matches!(hosts, Hosts::Each) {
                    columns.push(Column::text("hostname"));
                }
                let function = function.sql();
                columns.extend(
                    fields
                        .iter()
                        .map(|field| Column::number(format!("{function}_{field}"))),
                );
                Shape::new(columns, *rows..=*rows, Order::Ascending)
            }
            Self::Busy { rows_max, .. } => Shape::new(whole_row(), 0..=*rows_max, Order::Any),
            Self::Newest { hosts } => Shape::new(whole_row(), *hosts..=*hosts, Order::Any),
            Self::NewestBuckets { rows, .. } => {
                let columns = vec![
                    Column::time(Width::Minute.column()),
                    Column::number("max_usage_user"),
                ];
                Shape::new(columns, *rows..=*rows, Order::Descending)
            }
        }
    }

    pub(super) fn statement(
        &self,
        language: Language,
        aligned: bool,
    ) -> Result<Statement, &'static str> {
        match language {
            Language::Sql | Language::Duckdb | Language::Chdb => {
                Ok(Statement::Text(self.sql(language)))
            }
            Language::Influxql => Ok(Statement::Text(self.influxql())),
            Language::Metricsql => self.metricsql(aligned),
        }
    }

    fn sql(&self, dialect: Language) -> String {
        match self {
            Self::Buckets {
                function,
                width,
                fields,
                hosts,
                window,
                ..
            } => {
                let bucket = bucket_column(dialect, *width);
                let values = each_field(function.sql(), function.sql(), fields);
                let window = dialect.within(*window);
                match hosts {
                    Hosts::These(hosts) => format!(
                        "SELECT {bucket}, {values} FROM cpu WHERE hostname IN ({}) AND {window} GROUP BY 1 ORDER BY 1",
                        quoted(hosts).join(", "),
                    ),
                    Hosts::Each => format!(
                        "SELECT {bucket}, hostname, {values} FROM cpu WHERE {window} GROUP BY 1, 2 ORDER BY 1, 2"
                    ),
                }
            }
            Self::Busy { host, window, .. } => {
                let host = host
                    .as_ref()
                    .map_or(String::new(), |host| format!(" AND hostname = '{host}'"));
                let window = dialect.within(*window);
                format!("SELECT * FROM cpu WHERE usage_user > 90.0{host} AND {window}")
            }
            Self::Newest { .. } => {
                let numbered = "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY hostname ORDER BY time DESC) AS rn \
                                FROM cpu) WHERE rn = 1";
                match dialect {
                    Language::Chdb => "SELECT * FROM cpu ORDER BY time DESC LIMIT 1 BY hostname",
                    _ => numbered,
                }
                .to_owned()
            }
            Self::NewestBuckets { end_s, .. } => format!(
                "SELECT {}, max(usage_user) AS max_usage_user FROM cpu WHERE time < {} \
                 GROUP BY 1 ORDER BY 1 DESC LIMIT {NEWEST_BUCKETS}",
                bucket_column(dialect, Width::Minute),
                dialect.moment(*end_s),
            ),
        }
    }

    /// Empty buckets are left out, as SQL leaves them out.
    fn influxql(&self) -> String {
        let influxql = Language::Influxql;
        match self {
            Self::Buckets {
                function,
                width,
                fields,
                hosts,
                window,
                ..
            } => {
                let values = each_field(function.influxql(), function.sql(), fields);
                let window = influxql.within(*window);
                let width = width.duration();
                let (condition, grouping) = match hosts {
                    Hosts::These(hosts) => (format!("({}) AND ", any_host(hosts)), ""),
                    Hosts::Each => (String::new(), ", hostname"),
                };
                format!(
                    "SELECT {values} FROM cpu WHERE {condition}{window} GROUP BY time({width}){grouping} fill(none)"
                )
            }
            Self::Busy { host, window, .. } => {
                let host = host
                    .as_ref()
                    .map_or(String::new(), |host| format!(" AND hostname = '{host}'"));
                let window = influxql.within(*window);
                format!("SELECT * FROM cpu WHERE usage_user > 90.0{host} AND {window}")
            }
            Self::Newest { .. } => {
                "SELECT * FROM cpu GROUP BY hostname ORDER BY time DESC LIMIT 1".to_owned()
            }
            Self::NewestBuckets { end_s, .. } => format!(
                "SELECT max(usage_user) AS max_usage_user FROM cpu WHERE time < {} \
                 GROUP BY time(1m) fill(none) ORDER BY time DESC LIMIT {NEWEST_BUCKETS}",
                influxql.moment(*end_s),
            ),
        }
    }

    /// A step is the bucket that ends a millisecond after it: samples have whole milliseconds, and a window in brackets has its end but
    /// not its start.
    fn metricsql(&self, aligned: bool) -> Result<Statement, &'static str> {
        let Self::Buckets {
            function,
            width,
            fields,
            hosts,
            window,
            ..
        } = self
        else {
            return Err("it knows neither rows nor the newest of something");
        };
        if !aligned {
            return Err(
                "its buckets begin with the window, so windows have to be on whole hours (--aligned)",
            );
        }
        let fields = fields.join("|");
        let duration = width.duration();
        let query = match (function, hosts) {
            (Function::Max, Hosts::These(hosts)) => format!(
                "max(max_over_time({{__name__=~'cpu_({fields})',hostname=~'{}'}}[{duration}])) by (__name__)",
                hosts.join("|")
            ),
            (Function::Mean, Hosts::Each) => format!(
                "avg(avg_over_time({{__name__=~'cpu_({fields})'}}[{duration}])) by (__name__, hostname)"
            ),
            _ => return Err("there is no such type"),
        };
        let step_ms = width.seconds() * 1_000;
        Ok(Statement::Range {
            query,
            start_ms: window.start_s * 1_000 + step_ms - 1,
            end_ms: window.end_s * 1_000 - 1,
            step_ms,
        })
    }
}

fn whole_row() -> Vec<Column> {
    let tags = TAGS.iter().map(|tag| Column::text(*tag));
    let fields = FIELDS.iter().map(|field| Column::number(*field));
    std::iter::once(Column::time("time"))
        .chain(tags)
        .chain(fields)
        .collect()
}

fn bucket_column(dialect: Language, width: Width) -> String {
    format!("{} AS {}", dialect.bucket(width), width.column())
}

fn each_field(function: &str, prefix: &str, fields: &[&str]) -> String {
    let calls: Vec<String> = fields
        .iter()
        .map(|field| format!("{function}({field}) AS {prefix}_{field}"))
        .collect();
    calls.join(", ")
}

fn quoted(names: &[String]) -> Vec<String> {
    names.iter().map(|name| format!("'{name}'")).collect()
}

fn any_host(hosts: &[String]) -> String {
    let conditions: Vec<String> = hosts
        .iter()
        .map(|host| format!("hostname = '{host}'"))
        .collect();
    conditions.join(" OR ")
}

/// So many different hosts, or all if there are fewer.
fn random_hosts(count: usize, workload: &WorkloadOptions, random: &mut Random) -> Vec<String> {
    let mut numbers: Vec<usize> = Vec::new();
    while numbers.len() < count.min(workload.hosts) {
        let number = random.below(workload.hosts);
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    numbers
        .iter()
        .map(|number| format!("host_{number}"))
        .collect()
}
