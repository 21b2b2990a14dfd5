//! Keys of S3 from a file that somebody else keeps fresh.
//!
//! The file is read again when its keys expire, at the latest every hour, and at once when the store refuses them.
//! Rules and error texts: spec/server-config.md §9.

use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::aws::AwsCredential;
use object_store::path::Path;
use object_store::{
    CopyOptions, CredentialProvider, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use parking_lot::Mutex;
use serde::Deserialize;

use super::StoreError;
use crate::{Clock, Error};

/// Longest time between two readings.
const READ_EVERY: Duration = Duration::from_secs(3600);

/// Shortest time for which keys are used without asking the file.
const READ_NOT_BEFORE: Duration = Duration::from_secs(1);

/// The file and what was last read from it.
#[derive(Debug)]
pub struct CredentialsFile {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

#[derive(Clone, Debug)]
struct Known {
    credential: Arc<AwsCredential>,
    /// Monotonic time until which it need not be read again.
    fresh_until: Duration,
}

/// The file's content, as JSON.
#[derive(Deserialize)]
struct Keys {
    aws_access_key_id: String,
    aws_secret_access_key: String,
    aws_session_token: Option<String>,
    /// Seconds since 1970, as a number or a text, or a time of RFC 3339.
    expiry: Option<Expiry>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expiry {
    Seconds(f64),
    Text(String),
}

impl Expiry {
    fn milliseconds(&self) -> std::result::Result<i64, String> {
        match self {
            Self::Seconds(seconds) => Ok((seconds * 1000.0) as i64),
            Self::Text(text) => match text.trim().parse::<f64>() {
                Ok(seconds) => Ok((seconds * 1000.0) as i64),
                Err(_) => chrono::DateTime::parse_from_rfc3339(text.trim())
                    .map(|time| time.timestamp_millis())
                    .map_err(|_| format!("expiry `{text}` is no time")),
            },
        }
    }
}

impl CredentialsFile {
    /// Reads the file for the first time. Errors: `Invalid` when it is not there or not as it should be.
    pub fn read(path: PathBuf, clock: Arc<dyn Clock>) -> std::result::Result<Self, Error> {
        let known = read(&path, &*clock)?;
        Ok(Self {
            path,
            clock,
            known: Mutex::new(known),
        })
    }

    /// Makes the next request read the file.
    fn forget(&self) {
        self.known.lock().fresh_until = Duration::ZERO;
    }
}

#[async_trait]
impl CredentialProvider for CredentialsFile {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        let known = self.known.lock().clone();
        if self.clock.monotonic() < known.fresh_until {
            return Ok(known.credential);
        }
        let (path, clock) = (self.path.clone(), Arc::clone(&self.clock));
        let read = tokio::task::spawn_blocking(move || read(&path, &*clock));
        let known = read
            .await
            .map_err(|cause| StoreError::JoinError { source: cause })?
            .map_err(|cause| StoreError::Generic {
                store: "S3",
                source: Box::new(cause),
            })?;
        *self.known.lock() = known.clone();
        Ok(known.credential)
    }
}

fn read(path: &FilePath, clock: &dyn Clock) -> std::result::Result<Known, Error> {
    let text = std::fs::read(path).map_err(|cause| {
        Error::invalid("Error reading AWS credentials from file").with_source(cause)
    })?;
    let wrong = || Error::invalid("Error deserializing AWS file credentials");
    let keys: Keys = serde_json::from_slice(&text).map_err(|cause| {
        // The parser's own words could quote a secret.
        let place = format!("line {}, column {}", cause.line(), cause.column());
        wrong().with_source(place)
    })?;
    let expiry = keys.expiry.as_ref().map(Expiry::milliseconds).transpose();
    let fresh = match expiry.map_err(|cause| wrong().with_source(cause))? {
        Some(expiry_ms) => {
            let left_ms = expiry_ms.saturating_sub(clock.now_ms()).max(0);
            Duration::from_millis(left_ms.unsigned_abs()).clamp(READ_NOT_BEFORE, READ_EVERY)
        }
        None => READ_EVERY,
    };
    Ok(Known {
        credential: Arc::new(AwsCredential {
            key_id: keys.aws_access_key_id,
            secret_key: keys.aws_secret_access_key,
            token: keys.aws_session_token,
        }),
        fresh_until: clock.monotonic() + fresh,
    })
}

/// A store that is asked once more, with keys read again, when it refuses the keys.
#[derive(Debug)]
pub struct Renewing<T> {
    store: Arc<T>,
    credentials: Arc<CredentialsFile>,
}

impl<T: ObjectStore> Renewing<T> {
    pub fn new(store: T, credentials: Arc<CredentialsFile>) -> Self {
        Self {
            store: Arc::new(store),
            credentials,
        }
    }

    /// Whether to ask again, with keys that are read again, because these were refused.
    fn renews<R>(&self, answered: &Result<R>) -> bool {
        let refused = answered.as_ref().is_err_and(is_refusal_of_keys);
        if refused {
            tracing::info!("the object store refuses the credentials; reading them again");
            self.credentials.forget();
        }
        refused
    }

    /// Deletes one object.
    async fn delete_one(&self, location: Path) -> Result<Path> {
        let answered = self.store.delete(&location).await;
        if self.renews(&answered) {
            self.store.delete(&location).await?;
        } else {
            answered?;
        }
        Ok(location)
    }
}

fn is_refusal_of_keys(fault: &StoreError) -> bool {
    matches!(fault, StoreError::Unauthenticated { .. })
        || fault.to_string().contains("ExpiredToken")
}

impl<T: fmt::Display> fmt::Display for Renewing<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(formatter)
    }
}

#[async_trait]
impl<T: ObjectStore> ObjectStore for Renewing<T> {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let put = || {
            let (payload, options) = (payload.clone(), options.clone());
            self.store.put_opts(location, payload, options)
        };
        let answered = put().await;
        if self.renews(&answered) {
            return put().await;
        }
        answered
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let begin = || self.store.put_multipart_opts(location, options.clone());
        let answered = begin().await;
        if self.renews(&answered) {
            return begin().await;
        }
        answered
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let answered = self.store.get_opts(location, options.clone()).await;
        if self.renews(&answered) {
            return self.store.get_opts(location, options).await;
        }
        answered
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        // Each by itself, so that each can be asked again.
        let (store, credentials) = (Arc::clone(&self.store), Arc::clone(&self.credentials));
        locations
            .map_ok(move |location| {
                let this = Self {
                    store: Arc::clone(&store),
                    credentials: Arc::clone(&credentials),
                };
                async move { this.delete_one(location).await }
            })
            .try_buffered(10)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let credentials = Arc::clone(&self.credentials);
        let (first, second) = (self.store.list(prefix), self.store.list(prefix));
        retried(credentials, first, second)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let credentials = Arc::clone(&self.credentials);
        let list = || self.store.list_with_offset(prefix, offset);
        retried(credentials, list(), list())
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let answered = self.store.list_with_delimiter(prefix).await;
        if self.renews(&answered) {
            return self.store.list_with_delimiter(prefix).await;
        }
        answered
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let answered = self.store.copy_opts(from, to, options.clone()).await;
        if self.renews(&answered) {
            return self.store.copy_opts(from, to, options).await;
        }
        answered
    }
}

/// The first listing, or the second when the first one's very first answer is that the keys will not do.
fn retried(
    credentials: Arc<CredentialsFile>,
    first: BoxStream<'static, Result<ObjectMeta>>,
    second: BoxStream<'static, Result<ObjectMeta>>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let chosen = async move {
        let mut first = first.peekable();
        let refused = match std::pin::Pin::new(&mut first).peek().await {
            Some(Err(fault)) => is_refusal_of_keys(fault),
            _ => false,
        };
        if refused {
            credentials.forget();
            second
        } else {
            first.boxed()
        }
    };
    stream::once(chosen).flatten().boxed()
}

#[cfg(test)]
mod tests;
