//! A folder as an object store that survives power loss.
//!
//! Reading, listing and deleting are `object_store`'s own; putting is ours, because that crate stages and
//! renames without syncing. Here the bytes are on disk before the name appears, and the name is on disk
//! before the put returns.

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
    path::Path,
};
use parking_lot::Mutex;

use crate::Error;

/// How often a put makes its folder again because somebody removed it.
const MISSING_FOLDERS_MAX: usize = 16;

/// An object store in a local folder with durable puts.
#[derive(Debug)]
pub struct DurableFolder {
    folder: LocalFileSystem,
    puts: Arc<Puts>,
}

/// What all puts into one store share.
#[derive(Debug)]
struct Puts {
    root: PathBuf,
    /// How many staging names were used.
    staged: AtomicU64,
    /// Folders whose own names are known to be on disk. One that merely exists may be the work of a process that died,
    /// or of a thread that is still at it, before its name was synced.
    durable_folders: Mutex<HashSet<PathBuf>>,
}

impl DurableFolder {
    /// Opens `folder`, creating it (and its parents) when missing.
    pub fn open(folder: &FilePath) -> Result<Self, Error> {
        create_folders(folder).map_err(|cause| {
            Error::unavailable(format!(
                "Unable to create database directory {}",
                folder.display()
            ))
            .with_source(cause)
        })?;
        let local = LocalFileSystem::new_with_prefix(folder).map_err(|cause| {
            Error::unavailable(format!("Unable to create local store {}", folder.display()))
                .with_source(cause)
        })?;
        let local_root = fs::canonicalize(folder).map_err(|cause| {
            Error::unavailable(format!("Unable to create local store {}", folder.display()))
                .with_source(cause)
        })?;
        Ok(Self {
            folder: local.with_automatic_cleanup(true),
            puts: Arc::new(Puts {
                // As the store names it, so that every target begins with it.
                root: local_root,
                staged: AtomicU64::new(0),
                durable_folders: Mutex::default(),
            }),
        })
    }
}

impl fmt::Display for DurableFolder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DurableFolder({})", self.folder)
    }
}

#[async_trait]
impl ObjectStore for DurableFolder {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let create = match options.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => {
                return Err(object_store::Error::NotImplemented {
                    operation: "put with PutMode::Update".to_string(),
                    implementer: self.to_string(),
                });
            }
        };
        let target = self.folder.path_to_filesystem(location)?;
        let puts = Arc::clone(&self.puts);
        let put = move || puts.put_durably(&target, &payload, create);
        let outcome = tokio::task::spawn_blocking(put)
            .await
            .map_err(|cause| object_store::Error::JoinError { source: cause })?;
        match outcome {
            Ok(()) => Ok(PutResult {
                e_tag: None,
                version: None,
            }),
            Err(cause) if create && cause.kind() == io::ErrorKind::AlreadyExists => {
                Err(object_store::Error::AlreadyExists {
                    path: location.to_string(),
                    source: Box::new(cause),
                })
            }
            Err(cause) => Err(object_store::Error::Generic {
                store: "DurableFolder",
                source: Box::new(cause),
            }),
        }
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        // Parts would bypass the syncing above; every object of ours is put whole.
        Err(object_store::Error::NotImplemented {
            operation: "multipart upload".to_string(),
            implementer: self.to_string(),
        })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.folder.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.folder.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.folder.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.folder.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.folder.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.folder.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.folder.rename_opts(from, to, options).await
    }
}

impl Puts {
    fn put_durably(&self, target: &FilePath, payload: &PutPayload, create: bool) -> io::Result<()> {
        let folder = target
            .parent()
            .ok_or_else(|| io::Error::other("an object needs a folder"))?;
        let (staging, mut file) = self.stage(target, folder)?;
        let written = payload
            .iter()
            .try_for_each(|part| file.write_all(part))
            .and_then(|()| file.sync_all())
            .and_then(|()| self.make_durable(folder))
            .and_then(|()| {
                if create {
                    // A hard link fails when the name is taken, which makes the create atomic.
                    fs::hard_link(&staging, target)
                } else {
                    fs::rename(&staging, target)
                }
            });
        if create || written.is_err() {
            // Left-overs of a failed put are harmless: they are never listed.
            let _ = fs::remove_file(&staging);
        }
        written?;
        sync_folder(folder).inspect_err(|_| {
            if create {
                // A name that may not last must not be found, or trying again would take it for done.
                let _ = fs::remove_file(target);
            }
        })
    }

    /// Opens a new file beside `target` under a name that `object_store` never lists (it skips `name#number`).
    fn stage(&self, target: &FilePath, folder: &FilePath) -> io::Result<(PathBuf, File)> {
        let mut missing_folders = 0;
        loop {
            let number = self.staged.fetch_add(1, Ordering::Relaxed);
            let mut name = target.as_os_str().to_owned();
            name.push(format!("#{}{number:06}", std::process::id()));
            let staging = PathBuf::from(name);
            match OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&staging)
            {
                Ok(file) => return Ok((staging, file)),
                // Left by a process of the same number that died, which in a container every one has.
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
                // Removing the last object of a folder removes the folder, perhaps just now.
                Err(cause)
                    if cause.kind() == io::ErrorKind::NotFound
                        && missing_folders < MISSING_FOLDERS_MAX =>
                {
                    missing_folders += 1;
                    self.durable_folders
                        .lock()
                        .retain(|known| !folder.starts_with(known));
                    match fs::create_dir_all(folder) {
                        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
                        _ => {}
                    }
                }
                Err(cause) => return Err(cause),
            }
        }
    }

    /// Makes the name of `folder` durable, and those of the folders between it and the root.
    fn make_durable(&self, folder: &FilePath) -> io::Result<()> {
        let mut inner = folder;
        while inner != self.root && !self.durable_folders.lock().contains(inner) {
            let Some(outer) = inner.parent() else { break };
            sync_folder(outer)?;
            inner = outer;
        }
        let mut durable = self.durable_folders.lock();
        for done in folder.ancestors().take_while(|done| *done != inner) {
            durable.insert(done.to_path_buf());
        }
        Ok(())
    }
}

/// Makes the names in `folder` durable.
pub fn sync_folder(folder: &FilePath) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Creates `folder` and its missing parents, each durable in its parent.
pub fn create_folders(folder: &FilePath) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create_folders(parent)?;
    }
    match fs::create_dir(folder) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(cause),
        _ => {}
    }
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object_store::cas::{self, Created};
    use crate::object_store::{Store, in_folder};
    use futures::TryStreamExt;
    use object_store::ObjectStoreExt;

    #[tokio::test]
    async fn create_wins_once_and_leaves_only_the_object() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store: Store = in_folder(&folder.path().join("a/b")).expect("open");
        let path = Path::from("node/log/0001");
        let first = cas::create(&store, &path, "one".into()).await.expect("put");
        let second = cas::create(&store, &path, "two".into()).await.expect("put");
        assert_eq!((first, second), (Created::Yes, Created::Taken));
        assert_eq!(
            cas::read(&store, &path).await.expect("read").as_deref(),
            Some("one".as_bytes())
        );
        let listed: Vec<_> = store.list(None).try_collect().await.expect("list");
        assert_eq!(listed.len(), 1);
        assert_eq!(
            fs::read_dir(folder.path().join("a/b/node/log"))
                .expect("dir")
                .count(),
            1
        );
    }

    #[tokio::test]
    async fn what_a_dead_process_left_does_not_look_like_an_object() {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::create_dir_all(folder.path().join("log")).expect("folder");
        for number in 0..3 {
            let name = format!("log/0001#{}{number:06}", std::process::id());
            fs::write(folder.path().join(name), "half").expect("write");
        }
        let store: Store = in_folder(folder.path()).expect("open");
        let path = Path::from("log/0001");
        let created = cas::create(&store, &path, "one".into()).await.expect("put");
        assert_eq!(created, Created::Yes);
        let listed: Vec<_> = store.list(None).try_collect().await.expect("list");
        assert_eq!(listed.len(), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_folder_that_comes_and_goes_takes_every_put() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store: Store = in_folder(folder.path()).expect("open");
        let puts = (0..8).map(|writer| {
            let store = Arc::clone(&store);
            async move {
                for number in 0..50 {
                    let path = Path::from(format!("a/b/{writer}-{number}"));
                    let created = cas::create(&store, &path, "x".into()).await;
                    assert_eq!(created.expect("put"), Created::Yes);
                    store.delete(&path).await.expect("delete");
                }
            }
        });
        futures::future::join_all(puts).await;
    }
}
