//! Token events: what became of tokens and who was turned away, kept across restarts.
//!
//! An event of a change is durable when [`TokenEvents::record`] returns; refusals are gathered and stored every few seconds. What a
//! process could not tell before it ended is found at the next start by comparing with the catalog. Shown as
//! `system.token_events` (`query`). Bytes: docs/formats/token_events.md. Not here: who may do what (`authorization`), how often
//! somebody may fail (`failed_attempts`).
//!
//! ```text
//! endpoint ─> event ─────────────┐
//! gate ─> refusal ─> gathered ───┴─> objects (durable) ─> history ─> rows for queries
//! ```

mod event;

mod format;

mod gathered;

mod history;

mod objects;

pub(crate) use event::{Event, EventKind, Protocol, Reason, Refusal};
pub(crate) use history::KnownToken;

use std::sync::Arc;
use std::time::Duration;

use catalog::Catalog;
use parking_lot::Mutex;
use query::TokenEventRows;
use runtime::World;
use runtime::object_store::Path;

use self::event::Recorded;
use self::format::Content;
use self::gathered::{Gathered, Times};
use self::history::{Added, Bounds, History};
use self::objects::Objects;
use crate::Error;

/// How often gathered refusals are stored and expiries looked for.
const STORE_INTERVAL: Duration = Duration::from_secs(5);

/// How often an event is stored again, each under a new name, before it has to wait for the next interval.
const STORE_ATTEMPTS: usize = 3;

/// Most events that wait for a store that does not answer; further ones push the oldest out.
const WAITING_MAX: usize = 4_096;

/// Objects beyond which they are joined to one.
const OBJECTS_MAX: usize = 128;

/// Events of changes, and as many of refusals, that are kept however young they are.
const CHANGES_MAX: usize = 10_000;
const REFUSALS_MAX: usize = 5_000;

/// One line of at most 512 bytes without anything that looks like a token or a digest, for logs and errors.
pub(crate) fn without_secrets(text: &str) -> String {
    event::cleaned(text, event::WORDS_BYTES_MAX)
}

/// The events of one node. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct TokenEvents {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    world: World,
    objects: Objects,
    bounds: Bounds,
    objects_max: usize,
    gathered: Mutex<Gathered>,
    state: Mutex<State>,
    rows: TokenEventRows,
}

#[derive(Debug, Default)]
struct State {
    history: History,
    /// Objects that hold it, but for what waits.
    names: Vec<String>,
    /// Objects that others have replaced, still to be removed.
    leftovers: Vec<String>,
    /// In the history, but not durable yet.
    waiting: Vec<Arc<Recorded>>,
}

impl TokenEvents {
    /// Reads the events of a node; those older than `retention` go in time.
    ///
    /// Errors: `Unavailable`. Damaged objects are passed over and logged.
    pub(crate) async fn open(
        node_id: &str,
        retention: Duration,
        world: &World,
    ) -> Result<Self, Error> {
        let bounds = Bounds {
            changes_max: CHANGES_MAX,
            refusals_max: REFUSALS_MAX,
            age_max_ms: i64::try_from(retention.as_millis()).unwrap_or(i64::MAX),
        };
        Self::open_with(node_id, bounds, OBJECTS_MAX, world).await
    }

    async fn open_with(
        node_id: &str,
        bounds: Bounds,
        objects_max: usize,
        world: &World,
    ) -> Result<Self, Error> {
        let objects = Objects::below(node_id, world.clone());
        let loaded = objects.load().await?;
        for (path, fault) in &loaded.damaged {
            tracing::error!(%path, %fault, "an object of token events is damaged, its events are not shown");
        }
        let forgotten_until_ms = loaded
            .contents
            .iter()
            .filter_map(|content| content.forgotten_until_ms)
            .max();
        let events = loaded
            .contents
            .into_iter()
            .flat_map(|content| content.events)
            .map(Arc::new);
        let shared = Shared {
            world: world.clone(),
            objects,
            bounds,
            objects_max,
            gathered: Mutex::default(),
            state: Mutex::new(State {
                history: History::new(events, forgotten_until_ms),
                names: loaded.names,
                leftovers: loaded.leftovers,
                waiting: Vec::new(),
            }),
            rows: TokenEventRows::default(),
        };
        shared.show_all(&shared.state.lock());
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// What queries see.
    pub(crate) fn rows(&self) -> TokenEventRows {
        self.shared.rows.clone()
    }

    /// Stores an event, also when the caller stops waiting; durable when this returns.
    ///
    /// When the store does not take it, that is logged and tried again later: the change it tells of has happened, and its answer
    /// must not be lost for want of a note.
    pub(crate) async fn record(&self, event: Event) {
        let shared = Arc::clone(&self.shared);
        let now_ms = shared.world.clock.now_ms();
        let times = Times {
            first_ms: now_ms,
            last_ms: now_ms,
            count: 1,
        };
        let stored = self
            .shared
            .world
            .tasks
            .detach(async move { shared.keep(vec![(event, times)]).await });
        if let Err(fault) = stored.await {
            tracing::error!(%fault, "a token event was not stored");
        }
    }

    /// Notes that somebody was turned away. Never waits; stored within a few seconds, together with others.
    pub(crate) fn refused(&self, refusal: Refusal) {
        let now_ms = self.shared.world.clock.now_ms();
        self.shared.gathered.lock().add(refusal, now_ms);
    }

    /// Adds events for what the catalog knows and no event tells. Right at a start, before anybody can change a token.
    pub(crate) async fn catch_up(&self, tokens: &[KnownToken]) {
        let now_ms = self.shared.world.clock.now_ms();
        let missing = {
            let state = self.shared.state.lock();
            state.history.missing(tokens, self.shared.bounds, now_ms)
        };
        for event in &missing {
            tracing::warn!(?event, "a change of a token had no event");
        }
        self.shared.keep(at(missing, now_ms)).await;
    }

    /// Stores what has been gathered, notes expiries and joins objects, until the node stops.
    pub(crate) fn watch(&self, catalog: Arc<Catalog>) {
        let shared = Arc::clone(&self.shared);
        self.shared.world.tasks.spawn("token events", async move {
            loop {
                let goes_on = shared.world.tasks.pause(STORE_INTERVAL).await;
                let tokens = known_tokens(&catalog);
                shared.tick(&tokens).await;
                if !goes_on {
                    return;
                }
            }
        });
    }
}

/// The objects of a node that cannot be trusted, by their paths, and why. Changes nothing.
pub(crate) async fn damaged(node_id: &str, world: &World) -> Result<Vec<(Path, Error)>, Error> {
    let objects = Objects::below(node_id, world.clone());
    objects.load().await.map(|loaded| loaded.damaged)
}

/// The tokens of a catalog at this moment.
pub(crate) fn known_tokens(catalog: &Catalog) -> Vec<KnownToken> {
    let snapshot = catalog.snapshot();
    let tokens = snapshot.tokens();
    tokens
        .iter()
        .map(|token| KnownToken::from(&**token))
        .collect()
}

impl Shared {
    async fn tick(&self, tokens: &[KnownToken]) {
        let now_ms = self.world.clock.now_ms();
        let mut events = self.gathered.lock().take();
        {
            let state = self.state.lock();
            events.extend(at(
                state.history.expired(tokens, self.bounds, now_ms),
                now_ms,
            ));
        }
        self.keep(events).await;
        self.retry().await;
        if self.is_join_due(now_ms)
            && let Err(fault) = self.join(now_ms).await
        {
            tracing::warn!(%fault, "cannot join token events");
        }
    }

    /// Makes events durable and shows them, in this order when all is well.
    async fn keep(&self, events: Vec<(Event, Times)>) {
        if events.is_empty() {
            return;
        }
        let recorded: Result<Vec<Recorded>, Error> = events
            .into_iter()
            .map(|(event, times)| self.in_place(event, times))
            .collect();
        let recorded = match recorded {
            Ok(recorded) => recorded,
            Err(fault) => {
                tracing::error!(%fault, "token events were not stored");
                return;
            }
        };
        let stored = self.store(&recorded).await;
        let recorded: Vec<Arc<Recorded>> = recorded.into_iter().map(Arc::new).collect();
        let mut state = self.state.lock();
        match stored {
            Ok(name) => state.names.push(name),
            Err(fault) => {
                tracing::error!(%fault, events = recorded.len(), "token events are not durable yet");
                state.waiting.extend(recorded.iter().cloned());
                let surplus = state.waiting.len().saturating_sub(WAITING_MAX);
                state.waiting.drain(..surplus);
            }
        }
        let mut in_order = true;
        for event in recorded {
            let row = Arc::new(event.to_row());
            match state.history.add(event) {
                Added::Last if in_order => self.rows.push(row),
                _ => in_order = false,
            }
        }
        if !in_order {
            self.show_all(&state);
        }
    }

    fn in_place(&self, event: Event, times: Times) -> Result<Recorded, Error> {
        let mut chance = [0; 16];
        self.world.random.fill(&mut chance)?;
        Ok(Recorded {
            id: u128::from_le_bytes(chance),
            time_ms: times.first_ms,
            last_time_ms: times.last_ms,
            count: times.count,
            event,
        })
    }

    async fn store(&self, events: &[Recorded]) -> Result<String, Error> {
        let content = Content {
            events: events.to_vec(),
            ..Content::default()
        };
        let mut attempts = 1;
        loop {
            match self.objects.create(&content).await {
                // The name it may be under is given up: events that are stored twice count once.
                Err(fault) if attempts < STORE_ATTEMPTS => {
                    tracing::debug!(%fault, "token events are stored again");
                    attempts += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Stores what has had to wait.
    async fn retry(&self) {
        let waiting = self.state.lock().waiting.clone();
        if waiting.is_empty() {
            return;
        }
        let events: Vec<Recorded> = waiting.iter().map(|event| (**event).clone()).collect();
        match self.store(&events).await {
            Ok(name) => {
                let mut state = self.state.lock();
                state.names.push(name);
                state
                    .waiting
                    .retain(|event| !waiting.iter().any(|stored| stored.id == event.id));
                tracing::info!(events = events.len(), "token events are durable now");
            }
            Err(fault) => tracing::warn!(%fault, "token events are not durable yet"),
        }
    }

    fn is_join_due(&self, now_ms: i64) -> bool {
        let state = self.state.lock();
        // What is too old may lie a little longer, so that not every hour of a quiet life costs a join.
        let slack_ms = self.bounds.age_max_ms / 16;
        let names = state.names.len();
        names > self.objects_max
            || names > 0 && state.history.has_outdated(self.bounds, slack_ms, now_ms)
    }

    /// Makes one object of all, without what need not be kept any more, and removes the others.
    async fn join(&self, now_ms: i64) -> Result<(), Error> {
        let (shortened, before, content, mut old) = {
            let state = self.state.lock();
            let shortened = state.history.shortened(self.bounds, now_ms);
            let mut replaces = state.names.clone();
            replaces.extend(state.leftovers.iter().cloned());
            let content = Content {
                replaces,
                forgotten_until_ms: shortened.forgotten_until_ms(),
                events: shortened
                    .events()
                    .iter()
                    .map(|event| (**event).clone())
                    .collect(),
            };
            let before = state.history.events().to_vec();
            (shortened, before, content, state.names.clone())
        };
        let joined = self.objects.create(&content).await?;
        let mut to_remove = {
            let mut state = self.state.lock();
            // What has come in the meantime is in objects of its own.
            let known: std::collections::HashSet<u128> =
                before.iter().map(|event| event.id).collect();
            let since: Vec<_> = state
                .history
                .events()
                .iter()
                .filter(|event| !known.contains(&event.id))
                .cloned()
                .collect();
            state.history = shortened;
            for event in since {
                state.history.add(event);
            }
            state.names.retain(|name| !old.contains(name));
            state.names.push(joined);
            state.waiting.retain(|event| !known.contains(&event.id));
            self.show_all(&state);
            std::mem::take(&mut state.leftovers)
        };
        to_remove.append(&mut old);
        let left = self.objects.remove(to_remove).await;
        self.state.lock().leftovers.extend(left);
        Ok(())
    }

    fn show_all(&self, state: &State) {
        let events = state.history.events();
        self.rows.replace(
            events
                .iter()
                .map(|event| Arc::new(event.to_row()))
                .collect(),
        );
    }
}

/// The same events, all at one time.
fn at(events: Vec<Event>, now_ms: i64) -> Vec<(Event, Times)> {
    let times = Times {
        first_ms: now_ms,
        last_ms: now_ms,
        count: 1,
    };
    events.into_iter().map(|event| (event, times)).collect()
}

#[cfg(test)]
mod tests;
