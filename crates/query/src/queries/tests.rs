//! Which queries are kept, who sees them, and that the first end counts.

use catalog::{Action, Grant, Permissions};
use runtime::clock::SimulatedClock;

use super::*;

const OTHER: DatabaseId = DatabaseId(7);

fn queries(kept_max: usize) -> (Arc<Queries>, Arc<SimulatedClock>) {
    let clock = Arc::new(SimulatedClock::at_ns(1_000));
    let random = Random::seeded(1);
    let queries = Queries::new(Arc::clone(&clock) as _, random, kept_max);
    (Arc::new(queries), clock)
}

fn received(queries: &Arc<Queries>, text: &str, origin: Origin) -> Arc<LoggedQuery> {
    queries.receive(OTHER, text, &origin).expect("random bytes")
}

fn texts(queries: &Queries) -> Vec<String> {
    let kept = queries.kept.lock();
    let all = kept.ended.iter().chain(kept.running.values());
    all.map(|query| query.snapshot().text).collect()
}

#[test]
fn those_that_run_stay_and_the_oldest_end_is_forgotten() {
    let (queries, _) = queries(2);
    let all: Vec<_> = ["a", "b", "c", "d"]
        .into_iter()
        .map(|text| received(&queries, text, Origin::default()))
        .collect();
    all[3].ended(Phase::Success);
    all[1].ended(Phase::Fail);
    assert_eq!(texts(&queries), ["d", "b", "a", "c"]);
    all[2].stop(Stop::Asked);
    assert_eq!(texts(&queries), ["b", "c", "a"]);
    let statistics = queries.statistics();
    assert_eq!(
        (
            statistics.running,
            statistics.succeeded,
            statistics.failed,
            statistics.cancelled
        ),
        (1, 1, 1, 1)
    );
}

#[test]
fn phases_and_durations_are_those_that_were() {
    let (queries, clock) = queries(10);
    let query = received(&queries, "a", Origin::default());
    let step = || clock.advance(Duration::from_nanos(10));
    assert_eq!(query.snapshot().phase, Phase::Received);
    assert_eq!(query.figures(), Figures::default());
    step();
    query.logically_planned();
    step();
    query.physically_planned(None);
    step();
    assert_eq!(query.snapshot().phase, Phase::PhysicallyPlanned);
    let budget = Arc::new(crate::memory::Budget::new(10, 10));
    query.permitted(budget.begin());
    step();
    step();
    query.ended(Phase::Success);
    let ns = |ns| Some(Duration::from_nanos(ns));
    let figures = Figures {
        logical_planning: ns(10),
        physical_planning: ns(10),
        planning: ns(20),
        queue: ns(10),
        execution: ns(20),
        end_to_end: ns(50),
        memory_bytes_max: Some(0),
        ..Figures::default()
    };
    assert_eq!(query.figures(), figures);
    // Nothing that comes after the end changes it.
    step();
    query.stop(Stop::Dropped);
    query.logically_planned();
    query.ended(Phase::Fail);
    assert_eq!(query.snapshot().phase, Phase::Success);
    assert_eq!((query.figures(), query.stop_reason()), (figures, None));
    assert_eq!(queries.statistics().cancelled, 0);
}

#[test]
fn a_stopped_query_says_why() {
    let (queries, _) = queries(10);
    let query = received(&queries, "a", Origin::default());
    query.stop(Stop::TimedOut(Duration::from_millis(1_500)));
    query.stop(Stop::Asked);
    assert!(query.stopped().is_cancelled());
    let told = query.stop_reason().expect("stopped").error();
    assert_eq!(
        told.to_string(),
        "the query did not end within its timeout of 1.5s"
    );
    assert_eq!(query.snapshot().phase, Phase::Cancel);
}

#[test]
fn only_admins_and_its_owner_stop_a_query() {
    let (queries, _) = queries(10);
    let token = Some(TokenId(3));
    let own = || {
        let origin = Origin {
            token,
            ..Origin::default()
        };
        received(&queries, "a", origin)
    };
    let reader = Access::Of(Arc::new(Permissions::of(vec![Grant::Databases {
        databases: vec![OTHER],
        tables: Vec::new(),
        actions: [Action::Read].into_iter().collect(),
    }])));
    let query = own();
    for (access, token) in [(&reader, Some(TokenId(4))), (&reader, None)] {
        let refused = queries
            .cancel(query.id(), access, token)
            .expect_err("not theirs");
        assert_eq!(
            refused.to_string(),
            format!("no query {} is running", query.id())
        );
    }
    queries
        .cancel(query.id(), &reader, token)
        .expect("its owner");
    assert!(query.stopped().is_cancelled());
    assert!(queries.cancel(query.id(), &reader, token).is_err());
    let query = own();
    queries
        .cancel(query.id(), &Access::Everything, None)
        .expect("an admin");
    assert!(query.stopped().is_cancelled());
}

#[test]
fn ids_are_as_asked_unless_they_run() {
    let (queries, _) = queries(10);
    let id = Uuid::from_u128(5);
    let asked = || Origin {
        id: Some(id),
        ..Origin::default()
    };
    let first = received(&queries, "a", asked());
    assert_eq!(first.id(), id);
    assert_ne!(received(&queries, "b", asked()).id(), id);
    first.ended(Phase::Success);
    assert_eq!(received(&queries, "c", asked()).id(), id);
}

#[test]
fn texts_are_cut_and_have_their_command() {
    assert_eq!(
        shown("SELECT 1", Some("CommandStatementQuery")),
        "CommandStatementQuery SELECT 1"
    );
    let long = "ä".repeat(TEXT_BYTES_MAX);
    let kept = shown(&long, None);
    assert!(kept.ends_with(CUT) && kept.len() <= TEXT_BYTES_MAX + CUT.len());
}
