//! What is acknowledged is visible and survives; what the log may forget, it forgets, and nothing else.

use std::fs;
use std::time::Duration;

use storage::{ErrorKind, LogSettings, WriteError};

use crate::model::{Fields, Model, Point, Question, Tags, ask, check_all};
use crate::setup::{Home, Node, Options, eventually};

pub(crate) fn point(table: &str, tag: &str, field: &str, value: i64, time: i64) -> Point {
    Point {
        table: table.to_string(),
        tags: Tags::from([("t".to_string(), tag.to_string())]),
        fields: Fields::from([(field.to_string(), format!("{value}i"))]),
        time,
    }
}

async fn rows(node: &Node, table: &str) -> usize {
    ask(node, table, &Question::all(2)).await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_visible_when_it_is_acknowledged() {
    for home in [Home::memory(), Home::folder()] {
        let node = home.open().await;
        for time in 0..100 {
            node.write(&point("m", "a", "f", time, time).line()).await;
            assert_eq!(rows(&node, "m").await as i64, time + 1);
        }
        node.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_does_not_wait_is_visible_no_later_than_the_next_that_does() {
    for home in [Home::memory(), Home::folder()] {
        let node = home.open().await;
        for round in 0..20 {
            let first = point("m", "a", "f", 1, 2 * round).line();
            node.write_with(&first, true).await.expect("write");
            node.write(&point("m", "a", "f", 2, 2 * round + 1).line())
                .await;
            assert_eq!(rows(&node, "m").await as i64, 2 * round + 2);
        }
        node.drop_engine().await;
        assert_eq!(rows(&home.open().await, "m").await, 40);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_engine_refuses_writes_and_keeps_what_it_took() {
    for home in [Home::memory(), Home::folder()] {
        let node = home.open().await;
        node.write(&point("m", "a", "f", 1, 1).line()).await;
        let not_awaited = point("m", "a", "f", 1, 2).line();
        node.write_with(&not_awaited, true).await.expect("write");
        node.engine.close().await.expect("close");
        let Err(WriteError::Failed(refusal)) = node.write_with(&not_awaited, false).await else {
            panic!("written after close");
        };
        assert_eq!(refusal.kind(), ErrorKind::Unavailable);
        assert_eq!(
            refusal.message(),
            "wal is shutdown and not accepting writes"
        );
        assert!(node.engine.persist().await.is_err());
        node.drop_engine().await;
        assert_eq!(rows(&home.open().await, "m").await, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_shrinks_when_files_cover_it() {
    let home = Home::folder();
    let node = home.open().await;
    for time in 0..10 {
        node.write(&point("m", "a", "f", 1, time).line()).await;
    }
    assert!(!home.log_objects().await.is_empty());
    node.engine.persist().await.expect("persist");
    eventually("no log", async || home.log_objects().await.is_empty()).await;
    node.write(&point("m", "a", "f", 1, 10).line()).await;
    let left = home.log_objects().await;
    assert_eq!(left.len(), 1);
    node.drop_engine().await;
    let node = home.open().await;
    assert_eq!(home.log_objects().await, left, "what is not covered stays");
    assert_eq!(rows(&node, "m").await, 11);
    node.engine.persist().await.expect("persist");
    eventually("no log", async || home.log_objects().await.is_empty()).await;
    node.drop_engine().await;
    assert_eq!(rows(&home.open().await, "m").await, 11);
}

/// In an object store a few objects outlive their content: the fence of each start, what stands before it, and the newest.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_in_an_object_store_shrinks_to_its_marks() {
    let home = Home::memory();
    for round in 0..5 {
        let node = home.open().await;
        if round > 0 {
            assert_eq!(rows(&node, "m").await, 20 * round);
        }
        for write in 0..2 {
            for time in 0..10 {
                let time = (20 * round + 10 * write + time) as i64;
                node.write(&point("m", "a", "f", 1, time).line()).await;
            }
            node.engine.persist().await.expect("persist");
            // Two for each start before, and for this one its fence and the newest.
            eventually("few objects", async || {
                home.log_objects().await.len() == 2 * round + 2
            })
            .await;
        }
        node.drop_engine().await;
    }
    assert_eq!(rows(&home.open().await, "m").await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_objects_cost_something_waiting_writes_share_them() {
    let home = Home::memory();
    let options = Options {
        log: LogSettings {
            object_flush_interval: Duration::from_secs(2),
            ..LogSettings::default()
        },
        ..Options::default()
    };
    let node = home.open_with(options).await.expect("open");
    node.write(&point("m", "a", "f", 1, 0).line()).await;
    // The fence, and the first write, which nothing was to be waited for.
    assert_eq!(home.log_objects().await.len(), 2);
    let lines: Vec<String> = (1..30)
        .map(|time| point("m", "a", "f", 1, time).line())
        .collect();
    futures::future::join_all(lines.iter().map(|line| node.write(line))).await;
    let objects = home.log_objects().await.len();
    assert!((3..=4).contains(&objects), "{objects}");
    // A command does not wait for the pace, and neither does an orderly stop.
    let queued = point("m", "a", "f", 1, 30).line();
    node.write_with(&queued, true).await.expect("write");
    node.close().await;
    assert_eq!(rows(&home.open().await, "m").await, 31);
}

/// A folder whose log is one segment of five writes, of one row each.
async fn five_writes() -> Home {
    let home = Home::folder();
    let node = home.open().await;
    for time in 0..5 {
        node.write(&point("m", "a", "f", 1, time).line()).await;
    }
    node.drop_engine().await;
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_log_keeps_every_write_before_the_cut() {
    let home = five_writes().await;
    let whole = fs::read(home.only_segment().await).expect("read");
    let mut most = 0;
    for length in (0..=whole.len()).step_by(23).chain([whole.len()]) {
        let home = home.copy();
        let segment = home.only_segment().await;
        fs::write(&segment, &whole[..length]).expect("cut");
        let node = home.open().await;
        let found = rows(&node, "m").await;
        assert!(found >= most, "{length} bytes: {found} rows after {most}");
        most = found;
        node.write(&point("m", "b", "f", 1, 0).line()).await;
        node.drop_engine().await;
        let node = home.open().await;
        assert_eq!(rows(&node, "m").await, found + 1);
        node.engine.persist().await.expect("persist");
        node.drop_engine().await;
        let node = home.open().await;
        assert_eq!(rows(&node, "m").await, found + 1);
        node.drop_engine().await;
    }
    assert_eq!(most, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_write_costs_itself_and_is_set_aside() {
    let home = five_writes().await;
    let segment = home.only_segment().await;
    let mut bytes = fs::read(&segment).expect("read");
    let frame = (bytes.len() - 28) / 5;
    // The last byte of the second write.
    bytes[28 + 2 * frame - 1] ^= 0x40;
    fs::write(&segment, &bytes).expect("damage");
    let node = home.open().await;
    let found = ask(&node, "m", &Question::all(1)).await;
    let times: Vec<i64> = found.keys().map(|(_, time)| *time).collect();
    assert_eq!(times, [0, 2, 3, 4]);
    node.write(&point("m", "a", "f", 1, 5).line()).await;
    node.engine.persist().await.expect("persist");
    eventually("no log", async || home.log_objects().await.is_empty()).await;
    assert_eq!(
        fs::read(segment.with_extension("wal.damaged")).expect("kept"),
        bytes
    );
    node.drop_engine().await;
    assert_eq!(rows(&home.open().await, "m").await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_has_one_engine_at_a_time() {
    let home = Home::folder();
    let node = home.open().await;
    let refusal = home
        .open_with(Options::default())
        .await
        .err()
        .expect("in use");
    assert_eq!(refusal.kind(), ErrorKind::Conflict);
    node.write(&point("m", "a", "f", 1, 1).line()).await;
    node.engine
        .persist()
        .await
        .expect("the refused one changed nothing");
    node.drop_engine().await;
    assert_eq!(rows(&home.open().await, "m").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn few_rows_across_many_years_make_few_files() {
    let home = Home::memory();
    let node = home.open().await;
    let mut model = Model::default();
    let day = 86_400_000_000_000;
    let points: Vec<Point> = (0..2000)
        .map(|row| point("m", "a", "f", row, (row - 1000) * 5 * day))
        .collect();
    let text = model.write(&points);
    node.write(&text).await;
    node.engine.persist().await.expect("persist");
    assert!(node.engine.statistics().files <= 2);
    check_all(&node, &model).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_larger_than_memory_is_replayed_in_bounds() {
    let home = Home::folder();
    let node = home.open().await;
    let mut model = Model::default();
    for write in 0..40 {
        let points: Vec<Point> = (0..500)
            .map(|row| point("m", &format!("s{}", row % 9), "f", write, write * 300 + row))
            .collect();
        let text = model.write(&points);
        node.write(&text).await;
    }
    let all = node.engine.statistics();
    node.drop_engine().await;
    let options = Options {
        buffer_bytes_max: all.buffer_bytes as usize / 8,
        ..Options::default()
    };
    let node = home.open_with(options).await.expect("open");
    let replayed = node.engine.statistics();
    assert!(replayed.persists >= 4, "{replayed:?}");
    assert!(
        replayed.buffer_bytes <= 2 * all.buffer_bytes / 8,
        "{replayed:?}"
    );
    check_all(&node, &model).await;
    node.drop_engine().await;
    let node = home.open().await;
    assert!(node.engine.statistics().buffer_bytes <= 2 * all.buffer_bytes / 8);
    check_all(&node, &model).await;
}

/// A start with room for the whole log waits for no files. They are made afterwards, and writes do not wait for them either.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_larger_than_the_buffer_is_made_files_of_after_the_start() {
    let home = Home::folder();
    let node = home.open().await;
    let mut model = Model::default();
    for round in 0..20 {
        let points: Vec<_> = (0..200)
            .map(|time| {
                point(
                    "m",
                    &format!("h{}", time % 7),
                    "f",
                    round,
                    time + 200 * round,
                )
            })
            .collect();
        let text = model.write(&points);
        node.write(&text).await;
    }
    let all = node.engine.statistics();
    node.drop_engine().await;
    let bound = all.buffer_bytes as usize / 8;
    let options = Options {
        buffer_bytes_max: bound,
        replay_bytes_more: 2 * all.buffer_bytes as usize,
        ..Options::default()
    };
    let node = home.open_with(options).await.expect("open");
    let text = model.write(&[point("m", "late", "f", 1, 1)]);
    node.write(&text).await;
    check_all(&node, &model).await;
    eventually("as little buffered as usual", async || {
        node.engine.statistics().buffer_bytes <= 2 * bound as u64
    })
    .await;
    assert!(node.engine.statistics().files > 0);
    check_all(&node, &model).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_become_files_by_themselves() {
    let home = Home::folder();
    let options = Options {
        persist_after: Duration::from_millis(20),
        ..Options::default()
    };
    let node = home.open_with(options).await.expect("open");
    let mut model = Model::default();
    for time in 0..50 {
        let text = model.write(&[
            point("m", "a", "f", time, time),
            point("n", "b", "g", 1, -time),
        ]);
        node.write(&text).await;
        check_all(&node, &model).await;
    }
    eventually("nothing buffered", async || {
        node.engine.statistics().buffer_rows == 0
    })
    .await;
    assert!(node.engine.statistics().persists > 0);
    check_all(&node, &model).await;
    eventually("no log", async || home.log_objects().await.is_empty()).await;
    node.close().await;
    check_all(&home.open().await, &model).await;
}
