//! Buckets elsewhere: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage.
//!
//! Settings are plain data; [`open`] makes a store of them and asks nothing of the network. Whether a store does what it must is for
//! [`super::probe`]. Rules and error texts: spec/server-config.md §8.3, §9.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::limit::LimitStore;
use object_store::{Certificate, ClientOptions, ObjectStore, RetryConfig};

use super::aws_credentials::{CredentialsFile, Renewing};
use super::secret::Secret;
use super::{Store, StoreError};
use crate::{Clock, Error};

/// A bucket and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub provider: Provider,
    /// Of Azure: the container.
    pub bucket: Option<String>,
    pub connection: Connection,
}

/// Who keeps the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    S3(Box<S3>),
    Google(Google),
    Azure(Azure),
}

/// S3, or a server that speaks like it. What is not given here comes from the standard environment of AWS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct S3 {
    pub access_key_id: Option<Secret>,
    pub secret_access_key: Option<Secret>,
    pub session_token: Option<Secret>,
    pub region: Option<String>,
    /// `None`: that of AWS in the region.
    pub endpoint: Option<String>,
    pub allow_http: bool,
    pub skip_signature: bool,
    /// JSON with keys and their expiry, read again by itself; stronger than the keys above.
    pub credentials_file: Option<PathBuf>,
}

/// Google Cloud Storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Google {
    /// JSON key file; without one, the credentials of the environment.
    pub service_account: Option<PathBuf>,
}

/// Azure Blob Storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Azure {
    pub account: Option<String>,
    /// Without one, workload identity, then managed identity.
    pub access_key: Option<Secret>,
    pub endpoint: Option<String>,
    pub allow_http: bool,
}

/// How requests are made, whoever answers them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Requests at once.
    pub limit: NonZeroUsize,
    pub http2_only: bool,
    pub http2_max_frame_size: Option<u32>,
    /// Of one try, from connecting to the end of the answer.
    pub request_timeout: Duration,
    /// Tries after the first, with growing pauses; 0 for none.
    pub max_retries: Option<usize>,
    /// No try begins later than this after the first.
    pub retry_timeout: Option<Duration>,
    /// Whether any certificate will do.
    pub tls_allow_insecure: bool,
    /// PEM file with authorities to trust, beside those of the system.
    pub tls_ca: Option<PathBuf>,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            limit: NonZeroUsize::new(64).expect("64 is not zero"),
            http2_only: false,
            http2_max_frame_size: None,
            request_timeout: Duration::from_secs(30),
            max_retries: None,
            retry_timeout: None,
            tls_allow_insecure: false,
            tls_ca: None,
        }
    }
}

/// Opens a bucket. Errors: `Invalid`, with the text of the option's documentation.
pub fn open(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Store, Error> {
    match &settings.provider {
        Provider::S3(s3) => open_s3(settings, s3, clock),
        Provider::Google(google) => open_google(settings, google),
        Provider::Azure(azure) => open_azure(settings, azure),
    }
}

fn open_s3(settings: &Settings, s3: &S3, clock: &Arc<dyn Clock>) -> Result<Store, Error> {
    let client = client_options(&settings.connection)?.with_allow_http(s3.allow_http);
    let mut builder = AmazonS3Builder::from_env()
        .with_client_options(client)
        .with_retry(retry(&settings.connection))
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_skip_signature(s3.skip_signature)
        .with_imdsv1_fallback();
    if let Some(bucket) = &settings.bucket {
        builder = builder.with_bucket_name(bucket);
    }
    if let Some(region) = &s3.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &s3.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(key) = &s3.access_key_id {
        builder = builder.with_access_key_id(key.expose());
    }
    if let Some(key) = &s3.secret_access_key {
        builder = builder.with_secret_access_key(key.expose());
    }
    if let Some(token) = &s3.session_token {
        builder = builder.with_token(token.expose());
    }
    let fault = |cause: StoreError| invalid("Error configuring Amazon S3", cause);
    let limit = settings.connection.limit;
    match &s3.credentials_file {
        Some(file) => {
            let credentials = Arc::new(CredentialsFile::read(file.clone(), Arc::clone(clock))?);
            let builder = builder.with_credentials(Arc::clone(&credentials) as _);
            let store = builder.build().map_err(fault)?;
            Ok(limited(Renewing::new(store, credentials), limit))
        }
        None => Ok(limited(builder.build().map_err(fault)?, limit)),
    }
}

fn open_google(settings: &Settings, google: &Google) -> Result<Store, Error> {
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_client_options(client_options(&settings.connection)?)
        .with_retry(retry(&settings.connection));
    if let Some(bucket) = &settings.bucket {
        builder = builder.with_bucket_name(bucket);
    }
    if let Some(file) = &google.service_account {
        builder = builder.with_service_account_path(file.to_string_lossy());
    }
    let store = builder
        .build()
        .map_err(|cause| invalid("Error configuring GCS", cause))?;
    Ok(limited(store, settings.connection.limit))
}

fn open_azure(settings: &Settings, azure: &Azure) -> Result<Store, Error> {
    let client = client_options(&settings.connection)?.with_allow_http(azure.allow_http);
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_client_options(client)
        .with_retry(retry(&settings.connection));
    if let Some(container) = &settings.bucket {
        builder = builder.with_container_name(container);
    }
    if let Some(account) = &azure.account {
        builder = builder.with_account(account);
    }
    if let Some(key) = &azure.access_key {
        builder = builder.with_access_key(key.expose());
    }
    if let Some(endpoint) = &azure.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    let store = builder
        .build()
        .map_err(|cause| invalid("Error configuring Microsoft Azure", cause))?;
    Ok(limited(store, settings.connection.limit))
}

fn limited(store: impl ObjectStore, limit: NonZeroUsize) -> Store {
    Arc::new(LimitStore::new(store, limit.get()))
}

fn retry(connection: &Connection) -> RetryConfig {
    let default = RetryConfig::default();
    RetryConfig {
        max_retries: connection.max_retries.unwrap_or(default.max_retries),
        retry_timeout: connection.retry_timeout.unwrap_or(default.retry_timeout),
        backoff: default.backoff,
    }
}

fn client_options(connection: &Connection) -> Result<ClientOptions, Error> {
    let mut options = ClientOptions::new().with_timeout(connection.request_timeout);
    if connection.http2_only {
        options = options.with_http2_only();
    }
    if let Some(size) = connection.http2_max_frame_size {
        options = options.with_http2_max_frame_size(size);
    }
    if connection.tls_allow_insecure {
        tracing::warn!(
            "certificates of the object store are not checked: whoever is in between can read and change data"
        );
        options = options.with_allow_invalid_certificates(true);
    }
    if let Some(file) = &connection.tls_ca {
        let name = file.display();
        let pem = std::fs::read(file).map_err(|cause| {
            invalid(
                &format!("Failed to read CA certificate file at {name}"),
                cause,
            )
        })?;
        let parse = || format!("Failed to parse CA certificate from {name}");
        let certificates =
            Certificate::from_pem_bundle(&pem).map_err(|cause| invalid(&parse(), cause))?;
        if certificates.is_empty() {
            return Err(Error::invalid(format!("{}: no certificate in it", parse())));
        }
        for certificate in certificates {
            options = options.with_root_certificate(certificate);
        }
    }
    Ok(options)
}

fn invalid(what: &str, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::invalid(what).with_source(cause)
}

#[cfg(test)]
mod tests;
