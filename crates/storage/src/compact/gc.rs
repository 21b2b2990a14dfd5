//! Taking objects away that nothing needs any more: replaced files once no reader holds them, and what crashed processes left.

use std::sync::Arc;

use futures::TryStreamExt;
use parking_lot::Mutex;
use runtime::object_store::{ObjectStoreExt, Path, store_error};

use crate::file::DataFile;
use crate::live::Live;
use crate::paths::number_in_name;
use crate::{Error, ErrorKind};

/// Objects on their way out.
#[derive(Debug, Default)]
pub struct Garbage {
    files: Mutex<Vec<Arc<DataFile>>>,
    lists: Mutex<Vec<Path>>,
}

impl Garbage {
    /// Files that no manifest names any more.
    pub fn add_files(&self, files: impl IntoIterator<Item = Arc<DataFile>>) {
        self.files.lock().extend(files);
    }

    /// Lists of deleted rows that no manifest names any more.
    pub fn add_lists(&self, lists: impl IntoIterator<Item = Path>) {
        self.lists.lock().extend(lists);
    }

    /// Removes what nobody reads any more. What fails is tried again next time.
    pub async fn collect(&self, live: &Live) {
        let (free, held): (Vec<_>, Vec<_>) = std::mem::take(&mut *self.files.lock())
            .into_iter()
            // A reader holds the file as long as it may read of it.
            .partition(|file| Arc::strong_count(file) == 1);
        self.files.lock().extend(held);
        for file in free {
            if remove(live, &file.path).await.is_err() {
                self.files.lock().push(file);
            }
        }
        let lists = std::mem::take(&mut *self.lists.lock());
        for list in lists {
            if remove(live, &list).await.is_err() {
                self.lists.lock().push(list);
            }
        }
    }

    /// Files and lists still to be removed.
    pub fn len(&self) -> usize {
        self.files.lock().len() + self.lists.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

async fn remove(live: &Live, path: &Path) -> Result<(), Error> {
    match live.world.store.delete(path).await {
        Ok(()) => Ok(()),
        Err(cause) => {
            let fault = store_error("remove", path, cause);
            if fault.kind() == ErrorKind::NotFound {
                return Ok(());
            }
            tracing::warn!(error = %fault, "cannot remove an object that is not needed any more");
            Err(fault)
        }
    }
}

/// Removes files and lists of earlier processes that the manifest does not name: attempts that were never committed, and
/// removals that were not carried out. What is on its way out, and may still be read, stays. Answers how many.
pub async fn remove_orphans(live: &Live, garbage: &Garbage) -> Result<usize, Error> {
    let epoch = live.epoch().await;
    let mut named = live.named_ids().await;
    named.extend(garbage.files.lock().iter().map(|file| file.entry.id));
    let mut removed = 0;
    for (folder, extension) in [
        (live.paths.data_files(), "parquet"),
        (live.paths.tombstones(), "rows"),
    ] {
        let mut objects = live.world.store.list(Some(&folder));
        loop {
            let object = objects
                .try_next()
                .await
                .map_err(|cause| store_error("list", &folder, cause))?;
            let Some(object) = object else { break };
            let id = object
                .location
                .filename()
                .and_then(|name| number_in_name(name, extension));
            // The epoch is in the id: what this process has made is not looked at.
            let is_orphan = id.is_some_and(|id| id >> 32 < epoch && !named.contains(&id));
            if is_orphan && remove(live, &object.location).await.is_ok() {
                removed += 1;
            }
        }
    }
    Ok(removed)
}
