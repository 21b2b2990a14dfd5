//! Files that hold secrets: nobody but their owner may read them, and a stop at any moment leaves the old content or the new one.
//!
//! What stands in them is the business of those who write: tokens (`commands/token/file`), profiles (`profile`).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::output::flatten;

/// The next content of a file, beside it, until it takes its place. Removed when it never does.
pub(crate) struct Draft {
    file: File,
    path: PathBuf,
    target: PathBuf,
    in_place: bool,
}

impl Draft {
    /// To be made before the old content is read, so that of two commands at the same time neither loses what the other writes.
    pub(crate) fn of(target: &Path) -> anyhow::Result<Self> {
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

    /// Puts `text` in the place of the file, durably.
    pub(crate) fn finish(mut self, text: &str) -> anyhow::Result<()> {
        self.replace(text)
            .with_context(|| format!("cannot write {}", self.target.display()))
            .map_err(flatten)
    }

    fn replace(&mut self, text: &str) -> io::Result<()> {
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
