//! Two processes on one catalog: neither may lose or repeat what the other did.

use catalog::{Catalog, ColumnKind, ErrorKind, FieldType, HardDelete, Limits, TableAdditions};

use crate::world::{TestWorld, describe};

async fn two(world: &TestWorld) -> (Catalog, Catalog) {
    let here = world.open().await;
    let there = Catalog::open("node", &world.other_process(2), Limits::default())
        .await
        .expect("open");
    (here, there)
}

fn column(name: &str) -> Vec<TableAdditions> {
    vec![TableAdditions {
        table: "t".to_string(),
        columns: vec![(name.to_string(), ColumnKind::Field(FieldType::Float))],
    }]
}

#[tokio::test]
async fn both_begin_one_catalog() {
    let world = TestWorld::new();
    let other = world.other_process(2);
    let (here, there) = tokio::join!(
        Catalog::open("node", &world.world, Limits::default()),
        Catalog::open("node", &other, Limits::default())
    );
    let (here, there) = (here.expect("here"), there.expect("there"));
    assert_eq!(here.snapshot().uuid(), there.snapshot().uuid());
    assert_eq!(describe(&here.snapshot()), describe(&there.snapshot()));
}

#[tokio::test]
async fn turns_are_taken_and_nothing_is_lost() {
    let world = TestWorld::new();
    let (here, there) = two(&world).await;
    for step in 0..20 {
        let here_wants = column(&format!("here{step}"));
        let there_wants = column(&format!("there{step}"));
        let both_want = column(&format!("both{step}"));
        let (first, second, third, fourth) = tokio::join!(
            here.extend_schema("foo", &here_wants),
            there.extend_schema("foo", &there_wants),
            here.extend_schema("foo", &both_want),
            there.extend_schema("foo", &both_want)
        );
        for outcome in [first, second, third, fourth] {
            outcome.expect("extended");
        }
    }
    here.refresh().await.expect("refreshed");
    there.refresh().await.expect("refreshed");
    assert_eq!(describe(&here.snapshot()), describe(&there.snapshot()));
    assert_eq!(
        describe(&here.snapshot()),
        describe(&world.open().await.snapshot())
    );
    let snapshot = here.snapshot();
    let table = snapshot
        .database("foo")
        .and_then(|db| db.table("t").cloned())
        .expect("table");
    assert_eq!(table.columns().len(), 61);
}

#[tokio::test]
async fn a_refusal_is_checked_against_the_newest_state() {
    let world = TestWorld::new();
    let (here, there) = two(&world).await;
    here.create_database("foo", None).await.expect("created");
    let refusal = there
        .create_database("foo", None)
        .await
        .expect_err("exists");
    assert_eq!(refusal.kind(), ErrorKind::Conflict);
    here.delete_database("foo", HardDelete::Now)
        .await
        .expect("deleted");
    let again = there
        .create_database("foo", None)
        .await
        .expect("the name is free");
    assert_eq!(again.id.0, 2);
}

/// There sleeps while here goes on, checkpoints again and again and removes the records there has not seen. Their numbers
/// are free then, and there takes one: it must notice.
#[tokio::test]
async fn a_sleeper_does_not_fork_the_log() {
    let world = TestWorld::new();
    let (here, there) = two(&world).await;
    for step in 0..12 {
        here.extend_schema("foo", &column(&format!("c{step}")))
            .await
            .expect("extended");
        if step % 3 == 0 {
            here.checkpoint().await.expect("checkpoint");
        }
    }
    let paths: Vec<_> = world
        .objects()
        .await
        .into_iter()
        .map(|(path, _)| path.to_string())
        .collect();
    assert!(
        !paths
            .iter()
            .any(|path| path.ends_with("log/00000000000000000002")),
        "{paths:?}"
    );
    there.create_database("bar", None).await.expect("created");
    there
        .extend_schema("foo", &column("c0"))
        .await
        .expect("nothing is missing");
    here.refresh().await.expect("refreshed");
    assert_eq!(describe(&here.snapshot()), describe(&there.snapshot()));
    assert_eq!(
        describe(&here.snapshot()),
        describe(&world.open().await.snapshot())
    );
    assert_eq!(here.snapshot().database("bar").expect("bar").id.0, 2);
}

/// A checkpoint by somebody quicker, right after our record, must not make us think that the record is lost.
#[tokio::test]
async fn one_checkpoint_beyond_a_record_does_not_void_it() {
    let world = TestWorld::new();
    let (here, there) = two(&world).await;
    here.create_database("foo", None).await.expect("created");
    here.checkpoint().await.expect("checkpoint");
    // There is at record 1, the checkpoint is at 2: there catches up over the record, which is still there.
    there.create_database("bar", None).await.expect("created");
    assert_eq!(there.snapshot().database("foo").expect("foo").id.0, 1);
    assert_eq!(there.snapshot().database("bar").expect("bar").id.0, 2);
}
