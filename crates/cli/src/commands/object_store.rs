//! The options that say where data is kept and how to get there; shared by `serve` and `debug`.
//!
//! Names, variables and defaults: spec/server-config.md §7, §8.3, §9. What they mean is `server`'s business.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use server::remote::{Azure, Connection, Google, Provider, S3, Settings};
use server::{ObjectStoreKind, Secret};

#[derive(Debug, clap::Args)]
pub(crate) struct ObjectStoreOptions {
    /// Where to keep data: memory, memory-throttled, file, s3, google or azure
    #[arg(long, env = "INFLUXDB3_OBJECT_STORE", value_name = "STORE", default_value = "file", value_parser = parse_store)]
    pub(crate) object_store: Store,

    /// Folder of the object store `file`; ~/.influxdb when not given
    #[arg(long, env = "INFLUXDB3_DATA_DIR", value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Bucket of s3 or google, container of azure
    #[arg(long, env = "INFLUXDB3_BUCKET", value_name = "NAME")]
    bucket: Option<String>,

    /// Access key of s3; without one, the credentials that AWS tools would find
    #[arg(
        long,
        env = "AWS_ACCESS_KEY_ID",
        value_name = "KEY",
        hide_env_values = true
    )]
    aws_access_key_id: Option<String>,

    /// Secret key of s3
    #[arg(
        long,
        env = "AWS_SECRET_ACCESS_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    aws_secret_access_key: Option<String>,

    /// Session token of s3
    #[arg(
        long,
        env = "AWS_SESSION_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    aws_session_token: Option<String>,

    /// Region of s3; us-east-1 when not given
    #[arg(long, env = "AWS_DEFAULT_REGION", value_name = "REGION")]
    aws_default_region: Option<String>,

    /// Address of a server that speaks like s3
    #[arg(long, env = "AWS_ENDPOINT", value_name = "URL", value_parser = parse_endpoint)]
    aws_endpoint: Option<String>,

    /// Let s3 be reached without TLS
    #[arg(long, env = "AWS_ALLOW_HTTP")]
    aws_allow_http: bool,

    /// Send requests to s3 unsigned
    #[arg(long, env = "AWS_SKIP_SIGNATURE")]
    aws_skip_signature: bool,

    /// JSON file with keys of s3, read again before they expire
    #[arg(long, env = "AWS_CREDENTIALS_FILE", value_name = "FILE")]
    aws_credentials_file: Option<PathBuf>,

    /// Make of a server that speaks like s3: ceph
    #[arg(long, env = "AWS_S3_CUSTOM_BACKEND", value_name = "NAME", value_parser = ["ceph"])]
    aws_s3_custom_backend: Option<String>,

    /// JSON key file of google; without one, the credentials of the environment
    #[arg(long, env = "GOOGLE_SERVICE_ACCOUNT", value_name = "FILE")]
    google_service_account: Option<PathBuf>,

    /// Storage account of azure
    #[arg(long, env = "AZURE_STORAGE_ACCOUNT", value_name = "NAME")]
    azure_storage_account: Option<String>,

    /// Access key of azure; without one, workload identity, then managed identity
    #[arg(
        long,
        env = "AZURE_STORAGE_ACCESS_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    azure_storage_access_key: Option<String>,

    /// Address of a server that speaks like azure
    #[arg(long, env = "AZURE_ENDPOINT", value_name = "URL", value_parser = parse_endpoint)]
    azure_endpoint: Option<String>,

    /// Let azure be reached without TLS
    #[arg(long, env = "AZURE_ALLOW_HTTP")]
    azure_allow_http: bool,

    /// Requests to a remote store at once
    #[arg(
        long,
        env = "INFLUXDB3_OBJECT_STORE_CONNECTION_LIMIT",
        value_name = "N",
        default_value = "64"
    )]
    object_store_connection_limit: NonZeroUsize,

    /// Speak HTTP/2 with a remote store, and nothing else
    #[arg(long, env = "INFLUXDB3_OBJECT_STORE_HTTP2_ONLY")]
    object_store_http2_only: bool,

    /// Largest frame of HTTP/2 in bytes
    #[arg(
        long,
        env = "INFLUXDB3_OBJECT_STORE_HTTP2_MAX_FRAME_SIZE",
        value_name = "BYTES"
    )]
    object_store_http2_max_frame_size: Option<u32>,

    /// Longest wait for one answer of a remote store
    #[arg(long, env = "INFLUXDB3_OBJECT_STORE_REQUEST_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = crate::duration::parse)]
    object_store_request_timeout: Duration,

    /// How often a request that failed is repeated; 0 for never
    #[arg(long, env = "INFLUXDB3_OBJECT_STORE_MAX_RETRIES", value_name = "N")]
    object_store_max_retries: Option<usize>,

    /// Time after which a request that failed is not repeated any more
    #[arg(long, env = "INFLUXDB3_OBJECT_STORE_RETRY_TIMEOUT", value_name = "DURATION", value_parser = crate::duration::parse)]
    object_store_retry_timeout: Option<Duration>,

    /// Accepted for compatibility: has no effect
    #[arg(long, env = "INFLUXDB3_OBJECT_STORE_CACHE_ENDPOINT", value_name = "URL", value_parser = parse_endpoint)]
    object_store_cache_endpoint: Option<String>,

    /// Take any certificate of a remote store
    #[arg(long, env = "INFLUXDB3_OBJECT_STORE_TLS_ALLOW_INSECURE")]
    object_store_tls_allow_insecure: bool,

    /// PEM file with certificate authorities to trust beside those of the system
    #[arg(long, env = "INFLUXDB3_OBJECT_STORE_TLS_CA", value_name = "FILE")]
    object_store_tls_ca: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Memory,
    MemoryThrottled,
    File,
    S3,
    Google,
    Azure,
}

fn parse_store(text: &str) -> Result<Store, String> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "memory" => Store::Memory,
        "memory-throttled" => Store::MemoryThrottled,
        "file" => Store::File,
        "s3" => Store::S3,
        "google" => Store::Google,
        "azure" => Store::Azure,
        _ => {
            return Err(
                "the stores are memory, memory-throttled, file, s3, google and azure".to_string(),
            );
        }
    })
}

/// An absolute URL without slashes at its end; empty is as if not given.
fn parse_endpoint(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let url = reqwest::Url::parse(text).map_err(|cause| format!("'{text}' is no URL: {cause}"))?;
    if url.cannot_be_a_base() || !url.has_host() {
        return Err(format!("'{text}' is no URL with a host"));
    }
    Ok(text.trim_end_matches('/').to_string())
}

impl ObjectStoreOptions {
    /// The store that is asked for.
    pub(crate) fn kind(&self) -> anyhow::Result<ObjectStoreKind> {
        Ok(match self.object_store {
            Store::Memory => ObjectStoreKind::Memory,
            Store::MemoryThrottled => ObjectStoreKind::MemoryThrottled,
            Store::File => match (&self.data_dir, std::env::home_dir()) {
                (Some(folder), _) => ObjectStoreKind::File(folder.clone()),
                (None, Some(home)) => ObjectStoreKind::File(home.join(".influxdb")),
                (None, None) => bail!(
                    "Cannot parse object store config: Specified 'File' for the object store; required configuration missing for data-dir"
                ),
            },
            Store::S3 => self.remote(Provider::S3(Box::new(self.s3()))),
            Store::Google => self.remote(Provider::Google(Google {
                service_account: self.google_service_account.clone(),
            })),
            Store::Azure => self.remote(Provider::Azure(self.azure())),
        })
    }

    /// Says what of the options has no effect.
    pub(crate) fn log_notices(&self) {
        if self.object_store != Store::File && self.data_dir.is_some() {
            tracing::warn!("--data-dir has no effect: the object store is not a file store");
        }
        if self.object_store_cache_endpoint.is_some() {
            tracing::info!("--object-store-cache-endpoint has no effect: there is no such cache");
        }
        if let Some(name) = &self.aws_s3_custom_backend {
            tracing::info!(
                "--aws-s3-custom-backend {name} needs nothing special: objects are never replaced by their ETag"
            );
        }
    }

    fn remote(&self, provider: Provider) -> ObjectStoreKind {
        ObjectStoreKind::Remote(Settings {
            provider,
            bucket: given(&self.bucket),
            connection: Connection {
                limit: self.object_store_connection_limit,
                http2_only: self.object_store_http2_only,
                http2_max_frame_size: self.object_store_http2_max_frame_size,
                request_timeout: self.object_store_request_timeout,
                max_retries: self.object_store_max_retries,
                retry_timeout: self.object_store_retry_timeout,
                tls_allow_insecure: self.object_store_tls_allow_insecure,
                tls_ca: self.object_store_tls_ca.clone(),
            },
        })
    }

    fn s3(&self) -> S3 {
        S3 {
            access_key_id: secret(&self.aws_access_key_id),
            secret_access_key: secret(&self.aws_secret_access_key),
            session_token: secret(&self.aws_session_token),
            region: given(&self.aws_default_region),
            endpoint: given(&self.aws_endpoint),
            allow_http: self.aws_allow_http,
            skip_signature: self.aws_skip_signature,
            credentials_file: self.aws_credentials_file.clone(),
        }
    }

    fn azure(&self) -> Azure {
        Azure {
            account: given(&self.azure_storage_account),
            access_key: secret(&self.azure_storage_access_key),
            endpoint: given(&self.azure_endpoint),
            allow_http: self.azure_allow_http,
        }
    }
}

/// Scripts set variables to nothing when they mean that there is no value.
fn given(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}

fn secret(text: &Option<String>) -> Option<Secret> {
    given(text).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: ObjectStoreOptions,
    }

    fn kind(line: &str) -> ObjectStoreKind {
        let words = std::iter::once("x").chain(line.split_whitespace());
        let line = Line::try_parse_from(words).expect("a valid line");
        line.options.kind().expect("a complete line")
    }

    fn remote(line: &str) -> Settings {
        match kind(line) {
            ObjectStoreKind::Remote(settings) => settings,
            other => panic!("{other:?} is not remote"),
        }
    }

    #[test]
    fn every_store_has_its_name() {
        assert_eq!(kind("--object-store MEMORY"), ObjectStoreKind::Memory);
        assert_eq!(
            kind("--object-store memory-throttled"),
            ObjectStoreKind::MemoryThrottled
        );
        assert_eq!(
            kind("--data-dir /d"),
            ObjectStoreKind::File(PathBuf::from("/d"))
        );
        let google = remote("--object-store google --bucket b --google-service-account /k");
        assert_eq!(
            google.provider,
            Provider::Google(Google {
                service_account: Some(PathBuf::from("/k"))
            })
        );
        let azure = remote(
            "--object-store Azure --bucket b --azure-storage-account a --azure-storage-access-key k \
             --azure-endpoint http://e/ --azure-allow-http",
        );
        assert_eq!(
            azure.provider,
            Provider::Azure(Azure {
                account: Some("a".to_string()),
                access_key: Some(Secret::new("k")),
                endpoint: Some("http://e".to_string()),
                allow_http: true,
            })
        );
        assert!(Line::try_parse_from(["x", "--object-store", "tape"]).is_err());
    }

    #[test]
    fn options_of_s3_and_of_its_connection() {
        let settings = remote(
            "--object-store s3 --bucket b --aws-access-key-id i --aws-secret-access-key k --aws-session-token= \
             --aws-endpoint http://localhost:9000/ --aws-allow-http --aws-s3-custom-backend ceph \
             --object-store-connection-limit 3 --object-store-http2-only --object-store-max-retries 0 \
             --object-store-request-timeout 5s --object-store-retry-timeout 1m --object-store-tls-ca /ca \
             --object-store-cache-endpoint http://c",
        );
        let s3 = S3 {
            access_key_id: Some(Secret::new("i")),
            secret_access_key: Some(Secret::new("k")),
            endpoint: Some("http://localhost:9000".to_string()),
            allow_http: true,
            ..S3::default()
        };
        let expected = Settings {
            provider: Provider::S3(Box::new(s3)),
            bucket: Some("b".to_string()),
            connection: Connection {
                limit: NonZeroUsize::new(3).expect("not zero"),
                http2_only: true,
                request_timeout: Duration::from_secs(5),
                max_retries: Some(0),
                retry_timeout: Some(Duration::from_secs(60)),
                tls_ca: Some(PathBuf::from("/ca")),
                ..Connection::default()
            },
        };
        assert_eq!(settings, expected);
        let connection = remote("--object-store s3").connection;
        assert_eq!(connection, Connection::default());
    }

    #[test]
    fn values_that_are_wrong() {
        for line in [
            "--object-store-connection-limit 0",
            "--aws-endpoint nonsense",
            "--aws-endpoint mailto:a@b",
            "--aws-s3-custom-backend other",
        ] {
            let words = std::iter::once("x").chain(line.split_whitespace());
            assert!(Line::try_parse_from(words).is_err(), "{line}");
        }
    }
}
