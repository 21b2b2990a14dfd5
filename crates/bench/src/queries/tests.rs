//! Questions in every language, as text; how many rows they expect; and that chance is the same for the same seed.

use super::language::Width;
use super::window::Window;
use super::{Kind, Language, Question, Use};
use crate::answer::Order;
use crate::random::Random;
use crate::workload::WorkloadOptions;
use clap::Parser;
use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    workload: WorkloadOptions,
}

fn workload(arguments: &[&str]) -> WorkloadOptions {
    Arguments::parse_from([&["test"], arguments].concat()).workload
}

fn question(name: &str, arguments: &[&str], aligned: bool) -> Result<Question, String> {
    let workload = workload(arguments);
    let kind: Kind = name.parse()?;
    let mut random = kind.random(workload.seed, Use::Count);
    kind.draw(&workload, aligned, &mut random)
        .map_err(|error| error.to_string())
}

fn said(question: &Question, language: Language) -> String {
    match question.statement(language) {
        Ok(statement) => match statement.to_json() {
            serde_json::Value::String(text) => text,
            range => range.to_string(),
        },
        Err(error) => format!("({error})"),
    }
}

/// Every type once in every language, as `testdata/questions.txt` has it; `UPDATE=1` rewrites that.
#[test]
fn every_question_is_said_in_every_language() {
    let mut text = String::new();
    for kind in Kind::all_cpu().chain(Kind::all_iot()) {
        let question = question(kind.name(), &["--hosts", "20"], true).expect("a question");
        let shape = question.shape();
        let columns: Vec<&str> = shape
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let rows = (shape.rows.start(), shape.rows.end());
        writeln!(text, "{kind}: {}", columns.join(" ")).expect("a string takes everything");
        writeln!(
            text,
            "  rows {} to {}, order {}",
            rows.0,
            rows.1,
            shape.order.name()
        )
        .expect("a string takes everything");
        for language in Language::ALL {
            writeln!(text, "  {}: {}", language.name(), said(&question, language))
                .expect("a string takes everything");
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/questions.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).expect("the file can be written");
    }
    let expected = std::fs::read_to_string(&path).expect("the file can be read");
    for (found, expected) in text.lines().zip(expected.lines()) {
        assert_eq!(found, expected, "UPDATE=1 rewrites {}", path.display());
    }
    assert_eq!(text.len(), expected.len());
}

#[test]
fn the_same_seed_gives_the_same_questions() {
    let some = |seed: &str, use_| -> Vec<String> {
        let workload = workload(&["--hosts", "1000", "--seed", seed]);
        let kind: Kind = "single-groupby-1-8-1".parse().expect("a type");
        let mut random = kind.random(workload.seed, use_);
        (0..20)
            .map(|_| {
                let question = kind
                    .draw(&workload, false, &mut random)
                    .expect("a question");
                said(&question, Language::Sql)
            })
            .collect()
    };
    let questions = some("5", Use::Count);
    assert_eq!(questions, some("5", Use::Count));
    let all: HashSet<String> = [questions, some("5", Use::WarmUp), some("6", Use::Count)]
        .concat()
        .into_iter()
        .collect();
    assert_eq!(all.len(), 60);
}

#[test]
fn a_question_asks_for_hosts_and_times_that_are_there() {
    let one_choice = ["--hosts", "1", "--end", "2016-01-01T01:00:00Z"];
    let only = question("single-groupby-1-1-1", &one_choice, false).expect("a question");
    assert_eq!(
        said(&only, Language::Sql),
        "SELECT date_bin(INTERVAL '1 minute', time) AS minute, max(usage_user) AS max_usage_user FROM cpu \
         WHERE hostname IN ('host_0') AND time >= '2016-01-01T00:00:00Z' AND time < '2016-01-01T01:00:00Z' \
         GROUP BY 1 ORDER BY 1"
    );
    let eight = question("single-groupby-5-8-1", &["--hosts", "9"], false).expect("a question");
    let eight = said(&eight, Language::Sql);
    let hosts: HashSet<&str> = eight
        .split('\'')
        .filter(|part| part.starts_with("host_"))
        .collect();
    assert_eq!(hosts.len(), 8, "{eight}");
}

/// What others publish: design/tsbs-workload.md, section 6.
#[test]
fn expected_rows_are_those_that_are_published() {
    let rows = |name: &str, aligned: bool| -> Vec<usize> {
        let workload = workload(&["--hosts", "4000", "--end", "2016-01-03T00:00:00Z"]);
        let kind: Kind = name.parse().expect("a type");
        let mut random = kind.random(1, Use::Count);
        let mut seen: Vec<usize> = (0..200)
            .flat_map(|_| {
                let question = kind
                    .draw(&workload, aligned, &mut random)
                    .expect("a question");
                let rows = question.shape().rows;
                [*rows.start(), *rows.end()]
            })
            .collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    };
    assert_eq!(rows("single-groupby-5-8-1", false), [60, 61]);
    assert_eq!(rows("single-groupby-5-8-1", true), [60]);
    assert_eq!(rows("single-groupby-1-1-12", false), [720, 721]);
    assert_eq!(rows("cpu-max-all-8", false), [9]);
    assert_eq!(rows("cpu-max-all-32-24", false), [24, 25]);
    assert_eq!(rows("cpu-max-all-32-24", true), [24]);
    assert_eq!(rows("double-groupby-all", false), [52_000]);
    assert_eq!(rows("high-cpu-1", false), [0, 4_320]);
    assert_eq!(rows("high-cpu-all", false), [0, 17_280_000]);
    assert_eq!(rows("lastpoint", false), [4_000]);
    assert_eq!(rows("groupby-orderby-limit", false), [5]);
}

#[test]
fn buckets_are_counted_as_if_each_row_was_looked_at() {
    let cases: [&[&str]; 4] = [
        &[],
        &["--interval", "7s", "--start", "2016-01-01T00:00:03Z"],
        &["--interval", "90s"],
        &["--interval", "25m", "--end", "2016-01-01T20:10:00Z"],
    ];
    for arguments in cases {
        let workload = workload(arguments);
        let (start_ns, end_ns) = (workload.start_ns().unwrap(), workload.end_ns().unwrap());
        let interval_ns = i64::try_from(workload.interval.as_nanos()).unwrap();
        let epochs = (end_ns - start_ns) / interval_ns;
        let mut random = Random::new(9, 9);
        for _ in 0..50 {
            let window = Window::draw(4_321, &workload, false, &mut random).expect("a window");
            let times: Vec<i64> = (0..epochs)
                .map(|epoch| start_ns + epoch * interval_ns)
                .filter(|time_ns| {
                    (window.start_s..window.end_s).contains(&time_ns.div_euclid(1_000_000_000))
                })
                .collect();
            assert_eq!(window.rows(&workload).unwrap(), times.len(), "{window:?}");
            for width in [Width::Minute, Width::Hour] {
                let width_ns = width.seconds() * 1_000_000_000;
                let buckets: HashSet<i64> =
                    times.iter().map(|time_ns| time_ns / width_ns).collect();
                let counted = window.buckets(width.seconds(), &workload).unwrap();
                assert_eq!(counted, buckets.len(), "{arguments:?} {window:?} {width:?}");
            }
        }
    }
}

#[test]
fn what_cannot_be_asked_is_told() {
    let told = |name: &str, arguments: &[&str], aligned: bool| {
        question(name, arguments, aligned).expect_err("an error")
    };
    assert_eq!(
        told("cpu-max-all-9", &[], false),
        "there is no question \"cpu-max-all-9\""
    );
    assert_eq!(
        told(
            "single-groupby-1-1-12",
            &["--end", "2016-01-01T11:59:59Z"],
            false
        ),
        "the question needs 12h of data, and the workload is from 2016-01-01T00:00:00Z to 2016-01-01T11:59:59Z"
    );
    let off_the_hour = [
        "--start",
        "2016-01-01T00:00:01Z",
        "--end",
        "2016-01-01T01:59:59Z",
    ];
    assert!(question("cpu-max-all-1", &off_the_hour, true).is_err());
    assert!(question("single-groupby-1-1-1", &off_the_hour, false).is_ok());
    assert!(
        told("single-groupby-1-1-1", &off_the_hour, true).contains("1h of data from a whole hour")
    );

    let unaligned = question("double-groupby-1", &[], false).expect("a question");
    let said = said(&unaligned, Language::Metricsql);
    assert!(
        said.contains("(MetricsQL cannot ask double-groupby-1:"),
        "{said}"
    );
    assert!(said.contains("--aligned"), "{said}");
}

#[test]
fn questions_say_which_order_they_ask_for() {
    let order = |name| {
        question(name, &[], false)
            .expect("a question")
            .shape()
            .order
    };
    assert_eq!(order("double-groupby-5"), Order::Ascending);
    assert_eq!(order("groupby-orderby-limit"), Order::Descending);
    assert_eq!(order("lastpoint"), Order::Any);
}
