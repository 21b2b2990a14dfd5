//! Verifying what a node has stored, without a node: opens the store as a node would and hands it to `storage::verify`; then looks
//! at the token events, which are the server's own.
//!
//! Not here: what is looked at, and what may be repaired (`storage`); how findings are told (`cli`).

use std::sync::Arc;

use runtime::{Clock, Random, SystemClock, Tasks, World};

pub use storage::verify::{Depth, Finding, FindingKind, Repair, Repaired, Summary};

use crate::node::local_folder;
use crate::{Error, ObjectStoreKind, store, token_events};

/// Verifies what node `node_id` has in a store, reporting findings as they come.
///
/// Errors: as of [`storage::verify::verify`]; `NotFound` also when the folder does not exist.
pub async fn verify(
    kind: &ObjectStoreKind,
    node_id: &str,
    depth: Depth,
    repair: Repair,
    report: &mut (dyn FnMut(Finding) + Send),
) -> Result<Summary, Error> {
    let local_folder = local_folder(kind);
    if let Some(folder) = &local_folder
        && !folder.is_dir()
    {
        return Err(Error::not_found(format!(
            "there is no folder {}",
            folder.display()
        )));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let world = World {
        store: store::open(kind, &clock)?,
        clock,
        random: Random::System,
        tasks: Tasks::new(),
    };
    let options = storage::verify::Options {
        node_id: node_id.to_string(),
        local_folder,
        depth,
        repair,
    };
    let mut summary = storage::verify::verify(&options, &world, report).await?;
    for (path, fault) in token_events::damaged(node_id, &world).await? {
        *summary.findings.entry(FindingKind::Damaged).or_default() += 1;
        report(Finding {
            kind: FindingKind::Damaged,
            object: path.to_string(),
            message: fault.to_string(),
            repaired: Repaired::No,
        });
    }
    Ok(summary)
}
