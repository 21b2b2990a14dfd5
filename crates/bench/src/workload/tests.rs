//! What all workloads have in common, and what each looks like: counts, lines, distributions, gaps.

use super::{Plan, Rows, WorkloadOptions, Written, cpu, shards};
use clap::Parser;
use line_protocol::{Series, Value};
use std::collections::{HashMap, HashSet};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    workload: WorkloadOptions,
}

const USE_CASES: [&str; 4] = ["cpu-only", "devops", "iot", "churn"];

fn try_plan(arguments: &[&str]) -> Result<Plan, String> {
    let arguments = Arguments::try_parse_from([&["test"], arguments].concat())
        .map_err(|error| error.to_string())?;
    arguments.workload.plan().map_err(|error| error.to_string())
}

pub(super) fn plan(arguments: &[&str]) -> Plan {
    try_plan(arguments).unwrap()
}

/// A plan with so many epochs of ten seconds.
fn plan_of(use_case: &str, hosts: usize, epochs: usize) -> Plan {
    let hosts = hosts.to_string();
    Plan {
        epochs,
        ..plan(&["--use-case", use_case, "--hosts", &hosts])
    }
}

pub(super) fn text(plan: &Plan, rows_per_call: usize) -> String {
    let mut rows = Rows::new(plan);
    let mut out = Vec::new();
    while rows.write(rows_per_call, &mut out).rows > 0 {}
    String::from_utf8(out).unwrap()
}

/// A row as the parser sees it.
struct Row {
    measurement: String,
    tags: Vec<(String, String)>,
    fields: Vec<(String, Number)>,
    time_ns: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Whole(i64),
    Float(f64),
}

impl Number {
    fn as_float(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

fn rows(plan: &Plan) -> Vec<Row> {
    let text = text(plan, usize::MAX);
    let mut parser = line_protocol::Parser::new(&text);
    let mut fields = Vec::new();
    let mut rows = Vec::new();
    while let Some(line) = parser.next_line(&mut fields) {
        let line = line.unwrap();
        let series = Series::parse(&line).unwrap();
        let number = |value: &Value<'_>| match value {
            Value::Integer(number) => Number::Whole(*number),
            Value::Float(number) => Number::Float(*number),
            other => panic!("{other:?}"),
        };
        rows.push(Row {
            measurement: series.measurement.raw.to_owned(),
            tags: series
                .tags
                .iter()
                .map(|(name, value)| (name.raw.to_owned(), value.raw.to_owned()))
                .collect(),
            fields: fields
                .iter()
                .map(|field| (field.key.raw.to_owned(), number(&field.value)))
                .collect(),
            time_ns: line.timestamp.unwrap(),
        });
    }
    rows
}

/// The values of each field of each host, in the order of time; fields are called `measurement.field`.
fn walks(rows: &[Row]) -> HashMap<String, Vec<Vec<Number>>> {
    let mut walks: HashMap<[&str; 3], Vec<Number>> = HashMap::new();
    for row in rows {
        for (name, number) in &row.fields {
            let walk = walks.entry([&row.measurement, name, &row.tags[0].1]);
            walk.or_default().push(*number);
        }
    }
    let mut by_field: HashMap<String, Vec<Vec<Number>>> = HashMap::new();
    for ([measurement, name, _], walk) in walks {
        let walks = by_field.entry(format!("{measurement}.{name}"));
        walks.or_default().push(walk);
    }
    by_field
}

#[test]
fn row_counts_are_those_that_others_publish() {
    let count = |arguments: &[&str]| plan(arguments).rows();
    assert_eq!(count(&[]), 864_000);
    assert_eq!(count(&["--scale", "4000"]), 34_560_000);
    let three_days = [
        "--hosts",
        "4000",
        "--start",
        "2023-06-11T00:00:00Z",
        "--end",
        "2023-06-14T00:00:00Z",
    ];
    assert_eq!(count(&three_days), 103_680_000);
    assert_eq!(count(&["--interval", "1h", "--hosts", "10"]), 240);
    let devops = ["--use-case", "devops", "--hosts", "4000"];
    assert_eq!(count(&devops), 9 * 34_560_000);
    // Two rows of each truck, of which 1 % are lost in batches and 10 % alone.
    assert_eq!(count(&["--use-case", "iot"]), 1_539_648);
}

#[test]
fn nonsense_is_refused_with_the_value_that_is_wrong() {
    for (arguments, expected) in [
        (["--interval", "0s"], "--interval 0s is zero"),
        (
            ["--end", "2016-01-01T00:00:09Z"],
            "--end 2016-01-01T00:00:09Z is not one interval of 10s after --start 2016-01-01T00:00:00Z",
        ),
        (
            ["--hosts", "0"],
            "--hosts 0 is not between 1 and 2147483648",
        ),
        (
            ["--fields-max", "0"],
            "--fields-max 0 is not between 1 and 100000",
        ),
        (
            ["--end", "2300-01-01T00:00:00Z"],
            "2300-01-01T00:00:00Z is later than can be told in nanoseconds",
        ),
        (["--start", "yesterday"], "'yesterday'"),
        (["--use-case", "gpu-only"], "'gpu-only'"),
    ] {
        let told = try_plan(&arguments).unwrap_err();
        assert!(told.contains(expected), "{told}");
    }
    assert!(try_plan(&["--start", "1960-01-01T00:00:00Z"]).is_err());
}

#[test]
fn rows_do_not_depend_on_how_they_are_asked_for() {
    for use_case in USE_CASES {
        let plan = plan_of(use_case, 45, 12);
        let whole = text(&plan, usize::MAX);
        assert_eq!(whole, text(&plan, 3), "{use_case}");
        let other_seed = Plan {
            seed: 124,
            ..plan.clone()
        };
        assert_ne!(whole, text(&other_seed, 3), "{use_case}");

        let parts: Vec<String> = plan.split(4).iter().map(|part| text(part, 3)).collect();
        let lines: HashSet<&str> = whole.lines().collect();
        assert_eq!(lines.len(), whole.lines().count());
        let lines_of_parts: Vec<&str> = parts.iter().flat_map(|part| part.lines()).collect();
        assert_eq!(lines_of_parts.len(), lines.len());
        assert_eq!(lines, lines_of_parts.into_iter().collect(), "{use_case}");
        assert_eq!(plan.split(99).len(), 45);
    }
}

#[test]
fn rows_do_not_depend_on_the_number_of_workers() {
    for use_case in USE_CASES {
        // More than a worker hands over at a time.
        let plan = plan_of(use_case, 100, 60);
        let expected = text(&plan, usize::MAX);
        for (workers, rows_max) in [
            (1, usize::MAX),
            (3, usize::MAX),
            (200, usize::MAX),
            (3, 1_234),
        ] {
            let mut out = Vec::new();
            let written = shards::write(&plan, workers, rows_max, |lines| {
                out.extend_from_slice(lines);
                Ok(())
            });
            let rows = expected.lines().count().min(rows_max);
            assert_eq!(written.unwrap().rows, rows, "{use_case} {workers}");
            let expected: String = expected.split_inclusive('\n').take(rows).collect();
            assert!(out == expected.as_bytes(), "{use_case} {workers}");
        }
    }
}

#[test]
fn workers_end_when_the_lines_cannot_be_written() {
    let plan = plan_of("cpu-only", 100, 1_000);
    let written = shards::write(&plan, 2, usize::MAX, |_| Err("the disk is full".into()));
    assert_eq!(written.unwrap_err().to_string(), "the disk is full");
}

#[test]
fn rows_and_values_are_counted() {
    for use_case in USE_CASES {
        let plan = plan_of(use_case, 20, 5);
        let counted = Rows::new(&plan).write(usize::MAX, &mut Vec::new());
        let rows = rows(&plan);
        let values = rows.iter().map(|row| row.fields.len()).sum();
        assert_eq!(
            counted,
            Written {
                rows: rows.len(),
                values
            },
            "{use_case}"
        );
        if use_case != "iot" {
            assert_eq!(rows.len(), plan.rows(), "{use_case}");
        }
    }
}

#[test]
fn each_host_has_one_cpu_row_each_epoch() {
    let plan = plan_of("cpu-only", 7, 5);
    let rows = rows(&plan);
    assert_eq!(rows.len(), 35);
    for (number, row) in rows.iter().enumerate() {
        assert_eq!(row.measurement, "cpu");
        assert_eq!(
            row.time_ns,
            plan.start_ns + (number / 7) as i64 * plan.interval_ns
        );
        assert_eq!(row.tags.len(), 10);
        assert_eq!(row.tags[0].1, format!("host_{}", number % 7));
        assert!(row.fields.iter().map(|(name, _)| name).eq(&cpu::FIELDS));
        for (_, number) in &row.fields {
            assert!(matches!(number, Number::Whole(0..=100)), "{number:?}");
        }
    }
}

/// Whoever has data from before gets the same again.
#[test]
fn the_first_cpu_row_is_what_it_always_was() {
    let mut line = Vec::new();
    Rows::new(&plan(&[])).write(1, &mut line);
    assert_eq!(String::from_utf8(line).unwrap(), FIRST_ROW);
}

const FIRST_ROW: &str = "cpu,hostname=host_0,region=ap-southeast-1,datacenter=ap-southeast-1b,rack=66,os=Ubuntu16.04LTS,\
    arch=x64,team=LON,service=15,service_version=1,service_environment=test usage_user=64i,usage_system=77i,usage_idle=51i,\
    usage_nice=96i,usage_iowait=35i,usage_irq=70i,usage_softirq=48i,usage_steal=18i,usage_guest=7i,usage_guest_nice=91i \
    1451606400000000000\n";

/// What was measured of the original's files: a mean line of 346 bytes, and 8.5 to 10.8 % of `usage_user` above 90.
#[test]
fn cpu_lines_look_like_the_original() {
    let plan = plan_of("cpu-only", 400, 100);
    let text = text(&plan, usize::MAX);
    let lines = text.lines().count();
    let mean_line_bytes = text.len() / lines;
    assert!((340..=350).contains(&mean_line_bytes), "{mean_line_bytes}");
    let usage = |line: &str| -> u32 {
        let (_, rest) = line.split_once("usage_user=").unwrap();
        rest.split_once('i').unwrap().0.parse().unwrap()
    };
    let high = text.lines().filter(|line| usage(line) > 90).count();
    let share = high as f64 / lines as f64;
    assert!((0.07..0.13).contains(&share), "{share}");
}

/// How much a value tells that the one before did not: 2.15 bits in the original.
#[test]
fn cpu_walks_are_as_hard_to_compress_as_the_original() {
    let rows = rows(&plan_of("cpu-only", 20, 400));
    let mut counts: HashMap<i64, f64> = HashMap::new();
    let mut total = 0.0;
    for walk in walks(&rows).values().flatten() {
        for pair in walk.windows(2) {
            let change = (pair[1].as_float() - pair[0].as_float()) as i64;
            *counts.entry(change).or_default() += 1.0;
            total += 1.0;
        }
    }
    let bits: f64 = counts
        .values()
        .map(|count| -(count / total) * (count / total).log2())
        .sum();
    assert!((2.10..2.20).contains(&bits), "{bits}");
}

#[test]
fn each_host_of_devops_sends_nine_measurements_and_101_fields() {
    let plan = plan_of("devops", 3, 4);
    let rows = rows(&plan);
    let order: Vec<&str> = rows[..27].iter().map(|row| &row.measurement[..]).collect();
    let expected = [
        ("cpu", 10, 10),
        ("diskio", 11, 7),
        ("disk", 12, 7),
        ("kernel", 10, 6),
        ("mem", 10, 9),
        ("net", 11, 8),
        ("nginx", 12, 7),
        ("postgresl", 10, 16),
        ("redis", 12, 31),
    ];
    for (number, (measurement, tags, fields)) in expected.into_iter().enumerate() {
        assert_eq!(order[number * 3..][..3], [measurement; 3]);
        for (host, row) in rows[number * 3..][..3].iter().enumerate() {
            assert_eq!(
                (row.tags.len(), row.fields.len()),
                (tags, fields),
                "{measurement}"
            );
            assert_eq!(row.tags[..10], rows[host].tags[..], "{measurement}");
        }
    }
    assert_eq!(
        expected.map(|(_, _, fields)| fields).iter().sum::<usize>(),
        101
    );
    assert!(rows.is_sorted_by_key(|row| row.time_ns));

    // The same machines have the same usage.
    let cpu_rows = text(&plan_of("cpu-only", 3, 4), usize::MAX);
    let text = text(&plan, usize::MAX);
    assert!(
        text.lines()
            .filter(|line| line.starts_with("cpu,"))
            .eq(cpu_rows.lines())
    );
}

#[test]
fn walks_of_devops_rise_and_stay_within_their_limits() {
    let walks = walks(&rows(&plan_of("devops", 4, 300)));
    assert_eq!(walks.len(), 101);
    let of = |measurement: &str| {
        let prefix = format!("{measurement}.");
        let names = walks.keys().filter(move |name| name.starts_with(&prefix));
        names.map(String::as_str).collect::<Vec<_>>()
    };
    let mut rising = [of("diskio"), of("net")].concat();
    rising.extend(of("kernel"));
    rising.extend(["nginx.accepts", "nginx.handled", "nginx.requests"]);
    rising.extend(["redis.total_connections_received", "redis.keyspace_hits"]);
    assert_eq!(rising.len(), 7 + 8 + 6 + 3 + 2);
    for name in rising {
        for walk in &walks[name] {
            assert!(
                walk.is_sorted_by_key(|number| number.as_float() as i64),
                "{name}"
            );
        }
    }
    let floats: HashSet<&str> = walks
        .iter()
        .filter(|(_, walks)| matches!(walks[0][0], Number::Float(_)))
        .map(|(name, _)| name.as_str())
        .collect();
    let percents = [
        "mem.used_percent",
        "mem.available_percent",
        "mem.buffered_percent",
    ];
    assert_eq!(floats, percents.into_iter().collect());

    let gib = 1_i64 << 30;
    for (names, limits) in [
        (of("cpu"), 0..=100),
        (of("postgresl"), 0..=gib),
        (of("mem"), 0..=16 * gib),
        (vec!["postgresl.xact_commit", "redis.sync_full"], 0..=1_000),
        (
            vec!["nginx.active", "nginx.writing", "disk.used_percent"],
            0..=100,
        ),
        (vec!["redis.mem_fragmentation_ratio"], 0..=100),
        (vec!["redis.connected_clients"], 0..=10_000),
        (vec!["kernel.boot_time"], 0..=239),
        (percents.to_vec(), 0..=100),
    ] {
        for name in names {
            for number in walks[name].iter().flatten() {
                assert!(
                    limits.contains(&(number.as_float() as i64)),
                    "{name} {number:?}"
                );
            }
        }
    }
    // Walks that climb by 5 at a time reach their upper limit, and those by 50 go far.
    let last = |name: &str| walks[name].iter().map(|walk| walk[299].as_float());
    assert!(last("postgresl.conflicts").all(|last| last > 950.0));
    assert!(last("diskio.reads").all(|last| (14_800.0..15_100.0).contains(&last)));
    assert!(last("redis.uptime_in_seconds").all(|last| last == 2_990.0));
    assert!(last("redis.instantaneous_ops_per_sec").all(|last| (200.0..400.0).contains(&last)));
}

#[test]
fn derived_values_fit_those_they_are_derived_from() {
    for row in rows(&plan_of("devops", 5, 50)) {
        let value = |name: &str| {
            let found = row.fields.iter().find(|(field, _)| field == name);
            found.unwrap().1.as_float()
        };
        match row.measurement.as_str() {
            "disk" => {
                assert_eq!(value("total"), (1_u64 << 40) as f64);
                assert_eq!(value("used"), value("total") - value("free"));
                assert_eq!(
                    value("used_percent"),
                    (100.0 * value("used") / value("total")).trunc()
                );
                assert_eq!(value("inodes_total"), (1_u64 << 28) as f64);
                assert_eq!(value("inodes_free"), (value("free") / 4096.0).trunc());
                assert_eq!(
                    value("inodes_used"),
                    value("inodes_total") - value("inodes_free")
                );
            }
            "mem" => {
                let gib = value("total") / (1_u64 << 30) as f64;
                assert!([8.0, 12.0, 16.0].contains(&gib), "{gib}");
                assert!((value("available") + value("used") - value("total")).abs() <= 1.0);
                assert_eq!(value("free"), value("available"));
                let percents = value("used_percent") + value("available_percent");
                assert!((percents - 100.0).abs() < 1e-9);
                let buffered = value("buffered_percent") / 100.0 * value("total");
                assert!((buffered - value("buffered")).abs() <= 1.0);
            }
            _ => {}
        }
    }
}

/// Of a truck's fields, the places after the point.
fn places(name: &str) -> u32 {
    match name {
        "latitude" | "longitude" => 5,
        "fuel_consumption" | "fuel_state" => 1,
        _ => 0,
    }
}

#[test]
fn trucks_send_numbers_of_their_precision_and_within_their_limits() {
    let rows = rows(&plan_of("iot", 50, 300));
    let mut seen: HashSet<String> = HashSet::new();
    for (name, number) in rows.iter().flat_map(|row| &row.fields) {
        seen.insert(name.clone());
        let value = number.as_float();
        assert_eq!(
            matches!(number, Number::Whole(_)),
            name == "status",
            "{name}"
        );
        let scale = 10_f64.powi(places(name) as i32);
        assert_eq!(value, (value * scale).round() / scale, "{name} {value}");
        let limits = match name.as_str() {
            "latitude" => -90.0..=90.0,
            "longitude" => -180.0..=180.0,
            "elevation" | "current_load" | "load_capacity" => 0.0..=5_000.0,
            "velocity" | "grade" => 0.0..=100.0,
            "heading" => 0.0..=360.0,
            "fuel_consumption" => 0.0..=50.0,
            "fuel_state" => 0.0..=1.0,
            "status" => 0.0..=5.0,
            "fuel_capacity" => 150.0..=300.0,
            "nominal_fuel_consumption" => 12.0..=19.0,
            _ => panic!("{name}"),
        };
        assert!(limits.contains(&value), "{name} {value}");
    }
    assert_eq!(seen.len(), 13);
}

#[test]
fn rows_of_trucks_are_lost_in_part_and_in_whole() {
    let plan = plan_of("iot", 100, 250);
    let rows = rows(&plan);
    let near = |count: usize, of: usize, expected: f64, tolerance: f64, what: &str| {
        let share = count as f64 / of as f64;
        assert!((share - expected).abs() < tolerance, "{what} {share}");
    };
    near(rows.len(), 2 * 100 * 250, 0.99 * 0.9, 0.004, "sent");
    let tags_lost = rows.iter().filter(|row| row.tags.len() < 5).count();
    near(tags_lost, rows.len(), 0.01 * 5.0 / 8.0, 0.001, "tags lost");
    assert!(rows.iter().any(|row| row.tags[0].0 != "name"));
    let has_load = |row: &&Row| row.fields.iter().any(|(name, _)| name == "load_capacity");
    let load_lost = rows.len() - rows.iter().filter(has_load).count();
    near(
        load_lost,
        rows.len(),
        0.01 / 8.0,
        0.0005,
        "first field lost",
    );
    for (measurement, full) in [("readings", 10), ("diagnostics", 6)] {
        let fields: Vec<usize> = rows
            .iter()
            .filter(|row| row.measurement == measurement)
            .map(|row| row.fields.len())
            .collect();
        let less = fields.iter().filter(|fields| **fields < full).count();
        near(
            less,
            fields.len(),
            0.1 + 0.9 * 0.01 * 3.0 / 8.0,
            0.006,
            measurement,
        );
        assert!(
            fields
                .iter()
                .all(|fields| (full - 2..=full).contains(fields))
        );
    }

    // Whole batches are lost: the rows of ten neighbours at once, far oftener than ten alone would be.
    let mut sent: HashSet<(&str, i64, usize)> = HashSet::new();
    for row in rows.iter().filter(|row| row.tags[0].0 == "name") {
        let truck: usize = row.tags[0]
            .1
            .strip_prefix("truck_")
            .unwrap()
            .parse()
            .unwrap();
        sent.insert((&row.measurement, row.time_ns, truck / 10));
    }
    let batches = 2 * 10 * 250;
    near(batches - sent.len(), batches, 0.01, 0.005, "batches lost");
}

#[test]
fn rows_of_trucks_overtake_one_another() {
    let rows = rows(&plan_of("iot", 20, 1_000));
    let mut newest_ns = 0;
    let mut late = 0;
    for row in &rows {
        newest_ns = newest_ns.max(row.time_ns);
        late += usize::from(row.time_ns < newest_ns);
    }
    let share = late as f64 / rows.len() as f64;
    assert!((0.024..0.032).contains(&share), "{share}");
}

#[test]
fn machines_of_churn_come_and_go() {
    let plan = plan_of("churn", 400, 100);
    let rows = rows(&plan);
    assert!(rows.is_sorted_by_key(|row| row.time_ns));
    let mut lives: HashMap<&str, Vec<i64>> = HashMap::new();
    let mut fields: HashMap<&str, HashSet<usize>> = HashMap::new();
    for row in &rows {
        assert_eq!(row.measurement, "generic_metrics");
        let host = row.tags[0].1.as_str();
        lives
            .entry(host)
            .or_default()
            .push((row.time_ns - plan.start_ns) / plan.interval_ns);
        fields.entry(host).or_default().insert(row.fields.len());
        for (number, (name, value)) in row.fields.iter().enumerate() {
            assert_eq!(*name, format!("metric_{number}"));
            assert!(matches!(value, Number::Whole(0..=1_000)));
        }
    }
    assert_eq!(lives.len(), 400);
    for (host, epochs) in &lives {
        let unbroken = epochs.windows(2).all(|pair| pair[1] == pair[0] + 1);
        assert!(unbroken, "{host}");
    }
    let at_first = lives.values().filter(|epochs| epochs[0] == 0).count();
    assert_eq!(at_first, 200);
    let halfway = lives.values().filter(|epochs| epochs[0] <= 50).count();
    assert!((295..=305).contains(&halfway), "{halfway}");
    let at_last = lives
        .values()
        .filter(|epochs| epochs.ends_with(&[99]))
        .count();
    assert!((190..280).contains(&at_last), "{at_last}");

    assert!(fields.values().all(|counts| counts.len() == 1));
    let count = |host: &str| *fields[host].iter().next().unwrap();
    assert_eq!(count("host_0"), 100);
    let few = fields.keys().filter(|host| count(host) <= 10).count();
    assert!((190..260).contains(&few), "{few}");
}

#[test]
fn the_most_fields_of_churn_can_be_chosen() {
    let plan = plan(&[
        "--use-case",
        "devops-generic",
        "--hosts",
        "1",
        "--fields-max",
        "2000",
    ]);
    let mut line = Vec::new();
    assert_eq!(
        Rows::new(&plan).write(1, &mut line),
        Written {
            rows: 1,
            values: 2_000
        }
    );
}
