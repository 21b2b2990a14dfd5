//! What an answer carries besides its values: types, metadata, error kinds, and an end when it is dropped.

use arrow::datatypes::{DataType, TimeUnit};
use futures::StreamExt;

use query::{ErrorKind, Query};

use crate::node::Node;

#[tokio::test]
async fn columns_keep_their_types_and_metadata() {
    let node = Node::start().await;
    node.write("db", "cpu,host=a usage=1,n=1i,u=1u,s=\"x\",b=true 10")
        .await;
    let (schema, batches) = node
        .query("db", "SELECT * FROM cpu", Vec::new())
        .await
        .expect("the table exists");
    let columns: Vec<(&str, &DataType, bool, Option<&str>)> = schema
        .fields()
        .iter()
        .map(|field| {
            let kind = field
                .metadata()
                .get("iox::column::type")
                .map(String::as_str);
            (
                field.name().as_str(),
                field.data_type(),
                field.is_nullable(),
                kind,
            )
        })
        .collect();
    let tag = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let time = DataType::Timestamp(TimeUnit::Nanosecond, None);
    assert_eq!(
        columns,
        [
            (
                "b",
                &DataType::Boolean,
                true,
                Some("iox::column_type::field::boolean")
            ),
            ("host", &tag, true, Some("iox::column_type::tag")),
            (
                "n",
                &DataType::Int64,
                true,
                Some("iox::column_type::field::integer")
            ),
            (
                "s",
                &DataType::Utf8,
                true,
                Some("iox::column_type::field::string")
            ),
            ("time", &time, false, Some("iox::column_type::timestamp")),
            (
                "u",
                &DataType::UInt64,
                true,
                Some("iox::column_type::field::uinteger")
            ),
            (
                "usage",
                &DataType::Float64,
                true,
                Some("iox::column_type::field::float")
            ),
        ]
    );
    for batch in &batches {
        assert_eq!(batch.schema().fields(), schema.fields());
    }
    let (schema, _) = node
        .query(
            "db",
            "SELECT host, usage AS u2 FROM cpu WHERE host = 'a' ORDER BY time",
            Vec::new(),
        )
        .await
        .expect("the columns exist");
    let kind = |index: usize| {
        schema
            .field(index)
            .metadata()
            .get("iox::column::type")
            .cloned()
    };
    assert_eq!(kind(0).as_deref(), Some("iox::column_type::tag"));
    node.stop().await;
}

#[tokio::test]
async fn no_answer_has_view_types() {
    let node = Node::start().await;
    node.write("db", "cpu,host=a s=\"abc\" 10").await;
    let statement = "SELECT s, 'x', s::varchar AS c, substr(s, 1, 2), trim(s), concat(s, host), \
                     split_part(s, 'b', 1), arrow_typeof(s), to_char(time, '%Y'), string_agg(s, ',') OVER () \
                     FROM cpu";
    let (schema, _) = node
        .query("db", statement, Vec::new())
        .await
        .expect("all functions exist");
    for field in schema.fields() {
        let kind = field.data_type();
        assert!(
            matches!(kind, DataType::Utf8 | DataType::LargeUtf8),
            "{field}"
        );
    }
    node.stop().await;
}

#[tokio::test]
async fn a_query_beyond_its_memory_is_told_to_come_back() {
    let node = Node::with_memory(100_000).await;
    let lines: Vec<String> = (0..5_000)
        .map(|at| format!("cpu,host=h{at} usage={at} {at}"))
        .collect();
    node.write("db", &lines.join("\n")).await;
    let error = node
        .query(
            "db",
            "SELECT host, array_agg(usage) FROM cpu GROUP BY host",
            Vec::new(),
        )
        .await
        .expect_err("memory runs out");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(
        error
            .message()
            .starts_with("query error: error while executing plan: "),
        "{error}"
    );
    // What it held is free again.
    node.query("db", "SELECT count(*) FROM cpu", Vec::new())
        .await
        .expect("a small query fits");
    node.stop().await;
}

#[tokio::test]
async fn a_dropped_answer_ends_its_query() {
    let node = Node::start().await;
    node.write("db", "cpu usage=1 10").await;
    let query = Query {
        database: "db".to_string(),
        text: "SELECT a.value FROM generate_series(1, 10) a, generate_series(1, 100000000000) b"
            .to_string(),
        parameters: Vec::new(),
        may_delete: false,
        access: query::Access::Everything,
        origin: query::Origin::default(),
    };
    let mut result = node.queries.sql(query).await.expect("it can be planned");
    assert!(
        result
            .batches
            .next()
            .await
            .expect("rows without end")
            .is_ok()
    );
    drop(result);
    node.query("db", "SELECT usage FROM cpu", Vec::new())
        .await
        .expect("nothing is left behind");
    node.stop().await;
}

#[tokio::test]
async fn a_deleted_database_is_gone() {
    let node = Node::start().await;
    node.write("db", "cpu usage=1 10").await;
    node.catalog
        .delete_database("db", catalog::HardDelete::Never)
        .await
        .expect("it exists");
    let error = node
        .query("db", "SELECT 1", Vec::new())
        .await
        .expect_err("it was deleted");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.message(), "database not found: db");
    node.stop().await;
}

#[tokio::test]
async fn a_lost_file_ends_the_answer_with_storages_own_error() {
    let node = Node::start().await;
    node.write("db", "cpu usage=1 10").await;
    node.storage.persist().await.expect("the store works");
    let lost = node.delete_data_files().await;
    assert_eq!(lost, 1);
    let error = node
        .query("db", "SELECT usage FROM cpu", Vec::new())
        .await
        .expect_err("the rows are gone");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.message().ends_with(" is gone"), "{error}");
    node.stop().await;
}

/// Four writes of rows that are neither in series order nor in time order, with files in between.
#[tokio::test]
async fn many_rows_in_files_and_buffer_are_each_counted_once() {
    const SERIES: usize = 25;
    const TIMES: usize = 2_000;
    let node = Node::start().await;
    for round in 0..4 {
        let lines: Vec<String> = (0..SERIES * TIMES / 2)
            .map(|at| {
                // Rounds 0 and 2 cover the even times, 1 and 3 the odd ones again and again.
                let time = (at / SERIES * 7 % (TIMES / 2)) * 2 + round % 2;
                let series = at * 11 % SERIES;
                format!("cpu,host=h{series} usage={round},at={time}i {time}")
            })
            .collect();
        node.write("db", &lines.join("\n")).await;
        if round < 2 {
            node.storage.persist().await.expect("the store works");
        }
    }
    let checks = [
        ("SELECT count(*) FROM cpu", (SERIES * TIMES).to_string()),
        ("SELECT count(DISTINCT host) FROM cpu", SERIES.to_string()),
        (
            "SELECT count(*) FROM cpu WHERE host = 'h3'",
            TIMES.to_string(),
        ),
        ("SELECT count(*) FROM cpu WHERE usage < 2", "0".to_string()),
        (
            "SELECT sum(at) FROM cpu WHERE host IN ('h1', 'h2') AND time < '1970-01-01T00:01:40Z'",
            (2 * 99 * 100 / 2).to_string(),
        ),
        (
            "SELECT at FROM cpu WHERE host = 'h24' ORDER BY time DESC LIMIT 1",
            (TIMES - 1).to_string(),
        ),
        (
            "SELECT count(*) FROM (SELECT at FROM cpu LIMIT 777)",
            "777".to_string(),
        ),
    ];
    for (statement, expected) in checks {
        let (_, batches) = node
            .query("db", statement, Vec::new())
            .await
            .expect("the statement runs");
        let shown = arrow::util::pretty::pretty_format_batches(&batches).expect("numbers");
        let shown = shown.to_string();
        let value = shown
            .lines()
            .nth(3)
            .unwrap_or_default()
            .trim_matches(['|', ' ']);
        assert_eq!(value, expected, "{statement}");
    }
    node.stop().await;
}

/// Deep enough to overflow a stack, if nothing stopped it; the process would end and take the other tests along.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_nests_too_deeply_is_refused() {
    let node = Node::start().await;
    node.write("db", "cpu,host=h1 usage=1 10").await;
    let statement = |terms: usize| {
        let terms: Vec<String> = (0..terms)
            .map(|at| format!("host = 'h{at}' OR usage > {at}"))
            .collect();
        format!("SELECT usage FROM cpu WHERE {}", terms.join(" OR "))
    };
    // Each term has two comparisons and two ORs.
    let (_, rows) = node
        .query("db", &statement(120), Vec::new())
        .await
        .expect("it is within the bound");
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 1);
    let error = node
        .query("db", &statement(50_000), Vec::new())
        .await
        .expect_err("it is beyond the bound");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    node.stop().await;
}

#[tokio::test]
async fn who_may_not_delete_deletes_nothing() {
    let node = Node::start().await;
    node.write("db", "cpu usage=1 10").await;
    let query = |text: &str| Query {
        database: "db".to_string(),
        text: text.to_string(),
        parameters: Vec::new(),
        may_delete: false,
        access: query::Access::Everything,
        origin: query::Origin::default(),
    };
    let refused = node.queries.sql(query("DELETE FROM cpu")).await;
    let refused = refused.map(|_| ()).expect_err("not allowed");
    assert_eq!(refused.kind(), ErrorKind::Denied, "{refused}");
    let (_, rows) = node
        .query("db", "SELECT usage FROM cpu", Vec::new())
        .await
        .expect("it is still there");
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 1);
    node.stop().await;
}

#[tokio::test]
async fn a_delete_answers_with_one_count() {
    let node = Node::start().await;
    node.write("db", "cpu,host=a usage=1 10\ncpu,host=b usage=2 10")
        .await;
    let (schema, rows) = node
        .query("db", "DELETE FROM cpu WHERE usage < 5", Vec::new())
        .await
        .expect("it can be deleted");
    let field = schema.field(0);
    assert_eq!(
        (
            schema.fields().len(),
            field.name().as_str(),
            field.data_type()
        ),
        (1, "count", &DataType::UInt64)
    );
    let shown = arrow::util::pretty::pretty_format_batches(&rows).expect("a number");
    assert!(shown.to_string().contains("| 2     |"), "{shown}");
    node.stop().await;
}

#[tokio::test]
async fn files_are_listed_with_their_table() {
    let node = Node::start().await;
    node.write("db", "cpu,host=a usage=1 10\nmem,host=a used=2 20")
        .await;
    let files = async |condition: &str| {
        let text = format!(
            "SELECT table_name, size_bytes > 0, row_count, min_time, max_time FROM system.parquet_files {condition} ORDER BY table_name"
        );
        let (_, batches) = node
            .query("db", &text, Vec::new())
            .await
            .expect("it is there");
        let shown = arrow::util::pretty::pretty_format_batches(&batches).expect("text");
        let rows = shown.to_string();
        let rows = rows.lines().skip(3).filter(|line| line.starts_with('|'));
        rows.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
    };
    assert!(files("").await.is_empty());
    node.storage.persist().await.expect("the store works");
    let cpu = "| cpu | true | 1 | 10000000000 | 10000000000 |";
    let mem = "| mem | true | 1 | 20000000000 | 20000000000 |";
    assert_eq!(files("").await, [cpu, mem]);
    assert_eq!(files("WHERE table_name = 'mem'").await, [mem]);
    assert_eq!(
        files("WHERE 'cpu' = table_name AND row_count = 1").await,
        [cpu]
    );
    assert_eq!(
        files("WHERE table_name = 'cpu' OR table_name = 'mem'").await,
        [cpu, mem]
    );
    node.catalog
        .delete_table("db", "cpu", catalog::HardDelete::Now)
        .await
        .expect("it exists");
    assert_eq!(files("").await, [mem]);
    node.stop().await;
}
