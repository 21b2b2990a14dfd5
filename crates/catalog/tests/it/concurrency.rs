//! Many writers of one process.

use std::collections::BTreeSet;
use std::sync::Arc;

use catalog::{ColumnKind, ErrorKind, FieldType, Limits, TableAdditions};

use crate::world::{TestWorld, describe};

fn column(name: &str, kind: ColumnKind) -> (String, ColumnKind) {
    (name.to_string(), kind)
}

fn addition(table: &str, columns: Vec<(String, ColumnKind)>) -> Vec<TableAdditions> {
    vec![TableAdditions {
        table: table.to_string(),
        columns,
    }]
}

const FLOAT: ColumnKind = ColumnKind::Field(FieldType::Float);
const INTEGER: ColumnKind = ColumnKind::Field(FieldType::Integer);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_the_same_columns_share_them() {
    let world = TestWorld::new();
    let catalog = Arc::new(world.open().await);
    let tasks = &world.world.tasks;
    let mut writers = Vec::new();
    for writer in 0..32 {
        let catalog = Arc::clone(&catalog);
        writers.push(tasks.detach(async move {
            for step in 0..8 {
                let wanted = addition(
                    "t",
                    vec![
                        column("host", ColumnKind::Tag),
                        column(&format!("shared{step}"), FLOAT),
                        column(&format!("own{writer}"), INTEGER),
                    ],
                );
                let seen = catalog
                    .extend_schema("foo", &wanted)
                    .await
                    .expect("extended");
                let table = seen.database("foo").and_then(|db| db.table("t").cloned());
                let table = table.expect("table");
                for (name, kind) in &wanted[0].columns {
                    assert_eq!(table.column(name).expect("column").kind, *kind);
                }
            }
        }));
    }
    for writer in writers {
        writer.await.expect("writer");
    }
    let snapshot = catalog.snapshot();
    let table = snapshot
        .database("foo")
        .and_then(|db| db.table("t").cloned())
        .expect("table");
    assert_eq!(table.columns().len(), 1 + 1 + 8 + 32);
    assert!(
        table
            .columns()
            .iter()
            .zip(0..)
            .all(|(column, id)| column.id.0 == id)
    );
    assert_eq!(
        describe(&world.open().await.snapshot()),
        describe(&snapshot)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_kinds_one_wins() {
    let world = TestWorld::new();
    let catalog = Arc::new(world.open().await);
    let tasks = &world.world.tasks;
    let writers: Vec<_> = [FLOAT, INTEGER]
        .map(|kind| {
            let catalog = Arc::clone(&catalog);
            let wanted = addition("t", vec![column("value", kind)]);
            tasks.detach(async move { catalog.extend_schema("foo", &wanted).await.map(|_| ()) })
        })
        .into_iter()
        .collect();
    let mut refused = BTreeSet::new();
    for writer in writers {
        if let Err(refusal) = writer.await.expect("writer") {
            assert_eq!(refusal.kind(), ErrorKind::Conflict);
            refused.insert(refusal.message().to_string());
        }
    }
    assert_eq!(refused.len(), 1);
}

#[tokio::test]
async fn what_exists_is_found_without_the_store() {
    let world = TestWorld::new();
    let catalog = world.open().await;
    let wanted = addition(
        "t",
        vec![column("host", ColumnKind::Tag), column("value", FLOAT)],
    );
    let first = catalog
        .extend_schema("foo", &wanted)
        .await
        .expect("extended");
    world.store.refuse_next_puts(u64::MAX);
    let second = catalog
        .extend_schema("foo", &wanted)
        .await
        .expect("nothing is missing");
    assert!(Arc::ptr_eq(&first, &second));
}

#[tokio::test]
async fn an_old_snapshot_stays_as_it_was() {
    let world = TestWorld::new();
    let catalog = world.open().await;
    let old = catalog
        .extend_schema("foo", &addition("t", vec![column("a", FLOAT)]))
        .await
        .expect("extended");
    let before = describe(&old);
    catalog
        .extend_schema("foo", &addition("t", vec![column("b", ColumnKind::Tag)]))
        .await
        .expect("extended");
    catalog.create_database("bar", None).await.expect("created");
    catalog
        .delete_database("foo", catalog::HardDelete::Now)
        .await
        .expect("deleted");
    assert_eq!(describe(&old), before);
}

/// Quadratic work would take minutes here.
#[tokio::test]
async fn wide_and_many_tables_are_linear() {
    let world = TestWorld::new();
    let limits = Limits {
        tables: 30_000,
        columns_per_table: 30_000,
        ..Limits::default()
    };
    let catalog = world.open_limited(limits).await;
    let columns = (0..20_000)
        .map(|number| column(&format!("field{number}"), FLOAT))
        .collect();
    catalog
        .extend_schema("wide", &addition("t", columns))
        .await
        .expect("wide");
    let tables: Vec<_> = (0..20_000)
        .flat_map(|number| addition(&format!("table{number}"), vec![column("f", FLOAT)]))
        .collect();
    let seen = catalog.extend_schema("many", &tables).await.expect("many");
    assert_eq!(seen.live_tables(), 20_001);
    let last = seen
        .database("many")
        .and_then(|db| db.table("table19999").cloned());
    let last = last.expect("table");
    let (owner, same) = seen.table_by_id(last.id).expect("by id");
    assert_eq!((&*owner.name, &*same.name), ("many", "table19999"));
}
