//! Files with tokens that a server reads at its start (spec/auth-tokens.md §13): one admin token, or any number of tokens with
//! permissions.
//!
//! They hold clear tokens, so they are private files (`private_file`). Not here: reading them into a server.

use std::io;
use std::path::Path;

use anyhow::bail;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::private_file::Draft;

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
    Draft::of(path)?.finish(&text(entry)?)
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
    draft.finish(&text(&tokens)?)
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

/// A file's text: JSON that people can read.
fn text(content: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(content)? + "\n")
}
