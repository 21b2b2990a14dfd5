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
/// A lost answer from a remote store can make our own object look taken: callers that can meet this
/// must compare the stored bytes with their own.
pub async fn create(store: &Store, path: &Path, bytes: Bytes) -> Result<Created, Error> {
    let options = PutOptions::from(PutMode::Create);
    match store.put_opts(path, PutPayload::from_bytes(bytes), options).await {
        Ok(_) => Ok(Created::Yes),
        Err(StoreError::AlreadyExists { .. }) => Ok(Created::Taken),
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
