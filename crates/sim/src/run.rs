//! One seed from start to end: steps, and after each the comparison with the model.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use runtime::clock::SimulatedClock;
use runtime::sim::{Dice, Faults, FaultyStore};
use runtime::{Clock, Error, ErrorKind};

use crate::model::{Model, Question, Rows, TableName};
use crate::node::{Node, Start, tear_log};
use crate::points::Drawer;
use crate::profile::{Kind, Profile};
use crate::reader::{ask, find};

/// 2026-02-03T04:05:06Z.
const START_NS: i64 = 1_770_091_506_000_000_000;

/// Longest time a step may take, in real time.
const STEP_MAX: Duration = Duration::from_secs(30);

/// Longest time between two steps, in simulated time.
const BETWEEN_STEPS_MAX_MS: u64 = 15_000;

/// Steps told in a failure.
const LAST_STEPS: usize = 12;

/// Possible states beyond which a process is restarted, to know more.
const STATES_MAX: usize = 24;

/// Starts that may fail, while the store does, before the store is made to work.
const FAILED_STARTS_MAX: usize = 3;

/// A seed that went through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// What was done and what came of it, a line each.
    pub trace: Vec<String>,
}

/// A seed under which the node did something that it must not do.
#[derive(Clone, Debug)]
pub struct Failure {
    pub seed: u64,
    pub what: String,
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.seed;
        writeln!(
            formatter,
            "seed {seed}, line {}: {}",
            self.trace.len(),
            self.what
        )?;
        let first = self.trace.len().saturating_sub(LAST_STEPS);
        writeln!(formatter, "the last lines of its trace:")?;
        for (at, line) in self.trace.iter().enumerate().skip(first) {
            writeln!(formatter, "  {at:3}  {line}")?;
        }
        write!(
            formatter,
            "the whole trace: GNOMON_SIM_SEED={seed} cargo test -p sim -- --nocapture replay"
        )
    }
}

/// What a run is to leave out or to look at more closely.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Kinds of steps that do not come.
    pub without: Vec<Kind>,
    /// Whether an operation that failed, and whose effect was looked for in vain, may still happen at the next start.
    /// Otherwise that is a failure.
    pub strict: bool,
}

/// Runs one seed. Needs a runtime of one thread ([`runtime::sim::alone`]).
pub async fn run(seed: u64, options: &Options) -> Result<Passed, Failure> {
    let mut dice = Dice::new(seed);
    let mut profile = Profile::draw(seed, &mut dice);
    let is_wanted = |kind: &Kind| !options.without.contains(kind);
    profile.weights.retain(|(_, kind)| is_wanted(kind));
    let log_folder = match profile.log_in_folder {
        true => Some(tempfile::tempdir().map_err(|cause| Failure {
            seed,
            what: format!("no folder for the log: {cause}"),
            trace: Vec::new(),
        })?),
        false => None,
    };
    let clock = Arc::new(SimulatedClock::at_ns(START_NS));
    let mut run = Run {
        seed,
        dice,
        faults: profile.faults,
        profile,
        clock,
        log_folder,
        model: Model::default(),
        floors: BTreeMap::new(),
        processes: 0,
        step: 0,
        is_failing: false,
        started: false,
        strict: options.strict,
        trace: Vec::new(),
    };
    let outcome = run.all().await;
    let trace = std::mem::take(&mut run.trace);
    match outcome {
        Ok(()) => Ok(Passed { trace }),
        Err(what) => Err(Failure {
            seed,
            what: what.0,
            trace,
        }),
    }
}

/// Something that must not be.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) String);

pub(crate) type Checked<T> = Result<T, Wrong>;

/// A seed under way.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) dice: Dice,
    pub(crate) profile: Profile,
    pub(crate) clock: Arc<SimulatedClock>,
    pub(crate) log_folder: Option<tempfile::TempDir>,
    pub(crate) model: Model,
    /// Rows before these times have been expired at some moment; whether they are still there is nobody's business.
    pub(crate) floors: BTreeMap<TableName, i64>,
    pub(crate) processes: u64,
    pub(crate) step: u64,
    pub(crate) faults: Faults,
    /// Whether the store fails.
    pub(crate) is_failing: bool,
    /// Whether a process has started since the last whole look.
    pub(crate) started: bool,
    pub(crate) strict: bool,
    pub(crate) trace: Vec<String>,
}

/// The processes there are.
#[derive(Debug)]
pub(crate) struct Processes {
    pub(crate) node: Node,
    /// One that has been taken over and has not ended.
    pub(crate) ghost: Option<Node>,
}

impl Run {
    async fn all(&mut self) -> Checked<()> {
        self.tell(format!("{:?}", self.profile));
        let store = FaultyStore::new();
        let node = self.open(&store).await?;
        let mut processes = Processes { node, ghost: None };
        let weights = self.profile.weights.clone();
        for step in 0..self.profile.steps {
            self.step = step;
            let mut kind = self.dice.weigh(&weights).unwrap_or(Kind::Write);
            if self.model.states() > STATES_MAX {
                // A start decides what may have happened.
                kind = Kind::Crash;
            }
            let taken = tokio::time::timeout(STEP_MAX, self.take(kind, processes)).await;
            processes = taken.map_err(|_| Wrong(format!("step {kind:?} does not end")))??;
            let moved = self.dice.below(BETWEEN_STEPS_MAX_MS);
            self.clock.advance(Duration::from_millis(moved));
            self.look(&processes.node).await?;
        }
        self.finish(processes).await
    }

    /// Everything once more, without faults, and after a last restart.
    async fn finish(&mut self, processes: Processes) -> Checked<()> {
        let Processes { node, ghost } = processes;
        if let Some(ghost) = ghost {
            ghost.crash().await;
        }
        self.heal(&node);
        self.look(&node).await?;
        self.healthy("the last persist", node.engine.persist().await)?;
        self.look(&node).await?;
        self.clock.advance(Duration::from_secs(120));
        self.healthy("the last compaction", node.engine.compact().await)?;
        self.look(&node).await?;
        let store = node.store.another();
        self.healthy("the last close", node.close().await)?;
        self.inspect(&store).await?;
        let node = self.open(&store).await?;
        self.look(&node).await?;
        node.crash().await;
        Ok(())
    }

    pub(crate) fn tell(&mut self, line: String) {
        self.trace.push(line);
    }

    /// Adds to the last line of the trace.
    pub(crate) fn add(&mut self, words: &str) {
        if let Some(last) = self.trace.last_mut() {
            last.push_str(words);
        }
    }

    /// A result that must be good, because nothing is in its way.
    pub(crate) fn healthy<T>(&mut self, what: &str, outcome: Result<T, Error>) -> Checked<T> {
        outcome.map_err(|fault| {
            Wrong(format!(
                "{what} fails although nothing is in its way: {:?}: {fault}",
                fault.kind()
            ))
        })
    }

    pub(crate) fn drawer(&mut self) -> Drawer<'_> {
        Drawer {
            dice: &mut self.dice,
            profile: &self.profile,
            now_ns: START_NS,
        }
    }

    pub(crate) fn heal(&mut self, node: &Node) {
        node.store.set_faults(Faults::NONE);
        self.is_failing = false;
    }

    /// Every table there may be.
    pub(crate) fn names(&self) -> Vec<TableName> {
        let databases = 0..self.profile.databases;
        databases
            .flat_map(|database| {
                (0..self.profile.tables).map(move |table| TableName {
                    database: format!("db{database}"),
                    table: format!("table{table}"),
                })
            })
            .collect()
    }

    /// Starts a process on the objects behind `store`, whatever it takes. It fails as the store did, and may die on its way up.
    pub(crate) async fn open(&mut self, store: &FaultyStore) -> Checked<Node> {
        let is_raced = self.profile.background;
        for attempt in 0..=FAILED_STARTS_MAX {
            let is_last = attempt == FAILED_STARTS_MAX;
            let way = store.another();
            let mut dies = false;
            if is_last {
                self.is_failing = false;
            } else if self.is_failing {
                way.set_faults(self.next_faults());
            } else if attempt == 0 && self.processes > 0 && self.dice.one_in(6) {
                let operations = self.dice.below(24);
                self.tell(format!(
                    "  to die on its way up after {operations} operations"
                ));
                way.crash_after(operations);
                dies = true;
            }
            match self.try_open(way).await {
                Ok(node) if dies => {
                    self.add(" started, dies");
                    node.crash().await;
                }
                Ok(node) => {
                    self.started = true;
                    return Ok(node);
                }
                // The process to be taken over works on meanwhile and may get in between.
                Err(fault) if !is_last && is_raced && fault.kind() == ErrorKind::Conflict => {
                    self.add(&format!(" start failed: {fault}"));
                }
                Err(fault) if !is_last && (dies || self.is_failing) => {
                    self.permitted("a start", &fault)?;
                    self.add(&format!(" start failed: {fault}"));
                }
                Err(fault) => {
                    return Err(Wrong(format!(
                        "a start fails although nothing is in its way: {:?}: {fault}",
                        fault.kind()
                    )));
                }
            }
        }
        Err(Wrong("no start succeeds".to_string()))
    }

    /// The profile's faults, at other places than before.
    pub(crate) fn next_faults(&mut self) -> Faults {
        self.faults.seed = self.dice.bits();
        self.faults
    }

    pub(crate) async fn try_open(&mut self, store: FaultyStore) -> Result<Node, Error> {
        self.processes += 1;
        Node::open(Start {
            store,
            clock: &self.clock,
            seed: self.seed ^ self.processes << 32,
            log_folder: self.log_folder.as_ref().map(tempfile::TempDir::path),
            buffer_bytes_max: self.profile.buffer_bytes_max,
            background: self.profile.background,
        })
        .await
    }

    /// Whether an error may come from a store that fails, or from a process that has ended or been taken over. Nothing is ever
    /// damaged here, so nothing may be called so.
    pub(crate) fn permitted(&self, what: &str, fault: &Error) -> Checked<()> {
        match fault.kind() {
            ErrorKind::Unavailable | ErrorKind::Internal | ErrorKind::Conflict => Ok(()),
            kind => Err(Wrong(format!("{what} fails with {kind:?}: {fault}"))),
        }
    }

    /// Loses the process and starts another. Torn: with half a flush at the end of a log in a folder.
    pub(crate) async fn crash_and_open(&mut self, node: Node, torn: bool) -> Checked<Node> {
        let store = node.store.another();
        node.crash().await;
        self.tear(torn)?;
        self.inspect(&store).await?;
        self.open(&store).await
    }

    pub(crate) fn tear(&mut self, torn: bool) -> Checked<()> {
        let folder = self
            .log_folder
            .as_ref()
            .map(|folder| folder.path().to_path_buf());
        if let (true, Some(folder)) = (torn, folder) {
            self.add(", torn");
            let folder: &FilePath = &folder;
            tear_log(folder, &mut self.dice)
                .map_err(|cause| Wrong(format!("the log cannot be torn: {cause}")))?;
        }
        Ok(())
    }

    /// What is stored must be sound at every moment, whatever process has just died.
    pub(crate) async fn inspect(&mut self, store: &FaultyStore) -> Checked<()> {
        if self.log_folder.is_some() {
            return Ok(());
        }
        let findings = crate::node::verify(store, &self.clock).await;
        let findings = self.healthy("a look at what is stored", findings)?;
        if findings.is_empty() {
            return Ok(());
        }
        Err(Wrong(format!("what is stored is not sound: {findings:#?}")))
    }

    /// Compares the node with the model: everything, then some questions.
    pub(crate) async fn look(&mut self, node: &Node) -> Checked<()> {
        self.raise_floors(node);
        if self.is_failing && self.dice.one_in(2) {
            self.look_through_faults(node).await?;
        }
        let faults = node.store.set_faults(Faults::NONE);
        let looked = self.look_clearly(node).await;
        node.store.set_faults(faults);
        looked
    }

    async fn look_clearly(&mut self, node: &Node) -> Checked<()> {
        if let Err(fault) = node.catalog.refresh().await {
            return Err(Wrong(format!("the catalog cannot be read: {fault}")));
        }
        let rows = self.observe(node).await?;
        if std::mem::take(&mut self.started) || self.strict {
            // What the log had of operations that failed, this process has read.
            self.model.close();
        }
        self.add(&format!(" | {rows} rows"));
        for _ in 0..2 {
            let (name, question) = self.question();
            let answer = ask(node, &name, &question).await;
            let mut answer = self.healthy(&format!("a read of {name}"), answer)?;
            if self.model.is_open() && self.model.answer(&name, &question) != answer {
                // A write that nobody waited for may have come to light since.
                self.observe(node).await?;
                let again = ask(node, &name, &question).await;
                answer = self.healthy(&format!("a read of {name}"), again)?;
            }
            self.compare(&name, &question, &answer)?;
        }
        Ok(())
    }

    /// Reads everything and lets the model judge it. Answers how many rows there are.
    async fn observe(&mut self, node: &Node) -> Checked<usize> {
        self.raise_floors(node);
        let mut found = BTreeMap::new();
        for name in self.names() {
            let partitions = 1 + self.dice.below(4) as usize;
            let question = Question::all(self.floor(&name), partitions);
            let rows = ask(node, &name, &question).await;
            found.insert(
                name.clone(),
                self.healthy(&format!("a read of {name}"), rows)?,
            );
        }
        self.model.observe(&found, &self.floors).map_err(Wrong)?;
        Ok(found.values().map(Rows::len).sum())
    }

    /// Reads that may fail. Those that do not must be right, as far as it is certain what is.
    pub(crate) async fn look_through_faults(&mut self, node: &Node) -> Checked<()> {
        for _ in 0..3 {
            let (name, question) = self.question();
            match ask(node, &name, &question).await {
                Ok(answer) if !self.model.is_open() && self.model.states() == 1 => {
                    self.compare(&name, &question, &answer)?;
                }
                Ok(_) => {}
                Err(fault) if fault.kind() == ErrorKind::Unavailable => {}
                Err(fault) => {
                    return Err(Wrong(format!(
                        "a read of {name} fails with {:?} while the store fails: {fault}",
                        fault.kind()
                    )));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn question(&mut self) -> (TableName, Question) {
        let name = self.drawer().table();
        let mut question = self.drawer().question();
        let first = self.floor(&name).max(*question.times.start());
        question.times = first..=*question.times.end();
        (name, question)
    }

    pub(crate) fn compare(
        &self,
        name: &TableName,
        question: &Question,
        found: &Rows,
    ) -> Checked<()> {
        let expected = self.model.answer(name, question);
        if expected == *found {
            return Ok(());
        }
        let missing = expected
            .iter()
            .find(|(key, fields)| found.get(*key) != Some(*fields));
        let excess = found.iter().find(|(key, _)| !expected.contains_key(*key));
        Err(Wrong(format!(
            "{name} {question:?}: {} rows, expected {}\n  expected {missing:?}\n  found    {:?}\n  too much {excess:?}",
            found.len(),
            expected.len(),
            missing.and_then(|(key, _)| found.get(key)),
        )))
    }

    pub(crate) fn floor(&self, name: &TableName) -> i64 {
        self.floors.get(name).copied().unwrap_or(i64::MIN)
    }

    /// What has expired by now, as a query would cut it.
    pub(crate) fn raise_floors(&mut self, node: &Node) {
        let now_ns = self.clock.now_ns();
        for name in self.names() {
            let Some((database, table)) = find(node, &name) else {
                continue;
            };
            if let Some(kept) = database.retention_of(&table) {
                let kept = i64::try_from(kept.as_nanos()).unwrap_or(i64::MAX);
                let floor = self.floors.entry(name).or_insert(i64::MIN);
                *floor = (*floor).max(now_ns.saturating_sub(kept));
            }
        }
    }
}
