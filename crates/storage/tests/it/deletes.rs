//! Deletes: gone from every answer when acknowledged, gone from disk after compaction, never back.

use std::time::Duration;

use crate::model::{Deletion, Fields, Model, Point, Tags, check_all, delete};
use crate::setup::{Home, Node};

/// Rows of two hosts at times from `from` to below `to`.
fn rows(from: i64, to: i64, field: &str) -> Vec<Point> {
    (from..to)
        .map(|time| Point {
            table: "t".to_string(),
            tags: Tags::from([("host".to_string(), format!("h{}", time % 2))]),
            fields: Fields::from([(field.to_string(), format!("{time}i"))]),
            time,
        })
        .collect()
}

async fn write(node: &Node, model: &mut Model, points: &[Point]) {
    let text = model.write(points);
    node.write(&text).await;
}

async fn delete_both(node: &Node, model: &mut Model, deletion: &Deletion) -> u64 {
    let expected = model.delete("t", deletion);
    let deleted = delete(node, "t", deletion).await.expect("delete");
    assert_eq!(deleted, expected, "{deletion:?}");
    check_all(node, model).await;
    deleted
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_rows_stay_away_through_persist_compaction_and_restart() {
    let home = Home::folder();
    let node = home.open().await;
    let mut model = Model::default();
    // In files, in segments, and across both.
    write(&node, &mut model, &rows(0, 100, "a")).await;
    node.engine.persist().await.expect("persist");
    write(&node, &mut model, &rows(50, 150, "b")).await;
    delete_both(&node, &mut model, &Deletion::between(140..=200)).await;
    let host = Deletion {
        tag: Some(("host".to_string(), "h1".to_string())),
        ..Deletion::between(20..=60)
    };
    assert_eq!(delete_both(&node, &mut model, &host).await, 20);
    // By a field, which one row has in a file and another in a segment.
    let field = Deletion {
        field: Some("b".to_string()),
        ..Deletion::between(90..=110)
    };
    assert_eq!(delete_both(&node, &mut model, &field).await, 21);
    // Nothing is left to take.
    assert_eq!(delete_both(&node, &mut model, &field).await, 0);
    // What is written again is there, and only that.
    write(&node, &mut model, &rows(95, 100, "c")).await;
    check_all(&node, &model).await;
    node.drop_engine().await;
    let node = home.open().await;
    check_all(&node, &model).await;
    node.engine.persist().await.expect("persist");
    check_all(&node, &model).await;
    node.engine.compact().await.expect("compact");
    check_all(&node, &model).await;
    node.close().await;
    let node = home.open().await;
    check_all(&node, &model).await;
    node.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_of_everything_leaves_no_file_and_no_list_behind() {
    let home = Home::memory();
    let node = home.open().await;
    let mut model = Model::default();
    write(&node, &mut model, &rows(0, 100, "a")).await;
    let some = Deletion {
        tag: Some(("host".to_string(), "h0".to_string())),
        ..Deletion::between(0..=9)
    };
    delete_both(&node, &mut model, &some).await;
    assert_eq!(home.objects("node/deletes").await.len(), 1);
    node.engine.persist().await.expect("persist");
    delete_both(&node, &mut model, &Deletion::between(i64::MIN..=i64::MAX)).await;
    node.engine.compact().await.expect("compact");
    // A list whose tombstone is gone is removed with the next look.
    node.engine.compact().await.expect("compact");
    assert_eq!(home.objects("node/dbs").await, Vec::<String>::new());
    assert_eq!(home.objects("node/deletes").await, Vec::<String>::new());
    write(&node, &mut model, &rows(0, 3, "a")).await;
    check_all(&node, &model).await;
    node.close().await;
}

/// Writes, persists and deletes at the same time: a delete takes what was there before it and nothing after.
#[tokio::test(flavor = "multi_thread")]
async fn deletes_keep_their_place_among_writes_and_persists() {
    let home = Home::memory();
    let node = home.open().await;
    let mut model = Model::default();
    write(&node, &mut model, &rows(0, 1, "a")).await;
    let persisting = {
        let engine = std::sync::Arc::clone(&node.engine);
        node.world.tasks.detach(async move {
            for _ in 0..60 {
                engine.persist().await.expect("persist");
                engine.compact().await.expect("compact");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    for round in 0..60 {
        write(&node, &mut model, &rows(round, round + 40, "a")).await;
        let deletion = Deletion {
            field: (round % 3 == 0).then(|| "a".to_string()),
            ..Deletion::between(round + 5..=round + 20)
        };
        delete_both(&node, &mut model, &deletion).await;
        write(&node, &mut model, &rows(round + 10, round + 12, "b")).await;
        check_all(&node, &model).await;
    }
    persisting.await.expect("persisting");
    check_all(&node, &model).await;
    node.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_without_an_answer_has_happened_or_not() {
    for (lost, refused) in [
        (1, 0),
        (2, 0),
        (3, 0),
        (0, 1),
        (0, 2),
        (0, 3),
        (0, 5),
        (1, 3),
    ] {
        let home = Home::faulty();
        let node = home.open().await;
        let mut model = Model::default();
        write(&node, &mut model, &rows(0, 50, "a")).await;
        node.engine.persist().await.expect("persist");
        write(&node, &mut model, &rows(50, 60, "a")).await;
        let deletion = Deletion {
            tag: Some(("host".to_string(), "h1".to_string())),
            ..Deletion::between(10..=55)
        };
        home.faults().lose_next_answers(lost);
        home.faults().refuse_next_puts(refused);
        let deleted = delete(&node, "t", &deletion).await;
        home.faults().lose_next_answers(0);
        home.faults().refuse_next_puts(0);
        if deleted.is_ok() {
            model.delete("t", &deletion);
        }
        check_all(&node, &model).await;
        // The next change finds out, and from then on the answer is the same for ever.
        write(&node, &mut model, &rows(60, 62, "a")).await;
        node.engine.persist().await.expect("persist");
        let mut without = model.clone();
        without.delete("t", &deletion);
        let settled = if deleted.is_err() && node.engine.compact().await.is_ok() {
            let question = crate::model::Question::all(1);
            let found = crate::model::ask(&node, "t", &question).await;
            match found.len() == without.tables["t"].len() {
                true => without,
                false => model,
            }
        } else {
            model
        };
        check_all(&node, &settled).await;
        node.drop_engine().await;
        let node = home.open().await;
        check_all(&node, &settled).await;
        node.engine.compact().await.expect("compact");
        check_all(&node, &settled).await;
        node.close().await;
    }
}
