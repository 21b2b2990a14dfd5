//! A store in memory that fails when told to, for tests of what must survive such failures.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};

/// An in-memory store whose next puts fail, with or without having stored the object.
#[derive(Debug, Default)]
pub struct FaultyStore {
    objects: InMemory,
    /// How many of the next puts fail before they store anything.
    refuse_puts: AtomicU64,
    /// How many of the next puts store the object and then lose their answer.
    lose_answers: AtomicU64,
}

impl FaultyStore {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn refuse_next_puts(&self, count: u64) {
        self.refuse_puts.store(count, Ordering::SeqCst);
    }

    pub fn lose_next_answers(&self, count: u64) {
        self.lose_answers.store(count, Ordering::SeqCst);
    }

    fn take_one(counter: &AtomicU64) -> bool {
        counter
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .is_ok()
    }

    fn fault(what: &str) -> object_store::Error {
        object_store::Error::Generic {
            store: "FaultyStore",
            source: what.to_string().into(),
        }
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FaultyStore")
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        if Self::take_one(&self.refuse_puts) {
            return Err(Self::fault("put refused"));
        }
        let stored = self.objects.put_opts(location, payload, options).await?;
        if Self::take_one(&self.lose_answers) {
            return Err(Self::fault("answer lost"));
        }
        Ok(stored)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.objects.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}
