//! The same answers with the rule as without, over rows in the buffer, in files and in both; and when the rule applies.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::sum;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::{ExecutionPlan, collect, displayable};

use catalog::{Catalog, Limits};
use line_protocol::Precision;
use runtime::clock::SimulatedClock;
use runtime::{Random, Tasks, World, object_store};
use storage::{Engine, WriteRequest};

use crate::Config;
use crate::database::DatabaseCatalog;
use crate::queries::Queries;
use crate::session::Sessions;
use crate::table::Source;

/// 2026-01-02T03:04:05Z.
const NOW_NS: i64 = 1_767_323_045_000_000_000;

/// 2026-01-01T00:00:00Z.
const FIRST_SECOND: i64 = 1_767_225_600;

/// Statements, and whether they aggregate over runs.
const STATEMENTS: &[(&str, bool)] = &[
    // Tags and bins, as dashboards ask.
    (
        "SELECT date_bin(INTERVAL '1 hour', time) AS hour, host, avg(f), avg(i), max(u) FROM cpu GROUP BY 1, 2",
        true,
    ),
    (
        "SELECT date_bin(INTERVAL '1 hour', time) AS hour, host, avg(f) FROM cpu \
         WHERE time >= '2026-01-01T00:20:05Z' AND time < '2026-01-01T02:00:00Z' GROUP BY 1, 2 ORDER BY 2, 1 LIMIT 5",
        true,
    ),
    (
        "SELECT date_bin(INTERVAL '10 minutes', time, TIMESTAMP '2000-01-01T00:03:00Z') AS bin, region, sum(i), min(f) \
         FROM cpu GROUP BY 1, 2",
        true,
    ),
    (
        "SELECT date_bin(INTERVAL '1 minute', time) AS minute, host, count(*), count(f), count(s) FROM cpu GROUP BY 1, 2",
        true,
    ),
    (
        "SELECT date_bin(INTERVAL '10 seconds', time) AS t, host, max(f) FROM cpu GROUP BY 1, 2",
        true,
    ),
    (
        "SELECT date_bin(INTERVAL '1 month', time) AS month, host, count(i) FROM cpu GROUP BY 1, 2",
        true,
    ),
    (
        "SELECT date_trunc('hour', time) AS hour, host, region, sum(f), count(*) FROM cpu GROUP BY 1, 2, 3",
        true,
    ),
    (
        "SELECT date_bin(INTERVAL '1 hour', time) AS hour, date_trunc('day', time) AS day, host, sum(u) FROM cpu GROUP BY 1, 2, 3",
        true,
    ),
    // Time alone.
    (
        "SELECT date_bin(INTERVAL '5 minutes', time) AS bin, max(f), min(i), sum(u), avg(f) FROM cpu GROUP BY 1 ORDER BY 1 DESC LIMIT 7",
        true,
    ),
    (
        "SELECT date_bin(INTERVAL '1 second', time) AS t, count(*) FROM cpu WHERE host = 'h1' GROUP BY 1",
        true,
    ),
    (
        "SELECT date_part('minute', time) AS minute, count(*), sum(f) FROM cpu GROUP BY 1",
        true,
    ),
    (
        "SELECT to_char(time, '%H') AS hour, count(i) FROM cpu GROUP BY 1",
        true,
    ),
    (
        "SELECT date_bin(INTERVAL '1 hour', time) AS a, date_part('hour', time) AS b, count(*) FROM cpu GROUP BY 1, 2",
        true,
    ),
    // Tags alone.
    (
        "SELECT host, avg(f), min(time), max(time) FROM cpu GROUP BY host",
        true,
    ),
    (
        "SELECT region, rack, count(*) FROM cpu GROUP BY region, rack",
        true,
    ),
    ("SELECT rack, sum(i) FROM cpu GROUP BY rack", true),
    ("SELECT DISTINCT host FROM cpu", true),
    (
        "SELECT DISTINCT region, date_bin(INTERVAL '1 hour', time) FROM cpu",
        true,
    ),
    (
        "SELECT upper(host) AS name, count(f) FROM cpu GROUP BY 1",
        true,
    ),
    (
        "SELECT host || '/' || region AS name, count(f) FROM cpu GROUP BY 1",
        true,
    ),
    (
        "SELECT CASE WHEN host < 'h3' THEN 'low' ELSE 'high' END AS half, date_bin(INTERVAL '1 hour', time) AS hour, sum(i) \
         FROM cpu GROUP BY 1, 2",
        true,
    ),
    (
        "SELECT CASE WHEN time < '2026-01-01T01:00:00Z' THEN host ELSE region END AS name, count(*) FROM cpu GROUP BY 1",
        true,
    ),
    // Functions of all kinds, and conditions on them.
    (
        "SELECT host, count(s), min(s), max(s), bool_and(b), bool_or(b) FROM cpu GROUP BY host",
        true,
    ),
    (
        "SELECT host, round(stddev(f), 6), round(var_pop(i), 6), round(corr(f, i), 6) FROM cpu GROUP BY host",
        true,
    ),
    (
        "SELECT host, count(*) FILTER (WHERE f > 10), sum(i) FILTER (WHERE b), avg(f) FILTER (WHERE s = 'none'), \
         max(u) FILTER (WHERE NOT b) FROM cpu GROUP BY host",
        true,
    ),
    (
        "SELECT host, sum(f + i), avg(i * 2), max(u) - min(u), bit_xor(i) FROM cpu GROUP BY host",
        true,
    ),
    (
        "SELECT date_bin(INTERVAL '30 minutes', time) AS bin, host, sum(f) AS total FROM cpu GROUP BY 1, 2 HAVING sum(f) > 100 ORDER BY total DESC, 1, 2 LIMIT 9",
        true,
    ),
    (
        "SELECT host, sum(f) FROM cpu WHERE f > 3 AND i % 2 = 0 GROUP BY host",
        true,
    ),
    (
        "SELECT date_bin(INTERVAL '20 minutes', time) AS bin, host, count(*) FROM cpu WHERE s LIKE 'w%' OR b GROUP BY 1, 2",
        true,
    ),
    (
        "SELECT host, count(f) FROM cpu WHERE region IS NULL GROUP BY host",
        true,
    ),
    (
        "SELECT host, sum(f), max(f), avg(f) FROM cpu WHERE f IS NULL GROUP BY host",
        true,
    ),
    (
        "SELECT host, count(*) FROM cpu WHERE host = 'nobody' GROUP BY host",
        true,
    ),
    (
        "SELECT count(*), max(n) FROM (SELECT host, count(*) AS n FROM cpu GROUP BY host)",
        true,
    ),
    (
        "SELECT bin, avg(v) FROM (SELECT date_bin(INTERVAL '1 hour', time) AS bin, f * 2 AS v FROM cpu) GROUP BY bin",
        true,
    ),
    (
        "SELECT host, n FROM (SELECT host, count(*) AS n FROM cpu GROUP BY host) JOIN (SELECT host AS h FROM cpu GROUP BY host) ON host = h",
        true,
    ),
    (
        "SELECT host, sum(i) FROM cpu GROUP BY host UNION ALL SELECT region, sum(u) FROM cpu GROUP BY region",
        true,
    ),
    (
        "SELECT host, max(region), min(rack), count(region), first_value(host) FROM cpu GROUP BY host",
        true,
    ),
    (
        "SELECT date_bin(INTERVAL '15 minutes', time) AS bin, min(host), max(region) FILTER (WHERE b), sum(i) FROM cpu GROUP BY 1",
        true,
    ),
    (
        "SELECT host, median(i), approx_distinct(i) FROM cpu GROUP BY host",
        true,
    ),
    // What is none of ours.
    ("SELECT count(*), avg(f), min(time) FROM cpu", false),
    ("SELECT s, count(*) FROM cpu GROUP BY s", false),
    ("SELECT b, i % 3, count(*) FROM cpu GROUP BY 1, 2", false),
    ("SELECT time, sum(i) FROM cpu GROUP BY time", false),
    (
        "SELECT host, count(DISTINCT i) FROM cpu GROUP BY host",
        false,
    ),
    (
        "SELECT host, first_value(f ORDER BY time) FROM cpu GROUP BY host",
        false,
    ),
    (
        "SELECT host, last_value(f ORDER BY time) FROM cpu GROUP BY host",
        false,
    ),
    (
        "SELECT host, region, count(*) FROM cpu GROUP BY ROLLUP (host, region)",
        false,
    ),
];

struct Node {
    catalog: Arc<Catalog>,
    storage: Arc<Engine>,
    tasks: Tasks,
}

impl Node {
    async fn start() -> Self {
        let tasks = Tasks::new();
        let world = World {
            clock: Arc::new(SimulatedClock::at_ns(NOW_NS)),
            random: Random::seeded(1),
            store: object_store::in_memory(),
            tasks: tasks.clone(),
        };
        let catalog = Catalog::open("node", &world, Limits::default())
            .await
            .expect("an empty store opens");
        let catalog = Arc::new(catalog);
        let config = storage::Config {
            node_id: "node".to_string(),
            local_folder: None,
            wal_flush_interval: Duration::from_millis(1),
            wal_snapshot_size: 600,
            log: storage::LogSettings::default(),
            memory: storage::Memory::default(),
            delete_grace: Duration::from_secs(86_400),
        };
        let storage = Engine::open(config, Arc::clone(&catalog), world)
            .await
            .expect("an empty store opens");
        Self {
            catalog,
            storage,
            tasks,
        }
    }

    async fn write(&self, lines: &str) {
        let request = WriteRequest {
            database: "db",
            text: lines,
            precision: Precision::Second,
            accept_partial: false,
            no_sync: false,
        };
        if let Err(error) = self.storage.write(request).await {
            panic!("cannot write: {error:?}");
        }
    }

    fn session(&self, partitions: usize, memory_bytes: usize, with_rule: bool) -> SessionState {
        let config = Config {
            query_memory_bytes: memory_bytes,
            ..Config::new(memory_bytes, partitions)
        };
        let snapshot = self.catalog.snapshot();
        let database = snapshot.database_named("db").expect("it was written");
        let source = Source {
            storage: Arc::clone(&self.storage),
            snapshot: Arc::clone(&snapshot),
            now_ns: NOW_NS,
            partitions,
            token_events: crate::TokenEventRows::default(),
            node: None,
            without_auth: false,
            access: crate::Access::Everything,
            token: None,
            queries: Arc::new(Queries::new(
                Arc::new(SimulatedClock::at_ns(NOW_NS)),
                Random::seeded(1),
                0,
            )),
        };
        let tables = DatabaseCatalog::new(Arc::clone(database), source);
        let sessions = Sessions::new(&config, None).expect("the settings are fine");
        let runtime = sessions.runtime_of(sessions.begin_memory());
        let session = sessions.session(Arc::new(tables), NOW_NS);
        let session = SessionStateBuilder::new_from_existing(session)
            .with_runtime_env(runtime)
            .build();
        if with_rule {
            return session;
        }
        let rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> = session
            .physical_optimizers()
            .iter()
            .filter(|rule| rule.name() != "RunAggregation")
            .cloned()
            .collect();
        assert_eq!(rules.len() + 1, session.physical_optimizers().len());
        SessionStateBuilder::new_from_existing(session)
            .with_physical_optimizer_rules(rules)
            .build()
    }

    async fn stop(self) {
        self.storage.close().await.expect("nothing is in the way");
        self.tasks.drain(Duration::from_secs(10)).await;
    }
}

/// A finished query.
struct Ran {
    plan: Arc<dyn ExecutionPlan>,
    batches: Vec<RecordBatch>,
}

impl Ran {
    async fn new(session: &SessionState, statement: &str) -> Self {
        let fault = |fault| -> Ran { panic!("{statement}: {fault}") };
        let plan = session.create_logical_plan(statement).await;
        let plan = match plan {
            Ok(plan) => session.create_physical_plan(&plan).await,
            Err(error) => return fault(error),
        };
        let plan = match plan {
            Ok(plan) => plan,
            Err(error) => return fault(error),
        };
        match collect(Arc::clone(&plan), session.task_ctx()).await {
            Ok(batches) => Self { plan, batches },
            Err(error) => fault(error),
        }
    }

    fn text(&self) -> String {
        displayable(self.plan.as_ref()).indent(false).to_string()
    }

    /// Lines in a fixed order.
    fn rows(&self) -> Vec<String> {
        let text = pretty_format_batches(&self.batches).expect("text");
        let mut rows: Vec<String> = text.to_string().lines().map(str::to_string).collect();
        rows.sort_unstable();
        rows
    }
}

/// The metrics of every `RunAggregate` of a plan: partitions handed over, rows put out.
fn measured(plan: &Arc<dyn ExecutionPlan>) -> (usize, usize) {
    let own = match plan.metrics() {
        Some(metrics) if plan.name() == "RunAggregate" => {
            let handed_over = metrics.sum_by_name("handed_over");
            (
                handed_over.map_or(0, |count| count.as_usize()),
                metrics.output_rows().unwrap_or(0),
            )
        }
        _ => (0, 0),
    };
    let children = plan.children();
    children
        .into_iter()
        .map(measured)
        .fold(own, |sum, child| (sum.0 + child.0, sum.1 + child.1))
}

/// Lines of six hosts, one value every ten seconds; some tags, fields and rows are missing. Halves and quarters add up exactly.
fn lines(seconds: std::ops::Range<i64>, shift: i64) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for host in 0..6_i64 {
        for second in seconds.clone().step_by(10) {
            let dice = (second / 10) * 7 + host * 13 + shift;
            if dice % 29 == 0 {
                continue;
            }
            let region = ["west", "east"][(host % 2) as usize];
            let _ = write!(text, "cpu,host=h{host}");
            if host != 4 {
                let _ = write!(text, ",region={region}");
            }
            if dice % 11 == 3 {
                let _ = write!(text, ",rack=r{}", host % 3);
            }
            let _ = write!(text, " i={}i", dice % 17 - 5);
            if host != 5 && dice % 5 != 0 {
                let _ = write!(text, ",f={}", (dice % 64) as f64 / 4.0);
            }
            if dice % 3 != 0 {
                let _ = write!(text, ",u={}u,b={}", dice % 23, dice % 2 == 0);
            }
            if dice % 4 == 1 {
                let _ = write!(
                    text,
                    ",s=\"{}\"",
                    ["wind", "none", "sun"][(dice % 3) as usize]
                );
            }
            let _ = writeln!(text, " {}", FIRST_SECOND + second);
        }
    }
    text
}

async fn check_all(node: &Node, place: &str, partitions: usize) {
    let with = node.session(partitions, 64 << 20, true);
    let without = node.session(partitions, 64 << 20, false);
    for (statement, applies) in STATEMENTS {
        let runs = Ran::new(&with, statement).await;
        let plan = runs.text();
        let shown = plan.contains("RunAggregate: gby=[");
        assert_eq!(shown, *applies, "{place}: {statement}\n{plan}");
        if *applies {
            let hashed = Ran::new(&without, statement).await;
            assert!(!hashed.text().contains("RunAggregate"), "{statement}");
            assert_eq!(runs.rows(), hashed.rows(), "{place}: {statement}\n{plan}");
        }
    }
}

#[tokio::test]
async fn answers_are_those_of_hashing_wherever_rows_are() {
    let node = Node::start().await;
    node.write(&lines(0..4_000, 0)).await;
    node.storage.persist().await.expect("the store works");
    // Some rows again with other values, and new ones.
    node.write(&lines(3_000..8_000, 1)).await;
    check_all(&node, "half and half", 2).await;
    node.storage.persist().await.expect("the store works");
    check_all(&node, "files", 1).await;
    node.stop().await;
}

/// Enough rows in one partition to judge their runs.
async fn large() -> Node {
    use std::fmt::Write;
    let node = Node::start().await;
    let mut text = String::new();
    for host in 0..8 {
        for second in 0..6_000 {
            let second = FIRST_SECOND + second;
            let _ = writeln!(text, "cpu,host=h{host} i={}i {second}", second % 100);
        }
    }
    node.write(&text).await;
    node
}

#[tokio::test]
async fn short_runs_are_handed_over() {
    let node = large().await;
    let with = node.session(1, 64 << 20, true);
    let without = node.session(1, 64 << 20, false);
    let cases = [
        ("date_bin(INTERVAL '1 second', time), host", 1),
        ("date_bin(INTERVAL '3 seconds', time), host", 1),
        ("date_bin(INTERVAL '4 seconds', time), host", 0),
        ("date_bin(INTERVAL '1 second', time)", 1),
        ("date_bin(INTERVAL '2 seconds', time)", 0),
        ("host", 0),
    ];
    for (groups, handed_over) in cases {
        let statement = format!(
            "SELECT count(*), sum(s), sum(a), min(n), max(n), sum(date_part('epoch', t)) FROM \
             (SELECT sum(i) AS s, avg(i) AS a, count(*) AS n, max(time) AS t FROM cpu GROUP BY {groups})"
        );
        let runs = Ran::new(&with, &statement).await;
        let hashed = Ran::new(&without, &statement).await;
        assert_eq!(runs.rows(), hashed.rows(), "{statement}");
        let (partitions, rows) = measured(&runs.plan);
        assert_eq!(partitions, handed_over, "{statement}");
        assert!(rows > 0, "{statement}");
    }
    node.stop().await;
}

/// The partial states that the one `RunAggregate` of a plan puts out.
async fn states(session: &SessionState, statement: &str) -> Vec<RecordBatch> {
    let logical = session.create_logical_plan(statement).await;
    let logical = logical.expect("the statement can be planned");
    let plan = session.create_physical_plan(&logical).await;
    let mut node = plan.expect("the statement can be planned");
    while node.name() != "RunAggregate" {
        let children = node.children();
        let below = Arc::clone(children.first().expect("there is one below"));
        node = below;
    }
    let states = collect(node, session.task_ctx()).await;
    assert_eq!(session.runtime_env().memory_pool.reserved(), 0);
    states.expect("memory is enough for a batch")
}

/// Groups go out early when there is no room for them, and never more than a batch at a time.
#[tokio::test]
async fn memory_is_asked_for_and_given_back() {
    let node = large().await;
    for groups in [
        "date_bin(INTERVAL '5 seconds', time), host",
        "date_bin(INTERVAL '5 seconds', time)",
    ] {
        let statement = format!("SELECT count(*), sum(i) FROM cpu GROUP BY {groups}");
        let mut rows = Vec::new();
        for memory_bytes in [64 << 20, 48_000] {
            let states = states(&node.session(1, memory_bytes, true), &statement).await;
            assert!(states.iter().all(|batch| batch.num_rows() <= 8192));
            let counted = |batch: &RecordBatch| {
                let counts = batch.column_by_name("count(Int64(1))[count]");
                let counts = counts
                    .expect("the state of count")
                    .as_primitive::<Int64Type>();
                sum(counts).unwrap_or(0)
            };
            assert_eq!(
                states.iter().map(counted).sum::<i64>(),
                48_000,
                "{statement}"
            );
            rows.push(states.iter().map(RecordBatch::num_rows).sum::<usize>());
        }
        assert!(rows[0] < rows[1], "{statement}: {rows:?}");
    }
    node.stop().await;
}
