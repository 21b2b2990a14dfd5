//! Files with tokens that a server reads at its start (spec/auth-tokens.md §13): one admin token, or any number of tokens with
//! permissions.
//!
//! They are the only files that hold clear tokens, so nobody but their owner may read them, and a stop at any moment leaves the
//! old file or the new one. Not here: reading them into a server.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::output::flatten;

/// A token as it stands in a file.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) token: String,
    pub(super) name: String,
    /// Milliseconds since 1970; `None`: valid for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expiry_millis: Option<i64>,
}

/// A token with what it may do.
#[derive(Serialize, Deserialize)]
struct Permitted {
    #[serde(flatten)]
    entry: Entry,
    permissions: Vec<String>,
    /// What others have written into it.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Default, Serialize, Deserialize)]
struct PermissionTokens {
    #[serde(default)]
    create_databases: Vec<String>,
    #[serde(default)]
    tokens: Vec<Permitted>,
    /// What others have written into it.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Makes `path` a file with one admin token, whatever it was before.
pub(super) fn write_admin(path: &Path, entry: &Entry) -> anyhow::Result<()> {
    Draft::of(path)?.finish(entry)
}

/// Adds a token to the file at `path`, which is made when it is missing, and the databases it has not named yet.
///
/// Errors, with the file as it was: it cannot be read or written, or has a token of this name.
pub(super) fn add_with_permissions(
    path: &Path,
    entry: &Entry,
    permissions: &[String],
    create_databases: &[String],
) -> anyhow::Result<()> {
    // Before the file is read, so that of two commands at the same time neither loses the token of the other.
    let draft = Draft::of(path)?;
    let mut tokens = read(path)?;
    if tokens
        .tokens
        .iter()
        .any(|known| known.entry.name == entry.name)
    {
        bail!("{} has a token named {:?}", path.display(), entry.name);
    }
    for database in create_databases {
        if !tokens.create_databases.contains(database) {
            tokens.create_databases.push(database.clone());
        }
    }
    tokens.tokens.push(Permitted {
        entry: entry.clone(),
        permissions: permissions.to_vec(),
        rest: Map::new(),
    });
    draft.finish(&tokens)
}

fn read(path: &Path) -> anyhow::Result<PermissionTokens> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            return Ok(PermissionTokens::default());
        }
        Err(fault) => bail!("cannot read {}: {fault}", path.display()),
    };
    serde_json::from_slice(&bytes).map_err(|fault| {
        // Where, but not what: the parser's own words can quote a token.
        anyhow::anyhow!(
            "{} is no file of tokens with permissions: line {} column {}",
            path.display(),
            fault.line(),
            fault.column()
        )
    })
}

/// The next content of a file, beside it, until it takes its place. Removed when it never does.
struct Draft {
    file: File,
    path: PathBuf,
    target: PathBuf,
    in_place: bool,
}

impl Draft {
    fn of(target: &Path) -> anyhow::Result<Self> {
        let Some(name) = target.file_name() else {
            bail!("{} is no name of a file", target.display());
        };
        let path = target.with_file_name(format!(".{}.tmp", name.to_string_lossy()));
        let mut options = OpenOptions::new();
        // Never an existing one: somebody else may have opened that, or made it a link to elsewhere.
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(file) => Ok(Self {
                file,
                path,
                target: target.to_path_buf(),
                in_place: false,
            }),
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => bail!(
                "{} exists: another command is writing {}, or was stopped while it did; remove it when none runs",
                path.display(),
                target.display()
            ),
            Err(fault) => bail!("cannot create {}: {fault}", path.display()),
        }
    }

    /// Puts `content` in the place of the file, durably.
    fn finish(mut self, content: &impl Serialize) -> anyhow::Result<()> {
        self.replace(content)
            .with_context(|| format!("cannot write {}", self.target.display()))
            .map_err(flatten)
    }

    fn replace(&mut self, content: &impl Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(content)?;
        text.push('\n');
        self.file.write_all(text.as_bytes())?;
        self.file.sync_all()?;
        std::fs::rename(&self.path, &self.target)?;
        self.in_place = true;
        // The new name must be durable too.
        #[cfg(unix)]
        match self.target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all()?,
            _ => File::open(".")?.sync_all()?,
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.in_place {
            // It holds nothing that anybody knows of; the next command says when it is still there.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
