//! The first operator token: from a file that a start reads or makes, and a warning for as long as there is none.
//!
//! Whoever reaches a server without any admin token first may make the operator token (spec/auth-tokens.md §7.2). A server that others than
//! its own machine can reach says so until that has happened. Not here: the endpoint (`http/v3/token`), other files with
//! tokens (`token_files`).

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use catalog::{
    AskedPermissions, Catalog, Digest, Installed, OPERATOR_TOKEN, Snapshot, TokenRequest,
};
use runtime::World;

use crate::token_events::{Event, EventKind, Protocol, TokenEvents};
use crate::token_files::{SECRET_PREFIX, warn_if_others_can_read, warn_if_weak};
use crate::{Error, offline_token};

/// How often a server that belongs to nobody yet says so.
const REMINDER_INTERVAL: Duration = Duration::from_secs(600);

/// Makes the operator token, unless there is one, with the secret in `file`; a file that does not exist is made, with a new secret
/// that only its owner can read, and is durable before the token is.
///
/// Errors: `Invalid` with `Token error: …` for a file that cannot be read, written or used; the catalog's own.
pub(crate) async fn install_operator_token(
    file: &Path,
    world: &World,
    catalog: &Catalog,
    events: &TokenEvents,
) -> Result<(), Error> {
    let is_first = catalog.snapshot().token(OPERATOR_TOKEN).is_none();
    let path = file.to_path_buf();
    let found = world.tasks.blocking(move || read_or_make(&path, is_first));
    let Some(found) = found.await?? else {
        tracing::info!(file = %file.display(), "the operator token exists, its file does not and is not needed");
        return Ok(());
    };
    if found.is_new {
        tracing::warn!(file = %file.display(), "MADE THE OPERATOR TOKEN: its secret is in this file, which only its owner can read");
    } else {
        warn_if_weak(&found.secret, OPERATOR_TOKEN, file);
    }
    let request = TokenRequest {
        name: OPERATOR_TOKEN.to_string(),
        description: None,
        expiry_ms: None,
        permissions: AskedPermissions::Admin,
    };
    let digest = Digest::of(found.secret.as_bytes());
    let installed = catalog.install_token(request, digest).await;
    match installed.map_err(|cause| Error::new(cause.kind(), format!("Token error: {cause}")))? {
        Installed::Created(token) => {
            tracing::info!(file = %file.display(), "created the operator token from its bootstrap file");
            let event = Event::done(EventKind::Create, &token)
                .through(Protocol::File)
                .saying("from the bootstrap token file");
            events.record(event).await;
        }
        Installed::NameExists { same_secret, .. } if same_secret => {}
        Installed::NameExists { .. } => tracing::warn!(
            file = %file.display(),
            "the operator token exists and has another secret than the bootstrap token file: it has been regenerated since, \
             and the file is of no use any more"
        ),
    }
    Ok(())
}

/// Whether nobody owns the server yet, so that the first who asks may.
fn is_up_for_grabs(snapshot: &Snapshot) -> bool {
    !snapshot
        .tokens()
        .iter()
        .any(|token| token.permissions.is_admin())
}

/// Says loudly how to own a server that nobody owns, now and every ten minutes until somebody does.
pub(crate) fn watch(address: SocketAddr, world: &World, catalog: Arc<Catalog>) {
    if address.ip().is_loopback() || !is_up_for_grabs(&catalog.snapshot()) {
        return;
    }
    let tasks = world.tasks.clone();
    world.tasks.spawn("bootstrap reminder", async move {
        while is_up_for_grabs(&catalog.snapshot()) {
            tracing::warn!(
                %address,
                "NO OPERATOR TOKEN YET, and this server can be reached from beyond its own machine: WHOEVER COMES FIRST OWNS IT. \
                 Make the token now with 'influxdb3 create token --admin', or start with --bootstrap-token-file FILE, \
                 --admin-token-file FILE, or --http-bind 127.0.0.1:{} until you have one",
                address.port()
            );
            if !tasks.pause(REMINDER_INTERVAL).await {
                return;
            }
        }
    });
}

/// A secret in a file.
struct Found {
    secret: String,
    is_new: bool,
}

/// `None`: there is no file, and none is wanted.
fn read_or_make(file: &Path, is_wanted: bool) -> Result<Option<Found>, Error> {
    let fault = |action: &str, cause: std::io::Error| {
        let message = format!(
            "Token error: Failed to {action} bootstrap token file {}",
            file.display()
        );
        Error::invalid(message).with_source(cause)
    };
    match std::fs::read_to_string(file) {
        Ok(text) => {
            warn_if_others_can_read(file);
            let secret = text.trim();
            let is_one_word = !secret.contains(char::is_whitespace);
            if !secret.starts_with(SECRET_PREFIX) || !is_one_word {
                return Err(Error::invalid(format!(
                    "Token error: Invalid token format: must start with 'apiv3_' and be all there is in bootstrap token file {}",
                    file.display()
                )));
            }
            Ok(Some(Found {
                secret: secret.to_string(),
                is_new: false,
            }))
        }
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            if !is_wanted {
                return Ok(None);
            }
            let secret = offline_token::draw()?;
            write_new(file, &secret).map_err(|cause| fault("write", cause))?;
            Ok(Some(Found {
                secret,
                is_new: true,
            }))
        }
        Err(cause) => Err(fault("read", cause)),
    }
}

/// Makes a file that only its owner can read, durable and whole from the moment it has its name.
fn write_new(file: &Path, secret: &str) -> std::io::Result<()> {
    let mut staged = file.as_os_str().to_owned();
    staged.push(".new");
    let staged = PathBuf::from(staged);
    // One that is there could be somebody else's, who would read the secret through it.
    match std::fs::remove_file(&staged) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut opened = options.open(&staged)?;
    opened.write_all(secret.as_bytes())?;
    opened.write_all(b"\n")?;
    opened.sync_all()?;
    std::fs::rename(&staged, file)?;
    #[cfg(unix)]
    if let Some(folder) = file.parent() {
        let folder = match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        };
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_once_and_read_after() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("operator");
        assert!(read_or_make(&file, false).expect("nothing").is_none());
        let made = read_or_make(&file, true).expect("made").expect("a secret");
        assert!(made.is_new && made.secret.starts_with(SECRET_PREFIX));
        assert_eq!(made.secret.len(), 92);
        let read = read_or_make(&file, true).expect("read").expect("a secret");
        assert!(!read.is_new && read.secret == made.secret);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&file)
                .expect("it exists")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let left = std::fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(left, 1);
    }

    #[test]
    fn other_texts_are_refused_without_being_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("operator");
        for text in ["", "secret", "apiv3_a apiv3_b", "{\"token\":\"apiv3_a\"}"] {
            std::fs::write(&file, text).expect("written");
            let fault = read_or_make(&file, true).err().expect(text).to_string();
            assert!(
                fault.starts_with("Token error: Invalid token format: must start with 'apiv3_'")
            );
            assert!(!fault.contains("apiv3_a"), "{fault}");
        }
        let missing = folder.path().join("no folder/operator");
        let fault = read_or_make(&missing, true).err().expect("no folder");
        assert!(
            fault
                .message()
                .starts_with("Token error: Failed to write bootstrap token file ")
        );
    }
}
