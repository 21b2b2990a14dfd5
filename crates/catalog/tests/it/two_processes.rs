//! Two processes on one catalog: neither may lose or repeat what the other did.

use catalog::{Catalog, ColumnKind, ErrorKind, FieldType, HardDelete, Limits, TableAdditions};

use runtime::Random;

use crate::world::{TestWorld, describe};

const ROOMY: Limits = Limits {
    databases: 1_000,
    tables: 1_000,
    columns_per_table: 1_000,
    tag_columns_per_table: 1_000,
};

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
    for step in 0..40 {
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

/// Four processes create, checkpoint and look at once. What was answered with `Ok` is there for everyone, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_processes_agree() {
    let world = TestWorld::new();
    let mut processes = Vec::new();
    for seed in 0..4 {
        let process = world.other_process(100 + seed);
        processes.push(Catalog::open("node", &process, ROOMY).await.expect("open"));
    }
    let work = processes.iter().enumerate().map(|(process, catalog)| {
        let catalog = catalog.clone();
        world.world.tasks.detach(async move {
            let mut created = Vec::new();
            for number in 0..60 {
                let name = format!("p{process}n{number}");
                let database = catalog.create_database(&name, None).await.expect("created");
                created.push((name, database.id));
                // Two each: rivals of a writer make fewer than would void its record, however long it sleeps.
                if number % 30 == 10 + process {
                    catalog.checkpoint().await.expect("checkpoint");
                }
                if number % 7 == 0 {
                    catalog.refresh().await.expect("refresh");
                }
            }
            created
        })
    });
    let mut created = Vec::new();
    for outcome in futures::future::join_all(work).await {
        created.extend(outcome.expect("work"));
    }
    let truth = world.open().await.snapshot();
    assert_eq!(truth.live_databases(), created.len());
    for (name, id) in created {
        assert_eq!(truth.database(&name).expect("created").id, id);
    }
    for catalog in &processes {
        let seen = catalog.refresh().await.expect("refresh");
        assert_eq!(describe(&seen), describe(&truth));
    }
}

/// A walk over everything that can be done, with faults thrown in. After each step a fresh start must see exactly what
/// the process that took the step sees, and nothing that was acknowledged may be gone.
#[tokio::test]
async fn a_random_walk_loses_nothing() {
    for seed in 0..10 {
        let world = TestWorld::new();
        let chance = Random::seeded(seed);
        let draw = |below: u8| {
            let mut byte = [0];
            chance.fill(&mut byte).expect("chance");
            byte[0] % below
        };
        let mut processes = [
            Catalog::open("node", &world.world, ROOMY)
                .await
                .expect("open"),
            Catalog::open("node", &world.other_process(2), ROOMY)
                .await
                .expect("open"),
        ];
        let mut acknowledged: Vec<String> = Vec::new();
        for step in 0..60 {
            let turn = usize::from(draw(2));
            match draw(8) {
                0 => world.store.refuse_next_puts(u64::from(draw(4))),
                1 => world.store.lose_next_answers(u64::from(draw(4))),
                _ => {}
            }
            let catalog = &processes[turn];
            match draw(10) {
                0..4 => {
                    let name = format!("db{step}");
                    if catalog.create_database(&name, None).await.is_ok() {
                        acknowledged.push(name);
                    }
                }
                4..6 => {
                    // Fails when a fault was drawn; the walk only asks that both sides agree.
                    let _ = catalog
                        .extend_schema("wide", &column(&format!("c{step}")))
                        .await;
                }
                6 => {
                    let Some(name) = acknowledged.pop() else {
                        continue;
                    };
                    if catalog
                        .delete_database(&name, HardDelete::Now)
                        .await
                        .is_err()
                    {
                        // Nobody knows whether it happened.
                        continue;
                    }
                }
                7 => {
                    let _ = catalog.checkpoint().await;
                }
                8 => {
                    let process = world.other_process(1000 + step);
                    world.store.refuse_next_puts(0);
                    world.store.lose_next_answers(0);
                    processes[turn] = Catalog::open("node", &process, ROOMY).await.expect("open");
                }
                _ => {
                    catalog.refresh().await.expect("refresh");
                }
            }
            world.store.refuse_next_puts(0);
            world.store.lose_next_answers(0);
            let seen = processes[turn].refresh().await.expect("refresh");
            assert_eq!(
                describe(&seen),
                describe(&world.open().await.snapshot()),
                "seed {seed}"
            );
            for name in &acknowledged {
                assert!(seen.database(name).is_some(), "seed {seed} lost {name}");
            }
        }
    }
}
