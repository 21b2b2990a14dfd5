//! What a statement may see whose token may not see everything.

use std::sync::Arc;

use arrow::util::pretty::pretty_format_batches;
use catalog::{Action, Grant, Permissions};
use futures::TryStreamExt;
use query::{Access, ErrorKind, Query};

use crate::node::Node;

async fn node() -> Node {
    let node = Node::start().await;
    node.write("db", "mine,host=a f=1 10\nhidden,host=b f=2 10")
        .await;
    node.write("other", "t f=3 10").await;
    node.storage.persist().await.expect("the store works");
    node
}

/// Reading and deleting in `db.mine`, or in all of `db`.
fn access(node: &Node, only_table: bool) -> Access {
    let snapshot = node.catalog.snapshot();
    let database = snapshot.database("db").expect("there");
    let table = database.table("mine").expect("there");
    let (databases, tables) = if only_table {
        (Vec::new(), vec![(database.id, table.id)])
    } else {
        (vec![database.id], Vec::new())
    };
    let grant = Grant::Databases {
        databases,
        tables,
        actions: [Action::Read].into_iter().collect(),
    };
    Access::Of(Arc::new(Permissions::of(vec![grant])))
}

/// The answer as text, without the lines around it.
async fn answer(node: &Node, access: &Access, database: &str, text: &str) -> String {
    let query = Query {
        database: database.to_string(),
        text: text.to_string(),
        parameters: Vec::new(),
        may_delete: true,
        access: access.clone(),
        origin: query::Origin::default(),
    };
    let result = match node.queries.sql(query).await {
        Ok(result) => result,
        Err(error) => return format!("{:?}: {}", error.kind(), error.message()),
    };
    let batches: Vec<_> = result.batches.try_collect().await.expect("an answer");
    let table = pretty_format_batches(&batches).expect("text").to_string();
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(1);
    let cells = rows.map(|row| row.trim_matches('|').trim().to_string());
    cells.collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn a_table_that_may_not_be_read_is_not_there() {
    let node = node().await;
    let (narrow, wide) = (access(&node, true), access(&node, false));
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'iox'";
    let columns = "SELECT DISTINCT table_name FROM information_schema.columns \
                   WHERE table_schema = 'iox'";
    let files = "SELECT DISTINCT table_name FROM system.parquet_files";
    let described = "SELECT DISTINCT measurement FROM system.influxdb_schema";
    let named = "SELECT DISTINCT table_name FROM system.parquet_files WHERE table_name = 'hidden'";
    for (text, seen_narrow, seen_wide) in [
        (tables, "mine", "hidden, mine"),
        (columns, "mine", "hidden, mine"),
        (files, "mine", "hidden, mine"),
        (described, "mine", "hidden, mine"),
        (named, "", "hidden"),
        ("SELECT f FROM mine", "1.0", "1.0"),
    ] {
        let text = format!("SELECT * FROM ({text}) ORDER BY 1");
        assert_eq!(
            answer(&node, &narrow, "db", &text).await,
            seen_narrow,
            "{text}"
        );
        assert_eq!(answer(&node, &wide, "db", &text).await, seen_wide, "{text}");
    }
    // The same words as for a table that does not exist, however it is named.
    for text in [
        "SELECT * FROM TABLE",
        "SELECT * FROM public.iox.TABLE",
        "SELECT m.f FROM mine m JOIN TABLE h ON m.time = h.time",
        "EXPLAIN SELECT * FROM TABLE",
        "SHOW COLUMNS FROM TABLE",
        "DELETE FROM TABLE",
    ] {
        let of = |table: &str| text.replace("TABLE", table);
        let hidden = answer(&node, &narrow, "db", &of("hidden")).await;
        let absent = answer(&node, &narrow, "db", &of("absent")).await;
        assert!(hidden.starts_with("Invalid"), "{hidden}");
        assert_eq!(hidden.replace("hidden", "absent"), absent);
    }
    node.stop().await;
}

#[tokio::test]
async fn other_databases_are_closed_whether_they_exist_or_not() {
    let node = node().await;
    let narrow = access(&node, true);
    let refused = format!(
        "{:?}: reading the database is not allowed",
        ErrorKind::Denied
    );
    for database in ["other", "nosuch", "_internal"] {
        let found = answer(&node, &narrow, database, "SELECT 1").await;
        assert_eq!(found, refused, "{database}");
    }
    node.stop().await;
}

#[tokio::test]
async fn reading_is_not_deleting() {
    let node = node().await;
    let wide = access(&node, false);
    let refused = format!("{:?}: deleting rows is not allowed", ErrorKind::Denied);
    for text in ["DELETE FROM mine", "DELETE FROM mine WHERE false"] {
        assert_eq!(answer(&node, &wide, "db", text).await, refused, "{text}");
    }
    let count = answer(&node, &wide, "db", "SELECT count(*) FROM mine").await;
    assert_eq!(count, "1");
    node.stop().await;
}

#[tokio::test]
async fn tokens_are_listed_without_their_secrets() {
    let node = node().await;
    let everything = Access::Everything;
    let created = node
        .catalog
        .create_operator_token(&catalog::Asker::Anyone)
        .await
        .expect("created");
    node.catalog
        .authenticate(created.secret.as_bytes())
        .expect("accepted");
    let listed = answer(
        &node,
        &everything,
        "_internal",
        "SELECT * FROM system.tokens",
    )
    .await;
    let cells: Vec<_> = listed.split('|').map(str::trim).collect();
    let now = "2026-01-02T03:04:05";
    let hash = &created.hash_hex[..9];
    let expected = [
        "0", "_admin", hash, now, "", "", "", "", "", "*:*:*", now, "", "",
    ];
    assert_eq!(cells, expected);
    let elsewhere = answer(&node, &everything, "db", "SELECT * FROM system.tokens").await;
    assert!(elsewhere.starts_with("Invalid"), "{elsewhere}");
    node.stop().await;
}
