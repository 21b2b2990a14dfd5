//! Arrow Flight and Flight SQL over a real channel: what official clients, drivers and dashboards send.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema, TimeUnit};
use arrow::util::pretty::pretty_format_batches;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo,
    CommandStatementQuery, ProstMessageExt, SqlInfo,
};
use arrow_flight::{Action, FlightDescriptor, FlightInfo, HandshakeRequest, IpcMessage, Ticket};
use futures::{StreamExt, TryStreamExt, stream};
use hyper::StatusCode;
use prost::Message;
use server::{Config, Node};
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::client::{config, get, post, send, start};

pub(crate) async fn channel(node: &Node) -> Channel {
    Endpoint::from_shared(format!("http://{}", node.address()))
        .expect("an address")
        .connect()
        .await
        .expect("connects")
}

pub(crate) async fn sql_client(node: &Node, database: &str) -> FlightSqlServiceClient<Channel> {
    let mut client = FlightSqlServiceClient::new(channel(node).await);
    client.set_header("database", database);
    client
}

/// Two rows of one table with every type, and a table more.
pub(crate) async fn node_with_rows(config: Config) -> Node {
    let node = start(config).await;
    let lines = "cpu,host=a,region=x usage=1.5,n=1i,u=18446744073709551615u,s=\"one\",b=true 1\n\
                 cpu,host=b usage=2.5,n=2i,s=\"two\" 2\n\
                 mem,host=a free=1i 1\n";
    let answer = send(&node, post("/api/v3/write_lp?db=d&precision=ns", lines)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    node
}

pub(crate) fn json(database: &str, statement: &str) -> Ticket {
    let ticket = serde_json::json!({
        "database": database, "sql_query": statement, "query_type": "sql", "params": {}
    });
    Ticket::new(ticket.to_string())
}

/// The rows of a ticket, and the schema they came in.
pub(crate) async fn rows_of(
    client: &mut FlightServiceClient<Channel>,
    request: impl tonic::IntoRequest<Ticket>,
) -> Result<(Arc<Schema>, Vec<RecordBatch>), Status> {
    let messages = client.do_get(request).await?.into_inner();
    let mut rows =
        FlightRecordBatchStream::new_from_flight_data(messages.map_err(FlightError::from));
    let mut batches = Vec::new();
    while let Some(batch) = rows.try_next().await.map_err(Status::from)? {
        batches.push(batch);
    }
    let schema = rows.schema().expect("a schema comes first");
    Ok((Arc::clone(schema), batches))
}

/// A table as text, without its frame.
pub(crate) fn shown(batches: &[RecordBatch]) -> String {
    let table = pretty_format_batches(batches).expect("shows").to_string();
    let lines = table.lines().filter(|line| line.starts_with('|'));
    let cells = lines.map(|line| {
        let cells = line.trim_matches('|').split('|').map(str::trim);
        cells.collect::<Vec<_>>().join(",")
    });
    cells.collect::<Vec<_>>().join("\n")
}

pub(crate) async fn fetched(
    client: &mut FlightSqlServiceClient<Channel>,
    info: FlightInfo,
) -> String {
    let [endpoint] = &info.endpoint[..] else {
        panic!("one endpoint, not {}", info.endpoint.len());
    };
    assert!(endpoint.location.is_empty());
    let announced = Schema::try_from(info.clone()).expect("a schema");
    let ticket = endpoint.ticket.clone().expect("a ticket");
    let mut rows = client.do_get(ticket).await.expect("an answer");
    let mut batches = Vec::new();
    while let Some(batch) = rows.try_next().await.expect("rows") {
        batches.push(batch);
    }
    // Drivers compare the two, nullability included.
    let schema = rows.schema().expect("a schema");
    assert_eq!(schema.fields(), announced.fields());
    batches.push(RecordBatch::new_empty(Arc::clone(schema)));
    shown(&batches)
}

fn status_of<T: std::fmt::Debug>(outcome: Result<T, FlightError>) -> (Code, String) {
    match outcome.expect_err("a failure") {
        FlightError::Tonic(status) => (status.code(), status.message().to_string()),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_json_ticket_gets_rows_with_the_types_that_clients_know() {
    let node = node_with_rows(config()).await;
    let mut client = FlightServiceClient::new(channel(&node).await);
    let (schema, batches) = rows_of(&mut client, json("d", "SELECT * FROM cpu ORDER BY time"))
        .await
        .expect("rows");
    let columns: Vec<(&str, &DataType, Option<&str>)> = schema
        .fields()
        .iter()
        .map(|field| {
            let kind = field.metadata().get("iox::column::type");
            (
                field.name().as_str(),
                field.data_type(),
                kind.map(String::as_str),
            )
        })
        .collect();
    let time = DataType::Timestamp(TimeUnit::Nanosecond, None);
    assert_eq!(
        columns,
        [
            (
                "b",
                &DataType::Boolean,
                Some("iox::column_type::field::boolean")
            ),
            ("host", &DataType::Utf8, Some("iox::column_type::tag")),
            (
                "n",
                &DataType::Int64,
                Some("iox::column_type::field::integer")
            ),
            ("region", &DataType::Utf8, Some("iox::column_type::tag")),
            (
                "s",
                &DataType::Utf8,
                Some("iox::column_type::field::string")
            ),
            ("time", &time, Some("iox::column_type::timestamp")),
            (
                "u",
                &DataType::UInt64,
                Some("iox::column_type::field::uinteger")
            ),
            (
                "usage",
                &DataType::Float64,
                Some("iox::column_type::field::float")
            ),
        ]
    );
    assert_eq!(
        shown(&batches),
        "b,host,n,region,s,time,u,usage\n\
         true,a,1,x,one,1970-01-01T00:00:00.000000001,18446744073709551615,1.5\n\
         ,b,2,,two,1970-01-01T00:00:00.000000002,,2.5"
    );
    let with_parameters = serde_json::json!({
        "bucket": "d", "sql_query": "SELECT n FROM cpu WHERE host = $host AND usage > $low",
        "params": {"host": "b", "low": 0.5}
    });
    let ticket = Ticket::new(with_parameters.to_string());
    let (_, batches) = rows_of(&mut client, ticket).await.expect("rows");
    assert_eq!(shown(&batches), "n\n2");
    let (schema, batches) = rows_of(&mut client, json("d", "SELECT host FROM cpu WHERE false"))
        .await
        .expect("no rows");
    assert_eq!((schema.fields().len(), batches.len()), (1, 0));
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn failures_have_their_own_status() {
    let node = node_with_rows(config()).await;
    let mut client = FlightServiceClient::new(channel(&node).await);
    let cases = [
        (
            json("nowhere", "SELECT 1"),
            Code::NotFound,
            "database not found: nowhere",
        ),
        (json("d", "SELEC 1"), Code::InvalidArgument, "SQL error"),
        (json("d", "SELECT x FROM cpu"), Code::InvalidArgument, "x"),
        (
            json("d", "SELECT 1/0"),
            Code::InvalidArgument,
            "Divide by zero",
        ),
        (
            json("d", "SELECT * FROM nothing"),
            Code::InvalidArgument,
            "table 'public.iox.nothing' not found",
        ),
        (
            json("d", "CREATE TABLE t (a INT)"),
            Code::InvalidArgument,
            "DDL not supported",
        ),
        (
            json("d", "GRANT ALL ON cpu TO x"),
            Code::InvalidArgument,
            "",
        ),
        (
            Ticket::new("nonsense"),
            Code::InvalidArgument,
            "Invalid ticket",
        ),
        (Ticket::new(""), Code::InvalidArgument, "Invalid ticket"),
    ];
    for (ticket, code, text) in cases {
        let status = rows_of(&mut client, ticket).await.expect_err("a failure");
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(text), "{status}");
        assert!(status.message().chars().count() <= 2_000);
    }
    let influxql = serde_json::json!({"database": "d", "sql_query": "SHOW MEASUREMENTS", "query_type": "influxql"});
    let status = rows_of(&mut client, Ticket::new(influxql.to_string()))
        .await
        .expect_err("a failure");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("not implemented: InfluxQL"),
        "{status}"
    );
    let none = client.list_flights(arrow_flight::Criteria::default()).await;
    assert_eq!(none.expect_err("a failure").code(), Code::Unimplemented);
    let path = FlightDescriptor::new_path(vec!["cpu".to_string()]);
    let mut request = Request::new(path);
    request
        .metadata_mut()
        .insert("database", "d".parse().expect("text"));
    let refused = client
        .get_flight_info(request)
        .await
        .expect_err("a failure");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let unknown = Request::new(Action::new("Rewind", ""));
    let refused = client.do_action(unknown).await.expect_err("a failure");
    assert_eq!(refused.code(), Code::Unimplemented);
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn statements_of_flight_sql() {
    let node = node_with_rows(config()).await;
    let mut client = sql_client(&node, "d").await;
    for (statement, expected) in [
        ("select 1", "Int64(1)\n1"),
        (
            "SELECT host, count(*) AS n FROM cpu GROUP BY host ORDER BY host",
            "host,n\na,1\nb,1",
        ),
        (
            "SELECT date_bin(interval '1 second', time, timestamp '1970-01-01T00:00:00Z') AS time, avg(usage) FROM cpu GROUP BY 1 ORDER BY 1",
            "time,avg(cpu.usage)\n1970-01-01T00:00:00,2.0",
        ),
        (
            "SELECT DISTINCT TABLE_SCHEMA from information_schema.TABLES where TABLE_TYPE != 'SYSTEM VIEW' ORDER BY TABLE_SCHEMA",
            "table_schema\ninformation_schema\niox\nsystem",
        ),
        (
            "SELECT max(usage) AS m, min(time) FROM cpu WHERE host = 'b'",
            "m,min(cpu.time)\n2.5,1970-01-01T00:00:00.000000002",
        ),
        (
            "SELECT n FROM cpu UNION ALL SELECT free FROM mem ORDER BY n",
            "n\n1\n1\n2",
        ),
    ] {
        let info = client
            .execute(statement.to_string(), None)
            .await
            .expect(statement);
        assert_eq!((info.total_records, info.total_bytes), (-1, -1));
        assert_eq!(fetched(&mut client, info).await, expected, "{statement}");
    }
    for statement in [
        "EXPLAIN SELECT * FROM cpu",
        "SHOW TABLES",
        "SHOW COLUMNS FROM cpu",
        "SELECT selector_last(usage, time)['value'] FROM cpu",
        "SELECT * FROM system.parquet_files",
        "SELECT arrow_cast(1, 'Timestamp(Second, None)'), arrow_cast('x', 'Utf8View')",
    ] {
        // Only that the announced schema is the one that comes, whatever the statement is.
        let info = client
            .execute(statement.to_string(), None)
            .await
            .expect(statement);
        fetched(&mut client, info).await;
    }
    // A schema can be had without rows.
    let command = CommandStatementQuery {
        query: "SELECT host FROM cpu".to_string(),
        transaction_id: None,
    };
    let mut request = Request::new(FlightDescriptor::new_cmd(command.as_any().encode_to_vec()));
    request
        .metadata_mut()
        .insert("bucket-name", "d".parse().expect("text"));
    let answer = client
        .inner_mut()
        .get_schema(request)
        .await
        .expect("a schema");
    let schema = Schema::try_from(IpcMessage(answer.into_inner().schema)).expect("a schema");
    assert_eq!(schema.field(0).name(), "host");

    let mut nameless = FlightSqlServiceClient::new(channel(&node).await);
    assert_eq!(
        status_of(nameless.execute("select 1".to_string(), None).await),
        (
            Code::InvalidArgument,
            "no 'database' header in request".to_string()
        )
    );
    nameless.set_header("database", "nowhere");
    assert_eq!(
        status_of(nameless.execute("select 1".to_string(), None).await),
        (Code::NotFound, "database not found: nowhere".to_string())
    );
    node.stop().await.expect("stops");
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).expect("a batch")
}

fn text(values: Vec<&str>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

fn numbers(values: Vec<i64>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

#[tokio::test]
async fn prepared_statements_take_values() {
    let node = node_with_rows(config()).await;
    let mut client = sql_client(&node, "d").await;
    let cases = [
        // Statement, its parameters, values, rows.
        (
            "SELECT n FROM cpu WHERE host = $1 AND usage > $2",
            "$1 Utf8, $2 Float64",
            batch(vec![("$1", text(vec!["b"])), ("$2", numbers(vec![0]))]),
            "n\n2",
        ),
        (
            "SELECT n FROM cpu WHERE host = $host",
            "$host Utf8",
            batch(vec![("host", text(vec!["a"]))]),
            "n\n1",
        ),
        (
            "SELECT n FROM cpu WHERE usage > ? AND host = ?",
            "$1 Float64, $2 Utf8",
            batch(vec![("0", numbers(vec![1])), ("1", text(vec!["b"]))]),
            "n\n2",
        ),
        (
            "SELECT n FROM cpu WHERE host = ? ORDER BY n",
            "$1 Utf8",
            batch(vec![("1", text(vec!["b", "a", "c"]))]),
            "n\n2\n1",
        ),
        (
            "SELECT n FROM cpu WHERE time >= $since ORDER BY n LIMIT $n",
            "$since Timestamp(ns), $n Int64",
            batch(vec![
                ("$since", text(vec!["1970-01-01T00:00:00.000000001Z"])),
                ("$n", numbers(vec![1])),
            ]),
            "n\n1",
        ),
        (
            "SELECT $1 AS a, $1 AS b",
            "$1 Utf8",
            batch(vec![("1", numbers(vec![7]))]),
            "a,b\n7,7",
        ),
        (
            "SELECT n FROM cpu WHERE host IN ($a, $b) AND n BETWEEN $c AND $d ORDER BY n",
            "$a Utf8, $b Utf8, $c Int64, $d Int64",
            batch(vec![
                ("$d", numbers(vec![2])),
                ("$c", numbers(vec![1])),
                ("$b", text(vec!["a"])),
                ("$a", text(vec!["b"])),
            ]),
            "n\n1\n2",
        ),
    ];
    for (statement, parameters, values, expected) in cases {
        let mut prepared = client
            .prepare(statement.to_string(), None)
            .await
            .expect(statement);
        let found = prepared.parameter_schema().expect("a schema");
        let found: Vec<String> = found
            .fields()
            .iter()
            .map(|field| format!("{} {}", field.name(), field.data_type()))
            .collect();
        assert_eq!(found.join(", "), parameters, "{statement}");
        assert!(
            !prepared
                .dataset_schema()
                .expect("a schema")
                .fields()
                .is_empty()
        );
        prepared.set_parameters(values).expect("values");
        let info = prepared.execute().await.expect(statement);
        assert_eq!(fetched(&mut client, info).await, expected, "{statement}");
        prepared.close().await.expect("closes");
    }

    let mut prepared = client
        .prepare("SELECT 1 AS one".to_string(), None)
        .await
        .expect("prepares");
    let info = prepared.execute().await.expect("executes");
    assert_eq!(fetched(&mut client, info).await, "one\n1");

    let mut prepared = client
        .prepare("SELECT n FROM cpu WHERE host = $1".to_string(), None)
        .await
        .expect("prepares");
    // Without values its schema is known, and its rows are not.
    let info = prepared.execute().await.expect("a schema");
    let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
    let (code, message) = status_of(client.do_get(ticket).await.map(|_| ()));
    assert_eq!(code, Code::InvalidArgument);
    assert!(
        message.contains("No value found for placeholder with name $1"),
        "{message}"
    );
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn a_statement_that_deletes_says_how_many_rows_are_gone() {
    let node = node_with_rows(config()).await;
    let mut client = sql_client(&node, "d").await;
    let mut prepared = client
        .prepare("DELETE FROM cpu WHERE host = ?".to_string(), None)
        .await
        .expect("prepares");
    assert!(prepared.dataset_schema().expect("none").fields().is_empty());
    prepared
        .set_parameters(batch(vec![("0", text(vec!["a"]))]))
        .expect("values");
    assert_eq!(prepared.execute_update().await.expect("deletes"), 1);
    let gone = client
        .execute_update("DELETE FROM cpu".to_string(), None)
        .await;
    assert_eq!(gone.expect("deletes"), 1);
    let info = client
        .execute("SELECT count(*) AS n FROM cpu".to_string(), None)
        .await
        .expect("info");
    assert_eq!(fetched(&mut client, info).await, "n\n0");
    let refused = client.execute_update("SELECT 1".to_string(), None).await;
    assert_eq!(status_of(refused).0, Code::InvalidArgument);
    // Announcing a delete deletes nothing.
    client
        .execute("DELETE FROM mem".to_string(), None)
        .await
        .expect("info");
    let info = client
        .execute("SELECT count(*) AS n FROM mem".to_string(), None)
        .await
        .expect("info");
    assert_eq!(fetched(&mut client, info).await, "n\n1");
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn what_there_is_can_be_browsed() {
    let node = node_with_rows(config()).await;
    let mut client = sql_client(&node, "d").await;
    let info = client.get_catalogs().await.expect("catalogs");
    assert_eq!(fetched(&mut client, info).await, "catalog_name\npublic");
    let all = CommandGetDbSchemas {
        catalog: None,
        db_schema_filter_pattern: None,
    };
    let info = client.get_db_schemas(all).await.expect("schemas");
    assert_eq!(
        fetched(&mut client, info).await,
        "catalog_name,db_schema_name\npublic,information_schema\npublic,iox\npublic,system"
    );
    let some = CommandGetDbSchemas {
        catalog: Some("public".to_string()),
        db_schema_filter_pattern: Some("i_x".to_string()),
    };
    let info = client.get_db_schemas(some).await.expect("schemas");
    assert_eq!(
        fetched(&mut client, info).await,
        "catalog_name,db_schema_name\npublic,iox"
    );

    let tables = |pattern: &str, types: &[&str]| CommandGetTables {
        catalog: None,
        db_schema_filter_pattern: Some(pattern.to_string()),
        table_name_filter_pattern: None,
        table_types: types.iter().map(|kind| (*kind).to_string()).collect(),
        include_schema: false,
    };
    let info = client.get_tables(tables("iox", &[])).await.expect("tables");
    assert_eq!(
        fetched(&mut client, info).await,
        "catalog_name,db_schema_name,table_name,table_type\n\
         public,iox,cpu,BASE TABLE\npublic,iox,mem,BASE TABLE"
    );
    let info = client
        .get_tables(tables("%", &["VIEW"]))
        .await
        .expect("tables");
    let views = fetched(&mut client, info).await;
    assert!(
        views.contains("public,information_schema,columns,VIEW"),
        "{views}"
    );
    assert!(!views.contains("iox"), "{views}");
    let info = client
        .get_tables(tables("system", &[]))
        .await
        .expect("tables");
    let system = fetched(&mut client, info).await;
    assert!(
        system.contains("public,system,parquet_files,BASE TABLE"),
        "{system}"
    );

    client.set_header("x-influxdata-base-table-type", "TABLE");
    let one = CommandGetTables {
        catalog: Some("public".to_string()),
        db_schema_filter_pattern: None,
        table_name_filter_pattern: Some("c_u".to_string()),
        table_types: vec!["TABLE".to_string()],
        include_schema: true,
    };
    let info = client.get_tables(one).await.expect("tables");
    let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
    let rows: Vec<RecordBatch> = client
        .do_get(ticket)
        .await
        .expect("rows")
        .try_collect()
        .await
        .expect("rows");
    let [rows] = &rows[..] else {
        panic!("one batch, not {}", rows.len());
    };
    assert_eq!(rows.column(3).as_string::<i32>().value(0), "TABLE");
    let schema = rows.column(4).as_binary::<i32>().value(0).to_vec();
    let schema = Schema::try_from(IpcMessage(schema.into())).expect("a schema");
    assert_eq!(schema.field(1).name(), "host");
    assert_eq!(schema.field(1).data_type(), &DataType::Utf8);
    let info = client.get_table_types().await.expect("types");
    assert_eq!(fetched(&mut client, info).await, "table_type\nTABLE\nVIEW");

    let info = client
        .get_sql_info(vec![SqlInfo::SqlIdentifierQuoteChar])
        .await
        .expect("facts");
    let facts = fetched(&mut client, info).await;
    assert_eq!(facts, "info_name,value\n504,{string_value=\"}");
    let info = client
        .get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: None })
        .await
        .expect("types");
    assert_eq!(fetched(&mut client, info).await.lines().count(), 6);
    let keys = CommandGetPrimaryKeys {
        catalog: None,
        db_schema: None,
        table: "cpu".to_string(),
    };
    let info = client.get_primary_keys(keys).await.expect("keys");
    assert_eq!(
        fetched(&mut client, info).await,
        "catalog_name,db_schema_name,table_name,column_name,key_name,key_sequence\n\
         public,iox,cpu,host,,1\npublic,iox,cpu,region,,2\npublic,iox,cpu,time,,3"
    );
    for (schema, table) in [(Some("system"), "cpu"), (None, "nope")] {
        let keys = CommandGetPrimaryKeys {
            catalog: Some("public".to_string()),
            db_schema: schema.map(str::to_string),
            table: table.to_string(),
        };
        let info = client.get_primary_keys(keys).await.expect("keys");
        assert_eq!(fetched(&mut client, info).await.lines().count(), 1);
    }
    // Drivers close a session that they think they have.
    let mut close = Request::new(Action::new("CloseSession", ""));
    close
        .metadata_mut()
        .insert("database", "d".parse().expect("text"));
    let closed = client.inner_mut().do_action(close).await.expect("closes");
    let closed: Vec<_> = closed.into_inner().try_collect().await.expect("closes");
    assert_eq!(&closed[0].body[..], [8, 1]);
    let actions: Vec<_> = client
        .inner_mut()
        .list_actions(arrow_flight::Empty {})
        .await
        .expect("actions")
        .into_inner()
        .try_collect()
        .await
        .expect("actions");
    assert!(
        actions
            .iter()
            .any(|action| action.r#type == "CreatePreparedStatement")
    );
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn calls_need_a_token_and_a_handshake_hands_it_back() {
    let node = start(Config {
        without_auth: false,
        ..config()
    })
    .await;
    let answer = send(&node, post("/api/v3/configure/token/admin", "")).await;
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    let token = answer["token"].as_str().expect("a token").to_string();
    let mut write = post("/api/v3/write_lp?db=d", "t v=1i 1");
    let bearer = format!("Bearer {token}");
    write
        .headers_mut()
        .insert("authorization", bearer.parse().expect("text"));
    assert_eq!(send(&node, write).await.status, StatusCode::NO_CONTENT);

    let basic = {
        use base64::Engine as _;
        let pair = format!("anyone:{token}");
        format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(pair))
    };
    let mut client = FlightServiceClient::new(channel(&node).await);
    for (credential, code) in [
        (Some(bearer.clone()), Code::Ok),
        (Some(format!("Token {token}")), Code::Ok),
        (Some(basic.clone()), Code::Ok),
        (None, Code::Unauthenticated),
        (Some(format!("bearer {token}")), Code::Unauthenticated),
        (
            Some("Bearer apiv3_wrong".to_string()),
            Code::Unauthenticated,
        ),
        (Some("Basic !".to_string()), Code::Unauthenticated),
        (Some(format!("Bearer {token} more")), Code::Unauthenticated),
    ] {
        let mut request = Request::new(json("d", "SELECT v FROM t"));
        if let Some(credential) = &credential {
            let value = credential.parse().expect("text");
            request.metadata_mut().insert("authorization", value);
        }
        let outcome = rows_of(&mut client, request).await;
        match outcome {
            Ok((_, batches)) => {
                assert_eq!(code, Code::Ok, "{credential:?}");
                assert_eq!(shown(&batches), "v\n1");
            }
            Err(status) => {
                assert_eq!(status.code(), code, "{credential:?}");
                assert_eq!(status.message(), "Unauthenticated");
            }
        }
    }

    // As JDBC and Go do it: with user and password, and then with what the answer says.
    let mut sql = sql_client(&node, "d").await;
    sql.handshake("anyone", &token).await.expect("a handshake");
    assert_eq!(sql.token(), Some(&token));
    let info = sql
        .execute("SELECT v FROM t".to_string(), None)
        .await
        .expect("info");
    assert_eq!(fetched(&mut sql, info).await, "v\n1");

    // As pyarrow does it: without a payload. And the token is not looked at.
    let mut request = Request::new(stream::empty::<HandshakeRequest>());
    request
        .metadata_mut()
        .insert("authorization", "Token other".parse().expect("text"));
    let answer = client.handshake(request).await.expect("a handshake");
    let handed = answer.metadata().get("authorization").cloned();
    assert_eq!(handed.expect("a credential").as_bytes(), b"Bearer other");
    assert_eq!(answer.into_inner().count().await, 0);

    let echo = HandshakeRequest {
        protocol_version: 7,
        payload: "hello".into(),
    };
    let answer = client
        .handshake(stream::iter([echo]))
        .await
        .expect("a handshake");
    assert!(answer.metadata().get("authorization").is_none());
    let echoed: Vec<_> = answer.into_inner().try_collect().await.expect("an echo");
    assert_eq!(echoed[0].protocol_version, 7);
    assert_eq!(&echoed[0].payload[..], b"hello");
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn messages_are_compressed_when_the_client_offers_and_wants_it() {
    let node = node_with_rows(config()).await;
    let statement = "SELECT 'the same text again and again' AS t FROM generate_series(1, 5000)";
    let (gzip, zstd) = (CompressionEncoding::Gzip, CompressionEncoding::Zstd);
    for (offered, asked, expected) in [
        (None, None, None),
        (None, Some("gzip"), None),
        (Some(gzip), None, Some("gzip")),
        (Some(gzip), Some("gzip"), Some("gzip")),
        (Some(gzip), Some("zstd"), None),
        (Some(zstd), None, Some("zstd")),
        (Some(zstd), Some("none"), None),
    ] {
        let mut client = FlightServiceClient::new(channel(&node).await);
        if let Some(encoding) = offered {
            client = client.accept_compressed(encoding).send_compressed(encoding);
        }
        let call = || {
            let mut request = Request::new(json("d", statement));
            if let Some(asked) = asked {
                let asked = asked.parse().expect("text");
                let metadata = request.metadata_mut();
                metadata.insert("x-influxdata-message-compression", asked);
            }
            request
        };
        let answer = client.do_get(call()).await.expect("rows");
        let named = answer.metadata().get("grpc-encoding").cloned();
        assert_eq!(
            named.as_ref().and_then(|name| name.to_str().ok()),
            expected,
            "{offered:?} {asked:?}"
        );
        let (_, batches) = rows_of(&mut client, call()).await.expect("rows");
        assert_eq!(
            batches.iter().map(RecordBatch::num_rows).sum::<usize>(),
            5_000
        );
    }
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn options_in_metadata_shape_the_rows() {
    let node = node_with_rows(config()).await;
    let mut client = FlightServiceClient::new(channel(&node).await);
    let mut request = Request::new(json("d", "SELECT host FROM cpu ORDER BY host"));
    let metadata = request.metadata_mut();
    metadata.insert("x-influxdata-dictionary", "keep".parse().expect("text"));
    metadata.insert(
        "x-influxdata-ipc-compression",
        "zstd".parse().expect("text"),
    );
    let (schema, batches) = rows_of(&mut client, request).await.expect("rows");
    assert!(matches!(
        schema.field(0).data_type(),
        DataType::Dictionary(..)
    ));
    assert_eq!(shown(&batches), "host\na\nb");
    let mut request = Request::new(json("d", "SELECT 1"));
    request
        .metadata_mut()
        .insert("x-influxdata-dictionary", "perhaps".parse().expect("text"));
    let refused = rows_of(&mut client, request).await.expect_err("a failure");
    assert_eq!(refused.code(), Code::InvalidArgument);
    node.stop().await.expect("stops");
}

/// Rows without end, as far as a test is concerned.
const ENDLESS: &str =
    "SELECT count(*) FROM generate_series(1, 1000000000000) AS a WHERE value % 7 = 3";

#[tokio::test]
async fn a_deadline_ends_the_call_and_trailers_tell_how_long_it_took() {
    let node = node_with_rows(config()).await;
    let mut client = FlightServiceClient::new(channel(&node).await);
    let mut request = Request::new(json("d", ENDLESS));
    // A header alone, so that it is the server that keeps to it.
    request
        .metadata_mut()
        .insert("grpc-timeout", "300m".parse().expect("text"));
    let over = rows_of(&mut client, request).await.expect_err("a failure");
    assert_eq!(over.code(), Code::DeadlineExceeded, "{over}");

    let mut messages = client
        .do_get(json("d", "SELECT 1"))
        .await
        .expect("rows")
        .into_inner();
    while messages.message().await.expect("rows").is_some() {}
    let trailers = messages
        .trailers()
        .await
        .expect("trailers")
        .expect("trailers");
    for name in ["planning", "execution"] {
        let name = format!("x-influxdata-{name}-duration-seconds");
        let value = trailers
            .get(&name)
            .expect("a duration")
            .to_str()
            .expect("text")
            .to_string();
        assert!(value.parse::<f64>().expect("seconds") >= 0.0);
    }
    let metrics = send(&node, get("/metrics")).await.text();
    assert!(
        metrics.contains("grpc_requests_total{method=\"POST\",method_path=\"POST /arrow.flight.protocol.FlightService/DoGet\",path=\"/arrow.flight.protocol.FlightService/DoGet\",status=\"ok\"} 1"),
        "{metrics}"
    );
    assert!(metrics.contains("status=\"client_error\"} 1"), "{metrics}");
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_query() {
    let node = node_with_rows(config()).await;
    let mut client = FlightServiceClient::new(channel(&node).await);
    // As many as there are threads for queries: until these end no other query can run.
    for _ in 0..4 {
        let statement = "SELECT value FROM generate_series(1, 1000000000000)";
        let mut messages = client
            .do_get(json("d", statement))
            .await
            .expect("rows")
            .into_inner();
        for _ in 0..3 {
            messages.message().await.expect("rows").expect("more rows");
        }
    }
    let counting = {
        let mut client = client.clone();
        async move { client.do_get(json("d", ENDLESS)).await.map(|_| ()) }
    };
    let _ = tokio::time::timeout(Duration::from_millis(300), counting).await;
    let after = tokio::time::timeout(
        Duration::from_secs(20),
        rows_of(&mut client, json("d", "SELECT sum(n) AS n FROM cpu")),
    );
    let (_, batches) = after.await.expect("in time").expect("rows");
    assert_eq!(shown(&batches), "n\n3");
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn a_large_result_comes_in_messages_that_clients_take() {
    let node = node_with_rows(config()).await;
    let mut client = FlightServiceClient::new(channel(&node).await);
    let statement = "SELECT value, repeat('x', 200) AS s FROM generate_series(1, 100000)";
    let mut messages = client
        .do_get(json("d", statement))
        .await
        .expect("rows")
        .into_inner();
    let mut bytes_max = 0;
    let mut count = 0;
    while let Some(message) = messages.message().await.expect("rows") {
        bytes_max = bytes_max.max(message.data_body.len());
        count += 1;
    }
    assert!(bytes_max < 2 << 20, "{bytes_max}");
    assert!(count > 10, "{count}");
    let sum = "SELECT sum(value) AS s, avg(value) AS a FROM generate_series(1, 100000)";
    let (_, batches) = rows_of(&mut client, json("d", sum)).await.expect("rows");
    assert_eq!(
        batches[0].column(0).as_primitive::<Int64Type>().value(0),
        5_000_050_000
    );
    assert_eq!(
        batches[0].column(1).as_primitive::<Float64Type>().value(0),
        50_000.5
    );
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn grpc_over_the_wrong_protocol_is_told_so() {
    let node = start(config()).await;
    let mut request = post("/arrow.flight.protocol.FlightService/DoGet", "");
    let kind = "application/grpc".parse().expect("text");
    request.headers_mut().insert("content-type", kind);
    let answer = send(&node, request).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text().contains("HTTP/2"), "{}", answer.text());
    let mut client = FlightServiceClient::new(channel(&node).await);
    let nowhere = rows_of(&mut client, json("d", "SELECT 1")).await;
    assert_eq!(nowhere.expect_err("a failure").code(), Code::NotFound);
    node.stop().await.expect("stops");
}
