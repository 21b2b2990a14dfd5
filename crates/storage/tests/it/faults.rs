//! Stores and folders that fail for a while: nothing acknowledged is lost, nothing doubled, and it goes on afterwards.

use std::fs;
use std::path::PathBuf;

use storage::{ErrorKind, WriteError};

use crate::durability::point;
use crate::model::{Model, Point, Question, ask, check_all, quoted, scan, try_ask};
use crate::random::Dice;
use crate::setup::{Home, Node, Options};

async fn write(node: &Node, model: &mut Model, time: i64) {
    let points = [
        point("m", "a", "f", time, time / 2),
        point("m", "b", "g", time, -time),
        point("n", "a", "f", time, i64::MIN + time),
    ];
    let text = model.write(&points);
    node.write(&text).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persist_that_fails_leaves_the_rows_readable_and_a_later_one_succeeds() {
    let home = Home::faulty();
    let node = home.open().await;
    let mut model = Model::default();
    write(&node, &mut model, 1).await;
    home.faults().refuse_next_puts(u64::MAX);
    for _ in 0..3 {
        let fault = node.engine.persist().await.expect_err("refused");
        assert_eq!(fault.kind(), ErrorKind::Unavailable);
        check_all(&node, &model).await;
    }
    // The fence and the write.
    assert_eq!(home.log_objects().await.len(), 2);
    home.faults().refuse_next_puts(0);
    write(&node, &mut model, 2).await;
    check_all(&node, &model).await;
    node.engine.persist().await.expect("persist");
    assert_eq!(node.engine.statistics().buffer_rows, 0);
    check_all(&node, &model).await;
    node.drop_engine().await;
    check_all(&home.open().await, &model).await;
}

/// Every mixture of refused puts and lost answers, at every point of a persist, also with a crash right after.
#[tokio::test(flavor = "multi_thread")]
async fn a_persist_may_fail_anywhere() {
    for refused in 0..5 {
        for lost in 0..5 {
            for crash in [false, true] {
                let home = Home::faulty();
                let node = home.open().await;
                let mut model = Model::default();
                write(&node, &mut model, 1).await;
                node.engine.persist().await.expect("persist");
                write(&node, &mut model, 2).await;
                home.faults().refuse_next_puts(refused);
                home.faults().lose_next_answers(lost);
                // Whether it failed is not the question.
                let _ = node.engine.persist().await;
                home.faults().refuse_next_puts(0);
                home.faults().lose_next_answers(0);
                check_all(&node, &model).await;
                let node = if crash {
                    node.drop_engine().await;
                    home.open().await
                } else {
                    node
                };
                write(&node, &mut model, 3).await;
                check_all(&node, &model).await;
                node.engine.persist().await.expect("persist");
                check_all(&node, &model).await;
                node.drop_engine().await;
                check_all(&home.open().await, &model).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_flush_without_an_answer_stops_no_later_write() {
    for (refused, lost) in [(0, 1), (1, 0), (2, 0), (1, 1), (3, 1)] {
        let home = Home::faulty();
        let node = home.open().await;
        node.write(&point("m", "a", "f", 1, 1).line()).await;
        home.faults().refuse_next_puts(refused);
        home.faults().lose_next_answers(lost);
        // Whether it failed is not the question.
        let _ = node
            .write_with(&point("m", "a", "f", 1, 2).line(), false)
            .await;
        home.faults().refuse_next_puts(0);
        home.faults().lose_next_answers(0);
        node.write(&point("m", "a", "f", 1, 3).line()).await;
        // What may have been stored has been made certain first.
        let seen = ask(&node, "m", &Question::all(1)).await;
        assert_eq!(seen.len(), 3);
        node.drop_engine().await;
        let node = home.open().await;
        let again = ask(&node, "m", &Question::all(1)).await;
        assert_eq!(again, seen);
        node.engine.persist().await.expect("persist");
        node.drop_engine().await;
        assert_eq!(ask(&home.open().await, "m", &Question::all(1)).await, again);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_takes_no_log_fails_writes_until_it_does() {
    let home = Home::folder();
    let node = home.open().await;
    let mut model = Model::default();
    let text = model.write(&[point("m", "a", "f", 1, 1)]);
    node.write(&text).await;
    // The next write begins a new segment, in a folder that is none.
    node.engine.persist().await.expect("persist");
    let wal = home.path().join("node/wal");
    let away = home.path().join("node/wal.away");
    fs::rename(&wal, &away).expect("rename");
    fs::write(&wal, b"").expect("write");
    for _ in 0..3 {
        let outcome = node
            .write_with(&point("m", "a", "f", 2, 2).line(), false)
            .await;
        let Err(WriteError::Failed(fault)) = outcome else {
            panic!("written nowhere: {outcome:?}");
        };
        assert_eq!(fault.kind(), ErrorKind::Internal);
        assert!(
            fault.message().starts_with("error writing wal file"),
            "{fault}"
        );
        check_all(&node, &model).await;
    }
    fs::remove_file(&wal).expect("remove");
    fs::rename(&away, &wal).expect("rename");
    let text = model.write(&[point("m", "a", "f", 3, 3)]);
    node.write(&text).await;
    check_all(&node, &model).await;
    node.drop_engine().await;
    let node = home.open().await;
    check_all(&node, &model).await;
    node.engine.persist().await.expect("persist");
    check_all(&node, &model).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_cannot_persist_what_it_replays_says_so_and_loses_nothing() {
    let home = Home::faulty();
    let node = home.open().await;
    let mut model = Model::default();
    for time in 0..20 {
        write(&node, &mut model, time).await;
    }
    node.drop_engine().await;
    let small = Options {
        buffer_bytes_max: 1,
        ..Options::default()
    };
    // The change of epoch is the first put of a start.
    home.faults().refuse_next_puts(2);
    let fault = home.open_with(small).await.err().expect("refused");
    assert_eq!(fault.kind(), ErrorKind::Unavailable);
    home.faults().refuse_next_puts(0);
    check_all(&home.open().await, &model).await;
}

/// The one data file of a folder.
fn only_file(home: &Home) -> PathBuf {
    let mut folder = home.path().join("node/dbs");
    loop {
        let mut entries = fs::read_dir(&folder).expect("folder");
        folder = entries.next().expect("an entry").expect("entry").path();
        assert!(entries.next().is_none(), "one file");
        if folder.is_file() {
            return folder;
        }
    }
}

/// A folder with one file of a few series and every type.
async fn one_file() -> (Home, Model) {
    let home = Home::folder();
    let node = home.open().await;
    let mut model = Model::default();
    let points: Vec<Point> = (0..60)
        .map(|row| {
            let mut point = point("m", &format!("s{}", row % 4), "f", row, row);
            let text = quoted(&format!("text {}", row % 7));
            point.fields.insert("text".to_string(), text);
            point
                .fields
                .insert("float".to_string(), (row as f64 / 4.0).to_string());
            point
                .fields
                .insert("unsigned".to_string(), format!("{row}u"));
            point
                .fields
                .insert("boolean".to_string(), (row % 3 == 0).to_string());
            point
        })
        .collect();
    let text = model.write(&points);
    node.write(&text).await;
    node.engine.persist().await.expect("persist");
    node.drop_engine().await;
    (home, model)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_what_the_manifest_says_is_damage_and_never_fewer_rows() {
    let (home, model) = one_file().await;
    let file = only_file(&home);
    let whole = fs::read(&file).expect("read");
    let other = vec![b'x'; whole.len()];
    for bytes in [&whole[..whole.len() - 1], &whole[..9], &[], &other] {
        fs::write(&file, bytes).expect("damage");
        let node = home.open().await;
        let fault = try_ask(&node, "m", &Question::all(1))
            .await
            .expect_err("damage");
        assert_eq!(fault.kind(), ErrorKind::Corrupt, "{fault}");
        assert!(fault.message().starts_with("file node/dbs/"), "{fault}");
        node.drop_engine().await;
    }
    fs::remove_file(&file).expect("remove");
    let node = home.open().await;
    let fault = try_ask(&node, "m", &Question::all(1))
        .await
        .expect_err("gone");
    assert_eq!(fault.kind(), ErrorKind::Corrupt);
    node.drop_engine().await;
    fs::write(&file, &whole).expect("restore");
    check_all(&home.open().await, &model).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_a_file_is_found_wherever_it_is() {
    let (home, _) = one_file().await;
    let file = only_file(&home);
    let whole = fs::read(&file).expect("read");
    let mut dice = Dice::new(1);
    for _ in 0..100 {
        let mut hit = whole.clone();
        hit[dice.below(whole.len() as u64) as usize] ^= 1 << dice.below(8);
        fs::write(&file, &hit).expect("damage");
        let node = home.open().await;
        let fault = scan(&node, "m", &Question::all(1))
            .await
            .expect_err("damage");
        // Not `Unavailable`: trying again will not help.
        assert_eq!(fault.kind(), ErrorKind::Corrupt, "{fault}");
        node.drop_engine().await;
    }
}
