//! The folder in which queries go on when their memory is full: one for each process, removed with it.
//!
//! A process that is killed leaves its folder behind; the next one that starts with the same place removes it. Whether the owner
//! of a folder still runs is told by the lock that it holds on a file in it, which ends with it whatever happens. Not here:
//! what is written (DataFusion), when (`memory`).

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use runtime::Random;

use crate::Error;

/// Before the random part of a folder's name.
const PREFIX: &str = "influxdb3-spill-";

/// Before the name of one that is not locked yet, which nobody may take for left over.
const UNFINISHED: &str = ".";

const LOCK: &str = "lock";

/// A folder of this process, removed when dropped.
#[derive(Debug)]
pub struct SpillFolder {
    path: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

impl SpillFolder {
    /// Makes a folder in `place`, which is made too if it is missing, and removes those that dead processes have left there.
    ///
    /// Blocks. Errors: `Unavailable` when the place cannot be written to.
    pub fn open(place: &Path, random: &Random) -> Result<Self, Error> {
        let mut chance = [0; 8];
        random.fill(&mut chance)?;
        let name = format!("{PREFIX}{:016x}", u64::from_le_bytes(chance));
        Self::make(place, &name).map_err(|cause| {
            let place = place.display();
            Error::unavailable(format!(
                "queries cannot use the folder {place} for what exceeds their memory"
            ))
            .with_source(cause)
        })
    }

    fn make(place: &Path, name: &str) -> io::Result<Self> {
        fs::create_dir_all(place)?;
        remove_left_over(place);
        let unfinished = place.join(format!("{UNFINISHED}{name}"));
        fs::create_dir(&unfinished)?;
        let lock = File::create_new(unfinished.join(LOCK))?;
        lock.lock()?;
        let path = place.join(name);
        fs::rename(&unfinished, &path)?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SpillFolder {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next process.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes the folders in `place` whose processes have ended. One that cannot be removed stays, with a line in the log.
fn remove_left_over(place: &Path) {
    let Ok(entries) = fs::read_dir(place) else {
        return;
    };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let path = entry.path();
        if is_ours && is_left_over(&path) {
            match fs::remove_dir_all(&path) {
                Ok(()) => {
                    tracing::info!(folder = %path.display(), "removed what an earlier process left")
                }
                Err(fault) => {
                    tracing::warn!(folder = %path.display(), %fault, "cannot remove what an earlier process left");
                }
            }
        }
    }
}

fn is_left_over(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(lock) => match lock.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
        },
        // Being removed by its owner.
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(place: &Path) -> Vec<String> {
        let entries = fs::read_dir(place).expect("it is there");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn what_dead_processes_leave_is_removed_and_what_living_ones_use_is_not() {
        let place = std::env::temp_dir().join(format!("gnomon-spill-test-{}", std::process::id()));
        let random = Random::seeded(7);
        let living = SpillFolder::open(&place, &random).expect("a folder");
        let dead = place.join(format!("{PREFIX}dead"));
        fs::create_dir(&dead).expect("a folder");
        fs::write(dead.join(LOCK), "").expect("a file");
        fs::write(dead.join("rows"), "rows").expect("a file");
        let strangers = place.join("other");
        fs::create_dir(&strangers).expect("a folder");
        let next = SpillFolder::open(&place, &random).expect("a folder");
        assert!(living.path().exists() && next.path().exists() && strangers.exists());
        assert!(!dead.exists());
        drop((living, next));
        assert_eq!(names(&place), ["other"]);
        fs::remove_dir_all(&place).expect("all of it");
    }

    #[test]
    fn a_place_that_is_a_file_is_refused() {
        let place = std::env::temp_dir().join(format!("gnomon-spill-file-{}", std::process::id()));
        fs::write(&place, "").expect("a file");
        let error = SpillFolder::open(&place, &Random::seeded(1)).expect_err("no folder");
        assert!(
            error
                .to_string()
                .starts_with("queries cannot use the folder "),
            "{error}"
        );
        fs::remove_file(&place).expect("a file");
    }
}
