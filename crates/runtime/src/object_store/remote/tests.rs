//! Opening buckets: what is missing or wrong is said before anything is asked of the network.

use std::io::Write;

use super::*;
use crate::SystemClock;

fn settings(provider: Provider) -> Settings {
    Settings {
        provider,
        bucket: Some("bucket".to_string()),
        connection: Connection::default(),
    }
}

fn s3() -> S3 {
    S3 {
        access_key_id: Some(Secret::new("key")),
        secret_access_key: Some(Secret::new("hunter2")),
        endpoint: Some("http://127.0.0.1:1".to_string()),
        allow_http: true,
        ..S3::default()
    }
}

fn try_open(settings: &Settings) -> Result<Store, String> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    open(settings, &clock).map_err(|fault| fault.to_string())
}

#[test]
fn a_bucket_must_be_named() {
    for (provider, expected) in [
        (
            Provider::S3(Box::new(s3())),
            "Error configuring Amazon S3: Generic S3 error: Missing bucket name",
        ),
        (
            Provider::Google(Google::default()),
            "Error configuring GCS: Generic GCS error: Missing bucket name",
        ),
        (
            Provider::Azure(Azure {
                account: Some("a".to_string()),
                ..Azure::default()
            }),
            "Error configuring Microsoft Azure: Generic MicrosoftAzure error: Container name must be specified",
        ),
    ] {
        let settings = Settings {
            bucket: None,
            ..settings(provider)
        };
        assert_eq!(try_open(&settings).expect_err("no bucket"), expected);
    }
}

#[test]
fn every_provider_opens_with_every_option() {
    let connection = Connection {
        limit: NonZeroUsize::MIN,
        http2_only: true,
        http2_max_frame_size: Some(1 << 20),
        request_timeout: Duration::from_secs(1),
        max_retries: Some(0),
        retry_timeout: Some(Duration::from_secs(2)),
        tls_allow_insecure: true,
        tls_ca: None,
    };
    // A key of the storage emulator that everybody knows.
    let key =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
    for provider in [
        Provider::S3(Box::new(s3())),
        Provider::Azure(Azure {
            account: Some("devstoreaccount1".to_string()),
            access_key: Some(Secret::new(key)),
            endpoint: Some("http://127.0.0.1:1/devstoreaccount1".to_string()),
            allow_http: true,
        }),
    ] {
        let settings = Settings {
            connection: connection.clone(),
            ..settings(provider)
        };
        try_open(&settings).expect("open");
    }
    let google = Google {
        service_account: Some(PathBuf::from("/does/not/exist.json")),
    };
    let refusal = try_open(&settings(Provider::Google(google))).expect_err("no key file");
    assert!(refusal.starts_with("Error configuring GCS: "), "{refusal}");
}

#[test]
fn authorities_come_from_a_file() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("ca.pem");
    let with_ca = || {
        let mut settings = settings(Provider::S3(Box::new(s3())));
        settings.connection.tls_ca = Some(file.clone());
        try_open(&settings).map(|_| ())
    };
    let name = file.display();
    let missing = with_ca().expect_err("no file");
    let expected = format!("Failed to read CA certificate file at {name}: ");
    assert!(missing.starts_with(&expected), "{missing}");
    for text in [
        "nonsense",
        "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n",
    ] {
        let mut written = std::fs::File::create(&file).expect("create");
        written.write_all(text.as_bytes()).expect("write");
        let refusal = with_ca().expect_err("no certificate");
        let expected = format!("Failed to parse CA certificate from {name}: ");
        assert!(refusal.starts_with(&expected), "{refusal}");
    }
}

#[test]
fn a_dump_of_the_settings_shows_no_secret() {
    let dump = format!("{:?}", settings(Provider::S3(Box::new(s3()))));
    assert!(
        dump.contains("bucket") && !dump.contains("hunter2"),
        "{dump}"
    );
}
