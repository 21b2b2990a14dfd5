//! The objects that hold token events: listed, read, made, joined. Only those of one node.
//!
//! Each has a name of its own that nobody else would choose, is made once and never changed. Joining makes one of many and then
//! removes what it replaces; since the new one names them, a process that dies in between leaves nothing that counts twice. No
//! object goes before all it holds is durable in another, so two processes can do this at the same time.

use futures::{StreamExt, TryStreamExt, stream};
use runtime::object_store::cas::{self, Created};
use runtime::object_store::{ObjectStore, ObjectStoreExt, Path, store_error};
use runtime::{ErrorKind, World};

use super::format::{self, Content};
use crate::Error;

/// How many objects are read at a time.
const READS_AT_ONCE: usize = 16;

/// How often a load starts again because somebody joins objects at the same time.
const LOAD_ATTEMPTS: usize = 8;

/// Where the objects of a node are.
#[derive(Debug)]
pub(super) struct Objects {
    world: World,
    folder: Path,
}

/// All that is stored.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// Of the objects that count.
    pub(super) contents: Vec<Content>,
    pub(super) names: Vec<String>,
    /// Objects that another one has replaced and that are still there.
    pub(super) leftovers: Vec<String>,
    /// Objects that cannot be trusted, by their paths, and why.
    pub(super) damaged: Vec<(Path, Error)>,
}

impl Objects {
    pub(super) fn below(node_id: &str, world: World) -> Self {
        Self {
            world,
            folder: Path::from(node_id).join("token_events"),
        }
    }

    /// Reads everything. An object that cannot be trusted is left as it is, for a person to look at: what it holds is lost, but that
    /// is no reason to stop a database.
    pub(super) async fn load(&self) -> Result<Loaded, Error> {
        for _ in 0..LOAD_ATTEMPTS {
            if let Some(loaded) = self.try_load().await? {
                return Ok(loaded);
            }
        }
        Err(Error::unavailable(format!(
            "objects in {} went away again and again while they were read",
            self.folder
        )))
    }

    /// Stores `content` under a new name, which it returns. Errors: `Unavailable`; the object may be there then.
    pub(super) async fn create(&self, content: &Content) -> Result<String, Error> {
        let mut chance = [0; 8];
        self.world.random.fill(&mut chance)?;
        let time_ms = self.world.clock.now_ms().max(0);
        let name = format!("{time_ms:020}-{:016x}", u64::from_le_bytes(chance));
        let path = self.folder.clone().join(name.as_str());
        let bytes = format::encode(content)?;
        match cas::create(&self.world.store, &path, bytes).await? {
            Created::Yes => Ok(name),
            Created::Taken => Err(Error::unavailable(format!(
                "object {path} is there already, made by chance by somebody else"
            ))),
        }
    }

    /// Removes objects that another one replaces; returns those that could not be.
    pub(super) async fn remove(&self, names: Vec<String>) -> Vec<String> {
        let mut left = Vec::new();
        for name in names {
            let path = self.folder.clone().join(name.as_str());
            let removed = self.world.store.delete(&path).await;
            match removed.map_err(|cause| store_error("delete", &path, cause)) {
                Err(fault) if fault.kind() != ErrorKind::NotFound => {
                    tracing::warn!(%fault, "token events that were joined are still there");
                    left.push(name);
                }
                _ => {}
            }
        }
        left
    }

    /// `None` when an object went away after it was listed: it has been replaced by one that may not have been listed yet.
    async fn try_load(&self) -> Result<Option<Loaded>, Error> {
        let listed: Vec<_> = self
            .world
            .store
            .list(Some(&self.folder))
            .try_collect()
            .await
            .map_err(|cause| store_error("list", &self.folder, cause))?;
        let mut names: Vec<String> = listed
            .iter()
            .filter_map(|object| object.location.filename())
            .filter(|name| is_ours(name))
            .map(str::to_string)
            .collect();
        names.sort_unstable();
        let mut reads = stream::iter(names)
            .map(|name| async move {
                let path = self.folder.clone().join(name.as_str());
                let bytes = cas::read(&self.world.store, &path).await;
                bytes.map(|bytes| (name, path, bytes))
            })
            .buffered(READS_AT_ONCE);
        let mut read = Vec::new();
        let mut loaded = Loaded::default();
        while let Some((name, path, bytes)) = reads.try_next().await? {
            let Some(bytes) = bytes else {
                return Ok(None);
            };
            match format::decode(&bytes) {
                Ok(content) => read.push((name, content)),
                Err(fault) => loaded.damaged.push((path, fault)),
            }
        }
        drop(reads);
        let replaced: std::collections::HashSet<String> = read
            .iter()
            .flat_map(|(_, content)| content.replaces.iter().cloned())
            .collect();
        for (name, content) in read {
            if replaced.contains(&name) {
                loaded.leftovers.push(name);
            } else {
                loaded.names.push(name);
                loaded.contents.push(content);
            }
        }
        Ok(Some(loaded))
    }
}

/// Twenty digits, a hyphen, sixteen hexadecimal digits.
fn is_ours(name: &str) -> bool {
    name.split_once('-').is_some_and(|(time, chance)| {
        time.len() == 20
            && time.bytes().all(|byte| byte.is_ascii_digit())
            && chance.len() == 16
            && chance.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}
