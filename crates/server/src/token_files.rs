//! Tokens that a start takes from files: one admin token, or any number of tokens with permissions (spec/auth-tokens.md §13).
//!
//! Files are read and never written here (`cli` writes them). What a file names and the catalog has already stays as it is,
//! and a different secret is told loudly; only the admin token's may be asked to follow its file. No text of this module, in a log
//! or an error, holds anything of a secret. Not here: the operator token of a first start (`bootstrap`).

use std::path::{Path, PathBuf};

use catalog::{AskedPermission, AskedPermissions, Catalog, Digest, Installed, Token, TokenRequest};
use runtime::World;
use serde::Deserialize;

use crate::token_events::{Event, EventKind, Protocol, TokenEvents, without_secrets};
use crate::{Error, ErrorKind};

/// What every token begins with.
pub(crate) const SECRET_PREFIX: &str = "apiv3_";

/// A secret that an attacker could guess sooner is told at start: the digest is quick to compute (§13.3).
const ENTROPY_BITS_MIN: f64 = 128.0;

/// A token as it stands in a file. Unknown keys are of no interest.
#[derive(Deserialize)]
struct Entry {
    token: String,
    name: String,
    /// Milliseconds since the epoch.
    #[serde(default)]
    expiry_millis: Option<i64>,
}

#[derive(Deserialize)]
struct Permitted {
    #[serde(flatten)]
    entry: Entry,
    permissions: Vec<String>,
}

#[derive(Deserialize)]
struct PermissionTokens {
    #[serde(default)]
    create_databases: Vec<String>,
    #[serde(default)]
    tokens: Vec<Permitted>,
}

/// What takes tokens in.
pub(crate) struct TokenFiles<'a> {
    pub(crate) world: &'a World,
    pub(crate) catalog: &'a Catalog,
    pub(crate) events: &'a TokenEvents,
}

impl TokenFiles<'_> {
    /// Creates the admin token of `file`. Of a name that exists, nothing changes; with `rotate`, the token gets the secret and the
    /// expiry of the file when its secret is another one.
    ///
    /// Errors: `Invalid` with `Token error: …` for a file that cannot be read or used, the catalog's own.
    pub(crate) async fn install_admin_token(&self, file: &Path, rotate: bool) -> Result<(), Error> {
        let text = self.read(file, "admin token file").await?;
        let entry: Entry = parse(&text, "admin token file")?;
        check_secret(&entry, file)?;
        let expiry_ms = entry.expiry_millis;
        let installed = self.install(&entry, AskedPermissions::Admin).await?;
        match installed {
            Installed::Created(token) => self.tell_created(&token, file).await,
            Installed::NameExists { token, same_secret } if same_secret => tell_known(&token, file),
            Installed::NameExists { token, .. } if rotate => {
                let digest = Digest::of(entry.token.as_bytes());
                let token = self
                    .catalog
                    .replace_secret(&token.name, digest, expiry_ms)
                    .await?;
                tracing::warn!(
                    file = %file.display(),
                    name = %without_secrets(&token.name),
                    "the token has the secret of its file now, the one before is dead"
                );
                let event = Event::done(EventKind::Rotate, &token)
                    .through(Protocol::File)
                    .saying("given the secret of the admin token file");
                self.events.record(event).await;
            }
            Installed::NameExists { token, .. } => tracing::warn!(
                file = %file.display(),
                name = %without_secrets(&token.name),
                "the secret in the admin token file is NOT that of the token: the file was changed, or the token rotated since; \
                 nothing is changed, and the secret in the file does not let anybody in; --admin-token-file-rotate would put it in force"
            ),
        }
        Ok(())
    }

    /// Creates the databases of `file`, then its tokens. What exists stays as it is.
    ///
    /// Errors: as of [`Self::install_admin_token`]; what comes before the fault in the file has been created then.
    pub(crate) async fn install_permission_tokens(&self, file: &Path) -> Result<(), Error> {
        let text = self.read(file, "permission tokens file").await?;
        let listed: PermissionTokens = parse(&text, "permission tokens file")?;
        for database in &listed.create_databases {
            match self.catalog.create_database(database, None).await {
                Ok(_) => tracing::info!(%database, file = %file.display(), "created a database"),
                Err(cause) if cause.kind() == ErrorKind::Conflict => {}
                Err(cause) => return Err(token_error(&cause)),
            }
        }
        for Permitted { entry, permissions } in &listed.tokens {
            check_secret(entry, file)?;
            let permissions: Result<Vec<AskedPermission>, Error> = permissions
                .iter()
                .map(|text| AskedPermission::parse(text))
                .collect();
            let permissions = permissions.map_err(|cause| token_error(&cause))?;
            let asked = AskedPermissions::Listed(permissions);
            match self.install(entry, asked).await? {
                Installed::Created(token) => self.tell_created(&token, file).await,
                Installed::NameExists { token, same_secret } if same_secret => {
                    tell_known(&token, file);
                }
                Installed::NameExists { token, .. } => tracing::warn!(
                    file = %file.display(),
                    name = %without_secrets(&token.name),
                    "the secret in the permission tokens file is NOT that of the token: the file was changed, or the token rotated \
                     since; nothing is changed, and the secret in the file does not let anybody in"
                ),
            }
        }
        Ok(())
    }

    async fn install(&self, entry: &Entry, asked: AskedPermissions) -> Result<Installed, Error> {
        let request = TokenRequest {
            name: entry.name.clone(),
            description: None,
            expiry_ms: entry.expiry_millis,
            permissions: asked,
        };
        let digest = Digest::of(entry.token.as_bytes());
        let installed = self.catalog.install_token(request, digest).await;
        installed.map_err(|cause| token_error(&cause))
    }

    async fn tell_created(&self, token: &Token, file: &Path) {
        tracing::info!(
            file = %file.display(),
            name = %without_secrets(&token.name),
            "created a token from a file"
        );
        let event = Event::done(EventKind::Create, token)
            .through(Protocol::File)
            .saying("from a file named at the start");
        self.events.record(event).await;
    }

    async fn read(&self, file: &Path, what: &'static str) -> Result<String, Error> {
        let path: PathBuf = file.to_path_buf();
        let read = self
            .world
            .tasks
            .blocking(move || {
                warn_if_others_can_read(&path);
                std::fs::read_to_string(&path)
            })
            .await?;
        read.map_err(|cause| {
            let path = file.display();
            Error::invalid(format!("Token error: Failed to read {what} {path}")).with_source(cause)
        })
    }
}

fn tell_known(token: &Token, file: &Path) {
    tracing::info!(
        file = %file.display(),
        name = %without_secrets(&token.name),
        "token name already exists, the file changes nothing"
    );
}

/// The parser quotes what it did not expect, which may be the secret: that part of its message is left out.
fn parse<'a, T: Deserialize<'a>>(text: &'a str, what: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|cause| {
        let mut cause = cause.to_string();
        if let (Some(from), Some(to)) = (cause.find('"'), cause.rfind('"')) {
            cause.replace_range(from..=to, "…");
        }
        let cause = without_secrets(&cause);
        Error::invalid(format!(
            "Token error: Failed to parse {what} as JSON: {cause}"
        ))
    })
}

fn token_error(cause: &Error) -> Error {
    let message = without_secrets(&cause.to_string());
    Error::new(cause.kind(), format!("Token error: {message}"))
}

fn check_secret(entry: &Entry, file: &Path) -> Result<(), Error> {
    if !entry.token.starts_with(SECRET_PREFIX) {
        return Err(Error::invalid(
            "Token error: Invalid token format: must start with 'apiv3_'",
        ));
    }
    warn_if_weak(&entry.token, &entry.name, file);
    Ok(())
}

/// Tells of a secret that could be guessed.
pub(crate) fn warn_if_weak(secret: &str, name: &str, file: &Path) {
    let bits = entropy_bits(secret);
    if bits < ENTROPY_BITS_MIN {
        tracing::warn!(
            file = %file.display(),
            name = %without_secrets(name),
            "the secret of a token has at most {bits:.0} bits of entropy, less than {ENTROPY_BITS_MIN}: it could be guessed; \
             'influxdb3 create token --admin --offline --output-file FILE' makes one that cannot"
        );
    }
}

/// The most entropy that a secret can have by the look of it: what it is drawn from, at least, is what can be seen in it.
fn entropy_bits(secret: &str) -> f64 {
    let drawn = secret.strip_prefix(SECRET_PREFIX).unwrap_or(secret);
    let has = |is_of_kind: fn(char) -> bool| drawn.chars().any(is_of_kind);
    let alphabet = [
        (has(|character| character.is_ascii_digit()), 10),
        (has(|character| character.is_ascii_lowercase()), 26),
        (has(|character| character.is_ascii_uppercase()), 26),
        (has(|character| !character.is_ascii_alphanumeric()), 32),
    ]
    .into_iter()
    .filter_map(|(is_there, characters)| is_there.then_some(characters))
    .sum::<u32>();
    let mut distinct: Vec<char> = drawn.chars().collect();
    let length = f64::from(u32::try_from(distinct.len()).unwrap_or(u32::MAX));
    distinct.sort_unstable();
    distinct.dedup();
    // Few different characters in a long text were not drawn from many.
    let seen = u32::try_from(distinct.len()).unwrap_or(u32::MAX);
    let choices = if seen < 10 { seen } else { alphabet };
    length * f64::from(choices.max(1)).log2()
}

/// Tells of a file with secrets that others than its owner may read.
#[cfg(unix)]
pub(crate) fn warn_if_others_can_read(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(metadata) = std::fs::metadata(file) else {
        // Whoever reads it next says why it cannot be read.
        return;
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        tracing::warn!(
            file = %file.display(),
            "a file with a token has mode {mode:03o}: others than its owner may read or change it; chmod 600 mends that"
        );
    }
}

#[cfg(not(unix))]
pub(crate) fn warn_if_others_can_read(_file: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessable_secrets_are_weak() {
        let strong = [
            "apiv3_W3vX0q1Zk9Yt8Rr7Pp6Qa5s",
            "apiv3_0123456789abcdef0123456789abcdef",
            &format!("apiv3_{}", "aB3-_xQ9zL0".repeat(8)),
        ];
        for secret in strong {
            assert!(entropy_bits(secret) >= ENTROPY_BITS_MIN, "{secret}");
        }
        let weak = [
            "apiv3_".to_string(),
            "apiv3_password123".to_string(),
            "apiv3_W3vX0q1Zk9Yt8Rr7Pp6Qa".to_string(),
            format!("apiv3_{}", "a".repeat(86)),
            format!("apiv3_{}", "ab".repeat(43)),
        ];
        for secret in weak {
            assert!(entropy_bits(&secret) < ENTROPY_BITS_MIN, "{secret}");
        }
    }

    #[test]
    fn faults_of_files_never_tell_the_secret() {
        for secret in [
            format!("apiv3_{}", "aB3-_xQ9zL0".repeat(8)),
            "open \\\"sesame\\\" now".to_string(),
        ] {
            let texts = [
                format!("\"{secret}\""),
                format!("[\"{secret}\"]"),
                format!(r#"{{"token":"x","name":"x","expiry_millis":"{secret}"}}"#),
                format!(r#"{{"token":{{"{secret}":1}},"name":"x"}}"#),
                secret.clone(),
            ];
            for text in texts {
                let fault = parse::<Entry>(&text, "admin token file")
                    .err()
                    .expect("no token");
                let told = fault.to_string();
                let start = "Token error: Failed to parse admin token file as JSON: ";
                assert!(
                    told.starts_with(start) && !told.contains(&secret[..12]),
                    "{told}"
                );
                let fault = parse::<PermissionTokens>(&text, "permission tokens file");
                if let Err(fault) = fault {
                    assert!(!fault.to_string().contains(&secret[..12]), "{fault}");
                }
            }
        }
    }

    #[test]
    fn files_as_they_are_written() {
        let text = r#"{"token":"apiv3_x","name":"_admin","description":"dropped"}"#;
        let entry: Entry = parse(text, "admin token file").expect("an entry");
        assert_eq!((entry.name.as_str(), entry.expiry_millis), ("_admin", None));
        let text = r#"{"tokens":[{"token":"apiv3_x","name":"w","expiry_millis":5,"permissions":["db:a:read"]}]}"#;
        let listed: PermissionTokens = parse(text, "permission tokens file").expect("a list");
        assert!(listed.create_databases.is_empty());
        assert_eq!(listed.tokens[0].entry.expiry_millis, Some(5));
        assert_eq!(listed.tokens[0].permissions, ["db:a:read"]);
    }
}
