//! Keys from a file: read, wrong, renewed in time and on refusal.

use std::sync::atomic::{AtomicUsize, Ordering};

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;

use super::*;
use crate::clock::SimulatedClock;

fn write(path: &FilePath, key: &str, expiry: &str) {
    let text = format!(
        r#"{{"aws_access_key_id":"{key}","aws_secret_access_key":"s","aws_session_token":"t"{expiry}}}"#
    );
    std::fs::write(path, text).expect("write");
}

async fn key(file: &CredentialsFile) -> String {
    let credential = file.get_credential().await.expect("credential");
    credential.key_id.clone()
}

#[tokio::test]
async fn keys_are_read_again_when_they_expire_and_at_least_every_hour() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("keys.json");
    // 1000 seconds, then two more ways to say 1060, then none.
    for (expiry, seconds) in [
        (r#","expiry":1060"#, 60),
        (r#","expiry":"1060""#, 60),
        (r#","expiry":"1970-01-01T00:17:40Z""#, 60),
        (r#","expiry":7"#, 1),
        (r#","expiry":99999999"#, 3600),
        ("", 3600),
    ] {
        let clock = Arc::new(SimulatedClock::at_ns(1_000_000_000_000));
        write(&path, "old", expiry);
        let file = CredentialsFile::read(path.clone(), Arc::clone(&clock) as _).expect("read");
        write(&path, "new", expiry);
        clock.advance(Duration::from_secs(seconds) - Duration::from_millis(1));
        assert_eq!(key(&file).await, "old", "{expiry}");
        clock.advance(Duration::from_millis(1));
        assert_eq!(key(&file).await, "new", "{expiry}");
    }
}

#[test]
fn what_is_wrong_is_told_without_the_secret() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("keys.json");
    let refusal = || {
        let clock = Arc::new(SimulatedClock::at_ns(0));
        let refused = CredentialsFile::read(path.clone(), clock);
        refused.expect_err("wrong").to_string()
    };
    let missing = refusal();
    assert!(
        missing.starts_with("Error reading AWS credentials from file: "),
        "{missing}"
    );
    for text in [
        "",
        r#"{"aws_access_key_id":"hunter2"}"#,
        r#"{"aws_access_key_id":"hunter2","aws_secret_access_key":hunter2}"#,
        r#"{"aws_access_key_id":"a","aws_secret_access_key":"hunter2","expiry":"soon"}"#,
    ] {
        std::fs::write(&path, text).expect("write");
        let refusal = refusal();
        assert!(
            refusal.starts_with("Error deserializing AWS file credentials: ")
                && !refusal.contains("hunter2"),
            "{refusal}"
        );
    }
}

/// Refuses everything until the keys were asked for `refusals` times.
#[derive(Debug)]
struct Guarded {
    objects: InMemory,
    credentials: Arc<CredentialsFile>,
    wanted: &'static str,
    asked: AtomicUsize,
}

impl Guarded {
    async fn check(&self) -> Result<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.credentials.get_credential().await?.key_id == self.wanted {
            return Ok(());
        }
        Err(StoreError::Generic {
            store: "S3",
            source: "<Code>ExpiredToken</Code>".into(),
        })
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Guarded")
    }
}

#[async_trait]
impl ObjectStore for Guarded {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.check().await?;
        self.objects.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check().await?;
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.check().await?;
        self.objects.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let known = self.credentials.known.lock().credential.key_id.clone();
        self.asked.fetch_add(1, Ordering::SeqCst);
        if known == self.wanted || self.credentials.known.lock().fresh_until.is_zero() {
            return self.objects.list(prefix);
        }
        let refusal = StoreError::Unauthenticated {
            path: String::new(),
            source: "expired".into(),
        };
        stream::iter([Err(refusal)]).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.check().await?;
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.check().await?;
        self.objects.copy_opts(from, to, options).await
    }
}

#[tokio::test]
async fn refused_keys_are_read_again_and_the_request_is_made_once_more() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("keys.json");
    write(&path, "old", "");
    let clock = Arc::new(SimulatedClock::at_ns(0));
    let credentials =
        Arc::new(CredentialsFile::read(path.clone(), clock as Arc<dyn Clock>).expect("read"));
    let guarded = Guarded {
        objects: InMemory::new(),
        credentials: Arc::clone(&credentials),
        wanted: "new",
        asked: AtomicUsize::new(0),
    };
    let store = Renewing::new(guarded, Arc::clone(&credentials));
    let object = Path::from("a");
    let refusal = store.put(&object, "x".into()).await.expect_err("refused");
    assert!(is_refusal_of_keys(&refusal));
    assert_eq!(store.store.asked.swap(0, Ordering::SeqCst), 2);
    write(&path, "new", "");
    store.put(&object, "x".into()).await.expect("renewed");
    assert_eq!(store.store.asked.swap(0, Ordering::SeqCst), 2);
    store.get(&object).await.expect("known now");
    assert_eq!(store.store.asked.swap(0, Ordering::SeqCst), 1);
    store.delete(&object).await.expect("delete");
}
