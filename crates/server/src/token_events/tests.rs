//! Token events on a store that fails, loses answers and outlives processes.

use std::net::IpAddr;

use query::TokenEventRow;
use runtime::clock::SimulatedClock;
use runtime::object_store::ObjectStore;
use runtime::sim::FaultyStore;
use runtime::{Random, Tasks};

use super::event::{Outcome, Subject};
use super::*;

const BOUNDS: Bounds = Bounds {
    changes_max: 100,
    refusals_max: 100,
    age_max_ms: 1_000_000,
};

struct Process {
    store: FaultyStore,
    clock: Arc<SimulatedClock>,
    events: TokenEvents,
}

/// Opens the events below `store` in a process of its own.
async fn open(store: &FaultyStore, clock: &Arc<SimulatedClock>, seed: u64) -> Process {
    let store = store.another();
    let world = World {
        clock: Arc::clone(clock) as _,
        random: Random::seeded(seed),
        store: Arc::new(store.clone()),
        tasks: Tasks::new(),
    };
    let events = TokenEvents::open_with("node", BOUNDS, 4, &world)
        .await
        .expect("the events open");
    Process {
        store,
        clock: Arc::clone(clock),
        events,
    }
}

fn clock() -> Arc<SimulatedClock> {
    Arc::new(SimulatedClock::at_ns(1_000_000_000_000))
}

fn created(id: u64) -> Event {
    Event {
        token: Some(Subject::new(id, &format!("t{id}"))),
        changed_at_ms: Some(i64::try_from(id).expect("small")),
        ..Event::plain(EventKind::Create, Outcome::Done)
    }
}

impl Process {
    fn rows(&self) -> Vec<Arc<TokenEventRow>> {
        self.events.rows().snapshot().to_vec()
    }

    /// The tokens of all events, in the order shown.
    fn tokens(&self) -> Vec<u64> {
        self.rows().iter().filter_map(|row| row.token_id).collect()
    }

    async fn record(&self, id: u64) {
        self.events.record(created(id)).await;
        self.clock.advance(Duration::from_millis(1));
    }

    fn refuse(&self, octet: u8) {
        let address = IpAddr::from([10, 0, 0, octet]);
        let refusal = Refusal::new(Reason::UnknownToken, address, Protocol::Http);
        self.events.refused(refusal);
    }

    async fn objects(&self) -> usize {
        use futures::StreamExt;
        let folder = runtime::object_store::Path::from("node/token_events");
        let store = self.store.another();
        store.list(Some(&folder)).count().await
    }
}

#[tokio::test]
async fn events_outlive_the_process() {
    let (store, clock) = (FaultyStore::new(), clock());
    let first = open(&store, &clock, 1).await;
    first.record(1).await;
    first.record(2).await;
    first.refuse(7);
    first.refuse(7);
    assert_eq!(first.tokens(), [1, 2]);
    first.events.shared.tick(&[]).await;
    first.store.crash();

    let second = open(&store, &clock, 2).await;
    let rows = second.rows();
    assert_eq!(rows, first.rows());
    assert_eq!(rows.len(), 3);
    let refused = &rows[2];
    assert_eq!(
        (refused.kind, refused.outcome),
        ("refused", "unknown_token")
    );
    assert_eq!(refused.client_address.as_deref(), Some("10.0.0.7"));
    assert_eq!(refused.count, 2);
}

#[tokio::test]
async fn many_objects_become_one_and_old_events_go() {
    let (store, clock) = (FaultyStore::new(), clock());
    let first = open(&store, &clock, 1).await;
    for id in 1..=4 {
        first.record(id).await;
    }
    first.events.shared.tick(&[]).await;
    assert_eq!(first.objects().await, 4);
    first.record(5).await;
    first.events.shared.tick(&[]).await;
    assert_eq!(first.objects().await, 1);
    assert_eq!(first.tokens(), [1, 2, 3, 4, 5]);
    clock.advance(Duration::from_millis(1_100_000));
    first.record(6).await;
    first.events.shared.tick(&[]).await;
    assert_eq!(first.tokens(), [6]);
    assert_eq!(first.objects().await, 1);

    let second = open(&store, &clock, 2).await;
    assert_eq!(second.tokens(), [6]);
    // Those that were let go are not taken for missing ones.
    let old = KnownToken {
        id: 1,
        name: "t1".to_string(),
        created_at_ms: 1,
        updated_at_ms: None,
        expiry_ms: Some(2),
    };
    let young = KnownToken {
        id: 6,
        ..old.clone()
    };
    second.events.catch_up(&[old.clone(), young.clone()]).await;
    second.events.shared.tick(&[old, young]).await;
    assert_eq!(second.tokens(), [6]);
}

#[tokio::test]
async fn an_end_at_any_moment_loses_no_stored_event_and_doubles_none() {
    for operations in 0..40 {
        let (store, clock) = (FaultyStore::new(), clock());
        let first = open(&store, &clock, operations).await;
        first.store.crash_after(operations);
        let mut durable = Vec::new();
        for id in 1..=9 {
            first.record(id).await;
            if first.events.shared.state.lock().waiting.is_empty() {
                durable.push(id);
            }
            first.events.shared.tick(&[]).await;
        }
        let second = open(&store, &clock, 1_000 + operations).await;
        let found = second.tokens();
        for id in &durable {
            let times = found.iter().filter(|other| *other == id).count();
            assert_eq!(times, 1, "token {id} after {operations} operations");
        }
        // And what was on its way is there once or not at all.
        let mut distinct = found.clone();
        distinct.dedup();
        assert_eq!(found, distinct, "after {operations} operations");
        for id in 1..=9 {
            second.record(100 + id).await;
            second.events.shared.tick(&[]).await;
        }
        let third = open(&store, &clock, 2_000 + operations).await;
        assert_eq!(third.tokens(), second.tokens());
        assert!(third.objects().await <= 5);
    }
}

#[tokio::test]
async fn what_the_store_refuses_is_stored_later() {
    let (store, clock) = (FaultyStore::new(), clock());
    let first = open(&store, &clock, 1).await;
    first.store.refuse_next_puts(1_000);
    first.record(1).await;
    assert_eq!(first.tokens(), [1], "shown, though not durable yet");
    first.store.refuse_next_puts(0);
    first.store.lose_next_answers(1);
    first.events.shared.tick(&[]).await;
    assert_eq!(open(&store, &clock, 2).await.tokens(), [1]);
    first.events.shared.tick(&[]).await;
    assert!(first.events.shared.state.lock().waiting.is_empty());
    assert_eq!(first.tokens(), [1]);
}

#[tokio::test]
async fn two_processes_lose_nothing_of_each_other() {
    let (store, clock) = (FaultyStore::new(), clock());
    let left = open(&store, &clock, 1).await;
    let right = open(&store, &clock, 2).await;
    for id in 1..=20 {
        let process = if id % 3 == 0 { &left } else { &right };
        process.record(id).await;
        left.events.shared.tick(&[]).await;
        right.events.shared.tick(&[]).await;
    }
    let third = open(&store, &clock, 3).await;
    assert_eq!(third.tokens(), (1..=20).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_damaged_object_hides_its_events_and_stays() {
    let (store, clock) = (FaultyStore::new(), clock());
    let first = open(&store, &clock, 1).await;
    first.record(1).await;
    first.record(2).await;
    let name = first.events.shared.state.lock().names[0].clone();
    let path = runtime::object_store::Path::from(format!("node/token_events/{name}"));
    let payload = runtime::object_store::PutPayload::from_static(b"GNOMTKEV nonsense");
    use runtime::object_store::ObjectStoreExt;
    store.put(&path, payload).await.expect("damaged");

    let second = open(&store, &clock, 2).await;
    assert_eq!(second.tokens(), [2]);
    for id in 3..=9 {
        second.record(id).await;
        second.events.shared.tick(&[]).await;
    }
    store.head(&path).await.expect("still there");
}

#[tokio::test]
async fn a_start_finds_what_the_process_before_could_not_tell() {
    let (store, clock) = (FaultyStore::new(), clock());
    let first = open(&store, &clock, 1).await;
    first.record(1).await;
    drop(first);
    let second = open(&store, &clock, 2).await;
    let known = |id: u64, updated_at_ms| KnownToken {
        id,
        name: format!("t{id}"),
        created_at_ms: i64::try_from(id).expect("small"),
        updated_at_ms,
        expiry_ms: None,
    };
    let tokens = [known(1, None), known(2, Some(5))];
    second.events.catch_up(&tokens).await;
    let told: Vec<_> = second
        .rows()
        .iter()
        .map(|row| (row.kind, row.token_id))
        .collect();
    let expected = [
        ("create", Some(1)),
        ("create", Some(2)),
        ("rotate", Some(2)),
    ];
    let mut sorted = told.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected, "{told:?}");
    // The next one has nothing to add.
    let third = open(&store, &clock, 3).await;
    third.events.catch_up(&tokens).await;
    assert_eq!(third.rows().len(), 3);
}
