//! What a crash or a damaged object leaves behind.

use std::time::Duration;

use catalog::{
    Asker, Catalog, ColumnKind, Error, ErrorKind, FieldType, HardDelete, Limits, TableAdditions,
};
use runtime::object_store::{Path, in_folder};
use runtime::{Tasks, World};

use crate::world::{TestWorld, describe};

const STEPS: usize = 11;

async fn step(catalog: &Catalog, number: usize) -> Result<(), Error> {
    let addition = |columns: &[(&str, ColumnKind)]| TableAdditions {
        table: "t".to_string(),
        columns: columns
            .iter()
            .map(|(name, kind)| ((*name).to_string(), *kind))
            .collect(),
    };
    let float = ColumnKind::Field(FieldType::Float);
    match number {
        0 => catalog
            .create_database("foo", Some(Duration::from_secs(60)))
            .await
            .map(|_| ()),
        1 => {
            let wanted = [addition(&[("host", ColumnKind::Tag), ("value", float)])];
            catalog.extend_schema("bar", &wanted).await.map(|_| ())
        }
        2 => {
            let wanted = [addition(&[("rack", ColumnKind::Tag)])];
            catalog.extend_schema("bar", &wanted).await.map(|_| ())
        }
        3 => {
            let by = Asker::Anyone;
            catalog.create_operator_token(&by).await.map(|_| ())
        }
        4 => catalog.delete_database("foo", HardDelete::Default).await,
        5 => {
            catalog
                .delete_database("foo-20260203T040506", HardDelete::Never)
                .await
        }
        6 => {
            let wanted = TableAdditions {
                table: "u".to_string(),
                ..addition(&[("host", ColumnKind::Tag)])
            };
            let kept = Some(Duration::from_secs(60));
            catalog.create_table("bar", wanted, kept).await
        }
        7 => catalog.set_table_retention("bar", "u", None).await,
        8 => {
            let kept = Some(Duration::from_secs(3600));
            catalog.set_database_retention("bar", kept).await
        }
        9 => catalog.delete_table("bar", "t", HardDelete::Now).await,
        _ => catalog.remove_deleted(i64::MAX, |_| true).await.map(|_| ()),
    }
}

/// Every commit, interrupted before the record is stored and after.
#[tokio::test]
async fn an_interrupted_commit_happened_or_did_not() {
    for interrupted in 0..STEPS {
        for stored in [false, true] {
            let world = TestWorld::new();
            let catalog = world.open().await;
            for number in 0..interrupted {
                step(&catalog, number).await.expect("step");
            }
            let before = describe(&catalog.snapshot());
            world
                .store
                .refuse_next_puts(if stored { 0 } else { u64::MAX });
            world.store.lose_next_answers(u64::from(stored));
            let outcome = step(&catalog, interrupted).await;
            world.store.refuse_next_puts(0);
            assert_eq!(outcome.is_ok(), stored, "step {interrupted}");
            let after = describe(&catalog.snapshot());
            assert_eq!(after != before, stored);
            let reopened = world.open().await;
            assert_eq!(describe(&reopened.snapshot()), after);
            // The one that kept running and the one opened anew can both go on.
            if !stored {
                step(&catalog, interrupted).await.expect("again");
            }
            for number in interrupted + 1..STEPS {
                let turn = if number % 2 == 0 { &catalog } else { &reopened };
                turn.refresh().await.expect("refresh");
                step(turn, number).await.expect("step");
            }
            catalog.refresh().await.expect("refresh");
            assert_eq!(
                describe(&world.open().await.snapshot()),
                describe(&catalog.snapshot())
            );
        }
    }
}

/// The first opening itself, interrupted.
#[tokio::test]
async fn an_interrupted_beginning_is_begun_again() {
    for stored in [false, true] {
        let world = TestWorld::new();
        world
            .store
            .refuse_next_puts(if stored { 0 } else { u64::MAX });
        world.store.lose_next_answers(u64::from(stored));
        let first = Catalog::open("node", &world.world, Limits::default()).await;
        world.store.refuse_next_puts(0);
        assert_eq!(first.is_ok(), stored);
        let opened = world.open().await;
        if let Ok(first) = first {
            assert_eq!(first.snapshot().uuid(), opened.snapshot().uuid());
        }
        assert_eq!(opened.snapshot().uuid().len(), 36);
        assert_eq!(
            opened
                .snapshot()
                .internal_database()
                .expect("internal")
                .id
                .0,
            0
        );
    }
}

/// A checkpoint stores one object and then removes others one by one: wherever it stops, nothing is lost.
#[tokio::test]
async fn an_interrupted_checkpoint_changes_nothing() {
    let world = TestWorld::new();
    let catalog = world.open().await;
    for number in 0..STEPS {
        step(&catalog, number).await.expect("step");
        let before = world.objects().await;
        catalog.checkpoint().await.expect("checkpoint");
        let after = world.objects().await;
        let expected = describe(&catalog.snapshot());

        let (kept, removed): (Vec<_>, Vec<_>) = before
            .iter()
            .cloned()
            .partition(|object| after.contains(object));
        let added: Vec<_> = after
            .iter()
            .filter(|object| !before.contains(object))
            .cloned()
            .collect();
        assert_eq!(added.len(), 1);
        for still_there in 0..=removed.len() {
            let mut objects = kept.clone();
            objects.extend(added.clone());
            objects.extend(removed[removed.len() - still_there..].iter().cloned());
            let crashed = TestWorld::with_objects(&objects).await;
            assert_eq!(describe(&crashed.open().await.snapshot()), expected);
        }
        let not_begun = TestWorld::with_objects(&before).await;
        assert_eq!(describe(&not_begun.open().await.snapshot()), expected);
    }
    catalog
        .create_database("more", None)
        .await
        .expect("created");
    world.store.refuse_next_puts(u64::MAX);
    catalog.checkpoint().await.expect_err("refused");
    world.store.refuse_next_puts(0);
    assert_eq!(
        describe(&world.open().await.snapshot()),
        describe(&catalog.snapshot())
    );
}

#[tokio::test]
async fn a_long_log_is_checkpointed_by_itself() {
    let world = TestWorld::new();
    let limits = Limits {
        databases: 2000,
        ..Limits::default()
    };
    let catalog = world.open_limited(limits).await;
    for number in 0..1200 {
        catalog
            .create_database(&format!("db{number}"), None)
            .await
            .expect("created");
    }
    world.world.tasks.drain(Duration::from_secs(10)).await;
    let objects = world.objects().await;
    let checkpoints = objects
        .iter()
        .filter(|(path, _)| path.as_ref().contains("/checkpoint/"));
    let checkpoints = checkpoints.count();
    assert!((8..=9).contains(&checkpoints), "{checkpoints} checkpoints");
    assert!(objects.len() < 800, "{} objects", objects.len());
    assert_eq!(
        describe(&world.open().await.snapshot()),
        describe(&catalog.snapshot())
    );
}

/// Any damage to any object is reported with its path and an offset, and never taken for content.
#[tokio::test]
async fn damage_is_reported() {
    let world = TestWorld::new();
    let catalog = world.open().await;
    for number in 0..3 {
        step(&catalog, number).await.expect("step");
    }
    catalog.checkpoint().await.expect("checkpoint");
    for number in 3..STEPS {
        step(&catalog, number).await.expect("step");
    }
    let objects = world.objects().await;
    for (place, (path, bytes)) in objects.iter().enumerate() {
        // Older records are covered by the checkpoint and not read.
        if path.as_ref() < "node/catalog/log/00000000000000000005"
            && path.as_ref().contains("/log/")
        {
            continue;
        }
        let mut damages: Vec<Vec<u8>> = [0, 1, 7, 23, 24, bytes.len() - 1]
            .iter()
            .map(|end| bytes[..*end].to_vec())
            .collect();
        damages.push([bytes.as_slice(), b"x"].concat());
        for at in [0, 9, 13, 17, 30, bytes.len() - 1] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            damages.push(flipped);
        }
        // Another object under this name.
        damages.push(objects[(place + 1) % objects.len()].1.clone());
        for damage in damages {
            let mut damaged = objects.clone();
            damaged[place].1 = damage;
            let world = TestWorld::with_objects(&damaged).await;
            let refusal = Catalog::open("node", &world.world, Limits::default())
                .await
                .expect_err("damaged");
            assert_eq!(refusal.kind(), ErrorKind::Corrupt, "{refusal}");
            assert!(refusal.message().contains(path.as_ref()), "{refusal}");
        }
    }
}

#[tokio::test]
async fn a_gap_is_reported() {
    let world = TestWorld::new();
    let catalog = world.open().await;
    for number in 0..4 {
        step(&catalog, number).await.expect("step");
    }
    let mut objects = world.objects().await;
    let missing = Path::from("node/catalog/log/00000000000000000003");
    objects.retain(|(path, _)| *path != missing);
    let world = TestWorld::with_objects(&objects).await;
    let refusal = Catalog::open("node", &world.world, Limits::default())
        .await
        .expect_err("gap");
    assert_eq!(refusal.kind(), ErrorKind::Corrupt);
    assert!(
        refusal
            .message()
            .contains("00000000000000000003 is missing"),
        "{refusal}"
    );
}

#[tokio::test]
async fn strangers_in_the_folder_are_left_alone() {
    let world = TestWorld::new();
    for name in ["notes.txt", "1", "99999999999999999999"] {
        world
            .put(&Path::from(format!("node/catalog/log/{name}")), b"?")
            .await;
    }
    let catalog = world.open().await;
    step(&catalog, 0).await.expect("step");
    catalog.checkpoint().await.expect("checkpoint");
    assert_eq!(
        describe(&world.open().await.snapshot()),
        describe(&catalog.snapshot())
    );
}

#[tokio::test]
async fn a_folder_keeps_the_catalog() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let simulated = TestWorld::new();
    let open = || async {
        let world = World {
            store: in_folder(folder.path()).expect("folder"),
            tasks: Tasks::new(),
            ..simulated.world.clone()
        };
        Catalog::open("node", &world, Limits::default())
            .await
            .expect("open")
    };
    let catalog = open().await;
    for number in 0..STEPS {
        step(&catalog, number).await.expect("step");
        catalog.checkpoint().await.expect("checkpoint");
        assert_eq!(
            describe(&open().await.snapshot()),
            describe(&catalog.snapshot())
        );
    }
}
