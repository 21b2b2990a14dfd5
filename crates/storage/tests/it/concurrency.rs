//! Many at once: schema that grows under every writer, tables locked in any order, reads while rows move.

use std::sync::Arc;
use std::time::Duration;

use crate::durability::point;
use crate::model::{Model, Question, ask, check_all};
use crate::setup::{Home, Node};

const PATIENCE: Duration = Duration::from_secs(30);

async fn all_of<T: Send + 'static>(
    node: &Node,
    tasks: Vec<impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let running: Vec<_> = tasks
        .into_iter()
        .map(|task| node.world.tasks.detach(task))
        .collect();
    let all = futures::future::try_join_all(running);
    tokio::time::timeout(PATIENCE, all)
        .await
        .expect("nobody waits for ever")
        .expect("no task fails")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_writers_may_all_change_the_schema() {
    let home = Home::memory();
    let node = Arc::new(home.open().await);
    let writers = (0..16_i64)
        .map(|writer| {
            let node = Arc::clone(&node);
            async move {
                let mut model = Model::default();
                for step in 0..8 {
                    let own = format!("own{writer}_{step}");
                    let shared = format!("shared{}", (writer + step) % 8);
                    let table = format!("table{}", step % 3);
                    let tag = format!("w{writer}");
                    let points = [
                        point(&table, &tag, &own, step, step),
                        point(&table, &tag, &shared, writer, step),
                        point(&format!("mine{writer}"), &tag, "f", step, step),
                    ];
                    let text = model.write(&points);
                    node.write(&text).await;
                }
                model
            }
        })
        .collect();
    let mut model = Model::default();
    for written in all_of(&node, writers).await {
        for (table, rows) in written.tables {
            model.tables.entry(table).or_default().extend(rows);
        }
    }
    check_all(&node, &model).await;
    let node = Arc::into_inner(node).expect("the writers are done");
    node.drop_engine().await;
    check_all(&home.open().await, &model).await;
}

/// Two tables, written in both orders, with series that are always new: whoever encodes holds both, whoever interns
/// or plans a read wants one alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_the_same_tables_in_any_order_do_not_wait_for_each_other_for_ever() {
    let home = Home::memory();
    let node = Arc::new(home.open().await);
    node.write("a,t=x f=1i 0\nb,t=x f=1i 0\n").await;
    let tasks = (0..8_i64)
        .map(|writer| {
            let node = Arc::clone(&node);
            async move {
                for step in 0..60 {
                    let tag = format!("{writer}.{step}");
                    let (first, second) = if writer % 2 == 0 {
                        ("a", "b")
                    } else {
                        ("b", "a")
                    };
                    let points = [
                        point(first, &tag, "f", 1, step),
                        point(second, &tag, "f", 1, step),
                    ];
                    let text: String = points.iter().map(|point| point.line()).collect();
                    node.write(&text).await;
                    if step % 10 == writer {
                        let some = Question::all(1);
                        assert!(!ask(&node, first, &some).await.is_empty());
                    }
                }
            }
        })
        .collect();
    all_of(&node, tasks).await;
    for table in ["a", "b"] {
        assert_eq!(ask(&node, table, &Question::all(1)).await.len(), 8 * 60 + 1);
    }
}

/// Rows move from buffer to files while they are read: none may be missing, none twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reads_see_every_acknowledged_row_once_while_rows_become_files() {
    let home = Home::memory();
    let node = Arc::new(home.open().await);
    node.write("m,t=w0 f=1i 0\n").await;
    let mut tasks: Vec<futures::future::BoxFuture<'static, ()>> = Vec::new();
    for writer in 0..3_i64 {
        let node = Arc::clone(&node);
        tasks.push(Box::pin(async move {
            for step in 1..60 {
                let tag = format!("w{writer}");
                node.write(&point("m", &tag, "f", step, step).line()).await;
                let mut own = Question::all(2);
                own.tag = Some(("t".to_string(), tag));
                let seen = ask(&node, "m", &own).await;
                assert_eq!(seen.len() as i64, step + i64::from(writer == 0));
            }
        }));
    }
    let persister = Arc::clone(&node);
    tasks.push(Box::pin(async move {
        for _ in 0..30 {
            persister.engine.persist().await.expect("persist");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }));
    all_of(&node, tasks).await;
    assert_eq!(ask(&node, "m", &Question::all(4)).await.len(), 3 * 59 + 1);
}
