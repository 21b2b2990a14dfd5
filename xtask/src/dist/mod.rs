//! `cargo xtask dist`: a Debian package, an archive and their check sums, from a built binary.
//!
//! ```text
//! binary + repository ─> contents (what lies where) ─> archive (tar, ar) ─> gzip ─> target/dist
//! ```
//! The same binary and sources give the same bytes: every time in them is `SOURCE_DATE_EPOCH`, or that of the last commit.
//! Needs `gzip` and, to make the binary smaller, `strip`; no tool of Debian.

mod archive;
mod contents;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use archive::{ar, tar, with_folders};
use contents::{PACKAGE, Parts};

const VERSION: &str = env!("CARGO_PKG_VERSION");

const SHELLS: [&str; 3] = ["bash", "fish", "zsh"];

/// Packages `binary`, or a release that is built first; false when that fails.
pub(crate) fn run(root: &Path, binary: Option<&str>) -> Result<bool> {
    let target = crate::target_folder(root);
    let binary = match binary {
        Some(path) => PathBuf::from(path),
        None => {
            if !build(root)? {
                return Ok(false);
            }
            target.join("release/influxdb3")
        }
    };
    let dist = target.join("dist");
    let work = dist.join("work");
    // Nothing of an earlier run may get in.
    if work.exists() {
        std::fs::remove_dir_all(&work).context("cannot empty the folder of an earlier run")?;
    }
    std::fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let time_s = time_s(root)?;
    let parts = parts(root, &binary, &work)?;
    let architecture = contents::architecture(&parts.binary)
        .with_context(|| format!("{} cannot be packaged", binary.display()))?;

    let top = format!("{PACKAGE}-{VERSION}-linux-{architecture}");
    let entries = with_folders(&contents::archive(&parts));
    let archive = gzip(&tar(&format!("{top}/"), &entries, time_s)?)?;
    let archive_name = format!("{top}.tar.gz");

    let control = gzip(&tar(
        "./",
        &contents::control(&parts, architecture)?,
        time_s,
    )?)?;
    let data = gzip(&tar(
        "./",
        &with_folders(&contents::debian(&parts)?),
        time_s,
    )?)?;
    let package = ar(
        &[
            ("debian-binary", b"2.0\n".to_vec()),
            ("control.tar.gz", control),
            ("data.tar.gz", data),
        ],
        time_s,
    );
    let version = contents::debian_version(VERSION);
    let package_name = format!("{PACKAGE}_{version}_{architecture}.deb");

    let mut names = Vec::new();
    for (name, bytes) in [(archive_name, archive), (package_name, package)] {
        let path = dist.join(&name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        names.push(name);
    }
    std::fs::remove_dir_all(&work).context("cannot remove the folder of this run")?;
    let sums = output(Command::new("sha256sum").args(&names).current_dir(&dist))?;
    std::fs::write(dist.join("SHA256SUMS"), &sums).context("cannot write the check sums")?;
    print!("{}", String::from_utf8_lossy(&sums));
    println!("in {}", dist.display());
    Ok(true)
}

fn build(root: &Path) -> Result<bool> {
    let status = crate::cargo(root)
        .args(["build", "--release", "--locked", "--package", "cli"])
        .status()
        .context("cannot run cargo")?;
    Ok(status.success())
}

/// The one time that stands in the packages.
fn time_s(root: &Path) -> Result<u64> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => {
            let mut git = Command::new("git");
            git.args(["log", "-1", "--format=%ct"]).current_dir(root);
            let told = output(&mut git).context("without a repository, set SOURCE_DATE_EPOCH")?;
            String::from_utf8(told).context("git told no text")?
        }
    };
    let text = text.trim();
    text.parse()
        .with_context(|| format!("SOURCE_DATE_EPOCH is no number of seconds: {text}"))
}

fn parts(root: &Path, binary: &Path, work: &Path) -> Result<Parts> {
    let told = output(Command::new(binary).arg("--version"))?;
    let told = String::from_utf8_lossy(&told).trim().to_string();
    ensure!(
        told.contains(&format!(" {VERSION},")),
        "{} is not of version {VERSION}: {told}",
        binary.display()
    );
    let mut sources = Vec::new();
    for folder in ["docs/guide", "docs/reference", "packaging"] {
        if root.join(folder).exists() {
            files_below(root, folder, &mut sources)?;
        }
    }
    for name in ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md"] {
        let content =
            std::fs::read(root.join(name)).with_context(|| format!("cannot read {name}"))?;
        sources.push((name.to_string(), content));
    }
    sources.sort();
    Ok(Parts {
        version: VERSION.to_string(),
        binary: stripped(binary, work)?,
        manuals: manuals(binary, work)?,
        completions: completions(binary),
        sources,
    })
}

/// The binary without what only a debugger needs.
fn stripped(binary: &Path, work: &Path) -> Result<Vec<u8>> {
    let copy = work.join("influxdb3");
    std::fs::copy(binary, &copy).with_context(|| format!("cannot copy {}", binary.display()))?;
    let strip = Command::new("strip")
        .arg("--strip-debug")
        .arg(&copy)
        .status();
    if !strip.is_ok_and(|status| status.success()) {
        eprintln!("xtask: no `strip` here: the binary is packaged as it is");
    }
    std::fs::read(&copy).context("cannot read the copy of the binary")
}

/// Manual pages, compressed as Debian wants them; none when the binary makes none.
fn manuals(binary: &Path, work: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = work.join("man");
    std::fs::create_dir_all(&folder).context("cannot make a folder for manual pages")?;
    let mut command = Command::new(binary);
    if let Err(fault) = output(command.args(["man", "--output-dir"]).arg(&folder)) {
        eprintln!("xtask: packages have no manual pages: {fault:#}");
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    files_below(work, "man", &mut found)?;
    let mut pages = Vec::new();
    for (path, content) in found {
        let name = path.rsplit('/').next().unwrap_or(&path);
        pages.push((format!("{name}.gz"), gzip(&content)?));
    }
    pages.sort();
    Ok(pages)
}

fn completions(binary: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for shell in SHELLS {
        match output(Command::new(binary).args(["completion", shell])) {
            Ok(text) => all.push((shell.to_string(), text)),
            Err(fault) => eprintln!("xtask: packages complete nothing in {shell}: {fault:#}"),
        }
    }
    all
}

/// Files below `root/folder` with their paths from `root`.
fn files_below(root: &Path, folder: &str, found: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let entries =
        std::fs::read_dir(root.join(folder)).with_context(|| format!("cannot read {folder}"))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {folder}"))?;
        let name = entry.file_name();
        let path = format!("{folder}/{}", name.to_string_lossy());
        if entry.path().is_dir() {
            files_below(root, &path, found)?;
        } else {
            let content =
                std::fs::read(entry.path()).with_context(|| format!("cannot read {path}"))?;
            found.push((path, content));
        }
    }
    Ok(())
}

/// What a command tells; that it fails is an error with its last line.
fn output(command: &mut Command) -> Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        let line = told.lines().find(|line| !line.trim().is_empty());
        bail!("{program} failed: {}", line.unwrap_or("it says nothing"));
    }
    Ok(output.stdout)
}

/// Compressed without a name or a time of its own.
fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new("gzip")
        .args(["--no-name", "--best", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run gzip")?;
    let mut input = child.stdin.take().expect("its input is a pipe");
    // Both ends at once: what a pipe holds is little.
    let (written, output) = std::thread::scope(|scope| {
        let writer = scope.spawn(move || std::io::Write::write_all(&mut input, bytes));
        let output = child.wait_with_output();
        (writer.join(), output)
    });
    let output = output.context("gzip cannot be waited for")?;
    ensure!(output.status.success(), "gzip failed: {}", output.status);
    match written {
        Ok(written) => written.context("gzip takes nothing")?,
        Err(_) => bail!("writing to gzip was cut off"),
    }
    Ok(output.stdout)
}
