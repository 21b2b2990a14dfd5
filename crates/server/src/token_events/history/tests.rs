//! What is kept of events, and what they say is missing.

use std::net::IpAddr;

use super::*;
use crate::token_events::event::{Protocol, Reason, Refusal};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

const BOUNDS: Bounds = Bounds {
    changes_max: 3,
    refusals_max: 2,
    age_max_ms: 90 * DAY_MS,
};

fn token(id: u64, created_at_ms: i64, updated_at_ms: Option<i64>) -> KnownToken {
    KnownToken {
        id,
        name: format!("t{id}"),
        created_at_ms,
        updated_at_ms,
        expiry_ms: None,
    }
}

fn recorded(id: u128, time_ms: i64, event: Event) -> Arc<Recorded> {
    Arc::new(Recorded {
        id,
        time_ms,
        last_time_ms: time_ms,
        count: 1,
        event,
    })
}

fn change(id: u128, time_ms: i64, kind: EventKind, token: u64) -> Arc<Recorded> {
    let event = Event {
        token: Some(Subject::new(token, &format!("t{token}"))),
        changed_at_ms: Some(time_ms),
        ..Event::plain(kind, Outcome::Done)
    };
    recorded(id, time_ms, event)
}

fn refusal(id: u128, time_ms: i64, last_octet: u8) -> Arc<Recorded> {
    let address = IpAddr::from([10, 0, 0, last_octet]);
    let refusal = Refusal::new(Reason::UnknownToken, address, Protocol::Http);
    recorded(id, time_ms, refusal.into_event())
}

fn ids(history: &History) -> Vec<u128> {
    history.events().iter().map(|event| event.id).collect()
}

#[test]
fn events_are_in_order_and_once() {
    let events = [
        change(3, 30, EventKind::Create, 3),
        change(1, 10, EventKind::Create, 1),
        change(3, 30, EventKind::Create, 3),
    ];
    let mut history = History::new(events, None);
    assert_eq!(ids(&history), [1, 3]);
    let mut add = |id, at| history.add(change(id, at, EventKind::Create, 9));
    assert_eq!(add(1, 10), Added::Known);
    assert_eq!(add(2, 20), Added::Between);
    assert_eq!(add(4, 30), Added::Last);
    assert_eq!(ids(&history), [1, 2, 3, 4]);
}

#[test]
fn of_one_event_the_larger_count_is_true() {
    let once = refusal(1, 0, 1);
    let mut thrice = Recorded::clone(&once);
    thrice.count = 3;
    for events in [
        [Arc::clone(&once), Arc::new(thrice.clone())],
        [Arc::new(thrice), once],
    ] {
        let history = History::new(events, None);
        assert_eq!(history.events().len(), 1);
        assert_eq!(history.events()[0].count, 3);
    }
}

#[test]
fn refusals_cannot_push_changes_out() {
    let now_ms = 100 * DAY_MS;
    let mut events = vec![
        change(1, 5 * DAY_MS, EventKind::Create, 1),
        change(2, 60 * DAY_MS, EventKind::Create, 2),
        change(3, 61 * DAY_MS, EventKind::Create, 3),
    ];
    events.extend((0..50).map(|nth| refusal(100 + nth, now_ms - HOUR_MS, nth as u8)));
    let history = History::new(events, Some(7));
    assert!(history.has_outdated(BOUNDS, DAY_MS, now_ms));
    assert!(!history.has_outdated(BOUNDS, 6 * DAY_MS, now_ms));
    let shortened = history.shortened(BOUNDS, now_ms);
    assert_eq!(ids(&shortened), [2, 3, 148, 149]);
    assert_eq!(shortened.forgotten_until_ms(), Some(5 * DAY_MS));
    assert!(!shortened.has_outdated(BOUNDS, 0, now_ms));
    let again = shortened.shortened(BOUNDS, now_ms);
    assert_eq!(ids(&again), [2, 3, 148, 149]);
    assert_eq!(again.forgotten_until_ms(), Some(5 * DAY_MS));
}

#[test]
fn too_many_changes_lose_their_oldest() {
    let events = (1..=5).map(|nth| change(nth, nth as i64, EventKind::Create, nth as u64));
    let shortened = History::new(events, None).shortened(BOUNDS, 10);
    assert_eq!(ids(&shortened), [3, 4, 5]);
    assert_eq!(shortened.forgotten_until_ms(), Some(2));
}

#[test]
fn refusals_of_an_hour_are_counted_together() {
    let events = [
        refusal(1, 10, 1),
        refusal(2, 20, 1),
        refusal(3, HOUR_MS - 1, 1),
        refusal(4, HOUR_MS, 1),
    ];
    let shortened = History::new(events, None).shortened(BOUNDS, HOUR_MS);
    assert_eq!(ids(&shortened), [1, 4]);
    let first = &shortened.events()[0];
    assert_eq!((first.time_ms, first.last_time_ms), (10, HOUR_MS - 1));
    assert_eq!((first.count, shortened.events()[1].count), (3, 1));
}

#[test]
fn changes_without_an_event_are_found() {
    let history = History::new(
        [
            change(1, 1_000, EventKind::Create, 1),
            change(2, 2_000, EventKind::Confirm, 1),
            change(3, 1_000, EventKind::Create, 2),
            change(4, 1_000, EventKind::Create, 3),
            change(5, 3_000, EventKind::Delete, 3),
        ],
        Some(500),
    );
    let missing = |tokens: &[KnownToken], now_ms| -> Vec<(EventKind, u64)> {
        let missing = history.missing(tokens, BOUNDS, now_ms);
        let told = missing.iter().map(|event| {
            assert!(event.words.starts_with("found at a start: "), "{event:?}");
            let token = event.token.as_ref().expect("a token");
            (event.kind, token.id)
        });
        told.collect()
    };
    let all_told = [token(1, 1_000, Some(2_000)), token(2, 1_000, None)];
    assert_eq!(missing(&all_told, 5_000), []);
    let tokens = [
        token(1, 1_000, Some(2_500)),
        token(4, 4_000, None),
        token(5, 400, Some(4_500)),
    ];
    let found = [
        (EventKind::Rotate, 1),
        (EventKind::Create, 4),
        (EventKind::Rotate, 5),
        (EventKind::Delete, 2),
    ];
    assert_eq!(missing(&tokens, 5_000), found);
    let years_later_ms = 1_000 * DAY_MS;
    assert_eq!(missing(&all_told, years_later_ms), []);
    assert_eq!(
        missing(&tokens[..1], years_later_ms),
        [(EventKind::Delete, 2)]
    );
}

#[test]
fn an_expiry_is_noted_once() {
    let mut history = History::default();
    let mut expiring = token(1, 0, None);
    expiring.expiry_ms = Some(1_000);
    let expired = |history: &History, token: &KnownToken, now_ms| {
        history.expired(std::slice::from_ref(token), BOUNDS, now_ms)
    };
    assert!(expired(&history, &expiring, 999).is_empty());
    let told = expired(&history, &expiring, 1_000).pop().expect("expired");
    assert_eq!(told.words, "expired at 1970-01-01T00:00:01Z");
    history.add(recorded(1, 1_003, told));
    assert!(expired(&history, &expiring, 2_000).is_empty());
    // A rotation has given it more time, which is over too.
    expiring.expiry_ms = Some(3_000);
    assert!(expired(&history, &expiring, 2_000).is_empty());
    assert_eq!(expired(&history, &expiring, 3_000).len(), 1);
    assert!(expired(&history, &expiring, 100 * DAY_MS).is_empty());
}
