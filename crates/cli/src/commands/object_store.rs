//! The object store that options ask for; shared by `serve` and `debug`.
//!
//! The options are in the table (`options::table`), their meaning is `server`'s business: spec/server-config.md §7, §8.3, §9.

use std::num::NonZeroUsize;

use anyhow::bail;
use server::remote::{Azure, Connection, Google, Provider, S3, Settings as Remote};
use server::{ObjectStoreKind, Secret};

use crate::options::settings::Settings;

/// The store that is asked for.
pub(crate) fn kind(settings: &Settings) -> anyhow::Result<ObjectStoreKind> {
    Ok(match settings.word("object-store").as_deref() {
        Some("memory") => ObjectStoreKind::Memory,
        Some("memory-throttled") => ObjectStoreKind::MemoryThrottled,
        Some("s3") => remote(settings, Provider::S3(Box::new(s3(settings)))),
        Some("google") => remote(
            settings,
            Provider::Google(Google {
                service_account: settings.path("google-service-account"),
            }),
        ),
        Some("azure") => remote(settings, Provider::Azure(azure(settings))),
        _ => match (settings.path("data-dir"), std::env::home_dir()) {
            (Some(folder), _) => ObjectStoreKind::File(folder),
            (None, Some(home)) => ObjectStoreKind::File(home.join(".influxdb")),
            (None, None) => bail!(
                "Cannot parse object store config: Specified 'File' for the object store; required configuration missing for data-dir"
            ),
        },
    })
}

fn remote(settings: &Settings, provider: Provider) -> ObjectStoreKind {
    let usual = Connection::default();
    ObjectStoreKind::Remote(Remote {
        provider,
        bucket: settings.owned("bucket"),
        connection: Connection {
            limit: settings
                .number::<NonZeroUsize>("object-store-connection-limit")
                .unwrap_or(usual.limit),
            http2_only: settings.switch("object-store-http2-only"),
            http2_max_frame_size: settings.number("object-store-http2-max-frame-size"),
            request_timeout: settings
                .duration("object-store-request-timeout")
                .unwrap_or(usual.request_timeout),
            max_retries: settings.number("object-store-max-retries"),
            retry_timeout: settings.duration("object-store-retry-timeout"),
            tls_allow_insecure: settings.switch("object-store-tls-allow-insecure"),
            tls_ca: settings.path("object-store-tls-ca"),
        },
    })
}

fn s3(settings: &Settings) -> S3 {
    S3 {
        access_key_id: secret(settings, "aws-access-key-id"),
        secret_access_key: secret(settings, "aws-secret-access-key"),
        session_token: secret(settings, "aws-session-token"),
        region: settings.owned("aws-default-region"),
        endpoint: settings.url("aws-endpoint"),
        allow_http: settings.switch("aws-allow-http"),
        skip_signature: settings.switch("aws-skip-signature"),
        credentials_file: settings.path("aws-credentials-file"),
    }
}

fn azure(settings: &Settings) -> Azure {
    Azure {
        account: settings.owned("azure-storage-account"),
        access_key: secret(settings, "azure-storage-access-key"),
        endpoint: settings.url("azure-endpoint"),
        allow_http: settings.switch("azure-allow-http"),
    }
}

fn secret(settings: &Settings, name: &str) -> Option<Secret> {
    settings.owned(name).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use clap::{Args, Command, FromArgMatches};

    use super::*;
    use crate::environment::Environment;
    use crate::options::given::StoreOptions;

    fn settings(line: &str) -> Result<Settings, clap::Error> {
        let words = std::iter::once("x").chain(line.split_whitespace());
        let command = StoreOptions::augment_args(Command::new("x"));
        let given = StoreOptions::from_arg_matches(&command.try_get_matches_from(words)?)?;
        Ok(Settings::of(&given.0, &Environment::default()))
    }

    fn kind(line: &str) -> ObjectStoreKind {
        super::kind(&settings(line).expect("a valid line")).expect("a complete line")
    }

    fn remote(line: &str) -> Remote {
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
    }

    #[test]
    fn options_of_s3_and_of_its_connection() {
        let asked = remote(
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
        let expected = Remote {
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
        assert_eq!(asked, expected);
        let connection = remote("--object-store s3").connection;
        assert_eq!(connection, Connection::default());
    }

    #[test]
    fn values_that_are_wrong() {
        for line in [
            "--object-store tape",
            "--object-store-connection-limit 0",
            "--aws-endpoint nonsense",
            "--aws-endpoint mailto:a@b",
            "--aws-s3-custom-backend other",
        ] {
            assert!(settings(line).is_err(), "{line}");
        }
    }
}
