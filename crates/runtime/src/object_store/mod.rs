//! The object store: one interface over memory, a local folder and remote buckets.
//!
//! Everything durable except a local write-ahead log goes through here. Numbered objects made with
//! [`cas::create`] are the only compare-and-swap the program uses; every store can do it.

pub mod cas;

pub mod local;

pub mod remote;

pub mod probe;

pub mod aws_credentials;

pub mod secret;

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use ::object_store::memory::InMemory;
use ::object_store::throttle::{ThrottleConfig, ThrottledStore};

pub use ::object_store::path::Path;
pub use ::object_store::{
    Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload,
};

pub use secret::Secret;

use crate::Error;

/// A shared handle on an object store.
pub type Store = Arc<dyn ObjectStore>;

/// A store that forgets everything when the process ends.
pub fn in_memory() -> Store {
    Arc::new(InMemory::new())
}

/// A store in memory that is as slow as one far away: 100 ms for each call, 0.1 ms for each listed entry, a gigabyte a second of
/// reading (spec/server-config.md §9).
pub fn in_memory_throttled() -> Store {
    let call = Duration::from_millis(100);
    let entry = Duration::from_micros(100);
    let settings = ThrottleConfig {
        wait_delete_per_call: call,
        wait_get_per_byte: Duration::from_nanos(1),
        wait_get_per_call: call,
        wait_list_per_call: call,
        wait_list_per_entry: entry,
        wait_list_with_delimiter_per_call: call,
        wait_list_with_delimiter_per_entry: entry,
        wait_put_per_call: call,
    };
    Arc::new(ThrottledStore::new(InMemory::new(), settings))
}

/// A store in a local folder, created if missing, whose puts are on disk before they return.
pub fn in_folder(folder: &FilePath) -> Result<Store, Error> {
    Ok(Arc::new(local::DurableFolder::open(folder)?))
}

/// Turns a store failure into our error, naming the object.
pub fn store_error(action: &str, path: &Path, cause: StoreError) -> Error {
    let message = match untold(&cause) {
        Some(reason) => format!("cannot {action} object {path} ({reason})"),
        None => format!("cannot {action} object {path}"),
    };
    match cause {
        StoreError::NotFound { .. } => Error::not_found(message),
        StoreError::AlreadyExists { .. } => Error::conflict(message),
        _ => Error::unavailable(message),
    }
    .with_source(cause)
}

/// The reason below a failure that its own words leave out, such as that the store's certificate is not trusted.
fn untold(cause: &StoreError) -> Option<String> {
    let mut fault: &dyn std::error::Error = cause;
    while let Some(source) = fault.source() {
        fault = source;
    }
    let reason = fault.to_string();
    (!cause.to_string().contains(&reason)).then_some(reason)
}
