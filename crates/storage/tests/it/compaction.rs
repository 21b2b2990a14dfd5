//! Compaction: few files, the same answers, nothing left over, whatever happens on the way.

use std::time::Duration;

use catalog::HardDelete;
use futures::TryStreamExt;
use storage::schema::columns_by_name;

use crate::model::{Fields, Model, Point, Tags, check_all};
use crate::setup::{DATABASE, Home, Node, Options};

const HOUR_NS: i64 = 3_600_000_000_000;
const DAY_NS: i64 = 24 * HOUR_NS;

fn point(table: &str, host: i64, time: i64) -> Point {
    Point {
        table: table.to_string(),
        tags: Tags::from([("host".to_string(), format!("h{host}"))]),
        fields: Fields::from([("value".to_string(), format!("{}i", host * 1000 + time % 97))]),
        time,
    }
}

/// Writes and persists `count` times; each time rows of `hosts` hosts at its own hour.
async fn persist_often(node: &Node, model: &mut Model, count: i64, hosts: i64) {
    for hour in 0..count {
        let points: Vec<Point> = (0..hosts)
            .map(|host| point("t", host, hour * HOUR_NS + host))
            .collect();
        let text = model.write(&points);
        node.write(&text).await;
        node.engine.persist().await.expect("persist");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_files_become_few_and_answers_stay() {
    let home = Home::folder();
    let node = home.open().await;
    let mut model = Model::default();
    persist_often(&node, &mut model, 60, 5).await;
    node.engine.compact().await.expect("compact");
    check_all(&node, &model).await;
    let statistics = node.engine.statistics();
    assert!(statistics.files <= 12, "{statistics:?}");
    assert_eq!(statistics.file_rows, 300);
    let files = home.objects("node/dbs").await;
    assert_eq!(files.len() as u64, statistics.files);
    // Rows that were overwritten are one row on disk.
    let again: Vec<Point> = (0..5).map(|host| point("t", host, host)).collect();
    let text = model.write(&again);
    node.write(&text).await;
    persist_often(&node, &mut model, 20, 5).await;
    node.engine.compact().await.expect("compact");
    check_all(&node, &model).await;
    node.close().await;
    let node = home.open().await;
    check_all(&node, &model).await;
    node.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_happens_by_itself() {
    let home = Home::memory();
    let options = Options {
        persist_after: Duration::from_millis(5),
        ..Options::default()
    };
    let node = home.open_with(options).await.expect("open");
    let mut model = Model::default();
    for round in 0..60 {
        let text = model.write(&[point("t", round % 3, round)]);
        node.write(&text).await;
        tokio::time::sleep(Duration::from_millis(8)).await;
    }
    crate::setup::eventually("few files", async || {
        node.engine.statistics().files < 12 && node.engine.statistics().compaction.jobs > 0
    })
    .await;
    check_all(&node, &model).await;
    assert!(!node.engine.compaction_events().is_empty());
    node.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_keeps_the_files_it_reads() {
    let home = Home::memory();
    let node = home.open().await;
    let mut model = Model::default();
    persist_often(&node, &mut model, 8, 3).await;
    let snapshot = node.catalog.snapshot();
    let database = snapshot.database(DATABASE).expect("database");
    let table = database.table("t").expect("table");
    let request = storage::ScanRequest {
        database: database.id,
        table: std::sync::Arc::clone(table),
        projection: (0..columns_by_name(table).len()).collect(),
        time_range: i64::MIN..=i64::MAX,
        series_filter: None,
        partitions: 1,
        row_filter: None,
        wanted: storage::Wanted::All,
    };
    let scan = node.engine.scan(request).await.expect("scan");
    let held = node.engine.files(database.id, table.id);
    let before: Vec<String> = held.iter().map(|file| file.path.to_string()).collect();
    // New files of one size, so that there is something to do.
    persist_often(&node, &mut model, 8, 3).await;
    node.engine.compact().await.expect("compact");
    let during = home.objects("node/dbs").await;
    assert!(before.iter().all(|file| during.contains(file)));
    let batches: Vec<_> = scan.stream(0).try_collect().await.expect("read");
    let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, 24);
    drop((scan, held));
    let live = node.engine.files(database.id, table.id);
    let live: Vec<String> = live.iter().map(|file| file.path.to_string()).collect();
    node.engine.compact().await.expect("compact");
    let after = home.objects("node/dbs").await;
    assert!(
        before
            .iter()
            .all(|file| live.contains(file) || !after.contains(file))
    );
    node.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_may_fail_anywhere() {
    for (refused, lost) in [
        (1, 0),
        (2, 0),
        (3, 0),
        (4, 0),
        (0, 1),
        (0, 2),
        (0, 3),
        (2, 2),
    ] {
        let home = Home::faulty();
        let node = home.open().await;
        let mut model = Model::default();
        persist_often(&node, &mut model, 9, 3).await;
        home.faults().refuse_next_puts(refused);
        home.faults().lose_next_answers(lost);
        // Whatever it says, no row is lost and none comes twice.
        let first = node.engine.compact().await;
        check_all(&node, &model).await;
        home.faults().refuse_next_puts(0);
        home.faults().lose_next_answers(0);
        persist_often(&node, &mut model, 2, 3).await;
        check_all(&node, &model).await;
        node.drop_engine().await;
        let node = home.open().await;
        check_all(&node, &model).await;
        node.engine.compact().await.expect("compact");
        check_all(&node, &model).await;
        // What the failed attempt left is gone.
        crate::setup::eventually("no orphans", async || {
            home.objects("node/dbs").await.len() as u64 == node.engine.statistics().files
        })
        .await;
        drop(first);
        node.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_crashed_process_is_taken_away() {
    let home = Home::memory();
    let node = home.open().await;
    let mut model = Model::default();
    persist_often(&node, &mut model, 1, 3).await;
    node.close().await;
    let file = home.objects("node/dbs").await.remove(0);
    let orphan = file.replace(
        file.rsplit('/').next().expect("a name"),
        &format!("{:020}.parquet", (1_u64 << 32) + 999),
    );
    home.put(&orphan, b"half a file").await;
    let node = home.open().await;
    crate::setup::eventually("no orphans", async || {
        home.objects("node/dbs").await == [file.clone()]
    })
    .await;
    check_all(&node, &model).await;
    node.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_rows_leave_the_disk() {
    let home = Home::memory();
    let node = home.open().await;
    let mut model = Model::default();
    let now = node.world.clock.now_ns();
    // A row an hour for twenty days, in one file.
    let points: Vec<Point> = (0..480)
        .map(|hour| point("t", 1, now - hour * HOUR_NS))
        .collect();
    let text = model.write(&points);
    node.write(&text).await;
    node.engine.persist().await.expect("persist");
    node.engine.compact().await.expect("compact");
    assert_eq!(node.engine.statistics().file_rows, 480);
    let kept = Duration::from_secs(5 * 86_400);
    let catalog = &node.catalog;
    catalog
        .set_database_retention(DATABASE, Some(kept))
        .await
        .expect("retention");
    node.engine.compact().await.expect("compact");
    let rows = node.engine.statistics().file_rows;
    // Files are cut by weeks; the one that the period ends in may keep up to half a week that is expired.
    assert!((120..=121 + 84).contains(&rows), "{rows} rows");
    // A table's own retention wins.
    catalog
        .set_table_retention(DATABASE, "t", Some(Duration::from_secs(3600)))
        .await
        .expect("retention");
    let points: Vec<Point> = (0..3)
        .map(|day| point("t", 2, now - day * DAY_NS))
        .collect();
    let text = model.write(&points);
    node.write(&text).await;
    node.engine.persist().await.expect("persist");
    node.engine.compact().await.expect("compact");
    let rows = node.engine.statistics().file_rows;
    assert!(rows <= 4, "{rows} rows");
    node.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_deleted_for_good_leaves_the_disk_and_the_others_alone() {
    let home = Home::memory();
    let node = home.open().await;
    let mut model = Model::default();
    let points: Vec<Point> = (0..20)
        .flat_map(|time| [point("t", 1, time), point("other", 1, time)])
        .collect();
    let text = model.write(&points);
    node.write(&text).await;
    node.engine.persist().await.expect("persist");
    // Some rows are still in the buffer.
    let text = model.write(&[point("t", 1, 100), point("other", 1, 100)]);
    node.write(&text).await;
    node.catalog
        .delete_table(DATABASE, "t", HardDelete::Now)
        .await
        .expect("delete");
    model.tables.remove("t");
    node.engine.compact().await.expect("compact");
    assert_eq!(home.objects("node/dbs").await.len(), 1);
    check_all(&node, &model).await;
    node.engine.persist().await.expect("persist");
    node.drop_engine().await;
    let node = home.open().await;
    node.engine.persist().await.expect("persist");
    node.engine.compact().await.expect("compact");
    check_all(&node, &model).await;
    let statistics = node.engine.statistics();
    assert_eq!(statistics.file_rows + statistics.buffer_rows, 21);
    node.close().await;
}
