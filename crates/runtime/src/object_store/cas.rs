//! Compare-and-swap on any store: create an object only if its name is free.

use bytes::Bytes;
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::{Path, Store, StoreError, store_error};
use crate::Error;

/// What became of a create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The object is ours and durable.
    Yes,
    /// Another object has that name already; nothing was changed.
    Taken,
}

/// Creates `path` with `bytes` unless it exists. Durable when it returns [`Created::Yes`].
///
/// A store can keep an object and lose its answer. So a failed create is tried once more, and a taken name whose object has
/// exactly our bytes counts as ours: callers put something in the bytes that nobody else would write.
pub async fn create(store: &Store, path: &Path, bytes: Bytes) -> Result<Created, Error> {
    let put = || {
        let options = PutOptions::from(PutMode::Create);
        store.put_opts(path, PutPayload::from_bytes(bytes.clone()), options)
    };
    let first = put().await;
    let outcome = match first {
        Ok(_) | Err(StoreError::AlreadyExists { .. }) => first,
        Err(_) => put().await,
    };
    match outcome {
        Ok(_) => Ok(Created::Yes),
        Err(StoreError::AlreadyExists { .. }) => {
            let is_ours = read(store, path).await?.as_deref() == Some(bytes.as_ref());
            Ok(if is_ours {
                Created::Yes
            } else {
                Created::Taken
            })
        }
        Err(cause) => Err(store_error("create", path, cause)),
    }
}

/// Reads a whole object, or `None` when there is none.
pub async fn read(store: &Store, path: &Path) -> Result<Option<Bytes>, Error> {
    match store.get(path).await {
        Ok(found) => found
            .bytes()
            .await
            .map(Some)
            .map_err(|cause| store_error("read", path, cause)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(cause) => Err(store_error("read", path, cause)),
    }
}
