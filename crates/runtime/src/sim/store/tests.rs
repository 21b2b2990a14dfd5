//! The faulty store: it fails as told, where the seed says, and one process at a time.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, path::Path};

use super::FaultyStore;
use crate::clock::{Clock, SimulatedClock};
use crate::sim::{Faults, alone};

fn path(number: u64) -> Path {
    Path::from(format!("a/{number}"))
}

async fn put(store: &FaultyStore, number: u64) -> bool {
    let payload = PutPayload::from(vec![b'x'; 10]);
    store.put(&path(number), payload).await.is_ok()
}

async fn listed(store: &FaultyStore) -> Option<Vec<String>> {
    let all: Vec<_> = store
        .list(Some(&Path::from("a")))
        .try_collect()
        .await
        .ok()?;
    Some(
        all.iter()
            .map(|object| object.location.to_string())
            .collect(),
    )
}

/// What becomes of a hundred puts, each read back without faults.
async fn fates(faults: Faults) -> Vec<(bool, bool)> {
    let store = FaultyStore::new();
    store.set_faults(faults);
    let mut fates = Vec::new();
    for number in 0..100 {
        let answered = put(&store, number).await;
        let stored = store.another().head(&path(number)).await.is_ok();
        fates.push((answered, stored));
    }
    fates
}

#[test]
fn the_same_seed_fails_at_the_same_places() {
    alone(async {
        let faults = Faults {
            seed: 7,
            puts_refused: 200,
            puts_unanswered: 200,
            ..Faults::NONE
        };
        let first = fates(faults).await;
        assert_eq!(first, fates(faults).await);
        assert_ne!(first, fates(Faults { seed: 8, ..faults }).await);
        for fate in [(true, true), (false, true), (false, false)] {
            assert!(first.contains(&fate), "{fate:?}");
        }
        assert!(!first.contains(&(true, false)));
        assert!(
            fates(Faults::NONE)
                .await
                .iter()
                .all(|fate| *fate == (true, true))
        );
    })
    .expect("runtime");
}

#[test]
fn a_crash_ends_one_process_and_no_other() {
    alone(async {
        let old = FaultyStore::new();
        assert!(put(&old, 1).await);
        old.crash_after(2);
        assert!(put(&old, 2).await);
        assert!(put(&old, 3).await);
        assert!(!old.is_crashed());
        assert!(
            !put(&old, 4).await,
            "happened or not, but without an answer"
        );
        assert!(old.is_crashed());
        assert!(!put(&old, 5).await);
        assert!(listed(&old).await.is_none());
        assert!(old.get(&path(1)).await.is_err());
        assert!(old.delete(&path(1)).await.is_err());
        let new = old.another();
        let found = listed(&new).await.expect("listed");
        assert!(found.len() == 3 || found.len() == 4, "{found:?}");
        assert!(!found.contains(&"a/5".to_string()));
        assert!(put(&new, 5).await);
    })
    .expect("runtime");
}

#[test]
fn reads_deletes_and_lists_fail_as_told() {
    alone(async {
        let store = FaultyStore::new();
        for number in 0..4 {
            assert!(put(&store, number).await);
        }
        let always = |change: fn(&mut Faults)| {
            let mut faults = Faults::NONE;
            change(&mut faults);
            store.set_faults(faults);
        };
        always(|faults| faults.gets_cut = 1000);
        let body = store.get(&path(0)).await.expect("begun").bytes().await;
        assert!(body.is_err());
        always(|faults| faults.gets_refused = 1000);
        assert!(store.get(&path(0)).await.is_err());
        always(|faults| faults.lists_cut = 1000);
        assert!(listed(&store).await.is_none());
        let begun: Vec<_> = futures::StreamExt::collect(store.list(None)).await;
        assert_eq!(begun.len(), 3, "two objects and an error");
        always(|faults| faults.lists_refused = 1000);
        assert!(listed(&store).await.is_none());
        always(|faults| faults.deletes_refused = 1000);
        assert!(store.delete(&path(0)).await.is_err());
        assert_eq!(listed(&store.another()).await.expect("listed").len(), 4);
        always(|faults| faults.deletes_unanswered = 1000);
        assert!(store.delete(&path(0)).await.is_err());
        assert_eq!(listed(&store.another()).await.expect("listed").len(), 3);
        always(|faults| faults.deleted_listed = 1000);
        assert_eq!(listed(&store).await.expect("listed").len(), 4);
        always(|_| {});
        assert_eq!(listed(&store).await.expect("listed").len(), 3);
    })
    .expect("runtime");
}

#[test]
fn slow_operations_move_the_clock() {
    alone(async {
        let store = FaultyStore::new();
        let clock = Arc::new(SimulatedClock::at_ns(0));
        store.set_clock(Arc::clone(&clock));
        assert!(put(&store, 0).await);
        assert_eq!(clock.now_ns(), 0);
        let slow = Faults {
            slow: 1000,
            ..Faults::NONE
        };
        store.set_faults(slow);
        assert!(put(&store, 0).await);
        assert!(clock.now_ns() > 0);
    })
    .expect("runtime");
}

#[test]
fn held_puts_wait_to_be_released() {
    alone(async {
        let store = FaultyStore::new();
        store.hold_puts(Path::from("a"));
        let mut waiting = store.waiting_puts();
        let elsewhere = Path::from("b/1");
        let payload = PutPayload::from(Vec::new());
        store.put(&elsewhere, payload).await.expect("not held");
        let (done, ()) = tokio::join!(put(&store, 1), async {
            waiting.wait_for(|count| *count == 1).await.expect("store");
            assert!(listed(&store).await.expect("listed").is_empty());
            store.release_puts();
        });
        assert!(done);
        assert_eq!(listed(&store).await.expect("listed").len(), 1);
    })
    .expect("runtime");
}
