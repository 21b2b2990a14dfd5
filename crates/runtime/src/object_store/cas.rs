//! Compare-and-swap on any store: create an object only if its name is free.

use std::time::Duration;

use bytes::Bytes;
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::{Path, Store, StoreError, store_error};
use crate::Error;

/// How often a create is tried that the store refuses although there is no object.
const REFUSALS_MAX: u32 = 6;

/// Before the second try after such a refusal; doubled for each further one.
const REFUSAL_PAUSE: Duration = Duration::from_millis(20);

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
/// A store can keep an object and lose its answer, and a client inside the store may try again by itself. So a failed create is tried
/// once more, and a taken name whose object has exactly our bytes counts as ours: callers put something in the bytes that nobody
/// else would write. S3 may also refuse two creates that meet (409) and keep neither: a name that is refused
/// and free is tried again.
///
/// Errors: `Unavailable` when the store did not say; the object may be there then, now or a little later.
pub async fn create(store: &Store, path: &Path, bytes: Bytes) -> Result<Created, Error> {
    let mut refusals = 0;
    let mut faults = 0;
    loop {
        let options = PutOptions::from(PutMode::Create);
        let payload = PutPayload::from_bytes(bytes.clone());
        match store.put_opts(path, payload, options).await {
            Ok(_) => return Ok(Created::Yes),
            Err(StoreError::AlreadyExists { .. }) => match read(store, path).await? {
                Some(found) if found == bytes => return Ok(Created::Yes),
                Some(_) => return Ok(Created::Taken),
                None if refusals < REFUSALS_MAX => {
                    tokio::time::sleep(REFUSAL_PAUSE * 2_u32.pow(refusals)).await;
                    refusals += 1;
                }
                None => {
                    return Err(Error::unavailable(format!(
                        "cannot create object {path}: the store says that it exists, and it does not"
                    )));
                }
            },
            Err(cause) if faults == 0 && may_pass(&cause) => faults += 1,
            Err(cause) => return Err(store_error("create", path, cause)),
        }
    }
}

/// Whether trying again could help.
fn may_pass(fault: &StoreError) -> bool {
    !matches!(
        fault,
        StoreError::NotImplemented { .. }
            | StoreError::NotSupported { .. }
            | StoreError::PermissionDenied { .. }
            | StoreError::Unauthenticated { .. }
    )
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
