//! The benchmark measures this binary, in small: every step works, and its page is whole. How fast anything is, is never asked here.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::harness::temporary_folder;

#[test]
fn a_small_report_has_every_figure() {
    let folder = temporary_folder();
    let output = folder.path().join("report");
    let folder_of_report = output.display().to_string();
    let mut arguments = vec![
        "influxdb3-bench",
        "report",
        "--engine",
        concat!("influxdb3=", env!("CARGO_BIN_EXE_influxdb3")),
        "--scale",
        "smoke",
        "--output",
        &folder_of_report,
    ];
    // DuckDB is asked the same of our files, where it is there.
    let python = std::env::var("GNOMON_PYTHON").unwrap_or_default();
    let has_duckdb = Command::new(&python)
        .args(["-c", "import duckdb, pyarrow"])
        .status()
        .is_ok_and(|status| status.success());
    if has_duckdb {
        arguments.extend(["--python", &python, "--in-process", "duckdb"]);
    }
    if let Err(error) = bench::run(arguments.into_iter().map(Into::into)) {
        panic!("{}", bench::with_sources(&*error));
    }

    let page = std::fs::read_to_string(output.join("report.md")).expect("a page");
    for absent in ["not measured", "What failed", "NaN", "other answers"] {
        assert!(!page.contains(absent), "{absent}\n{page}");
    }
    for plot in page.lines().filter_map(|line| line.strip_prefix("![")) {
        let file = plot
            .split_once("](")
            .and_then(|(_, rest)| rest.strip_suffix(')'))
            .expect("a picture");
        let svg = std::fs::read_to_string(output.join(file)).expect("a plot");
        assert!(
            svg.starts_with("<svg") && svg.ends_with("</svg>\n"),
            "{file}"
        );
    }

    // What was written is what was counted, and questions have the rows that TSBS says.
    let records = std::fs::read_to_string(output.join("records.jsonl")).expect("records");
    let records: Vec<Value> = records
        .lines()
        .map(|line| serde_json::from_str(line).expect("a record"))
        .collect();
    let mut of_commands: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for record in &records {
        let command = record["command"].as_str().expect("a command");
        of_commands.entry(command).or_default().push(record);
    }
    let commands: Vec<&str> = of_commands.keys().copied().collect();
    assert_eq!(
        commands,
        [
            "churn", "idle", "late", "load", "mixed", "query", "restart", "tiny"
        ]
    );
    let rows = |record: &Value| record["figures"]["rows"].as_f64().expect("rows");
    assert_eq!(rows(of_commands["load"][0]), 28_800.0);
    assert_eq!(rows(of_commands["restart"][0]), 28_800.0);
    let answered = |name: &str| {
        let found = of_commands["query"]
            .iter()
            .find(|record| record["name"] == name);
        rows(found.expect("the question was asked"))
    };
    for language in ["", " flight"] {
        assert_eq!(answered(&format!("lastpoint{language}")), 20.0);
        assert_eq!(answered(&format!("double-groupby-1{language}")), 260.0);
        assert_eq!(answered(&format!("groupby-orderby-limit{language}")), 5.0);
    }
}
