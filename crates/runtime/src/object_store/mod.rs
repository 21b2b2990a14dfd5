//! The object store: one interface over memory and a local folder (and, later, remote buckets).
//!
//! Everything durable except a local write-ahead log goes through here. Numbered objects made with
//! [`cas::create`] are the only compare-and-swap the program uses; every store can do it.

pub mod cas;

pub mod local;

use std::path::Path as FilePath;
use std::sync::Arc;

pub use ::object_store::path::Path;
pub use ::object_store::{
    Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload,
};

use crate::Error;

/// A shared handle on an object store.
pub type Store = Arc<dyn ObjectStore>;

/// A store that forgets everything when the process ends.
pub fn in_memory() -> Store {
    Arc::new(::object_store::memory::InMemory::new())
}

/// A store in a local folder, created if missing, whose puts are on disk before they return.
pub fn in_folder(folder: &FilePath) -> Result<Store, Error> {
    Ok(Arc::new(local::DurableFolder::open(folder)?))
}

/// Turns a store failure into our error, naming the object.
pub fn store_error(action: &str, path: &Path, cause: StoreError) -> Error {
    let message = format!("cannot {action} object {path}");
    match cause {
        StoreError::NotFound { .. } => Error::not_found(message),
        StoreError::AlreadyExists { .. } => Error::conflict(message),
        _ => Error::unavailable(message),
    }
    .with_source(cause)
}
