//! The memory of queries: a budget for all of them, and a bound for each, so that one that wants too much fails alone.
//!
//! What DataFusion's operators hold (sorts, joins, aggregates) is counted here. Those that can go on on disk are refused more when
//! they have their even part of what their query may hold, and spill; the others fail. Not here: batches on their way between
//! operators, which are few; how large the budget is (`server/memory`). For operators: docs/guide/queries.md.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use parking_lot::Mutex;

/// One part in this many of the budget is kept for queries that have less than their even part of it.
const RESERVE_PART: usize = 4;

/// And one part in this many of what a query may hold for those of its operators that cannot go on on disk.
const UNSPILLABLE_PART: usize = 8;

/// What all queries may hold together.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes_max: usize,
    query_bytes_max: usize,
    bytes: AtomicUsize,
    queries: AtomicUsize,
}

/// What one query holds. Clones are of the same query.
#[derive(Clone, Debug)]
pub(crate) struct QueryMemory(Arc<Account>);

#[derive(Debug)]
struct Account {
    budget: Arc<Budget>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// By those who can go on on disk.
    spillable: usize,
    unspillable: usize,
    /// How many of those there are.
    spillers: usize,
    most: usize,
}

impl Held {
    fn all(&self) -> usize {
        self.spillable.saturating_add(self.unspillable)
    }

    fn part_of(&mut self, consumer: &MemoryConsumer) -> &mut usize {
        match consumer.can_spill() {
            true => &mut self.spillable,
            false => &mut self.unspillable,
        }
    }
}

impl Budget {
    pub(crate) fn new(bytes_max: usize, query_bytes_max: usize) -> Self {
        Self {
            bytes_max,
            query_bytes_max: query_bytes_max.min(bytes_max),
            bytes: AtomicUsize::new(0),
            queries: AtomicUsize::new(0),
        }
    }

    /// What a single query may hold.
    pub(crate) fn query_bytes_max(&self) -> usize {
        self.query_bytes_max
    }

    /// What all queries hold now.
    pub(crate) fn used_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The account of a query that begins.
    pub(crate) fn begin(self: &Arc<Self>) -> QueryMemory {
        self.queries.fetch_add(1, Ordering::Relaxed);
        QueryMemory(Arc::new(Account {
            budget: Arc::clone(self),
            held: Mutex::default(),
        }))
    }

    /// Takes `bytes` for a query that holds `own` already; of the last part only what leaves the query with its even share.
    fn take(&self, bytes: usize, own: usize) -> Result<(), usize> {
        let even = self.bytes_max / self.queries.load(Ordering::Relaxed).max(1);
        let most = match own.saturating_add(bytes) <= even {
            true => self.bytes_max,
            false => self.bytes_max - self.bytes_max / RESERVE_PART,
        };
        // A query alone has nobody to leave anything to, and `even` is everything.
        let taken = self
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|all| *all <= most)
            });
        taken.map(|_| ()).map_err(|used| most.saturating_sub(used))
    }

    fn give_back(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl QueryMemory {
    /// The most it has held at once.
    pub(crate) fn most_bytes(&self) -> usize {
        self.0.held.lock().most
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.0.held.lock().spillers += 1;
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            let mut held = self.0.held.lock();
            held.spillers = held.spillers.saturating_sub(1);
        }
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        let mut held = self.0.held.lock();
        *held.part_of(reservation.consumer()) += additional;
        held.most = held.most.max(held.all());
        self.0.budget.bytes.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        let mut held = self.0.held.lock();
        let part = held.part_of(reservation.consumer());
        let given = shrink.min(*part);
        *part -= given;
        self.0.budget.give_back(given);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if additional == 0 {
            // What may always be had can leave a query above its bound.
            return Ok(());
        }
        let budget = &self.0.budget;
        let bytes_max = budget.query_bytes_max;
        let consumer = reservation.consumer();
        let mut held = self.0.held.lock();
        let (has, most) = match consumer.can_spill() {
            true => {
                let others = held.unspillable.max(bytes_max / UNSPILLABLE_PART);
                let shared = bytes_max.saturating_sub(others);
                (reservation.size(), shared / held.spillers.max(1))
            }
            false => (held.all(), bytes_max),
        };
        if has.saturating_add(additional) > most {
            return Err(exhausted(
                reservation,
                additional,
                &format!(
                    "this query may hold {bytes_max} bytes, of which {} are left for it",
                    most.saturating_sub(has)
                ),
            ));
        }
        budget.take(additional, held.all()).map_err(|left| {
            exhausted(
                reservation,
                additional,
                &format!(
                    "all queries together may hold {} bytes, of which {left} are left for it",
                    budget.bytes_max
                ),
            )
        })?;
        *held.part_of(consumer) += additional;
        held.most = held.most.max(held.all());
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.0.held.lock().all()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.0.budget.query_bytes_max)
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes_max = self.0.budget.query_bytes_max;
        write!(formatter, "query(bytes_max: {bytes_max})")
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.budget.queries.fetch_sub(1, Ordering::Relaxed);
        // Every reservation gives back its own before; nothing may be lost even if one does not.
        self.budget.give_back(self.held.get_mut().all());
    }
}

fn exhausted(reservation: &MemoryReservation, additional: usize, why: &str) -> DataFusionError {
    DataFusionError::ResourcesExhausted(format!(
        "{} holds {} bytes and needs {additional} more: {why}",
        reservation.consumer().name(),
        reservation.size(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reservation(memory: &QueryMemory, can_spill: bool) -> MemoryReservation {
        let pool: Arc<dyn MemoryPool> = Arc::new(memory.clone());
        MemoryConsumer::new("test")
            .with_can_spill(can_spill)
            .register(&pool)
    }

    #[test]
    fn a_query_has_its_bound_and_gives_everything_back() {
        let budget = Arc::new(Budget::new(1_000, 400));
        let memory = budget.begin();
        let held = reservation(&memory, false);
        held.try_grow(400).expect("within the bound");
        let refused = held.try_grow(1).expect_err("beyond it").to_string();
        assert!(
            refused.contains("this query may hold 400 bytes, of which 0 are left"),
            "{refused}"
        );
        held.shrink(300);
        assert_eq!((memory.reserved(), memory.most_bytes()), (100, 400));
        assert_eq!(budget.used_bytes(), 100);
        drop(held);
        assert_eq!(budget.used_bytes(), 0);
        assert_eq!(memory.most_bytes(), 400);
    }

    #[test]
    fn those_who_spill_share_evenly_what_the_others_leave() {
        let budget = Arc::new(Budget::new(1_000, 1_000));
        let memory = budget.begin();
        let join = reservation(&memory, false);
        join.try_grow(200).expect("free");
        let sorts = [reservation(&memory, true), reservation(&memory, true)];
        for sort in &sorts {
            sort.try_grow(400).expect("half of 800");
            assert!(sort.try_grow(1).is_err());
        }
        assert!(join.try_grow(1).is_err());
        drop(sorts);
        join.try_grow(800).expect("free again");
    }

    #[test]
    fn what_is_left_is_for_those_who_have_little() {
        let budget = Arc::new(Budget::new(1_000, 900));
        let (greedy, modest) = (budget.begin(), budget.begin());
        let first = reservation(&greedy, false);
        first.try_grow(750).expect("three quarters");
        let refused = first.try_grow(1).expect_err("the reserve").to_string();
        assert!(
            refused.contains("all queries together may hold 1000 bytes, of which 0 are left"),
            "{refused}"
        );
        let second = reservation(&modest, false);
        second.try_grow(250).expect("an even part");
        assert!(second.try_grow(1).is_err());
        drop((second, modest));
        first.try_grow(150).expect("alone again");
        assert!(first.try_grow(1).is_err());
    }
}
