//! The object store a node is told to use: opened, tried, and checked on request.
//!
//! A remote store is tried before anything is written to it. [`check`] does the same, and more, for `debug object-store-check`
//! (spec/cli.md §7.10), without a node. What a store must do: `runtime::object_store::probe`.

use std::sync::Arc;
use std::time::Duration;

use catalog::format;
use catalog::inspect::{self, ObjectKind};
use runtime::object_store::probe::{self, Check};
use runtime::object_store::{self, Path, cas, remote};
use runtime::{Clock, Random, Store, SystemClock, World};

use crate::{Error, ObjectStoreKind};

/// One thing that was checked, and how it went.
#[derive(Debug)]
pub struct StoreCheck {
    pub name: String,
    pub took: Duration,
    /// `None`: not tried, because an earlier one failed that it needs.
    pub outcome: Option<Result<(), Error>>,
}

/// Opens a store. Errors: what is wrong with the settings; a remote store is not asked anything.
pub(crate) fn open(kind: &ObjectStoreKind, clock: &Arc<dyn Clock>) -> Result<Store, Error> {
    let opened = match kind {
        ObjectStoreKind::Memory => Ok(object_store::in_memory()),
        ObjectStoreKind::MemoryThrottled => Ok(object_store::in_memory_throttled()),
        ObjectStoreKind::File(folder) => object_store::in_folder(folder),
        ObjectStoreKind::Remote(settings) => remote::open(settings, clock),
    };
    opened.map_err(|cause| {
        Error::new(cause.kind(), "Cannot parse object store config").with_source(cause)
    })
}

/// Refuses a remote store that cannot do what a node relies on, naming what it lacks.
pub(crate) async fn try_out(
    kind: &ObjectStoreKind,
    node_id: &str,
    world: &World,
) -> Result<(), Error> {
    if !matches!(kind, ObjectStoreKind::Remote(_)) {
        return Ok(());
    }
    let folder = Path::from(node_id).join("probe");
    let checks = probe::probe(&world.store, &folder, &world.random, &*world.clock).await?;
    probe::verdict(checks)
}

/// Tries everything a node needs of a store in a folder of its own below `check_prefix`, and reads the catalog of the node
/// `probe_prefix` without changing it. With neither, the former at the top of the store.
///
/// Errors: the settings are wrong. What the store does wrong is in the checks.
pub async fn check(
    kind: &ObjectStoreKind,
    check_prefix: Option<&str>,
    probe_prefix: Option<&str>,
) -> Result<Vec<StoreCheck>, Error> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let store = open(kind, &clock)?;
    let mut checks = Vec::new();
    if check_prefix.is_some() || probe_prefix.is_none() {
        let mut chance = [0; 16];
        Random::System.fill(&mut chance)?;
        let name = uuid::Builder::from_random_bytes(chance).into_uuid();
        let folder = Path::from(check_prefix.unwrap_or_default()).join(format!("oscheck-{name}"));
        let probed = probe::probe(&store, &folder, &Random::System, &*clock).await?;
        checks.extend(probed.into_iter().map(StoreCheck::from));
    }
    if let Some(prefix) = probe_prefix {
        let started = clock.monotonic();
        let (name, outcome) = match read_catalog(&store, prefix).await {
            Ok(objects) => (
                format!("read the {objects} catalog objects of {prefix}"),
                Ok(()),
            ),
            Err(fault) => (format!("read the catalog of {prefix}"), Err(fault)),
        };
        checks.push(StoreCheck {
            name,
            took: clock.monotonic().saturating_sub(started),
            outcome: Some(outcome),
        });
    }
    Ok(checks)
}

impl From<Check> for StoreCheck {
    fn from(check: Check) -> Self {
        Self {
            name: check.name.to_string(),
            took: check.took,
            outcome: check.outcome,
        }
    }
}

/// Reads and decodes everything of a catalog; how many objects that were.
async fn read_catalog(store: &Store, prefix: &str) -> Result<usize, Error> {
    let mut read = 0;
    for object in inspect::objects(store, prefix).await? {
        let path = Path::from(object.path);
        // Removed since: a checkpoint has taken its place.
        let Some(bytes) = cas::read(store, &path).await? else {
            continue;
        };
        let decoded = match object.kind {
            ObjectKind::Checkpoint => format::decode_checkpoint(&bytes).map(drop),
            ObjectKind::Record => format::decode_log(&bytes).map(drop),
        };
        decoded.map_err(|cause| {
            Error::new(cause.kind(), format!("object {path} is damaged")).with_source(cause)
        })?;
        read += 1;
    }
    Ok(read)
}
