//! The queries of TSBS on the `cpu` measurement, in SQL.
//!
//! Each drawing asks for other hosts and another window of time, so that an answer kept from before is of no use.

use crate::Error;
use crate::random::Random;
use crate::workload::WorkloadOptions;
use crate::workload::cpu::FIELDS;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

/// A type of query; written `single-groupby-1-8-1`, `cpu-max-all-8`, `lastpoint` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Query {
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

impl FromStr for Query {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let single = |fields, hosts, hours| Self::SingleGroupby {
            fields,
            hosts,
            hours,
        };
        let all = FIELDS.len();
        Ok(match text {
            "single-groupby-1-1-1" => single(1, 1, 1),
            "single-groupby-1-1-12" => single(1, 1, 12),
            "single-groupby-1-8-1" => single(1, 8, 1),
            "single-groupby-5-1-1" => single(5, 1, 1),
            "single-groupby-5-1-12" => single(5, 1, 12),
            "single-groupby-5-8-1" => single(5, 8, 1),
            "cpu-max-all-1" => Self::CpuMaxAll { hosts: 1, hours: 8 },
            "cpu-max-all-8" => Self::CpuMaxAll { hosts: 8, hours: 8 },
            "cpu-max-all-32-24" => Self::CpuMaxAll {
                hosts: 32,
                hours: 24,
            },
            "double-groupby-1" => Self::DoubleGroupby { fields: 1 },
            "double-groupby-5" => Self::DoubleGroupby { fields: 5 },
            "double-groupby-all" => Self::DoubleGroupby { fields: all },
            "high-cpu-1" => Self::HighCpu { one: true },
            "high-cpu-all" => Self::HighCpu { one: false },
            "lastpoint" => Self::Lastpoint,
            "groupby-orderby-limit" => Self::GroupbyOrderbyLimit,
            _ => return Err(format!("there is no query {text:?}")),
        })
    }
}

impl Query {
    /// The query in SQL, for random hosts and times among those of `workload`.
    pub(crate) fn sql(
        self,
        workload: &WorkloadOptions,
        random: &mut Random,
    ) -> Result<String, Error> {
        let minute = "date_bin(INTERVAL '1 minute', time) AS minute";
        let hour = "date_bin(INTERVAL '1 hour', time) AS hour";
        Ok(match self {
            Self::SingleGroupby { fields, hosts, hours } => format!(
                "SELECT {minute}, {} FROM cpu WHERE {} AND {} GROUP BY 1 ORDER BY 1",
                each_field("max", fields),
                among_hosts(hosts, workload, random),
                window(hours, workload, random)?,
            ),
            Self::CpuMaxAll { hosts, hours } => format!(
                "SELECT {hour}, {} FROM cpu WHERE {} AND {} GROUP BY 1 ORDER BY 1",
                each_field("max", FIELDS.len()),
                among_hosts(hosts, workload, random),
                window(hours, workload, random)?,
            ),
            Self::DoubleGroupby { fields } => format!(
                "SELECT {hour}, hostname, {} FROM cpu WHERE {} GROUP BY 1, 2 ORDER BY 1, 2",
                each_field("avg", fields),
                window(12, workload, random)?,
            ),
            Self::HighCpu { one } => format!(
                "SELECT * FROM cpu WHERE usage_user > 90.0{} AND {}",
                match one {
                    true => format!(" AND {}", among_hosts(1, workload, random)),
                    false => String::new(),
                },
                window(12, workload, random)?,
            ),
            Self::Lastpoint => "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY hostname ORDER BY time DESC) \
                                AS rn FROM cpu) WHERE rn = 1"
                .to_owned(),
            Self::GroupbyOrderbyLimit => {
                let (start_ns, end_ns) = (workload.start_ns()?, workload.end_ns()?);
                let until = random_time(start_ns, end_ns, random);
                format!(
                    "SELECT {minute}, max(usage_user) FROM cpu WHERE time < '{}' GROUP BY 1 ORDER BY 1 DESC LIMIT 5",
                    rfc3339(until)
                )
            }
        })
    }
}

fn each_field(function: &str, fields: usize) -> String {
    let calls: Vec<String> = FIELDS[..fields]
        .iter()
        .map(|field| format!("{function}({field}) AS {function}_{field}"))
        .collect();
    calls.join(", ")
}

/// A condition that holds for so many different hosts, or for all if there are fewer.
fn among_hosts(count: usize, workload: &WorkloadOptions, random: &mut Random) -> String {
    let mut numbers: Vec<usize> = Vec::new();
    while numbers.len() < count.min(workload.hosts) {
        let number = random.below(workload.hosts);
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    let names: Vec<String> = numbers
        .iter()
        .map(|number| format!("'host_{number}'"))
        .collect();
    format!("hostname IN ({})", names.join(", "))
}

/// A condition that holds for so many hours somewhere within the workload.
fn window(hours: i64, workload: &WorkloadOptions, random: &mut Random) -> Result<String, Error> {
    let length_ns = hours * 3_600 * NS_PER_SECOND;
    let (first_ns, last_ns) = (workload.start_ns()?, workload.end_ns()? - length_ns);
    if last_ns < first_ns {
        return Err(format!("the query needs {hours} hours of data").into());
    }
    let start_s = random_time(first_ns, last_ns, random);
    Ok(format!(
        "time >= '{}' AND time < '{}'",
        rfc3339(start_s),
        rfc3339(start_s + length_ns / NS_PER_SECOND)
    ))
}

const NS_PER_SECOND: i64 = 1_000_000_000;

/// A whole second from the one time up to, but for equal times not including, the other; in seconds since the epoch.
fn random_time(first_ns: i64, last_ns: i64, random: &mut Random) -> i64 {
    let span_s = ((last_ns - first_ns) / NS_PER_SECOND).max(1);
    first_ns / NS_PER_SECOND + (random.unit() * span_s as f64) as i64
}

fn rfc3339(seconds: i64) -> String {
    let since_epoch = Duration::from_secs(seconds.max(0).unsigned_abs());
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since_epoch).to_string()
}

#[cfg(test)]
mod tests {
    use super::Query;
    use crate::random::Random;
    use crate::workload::WorkloadOptions;
    use clap::Parser;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        workload: WorkloadOptions,
    }

    fn sql(name: &str, arguments: &[&str]) -> Result<String, String> {
        let arguments = Arguments::parse_from([&["test"], arguments].concat());
        let query: Query = name.parse()?;
        query
            .sql(&arguments.workload, &mut Random::new(1, 1))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_query_asks_for_hosts_and_times_that_are_there() {
        let one_choice = ["--hosts", "1", "--end", "2016-01-01T01:00:00Z"];
        assert_eq!(
            sql("single-groupby-1-1-1", &one_choice).unwrap(),
            "SELECT date_bin(INTERVAL '1 minute', time) AS minute, max(usage_user) AS max_usage_user FROM cpu \
             WHERE hostname IN ('host_0') AND time >= '2016-01-01T00:00:00Z' AND time < '2016-01-01T01:00:00Z' \
             GROUP BY 1 ORDER BY 1"
        );
        let eight = sql("single-groupby-5-8-1", &["--hosts", "9"]).unwrap();
        assert_eq!(eight.matches("'host_").count(), 8);
        assert_eq!(eight.matches("max(").count(), 5);
        assert_eq!(
            sql("double-groupby-all", &[])
                .unwrap()
                .matches("avg(")
                .count(),
            10
        );
        assert!(sql("single-groupby-1-1-12", &one_choice).is_err());
        assert!(sql("no-such-query", &[]).is_err());
        for name in [
            "cpu-max-all-32-24",
            "high-cpu-1",
            "high-cpu-all",
            "lastpoint",
            "groupby-orderby-limit",
        ] {
            assert!(sql(name, &[]).unwrap().contains(" FROM cpu"), "{name}");
        }
    }
}
