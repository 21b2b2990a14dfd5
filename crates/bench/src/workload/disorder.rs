//! How the rows of trucks overtake one another: whole batches are held back, and single rows of those that go on.
//!
//! Nothing is lost or changed here. Which rows there are: `iot`.

use super::iot::BATCH_ROWS;
use super::lines::Lines;
use super::plan::Plan;
use crate::random::Random;

const BATCH_HELD_CHANCE: f64 = 0.05;
const ROW_HELD_CHANCE: f64 = 0.3;
/// That something held goes first, whenever something else could.
const HELD_FIRST_CHANCE: f64 = 0.5;

#[derive(Clone, Debug)]
pub(super) struct Disorder {
    random: Random,
    /// The batch that comes next, as far as it is known.
    filling: Lines,
    held_batches: Lines,
    /// What is left of the batch whose turn it is.
    current: Lines,
    held_rows: Lines,
}

/// What happened when a row was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pulled {
    Row,
    /// There will be more, but not now.
    Pause,
    End,
}

impl Disorder {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            // No truck has this number.
            random: Random::new(plan.seed, 1 << 63 | plan.hosts.start as u64),
            filling: Lines::default(),
            held_batches: Lines::default(),
            current: Lines::default(),
            held_rows: Lines::default(),
        }
    }

    /// Writes the row whose turn it is and tells how many fields it has; none at a pause and at the end. `pull` appends the next row
    /// in the order of time.
    pub(super) fn next(
        &mut self,
        mut pull: impl FnMut(&mut Lines) -> Pulled,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        loop {
            if self.current.is_empty() {
                match self.next_batch(&mut pull) {
                    Pulled::Row => {}
                    Pulled::Pause => return None,
                    Pulled::End if self.held_rows.is_empty() => return None,
                    Pulled::End => return Some(self.held_rows.take(1, out).values),
                }
            }
            if !self.held_rows.is_empty() && self.chance(HELD_FIRST_CHANCE) {
                return Some(self.held_rows.take(1, out).values);
            }
            if self.chance(ROW_HELD_CHANCE) {
                self.current.move_to(1, &mut self.held_rows);
                continue;
            }
            return Some(self.current.take(1, out).values);
        }
    }

    /// Fills `current`, which is empty.
    fn next_batch(&mut self, pull: &mut impl FnMut(&mut Lines) -> Pulled) -> Pulled {
        loop {
            if self.filling.is_empty()
                && !self.held_batches.is_empty()
                && self.chance(HELD_FIRST_CHANCE)
            {
                self.held_batches.move_to(BATCH_ROWS, &mut self.current);
                return Pulled::Row;
            }
            while self.filling.rows() < BATCH_ROWS {
                match pull(&mut self.filling) {
                    Pulled::Row => {}
                    Pulled::Pause => return Pulled::Pause,
                    Pulled::End => return self.last_batches(),
                }
            }
            if self.chance(BATCH_HELD_CHANCE) {
                self.filling.move_to(BATCH_ROWS, &mut self.held_batches);
                continue;
            }
            std::mem::swap(&mut self.filling, &mut self.current);
            return Pulled::Row;
        }
    }

    fn last_batches(&mut self) -> Pulled {
        if self.filling.is_empty() {
            self.held_batches.move_to(BATCH_ROWS, &mut self.current);
        } else {
            std::mem::swap(&mut self.filling, &mut self.current);
        }
        match self.current.is_empty() {
            true => Pulled::End,
            false => Pulled::Row,
        }
    }

    fn chance(&mut self, chance: f64) -> bool {
        self.random.unit() < chance
    }
}

#[cfg(test)]
mod tests {
    use super::{Disorder, Pulled};
    use crate::workload::lines::Lines;
    use crate::workload::tests::plan;

    /// The order in which the rows 0, 1, … leave.
    fn order(rows: usize) -> Vec<usize> {
        let mut disorder = Disorder::new(&plan(&["--use-case", "iot"]));
        let mut next = 0;
        let mut order = Vec::new();
        let mut out = Vec::new();
        let mut pull = |lines: &mut Lines| {
            if next == rows {
                return Pulled::End;
            }
            lines.push(b"", next);
            next += 1;
            Pulled::Row
        };
        while let Some(row) = disorder.next(&mut pull, &mut out) {
            order.push(row);
        }
        order
    }

    #[test]
    fn rows_overtake_one_another_and_none_is_lost() {
        let rows = 100_000;
        let order = order(rows);
        let mut newest = 0;
        let mut overtaken = 0;
        for row in &order {
            newest = newest.max(*row);
            overtaken += usize::from(*row < newest);
        }
        // 30 % are held alone and 5 % with their batch; but half of those held go before the very row that could overtake them.
        let share = overtaken as f64 / rows as f64;
        assert!((0.15..0.20).contains(&share), "{share}");
        let mut sorted = order;
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..rows));
    }

    #[test]
    fn few_rows_all_leave() {
        for rows in [0, 1, 9, 10, 11, 25] {
            let mut order = order(rows);
            order.sort_unstable();
            assert!(order.into_iter().eq(0..rows));
        }
    }
}
