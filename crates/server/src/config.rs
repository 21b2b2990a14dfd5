//! The settings of a node, after parsing: what `serve`'s options mean.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use catalog::Limits;
use runtime::object_store::remote;

use crate::memory::Memory;

/// Where objects are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectStoreKind {
    Memory,
    /// As slow as a store far away, for tests.
    MemoryThrottled,
    /// A folder, created when missing.
    File(PathBuf),
    /// A bucket of S3, Google or Azure.
    Remote(remote::Settings),
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

/// Where tokens come from besides requests, and what is noted about them: docs/guide/tokens.md.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// One admin token to create at start.
    pub admin_token_file: Option<PathBuf>,
    /// Whether an admin token that exists follows its file.
    pub admin_token_file_rotate: bool,
    /// Databases and tokens with permissions to create at start.
    pub permission_tokens_file: Option<PathBuf>,
    /// The secret of the operator token of a first start; made when it does not exist.
    pub bootstrap_token_file: Option<PathBuf>,
    /// Where the operator token can be recovered, without any token.
    pub recovery_bind: Option<SocketAddr>,
    /// As `tcp_listener_file_path`, of that listener.
    pub recovery_listener_file_path: Option<PathBuf>,
    /// Invalid credentials of one client that are answered 401 in a minute; 0 is as many as it likes.
    pub failures_per_minute: u32,
    /// How long token events are kept.
    pub events_retention: Duration,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            admin_token_file: None,
            admin_token_file_rotate: false,
            permission_tokens_file: None,
            bootstrap_token_file: None,
            recovery_bind: None,
            recovery_listener_file_path: None,
            failures_per_minute: 600,
            events_retention: Duration::from_secs(90 * 86_400),
        }
    }
}

/// How queries share a node: docs/guide/queries.md.
#[derive(Clone, Debug)]
pub struct QuerySettings {
    /// Of one query; half of that of all together when not given.
    pub memory_bytes: Option<usize>,
    /// Queries that run at once; as many as suit the threads when not given.
    pub concurrent_max: Option<usize>,
    /// Queries that wait for others to end.
    pub waiting_max: usize,
    /// How long each of these waits.
    pub wait_max: Duration,
    /// How long a query may take.
    pub timeout: Option<Duration>,
    /// Queries that `system.queries` remembers after their end.
    pub log_entries: usize,
    /// Where queries go on when their memory is full; the operating system's folder for temporary files when not given.
    pub spill_folder: Option<PathBuf>,
}

impl Default for QuerySettings {
    fn default() -> Self {
        Self {
            memory_bytes: None,
            concurrent_max: None,
            waiting_max: 1_000,
            wait_max: Duration::from_secs(30),
            timeout: None,
            log_entries: 1_000,
            spill_folder: None,
        }
    }
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    #[default]
    Tls12,
    Tls13,
}

/// What a port needs to speak TLS: docs/guide/tls.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// PEM: the server's certificate, then those between it and an authority that clients know.
    pub certificate_file: PathBuf,
    /// PEM: the key of the first certificate, without a password.
    pub key_file: PathBuf,
    pub minimum_version: TlsVersion,
}

/// How much patience clients get, and how many of them: docs/guide/operate.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Connections open at once; whoever comes beyond that is told to come again.
    pub connections_max: usize,
    /// How long a connection may be idle. Longer than the pools of common clients keep theirs, so that clients are the ones who close.
    pub idle_max: Duration,
    /// From the first byte of a request to the end of its head.
    pub head_max: Duration,
    /// In each such time some of a body has to come: 4 KiB, or the rest.
    pub body_window: Duration,
    /// For a whole body.
    pub body_max: Duration,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            idle_max: Duration::from_secs(180),
            head_max: Duration::from_secs(30),
            body_window: Duration::from_secs(30),
            body_max: Duration::from_secs(900),
        }
    }
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
    /// How long a secret lives on that is replaced, when the request does not say.
    pub token_grace_period: Duration,
    pub tokens: TokenSettings,
    /// Of all ports; without it they speak in the clear.
    pub tls: Option<TlsSettings>,
    /// Of a body, before and after decompression.
    pub max_http_request_bytes: usize,
    pub clients: ClientLimits,
    pub wal_flush_interval: Duration,
    pub wal_snapshot_size: u32,
    /// Whether damage in the log stops the start.
    pub wal_replay_fail_on_error: bool,
    /// From the moment a deleted table's data goes to the end of its entry in the catalog.
    pub delete_grace: Duration,
    /// The budget of all parts together.
    pub memory: Memory,
    pub query_threads: usize,
    pub queries: QuerySettings,
    pub limits: Limits,
    /// Longest wait for open connections at shutdown.
    pub shutdown_timeout: Duration,
    /// Processors that the process may use, and the options it was given, as `system.nodes` shows them; none of them is secret.
    pub processors: usize,
    pub options: BTreeMap<String, String>,
    /// Package version and source revision, for `/ping`.
    pub version: String,
    pub revision: String,
}
