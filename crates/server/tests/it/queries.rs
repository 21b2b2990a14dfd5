//! What every query is subject to over HTTP: limits, timeouts, being stopped, and the log that tells of it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode};
use server::{Config, Node, QuerySettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Answer, config, get, post, send, start};

/// Rows without end.
const ENDLESS: &str =
    "SELECT a.value FROM generate_series(1, 10) a, generate_series(1, 100000000000) b";

/// Three of the ways to compute for hours before the first row.
const LONG: [&str; 3] = [
    "SELECT count(*) FROM generate_series(1, 3000000) a, generate_series(1, 3000000) b",
    "SELECT count(*) FROM generate_series(1, 3000000) a JOIN generate_series(1, 3000000) b ON a.value + b.value = 0",
    "SELECT max(a.value) FROM generate_series(1, 100000) a JOIN generate_series(1, 1000000) b ON a.value % 2 = b.value % 2 AND a.value + b.value < 0",
];

/// Longest wait for what has to happen within a second.
const STEPS: usize = 100;
const STEP: Duration = Duration::from_millis(10);

fn with(queries: QuerySettings) -> Config {
    Config {
        queries,
        ..config()
    }
}

fn ask(database: &str, statement: &str) -> Request<Full<Bytes>> {
    ask_as(None, database, statement)
}

fn ask_as(token: Option<&str>, database: &str, statement: &str) -> Request<Full<Bytes>> {
    let body = serde_json::json!({ "db": database, "q": statement, "format": "csv" });
    let mut request = post("/api/v3/query_sql", body.to_string());
    if let Some(token) = token {
        let bearer = format!("Bearer {token}").parse().expect("a header value");
        request.headers_mut().insert("authorization", bearer);
    }
    request
}

/// Cells without the header line.
async fn rows(node: &Node, statement: &str) -> Vec<String> {
    let answer = send(node, ask("d", statement)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.text().lines().skip(1).map(str::to_string).collect()
}

async fn node_with_table(config: Config) -> Node {
    let node = start(config).await;
    let written = send(
        &node,
        post("/api/v3/write_lp?db=d&precision=ns", "t v=1i 1"),
    )
    .await;
    assert_eq!(written.status, StatusCode::NO_CONTENT, "{}", written.text());
    node
}

/// Sends a query whose answer nobody reads yet.
async fn begin(node: &Node, statement: &str) -> TcpStream {
    let mut stream = TcpStream::connect(node.address()).await.expect("connects");
    let body = serde_json::json!({ "db": "d", "q": statement, "format": "csv" }).to_string();
    let head = format!(
        "POST /api/v3/query_sql HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("sends");
    stream.write_all(body.as_bytes()).await.expect("sends");
    stream
}

/// Waits until the other queries that run are `expected` many, and tells their ids.
async fn running(node: &Node, expected: usize) -> Vec<String> {
    let statement = "SELECT id FROM system.queries WHERE running AND phase = 'execution_permit' \
                     AND query_text NOT LIKE '%system.queries%'";
    let mut found = Vec::new();
    for _ in 0..STEPS {
        found = rows(node, statement).await;
        if found.len() == expected {
            return found;
        }
        tokio::time::sleep(STEP).await;
    }
    panic!("{expected} queries should run, not {found:?}");
}

async fn log(node: &Node, column: &str, text: &str) -> Vec<String> {
    let statement = format!(
        "SELECT {column} FROM system.queries WHERE query_text = '{}'",
        text.replace('\'', "''")
    );
    rows(node, &statement).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_frees_its_query_within_a_second() {
    let node = node_with_table(config()).await;
    for statement in [ENDLESS].into_iter().chain(LONG) {
        let stream = begin(&node, statement).await;
        running(&node, 1).await;
        drop(stream);
        running(&node, 0).await;
        assert_eq!(
            log(&node, "phase, success, running, cancelled", statement).await,
            ["cancel,false,false,true"],
            "{statement}"
        );
    }
    // The threads are free too: this one would wait for them.
    assert_eq!(rows(&node, "SELECT v FROM t").await, ["1"]);
    let metrics = send(&node, get("/metrics")).await.text();
    assert!(
        metrics.contains("\ninfluxdb3_queries_total{outcome=\"cancel\"} 4\n"),
        "{metrics}"
    );
    node.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_can_be_stopped_by_its_id() {
    let node = node_with_table(config()).await;
    for statement in LONG {
        let mut stream = begin(&node, statement).await;
        let ids = running(&node, 1).await;
        let request = Request::delete(format!("/api/v3/queries/{}", ids[0]))
            .body(Full::default())
            .expect("a request");
        let answer = send(&node, request.clone()).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
        let mut told = [0; 512];
        let length = stream.read(&mut told).await.expect("an answer");
        let told = String::from_utf8_lossy(&told[..length]).into_owned();
        assert!(told.starts_with("HTTP/1.1 499 "), "{told}");
        assert!(told.ends_with("the query was cancelled"), "{told}");
        assert_eq!(log(&node, "phase", statement).await, ["cancel"]);
        let again = send(&node, request).await;
        assert_eq!(again.status, StatusCode::NOT_FOUND);
        assert_eq!(again.text(), format!("no query {} is running", ids[0]));
    }
    let nonsense = Request::delete("/api/v3/queries/7").body(Full::default());
    let nonsense = send(&node, nonsense.expect("a request")).await;
    assert_eq!(nonsense.status, StatusCode::NOT_FOUND);
    node.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_has_as_long_as_it_is_given() {
    let node = node_with_table(with(QuerySettings {
        timeout: Some(Duration::from_secs(3_600)),
        ..QuerySettings::default()
    }))
    .await;
    let expected = "the query did not end within its timeout of 50ms";
    let body = serde_json::json!({ "db": "d", "q": LONG[0], "timeout": "50ms" });
    let in_body = post("/api/v3/query_sql", body.to_string());
    let in_url = get(&format!(
        "/api/v3/query_sql?db=d&timeout=50ms&q={}",
        LONG[1].replace(' ', "%20").replace('+', "%2B")
    ));
    let mut in_header = ask("d", LONG[2]);
    let value = "50ms".parse().expect("a header value");
    in_header.headers_mut().insert("x-query-timeout", value);
    for request in [in_body, in_url, in_header] {
        let answer = send(&node, request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text().as_str()),
            (504, expected)
        );
    }
    for statement in LONG {
        assert_eq!(
            log(&node, "phase, cancelled", statement).await,
            ["cancel,true"]
        );
    }
    let wrong = send(
        &node,
        get("/api/v3/query_sql?db=d&q=SELECT%201&timeout=soon"),
    )
    .await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(
        wrong.text().starts_with("invalid query timeout `soon`: "),
        "{}",
        wrong.text()
    );
    let enough = get("/api/v3/query_sql?db=d&q=SELECT%20v%20FROM%20t&timeout=1h&format=csv");
    assert_eq!(send(&node, enough).await.text(), "v\n1\n");
    node.stop().await.expect("stops");
}

/// Also one whose client reads nothing any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timeout_of_the_node_holds_for_all() {
    let node = node_with_table(with(QuerySettings {
        timeout: Some(Duration::from_millis(200)),
        ..QuerySettings::default()
    }))
    .await;
    let stream = begin(&node, ENDLESS).await;
    running(&node, 1).await;
    running(&node, 0).await;
    assert_eq!(log(&node, "phase", ENDLESS).await, ["cancel"]);
    drop(stream);
    node.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_wait_in_line_and_the_line_has_an_end() {
    let node = node_with_table(with(QuerySettings {
        concurrent_max: Some(1),
        waiting_max: 1,
        ..QuerySettings::default()
    }))
    .await;
    let first = begin(&node, ENDLESS).await;
    running(&node, 1).await;
    let waits = "SELECT v, 'waits' FROM t";
    let second = begin(&node, waits).await;
    for _ in 0..STEPS {
        if log(&node, "phase", waits).await == ["physically_planned"] {
            break;
        }
        tokio::time::sleep(STEP).await;
    }
    // What the node tells of itself does not wait, and neither do constants and plans.
    for statement in ["SELECT 1", "SHOW TABLES", "EXPLAIN SELECT * FROM t"] {
        assert!(!rows(&node, statement).await.is_empty(), "{statement}");
    }
    let third = send(&node, ask("d", "SELECT v FROM t")).await;
    assert_eq!(third.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(third.headers.contains_key("retry-after"));
    assert_eq!(
        third.text(),
        "too many queries: 1 are running and 1 wait, please try again later"
    );
    let metrics = send(&node, get("/metrics")).await.text();
    for line in [
        "influxdb3_queries_running 2",
        "influxdb3_queries_waiting 1",
        "influxdb3_queries_concurrent_max 1",
        "influxdb3_queries_refused_total 1",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}: {metrics}"
        );
    }
    drop(first);
    let mut second = second;
    let mut told = [0; 512];
    let length = second.read(&mut told).await.expect("an answer");
    let told = String::from_utf8_lossy(&told[..length]).into_owned();
    assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
    assert!(told.contains("queue;dur="), "{told}");
    let waited = log(&node, "permit_duration > INTERVAL '1 millisecond'", waits).await;
    assert_eq!(waited, ["true"]);
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn the_number_of_queries_at_once_can_be_changed() {
    let node = start(with(QuerySettings {
        concurrent_max: Some(20),
        ..QuerySettings::default()
    }))
    .await;
    const PATH: &str = "/api/v3/configure/query_concurrency_limit";
    let put = |target: &str, body: &'static str| {
        let request = Request::put(target).body(Full::new(Bytes::from(body)));
        send(&node, request.expect("a request"))
    };
    let shown = async || send(&node, get(PATH)).await.text();
    let status = |answer: Answer| (answer.status.as_u16(), answer.text());
    assert_eq!(shown().await, r#"{"max_concurrent_queries":20}"#);
    let set = put(PATH, r#"{"max_concurrent_queries":16}"#).await;
    assert_eq!(status(set), (204, String::new()));
    assert_eq!(shown().await, r#"{"max_concurrent_queries":16}"#);
    let few = put(PATH, r#"{"max_concurrent_queries":3}"#).await;
    assert_eq!(few.status, StatusCode::BAD_REQUEST);
    assert!(few.text().contains("add force=true"), "{}", few.text());
    let forced = format!("{PATH}?force=true");
    assert_eq!(
        put(&forced, r#"{"max_concurrent_queries":3}"#).await.status,
        204
    );
    assert_eq!(shown().await, r#"{"max_concurrent_queries":3}"#);
    let none = put(&forced, r#"{"max_concurrent_queries":0}"#).await;
    assert_eq!(
        status(none),
        (400, "must be a positive integer, got 0".to_string())
    );
    assert_eq!(
        put(PATH, r#"{"max_concurrent_queries":null}"#).await.status,
        204
    );
    assert_eq!(shown().await, r#"{"max_concurrent_queries":20}"#);
    assert_eq!(
        put(&forced, r#"{"max_concurrent_queries":5}"#).await.status,
        204
    );
    let clear = Request::delete(PATH).body(Full::default());
    assert_eq!(send(&node, clear.expect("a request")).await.status, 204);
    assert_eq!(shown().await, r#"{"max_concurrent_queries":20}"#);
    node.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_beyond_its_memory_fails_alone_or_goes_on_on_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = node_with_table(with(QuerySettings {
        memory_bytes: Some(4 << 20),
        spill_folder: Some(folder.path().to_path_buf()),
        ..QuerySettings::default()
    }))
    .await;
    let stream = begin(&node, ENDLESS).await;
    running(&node, 1).await;
    let greedy = "SELECT count(*) AS n FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b ON a.value = b.value";
    let refused = send(&node, ask("d", greedy)).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        refused.text().contains("this query may hold 4194304 bytes"),
        "{}",
        refused.text()
    );
    assert_eq!(
        log(
            &node,
            "phase, max_memory > 0 AND max_memory <= 4194304",
            greedy
        )
        .await,
        ["fail,true"]
    );
    let grouped =
        "SELECT value % 100000 AS k, count(*) AS n FROM generate_series(1, 1000000) GROUP BY k";
    let spilled = rows(&node, &format!("EXPLAIN ANALYZE {grouped}"))
        .await
        .join("\n");
    let count = spilled
        .split("spill_count=")
        .skip(1)
        .filter_map(|rest| rest.split([',', ']']).next()?.trim().parse::<u64>().ok())
        .sum::<u64>();
    assert!(count > 0, "{spilled}");
    // The other one has gone on all the time.
    running(&node, 1).await;
    drop(stream);
    node.stop().await.expect("stops");
    let left = std::fs::read_dir(folder.path())
        .expect("the folder")
        .count();
    assert_eq!(left, 0, "the node leaves nothing behind");
}

#[tokio::test]
async fn the_log_tells_how_queries_ended() {
    let node = node_with_table(config()).await;
    // Not even the start has left anything in it.
    let ended = "SELECT count(*) FROM system.queries WHERE running = false";
    let fresh = node_with_table(config()).await;
    assert_eq!(rows(&fresh, ended).await, ["0"]);
    fresh.stop().await.expect("stops");

    rows(&node, "SELECT v FROM t").await;
    for (statement, status) in [
        ("SELECT x FROM t", 400),
        ("SELEC 1", 400),
        ("SELECT 1/(v-1) FROM t", 400),
    ] {
        let answer = send(&node, ask("d", statement)).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{statement}: {}",
            answer.text()
        );
    }
    let deleted = send(&node, ask("d", "DELETE FROM t WHERE v > 5")).await;
    assert_eq!(deleted.text(), "count\n0\n");
    let statement = "SELECT phase, query_type, query_text, partitions > 0, parquet_files, \
                     plan_duration IS NOT NULL, permit_duration IS NOT NULL, execute_duration IS NOT NULL, \
                     end2end_duration >= plan_duration, compute_duration IS NOT NULL, max_memory IS NOT NULL, success, running, \
                     cancelled, trace_id FROM system.queries WHERE query_text NOT LIKE '%system.queries%' \
                     ORDER BY issue_time";
    assert_eq!(
        rows(&node, statement).await,
        [
            "success,sql,SELECT v FROM t,true,0,true,true,true,true,true,true,true,false,false,",
            "fail,sql,SELECT x FROM t,,,false,false,false,,false,false,false,false,false,",
            "fail,sql,SELEC 1,,,false,false,false,,false,false,false,false,false,",
            "fail,sql,SELECT 1/(v-1) FROM t,true,0,true,true,true,true,true,true,false,false,false,",
            "success,sql,DELETE FROM t WHERE v > 5,,,true,true,true,true,false,true,true,false,false,",
        ]
    );
    let mut traced = ask("d", "SELECT 2");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    traced
        .headers_mut()
        .insert("traceparent", trace.parse().expect("a header value"));
    let answer = send(&node, traced).await;
    let id = answer.headers["query-id"]
        .to_str()
        .expect("text")
        .to_string();
    let timing = answer.headers["server-timing"].to_str().expect("text");
    assert!(
        timing.starts_with("plan;dur=") && timing.contains(", queue;dur="),
        "{timing}"
    );
    assert_eq!(
        log(&node, "id, trace_id", "SELECT 2").await,
        [format!("{id},4bf92f3577b34da6a3ce929d0e0e4736")]
    );
    // Values may be secret.
    let body = serde_json::json!({ "db": "d", "q": "SELECT $p", "params": { "p": "hidden" } });
    let answer = send(&node, post("/api/v3/query_sql", body.to_string())).await;
    assert!(answer.text().contains("hidden"));
    let all = rows(&node, "SELECT * FROM system.queries").await.join("\n");
    assert!(
        all.contains("SELECT $p") && !all.contains("hidden"),
        "{all}"
    );
    node.stop().await.expect("stops");
}

#[tokio::test]
async fn the_log_forgets_the_oldest() {
    let node = node_with_table(with(QuerySettings {
        log_entries: 2,
        ..QuerySettings::default()
    }))
    .await;
    for number in 1..=4 {
        rows(&node, &format!("SELECT {number}")).await;
    }
    let texts = "SELECT query_text FROM system.queries WHERE NOT running";
    assert_eq!(rows(&node, texts).await, ["SELECT 3", "SELECT 4"]);
    node.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sees_and_stops_which_queries() {
    let node = start(Config {
        without_auth: false,
        ..config()
    })
    .await;
    let made = |target: &'static str, by: Option<String>, body: String| {
        let mut request = post(target, body);
        if target.contains("/configure/") {
            let json = "application/json".parse().expect("a header value");
            request.headers_mut().insert("content-type", json);
        }
        if let Some(by) = by {
            let bearer = format!("Bearer {by}").parse().expect("a header value");
            request.headers_mut().insert("authorization", bearer);
        }
        let node = &node;
        async move {
            let answer = send(node, request).await;
            let made: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            made["token"].as_str().unwrap_or_default().to_string()
        }
    };
    let admin = made("/api/v3/configure/token/admin", None, String::new()).await;
    for (database, lines) in [("a", "t v=1i 1\nu v=1i 1"), ("b", "t v=1i 1")] {
        let target = match database {
            "a" => "/api/v3/write_lp?db=a",
            _ => "/api/v3/write_lp?db=b",
        };
        made(target, Some(admin.clone()), lines.to_string()).await;
    }
    let token = |name: &str, permission: &str| {
        let body = format!(r#"{{"token_name":"{name}","permissions":["{permission}"]}}"#);
        made("/api/v3/configure/token", Some(admin.clone()), body)
    };
    let (reader, narrow, other) = (
        token("reader", "db:a:read").await,
        token("narrow", "db:a.t:read").await,
        token("other", "db:b:read").await,
    );
    for (token, database, statement) in [
        (&admin, "a", "SELECT v, 1 FROM u"),
        (&reader, "a", "SELECT v, 2 FROM t"),
        (&narrow, "a", "SELECT v, 3 FROM t"),
        (&other, "b", "SELECT v, 4 FROM t"),
    ] {
        let answer = send(&node, ask_as(Some(token), database, statement)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    let seen = async |token: &str, database: &str| {
        let statement =
            "SELECT query_text FROM system.queries WHERE query_text LIKE 'SELECT v%' ORDER BY 1";
        let answer = send(&node, ask_as(Some(token), database, statement)).await;
        match answer.status {
            StatusCode::OK => answer
                .text()
                .lines()
                .filter_map(|line| {
                    line.split(['"', ' ', ','])
                        .find(|word| word.parse::<u8>().is_ok())
                })
                .collect::<String>(),
            refused => refused.as_str().to_string(),
        }
    };
    assert_eq!(seen(&admin, "a").await, "123");
    assert_eq!(seen(&admin, "b").await, "4");
    assert_eq!(seen(&admin, "_internal").await, "1234");
    assert_eq!(seen(&reader, "a").await, "123");
    assert_eq!(seen(&reader, "b").await, "403");
    assert_eq!(seen(&reader, "_internal").await, "403");
    // Who may read a part of a database sees what they asked themselves.
    assert_eq!(seen(&narrow, "a").await, "3");
    assert_eq!(seen(&other, "b").await, "4");

    let mut stream = TcpStream::connect(node.address()).await.expect("connects");
    let body = serde_json::json!({ "db": "a", "q": LONG[0] }).to_string();
    let head = format!(
        "POST /api/v3/query_sql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {narrow}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("sends");
    let mut id = String::new();
    for _ in 0..STEPS {
        let statement =
            "SELECT id FROM system.queries WHERE running AND query_text NOT LIKE '%system%'";
        let answer = send(&node, ask_as(Some(&admin), "a", statement))
            .await
            .text();
        if let Some(found) = answer.lines().nth(1) {
            id = found.to_string();
            break;
        }
        tokio::time::sleep(STEP).await;
    }
    let stop = async |token: &str| {
        let request = Request::delete(format!("/api/v3/queries/{id}"))
            .header("authorization", format!("Bearer {token}"))
            .body(Full::default());
        send(&node, request.expect("a request"))
            .await
            .status
            .as_u16()
    };
    // To others it is as if it did not run, even to those who see it.
    assert_eq!((stop(&other).await, stop(&reader).await), (404, 404));
    assert_eq!(stop(&narrow).await, 204);
    let mut told = [0; 64];
    let length = stream.read(&mut told).await.expect("an answer");
    let told = String::from_utf8_lossy(&told[..length]).into_owned();
    assert!(told.starts_with("HTTP/1.1 499 "), "{told}");
    node.stop().await.expect("stops");
}
