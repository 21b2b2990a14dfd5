//! Tells the compiler which revision of the source is being built, as the variable `GNOMON_REVISION`.
//!
//! The environment variable of that name wins (packages are built from archives); else git is asked, when this folder
//! is the top of a working copy; else the revision is `unknown`. Runs again only when HEAD has moved.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=GNOMON_REVISION");
    let revision = given()
        .or_else(committed)
        .unwrap_or_else(|| "unknown".to_string());
    println!("cargo:rustc-env=GNOMON_REVISION={revision}");
}

fn given() -> Option<String> {
    let given = std::env::var("GNOMON_REVISION").ok()?;
    let given = given.trim();
    (!given.is_empty()).then(|| given.to_string())
}

fn committed() -> Option<String> {
    let crate_folder = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?);
    let workspace = crate_folder.join("../..").canonicalize().ok()?;
    // An archive unpacked inside somebody else's working copy must not take that copy's revision for its own.
    let top = PathBuf::from(git(&workspace, &["rev-parse", "--show-toplevel"])?);
    if top.canonicalize().ok()? != workspace {
        return None;
    }
    let revision = git(&workspace, &["rev-parse", "--verify", "HEAD"])?;
    watch(&workspace);
    Some(revision)
}

/// Names to cargo the files that change when HEAD does: its log if one is kept, else the references themselves.
fn watch(workspace: &Path) {
    let existing = |name: &str| {
        let path = workspace.join(git(workspace, &["rev-parse", "--git-path", name])?);
        path.exists().then_some(path)
    };
    let watched = match existing("logs/HEAD") {
        Some(log) => vec![log],
        None => ["HEAD", "refs/heads", "packed-refs"]
            .into_iter()
            .filter_map(existing)
            .collect(),
    };
    for path in watched {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_string())
}
