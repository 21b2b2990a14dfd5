//! What lies where: in the Debian package and in the archive. Pure; `mod` reads the files and writes the packages.

use anyhow::{Result, bail};

use super::archive::Entry;

/// A name of its own: under that of another maker, their repository would replace it by their next version.
pub(super) const PACKAGE: &str = "gnomon";

/// What packages are made of.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) version: String,
    pub(super) binary: Vec<u8>,
    /// Manual pages by name, such as `influxdb3-serve.1`.
    pub(super) manuals: Vec<(String, Vec<u8>)>,
    /// Completions by shell.
    pub(super) completions: Vec<(String, Vec<u8>)>,
    /// Files of the repository by path: those below `packaging` and `docs`, licences, README and CHANGELOG.
    pub(super) sources: Vec<(String, Vec<u8>)>,
}

impl Parts {
    fn source(&self, path: &str) -> Result<Vec<u8>> {
        let found = self.sources.iter().find(|(name, _)| name == path);
        match found {
            Some((_, content)) => Ok(content.clone()),
            None => bail!("{path} is missing"),
        }
    }

    fn documents(&self) -> impl Iterator<Item = &(String, Vec<u8>)> {
        let is_document =
            |path: &str| path.starts_with("docs/") || ["README.md", "CHANGELOG.md"].contains(&path);
        self.sources
            .iter()
            .filter(move |(path, _)| is_document(path))
    }
}

/// Files of the settings that stay as their owner changed them.
pub(super) const SETTINGS: &str = "etc/influxdb3/influxdb3-core.conf";

/// What `dpkg` puts into the file system.
pub(super) fn debian(parts: &Parts) -> Result<Vec<Entry>> {
    let mut entries = vec![
        Entry::file("usr/bin/influxdb3", 0o755, parts.binary.clone()),
        Entry::file(
            SETTINGS,
            0o640,
            parts.source("packaging/influxdb3-core.conf")?,
        ),
    ];
    for (from, to) in [
        (
            "packaging/systemd/influxdb3-core.service",
            "usr/lib/systemd/system/influxdb3-core.service",
        ),
        (
            "packaging/systemd/influxdb3-core.sysusers",
            "usr/lib/sysusers.d/influxdb3-core.conf",
        ),
        (
            "packaging/systemd/influxdb3-core.tmpfiles",
            "usr/lib/tmpfiles.d/influxdb3-core.conf",
        ),
        (
            "packaging/debian/copyright",
            "usr/share/doc/gnomon/copyright",
        ),
        ("LICENSE-MIT", "usr/share/doc/gnomon/LICENSE-MIT"),
        (
            "packaging/prometheus/influxdb3-alerts.yml",
            "usr/share/doc/gnomon/influxdb3-alerts.yml",
        ),
    ] {
        entries.push(Entry::file(to, 0o644, parts.source(from)?));
    }
    for (path, content) in parts.documents() {
        let to = format!("usr/share/doc/{PACKAGE}/{path}");
        entries.push(Entry::file(&to, 0o644, content.clone()));
    }
    for (name, content) in &parts.manuals {
        let to = format!("usr/share/man/man1/{name}");
        entries.push(Entry::file(&to, 0o644, content.clone()));
    }
    for (shell, content) in &parts.completions {
        let to = match shell.as_str() {
            "bash" => "usr/share/bash-completion/completions/influxdb3",
            "zsh" => "usr/share/zsh/vendor-completions/_influxdb3",
            "fish" => "usr/share/fish/vendor_completions.d/influxdb3.fish",
            other => bail!("nobody knows where completions of {other} lie"),
        };
        entries.push(Entry::file(to, 0o644, content.clone()));
    }
    Ok(entries)
}

/// What `dpkg` is told about the package.
pub(super) fn control(parts: &Parts, architecture: &str) -> Result<Vec<Entry>> {
    let installed: usize = debian(parts)?
        .iter()
        .map(|entry| entry.content.as_ref().map_or(0, Vec::len).div_ceil(1024))
        .sum();
    let control = format!(
        "Package: {PACKAGE}\n\
         Version: {}\n\
         Architecture: {architecture}\n\
         Maintainer: The Gnomon contributors <gnomon@example.org>\n\
         Installed-Size: {installed}\n\
         Depends: {}\n\
         Recommends: ca-certificates\n\
         Conflicts: influxdb3-core, influxdb3-enterprise\n\
         Replaces: influxdb3-core, influxdb3-enterprise\n\
         Section: database\n\
         Priority: optional\n\
         Description: time-series database, a drop-in for InfluxDB 3\n \
         One binary: the server, which speaks the HTTP interfaces of InfluxDB 3, 2 and 1 for\n \
         writing and SQL over HTTP and Arrow Flight, and its commands.\n",
        debian_version(&parts.version),
        depends(&parts.binary)
    );
    let mut entries = vec![
        Entry::file("control", 0o644, control),
        Entry::file("conffiles", 0o644, format!("/{SETTINGS}\n")),
    ];
    for script in ["postinst", "prerm", "postrm"] {
        let content = parts.source(&format!("packaging/debian/{script}"))?;
        entries.push(Entry::file(script, 0o755, content));
    }
    Ok(entries)
}

/// What the archive has, below one folder.
pub(super) fn archive(parts: &Parts) -> Vec<Entry> {
    let mut entries = vec![Entry::file("influxdb3", 0o755, parts.binary.clone())];
    for (path, content) in &parts.sources {
        let mode = if content.starts_with(b"#!") {
            0o755
        } else {
            0o644
        };
        entries.push(Entry::file(path, mode, content.clone()));
    }
    for (name, content) in &parts.manuals {
        entries.push(Entry::file(
            &format!("man/man1/{name}"),
            0o644,
            content.clone(),
        ));
    }
    for (shell, content) in &parts.completions {
        let path = format!("completions/influxdb3.{shell}");
        entries.push(Entry::file(&path, 0o644, content.clone()));
    }
    entries
}

/// Debian sorts `~` before the end of a version, as others do `-`.
pub(super) fn debian_version(version: &str) -> String {
    version.replace('-', "~")
}

/// The processor that an ELF binary is for, as Debian calls it.
pub(super) fn architecture(binary: &[u8]) -> Result<&'static str> {
    match (binary.get(..4), binary.get(18..20)) {
        (Some(b"\x7fELF"), Some([0x3e, 0])) => Ok("amd64"),
        (Some(b"\x7fELF"), Some([0xb7, 0])) => Ok("arm64"),
        (Some(b"\x7fELF"), Some(machine)) => {
            bail!("machine {machine:?} is neither amd64 nor arm64")
        }
        _ => bail!("it is no ELF binary"),
    }
}

/// The packages that the binary's dynamic libraries come from, told from the names that stand in it.
fn depends(binary: &[u8]) -> String {
    const SYMBOLS: &[u8] = b"GLIBC_2.";
    let minor = binary
        .windows(SYMBOLS.len() + 3)
        .filter(|bytes| bytes.starts_with(SYMBOLS))
        .filter_map(|bytes| {
            let digits = bytes[SYMBOLS.len()..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit());
            let digits: String = digits.map(|digit| char::from(*digit)).collect();
            digits.parse::<u32>().ok()
        })
        .max();
    let mut packages = Vec::new();
    if let Some(minor) = minor {
        packages.push(format!("libc6 (>= 2.{minor})"));
    }
    let library = b"libgcc_s.so.1";
    if binary.windows(library.len()).any(|bytes| bytes == library) {
        packages.push("libgcc-s1".to_string());
    }
    // For `groupadd` and `useradd`, where systemd is not.
    packages.push("passwd".to_string());
    packages.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> Parts {
        let sources = [
            "packaging/influxdb3-core.conf",
            "packaging/systemd/influxdb3-core.service",
            "packaging/systemd/influxdb3-core.sysusers",
            "packaging/systemd/influxdb3-core.tmpfiles",
            "packaging/debian/copyright",
            "packaging/debian/postinst",
            "packaging/debian/prerm",
            "packaging/debian/postrm",
            "packaging/prometheus/influxdb3-alerts.yml",
            "LICENSE-MIT",
            "docs/guide/operate.md",
        ];
        Parts {
            version: "1.2.0-rc1".to_string(),
            binary: b"GLIBC_2.4\0GLIBC_2.34\0GLIBC_2.9\0libgcc_s.so.1\0".to_vec(),
            manuals: vec![("influxdb3.1".to_string(), b"manual".to_vec())],
            completions: vec![("zsh".to_string(), b"zsh".to_vec())],
            sources: sources
                .map(|path| (path.to_string(), b"#!/bin/sh\n".to_vec()))
                .to_vec(),
        }
    }

    #[test]
    fn control_tells_what_is_needed() {
        let entries = control(&parts(), "arm64").expect("all is there");
        let text = |at: usize| -> String {
            let content = entries[at].content.clone().expect("a file");
            String::from_utf8(content).expect("text")
        };
        assert!(
            text(0).contains("\nVersion: 1.2.0~rc1\nArchitecture: arm64\n"),
            "{}",
            text(0)
        );
        let needed = "\nDepends: libc6 (>= 2.34), libgcc-s1, passwd\n";
        assert!(text(0).contains(needed), "{}", text(0));
        assert_eq!(text(1), "/etc/influxdb3/influxdb3-core.conf\n");
    }

    #[test]
    fn settings_are_not_for_everybody() {
        let entries = debian(&parts()).expect("all is there");
        let mode = |path: &str| {
            let found = entries.iter().find(|entry| entry.path == path);
            found
                .unwrap_or_else(|| panic!("{path} in {entries:?}"))
                .mode
        };
        assert_eq!(mode(SETTINGS), 0o640);
        assert_eq!(mode("usr/bin/influxdb3"), 0o755);
        assert_eq!(mode("usr/share/man/man1/influxdb3.1"), 0o644);
        assert_eq!(mode("usr/share/zsh/vendor-completions/_influxdb3"), 0o644);
        assert_eq!(mode("usr/share/doc/gnomon/docs/guide/operate.md"), 0o644);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut parts = parts();
        parts.sources.retain(|(path, _)| path != "LICENSE-MIT");
        let fault = debian(&parts).expect_err("no licence");
        assert_eq!(fault.to_string(), "LICENSE-MIT is missing");
    }

    #[test]
    fn architectures() {
        let elf = |machine: u8| [b"\x7fELF".as_slice(), &[0; 14], &[machine, 0]].concat();
        assert_eq!(architecture(&elf(0x3e)).expect("known"), "amd64");
        assert_eq!(architecture(&elf(0xb7)).expect("known"), "arm64");
        assert!(architecture(&elf(0x28)).is_err());
        assert!(architecture(b"#!/bin/sh").is_err());
    }
}
