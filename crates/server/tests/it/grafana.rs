//! What Grafana's builder and macros send over Flight SQL, word for word (`testdata/grafana.txt`): it needs one endpoint for each
//! statement, and of the types it can show, so both are held here too.
//!
//! Blocks of a statement, `----` and its rows, the times of bins among them; `UPDATE=1` rewrites the rows.

use std::path::Path;

use arrow::datatypes::{DataType, Schema, TimeUnit};
use hyper::StatusCode;

use crate::client::{config, post, send, start};
use crate::flight::{fetched, sql_client};

const LINES: &str = "cpu,host=a,region=x usage=1.5,n=1i,note=\"one\",ok=true 1767312000000000000\n\
     cpu,host=b,region=x usage=2.5,n=2i,note=\"two\" 1767312000250000000\n\
     cpu,host=a,region=x usage=3.5,n=3i 1767312060000000000\n\
     cpu,host=b,region=y usage=4.5,n=4i 1767312120500000000\n\
     mem,host=a free=10u 1767312000000000000\n";

/// Whether Grafana makes a column of it.
fn can_be_shown(kind: &DataType) -> bool {
    match kind {
        DataType::Timestamp(unit, _) => *unit == TimeUnit::Nanosecond,
        DataType::Utf8 | DataType::Boolean | DataType::Float64 | DataType::Null => true,
        DataType::Duration(unit) => *unit == TimeUnit::Nanosecond,
        other => other.is_integer(),
    }
}

#[tokio::test]
async fn what_builder_and_macros_send_is_answered() {
    let node = start(config()).await;
    let answer = send(
        &node,
        post("/api/v3/write_lp?db=d&precision=nanosecond", LINES),
    )
    .await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/grafana.txt");
    let expected = std::fs::read_to_string(&path).expect("the file is part of the sources");
    let mut blocks = Vec::new();
    for block in expected.trim_end().split("\n\n") {
        if block.starts_with('#') {
            blocks.push(block.to_string());
            continue;
        }
        let statement = block.split_once("\n----").map_or(block, |(text, _)| text);
        // A new channel for each, as it has it.
        let mut client = sql_client(&node, "d").await;
        let info = client
            .execute(statement.to_string(), None)
            .await
            .unwrap_or_else(|fault| panic!("{statement}: {fault}"));
        let schema = Schema::try_from(info.clone()).expect("a schema");
        for field in schema.fields() {
            assert!(can_be_shown(field.data_type()), "{statement}: {field}");
        }
        let rows = fetched(&mut client, info).await;
        blocks.push(format!("{statement}\n----\n{rows}"));
    }
    node.stop().await.expect("nothing is in the way");
    let actual = blocks.join("\n\n") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &actual).expect("the file can be written");
    } else {
        assert_eq!(actual, expected);
    }
}
