//! `serve`: fills the node's settings from options, runs the node until it is told to stop.
//!
//! Options, defaults and failure texts: spec/server-config.md §2, §3, §7, §8. What a node does is `server`'s business.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use server::{
    AskedMemory, AuthorizationExempt, Config, Limits, Memory, Node, QuerySettings, TlsSettings,
    TlsVersion, TokenSettings, memory,
};

use crate::commands::object_store::ObjectStoreOptions;
use crate::environment::Environment;
use crate::logging::{self, LogOptions};
use crate::memory_size::{self, MemorySize};
use crate::signals::{HangUps, Signals};

/// The revision of the source this binary was built from, or `unknown`.
const REVISION: &str = env!("GNOMON_REVISION");

/// Of the recovery listener, when it is asked for without an address (spec/auth-tokens.md §12).
const RECOVERY_ADDRESS: &str = "127.0.0.1:8182";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    node: NodeName,

    #[command(flatten)]
    object_store: ObjectStoreOptions,

    /// Address to listen on
    #[arg(long, env = "INFLUXDB3_HTTP_BIND_ADDR", value_name = "ADDR", default_value = "0.0.0.0:8181", value_parser = parse_address)]
    http_bind: SocketAddr,

    /// File to write the bound address to; must not exist
    #[arg(long, env = "INFLUXDB3_TCP_LISTENER_FILE_PATH", value_name = "PATH")]
    tcp_listener_file_path: Option<PathBuf>,

    /// Let everybody do everything, without tokens
    #[arg(long, env = "INFLUXDB3_WITHOUT_AUTH")]
    without_auth: bool,

    /// Paths that need no token: health, ping, metrics, ready, pprof, node_stop
    #[arg(long, env = "INFLUXDB3_DISABLE_AUTHZ", value_name = "LIST", value_parser = parse_exempt)]
    disable_authz: Option<Exempt>,

    /// PEM file with the certificate of the server and those of the authorities above it; read again when it changes
    #[arg(long, env = "INFLUXDB3_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,

    /// PEM file with the private key of the certificate
    #[arg(long, env = "INFLUXDB3_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,

    /// Oldest version of TLS to speak: tls-1.2 or tls-1.3
    #[arg(long, env = "INFLUXDB3_TLS_MINIMUM_VERSION", value_name = "VERSION", default_value = "tls-1.2", value_parser = parse_tls_version)]
    tls_minimum_version: TlsVersion,

    /// JSON file with an admin token to create at start, as made by `create token --admin --offline`
    #[arg(long, env = "INFLUXDB3_ADMIN_TOKEN_FILE", value_name = "FILE")]
    admin_token_file: Option<PathBuf>,

    /// Give an admin token that exists the secret of its file, when that is another one
    #[arg(long, env = "INFLUXDB3_ADMIN_TOKEN_FILE_ROTATE")]
    admin_token_file_rotate: bool,

    /// JSON file with databases and tokens to create at start, as made by `create token --offline`
    #[arg(long, env = "INFLUXDB3_PERMISSION_TOKENS_FILE", value_name = "FILE")]
    permission_tokens_file: Option<PathBuf>,

    /// File with the secret of the operator token of a first start; made with a new secret when it does not exist
    #[arg(long, env = "INFLUXDB3_BOOTSTRAP_TOKEN_FILE", value_name = "FILE")]
    bootstrap_token_file: Option<PathBuf>,

    /// Where the operator token can be regenerated once, without any token
    #[arg(long, env = "INFLUXDB3_ADMIN_TOKEN_RECOVERY_HTTP_BIND_ADDR", value_name = "ADDR", num_args = 0..=1, default_missing_value = RECOVERY_ADDRESS, value_parser = parse_address)]
    admin_token_recovery_http_bind: Option<SocketAddr>,

    /// File to write the bound address of the recovery listener to; must not exist
    #[arg(
        long,
        env = "INFLUXDB3_ADMIN_TOKEN_RECOVERY_TCP_LISTENER_FILE_PATH",
        value_name = "PATH",
        hide = true
    )]
    admin_token_recovery_tcp_listener_file_path: Option<PathBuf>,

    /// How long the secret that a rotation replaces lives on, when the request does not say
    #[arg(long, env = "INFLUXDB3_TOKEN_GRACE_PERIOD", value_name = "DURATION", default_value = "0s", value_parser = crate::duration::parse)]
    token_grace_period: Duration,

    /// Requests with an invalid token that one address may make in a minute before it gets 429; 0 for any number
    #[arg(long, env = "INFLUXDB3_AUTH_FAILURES_PER_MINUTE", value_name = "N", default_value_t = TokenSettings::default().failures_per_minute)]
    auth_failures_per_minute: u32,

    /// How long token events are kept
    #[arg(long, env = "INFLUXDB3_TOKEN_EVENTS_RETENTION", value_name = "DURATION", default_value = "90d", value_parser = crate::duration::parse)]
    token_events_retention: Duration,

    /// Largest request body in bytes, before and after decompression
    #[arg(long, env = "INFLUXDB3_MAX_HTTP_REQUEST_SIZE", value_name = "SIZE", default_value = "10485760", value_parser = memory_size::parse_request_size)]
    max_http_request_size: MemorySize,

    /// Longest wait for open connections at shutdown
    #[arg(long, env = "INFLUXDB3_SHUTDOWN_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = crate::duration::parse)]
    shutdown_timeout: Duration,

    /// Longest wait before written rows are flushed to the log
    #[arg(long, env = "INFLUXDB3_WAL_FLUSH_INTERVAL", value_name = "DURATION", default_value = "1s", value_parser = crate::duration::parse)]
    wal_flush_interval: Duration,

    /// Flush intervals after which buffered rows become files
    #[arg(long, alias = "wal-snapshot-size", env = "INFLUXDB3_WAL_FILES_PER_SNAPSHOT", value_name = "N", default_value = "600", value_parser = clap::value_parser!(u32).range(1..))]
    wal_files_per_snapshot: u32,

    /// Stop the start when the log is damaged, instead of passing over what cannot be read
    #[arg(long, env = "INFLUXDB3_WAL_REPLAY_FAIL_ON_ERROR")]
    wal_replay_fail_on_error: bool,

    /// From the moment a deleted table's data goes to the end of its entry in the catalog
    #[arg(long, env = "INFLUXDB3_DELETE_GRACE_PERIOD", value_name = "DURATION", default_value = "24h", value_parser = crate::duration::parse)]
    delete_grace_period: Duration,

    /// Memory for everything together; 70% when not given
    #[arg(long, env = "INFLUXDB3_MEMORY_LIMIT", value_name = "SIZE", value_parser = memory_size::parse)]
    memory_limit: Option<MemorySize>,

    /// Size of the buffer at which rows become files early; a share of the memory limit when not given
    #[arg(long, alias = "force-snapshot-mem-threshold", env = "INFLUXDB3_FORCE_SNAPSHOT_MEM_SIZE", value_name = "SIZE", value_parser = memory_size::parse)]
    force_snapshot_mem_size: Option<MemorySize>,

    /// Memory for running queries; a share of the memory limit when not given
    #[arg(long, alias = "exec-mem-pool-bytes", env = "INFLUXDB3_EXEC_MEM_POOL_SIZE", value_name = "SIZE", value_parser = memory_size::parse)]
    exec_mem_pool_size: Option<MemorySize>,

    /// Memory for footers and indexes of files; a share of the memory limit when not given
    #[arg(long, alias = "parquet-mem-cache-size", env = "INFLUXDB3_FILE_CACHE_SIZE", value_name = "SIZE", value_parser = memory_size::parse)]
    file_cache_size: Option<MemorySize>,

    /// Threads for running queries; as many as processors when not given
    #[arg(
        long,
        alias = "datafusion-num-threads",
        env = "INFLUXDB3_NUM_DATAFUSION_THREADS",
        value_name = "N"
    )]
    num_datafusion_threads: Option<std::num::NonZeroUsize>,

    /// Memory for one query; half of that of all together when not given
    #[arg(long, env = "INFLUXDB3_QUERY_MEMORY_LIMIT", value_name = "SIZE", value_parser = memory_size::parse)]
    query_memory_limit: Option<MemorySize>,

    /// Where queries go on when their memory is full; the folder for temporary files when not given
    #[arg(long, env = "INFLUXDB3_QUERY_SPILL_DIR", value_name = "FOLDER")]
    query_spill_dir: Option<PathBuf>,

    /// Queries that run at once, the others wait; 64, or 16 for each of more than four threads, when not given
    #[arg(long, env = "INFLUXDB3_MAX_CONCURRENT_QUERIES", value_name = "N", value_parser = parse_positive)]
    max_concurrent_queries: Option<usize>,

    /// Queries that wait for others to end; further ones are refused
    #[arg(long, env = "INFLUXDB3_QUERY_QUEUE_SIZE", value_name = "N", default_value_t = QuerySettings::default().waiting_max)]
    query_queue_size: usize,

    /// How long a query waits for others to end before it is refused
    #[arg(long, env = "INFLUXDB3_QUERY_QUEUE_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = crate::duration::parse)]
    query_queue_timeout: Duration,

    /// How long a query may take; 0s for as long as it takes
    #[arg(long, env = "INFLUXDB3_QUERY_TIMEOUT", value_name = "DURATION", default_value = "0s", value_parser = crate::duration::parse)]
    query_timeout: Duration,

    /// Queries that system.queries remembers after their end
    #[arg(long, alias = "query-log-size", env = "INFLUXDB3_QUERY_LOG_MAX_ENTRIES", value_name = "N", default_value_t = QuerySettings::default().log_entries)]
    query_log_max_entries: usize,

    /// Most databases
    #[arg(long, env = "INFLUXDB3_NUM_DATABASE_LIMIT", value_name = "N", default_value_t = Limits::default().databases)]
    num_database_limit: usize,

    /// Most tables in all databases together
    #[arg(long, env = "INFLUXDB3_NUM_TABLE_LIMIT", value_name = "N", default_value_t = Limits::default().tables)]
    num_table_limit: usize,

    /// Most columns of a table, without time
    #[arg(long, env = "INFLUXDB3_NUM_TOTAL_COLUMNS_PER_TABLE_LIMIT", value_name = "N", default_value_t = Limits::default().columns_per_table)]
    num_total_columns_per_table_limit: usize,

    #[command(flatten)]
    log: LogOptions,

    /// Accepted for compatibility: nothing is ever uploaded
    #[arg(long, env = "INFLUXDB3_DISABLE_TELEMETRY_UPLOAD")]
    disable_telemetry_upload: bool,

    /// Accepted for compatibility: nothing is ever uploaded
    #[arg(long, env = "INFLUXDB3_TELEMETRY_ENDPOINT", value_name = "URL")]
    telemetry_endpoint: Option<String>,

    /// Who starts the server, for the log
    #[arg(
        long,
        env = "INFLUXDB3_SERVE_INVOCATION_METHOD",
        value_name = "METHOD",
        default_value = "explicit"
    )]
    serve_invocation_method: String,

    /// The options above that were given, as they may be shown.
    #[arg(skip)]
    pub(super) shown: BTreeMap<String, String>,
}

/// The name, or the variable that has it.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct NodeName {
    /// Name of this node: the prefix of all it stores, unique among running nodes
    #[arg(long, alias = "host-id", env = "INFLUXDB3_NODE_ID", value_name = "PREFIX", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    node_id: Option<String>,

    /// Environment variable that has the name of this node
    #[arg(long, env = "INFLUXDB3_NODE_ID_FROM_ENV", value_name = "FROM_ENV_VAR")]
    node_id_from_env: Option<String>,
}

impl NodeName {
    pub(crate) fn resolve(&self, environment: &Environment) -> anyhow::Result<String> {
        if let Some(name) = &self.node_id {
            return Ok(name.clone());
        }
        let variable = self.node_id_from_env.as_deref().unwrap_or_default();
        match environment.get(variable).and_then(|value| value.to_str()) {
            Some(name) if !name.is_empty() => Ok(name.to_string()),
            _ => bail!(
                "Must set INFLUXDB3_NODE_IDENTIFIER_PREFIX={variable} to a valid env var value for the node id"
            ),
        }
    }
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let mut addresses = text
        .to_socket_addrs()
        .map_err(|cause| format!("Cannot parse socket address '{text}': {cause}"))?;
    addresses
        .next()
        .ok_or_else(|| format!("Found no addresses for '{text}'"))
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Exempt(Vec<AuthorizationExempt>);

fn parse_exempt(text: &str) -> Result<Exempt, String> {
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    if names.len() > 6 {
        return Err("--disable-authz cannot take more than 6 items".to_string());
    }
    let exempt: Option<Vec<AuthorizationExempt>> = names.into_iter().map(exempt_path).collect();
    exempt.map(Exempt).ok_or_else(|| {
        "invalid value passed in for --disable-authz, allowed values are health, ping, metrics, ready, pprof, and node_stop"
            .to_string()
    })
}

fn exempt_path(name: &str) -> Option<AuthorizationExempt> {
    Some(match name {
        "health" => AuthorizationExempt::Health,
        "ping" => AuthorizationExempt::Ping,
        "metrics" => AuthorizationExempt::Metrics,
        "ready" => AuthorizationExempt::Ready,
        "pprof" => AuthorizationExempt::Pprof,
        "node_stop" => AuthorizationExempt::NodeStop,
        _ => return None,
    })
}

fn parse_positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be a positive integer, got 0".to_string()),
        Ok(number) => Ok(number),
        Err(fault) => Err(format!("must be a positive integer, got {text}: {fault}")),
    }
}

fn parse_tls_version(text: &str) -> Result<TlsVersion, String> {
    match text {
        "tls-1.2" => Ok(TlsVersion::Tls12),
        "tls-1.3" => Ok(TlsVersion::Tls13),
        _ => Err("Valid minimum version strings are tls-1.2 and tls-1.3".to_string()),
    }
}

impl Options {
    pub(crate) async fn run(self: Box<Self>, environment: &Environment) -> anyhow::Result<()> {
        logging::initialize(&self.log, environment.refuses_color())?;
        let config = self.config(environment, memory_size::available_bytes())?;
        let mut signals = Signals::new()?;
        let mut hang_ups = HangUps::new(config.tls.is_some())?;
        self.log_start(&config);
        let node = tokio::select! {
            started = Node::start(config) => started?,
            () = signals.received() => return Ok(()),
        };
        let lost = loop {
            tokio::select! {
                fault = node.failed() => break Some(fault),
                () = signals.received() => break None,
                () = hang_ups.received() => node.reload_certificate().await,
            }
        };
        tracing::info!("stopping");
        let stopped = tokio::select! {
            stopped = node.stop() => stopped,
            () = signals.received() => bail!("stopped by a second signal before the shutdown was complete"),
        };
        match lost {
            Some(fault) => Err(fault.into()),
            None => Ok(stopped?),
        }
    }

    fn log_start(&self, config: &Config) {
        tracing::info!(
            node_id = config.node_id,
            version = config.version,
            git_hash = REVISION,
            num_cpus = processors(),
            product_name = "InfluxDB 3 Core",
            invocation = self.serve_invocation_method,
            "server starting"
        );
        tracing::debug!(
            asked_to_disable = self.disable_telemetry_upload,
            endpoint = self.telemetry_endpoint,
            "Initializing TelemetryStore with upload disabled."
        );
        self.object_store.log_notices();
    }

    fn config(&self, environment: &Environment, available_bytes: u64) -> anyhow::Result<Config> {
        Ok(Config {
            node_id: self.node.resolve(environment)?,
            tls: self.tls()?,
            object_store: self.object_store.kind()?,
            http_bind: self.http_bind,
            tcp_listener_file_path: self.tcp_listener_file_path.clone(),
            without_auth: self.without_auth,
            token_grace_period: self.token_grace_period,
            tokens: TokenSettings {
                admin_token_file: self.admin_token_file.clone(),
                admin_token_file_rotate: self.admin_token_file_rotate,
                permission_tokens_file: self.permission_tokens_file.clone(),
                bootstrap_token_file: self.bootstrap_token_file.clone(),
                recovery_bind: self.admin_token_recovery_http_bind,
                recovery_listener_file_path: self
                    .admin_token_recovery_tcp_listener_file_path
                    .clone(),
                failures_per_minute: self.auth_failures_per_minute,
                events_retention: self.token_events_retention,
            },
            disable_authz: self
                .disable_authz
                .as_ref()
                .map_or_else(Vec::new, |Exempt(paths)| paths.clone()),
            max_http_request_bytes: bytes_of(self.max_http_request_size, available_bytes),
            clients: server::ClientLimits::default(),
            wal_flush_interval: self.wal_flush_interval,
            wal_snapshot_size: self.wal_files_per_snapshot,
            wal_replay_fail_on_error: self.wal_replay_fail_on_error,
            delete_grace: self.delete_grace_period,
            memory: self.memory(available_bytes)?,
            query_threads: self
                .num_datafusion_threads
                .map_or_else(processors, std::num::NonZeroUsize::get),
            queries: self.queries(available_bytes),
            limits: Limits {
                databases: self.num_database_limit,
                tables: self.num_table_limit,
                columns_per_table: self.num_total_columns_per_table_limit,
                ..Limits::default()
            },
            shutdown_timeout: self.shutdown_timeout,
            processors: processors(),
            options: self.shown.clone(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            // `/ping` tells a short one (spec/http-api.md §3.2).
            revision: REVISION.get(..10).unwrap_or(REVISION).to_string(),
        })
    }

    fn tls(&self) -> anyhow::Result<Option<TlsSettings>> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Ok(Some(TlsSettings {
                certificate_file: certificate.clone(),
                key_file: key.clone(),
                minimum_version: self.tls_minimum_version,
            })),
            (None, None) => Ok(None),
            _ => bail!("tls requires both a cert and a key file to be passed in to work"),
        }
    }

    fn queries(&self, available_bytes: u64) -> QuerySettings {
        QuerySettings {
            memory_bytes: self
                .query_memory_limit
                .map(|size| bytes_of(size, available_bytes)),
            concurrent_max: self.max_concurrent_queries,
            waiting_max: self.query_queue_size,
            wait_max: self.query_queue_timeout,
            timeout: Some(self.query_timeout).filter(|timeout| !timeout.is_zero()),
            log_entries: self.query_log_max_entries,
            spill_folder: self.query_spill_dir.clone(),
        }
    }

    fn memory(&self, available_bytes: u64) -> anyhow::Result<Memory> {
        let bytes = |size: Option<MemorySize>| size.map(|size| size.bytes(available_bytes));
        let asked = AskedMemory {
            buffer_bytes: bytes(self.force_snapshot_mem_size),
            query_bytes: bytes(self.exec_mem_pool_size),
            cache_bytes: bytes(self.file_cache_size),
        };
        let limit = bytes(self.memory_limit)
            .unwrap_or_else(|| memory::limit_by_default(available_bytes, &asked));
        Ok(memory::shares(limit, &asked)?)
    }
}

fn bytes_of(size: MemorySize, available_bytes: u64) -> usize {
    usize::try_from(size.bytes(available_bytes)).unwrap_or(usize::MAX)
}

/// Processors this process may use, which a control group may limit.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

#[cfg(test)]
mod tests {
    use server::ObjectStoreKind;

    use super::*;
    use crate::commands::{self, Command};

    const GIGABYTE: u64 = 1 << 30;

    fn options(line: &str) -> Box<Options> {
        let line = format!("influxdb3 serve {line}");
        let line = line.split_whitespace().map(std::ffi::OsString::from);
        match commands::parse(line, &Environment::default()).expect("a valid line") {
            Command::Serve(options) => options,
            other => panic!("serve was asked for, not {other:?}"),
        }
    }

    fn config(line: &str) -> anyhow::Result<Config> {
        options(line).config(&Environment::default(), 2 * GIGABYTE)
    }

    #[test]
    fn defaults() {
        let config = config("--node-id n --object-store MEMORY").expect("a complete line");
        assert_eq!(config.node_id, "n");
        assert_eq!(config.object_store, ObjectStoreKind::Memory);
        assert_eq!(config.http_bind.to_string(), "0.0.0.0:8181");
        assert_eq!(config.wal_flush_interval, Duration::from_secs(1));
        assert_eq!(config.wal_snapshot_size, 600);
        assert_eq!(config.max_http_request_bytes, 10 << 20);
        assert_eq!(config.shutdown_timeout, Duration::from_secs(30));
        assert_eq!(config.memory.limit_bytes, 2 * GIGABYTE / 100 * 70);
        assert!(!config.without_auth && config.disable_authz.is_empty());
    }

    #[test]
    fn sizes_come_out_of_the_memory_limit() {
        let memory = |line: &str, available: u64| {
            let line = format!("--node-id n {line}");
            let memory = options(&line).memory(available);
            memory.map_err(|error| error.to_string())
        };
        let large = memory("", 100 * GIGABYTE).expect("enough");
        assert_eq!(large.limit_bytes, 70 * GIGABYTE);
        assert_eq!(large.buffer_bytes, 128 << 20);
        let asked = memory("--force-snapshot-mem-threshold 30%", 100 * GIGABYTE).expect("enough");
        assert_eq!(asked.buffer_bytes as u64, 30 * GIGABYTE);
        let asked = memory("--memory-limit 50% --parquet-mem-cache-size 8mb", GIGABYTE);
        let asked = asked.expect("enough");
        assert_eq!(asked.limit_bytes, GIGABYTE / 100 * 50);
        assert_eq!(asked.cache_bytes, 8 << 20);
        let refusal = memory("--memory-limit 512mb --exec-mem-pool-size 600mb", GIGABYTE);
        assert_eq!(
            refusal.expect_err("too much"),
            "a memory limit of 512 MiB is too little: query 600 MiB and at least 24 MiB for the rest"
        );
    }

    #[test]
    fn old_and_new_names() {
        let config = config(
            "--host-id n --object-store file --data-dir /d --wal-snapshot-size 1 --exec-mem-pool-bytes 3 --max-http-request-size 1mb \
             --disable-authz health,ping,node_stop --datafusion-num-threads 3 --num-table-limit 7 --shutdown-timeout 0s",
        )
        .expect("a complete line");
        assert_eq!(
            config.object_store,
            ObjectStoreKind::File(PathBuf::from("/d"))
        );
        assert_eq!(config.wal_snapshot_size, 1);
        assert_eq!(config.memory.query_bytes, 3 << 20);
        assert_eq!(config.max_http_request_bytes, 1 << 20);
        assert_eq!(
            config.disable_authz,
            [
                AuthorizationExempt::Health,
                AuthorizationExempt::Ping,
                AuthorizationExempt::NodeStop
            ]
        );
        assert_eq!(config.query_threads, 3);
        assert_eq!(config.limits.tables, 7);
        assert_eq!(config.shutdown_timeout, Duration::ZERO);
    }

    #[test]
    fn queries_have_limits() {
        let queries = |line: &str| {
            let line = format!("--node-id n --object-store memory {line}");
            config(&line).expect("a complete line").queries
        };
        let usual = queries("");
        assert_eq!((usual.memory_bytes, usual.concurrent_max), (None, None));
        assert_eq!((usual.timeout, usual.log_entries), (None, 1_000));
        let asked = queries(
            "--query-memory-limit 50% --max-concurrent-queries 3 --query-queue-size 0 --query-queue-timeout 1s \
             --query-timeout 1m --query-log-size 7 --query-spill-dir /s",
        );
        assert_eq!(asked.memory_bytes, Some((2 * GIGABYTE / 100 * 50) as usize));
        assert_eq!((asked.concurrent_max, asked.waiting_max), (Some(3), 0));
        assert_eq!(asked.wait_max, Duration::from_secs(1));
        assert_eq!(asked.timeout, Some(Duration::from_secs(60)));
        assert_eq!(asked.log_entries, 7);
        assert_eq!(asked.spill_folder, Some(PathBuf::from("/s")));
        assert_eq!(
            parse_positive("0"),
            Err("must be a positive integer, got 0".to_string())
        );
        assert!(parse_positive("-1").is_err());
    }

    #[test]
    fn tokens_from_elsewhere() {
        let settings = |line: &str| {
            let line = format!("--node-id n --object-store memory {line}");
            config(&line).expect("a complete line").tokens
        };
        let plain = settings("");
        assert_eq!(plain.recovery_bind, None);
        assert_eq!(plain.failures_per_minute, 600);
        assert_eq!(plain.events_retention, Duration::from_secs(90 * 86_400));
        assert!(plain.admin_token_file.is_none() && !plain.admin_token_file_rotate);
        let recovery = |line: &str| settings(line).recovery_bind.map(|bind| bind.to_string());
        let asked = "--admin-token-recovery-http-bind";
        assert_eq!(recovery(asked).as_deref(), Some("127.0.0.1:8182"));
        let elsewhere = format!("{asked} 0.0.0.0:0 --token-events-retention 1h");
        assert_eq!(recovery(&elsewhere).as_deref(), Some("0.0.0.0:0"));
        let before = format!("{asked} --auth-failures-per-minute 0");
        assert_eq!(recovery(&before).as_deref(), Some("127.0.0.1:8182"));
        assert_eq!(settings(&before).failures_per_minute, 0);
    }

    #[test]
    fn certificates() {
        let tls = |line: &str| {
            let line = format!("--node-id n --object-store memory {line}");
            config(&line)
                .map(|config| config.tls)
                .map_err(|fault| fault.to_string())
        };
        assert_eq!(tls("--tls-minimum-version tls-1.3"), Ok(None));
        let files = |minimum_version| {
            Ok(Some(TlsSettings {
                certificate_file: PathBuf::from("/c"),
                key_file: PathBuf::from("/k"),
                minimum_version,
            }))
        };
        let both = "--tls-cert /c --tls-key /k";
        assert_eq!(tls(both), files(TlsVersion::Tls12));
        let newest = format!("{both} --tls-minimum-version tls-1.3");
        assert_eq!(tls(&newest), files(TlsVersion::Tls13));
        let half =
            Err("tls requires both a cert and a key file to be passed in to work".to_string());
        assert_eq!(tls("--tls-cert /c"), half);
        assert_eq!(tls("--tls-key /k"), half);
    }

    #[test]
    fn values_that_are_wrong() {
        for (value, expected) in [
            (
                "a,b,c,d,e,f,g",
                "--disable-authz cannot take more than 6 items",
            ),
            ("health,x", "invalid value passed in for --disable-authz"),
        ] {
            let error = parse_exempt(value).expect_err(value);
            assert!(error.starts_with(expected), "{error}");
        }
        let error = parse_address("nonsense").expect_err("no port");
        assert!(
            error.starts_with("Cannot parse socket address 'nonsense': "),
            "{error}"
        );
    }
}
