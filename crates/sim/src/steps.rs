//! The steps: what may happen to a node, and what the model makes of the answer.

use std::sync::Arc;
use std::time::Duration;

use catalog::HardDelete;
use futures::FutureExt;
use futures::future::join_all;
use runtime::object_store::Path;
use runtime::sim::Faults;
use runtime::{Error, ErrorKind};
use storage::{Precision, WriteError, WriteOutcome, WriteRequest};

use crate::model::{Operation, Point};
use crate::node::{NODE, Node};
use crate::points::lines;
use crate::profile::Kind;
use crate::reader::{delete_request, find};
use crate::run::{Checked, Processes, Run, Wrong};

/// Turns given to requests so that all of them reach the log's queue before its flush ends.
const TURNS: usize = 200;

/// What became of an operation that may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    /// It may have happened.
    Failed,
    /// It has not.
    Refused,
}

impl Run {
    pub(crate) async fn take(&mut self, kind: Kind, processes: Processes) -> Checked<Processes> {
        let step = self.step;
        self.tell(format!("{step}: {kind:?}"));
        let Processes {
            mut node,
            mut ghost,
        } = processes;
        match kind {
            Kind::Crash => {
                node = self.crash(node).await?;
            }
            Kind::Restart => {
                let store = node.store.another();
                let closed = node.close().await;
                if let Err(fault) = closed {
                    self.disturbed("close", &fault, self.is_failing || ghost.is_some())?;
                }
                self.inspect(&store).await?;
                node = self.open(&store).await?;
            }
            Kind::TakeOver => {
                if self.log_folder.is_some() {
                    self.refuse_second(&node).await?;
                } else {
                    if let Some(ghost) = ghost.take() {
                        ghost.crash().await;
                    }
                    let next = match self.dice.one_in(2) {
                        true => self.take_over_in_the_middle(&node).await?,
                        false => {
                            let store = node.store.another();
                            self.open(&store).await?
                        }
                    };
                    let old = std::mem::replace(&mut node, next);
                    old.store.set_faults(Faults::NONE);
                    ghost = Some(old);
                }
            }
            Kind::Haunt => {
                if let Some(old) = ghost.take() {
                    ghost = self.haunt(old, &node).await?;
                } else {
                    self.write(&node).await?;
                }
            }
            Kind::Faults => {
                if self.is_failing {
                    self.heal(&node);
                    self.add(" end");
                } else {
                    let faults = self.next_faults();
                    node.store.set_faults(faults);
                    self.is_failing = true;
                }
            }
            Kind::Meanwhile => self.meanwhile(&node).await?,
            Kind::Together => self.together(&node).await?,
            _ => self.act(kind, &node).await?,
        }
        Ok(Processes { node, ghost })
    }

    /// A step of one process that goes on afterwards.
    async fn act(&mut self, kind: Kind, node: &Node) -> Checked<()> {
        match kind {
            Kind::Write => self.write(node).await,
            Kind::Writes => self.writes(node).await,
            Kind::Unsynced => self.unsynced(node).await,
            Kind::Persist => self.background("persist", node, node.engine.persist().await),
            Kind::Compact => self.background("compact", node, node.engine.compact().await),
            Kind::Delete => self.delete(node).await,
            Kind::Retain => self.retain(node).await,
            Kind::Wait => {
                let minutes = *self.dice.pick(&[1, 2, 10, 60, 600]);
                self.add(&format!(" {minutes} minutes"));
                self.clock.advance(Duration::from_secs(60 * minutes));
                Ok(())
            }
            Kind::DropTable => self.drop_table(node).await,
            Kind::DropDatabase => self.drop_database(node).await,
            Kind::ThereAndBack => self.there_and_back(node).await,
            _ => Ok(()),
        }
    }

    /// An error of an operation, which needs something that may be its cause.
    pub(crate) fn disturbed(&mut self, what: &str, fault: &Error, may_fail: bool) -> Checked<()> {
        if !may_fail {
            return Err(Wrong(format!(
                "{what} fails although nothing is in its way: {:?}: {fault}",
                fault.kind()
            )));
        }
        self.add(&format!(" {what} failed: {:?}: {fault}", fault.kind()));
        self.permitted(what, fault)
    }

    pub(crate) fn may_fail(&self, node: &Node) -> bool {
        self.is_failing || node.store.is_crashed()
    }

    pub(crate) fn background(
        &mut self,
        what: &str,
        node: &Node,
        outcome: Result<(), Error>,
    ) -> Checked<()> {
        match outcome {
            Ok(()) => Ok(()),
            Err(fault) if fault.kind() == ErrorKind::Unsupported => Ok(()),
            Err(fault) => self.disturbed(what, &fault, self.may_fail(node)),
        }
    }

    /// Judges the answer to a write request.
    pub(crate) fn answer(
        &mut self,
        points: &[Point],
        outcome: Result<WriteOutcome, WriteError>,
        may_fail: bool,
    ) -> Checked<Answer> {
        match outcome {
            Ok(outcome) if outcome.lines == points.len() && outcome.rejected.is_empty() => {
                Ok(Answer::Done)
            }
            Ok(outcome) => Err(Wrong(format!(
                "a write of {} good lines answers {outcome:?}",
                points.len()
            ))),
            Err(WriteError::Failed(fault)) => {
                self.disturbed("write", &fault, may_fail)?;
                Ok(Answer::Failed)
            }
            Err(refused) => Err(Wrong(format!("a good write is refused: {refused:?}"))),
        }
    }

    pub(crate) fn record(&mut self, operation: Operation, answer: Answer) {
        match answer {
            Answer::Done => self.model.certain(&operation),
            Answer::Failed => drop(self.model.doubtful(operation)),
            Answer::Refused => {}
        }
    }

    async fn write(&mut self, node: &Node) -> Checked<()> {
        let points = self.draw_points();
        self.add(&format!(" {} points", points.len()));
        let mut text = lines(&points);
        if self.dice.one_in(8) {
            return self.write_with_bad_line(node, points, text).await;
        }
        if self.dice.one_in(8) {
            text.push_str("# a comment\n\n");
        }
        let outcome = request(node, &points, &text, false, false).await;
        let answer = self.answer(&points, outcome, self.may_fail(node))?;
        self.record(Operation::Write(points), answer);
        Ok(())
    }

    /// One line is no line protocol: the others are written, or none, as the request wants.
    async fn write_with_bad_line(
        &mut self,
        node: &Node,
        points: Vec<Point>,
        text: String,
    ) -> Checked<()> {
        let partial = self.dice.one_in(2);
        self.add(&format!(" and a bad line, partial {partial}"));
        let text = match self.dice.one_in(2) {
            true => format!("table0 nothing\n{text}"),
            false => format!("{text}table0 nothing\n"),
        };
        let outcome = request(node, &points, &text, partial, false).await;
        let answer = match outcome {
            Ok(outcome)
                if partial && outcome.lines == points.len() && outcome.rejected.len() == 1 =>
            {
                Answer::Done
            }
            Err(WriteError::Line(_)) if !partial => Answer::Refused,
            Err(WriteError::Failed(fault)) => {
                self.disturbed("write", &fault, self.may_fail(node))?;
                Answer::Failed
            }
            other => {
                return Err(Wrong(format!(
                    "a bad line among good ones answers {other:?}"
                )));
            }
        };
        self.record(Operation::Write(points), answer);
        Ok(())
    }

    pub(crate) fn draw_points(&mut self) -> Vec<Point> {
        // The model is needed to draw rows that exist already.
        let model = std::mem::take(&mut self.model);
        let step = self.step;
        let points = self.drawer().points(&model, step);
        self.model = model;
        points
    }

    /// Several requests at once: the first is held at the log until the others have queued up behind it.
    async fn writes(&mut self, node: &Node) -> Checked<()> {
        let count = 2 + self.dice.below(2) as usize;
        let requests: Vec<(Vec<Point>, String)> = (0..count)
            .map(|_| {
                let points = self.draw_points();
                let text = lines(&points);
                (points, text)
            })
            .collect();
        self.add(&format!(" {count} requests"));
        let is_held = self.log_folder.is_none();
        let (first_waits, waits) = tokio::sync::watch::channel(!is_held);
        let mut waiting = node.store.waiting_puts();
        let before = *waiting.borrow_and_update();
        if is_held {
            node.store.hold_puts(Path::from(format!("{NODE}/wal")));
        }
        let release = async {
            // Either the first request waits at the log, or it is over.
            tokio::select! {
                _ = waiting.wait_for(|count| *count > before) => {}
                () = async { let _ = waits.clone().wait_for(|over| *over).await; } => {}
            }
            first_waits.send_replace(true);
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
            node.store.release_puts();
        };
        let all = requests.iter().enumerate().map(|(at, (points, text))| {
            let mut begun = waits.clone();
            let first_waits = &first_waits;
            async move {
                if at > 0 {
                    // An error means that the sender is gone, which lives as long as this.
                    let _ = begun.wait_for(|begun| *begun).await;
                }
                let outcome = request(node, points, text, false, false).await;
                if at == 0 {
                    first_waits.send_replace(true);
                }
                outcome
            }
        });
        let (outcomes, ()) = tokio::join!(join_all(all), release);
        let may_fail = self.may_fail(node);
        let mut operations = Vec::new();
        for ((points, _), outcome) in requests.into_iter().zip(outcomes) {
            let answer = self.answer(&points, outcome, may_fail)?;
            operations.push((Operation::Write(points), answer == Answer::Done));
        }
        self.model.side_by_side(&operations);
        Ok(())
    }

    /// A write that does not wait, then one that does: when the second is acknowledged, both are durable.
    async fn unsynced(&mut self, node: &Node) -> Checked<()> {
        let points = self.draw_points();
        self.add(&format!(" {} points", points.len()));
        let outcome = request(node, &points, &lines(&points), false, true).await;
        let first = self.answer(&points, outcome, self.may_fail(node))?;
        let order = match first {
            Answer::Refused => None,
            Answer::Done | Answer::Failed => Some(self.model.doubtful(Operation::Write(points))),
        };
        let was_failing = self.may_fail(node);
        let points = self.draw_points();
        let outcome = request(node, &points, &lines(&points), false, false).await;
        let second = self.answer(&points, outcome, self.may_fail(node))?;
        self.record(Operation::Write(points), second);
        if let (Some(order), Answer::Done, Answer::Done, false) =
            (order, first, second, was_failing)
        {
            self.model.happened(order);
        }
        Ok(())
    }

    async fn delete(&mut self, node: &Node) -> Checked<()> {
        let delete = self.drawer().delete();
        let Some(request) = delete_request(node, &delete) else {
            self.add(" of nothing");
            return Ok(());
        };
        self.add(&format!(" {delete:?}"));
        let expected = match self.floors.get(&delete.table) {
            None => self.model.count(&delete),
            Some(_) => None,
        };
        let outcome = node.engine.delete(request).await;
        let answer = match outcome {
            Ok(deleted) => {
                self.add(&format!(" {} rows", deleted.rows));
                if expected.is_some_and(|expected| expected != deleted.rows)
                    && !self.model.is_open()
                {
                    return Err(Wrong(format!(
                        "a delete says that it took {} rows, of {expected:?}",
                        deleted.rows
                    )));
                }
                Answer::Done
            }
            Err(fault) if fault.kind() == ErrorKind::Unsupported => Answer::Refused,
            Err(fault) => {
                self.disturbed("delete", &fault, self.may_fail(node))?;
                Answer::Failed
            }
        };
        self.record(Operation::Delete(delete), answer);
        Ok(())
    }

    async fn retain(&mut self, node: &Node) -> Checked<()> {
        let minutes = *self.dice.pick(&[5, 20, 60, 24 * 60, 30 * 24 * 60]);
        let kept = (!self.dice.one_in(3)).then(|| Duration::from_secs(60 * minutes));
        let name = self.drawer().table();
        let of_table = self.dice.one_in(2);
        self.add(&format!(" {name} of table {of_table} for {kept:?}"));
        let outcome = match of_table {
            true => {
                let set = node
                    .catalog
                    .set_table_retention(&name.database, &name.table, kept);
                set.await
            }
            false => {
                node.catalog
                    .set_database_retention(&name.database, kept)
                    .await
            }
        };
        match outcome {
            Ok(()) => {}
            Err(fault) if fault.kind() == ErrorKind::NotFound => self.add(" of nothing"),
            Err(fault) => self.disturbed("retention", &fault, self.may_fail(node))?,
        }
        self.raise_floors(node);
        Ok(())
    }

    async fn drop_table(&mut self, node: &Node) -> Checked<()> {
        let name = self.drawer().table();
        let when = self.when();
        self.add(&format!(" {name} {when:?}"));
        let dropped = node.catalog.delete_table(&name.database, &name.table, when);
        let outcome = dropped.await;
        self.dropped(node, outcome, name.database, Some(name.table))
    }

    async fn drop_database(&mut self, node: &Node) -> Checked<()> {
        let name = self.drawer().database();
        let when = self.when();
        self.add(&format!(" {name} {when:?}"));
        let outcome = node.catalog.delete_database(&name, when).await;
        self.dropped(node, outcome, name, None)
    }

    /// What is deleted and brought back before its time has all that it had, whatever the node does with it meanwhile: the model
    /// need not know.
    async fn there_and_back(&mut self, node: &Node) -> Checked<()> {
        let name = self.drawer().table();
        let is_whole = self.dice.one_in(3);
        let meanwhile = self.dice.below(4);
        self.add(&format!(" {name} whole {is_whole} meanwhile {meanwhile}"));
        let Some((database, table)) = find(node, &name) else {
            self.add(" of nothing");
            return Ok(());
        };
        // Otherwise it might stay deleted.
        if self.may_fail(node) {
            self.add(" not while things fail");
            return Ok(());
        }
        let catalog = &node.catalog;
        let deleted = match is_whole {
            true => {
                catalog
                    .delete_database(&name.database, HardDelete::Default)
                    .await
            }
            false => {
                catalog
                    .delete_table(&name.database, &name.table, HardDelete::Default)
                    .await
            }
        };
        self.healthy("a delete of what comes back", deleted)?;
        if meanwhile & 1 == 1 {
            self.background("persist", node, node.engine.persist().await)?;
        }
        if meanwhile & 2 == 2 {
            self.background("compact", node, node.engine.compact().await)?;
        }
        let snapshot = node.catalog.snapshot();
        let renamed = match is_whole {
            true => snapshot
                .database_by_id(database.id)
                .map(|database| Arc::clone(&database.name)),
            false => snapshot
                .table_by_id(table.id)
                .map(|(_, table)| Arc::clone(&table.name)),
        };
        let Some(renamed) = renamed else {
            return Err(Wrong(format!("{name} went for good before its time")));
        };
        let back = match is_whole {
            true => catalog.undelete_database(&renamed, None).await,
            false => catalog.undelete_table(&name.database, &renamed, None).await,
        };
        let back = self.healthy("bringing back", back)?;
        let former = if is_whole {
            &name.database
        } else {
            &name.table
        };
        match *back == **former {
            true => Ok(()),
            false => Err(Wrong(format!("{former} came back as {back}"))),
        }
    }

    fn when(&mut self) -> HardDelete {
        *self
            .dice
            .pick(&[HardDelete::Now, HardDelete::Default, HardDelete::Never])
    }

    fn dropped(
        &mut self,
        node: &Node,
        outcome: Result<(), Error>,
        database: String,
        table: Option<String>,
    ) -> Checked<()> {
        let answer = match outcome {
            Ok(()) => Answer::Done,
            Err(fault) if fault.kind() == ErrorKind::NotFound => {
                self.add(" of nothing");
                Answer::Refused
            }
            Err(fault) => {
                self.disturbed("drop", &fault, self.may_fail(node))?;
                Answer::Failed
            }
        };
        self.record(Operation::Drop { database, table }, answer);
        Ok(())
    }

    /// Ends the process: between two steps, or at some operation in the middle of one.
    async fn crash(&mut self, node: Node) -> Checked<Node> {
        let torn = self.dice.one_in(2);
        if self.dice.one_in(3) {
            return self.crash_and_open(node, torn).await;
        }
        let operations = self.dice.below(14);
        let kinds = [
            Kind::Write,
            Kind::Writes,
            Kind::Persist,
            Kind::Persist,
            Kind::Compact,
            Kind::Compact,
            Kind::Delete,
            Kind::DropTable,
            Kind::Unsynced,
        ];
        let kind = *self.dice.pick(&kinds);
        self.add(&format!(" after {operations} operations of {kind:?}"));
        node.store.crash_after(operations);
        self.act(kind, &node).await?;
        self.crash_and_open(node, torn).await
    }

    /// A second process on a folder that is in use must not start, nor disturb the first.
    async fn refuse_second(&mut self, node: &Node) -> Checked<()> {
        let refused = self.try_open(node.store.another()).await;
        match refused {
            Err(fault) if fault.kind() == ErrorKind::Conflict => Ok(()),
            Err(fault) => Err(Wrong(format!(
                "a second process on a log in use fails with {:?}: {fault}",
                fault.kind()
            ))),
            Ok(_) => Err(Wrong("two processes use one log".to_string())),
        }
    }

    /// What a process does that does not know yet that it has been taken over. If it says that something is done, that must be
    /// so for everybody.
    async fn haunt(&mut self, old: Node, node: &Node) -> Checked<Option<Node>> {
        let (operation, outcome) = match self.dice.below(8) {
            0 => {
                self.add(" ends");
                old.crash().await;
                return Ok(None);
            }
            1 => {
                self.add(" closes");
                if let Err(fault) = old.close().await {
                    self.disturbed("close", &fault, true)?;
                }
                return Ok(None);
            }
            2 => (None, old.engine.persist().await),
            3 => (None, old.engine.compact().await),
            4 => {
                let delete = self.drawer().delete();
                let Some(request) = delete_request(&old, &delete) else {
                    return Ok(Some(old));
                };
                self.add(&format!(" {delete:?}"));
                let outcome = old.engine.delete(request).await;
                (Some(Operation::Delete(delete)), outcome.map(drop))
            }
            _ => {
                let points = self.draw_points();
                self.add(&format!(" {} points", points.len()));
                let outcome = request(&old, &points, &lines(&points), false, false).await;
                let outcome = match outcome {
                    Ok(_) => Ok(()),
                    Err(WriteError::Failed(fault)) => Err(fault),
                    Err(refused) => {
                        return Err(Wrong(format!("a good write is refused: {refused:?}")));
                    }
                };
                (Some(Operation::Write(points)), outcome)
            }
        };
        match &outcome {
            Ok(()) => self.add(" done"),
            // Its successor has replaced the files that it knows.
            Err(fault) if fault.message().ends_with("is gone") => self.add(" misses a file"),
            Err(fault) => self.disturbed("the old process", fault, true)?,
        }
        let is_write = matches!(operation, Some(Operation::Write(_)));
        if let Some(operation) = operation {
            // A delete that matches nothing changes nothing, and need not ask anybody.
            let answer = match (&outcome, &operation) {
                (Ok(()), Operation::Write(_)) => Answer::Done,
                _ => Answer::Failed,
            };
            self.record(operation, answer);
        }
        if is_write && outcome.is_err() && !old.store.is_crashed() && !self.is_failing {
            let knows = old.engine.lost().now_or_never().is_some();
            if !knows {
                return Err(Wrong(
                    "a process whose write is refused does not know that it has been taken over"
                        .to_string(),
                ));
            }
        }
        // The new process hears of what the old one put into the catalog.
        let faults = node.store.set_faults(Faults::NONE);
        let refreshed = node.catalog.refresh().await;
        node.store.set_faults(faults);
        self.healthy("a refresh of the catalog", refreshed)?;
        Ok(Some(old))
    }
}

/// Sends one request.
pub(crate) async fn request(
    node: &Node,
    points: &[Point],
    text: &str,
    accept_partial: bool,
    no_sync: bool,
) -> Result<WriteOutcome, WriteError> {
    let database = points.first().map_or("db0", |point| &point.table.database);
    node.engine
        .write(WriteRequest {
            database,
            text,
            precision: Precision::Nanosecond,
            accept_partial,
            no_sync,
        })
        .await
}
