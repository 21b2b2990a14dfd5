//! Which operations of a store fail, and how: a plan of chances, and the decision in each case.
//!
//! What happens to an operation depends on the seed, the operation, its object and how often that was tried, and on nothing
//! else: two threads that use the store at once meet the same failures however they are scheduled.

use std::collections::HashMap;

use object_store::path::Path;
use parking_lot::Mutex;

use super::dice::mix;

/// How likely each failure is, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Runs with different seeds fail at different places.
    pub seed: u64,
    /// Nothing is stored.
    pub puts_refused: u64,
    /// It is stored, and the answer is lost.
    pub puts_unanswered: u64,
    pub gets_refused: u64,
    /// The body ends in an error half-way.
    pub gets_cut: u64,
    pub lists_refused: u64,
    /// The listing ends in an error half-way.
    pub lists_cut: u64,
    pub deletes_refused: u64,
    /// It is deleted, and the answer is lost.
    pub deletes_unanswered: u64,
    /// An object that was deleted is listed nevertheless, once.
    pub deleted_listed: u64,
    /// The operation takes long: other tasks have turns meanwhile, and the clock moves.
    pub slow: u64,
}

impl Faults {
    /// Nothing fails.
    pub const NONE: Self = Self {
        seed: 0,
        puts_refused: 0,
        puts_unanswered: 0,
        gets_refused: 0,
        gets_cut: 0,
        lists_refused: 0,
        lists_cut: 0,
        deletes_refused: 0,
        deletes_unanswered: 0,
        deleted_listed: 0,
        slow: 0,
    };
}

/// What is done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Put,
    Get,
    List,
    ListDeleted,
    Delete,
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    /// Not done.
    Refused,
    /// Done, or half done, without an answer.
    Unanswered,
}

/// Decides, and remembers how often it was asked.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    asked: Mutex<HashMap<(Action, Path), u64>>,
}

impl Judge {
    /// 64 bits for this operation, others the next time.
    pub(crate) fn draw(&self, seed: u64, action: Action, path: &Path) -> u64 {
        let times = {
            let mut asked = self.asked.lock();
            let times = asked.entry((action, path.clone())).or_default();
            *times += 1;
            *times
        };
        let mut bits = mix(seed ^ times.rotate_left(32) ^ (action as u64) << 8);
        for byte in path.as_ref().bytes() {
            bits = mix(bits ^ u64::from(byte));
        }
        bits
    }
}

impl Action {
    /// Chances of a refusal and of a lost answer.
    fn chances(self, faults: &Faults) -> (u64, u64) {
        match self {
            Self::Put => (faults.puts_refused, faults.puts_unanswered),
            Self::Get => (faults.gets_refused, faults.gets_cut),
            Self::List => (faults.lists_refused, faults.lists_cut),
            Self::ListDeleted => (0, faults.deleted_listed),
            Self::Delete => (faults.deletes_refused, faults.deletes_unanswered),
        }
    }

    /// The fate that `draw` decides.
    pub(crate) fn fate(self, faults: &Faults, draw: u64) -> Fate {
        let (refused, unanswered) = self.chances(faults);
        match draw % 1000 {
            at if at < refused => Fate::Refused,
            at if at < refused + unanswered => Fate::Unanswered,
            _ => Fate::Done,
        }
    }
}
