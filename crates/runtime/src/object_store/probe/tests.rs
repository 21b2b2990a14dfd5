//! The probe: passes on stores that are sound, names what a store lacks, leaves nothing behind.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutResult, Result as StoreResult,
};

use super::*;
use crate::SystemClock;
use crate::object_store::{in_folder, in_memory};

/// What a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    TakesNothing,
    Overwrites,
    ListsNothing,
    IgnoresRanges,
    KeepsDeleted,
}

#[derive(Debug)]
struct Flawed {
    objects: InMemory,
    flaw: Flaw,
}

impl fmt::Display for Flawed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Flawed({:?})", self.flaw)
    }
}

#[async_trait]
impl ObjectStore for Flawed {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> StoreResult<PutResult> {
        match self.flaw {
            Flaw::TakesNothing => Err(StoreError::PermissionDenied {
                path: location.to_string(),
                source: "no".into(),
            }),
            Flaw::Overwrites => self.objects.put(location, payload).await,
            _ => self.objects.put_opts(location, payload, options).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, mut options: GetOptions) -> StoreResult<GetResult> {
        if self.flaw == Flaw::IgnoresRanges {
            options.range = None;
        }
        self.objects.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        if self.flaw == Flaw::KeepsDeleted {
            return locations;
        }
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        if self.flaw == Flaw::ListsNothing {
            return stream::empty().boxed();
        }
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

async fn probed(store: &Store) -> Result<(), Error> {
    let folder = Path::from("node/probe");
    let clock = SystemClock::new();
    let checks = probe(store, &folder, &Random::seeded(1), &clock).await;
    verdict(checks.expect("random"))
}

#[tokio::test]
async fn sound_stores_pass_and_keep_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    for store in [in_memory(), in_folder(folder.path()).expect("open")] {
        for _ in 0..2 {
            probed(&store).await.expect("sound");
        }
        assert_eq!(store.list(None).count().await, 0);
    }
}

#[tokio::test]
async fn what_a_store_lacks_is_named() {
    for (flaw, expected) in [
        (
            Flaw::TakesNothing,
            "the object store cannot be used: it does not create an object: cannot create object node/probe/",
        ),
        (
            Flaw::Overwrites,
            "the object store cannot be used: it does not refuse to create it again (conditional put): it overwrites an object",
        ),
        (
            Flaw::ListsNothing,
            "the object store cannot be used: it does not list it by prefix: a listing right after the put lacks the object",
        ),
        (
            Flaw::IgnoresRanges,
            "the object store cannot be used: it does not read a range of it: ",
        ),
        (
            Flaw::KeepsDeleted,
            "the object store cannot be used: it does not delete it: an object is still there",
        ),
    ] {
        let store: Store = Arc::new(Flawed {
            objects: InMemory::new(),
            flaw,
        });
        let refusal = probed(&store).await.expect_err("flawed").to_string();
        assert!(refusal.starts_with(expected), "{refusal}");
    }
}
