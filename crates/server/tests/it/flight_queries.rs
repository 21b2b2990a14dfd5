//! Queries over Arrow Flight as the log sees them, their trailers, and how they are stopped.

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{ActionCancelQueryRequest, ProstMessageExt};
use arrow_flight::{Action, CancelFlightInfoRequest, CancelFlightInfoResult, FlightInfo};
use futures::TryStreamExt;
use prost::Message;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::client::config;
use crate::flight::{channel, json, node_with_rows, rows_of, shown, sql_client};

const LONG: &str =
    "SELECT count(*) FROM generate_series(1, 3000000) a, generate_series(1, 3000000) b";

#[tokio::test]
async fn statements_are_logged_with_their_command() {
    let node = node_with_rows(config()).await;
    let mut client = sql_client(&node, "d").await;
    let run = async |client: &mut arrow_flight::sql::client::FlightSqlServiceClient<Channel>,
                     text: &str| {
        let info = client.execute(text.to_string(), None).await?;
        let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
        let rows = client.do_get(ticket).await?;
        let batches: Vec<_> = rows.try_collect().await?;
        Ok::<_, arrow_flight::error::FlightError>(shown(&batches))
    };
    let count = "SELECT COUNT(*) FROM system.queries WHERE running = false";
    assert_eq!(run(&mut client, count).await.expect("rows"), "count(*)\n0");
    run(&mut client, "SELECT * FROM cpu").await.expect("rows");
    run(&mut client, "SELECT usage, time FROM cpu")
        .await
        .expect("rows");
    run(&mut client, "SELECT * FROM not_a_table")
        .await
        .expect_err("no such table");
    let log = "SELECT phase, query_type, query_text, success, running, cancelled FROM system.queries \
               WHERE success = true ORDER BY query_text";
    let expected = "phase,query_type,query_text,success,running,cancelled\n\
                    success,flightsql,CommandStatementQuery SELECT * FROM cpu,true,false,false\n\
                    success,flightsql,CommandStatementQuery SELECT COUNT(*) FROM system.queries WHERE running = false,true,false,false\n\
                    success,flightsql,CommandStatementQuery SELECT usage, time FROM cpu,true,false,false";
    assert_eq!(run(&mut client, log).await.expect("rows"), expected);

    let mut prepared = client
        .prepare("SELECT n FROM cpu".to_string(), None)
        .await
        .expect("prepares");
    let info = prepared.execute().await.expect("info");
    let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
    let rows = client.do_get(ticket).await.expect("rows");
    let _: Vec<_> = rows.try_collect().await.expect("rows");
    let mut native = FlightServiceClient::new(channel(&node).await);
    rows_of(&mut native, json("d", "SELECT n, 1 FROM cpu"))
        .await
        .expect("rows");
    let log = "SELECT query_type, query_text FROM system.queries WHERE query_text LIKE '%SELECT n%FROM cpu' ORDER BY 1";
    assert_eq!(
        run(&mut client, log).await.expect("rows"),
        "query_type,query_text\n\
         flightsql,CommandPreparedStatementQuery SELECT n FROM cpu\n\
         sql,SELECT n, 1 FROM cpu"
    );
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn trailers_have_the_figures_of_the_log() {
    let node = node_with_rows(config()).await;
    let mut client = FlightServiceClient::new(channel(&node).await);
    let mut request = Request::new(json("d", "SELECT n FROM cpu ORDER BY n"));
    let trace = "4bf92f3577b34da6:1:0:1".parse().expect("text");
    request.metadata_mut().insert("uber-trace-id", trace);
    let mut messages = client.do_get(request).await.expect("rows").into_inner();
    while messages.message().await.expect("rows").is_some() {}
    let trailers = messages
        .trailers()
        .await
        .expect("trailers")
        .expect("trailers");
    let value = |name: &str| {
        let value = trailers.get(format!("x-influxdata-{name}"));
        let value = value.unwrap_or_else(|| panic!("no {name}"));
        value
            .to_str()
            .expect("text")
            .parse::<f64>()
            .expect("a number")
    };
    let planning = value("planning-duration-seconds");
    let parts =
        value("logical-planning-duration-seconds") + value("physical-planning-duration-seconds");
    assert!((planning - parts).abs() < 1e-5, "{planning} {parts}");
    for name in ["queue", "execution", "compute"] {
        assert!(value(&format!("{name}-duration-seconds")) >= 0.0);
    }
    assert!(value("partitions") >= 1.0);
    assert_eq!(value("parquet-files"), 0.0);
    assert!(value("max-memory-bytes") >= 0.0);
    let log = "SELECT trace_id FROM system.queries WHERE NOT running";
    let (_, batches) = rows_of(&mut client, json("d", log)).await.expect("rows");
    assert_eq!(shown(&batches), "trace_id\n4bf92f3577b34da6");
    node.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_in_the_metadata_holds() {
    let node = node_with_rows(config()).await;
    let mut client = FlightServiceClient::new(channel(&node).await);
    let mut request = Request::new(json("d", LONG));
    let timeout = "50ms".parse().expect("text");
    request.metadata_mut().insert("x-query-timeout", timeout);
    let status = rows_of(&mut client, request).await.expect_err("a timeout");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert_eq!(
        status.message(),
        "the query did not end within its timeout of 50ms"
    );
    let mut request = Request::new(json("d", "SELECT 1"));
    let nonsense = "soon".parse().expect("text");
    request.metadata_mut().insert("x-query-timeout", nonsense);
    let status = rows_of(&mut client, request).await.expect_err("nonsense");
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    node.stop().await.expect("stops");
}

async fn act(client: &mut FlightServiceClient<Channel>, action: Action) -> Result<Vec<u8>, Status> {
    let mut request = Request::new(action);
    let database = "d".parse().expect("text");
    request.metadata_mut().insert("database", database);
    let mut results = client.do_action(request).await?.into_inner();
    let result = results.message().await?.expect("a result");
    Ok(result.body.to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_actions_stop_a_query() {
    let node = node_with_rows(config()).await;
    let mut client = sql_client(&node, "d").await;
    let mut actions = FlightServiceClient::new(channel(&node).await);
    let newer = |info: &FlightInfo| {
        let request = CancelFlightInfoRequest::new(info.clone());
        Action::new("CancelFlightInfo", request.encode_to_vec())
    };
    let older = |info: &FlightInfo| {
        // The ticket alone says which query is meant.
        let info = FlightInfo {
            app_metadata: Default::default(),
            ..info.clone()
        };
        let request = ActionCancelQueryRequest {
            info: info.encode_to_vec().into(),
        };
        Action::new("CancelQuery", request.as_any().encode_to_vec())
    };
    let ways: [&dyn Fn(&FlightInfo) -> Action; 2] = [&newer, &older];
    for action in ways {
        let info = client.execute(LONG.to_string(), None).await.expect("info");
        // It does not run yet.
        let status = act(&mut actions, action(&info)).await.expect_err("not yet");
        assert_eq!(status.code(), Code::NotFound, "{status}");
        let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
        let mut reader = sql_client(&node, "d").await;
        let reading = async {
            let rows = reader.do_get(ticket).await?;
            rows.try_collect::<Vec<_>>().await
        };
        let stopping = async {
            for _ in 0..500 {
                match act(&mut actions, action(&info)).await {
                    Ok(body) => return body,
                    Err(status) => assert_eq!(status.code(), Code::NotFound, "{status}"),
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            panic!("the query does not run")
        };
        let (read, body) = tokio::join!(reading, stopping);
        if action(&info).r#type == "CancelFlightInfo" {
            let result = CancelFlightInfoResult::decode(&body[..]).expect("a result");
            assert_eq!(result.status, 1);
        }
        let error = read.expect_err("stopped");
        assert!(
            error.to_string().contains("the query was cancelled"),
            "{error}"
        );
    }
    let status = act(&mut actions, Action::new("CancelFlightInfo", "nonsense"))
        .await
        .expect_err("nonsense");
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    node.stop().await.expect("stops");
}
