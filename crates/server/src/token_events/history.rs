//! The events of a node in memory: which there are, which are let go, and what they say of the tokens there are.
//!
//! Pure: no store, no clock. Changes of tokens and refusals have bounds of their own, so that no flood of refusals can push a
//! change out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::event::{Event, EventKind, Outcome, Recorded, Subject};

/// Most events that are kept of each sort, whatever their age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) changes_max: usize,
    pub(super) refusals_max: usize,
    pub(super) age_max_ms: i64,
}

/// Refusals of the same sort within so long become one event when objects are joined.
const MERGED_WITHIN_MS: i64 = 3_600_000;

/// A token of the catalog, as far as its events are concerned. Times are milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownToken {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) created_at_ms: i64,
    pub(crate) updated_at_ms: Option<i64>,
    pub(crate) expiry_ms: Option<i64>,
}

impl From<&catalog::Token> for KnownToken {
    fn from(token: &catalog::Token) -> Self {
        Self {
            id: token.id.0,
            name: token.name.to_string(),
            created_at_ms: token.created_at_ms,
            updated_at_ms: token.updated_at_ms,
            expiry_ms: token.expiry_ms,
        }
    }
}

/// All events that are kept, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    events: Vec<Arc<Recorded>>,
    by_id: HashMap<u128, u64>,
    /// Changes of tokens that have their event: the token, and when its record says that it changed.
    changes: HashSet<(u64, i64)>,
    expiries: HashSet<(u64, i64)>,
    /// Tokens that an event speaks of, by id, with the name of the last one.
    named: HashMap<u64, String>,
    deleted: HashSet<u64>,
    forgotten_until_ms: Option<i64>,
}

impl History {
    /// Of what objects hold, in any order; the same event may come several times.
    pub(super) fn new(
        events: impl IntoIterator<Item = Arc<Recorded>>,
        forgotten_until_ms: Option<i64>,
    ) -> Self {
        let mut distinct: HashMap<u128, Arc<Recorded>> = HashMap::new();
        for event in events {
            let known = distinct
                .entry(event.id)
                .or_insert_with(|| Arc::clone(&event));
            // One of them has been counted together with others since.
            if event.count > known.count {
                *known = event;
            }
        }
        let mut sorted: Vec<Arc<Recorded>> = distinct.into_values().collect();
        sorted.sort_unstable_by_key(|event| (event.time_ms, event.id));
        let mut history = Self {
            forgotten_until_ms,
            ..Self::default()
        };
        for event in sorted {
            history.note(&event);
            history.events.push(event);
        }
        history
    }

    /// Adds an event, unless it is known; says whether it is the last in time now.
    pub(super) fn add(&mut self, event: Arc<Recorded>) -> Added {
        if self.by_id.contains_key(&event.id) {
            return Added::Known;
        }
        self.note(&event);
        let key = |event: &Recorded| (event.time_ms, event.id);
        let at = self
            .events
            .partition_point(|other| key(other) < key(&event));
        let added = match at == self.events.len() {
            true => Added::Last,
            false => Added::Between,
        };
        self.events.insert(at, event);
        added
    }

    pub(super) fn events(&self) -> &[Arc<Recorded>] {
        &self.events
    }

    pub(super) fn forgotten_until_ms(&self) -> Option<i64> {
        self.forgotten_until_ms
    }

    /// What is left when the bounds are applied and refusals of the same sort and hour are counted together.
    pub(super) fn shortened(&self, bounds: Bounds, now_ms: i64) -> Self {
        let too_old_ms = now_ms.saturating_sub(bounds.age_max_ms);
        let young = |event: &&Arc<Recorded>| event.last_time_ms >= too_old_ms;
        let (refusals, changes): (Vec<_>, Vec<_>) = self
            .events
            .iter()
            .filter(young)
            .cloned()
            .partition(|event| event.is_refusal());
        let refusals = counted_together(refusals);
        let last = |events: Vec<Arc<Recorded>>, most: usize| -> Vec<Arc<Recorded>> {
            let surplus = events.len().saturating_sub(most);
            events.into_iter().skip(surplus).collect()
        };
        let kept: Vec<Arc<Recorded>> = last(changes, bounds.changes_max)
            .into_iter()
            .chain(last(refusals, bounds.refusals_max))
            .collect();
        let ids: HashSet<u128> = kept.iter().map(|event| event.id).collect();
        let forgotten_until_ms = self
            .events
            .iter()
            .filter(|event| !event.is_refusal() && !ids.contains(&event.id))
            .map(|event| event.time_ms)
            .max()
            .max(self.forgotten_until_ms);
        Self::new(kept, forgotten_until_ms)
    }

    /// Whether some event has been too old for at least `slack_ms`.
    pub(super) fn has_outdated(&self, bounds: Bounds, slack_ms: i64, now_ms: i64) -> bool {
        let too_old_ms = now_ms.saturating_sub(bounds.age_max_ms);
        self.events
            .first()
            .is_some_and(|event| event.last_time_ms < too_old_ms.saturating_sub(slack_ms))
    }

    /// Changes that the catalog knows of and no event tells: the process ended between the two, or was none that kept events.
    pub(super) fn missing(&self, tokens: &[KnownToken], bounds: Bounds, now_ms: i64) -> Vec<Event> {
        let mut missing = Vec::new();
        for token in tokens {
            let changes = [
                (EventKind::Create, Some(token.created_at_ms)),
                (EventKind::Rotate, token.updated_at_ms),
            ];
            for (kind, at_ms) in changes {
                let Some(at_ms) = at_ms else { continue };
                if self.is_forgotten(at_ms, bounds, now_ms)
                    || self.changes.contains(&(token.id, at_ms))
                {
                    continue;
                }
                missing.push(Event {
                    token: Some(Subject::new(token.id, &token.name)),
                    changed_at_ms: Some(at_ms),
                    words: format!(
                        "found at a start: the catalog has it of {}",
                        time_text(at_ms)
                    ),
                    ..Event::plain(kind, Outcome::Done)
                });
            }
        }
        let present: HashSet<u64> = tokens.iter().map(|token| token.id).collect();
        let mut gone: Vec<(&u64, &String)> = self
            .named
            .iter()
            .filter(|(id, _)| !present.contains(id) && !self.deleted.contains(id))
            .collect();
        gone.sort_unstable();
        for (id, name) in gone {
            missing.push(Event {
                token: Some(Subject::new(*id, name)),
                words: "found at a start: the catalog has the token no more".to_string(),
                ..Event::plain(EventKind::Delete, Outcome::Done)
            });
        }
        missing
    }

    /// Expiries that have happened and that no event tells.
    pub(super) fn expired(&self, tokens: &[KnownToken], bounds: Bounds, now_ms: i64) -> Vec<Event> {
        tokens
            .iter()
            .filter_map(|token| {
                let at_ms = token.expiry_ms.filter(|at_ms| *at_ms <= now_ms)?;
                let is_told = self.expiries.contains(&(token.id, at_ms))
                    || self.is_forgotten(at_ms, bounds, now_ms);
                (!is_told).then(|| Event {
                    token: Some(Subject::new(token.id, &token.name)),
                    changed_at_ms: Some(at_ms),
                    words: format!("expired at {}", time_text(at_ms)),
                    ..Event::plain(EventKind::Expire, Outcome::Done)
                })
            })
            .collect()
    }

    fn is_forgotten(&self, at_ms: i64, bounds: Bounds, now_ms: i64) -> bool {
        let too_old_ms = now_ms.saturating_sub(bounds.age_max_ms);
        at_ms < too_old_ms
            || self
                .forgotten_until_ms
                .is_some_and(|until_ms| at_ms <= until_ms)
    }

    fn note(&mut self, recorded: &Recorded) {
        self.by_id.insert(recorded.id, recorded.count);
        let event = &recorded.event;
        let (Some(token), Outcome::Done) = (&event.token, event.outcome) else {
            return;
        };
        self.named.insert(token.id, token.name.clone());
        match (event.kind, event.changed_at_ms) {
            (EventKind::Delete, _) => {
                self.deleted.insert(token.id);
            }
            (EventKind::Expire, Some(at_ms)) => {
                self.expiries.insert((token.id, at_ms));
            }
            (_, Some(at_ms)) => {
                self.changes.insert((token.id, at_ms));
            }
            (_, None) => {}
        }
    }
}

/// What became of an event that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    Known,
    Last,
    /// Later ones were there already.
    Between,
}

/// One event for those that say the same and began in the same hour; each keeps the id of its first.
fn counted_together(refusals: Vec<Arc<Recorded>>) -> Vec<Arc<Recorded>> {
    let mut together: Vec<Recorded> = Vec::with_capacity(refusals.len());
    let mut places: HashMap<(i64, Said), usize> = HashMap::new();
    for refusal in refusals {
        let hour = refusal.time_ms.div_euclid(MERGED_WITHIN_MS);
        match places.get(&(hour, said(&refusal.event))) {
            Some(place) => {
                let first = &mut together[*place];
                first.count = first.count.saturating_add(refusal.count);
                first.last_time_ms = first.last_time_ms.max(refusal.last_time_ms);
            }
            None => {
                places.insert((hour, said(&refusal.event)), together.len());
                together.push(Recorded::clone(&refusal));
            }
        }
    }
    together.into_iter().map(Arc::new).collect()
}

/// All that two refusals must have in common to be the same.
type Said = (
    Outcome,
    Option<Subject>,
    Option<String>,
    super::event::Protocol,
    String,
);

fn said(event: &Event) -> Said {
    (
        event.outcome,
        event.by.clone(),
        event.address.clone(),
        event.protocol,
        event.words.clone(),
    )
}

fn time_text(at_ms: i64) -> String {
    match chrono::DateTime::from_timestamp_millis(at_ms) {
        Some(time) => time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        None => format!("{at_ms} ms"),
    }
}

#[cfg(test)]
mod tests;
