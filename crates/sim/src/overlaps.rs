//! Steps in which several things are under way at once.

use futures::future::join_all;
use runtime::Error;
use runtime::object_store::Path;
use runtime::sim::Faults;
use storage::WriteError;

use crate::model::{Operation, Question};
use crate::node::{NODE, Node};
use crate::points::lines;
use crate::profile::Kind;
use crate::reader::{ask, delete_request};
use crate::run::{Checked, Run};
use crate::steps::{Answer, request};

impl Run {
    /// Reads while something else goes on: they see all that was acknowledged before, whatever is under way.
    pub(crate) async fn meanwhile(&mut self, node: &Node) -> Checked<()> {
        if self.model.is_open() || self.model.states() > 1 {
            return Ok(());
        }
        let faults = self.slow_down(node);
        let kind = *self.dice.pick(&[Kind::Persist, Kind::Compact]);
        self.add(&format!(" {kind:?}"));
        let questions: Vec<_> = (0..6)
            .map(|at| match at % 2 {
                0 => self.question(),
                _ => {
                    let name = self.drawer().table();
                    let question = Question::all(self.floor(&name), 2);
                    (name, question)
                }
            })
            .collect();
        let work = async {
            match kind {
                Kind::Persist => node.engine.persist().await,
                _ => node.engine.compact().await,
            }
        };
        let reads = async {
            let mut answers = Vec::new();
            for (name, question) in &questions {
                answers.push(ask(node, name, question).await);
                tokio::task::yield_now().await;
            }
            answers
        };
        let (outcome, answers) = tokio::join!(work, reads);
        node.store.set_faults(faults);
        self.background("work", node, outcome)?;
        for ((name, mut question), answer) in questions.into_iter().zip(answers) {
            let mut answer = self.healthy(&format!("a read of {name}"), answer)?;
            // Time has passed: what has expired meanwhile may be there or not.
            self.raise_floors(node);
            let floor = self.floor(&name).max(*question.times.start());
            question.times = floor..=*question.times.end();
            answer.retain(|(_, time), _| *time >= floor);
            self.compare(&name, &question, &answer)?;
        }
        Ok(())
    }

    /// Writes, a delete, persisting and compaction, all at once: what is acknowledged has happened, in some order.
    pub(crate) async fn together(&mut self, node: &Node) -> Checked<()> {
        if self.model.is_open() || self.model.states() > 1 {
            return Ok(());
        }
        let faults = self.slow_down(node);
        let writes: Vec<_> = (0..2)
            .map(|_| {
                let points = self.draw_points();
                let text = lines(&points);
                (points, text)
            })
            .collect();
        let delete = self.drawer().delete();
        let asked = delete_request(node, &delete);
        self.add(&format!(" {delete:?}"));
        let (write, others) = (
            join_all(
                writes
                    .iter()
                    .map(|(points, text)| request(node, points, text, false, false)),
            ),
            async {
                tokio::join!(
                    async {
                        match asked {
                            Some(asked) => node.engine.delete(asked).await.map(Some),
                            None => Ok(None),
                        }
                    },
                    node.engine.persist(),
                    node.engine.compact(),
                )
            },
        );
        let (outcomes, (deleted, persisted, compacted)) = tokio::join!(write, others);
        node.store.set_faults(faults);
        self.background("persist", node, persisted)?;
        self.background("compact", node, compacted)?;
        let mut operations = Vec::new();
        for ((points, _), outcome) in writes.into_iter().zip(outcomes) {
            let answer = self.answer(&points, outcome, false)?;
            operations.push((Operation::Write(points), answer == Answer::Done));
        }
        if self.healthy("a delete", deleted)?.is_some() {
            operations.push((Operation::Delete(delete), true));
        }
        self.model.side_by_side(&operations);
        Ok(())
    }

    /// Makes the store slow and nothing else; answers what it did until now.
    fn slow_down(&mut self, node: &Node) -> Faults {
        node.store.set_faults(Faults {
            seed: self.dice.bits(),
            slow: 500,
            ..Faults::NONE
        })
    }

    /// Another process takes over while this one waits for the store in the middle of something. What it says is done after
    /// that must be so for the new one.
    pub(crate) async fn take_over_in_the_middle(&mut self, node: &Node) -> Checked<Node> {
        let folders = ["wal", "snapshots", "dbs", "deletes", "catalog"];
        let folder = *self.dice.pick(&folders);
        let kinds = [Kind::Write, Kind::Persist, Kind::Compact, Kind::Delete];
        let kind = *self.dice.pick(&kinds);
        self.add(&format!(" while {kind:?} waits at {folder}"));
        let points = self.draw_points();
        let text = lines(&points);
        let delete = self.drawer().delete();
        let asked = delete_request(node, &delete);
        let operation = match kind {
            Kind::Write => Some(Operation::Write(points.clone())),
            Kind::Delete if asked.is_some() => Some(Operation::Delete(delete)),
            _ => None,
        };
        node.store.hold_puts(Path::from(format!("{NODE}/{folder}")));
        let mut waiting = node.store.waiting_puts();
        let before = *waiting.borrow_and_update();
        let (over, mut is_over) = tokio::sync::watch::channel(false);
        let work = async {
            let outcome: Result<(), Error> = match (kind, asked) {
                (Kind::Write, _) => match request(node, &points, &text, false, false).await {
                    Ok(_) => Ok(()),
                    Err(WriteError::Failed(fault)) => Err(fault),
                    Err(refused) => Err(Error::invalid(format!(
                        "a good write is refused: {refused:?}"
                    ))),
                },
                (Kind::Delete, Some(asked)) => node.engine.delete(asked).await.map(drop),
                (Kind::Persist, _) => node.engine.persist().await,
                _ => node.engine.compact().await,
            };
            over.send_replace(true);
            outcome
        };
        let store = node.store.another();
        let next = async {
            tokio::select! {
                _ = waiting.wait_for(|count| *count > before) => {}
                _ = is_over.wait_for(|over| *over) => {}
            }
            let next = self.open(&store).await;
            node.store.release_puts();
            next
        };
        let (outcome, next) = tokio::join!(work, next);
        let next = next?;
        match &outcome {
            Ok(()) => self.add(" done"),
            // Its successor has replaced the files that it knows.
            Err(fault) if fault.message().ends_with("is gone") => self.add(" misses a file"),
            Err(fault) => self.disturbed("the old process", fault, true)?,
        }
        if let Some(operation) = operation {
            let answer = match outcome {
                Ok(()) => Answer::Done,
                Err(_) => Answer::Failed,
            };
            self.record(operation, answer);
        }
        Ok(next)
    }
}
