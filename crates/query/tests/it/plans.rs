//! What EXPLAIN must show: conditions that storage applies are not applied again, and the rest is.

use crate::node::Node;

/// The physical plan, one operator per line.
async fn explain(node: &Node, statement: &str) -> String {
    let text = format!("EXPLAIN {statement}");
    let (_, batches) = node
        .query("db", &text, Vec::new())
        .await
        .expect("the statement can be planned");
    let plans = arrow::util::pretty::pretty_format_batches(&batches).expect("text");
    let plans = plans.to_string();
    let (_, physical) = plans.split_once("physical_plan").expect("both plans");
    physical.to_string()
}

async fn node() -> Node {
    let node = Node::start().await;
    node.write(
        "db",
        "cpu,host=a,region=x usage=1,idle=2 10\ncpu,host=b usage=2 20",
    )
    .await;
    node
}

#[tokio::test]
async fn tag_and_time_conditions_reach_storage_alone() {
    let node = node().await;
    let plan = explain(
        &node,
        "SELECT usage FROM cpu WHERE host = 'a' AND time >= '1970-01-01T00:00:05Z' AND time < '1970-01-01T00:01:00Z'",
    )
    .await;
    assert!(
        plan.contains("SeriesScan: table=cpu, projection=[usage]"),
        "{plan}"
    );
    assert!(
        plan.contains("time=[1970-01-01T00:00:05, 1970-01-01T00:00:59.999999999]"),
        "{plan}"
    );
    assert!(plan.contains("series_filter=[host = "), "{plan}");
    assert!(!plan.contains("FilterExec"), "{plan}");
    node.stop().await;
}

#[tokio::test]
async fn field_conditions_stay_above_the_scan() {
    let node = node().await;
    let plan = explain(
        &node,
        "SELECT usage FROM cpu WHERE usage > 1 AND host = 'b'",
    )
    .await;
    assert!(plan.contains("FilterExec: usage@"), "{plan}");
    assert!(plan.contains("series_filter=[host = "), "{plan}");
    node.stop().await;
}

#[tokio::test]
async fn a_limit_reaches_the_scan_unless_rows_are_filtered_above_it() {
    let node = node().await;
    let plan = explain(&node, "SELECT usage FROM cpu WHERE host = 'a' LIMIT 3").await;
    assert!(plan.contains("limit=3"), "{plan}");
    let plan = explain(&node, "SELECT usage FROM cpu WHERE usage > 1 LIMIT 3").await;
    assert!(!plan.contains("limit=3"), "{plan}");
    node.stop().await;
}

/// Rows are dealt out to threads only where there may be many.
#[tokio::test]
async fn a_small_question_of_one_table_runs_in_one_partition() {
    let node = node().await;
    let plan = explain(
        &node,
        "SELECT date_bin(interval '1 minute', time) AS minute, max(usage) FROM cpu GROUP BY 1 ORDER BY 1",
    )
    .await;
    assert!(plan.contains("RunAggregate"), "{plan}");
    assert!(!plan.contains("RepartitionExec"), "{plan}");
    for multiplied in [
        "SELECT b.host, max(a.usage) FROM cpu a, cpu b GROUP BY 1",
        "SELECT host, max(usage), (SELECT count(*) FROM cpu) FROM cpu GROUP BY 1",
    ] {
        let plan = explain(&node, multiplied).await;
        assert!(plan.contains("RepartitionExec"), "{plan}");
    }
    node.stop().await;
}

/// A condition on what another statement computes is taken apart like one on the columns themselves, though it takes the optimizer a
/// second look.
#[tokio::test]
async fn conditions_on_a_derived_table_reach_storage() {
    let node = node().await;
    let plan = explain(
        &node,
        "SELECT usage FROM (SELECT usage, time AS at, host AS name FROM cpu) \
         WHERE name = 'a' AND at < '1970-01-01T00:01:00Z' LIMIT 2",
    )
    .await;
    assert!(plan.contains("series_filter=[host = "), "{plan}");
    assert!(
        plan.contains("time=[, 1970-01-01T00:00:59.999999999]"),
        "{plan}"
    );
    assert!(plan.contains("limit=2"), "{plan}");
    assert!(!plan.contains("FilterExec"), "{plan}");
    node.stop().await;
}

#[tokio::test]
async fn counting_rows_reads_no_column() {
    let node = node().await;
    let plan = explain(&node, "SELECT count(*) FROM cpu").await;
    assert!(plan.contains("projection=[]"), "{plan}");
    node.stop().await;
}

#[tokio::test]
async fn a_contradiction_reads_nothing() {
    let node = node().await;
    let plan = explain(
        &node,
        "SELECT usage FROM cpu WHERE time > '2026-01-02' AND time < '2026-01-01'",
    )
    .await;
    assert!(plan.contains("EmptyExec"), "{plan}");
    assert!(!plan.contains("SeriesScan"), "{plan}");
    node.stop().await;
}

#[tokio::test]
async fn analyze_counts_the_rows_of_the_scan() {
    let node = node().await;
    let plan = node
        .query("db", "EXPLAIN ANALYZE SELECT * FROM cpu", Vec::new())
        .await
        .map(|(_, batches)| {
            arrow::util::pretty::pretty_format_batches(&batches)
                .expect("text")
                .to_string()
        })
        .expect("the statement runs");
    let scan = plan
        .lines()
        .find(|line| line.contains("SeriesScan"))
        .unwrap_or_default();
    assert!(scan.contains("output_rows=2"), "{plan}");
    node.stop().await;
}

#[tokio::test]
async fn a_scan_tells_what_it_reads_and_what_it_left_out() {
    let node = node().await;
    node.storage.persist().await.expect("the store works");
    node.write("db", "cpu,host=c usage=3 30").await;
    let plan = explain(&node, "SELECT usage FROM cpu").await;
    assert!(plan.contains("files=1/1, segments=1/1"), "{plan}");
    let plan = explain(&node, "SELECT usage FROM cpu WHERE host = 'c'").await;
    assert!(plan.contains("files=0/1, segments=1/1"), "{plan}");
    let plan = explain(
        &node,
        "SELECT usage FROM cpu WHERE time <= '1970-01-01T00:00:20Z'",
    )
    .await;
    assert!(plan.contains("files=1/1, segments=0/1"), "{plan}");
    node.stop().await;
}

#[tokio::test]
async fn field_conditions_are_asked_by_storage_too_unless_they_look_at_tags() {
    let node = node().await;
    let plan = explain(
        &node,
        "SELECT idle FROM cpu WHERE usage > 1 AND (idle > 1 OR host = 'a')",
    )
    .await;
    assert!(plan.contains("row_filter=[usage > "), "{plan}");
    assert!(
        !plan.contains("row_filter=[usage > Float64(1) AND idle"),
        "{plan}"
    );
    assert!(plan.contains("FilterExec: usage@"), "{plan}");
    node.stop().await;
}

#[tokio::test]
async fn row_groups_and_pages_are_told() {
    let node = node().await;
    node.storage.persist().await.expect("the store works");
    let plan = explain(&node, "SELECT usage FROM cpu WHERE host = 'a'").await;
    assert!(plan.contains("row_groups=1/1, pages=2/2"), "{plan}");
    let plan = explain(&node, "SELECT host FROM cpu WHERE usage > 1").await;
    assert!(plan.contains("pages=2/2"), "{plan}");
    node.stop().await;
}

#[tokio::test]
async fn counts_and_times_come_from_indexes() {
    let node = node().await;
    node.storage.persist().await.expect("the store works");
    let plan = explain(&node, "SELECT count(*), min(time), max(time) FROM cpu").await;
    assert!(plan.contains("counted=2"), "{plan}");
    assert!(!plan.contains("row_groups"), "{plan}");
    let plan = explain(&node, "SELECT max(time) FROM cpu WHERE usage > 1").await;
    assert!(!plan.contains("counted="), "{plan}");
    node.stop().await;
}

#[tokio::test]
async fn files_without_a_series_in_common_are_not_merged() {
    let node = Node::without_compaction(64 << 20).await;
    for host in ["a", "b", "c"] {
        node.write(
            "db",
            &format!("cpu,host={host} usage=1 10\ncpu,host={host} usage=2 20"),
        )
        .await;
        node.storage.persist().await.expect("the store works");
    }
    let plan = explain(&node, "SELECT usage FROM cpu").await;
    assert!(plan.contains("files=3/3"), "{plan}");
    assert!(plan.contains("groups=3, largest_group=1"), "{plan}");
    node.stop().await;
}

/// It shows how the rows would be found, and leaves them where they are.
#[tokio::test]
async fn explaining_a_delete_deletes_nothing() {
    let node = node().await;
    let plan = explain(
        &node,
        "DELETE FROM cpu WHERE host = 'a' AND usage > 0 AND time < '1970-01-01T00:01:00Z'",
    )
    .await;
    assert!(plan.contains("FilterExec: usage@"), "{plan}");
    assert!(plan.contains("SeriesScan: table=cpu"), "{plan}");
    assert!(plan.contains("series_filter=[host = "), "{plan}");
    let plan = explain(&node, "DELETE FROM cpu WHERE false").await;
    assert!(plan.contains("EmptyExec"), "{plan}");
    let plan = explain(&node, "VERBOSE DELETE FROM cpu").await;
    assert!(plan.contains("SeriesScan: table=cpu"), "{plan}");
    let (_, batches) = node
        .query("db", "SELECT usage FROM cpu", Vec::new())
        .await
        .expect("it can be read");
    let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, 2);
    node.stop().await;
}

/// What groups rows is known of series, so a condition on it need not wait; the rest has to. Rows come out in their order.
#[tokio::test]
async fn gaps_are_filled_between_aggregate_and_conditions_on_values() {
    let node = node().await;
    let plan = explain(
        &node,
        "SELECT * FROM (SELECT host, date_bin_gapfill(interval '10 seconds', time) AS bin, locf(avg(usage)) AS usage \
         FROM cpu WHERE time >= '1970-01-01T00:00:00Z' AND time < '1970-01-01T00:01:00Z' GROUP BY host, bin) \
         WHERE host = 'a' AND usage > 0 ORDER BY host, bin",
    )
    .await;
    let place = |what: &str| {
        plan.find(what)
            .unwrap_or_else(|| panic!("no {what}: {plan}"))
    };
    assert!(
        place("FilterExec: locf(avg(cpu.usage))@") < place("GapFillExec: series=[host]"),
        "{plan}"
    );
    assert!(place("GapFillExec") < place("AggregateExec"), "{plan}");
    assert!(
        place("AggregateExec") < place("series_filter=[host = "),
        "{plan}"
    );
    assert_eq!(plan.matches("SortExec").count(), 1, "{plan}");
    assert!(
        plan.contains("time=[1970-01-01T00:00:00, 1970-01-01T00:00:59.999999999]"),
        "{plan}"
    );
    node.stop().await;
}
