//! Reads what the rules look at: sources and pages from the disk, packages from `cargo metadata`.
//!
//! The only part of tidy that touches anything outside its own memory, and it decides nothing.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::source::{self, Source};
use super::{Checkout, Package, Page};

/// Folders below the root that hold sources or pages of ours.
const FOLDERS: &[&str] = &["bench", "compat", "crates", "docs", "fuzz", "xtask"];

pub(crate) fn checkout(root: &Path) -> Result<Checkout> {
    let mut sources = Vec::new();
    let mut pages = Vec::new();
    for folder in FOLDERS {
        walk(root, &root.join(folder), &mut |path, text| {
            if path.ends_with(".rs") {
                sources.push(Source::new(path, text));
            } else {
                pages.push(Page { path, text });
            }
        })?;
    }
    source::mark_test_modules(&mut sources);
    Ok(Checkout {
        sources,
        pages,
        packages: packages(root)?,
    })
}

/// Gives every `.rs` and `.md` file below `folder` to `found`, by its path relative to `root`, in sorted order.
fn walk(root: &Path, folder: &Path, found: &mut impl FnMut(String, String)) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let mut paths = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        paths.push(entry?.path());
    }
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, found)?;
        } else if name.ends_with(".rs") || name.ends_with(".md") {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            found(relative(root, &path), text);
        }
    }
    Ok(())
}

/// The workspace members, as cargo understands their manifests.
fn packages(root: &Path) -> Result<Vec<Package>> {
    let output = crate::cargo(root)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?;
    let listed = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    listed
        .iter()
        .map(|package| self::package(root, package))
        .collect()
}

fn package(root: &Path, package: &Value) -> Result<Package> {
    let name = package["name"].as_str().context("a package has no name")?;
    let manifest_path = package["manifest_path"]
        .as_str()
        .with_context(|| format!("package {name} has no manifest"))?;
    let manifest = fs::read_to_string(manifest_path)
        .with_context(|| format!("cannot read {manifest_path}"))?;
    let mut local = Vec::new();
    let mut local_tests = Vec::new();
    let mut foreign = Vec::new();
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let dependency_name = dependency["name"]
            .as_str()
            .with_context(|| format!("a dependency of {name} has no name"))?;
        let is_local = dependency["path"].is_string();
        let names = match dependency["kind"].as_str() {
            Some("dev") if is_local => &mut local_tests,
            _ if is_local => &mut local,
            _ => &mut foreign,
        };
        names.push(dependency_name.to_string());
    }
    Ok(Package {
        name: name.to_string(),
        manifest_path: relative(root, Path::new(manifest_path)),
        manifest,
        local,
        local_tests,
        foreign,
    })
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/")
}
