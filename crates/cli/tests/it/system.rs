//! `show system`, `show nodes`, `show plugins`, `show retention`: lists that are made of system tables (spec/cli.md §7.3,
//! spec/system-tables.md §6).

use serde_json::{Value, json};

use crate::harness::fake_server::FakeServer;
use crate::harness::{Server, Setup, influxdb3};

const LINE: &str = "cpu,t1=a,t2=b,t3=c f1=true,f2=\"hello\",f3=4i,f4=4u,f5=5 1000";

fn server() -> Server {
    let server = Server::start(Setup::memory());
    server.write("foo", "nanosecond", LINE);
    server
}

/// `show system` with its options where they have to be, then what is asked of it.
fn show(server: &Server, words: &[&str]) -> crate::harness::Ran {
    let arguments = [&["--database", "foo"], words].concat();
    server.cli(&["show", "system"], &arguments)
}

#[test]
fn the_list_has_the_columns_of_every_table() {
    let server = server();
    let list = show(&server, &["table-list", "--format", "json"]).succeeded();
    let list: Vec<Value> = serde_json::from_str(&list).expect("rows");
    let columns = |name: &str| -> String {
        let row = list.iter().find(|row| row["table_name"] == name);
        let names = row.and_then(|row| row["column_names"].as_array());
        let names = names.unwrap_or_else(|| panic!("no {name} in {list:?}"));
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        names.join(" ")
    };
    for (table, expected) in [
        (
            "distinct_caches",
            "table name column_ids column_names max_cardinality max_age_seconds",
        ),
        ("influxdb_schema", "measurement key data_type"),
        (
            "last_caches",
            "table name key_column_ids key_column_names value_column_ids value_column_names count ttl",
        ),
        (
            "parquet_files",
            "table_name path size_bytes row_count min_time max_time",
        ),
        (
            "processing_engine_logs",
            "event_time trigger_name log_level log_text",
        ),
        (
            "processing_engine_trigger_arguments",
            "trigger_name argument_key argument_value",
        ),
        (
            "processing_engine_triggers",
            "trigger_name plugin_filename trigger_specification disabled error_behavior",
        ),
    ] {
        assert_eq!(columns(table), expected, "{table}");
    }
    let names: Vec<&str> = list
        .iter()
        .filter_map(|row| row["table_name"].as_str())
        .collect();
    assert!(names.is_sorted(), "{names:?}");
    let pretty = show(&server, &["table-list"]).succeeded();
    let expected = "| influxdb_schema                     | [measurement, key, data_type]";
    assert!(pretty.contains(expected), "{pretty}");
}

#[test]
fn a_summary_shows_some_rows_of_every_table() {
    let server = server();
    let summary = show(&server, &["summary"]).succeeded();
    let schema = "influxdb_schema summary:\n\
        +-------------+------+-----------+\n\
        | measurement | key  | data_type |\n\
        +-------------+------+-----------+\n\
        | cpu         | f1   | boolean   |\n\
        | cpu         | f2   | string    |\n\
        | cpu         | f3   | integer   |\n\
        | cpu         | f4   | uinteger  |\n\
        | cpu         | f5   | float     |\n\
        | cpu         | t1   | tag       |\n\
        | cpu         | t2   | tag       |\n\
        | cpu         | t3   | tag       |\n\
        | cpu         | time | time      |\n\
        +-------------+------+-----------+\n";
    assert!(summary.contains(schema), "{summary}");
    for empty in ["distinct_caches", "parquet_files", "processing_engine_logs"] {
        let part = format!("{empty} summary:\n++\n++\n");
        assert!(summary.contains(&part), "{empty}: {summary}");
    }
}

#[test]
fn one_table_with_chosen_columns_order_and_length() {
    let server = server();
    let words = [
        "table",
        "--limit",
        "2",
        "--order-by",
        "data_type desc,key",
        "--select",
        "key,data_type",
        "--format",
        "csv",
        "influxdb_schema",
    ];
    let rows = show(&server, &words).succeeded();
    assert_eq!(rows.trim_end(), "key,data_type\nf4,uinteger\ntime,time");
    let all = ["table", "-l", "0", "-s", "key", "influxdb_schema"];
    assert_eq!(show(&server, &all).succeeded().lines().count(), 13);
}

#[test]
fn a_table_that_is_none_is_told_with_those_there_are() {
    let server = server();
    for name in ["nope", "cpu"] {
        let error = show(&server, &["table", name]).failed(1);
        let start = format!(
            "Show command failed: system table '{name}' not found: please use a valid system table name: \
             [\"distinct_caches\", \"influxdb_schema\", \"last_caches\", \"parquet_files\", \"processing_engine_logs\", \
             \"processing_engine_trigger_arguments\", \"processing_engine_triggers\""
        );
        assert!(error.starts_with(&start), "{error}");
    }
    let error = server
        .cli(
            &["show", "system", "--database", "nowhere"],
            &["table", "queries"],
        )
        .failed(1);
    assert!(error.contains("database not found: nowhere"), "{error}");
}

#[test]
fn the_database_has_to_be_named() {
    let line = ["show", "system", "--host", "http://127.0.0.1:1", "summary"];
    let error = influxdb3(&line).failed(2);
    assert_eq!(
        error,
        "error: the following required arguments were not provided:\n  --database <DATABASE_NAME>\n\n\
         Usage: influxdb3 show system --database <DATABASE_NAME> --host <HOST_URL> <COMMAND>\n\n\
         For more information, try '--help'.\n"
    );
}

#[test]
fn options_of_the_connection_stand_where_they_always_did() {
    let server = FakeServer::answering("200 OK", "[]");
    let host = server.url();
    let line = [
        "show",
        "system",
        "--host",
        &host,
        "-d",
        "foo",
        "--token",
        "t",
        "table-list",
        "--tls-no-verify",
        "--format",
        "jsonl",
    ];
    influxdb3(&line).succeeded();
    let requests = server.requests();
    assert_eq!(requests[0].line, "POST /api/v3/query_sql HTTP/1.1");
    assert_eq!(requests[0].header("authorization"), Some("Bearer t"));
    assert_eq!(requests[0].json()["db"], "foo");
    assert_eq!(requests[0].json()["format"], "json_lines");
}

#[test]
fn a_node_tells_how_it_was_started() {
    let server = Server::start(Setup::memory());
    let rows = server
        .cli(&["show", "nodes"], &["--format", "json"])
        .succeeded();
    let rows: Vec<Value> = serde_json::from_str(&rows).expect("rows");
    let [node] = rows.as_slice() else {
        panic!("not one node: {rows:?}");
    };
    assert_eq!(node["node_id"], "test-server");
    assert_eq!(node["mode"], json!(["core"]));
    assert_eq!(node["state"], "running");
    assert!(node["core_count"].as_u64() > Some(0), "{node}");
    assert_eq!(node["instance_id"].as_str().map(str::len), Some(36));
    assert!(node["updated_at"].is_string(), "{node}");
    let options = node["cli_params"].as_str().expect("a text");
    let options: Value = serde_json::from_str(options).expect("an object");
    assert_eq!(options["node-id"], "test-server");
    assert_eq!(options["object-store"], "memory");
    assert_eq!(options["without-auth"], "*******");
    assert_eq!(options["num-table-limit"], Value::Null);
}

#[test]
fn retention_in_the_largest_unit_that_fits() {
    let server = Server::start(Setup::memory());
    for (name, period) in [("a", "30d"), ("b", "36h"), ("c", "90m"), ("d", "61s")] {
        let words = ["--retention-period", period, name];
        server.cli(&["create", "database"], &words).succeeded();
    }
    server.cli(&["create", "database"], &["e"]).succeeded();
    let show = |more: &[&str]| {
        let arguments = [&["--format", "csv"], more].concat();
        server.cli(&["show", "retention"], &arguments).succeeded()
    };
    assert_eq!(
        show(&[]).trim_end(),
        "database_name,retention_period\n_internal,7d\na,30d\nb,36h\nc,90m\nd,61s\ne,infinite"
    );
    let one = show(&["--database", "c"]);
    assert_eq!(one.trim_end(), "database_name,retention_period\nc,90m");
    assert_eq!(show(&["--database", "' OR '' = '"]).trim_end(), "");
}

#[test]
fn without_triggers_there_are_no_plugins() {
    let server = Server::start(Setup::memory());
    let rows = server
        .cli(&["show", "plugins"], &["--format", "json"])
        .succeeded();
    assert_eq!(rows, "[]\n");
}
