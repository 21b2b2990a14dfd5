//! The settings of a node, after parsing: what `serve`'s options mean.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use catalog::Limits;

/// Where objects are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectStoreKind {
    Memory,
    /// A folder, created when missing.
    File(PathBuf),
}

/// A path that needs no token (spec/auth-tokens.md §6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationExempt {
    Health,
    Ping,
    Metrics,
    Ready,
    Pprof,
    NodeStop,
}

/// Everything a node must know to start.
#[derive(Clone, Debug)]
pub struct Config {
    pub node_id: String,
    pub object_store: ObjectStoreKind,
    pub http_bind: SocketAddr,
    /// Receives `ip:port` once bound; must not exist before.
    pub tcp_listener_file_path: Option<PathBuf>,
    pub without_auth: bool,
    pub disable_authz: Vec<AuthorizationExempt>,
    /// Of a body, before and after decompression.
    pub max_http_request_bytes: usize,
    pub wal_flush_interval: Duration,
    pub wal_snapshot_size: u32,
    /// Memory for query execution.
    pub query_memory_bytes: usize,
    /// Buffered bytes at which rows become files early.
    pub buffer_bytes_max: usize,
    pub query_threads: usize,
    pub limits: Limits,
    /// Longest wait for open connections at shutdown.
    pub shutdown_timeout: Duration,
    /// Package version and source revision, for `/ping`.
    pub version: String,
    pub revision: String,
}
