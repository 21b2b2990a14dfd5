//! Several processes on one node's objects, as when an old one has not noticed that it was replaced: nothing that is acknowledged
//! is lost, and the older one stops.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use runtime::object_store::Path;
use runtime::sim::{Faults, FaultyStore};
use storage::{ErrorKind, WriteError};

use crate::durability::point;
use crate::model::{Question, ask};
use crate::random::Dice;
use crate::setup::{DATABASE, Home, Node, eventually};

/// One process's way to the objects that all of them share.
fn process(objects: &FaultyStore) -> Home {
    Home::Faulty(Arc::new(objects.another()))
}

async fn write(node: &Node, time: i64) -> Result<(), WriteError> {
    let text = point("m", "a", "f", time, time).line();
    node.write_with(&text, false).await.map(|_| ())
}

async fn times(node: &Node) -> BTreeSet<i64> {
    if node.catalog.snapshot().database(DATABASE).is_none() {
        return BTreeSet::new();
    }
    let rows = ask(node, "m", &Question::all(1)).await;
    rows.into_keys().map(|(_, time)| time).collect()
}

/// The node has stopped taking writes, says so to writers, and its owner hears of it.
async fn check_lost(node: &Node) {
    let lost = tokio::time::timeout(Duration::from_secs(10), node.engine.lost()).await;
    assert_eq!(lost.expect("lost").kind(), ErrorKind::Conflict);
    let Err(WriteError::Failed(refusal)) = write(node, -1).await else {
        panic!("a node that is lost has taken a write");
    };
    assert_eq!(refusal.kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_replaced_stops_at_its_next_write() {
    let objects = FaultyStore::new();
    let (old_home, new_home) = (process(&objects), process(&objects));
    let old = old_home.open().await;
    write(&old, 1).await.expect("alone");
    let new = new_home.open().await;
    assert_eq!(times(&new).await, [1].into());
    let Err(WriteError::Failed(refusal)) = write(&old, 2).await else {
        panic!("two processes write one log");
    };
    assert_eq!(
        refusal.message(),
        "another process has written to the WAL ahead of this one"
    );
    check_lost(&old).await;
    write(&new, 3).await.expect("the owner");
    assert_eq!(times(&new).await, [1, 3].into());
    old.drop_engine().await;
    write(&new, 4).await.expect("the owner");
    new.drop_engine().await;
    let node = process(&objects).open().await;
    assert_eq!(times(&node).await, [1, 3, 4].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_replaced_stops_at_its_next_persist() {
    let objects = FaultyStore::new();
    let (old_home, new_home) = (process(&objects), process(&objects));
    let old = old_home.open().await;
    write(&old, 1).await.expect("alone");
    let new = new_home.open().await;
    let fault = old.engine.persist().await.expect_err("replaced");
    assert_eq!(fault.kind(), ErrorKind::Conflict, "{fault}");
    check_lost(&old).await;
    assert_eq!(times(&new).await, [1].into());
}

/// Many generations later, with everything persisted and the log cleaned up, each of the old ones still meets somebody else's
/// object at its next number.
#[tokio::test(flavor = "multi_thread")]
async fn no_clean_up_lets_an_old_process_in_again() {
    for written in 0..3 {
        let objects = FaultyStore::new();
        let mut old = Vec::new();
        let mut expected = BTreeSet::new();
        for generation in 0..4 {
            let node = process(&objects).open().await;
            for write_number in 0..written {
                let time = 10 * generation + write_number;
                write(&node, time).await.expect("the owner");
                expected.insert(time);
            }
            node.engine.persist().await.expect("persist");
            old.push(node);
        }
        let newest = old.pop().expect("the newest");
        write(&newest, 100).await.expect("the owner");
        expected.insert(100);
        newest.engine.persist().await.expect("persist");
        let log = objects.another();
        let home = Home::Faulty(Arc::new(log));
        eventually("clean", async || home.log_objects().await.len() <= 10).await;
        for node in &old {
            write(node, 200).await.expect_err("replaced");
            check_lost(node).await;
        }
        assert_eq!(times(&newest).await, expected);
    }
}

/// A flush that is stored, without its writer ever hearing of it, is what the next process builds on. Even when it has made files of
/// that and cleaned up, the writer does not get the number.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_lets_no_replaced_process_write() {
    for persists in [false, true] {
        let objects = FaultyStore::new();
        let old_home = process(&objects);
        let old = old_home.open().await;
        write(&old, 1).await.expect("alone");
        // Stored, but neither that nor a look at it is answered.
        old_home.faults().set_faults(Faults {
            puts_unanswered: 1000,
            gets_refused: 1000,
            ..Faults::NONE
        });
        write(&old, 2).await.expect_err("no answer");
        old_home.faults().set_faults(Faults::NONE);
        let new = process(&objects).open().await;
        assert_eq!(times(&new).await, [1, 2].into());
        if persists {
            new.engine.persist().await.expect("persist");
            write(&new, 3).await.expect("the owner");
            new.engine.persist().await.expect("persist");
            let home = Home::Faulty(Arc::new(objects.another()));
            // The fences, the emptied flush of the old process, the newest.
            eventually("clean", async || home.log_objects().await.len() == 4).await;
        }
        write(&old, 4).await.expect_err("replaced");
        check_lost(&old).await;
        assert!(!times(&new).await.contains(&4));
    }
}

/// The same without a second process: the writer finds its own object, shows what is in it and goes on behind it. A write that comes
/// while it is not known what became of the one before has certainly not happened.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_costs_its_writer_nothing_else() {
    let objects = FaultyStore::new();
    let home = process(&objects);
    let node = home.open().await;
    write(&node, 1).await.expect("alone");
    for round in 0..3 {
        home.faults().set_faults(Faults {
            puts_unanswered: 1000,
            gets_refused: 1000,
            ..Faults::NONE
        });
        for time in 0..2 {
            write(&node, 100 + 10 * round + time)
                .await
                .expect_err("no answer");
        }
        // Nothing covers what may be stored and is not there yet.
        node.engine.persist().await.expect_err("no store");
        home.faults().set_faults(Faults::NONE);
        write(&node, 2 + round).await.expect("again");
    }
    let expected = [1, 2, 3, 4, 100, 110, 120].into();
    assert_eq!(times(&node).await, expected);
    node.engine.persist().await.expect("persist");
    write(&node, 9).await.expect("again");
    node.drop_engine().await;
    let expected = [1, 2, 3, 4, 9, 100, 110, 120].into();
    assert_eq!(times(&process(&objects).open().await).await, expected);
}

/// A put that is under way while the log is taken over: the store decides who gets the number, and both sides agree with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_arrives_late_is_refused() {
    let objects = FaultyStore::new();
    let old_home = process(&objects);
    let old = old_home.open().await;
    write(&old, 1).await.expect("alone");
    old_home.faults().hold_puts(Path::from("node/wal"));
    let mut waiting = old_home.faults().waiting_puts();
    let late = async { write(&old, 2).await };
    let taken_over = async {
        waiting
            .wait_for(|waiting| *waiting > 0)
            .await
            .expect("held");
        let new = process(&objects).open().await;
        old_home.faults().release_puts();
        new
    };
    let (late, new) = tokio::join!(late, taken_over);
    late.expect_err("replaced");
    check_lost(&old).await;
    assert_eq!(times(&new).await, [1].into());
}

/// A start whose fence comes late: what the older process has put before it is replayed, whatever that is.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_squeezed_in_before_the_fence_is_not_lost() {
    let objects = FaultyStore::new();
    let old = process(&objects).open().await;
    write(&old, 1).await.expect("alone");
    let new_home = process(&objects);
    new_home.faults().hold_puts(Path::from("node/wal"));
    let mut waiting = new_home.faults().waiting_puts();
    let squeeze = async {
        waiting
            .wait_for(|waiting| *waiting > 0)
            .await
            .expect("held");
        for time in 2..6 {
            write(&old, time).await.expect("not fenced yet");
        }
        // It holds the manifest no more.
        old.engine.persist().await.expect_err("replaced");
        new_home.faults().release_puts();
    };
    let (new, ()) = tokio::join!(new_home.open(), squeeze);
    assert_eq!(times(&new).await, (1..6).collect());
    check_lost(&old).await;
    write(&new, 6).await.expect("the owner");
    new.drop_engine().await;
    let node = process(&objects).open().await;
    assert_eq!(times(&node).await, (1..7).collect());
}

/// Two starts at the same moment: at most one of them, the later, goes on writing.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_starts_at_once_the_later_stays() {
    for hold_first in [false, true] {
        let objects = FaultyStore::new();
        let (first_home, second_home) = (process(&objects), process(&objects));
        let node = process(&objects).open().await;
        write(&node, 1).await.expect("alone");
        first_home.faults().hold_puts(Path::from("node/wal"));
        let mut waiting = first_home.faults().waiting_puts();
        let second = async {
            waiting
                .wait_for(|waiting| *waiting > 0)
                .await
                .expect("held");
            let second = second_home.open().await;
            if hold_first {
                write(&second, 2).await.expect("the owner");
            }
            first_home.faults().release_puts();
            second
        };
        let (first, second) = tokio::join!(
            first_home.open_with(crate::setup::Options::default()),
            second
        );
        // Its fence met that of the second, or an object of it.
        let refusal = first.err().expect("replaced");
        assert_eq!(refusal.kind(), ErrorKind::Conflict, "{refusal}");
        write(&second, 3).await.expect("the owner");
        check_lost_at_write(&node).await;
    }
}

async fn check_lost_at_write(node: &Node) {
    write(node, 50).await.expect_err("replaced");
    check_lost(node).await;
}

/// Processes come and go at random over a store that fails at random. After a start has succeeded, no older process may be told that a
/// write is safe; and whatever anyone was told is safe is there at the end.
#[tokio::test(flavor = "multi_thread")]
async fn at_random_nothing_acknowledged_is_lost() {
    for seed in 0..24 {
        let mut dice = Dice::new(seed);
        let objects = FaultyStore::new();
        let mut running: BTreeMap<u64, (Home, Node)> = BTreeMap::new();
        let mut acknowledged = BTreeSet::new();
        let mut generation = 0;
        for time in 0..60 {
            let faults = match dice.below(3) {
                0 => Faults {
                    seed: dice.below(1 << 30),
                    puts_refused: 100,
                    puts_unanswered: 200,
                    gets_refused: 150,
                    deletes_refused: 100,
                    deletes_unanswered: 100,
                    lists_refused: 30,
                    ..Faults::NONE
                },
                _ => Faults::NONE,
            };
            for (home, _) in running.values() {
                home.faults().set_faults(faults);
            }
            if running.is_empty() || dice.one_in(8) {
                let home = process(&objects);
                home.faults().set_faults(faults);
                let opened = home.open_with(crate::setup::Options::default()).await;
                home.faults().set_faults(Faults::NONE);
                if let Ok(node) = opened {
                    let found = times(&node).await;
                    assert!(found.is_superset(&acknowledged), "seed {seed}, time {time}");
                    generation += 1;
                    running.insert(generation, (home, node));
                }
                continue;
            }
            let numbers: Vec<u64> = running.keys().copied().collect();
            let number = *dice.pick(&numbers);
            let (home, node) = &running[&number];
            match dice.below(10) {
                0 => {
                    home.faults().crash();
                    let (_, node) = running.remove(&number).expect("running");
                    node.drop_engine().await;
                }
                1 | 2 => {
                    // Whether it failed is not the question.
                    let _ = node.engine.persist().await;
                }
                _ => {
                    if write(node, time).await.is_ok() {
                        assert_eq!(number, generation, "seed {seed}, time {time}");
                        acknowledged.insert(time);
                    }
                }
            }
        }
        let last = process(&objects).open().await;
        let found = times(&last).await;
        assert!(found.is_superset(&acknowledged), "seed {seed}: {found:?}");
        for (_, (home, node)) in running {
            home.faults().set_faults(Faults::NONE);
            check_lost_at_write(&node).await;
            node.drop_engine().await;
        }
    }
}
