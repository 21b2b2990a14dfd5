//! Checking everything a node has stored, and putting away what is of no use.
//!
//! Reads catalog, manifest, log and files as a start would, further and without believing anything, and tells what it finds. It
//! changes nothing unless asked, and then only removes what nothing names and sets damaged log segments aside that hold nothing
//! any more. A server may run meanwhile: what vanishes because the manifest moved on is no finding. Memory is bounded by the
//! catalog, the manifest, one log segment and one row group. For operators: docs/guide/verify.md.

mod catalog_log;

mod data_file;

mod leftovers;

mod log;

mod manifest_log;

use std::collections::BTreeMap;
use std::path::PathBuf;

use runtime::World;

use crate::paths::Paths;
use crate::wal::folder::FolderLock;
use crate::{Error, ErrorKind};

/// How thoroughly to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Data files are not read whole: their size and their footer tell.
    Fast,
    /// Every byte of every object.
    Whole,
}

/// Whether to put away what is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    No,
    /// Only when it is sure that no server runs, which only the lock of a folder can tell.
    WhenAlone,
    /// The caller knows that no server runs.
    Forced,
}

/// What to verify.
#[derive(Clone, Debug)]
pub struct Options {
    /// Prefix of every object path.
    pub node_id: String,
    /// The root of the store when it is a local folder.
    pub local_folder: Option<PathBuf>,
    pub depth: Depth,
    pub repair: Repair,
}

/// What is wrong with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// It cannot be read, or does not say what others say of it.
    Damaged,
    /// It is named, and not there.
    Missing,
    /// Numbers in a row that are not there.
    Gap,
    /// Nothing names it.
    Orphan,
    /// Nothing wrong, but worth knowing.
    Note,
}

impl FindingKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Missing => "missing",
            Self::Gap => "gap",
            Self::Orphan => "orphan",
            Self::Note => "note",
        }
    }
}

/// What was done about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repaired {
    No,
    Removed,
    SetAside,
}

impl Repaired {
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Removed => "removed",
            Self::SetAside => "set_aside",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub kind: FindingKind,
    /// Path in the store.
    pub object: String,
    /// What, for people.
    pub message: String,
    pub repaired: Repaired,
}

impl Finding {
    fn new(kind: FindingKind, object: impl ToString, message: impl Into<String>) -> Self {
        Self {
            kind,
            object: object.to_string(),
            message: message.into(),
            repaired: Repaired::No,
        }
    }

    fn damaged(object: impl ToString, message: impl Into<String>) -> Self {
        Self::new(FindingKind::Damaged, object, message)
    }
}

/// What was looked at, and how much was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub catalog_objects: u64,
    pub manifest_objects: u64,
    pub log_segments: u64,
    pub log_frames: u64,
    pub log_bytes: u64,
    pub files: u64,
    pub file_bytes: u64,
    pub file_rows: u64,
    /// Lists of deleted rows.
    pub delete_lists: u64,
    /// By kind.
    pub findings: BTreeMap<FindingKind, u64>,
    pub repaired: u64,
}

impl Summary {
    /// Whether nothing but notes was found.
    pub fn is_clean(&self) -> bool {
        self.findings
            .iter()
            .all(|(kind, count)| *kind == FindingKind::Note || *count == 0)
    }
}

/// Whether a server works on what is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InUse {
    No,
    Yes,
    /// A store that others reach has no lock to ask.
    Unknown,
}

/// Where findings go.
struct Findings<'a> {
    report: &'a mut (dyn FnMut(Finding) + Send),
    counts: BTreeMap<FindingKind, u64>,
    repaired: u64,
}

impl Findings<'_> {
    fn add(&mut self, finding: Finding) {
        *self.counts.entry(finding.kind).or_default() += 1;
        self.repaired += u64::from(finding.repaired != Repaired::No);
        (self.report)(finding);
    }

    fn extend(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            self.add(finding);
        }
    }
}

/// Verifies what a node has stored and reports findings as they come.
///
/// Errors: `NotFound` when nothing is stored under the node's name, `Conflict` when a repair is asked for while a server uses the
/// folder, `Invalid` when it cannot be known whether one does, `Unavailable` when the store fails. Damage is no error but a finding.
pub async fn verify(
    options: &Options,
    world: &World,
    report: &mut (dyn FnMut(Finding) + Send),
) -> Result<Summary, Error> {
    let paths = Paths::new(&options.node_id);
    let mut findings = Findings {
        report,
        counts: BTreeMap::new(),
        repaired: 0,
    };
    // Held to the end of a repair, so that no server starts in the middle of it.
    let (in_use, _lock) = look_for_server(options, &paths)?;
    let mut summary = Summary::default();

    let catalog = catalog_log::read(&options.node_id, &world.store).await?;
    let manifest = manifest_log::read(&paths, &world.store).await?;
    if catalog.objects + manifest.objects == 0 {
        return Err(Error::not_found(format!(
            "nothing is stored under node id '{}'",
            options.node_id
        )));
    }
    summary.catalog_objects = catalog.objects;
    summary.manifest_objects = manifest.objects;
    findings.extend(catalog.findings);
    findings.extend(manifest.findings);
    let snapshot = catalog.snapshot;

    // The log before the manifest's last word on it: what is removed meanwhile is covered by then.
    let covered = manifest.manifest.as_ref().map_or(0, |m| m.covered_sequence);
    let log = log::read(&paths, &world.store, covered, snapshot.as_ref()).await?;
    summary.log_segments = log.segments.len() as u64;
    summary.log_frames = log.frames;
    summary.log_bytes = log.bytes;

    let mut suspects = Vec::new();
    if let Some(manifest) = &manifest.manifest {
        for entry in manifest.files.values() {
            let path = paths.data_file(entry.database, entry.table, entry.id);
            let table = snapshot
                .as_ref()
                .and_then(|snapshot| snapshot.table_by_id(entry.table))
                .map(|(_, table)| &**table);
            let check = data_file::Check {
                world,
                path: &path,
                entry,
                table,
                depth: options.depth,
            };
            match check.run().await? {
                data_file::Outcome::Gone => suspects.push(entry.id),
                data_file::Outcome::Read(found) => findings.extend(found),
            }
            summary.files += 1;
            summary.file_bytes += entry.bytes;
            summary.file_rows += entry.rows;
        }
    }
    let last = manifest_log::read(&paths, &world.store).await?;
    if let Some(manifest) = &last.manifest {
        for id in suspects {
            if let Some(entry) = manifest.files.get(&id) {
                let path = paths.data_file(entry.database, entry.table, entry.id);
                let message = format!("the manifest names this file of {} rows", entry.rows);
                findings.add(Finding::new(FindingKind::Missing, path, message));
            }
        }
        summary.delete_lists =
            leftovers::check_delete_lists(manifest, &paths, &world.store, &mut findings).await?;
        let sweep = leftovers::Sweep {
            world,
            paths: &paths,
            options,
            manifest,
            in_use,
            // Who cannot read what is live must not decide what is not.
            may_repair: options.repair != Repair::No && snapshot.is_some(),
        };
        let set_aside = log::judge(&log, manifest, &sweep, &mut findings).await?;
        sweep.run(&set_aside, &mut findings).await?;
    } else {
        findings.add(Finding::new(
            FindingKind::Note,
            paths.manifest_log(),
            "without a sound manifest, files and log could not be judged",
        ));
    }
    summary.findings = findings.counts;
    summary.repaired = findings.repaired;
    Ok(summary)
}

/// Whether a server uses the folder, and its lock when a repair needs it.
fn look_for_server(options: &Options, paths: &Paths) -> Result<(InUse, Option<FolderLock>), Error> {
    let Some(root) = &options.local_folder else {
        return match options.repair {
            Repair::WhenAlone => Err(Error::invalid(
                "it cannot be known whether a server uses this store: stop it and force the repair",
            )),
            Repair::No => Ok((InUse::Unknown, None)),
            Repair::Forced => Ok((InUse::No, None)),
        };
    };
    let folder = root.join(paths.wal().as_ref());
    if !folder.is_dir() {
        return Ok((InUse::No, None));
    }
    match FolderLock::acquire(&folder) {
        // Given back at once, or a server could not start while somebody only looks.
        Ok(lock) => Ok((InUse::No, (options.repair != Repair::No).then_some(lock))),
        Err(fault) if fault.kind() == ErrorKind::Conflict => match options.repair {
            Repair::No => Ok((InUse::Yes, None)),
            _ => Err(fault),
        },
        // A folder that may only be read has no lock to take, and nobody who writes here.
        Err(_) if options.repair == Repair::No => Ok((InUse::Unknown, None)),
        Err(fault) => Err(fault),
    }
}
