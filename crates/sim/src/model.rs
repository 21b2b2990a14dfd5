//! The naive model: maps that do slowly and plainly what a node must do.
//!
//! An operation that failed, or got no answer, may have happened or not. So the model holds every state that the node may be
//! in; what is then seen of the node rules out the others. A request is in a state whole or not at all, and what all remaining
//! states agree on stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The most operations that are tried at once to explain what is seen.
const LATE_TOGETHER_MAX: usize = 3;

pub type Tags = BTreeMap<String, String>;

/// Values as line protocol writes them.
pub type Fields = BTreeMap<String, String>;

/// Tags and time of a row.
pub type Key = (Tags, i64);

/// What a table looks like.
pub type Rows = BTreeMap<Key, Fields>;

/// A table by name, in the database of that name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName {
    pub database: String,
    pub table: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.database, self.table)
    }
}

/// A point of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    pub table: TableName,
    pub tags: Tags,
    pub fields: Fields,
    pub time: i64,
}

/// What is done to the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// One request; later points win over earlier ones.
    Write(Vec<Point>),
    Delete(Delete),
    /// Of a table, or of all tables of a database.
    Drop {
        database: String,
        table: Option<String>,
    },
}

/// Which rows of a table go: those that pass every test there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    pub table: TableName,
    pub times: RangeInclusive<i64>,
    /// A tag and the value it has.
    pub tag: Option<(String, String)>,
    /// An integer field and the least value it has.
    pub field: Option<(String, i64)>,
}

impl Delete {
    fn takes(&self, (tags, time): &Key, cells: &Cells) -> bool {
        self.times.contains(time)
            && (self.tag.as_ref()).is_none_or(|(tag, value)| tags.get(tag) == Some(value))
            && (self.field.as_ref()).is_none_or(|(field, least)| {
                cells.get(field).is_some_and(|cell| {
                    let number = cell.value.strip_suffix('i').unwrap_or(&cell.value);
                    number.parse::<i64>().is_ok_and(|number| number >= *least)
                })
            })
    }
}

/// A question that both the node and the model can answer.
#[derive(Clone, Debug)]
pub struct Question {
    pub times: RangeInclusive<i64>,
    /// A tag and the value it must have.
    pub tag: Option<(String, String)>,
    /// Fields to leave out.
    pub without: BTreeSet<String>,
    pub partitions: usize,
    /// By how much the order of the columns is turned.
    pub rotation: usize,
}

impl Question {
    /// All rows from `first` on.
    pub fn all(first: i64, partitions: usize) -> Self {
        Self {
            times: first..=i64::MAX,
            tag: None,
            without: BTreeSet::new(),
            partitions,
            rotation: 0,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Cell {
    /// Of the operation that wrote it.
    order: u32,
    value: String,
}

type Cells = BTreeMap<String, Cell>;

/// A delete that has happened.
#[derive(Clone, Debug)]
struct Grave {
    order: u32,
    table: TableName,
    keys: Arc<BTreeSet<Key>>,
    /// What it would have taken of further rows; `None` is everything.
    asked: Option<Delete>,
}

/// What deletes since then have made of a write that comes to light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Light {
    /// They have taken its rows, too, as if it had come to light at once.
    InOrder,
    /// Of its rows, they have taken those they took of others.
    AfterDeletes,
    /// They have not touched it.
    AroundDeletes,
}

const LIGHTS: [Light; 3] = [Light::InOrder, Light::AfterDeletes, Light::AroundDeletes];

/// One of the states that a node may be in.
#[derive(Clone, Debug, Default)]
struct State {
    tables: BTreeMap<TableName, BTreeMap<Key, Cells>>,
    /// The doubtful operations that have happened.
    taken: BTreeSet<u32>,
    /// What the doubtful deletes would take that have not happened.
    waiting: BTreeMap<u32, Vec<Grave>>,
    graves: Vec<Grave>,
}

/// An operation that may still happen.
#[derive(Clone, Debug)]
struct Late {
    order: u32,
    operation: Operation,
}

/// An operation since something has been in doubt, and whether it has happened for certain.
#[derive(Clone, Debug)]
struct Past {
    order: u32,
    operation: Operation,
    is_certain: bool,
}

/// All that was done, and every state that it may have led to.
#[derive(Debug)]
pub struct Model {
    states: Vec<State>,
    late: Vec<Late>,
    next_order: u32,
    /// The states before the oldest of `late`.
    before: Vec<State>,
    /// What has been done since, in order; operations side by side stand together.
    past: Vec<Vec<Past>>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            states: vec![State::default()],
            late: Vec::new(),
            next_order: 1,
            before: Vec::new(),
            past: Vec::new(),
        }
    }
}

impl Model {
    /// An operation that was acknowledged.
    pub fn certain(&mut self, operation: &Operation) {
        let order = self.order();
        self.remember(&[(order, operation, true)]);
        for state in &mut self.states {
            state.apply(order, operation);
        }
    }

    /// Keeps what may have to be gone through again, once something is in doubt.
    fn remember(&mut self, operations: &[(u32, &Operation, bool)]) {
        let is_doubtful = operations.iter().any(|(_, _, is_certain)| !is_certain);
        if self.late.is_empty() {
            self.past.clear();
            self.before = match is_doubtful {
                true => self.states.clone(),
                false => Vec::new(),
            };
        }
        if is_doubtful || !self.late.is_empty() {
            let past = operations
                .iter()
                .map(|(order, operation, is_certain)| Past {
                    order: *order,
                    operation: Operation::clone(operation),
                    is_certain: *is_certain,
                });
            self.past.push(past.collect());
        }
    }

    /// The states when of the operations in doubt these have happened, each when it was asked for.
    fn replayed(&self, taken: &BTreeSet<u32>) -> Vec<State> {
        let mut states = self.before.clone();
        for state in &mut states {
            state.taken.clone_from(taken);
        }
        for side_by_side in &self.past {
            let mut next = Vec::new();
            for permutation in permutations(side_by_side.len()) {
                let mut branch = states.clone();
                for past in permutation.iter().map(|at| &side_by_side[*at]) {
                    for state in &mut branch {
                        if past.is_certain || taken.contains(&past.order) {
                            state.apply(past.order, &past.operation);
                        } else {
                            let waiting = state.resolve(past.order, &past.operation);
                            state.waiting.insert(past.order, waiting);
                        }
                    }
                }
                next.append(&mut branch);
            }
            states = next;
        }
        states
    }

    /// An operation whose fate is not known. Answers its number, for [`Model::happened`].
    pub fn doubtful(&mut self, operation: Operation) -> u32 {
        let order = self.order();
        self.remember(&[(order, &operation, false)]);
        let mut with = self.states.clone();
        for state in &mut with {
            state.apply(order, &operation);
            state.taken.insert(order);
        }
        for state in &mut self.states {
            let waiting = state.resolve(order, &operation);
            state.waiting.insert(order, waiting);
        }
        self.states.append(&mut with);
        self.late.push(Late { order, operation });
        self.merge();
        order
    }

    /// Operations side by side, each with whether it was acknowledged: they may have happened in any order.
    pub fn side_by_side(&mut self, operations: &[(Operation, bool)]) {
        let orders: Vec<u32> = operations.iter().map(|_| self.order()).collect();
        let past = operations.iter().zip(&orders);
        let past: Vec<_> = past
            .map(|((operation, acknowledged), order)| (*order, operation, *acknowledged))
            .collect();
        self.remember(&past);
        let mut states = Vec::new();
        for permutation in permutations(operations.len()) {
            let mut branch = self.states.clone();
            for (at, order) in permutation.iter().zip(&orders) {
                let (operation, acknowledged) = &operations[*at];
                let mut with = branch.clone();
                for state in &mut with {
                    state.apply(*order, operation);
                    if !acknowledged {
                        state.taken.insert(orders[*at]);
                    }
                }
                if *acknowledged {
                    branch = with;
                } else {
                    for state in &mut branch {
                        let waiting = state.resolve(orders[*at], operation);
                        state.waiting.insert(orders[*at], waiting);
                    }
                    branch.append(&mut with);
                }
            }
            states.append(&mut branch);
        }
        self.states = states;
        for ((operation, acknowledged), order) in operations.iter().zip(orders) {
            if !acknowledged {
                let operation = operation.clone();
                self.late.push(Late { order, operation });
            }
        }
        self.merge();
    }

    /// It has become certain that a doubtful operation has happened.
    pub fn happened(&mut self, order: u32) {
        let Some(at) = self.late.iter().position(|late| late.order == order) else {
            return;
        };
        let late = self.late.remove(at);
        for past in self.past.iter_mut().flatten() {
            past.is_certain |= past.order == order;
        }
        for state in &mut self.states {
            if !state.taken.contains(&order) {
                state.take_late(&late, Light::AroundDeletes);
            }
        }
        self.merge();
    }

    /// What has not happened by now will not happen any more.
    pub fn close(&mut self) {
        self.late.clear();
        self.past.clear();
        self.before.clear();
        for state in &mut self.states {
            state.taken.clear();
            state.waiting.clear();
            state.graves.clear();
        }
        self.merge();
    }

    /// Whether something may still happen.
    pub fn is_open(&self) -> bool {
        !self.late.is_empty()
    }

    /// How many states are possible.
    pub fn states(&self) -> usize {
        self.states.len()
    }

    /// Rules out the states that do not look like what was found in these tables. Rows before a table's floor do not count.
    ///
    /// Errors: no state does; with the first difference to the nearest one.
    pub fn observe(
        &mut self,
        found: &BTreeMap<TableName, Rows>,
        floors: &BTreeMap<TableName, i64>,
    ) -> Result<(), String> {
        if self
            .states
            .iter()
            .any(|state| state.looks_like(found, floors))
        {
            self.states.retain(|state| state.looks_like(found, floors));
            self.merge();
            return Ok(());
        }
        for size in 1..=LATE_TOGETHER_MAX.min(self.late.len()) {
            let mut explained = Vec::new();
            for chosen in subsets(self.late.len(), size) {
                for (state, light) in self
                    .states
                    .iter()
                    .flat_map(|state| LIGHTS.map(|light| (state, light)))
                {
                    if chosen
                        .iter()
                        .any(|at| state.taken.contains(&self.late[*at].order))
                    {
                        continue;
                    }
                    let mut state = state.clone();
                    for at in &chosen {
                        state.take_late(&self.late[*at], light);
                    }
                    if state.looks_like(found, floors) {
                        explained.push(state);
                    }
                }
            }
            if !explained.is_empty() {
                self.states = explained;
                self.merge();
                return Ok(());
            }
        }
        // What was in doubt may have decided what later operations took.
        let mut explained = Vec::new();
        let known: BTreeSet<BTreeSet<u32>> = self
            .states
            .iter()
            .map(|state| state.taken.clone())
            .collect();
        for size in 1..=LATE_TOGETHER_MAX.min(self.late.len()) {
            for chosen in subsets(self.late.len(), size) {
                for mut taken in known.iter().cloned() {
                    taken.extend(chosen.iter().map(|at| self.late[*at].order));
                    let states = self.replayed(&taken).into_iter();
                    explained.extend(states.filter(|state| state.looks_like(found, floors)));
                }
            }
            if !explained.is_empty() {
                self.states = explained;
                self.merge();
                return Ok(());
            }
        }
        let nearest = self
            .states
            .iter()
            .min_by_key(|state| state.distance(found, floors));
        Err(nearest.map_or_else(
            || "no state is left".to_string(),
            |state| state.difference(found, floors, self.states.len()),
        ))
    }

    /// The answer to a question, which after an observation is the same in all states.
    pub fn answer(&self, table: &TableName, question: &Question) -> Rows {
        let rows = self
            .states
            .first()
            .and_then(|state| state.tables.get(table));
        rows.into_iter()
            .flatten()
            .filter(|((tags, time), _)| {
                let tag = question.tag.as_ref();
                question.times.contains(time)
                    && tag.is_none_or(|(tag, value)| tags.get(tag) == Some(value))
            })
            .map(|(key, cells)| {
                let mut fields = visible(cells);
                fields.retain(|name, _| !question.without.contains(name));
                (key.clone(), fields)
            })
            .collect()
    }

    /// The keys that may be in a table.
    pub fn keys(&self, table: &TableName) -> Vec<Key> {
        let rows = self
            .states
            .first()
            .and_then(|state| state.tables.get(table));
        rows.into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// How many rows a delete would take, when that is certain.
    pub fn count(&self, delete: &Delete) -> Option<u64> {
        let mut counts = self.states.iter().map(|state| {
            let rows = state.tables.get(&delete.table);
            rows.into_iter()
                .flatten()
                .filter(|(key, cells)| delete.takes(key, cells))
                .count() as u64
        });
        let first = counts.next()?;
        counts.all(|count| count == first).then_some(first)
    }

    fn order(&mut self) -> u32 {
        self.next_order += 1;
        self.next_order - 1
    }

    /// Drops states that are the same as another: for all that can still happen.
    fn merge(&mut self) {
        // An order matters only against an operation that may still happen before it.
        let open_since = self.late.iter().map(|late| late.order).min();
        let open_since = open_since.unwrap_or(u32::MAX);
        let mut kept: Vec<State> = Vec::new();
        for mut state in self.states.drain(..) {
            let cells = state.tables.values_mut().flat_map(BTreeMap::values_mut);
            for cell in cells.flat_map(BTreeMap::values_mut) {
                if cell.order < open_since {
                    cell.order = 0;
                }
            }
            state.graves.retain(|grave| grave.order > open_since);
            let is_same =
                |other: &State| other.taken == state.taken && other.tables == state.tables;
            if !kept.iter().any(is_same) {
                kept.push(state);
            }
        }
        self.states = kept;
    }
}

impl State {
    fn apply(&mut self, order: u32, operation: &Operation) {
        match operation {
            Operation::Write(points) => self.write(order, points, |_, _| false),
            Operation::Delete(_) | Operation::Drop { .. } => {
                for grave in self.resolve(order, operation) {
                    self.bury(grave);
                }
            }
        }
    }

    /// An operation of the past comes to light.
    fn take_late(&mut self, late: &Late, light: Light) {
        self.taken.insert(late.order);
        match &late.operation {
            Operation::Write(points) => {
                let graves: Vec<Grave> = match light {
                    Light::AroundDeletes => Vec::new(),
                    Light::InOrder | Light::AfterDeletes => self
                        .graves
                        .iter()
                        .filter(|grave| grave.order > late.order)
                        .cloned()
                        .collect(),
                };
                self.write(late.order, points, |table, key| {
                    graves
                        .iter()
                        .any(|grave| grave.table == *table && grave.keys.contains(key))
                });
                if light == Light::InOrder {
                    for grave in graves {
                        self.take_further(&grave, points);
                    }
                }
            }
            Operation::Delete(_) | Operation::Drop { .. } => {
                for grave in self.waiting.remove(&late.order).unwrap_or_default() {
                    self.bury(grave);
                }
            }
        }
    }

    /// Lets a delete take what it would have taken had it met these points.
    fn take_further(&mut self, grave: &Grave, points: &[Point]) {
        let Some(rows) = self.tables.get(&grave.table) else {
            return;
        };
        let of_table = points.iter().filter(|point| point.table == grave.table);
        let keys = of_table.map(|point| (point.tags.clone(), point.time));
        let keys = keys.filter(|key| {
            let Some(cells) = rows.get(key) else {
                return false;
            };
            let mut then = cells.clone();
            then.retain(|_, cell| cell.order < grave.order);
            !then.is_empty() && (grave.asked.as_ref()).is_none_or(|asked| asked.takes(key, &then))
        });
        let keys = Arc::new(keys.collect());
        self.bury(Grave {
            keys,
            ..grave.clone()
        });
    }

    fn write(&mut self, order: u32, points: &[Point], is_taken: impl Fn(&TableName, &Key) -> bool) {
        for point in points {
            let key = (point.tags.clone(), point.time);
            if is_taken(&point.table, &key) {
                continue;
            }
            let table = self.tables.entry(point.table.clone()).or_default();
            let cells = table.entry(key).or_default();
            for (name, value) in &point.fields {
                if cells.get(name).is_some_and(|cell| cell.order > order) {
                    continue;
                }
                let value = value.clone();
                cells.insert(name.clone(), Cell { order, value });
            }
        }
    }

    /// What a delete takes of the tables as they are.
    fn resolve(&self, order: u32, operation: &Operation) -> Vec<Grave> {
        let grave = |table: &TableName, asked: Option<&Delete>| {
            let rows = self.tables.get(table).into_iter().flatten();
            let keys =
                rows.filter(|(key, cells)| asked.is_none_or(|asked| asked.takes(key, cells)));
            Grave {
                order,
                table: table.clone(),
                keys: Arc::new(keys.map(|(key, _)| key.clone()).collect()),
                asked: asked.cloned(),
            }
        };
        match operation {
            Operation::Write(_) => Vec::new(),
            Operation::Delete(delete) => {
                vec![grave(&delete.table, Some(delete))]
            }
            Operation::Drop { database, table } => {
                let dropped = self.tables.keys().filter(|name| {
                    name.database == *database
                        && table.as_ref().is_none_or(|table| name.table == *table)
                });
                dropped.map(|name| grave(name, None)).collect()
            }
        }
    }

    fn bury(&mut self, grave: Grave) {
        if let Some(rows) = self.tables.get_mut(&grave.table) {
            for key in grave.keys.iter() {
                if let Some(cells) = rows.get_mut(key) {
                    cells.retain(|_, cell| cell.order > grave.order);
                    if cells.is_empty() {
                        rows.remove(key);
                    }
                }
            }
            if rows.is_empty() {
                self.tables.remove(&grave.table);
            }
        }
        self.graves.push(grave);
    }

    fn rows<'a>(
        &'a self,
        table: &TableName,
        floors: &BTreeMap<TableName, i64>,
    ) -> impl Iterator<Item = (&'a Key, &'a Cells)> {
        let floor = floors.get(table).copied().unwrap_or(i64::MIN);
        let rows = self.tables.get(table).into_iter().flatten();
        rows.filter(move |((_, time), _)| *time >= floor)
    }

    fn looks_like(
        &self,
        found: &BTreeMap<TableName, Rows>,
        floors: &BTreeMap<TableName, i64>,
    ) -> bool {
        found.iter().all(|(table, found)| {
            let mut found = found.iter();
            for (key, cells) in self.rows(table, floors) {
                match found.next() {
                    Some((other, fields)) if other == key && is_same(cells, fields) => {}
                    _ => return false,
                }
            }
            found.next().is_none()
        })
    }

    /// Every row that differs: expected and found.
    fn differences<'a>(
        &self,
        found: &'a BTreeMap<TableName, Rows>,
        floors: &BTreeMap<TableName, i64>,
    ) -> Vec<(&'a TableName, Key, Option<Fields>, Option<Fields>)> {
        let mut differences = Vec::new();
        for (table, found) in found {
            let expected: Rows = self
                .rows(table, floors)
                .map(|(key, cells)| (key.clone(), visible(cells)))
                .collect();
            let keys: BTreeSet<&Key> = expected.keys().chain(found.keys()).collect();
            for key in keys {
                let (wanted, seen) = (expected.get(key), found.get(key));
                if wanted != seen {
                    differences.push((table, key.clone(), wanted.cloned(), seen.cloned()));
                }
            }
        }
        differences
    }

    fn distance(
        &self,
        found: &BTreeMap<TableName, Rows>,
        floors: &BTreeMap<TableName, i64>,
    ) -> usize {
        self.differences(found, floors).len()
    }

    fn difference(
        &self,
        found: &BTreeMap<TableName, Rows>,
        floors: &BTreeMap<TableName, i64>,
        states: usize,
    ) -> String {
        let differences = self.differences(found, floors);
        let mut text = format!(
            "{} rows differ from the nearest of {states} possible states",
            differences.len()
        );
        for (table, key, wanted, seen) in differences.iter().take(4) {
            let orders = self.tables.get(*table).and_then(|rows| rows.get(key));
            let orders: Vec<u32> = orders
                .into_iter()
                .flat_map(|cells| cells.values().map(|cell| cell.order))
                .collect();
            text.push_str(&format!(
                "\n  in {table} at {key:?}\n    expected {wanted:?} of operations {orders:?}\n    found    {seen:?}"
            ));
        }
        text
    }
}

fn visible(cells: &Cells) -> Fields {
    let cells = cells.iter();
    cells
        .map(|(name, cell)| (name.clone(), cell.value.clone()))
        .collect()
}

fn is_same(cells: &Cells, fields: &Fields) -> bool {
    cells.len() == fields.len()
        && cells
            .iter()
            .zip(fields)
            .all(|((name, cell), (other, value))| name == other && cell.value == *value)
}

/// Every order of the numbers below `count`.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for next in 0..count {
        all = all
            .iter()
            .flat_map(|shorter: &Vec<usize>| {
                (0..=shorter.len()).map(move |at| {
                    let mut longer = shorter.clone();
                    longer.insert(at, next);
                    longer
                })
            })
            .collect();
    }
    all
}

/// Every choice of `size` of the numbers below `count`, each ascending.
fn subsets(count: usize, size: usize) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..size {
        all = all
            .iter()
            .flat_map(|smaller| {
                let first = smaller.last().map_or(0, |last| last + 1);
                (first..count).map(move |next| smaller.iter().copied().chain([next]).collect())
            })
            .collect();
    }
    all
}

#[cfg(test)]
mod tests;
