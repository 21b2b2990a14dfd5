//! Statements described without running them, and lists of tables.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, UnionArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Field, Schema, UnionFields};

use query::{ErrorKind, Parameter, Query, QueryEngine};

use crate::node::Node;

async fn node() -> Node {
    let node = Node::start().await;
    node.write(
        "db",
        "cpu,host=a usage=1,n=1i 10\ncpu,host=b usage=2,n=2i 20\nmem v=1 1",
    )
    .await;
    node
}

fn ask(text: &str, parameters: Vec<(String, Parameter)>) -> Query {
    Query {
        database: "db".to_string(),
        text: text.to_string(),
        parameters,
        may_delete: true,
        access: query::Access::Everything,
        origin: query::Origin::default(),
    }
}

/// `name TYPE, …` of what it asks for and what it answers with, or the error.
async fn described(node: &Node, text: &str) -> String {
    match node.queries.describe(ask(text, Vec::new())).await {
        Ok(found) => {
            let asks: Vec<String> = found
                .parameters
                .iter()
                .map(|(name, kind)| format!("{name} {kind}"))
                .collect();
            let kind = if found.is_delete { " deleting" } else { "" };
            format!("{} ->{kind} {}", asks.join(", "), columns(&found.schema))
        }
        Err(error) => format!("{:?}", error.kind()),
    }
}

fn columns(schema: &Schema) -> String {
    let columns = schema.fields().iter().map(|field| {
        let null = if field.is_nullable() { "" } else { " not null" };
        format!("{} {}{null}", field.name(), field.data_type())
    });
    columns.collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn parameters_have_the_types_of_their_places() {
    let node = node().await;
    let cases = [
        (
            "SELECT n FROM cpu WHERE host = $2 AND usage > $1",
            "1 Float64, 2 Utf8 -> n Int64",
        ),
        (
            "SELECT n FROM cpu WHERE time >= $since AND n IN ($a, $b)",
            "since Timestamp(ns), a Int64, b Int64 -> n Int64",
        ),
        (
            "SELECT n FROM cpu LIMIT $1 OFFSET $2",
            "1 Int64, 2 Int64 -> n Int64",
        ),
        (
            "SELECT host FROM cpu WHERE host LIKE $1",
            "1 Utf8 -> host Dictionary(Int32, Utf8)",
        ),
        ("SELECT $1 AS a", "1 Utf8 -> a Utf8"),
        ("SELECT abs($1) AS a FROM mem", "1 Utf8 -> a Float64"),
        // In two places of two types the first counts.
        (
            "SELECT n FROM cpu WHERE n > $1 OR usage > $1",
            "1 Int64 -> n Int64",
        ),
        ("SELECT count(*) AS c FROM cpu", " -> c Int64 not null"),
        (
            "DELETE FROM cpu WHERE host = $1",
            "1 Utf8 -> deleting count UInt64 not null",
        ),
        ("SELECT x FROM cpu", "Invalid"),
        ("SELECT n FROM nothing", "Invalid"),
        ("CREATE TABLE t (a INT)", "Invalid"),
        ("GRANT ALL ON cpu TO x", "Unsupported"),
    ];
    for (text, expected) in cases {
        assert_eq!(described(&node, text).await, expected, "{text}");
    }
    node.stop().await;
}

#[tokio::test]
async fn the_schema_described_is_the_one_that_comes() {
    let node = node().await;
    for text in [
        "SELECT * FROM cpu",
        "SELECT host, max(usage), count(*) FROM cpu GROUP BY host",
        "SELECT a.n, b.v FROM cpu a LEFT JOIN mem b ON a.time = b.time",
        "SELECT n FROM cpu UNION ALL SELECT 1",
        "EXPLAIN SELECT 1",
        "SHOW TABLES",
        "SELECT sum(n) OVER (ORDER BY time) FROM cpu",
        "SELECT 1, 'x', NULL, true, now(), interval '1 hour'",
        "SELECT (SELECT max(n) FROM cpu) AS m, CASE WHEN usage > 1 THEN 'hot' END FROM cpu",
    ] {
        let described = node
            .queries
            .describe(ask(text, Vec::new()))
            .await
            .expect(text);
        let (schema, _) = node.query("db", text, Vec::new()).await.expect(text);
        assert_eq!(described.schema, schema, "{text}");
    }
    // Nothing was run.
    assert!(
        described(&node, "DELETE FROM cpu")
            .await
            .contains("deleting")
    );
    let (_, rows) = node
        .query("db", "SELECT n FROM cpu", Vec::new())
        .await
        .expect("rows");
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 2);
    let mut elsewhere = ask("SELECT 1", Vec::new());
    elsewhere.database = "nowhere".to_string();
    let error = node
        .queries
        .describe(elsewhere)
        .await
        .expect_err("no such database");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.message(), "database not found: nowhere");
    node.stop().await;
}

#[tokio::test]
async fn values_of_any_arrow_type_are_bound() {
    let node = node().await;
    let text: ArrayRef = Arc::new(StringArray::from(vec!["b"]));
    let union = UnionArray::try_new(
        UnionFields::try_new(vec![0], vec![Field::new("i", DataType::Int64, true)])
            .expect("fields"),
        ScalarBuffer::from(vec![0_i8]),
        Some(ScalarBuffer::from(vec![0_i32])),
        vec![Arc::new(Int64Array::from(vec![2]))],
    )
    .expect("a union");
    let values = vec![
        ("host".to_string(), Parameter::Arrow(text)),
        ("n".to_string(), Parameter::Arrow(Arc::new(union))),
    ];
    let statement = "SELECT usage FROM cpu WHERE host = $host AND n = $n";
    let (_, rows) = node.query("db", statement, values).await.expect("rows");
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 1);
    let two: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let error = node
        .query(
            "db",
            "SELECT $n",
            vec![("n".to_string(), Parameter::Arrow(two))],
        )
        .await
        .expect_err("two values");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    node.stop().await;
}

#[tokio::test]
async fn tables_are_listed_by_schema_and_name() {
    let node = node().await;
    let tables = node
        .queries
        .tables("db", &query::Access::Everything, true)
        .await
        .expect("the database exists");
    let named = |schema: &str| -> Vec<&str> {
        let of_schema = tables.iter().filter(|table| table.schema == schema);
        of_schema.map(|table| table.name.as_str()).collect()
    };
    assert_eq!(named("iox"), ["cpu", "mem"]);
    assert!(named("system").contains(&"parquet_files"));
    assert!(named("information_schema").contains(&"columns"));
    assert!(
        tables
            .iter()
            .all(|table| QueryEngine::SCHEMAS.contains(&table.schema)
                && table.is_view == (table.schema == "information_schema"))
    );
    let cpu = tables
        .iter()
        .find(|table| table.name == "cpu")
        .expect("a table");
    let cpu = cpu.columns.as_ref().expect("asked for");
    assert_eq!(
        columns(cpu),
        "host Dictionary(Int32, Utf8), n Int64, time Timestamp(ns) not null, usage Float64"
    );
    let names_only = node
        .queries
        .tables("db", &query::Access::Everything, false)
        .await
        .expect("the database exists");
    assert!(names_only.iter().all(|table| table.columns.is_none()));
    assert_eq!(names_only.len(), tables.len());
    let error = node
        .queries
        .tables("nowhere", &query::Access::Everything, false)
        .await
        .expect_err("no such database");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    node.stop().await;
}
