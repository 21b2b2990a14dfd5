//! The objects of a catalog, without a node: for `debug catalog` (spec/cli.md §7.10). What is looked at is `catalog::inspect`'s business.

use std::sync::Arc;

use runtime::{Clock, Store, SystemClock};

pub use catalog::inspect::{Content, Object, ObjectKind};

use crate::node::local_folder;
use crate::{Error, ObjectStoreKind, store};

/// The objects of the catalog below `prefix`. Errors: as of [`catalog::inspect::objects`]; the settings of the store.
pub async fn list(kind: &ObjectStoreKind, prefix: &str) -> Result<Vec<Object>, Error> {
    catalog::inspect::objects(&open(kind)?, prefix).await
}

/// What stands in one of them, the newest when no number is given. Errors: as of [`catalog::inspect::content`].
pub async fn content(
    kind: &ObjectStoreKind,
    prefix: &str,
    object: ObjectKind,
    sequence: Option<u64>,
    skips_checksum: bool,
) -> Result<Content, Error> {
    catalog::inspect::content(&open(kind)?, prefix, object, sequence, skips_checksum).await
}

/// A folder that is not there is not made.
fn open(kind: &ObjectStoreKind) -> Result<Store, Error> {
    if let Some(folder) = local_folder(kind)
        && !folder.is_dir()
    {
        return Err(Error::not_found(format!(
            "there is no folder {}",
            folder.display()
        )));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    store::open(kind, &clock)
}
