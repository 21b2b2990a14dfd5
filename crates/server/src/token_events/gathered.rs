//! Refusals that wait to be stored: many of the same are one event with a count, and there are never more than a few.
//!
//! Pure. Not here: when they are stored (`mod.rs`).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::event::{Event, Refusal};

/// Different refusals between two stores; of further ones only the sum is kept.
const DIFFERENT_MAX: usize = 64;

/// When the first and the last of some refusals were, in milliseconds since the epoch, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    pub(super) count: u64,
}

/// What has been refused since the last store.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    waiting: HashMap<Refusal, Times>,
}

impl Gathered {
    pub(super) fn add(&mut self, refusal: Refusal, now_ms: i64) {
        let is_full = self.waiting.len() >= DIFFERENT_MAX && !self.waiting.contains_key(&refusal);
        let refusal = match is_full {
            // One of these for each reason and protocol at most, so the bound holds nearly.
            true => Refusal {
                network: None,
                by: None,
                words: "several clients, not told apart".to_string(),
                ..refusal
            },
            false => refusal,
        };
        match self.waiting.entry(refusal) {
            Entry::Occupied(mut known) => {
                let times = known.get_mut();
                times.count = times.count.saturating_add(1);
                times.last_ms = times.last_ms.max(now_ms);
            }
            Entry::Vacant(place) => {
                place.insert(Times {
                    first_ms: now_ms,
                    last_ms: now_ms,
                    count: 1,
                });
            }
        }
    }

    /// Everything that waited, in the order in which it began.
    pub(super) fn take(&mut self) -> Vec<(Event, Times)> {
        let mut taken: Vec<(Event, Times)> = self
            .waiting
            .drain()
            .map(|(refusal, times)| (refusal.into_event(), times))
            .collect();
        taken.sort_by_cached_key(|(event, times)| (times.first_ms, event.address.clone()));
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::token_events::event::{Protocol, Reason};

    #[test]
    fn the_same_is_counted_and_the_rest_is_summed_up() {
        let mut gathered = Gathered::default();
        let refusal = |number: u32, reason| {
            let address = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
            Refusal::new(reason, address, Protocol::Http)
        };
        for at_ms in 0..10 {
            gathered.add(refusal(0, Reason::UnknownToken), at_ms);
        }
        for number in 1..1_000 {
            gathered.add(refusal(number, Reason::ExpiredToken), 20);
        }
        gathered.add(refusal(0, Reason::UnknownToken), 30);
        let taken = gathered.take();
        assert_eq!(taken.len(), DIFFERENT_MAX + 1);
        let (event, times) = &taken[0];
        assert_eq!(event.address.as_deref(), Some("10.0.0.0"));
        assert_eq!((times.first_ms, times.last_ms, times.count), (0, 30, 11));
        let rest = taken.iter().find(|(event, _)| event.address.is_none());
        let (_, times) = rest.expect("the sum of the others");
        assert_eq!(times.count, 999 - (DIFFERENT_MAX as u64 - 1));
        assert!(gathered.take().is_empty());
    }
}
