//! The code of a plugin on this machine: one file, or a folder with `__init__.py` and whatever lies below it (spec/cli.md §7.1, §7.6).
//!
//! Not here: sending it (`trigger`).

use std::path::{Path, PathBuf};

use anyhow::bail;

/// The file that makes a folder a plugin.
const ENTRY: &str = "__init__.py";

/// What Python leaves beside the code.
const LEFTOVERS: &str = "__pycache__";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum PluginSource {
    File(Piece),
    Folder { name: String, pieces: Vec<Piece> },
}

/// A file and what stands in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Relative to the plugin, parts joined by `/`.
    pub(super) path: String,
    pub(super) content: String,
}

/// Reads the plugin at `path`; `missing` begins the message when nothing is there.
pub(super) fn read(path: &Path, missing: &str) -> anyhow::Result<PluginSource> {
    let shown = path.display();
    let Ok(about) = std::fs::metadata(path) else {
        bail!("{missing}: {shown}");
    };
    // Only the last part is sent: where the file lies here is nothing to the server.
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        bail!("Invalid path: {shown}");
    };
    let name = name.to_string();
    if about.is_file() {
        let content = content_of(path)?;
        return Ok(PluginSource::File(Piece {
            path: name,
            content,
        }));
    }
    if !about.is_dir() {
        bail!("Invalid path: {shown}");
    }
    if !path.join(ENTRY).is_file() {
        bail!("Multi-file plugin directory must contain __init__.py: {shown}");
    }
    let mut pieces = Vec::new();
    gather(path, "", &mut pieces)?;
    if pieces.is_empty() {
        bail!("No Python files found in directory");
    }
    pieces.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(PluginSource::Folder { name, pieces })
}

/// Adds every `*.py` below `folder`; links are not followed.
fn gather(folder: &Path, prefix: &str, pieces: &mut Vec<Piece>) -> anyhow::Result<()> {
    for (name, path) in entries(folder)? {
        let Ok(about) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        if about.is_dir() && name != LEFTOVERS {
            gather(&path, &format!("{prefix}{name}/"), pieces)?;
        } else if about.is_file() && name.ends_with(".py") {
            pieces.push(Piece {
                path: format!("{prefix}{name}"),
                content: content_of(&path)?,
            });
        }
    }
    Ok(())
}

/// What lies in a folder, where its name is plain text.
fn entries(folder: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let unreadable = |cause| anyhow::anyhow!("cannot read {}: {cause}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

fn content_of(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path)
        .map_err(|cause| anyhow::anyhow!("cannot read {}: {cause}", path.display()))
}
