//! A server that speaks S3, in this process, over objects in memory: signatures, ranges, pages, conditional puts, and failures on
//! demand. Its protocol is the `s3s` crate's; what is here is the keeping of objects.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use futures::TryStreamExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use s3s::auth::SimpleAuth;
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    ETag, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object, PutObjectInput, PutObjectOutput, StreamingBlob, Timestamp,
};
use s3s::service::S3ServiceBuilder;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use std::sync::Mutex;
use tokio_rustls::TlsAcceptor;

use super::certificates::Certificates;

const ACCESS_KEY: &str = "access";
const SECRET_KEY: &str = "hunter2";

/// Keys of one page of a listing: few, so that listings have pages.
const PAGE_KEYS: usize = 7;

/// What puts meet; each field is one in so many, 0 for never.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// 503 without storing anything.
    pub(crate) slow_down: u64,
    /// Stored, then 500.
    pub(crate) lost_answers: u64,
    /// 409 without storing anything, as when two conditional puts meet.
    pub(crate) conflicts: u64,
    /// Whether conditions of puts are passed over, as servers do that do not know them.
    pub(crate) no_conditions: bool,
}

/// A running server; stops when dropped.
pub(crate) struct S3Server {
    bucket: Arc<Bucket>,
    address: SocketAddr,
    is_secure: bool,
    // Held for its threads, which end with it.
    _runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct Bucket {
    objects: Mutex<BTreeMap<String, (Bytes, u64)>>,
    faults: Mutex<Faults>,
    puts: AtomicU64,
}

impl S3Server {
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    /// Over TLS, with the certificate of a server that the authority has signed.
    pub(crate) fn start_over_tls(certificates: &Certificates) -> Self {
        Self::start_with(Some(TlsAcceptor::from(Arc::new(certificates.server()))))
    }

    fn start_with(tls: Option<TlsAcceptor>) -> Self {
        let is_secure = tls.is_some();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let bucket = Arc::new(Bucket::default());
        let mut builder = S3ServiceBuilder::new(Keeper(Arc::clone(&bucket)));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let handle = runtime.handle().clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                let tls = tls.clone();
                handle.spawn(async move {
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    // A client that goes away, or does not trust it, is not this server's concern.
                    let _ = match tls {
                        None => server.serve_connection(TokioIo::new(stream), service).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => {
                                server.serve_connection(TokioIo::new(stream), service).await
                            }
                            Err(_) => return,
                        },
                    };
                });
            }
        });
        Self {
            bucket,
            address,
            is_secure,
            _runtime: runtime,
        }
    }

    /// The options that lead a command to this bucket.
    pub(crate) fn options(&self) -> Vec<String> {
        let scheme = if self.is_secure { "https" } else { "http" };
        let endpoint = format!("{scheme}://{}/", self.address);
        let mut options = vec![
            "--object-store",
            "s3",
            "--bucket",
            "bucket",
            "--aws-access-key-id",
            ACCESS_KEY,
            "--aws-secret-access-key",
            SECRET_KEY,
            "--aws-endpoint",
            &endpoint,
        ];
        if !self.is_secure {
            options.push("--aws-allow-http");
        }
        options.into_iter().map(str::to_string).collect()
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        *self.bucket.faults.lock().expect("not poisoned") = faults;
    }

    /// Names of the objects that contain `part`.
    pub(crate) fn keys(&self, part: &str) -> Vec<String> {
        let objects = self.bucket.objects.lock().expect("not poisoned");
        let keys = objects.keys().filter(|key| key.contains(part));
        keys.cloned().collect()
    }
}

struct Keeper(Arc<Bucket>);

fn tag(version: u64) -> ETag {
    ETag::Strong(format!("{version:032x}"))
}

fn unchanging_time() -> Timestamp {
    Timestamp::from(SystemTime::UNIX_EPOCH)
}

fn body(bytes: Bytes) -> StreamingBlob {
    StreamingBlob::wrap(futures::stream::iter([Ok::<_, std::io::Error>(bytes)]))
}

impl Keeper {
    fn find(&self, key: &str) -> S3Result<(Bytes, u64)> {
        let objects = self.0.objects.lock().expect("not poisoned");
        objects
            .get(key)
            .cloned()
            .ok_or_else(|| s3_error!(NoSuchKey))
    }
}

#[async_trait::async_trait]
impl S3 for Keeper {
    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let mut bytes = Vec::new();
        if let Some(mut body) = input.body {
            while let Some(part) = body
                .try_next()
                .await
                .map_err(|_| s3_error!(IncompleteBody))?
            {
                bytes.extend_from_slice(&part);
            }
        }
        let number = self.0.puts.fetch_add(1, Ordering::SeqCst) + 1;
        let faults = *self.0.faults.lock().expect("not poisoned");
        let is_turn = |every: u64| every > 0 && number.is_multiple_of(every);
        if is_turn(faults.slow_down) {
            return Err(s3_error!(SlowDown));
        }
        if is_turn(faults.conflicts) && input.if_none_match.is_some() {
            return Err(s3_error!(ConditionalRequestConflict));
        }
        {
            let mut objects = self.0.objects.lock().expect("not poisoned");
            let is_conditional = input.if_none_match.is_some() && !faults.no_conditions;
            if is_conditional && objects.contains_key(&input.key) {
                return Err(s3_error!(PreconditionFailed));
            }
            objects.insert(input.key, (bytes.into(), number));
        }
        if is_turn(faults.lost_answers) {
            return Err(s3_error!(InternalError));
        }
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(tag(number)),
            ..PutObjectOutput::default()
        }))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let (bytes, version) = self.find(&request.input.key)?;
        let whole = bytes.len() as u64;
        let (bytes, content_range) = match request.input.range {
            None => (bytes, None),
            Some(range) => {
                let range = range.check(whole).map_err(|_| s3_error!(InvalidRange))?;
                let told = format!("bytes {}-{}/{whole}", range.start, range.end - 1);
                let part = bytes.slice(range.start as usize..range.end as usize);
                (part, Some(told))
            }
        };
        Ok(S3Response::new(GetObjectOutput {
            content_length: Some(bytes.len() as i64),
            content_range,
            body: Some(body(bytes)),
            e_tag: Some(tag(version)),
            last_modified: Some(unchanging_time()),
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let (bytes, version) = self.find(&request.input.key)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(bytes.len() as i64),
            e_tag: Some(tag(version)),
            last_modified: Some(unchanging_time()),
            ..HeadObjectOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.or(input.start_after);
        let objects = self.0.objects.lock().expect("not poisoned");
        let mut found: Vec<Object> = objects
            .iter()
            .filter(|(key, _)| {
                key.starts_with(&prefix) && after.as_ref().is_none_or(|after| *key > after)
            })
            .take(PAGE_KEYS + 1)
            .map(|(key, (bytes, version))| Object {
                key: Some(key.clone()),
                size: Some(bytes.len() as i64),
                e_tag: Some(tag(*version)),
                last_modified: Some(unchanging_time()),
                ..Object::default()
            })
            .collect();
        let is_truncated = found.len() > PAGE_KEYS;
        found.truncate(PAGE_KEYS);
        let last = found.last().and_then(|object| object.key.clone());
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            key_count: Some(found.len() as i32),
            max_keys: Some(PAGE_KEYS as i32),
            is_truncated: Some(is_truncated),
            next_continuation_token: last.filter(|_| is_truncated),
            contents: Some(found),
            ..ListObjectsV2Output::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let mut objects = self.0.objects.lock().expect("not poisoned");
        objects.remove(&request.input.key);
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let mut objects = self.0.objects.lock().expect("not poisoned");
        let mut deleted = Vec::new();
        for object in request.input.delete.objects {
            objects.remove(&object.key);
            deleted.push(DeletedObject {
                key: Some(object.key),
                ..DeletedObject::default()
            });
        }
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: Some(deleted),
            ..DeleteObjectsOutput::default()
        }))
    }
}
