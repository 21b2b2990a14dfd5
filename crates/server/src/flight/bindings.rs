//! Values bound to prepared statements by clients that go on using the handle they had before.
//!
//! A handle holds its values itself, and binding answers with a new one; some clients never look at that answer. So the last values
//! bound to each statement are remembered by its number, up to a limit; the oldest go first. Not here: handles (`prepared`).

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// The most statements remembered, and the most bytes of their values.
const STATEMENTS_MAX: usize = 1_000;
const BYTES_MAX: usize = 8 << 20;

/// The number of a prepared statement, drawn when it is made.
pub(super) type Number = Bytes;

/// What is remembered on one node.
#[derive(Default)]
pub(crate) struct Bindings(Mutex<VecDeque<(Number, Bytes)>>);

impl Bindings {
    /// Keeps `values` as the last ones of a statement.
    pub(super) fn remember(&self, number: &Number, values: &Bytes) {
        if number.is_empty() {
            return;
        }
        let mut all = self.lock();
        all.retain(|(known, _)| known != number);
        all.push_back((number.clone(), values.clone()));
        let mut bytes: usize = all.iter().map(|(_, values)| values.len()).sum();
        while all.len() > STATEMENTS_MAX || bytes > BYTES_MAX {
            let Some((_, values)) = all.pop_front() else {
                break;
            };
            bytes -= values.len();
        }
    }

    /// The last values of a statement; none if nothing was bound, or long ago.
    pub(super) fn recall(&self, number: &Number) -> Option<Bytes> {
        let all = self.lock();
        let found = all.iter().find(|(known, _)| known == number);
        found.map(|(_, values)| values.clone())
    }

    pub(super) fn forget(&self, number: &Number) {
        self.lock().retain(|(known, _)| known != number);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Number, Bytes)>> {
        // A list without half-made entries is as good after a panic as before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Bindings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Bindings({})", self.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(count: usize) -> Number {
        Bytes::from(format!("statement {count}"))
    }

    #[test]
    fn the_last_values_of_each_statement_are_kept() {
        let bindings = Bindings::default();
        assert_eq!(bindings.recall(&number(1)), None);
        bindings.remember(&number(1), &Bytes::from_static(b"a"));
        bindings.remember(&number(2), &Bytes::from_static(b"b"));
        bindings.remember(&number(1), &Bytes::from_static(b"c"));
        assert_eq!(bindings.recall(&number(1)).as_deref(), Some(&b"c"[..]));
        assert_eq!(bindings.recall(&number(2)).as_deref(), Some(&b"b"[..]));
        bindings.forget(&number(1));
        assert_eq!(bindings.recall(&number(1)), None);
        bindings.remember(&Bytes::new(), &Bytes::from_static(b"d"));
        assert_eq!(bindings.recall(&Bytes::new()), None);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_or_they_are_too_large() {
        let bindings = Bindings::default();
        for count in 0..=STATEMENTS_MAX {
            bindings.remember(&number(count), &Bytes::from_static(b"x"));
        }
        assert_eq!(bindings.recall(&number(0)), None);
        assert!(bindings.recall(&number(1)).is_some());
        let half = Bytes::from(vec![0; BYTES_MAX / 2]);
        bindings.remember(&number(1), &half);
        bindings.remember(&number(2), &half);
        bindings.remember(&number(3), &half);
        assert_eq!(bindings.recall(&number(1)), None);
        assert!(bindings.recall(&number(2)).is_some());
        assert!(bindings.recall(&number(3)).is_some());
    }
}
