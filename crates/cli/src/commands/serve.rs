//! `serve`: fills the node's settings from options, runs the node until it is told to stop.
//!
//! Options, defaults and failure texts: spec/server-config.md §2, §3, §7, §8. What a node does is `server`'s business.

use std::time::Duration;

use anyhow::{Context, bail};
use server::{
    AskedMemory, AuthorizationExempt, ClientLimits, Config, Limits, Memory, Node, QuerySettings,
    TlsSettings, TlsVersion, TokenSettings, memory,
};

use crate::commands::object_store;
use crate::environment::Environment;
use crate::logging::{self, LogOptions};
use crate::memory_size::{self, MemorySize};
use crate::open_files;
use crate::options::given::ServerOptions;
use crate::options::settings::{Origin, Settings};
use crate::options::table;
use crate::signals::{HangUps, Signals};
use crate::supervisor::{self, News};

/// The revision of the source this binary was built from, or `unknown`.
const REVISION: &str = env!("GNOMON_REVISION");

/// The options of the table (`options::table`).
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    given: ServerOptions,
}

/// The name of the node: given, or in the variable that is named.
pub(crate) fn node_id(settings: &Settings, environment: &Environment) -> anyhow::Result<String> {
    let origin_of = |name| table::find(name).map(|setting| settings.in_force(setting).1);
    let is_line = |name| origin_of(name) == Some(Origin::Line);
    // What is typed is stronger than what is set; clap takes both only when one of them was not typed.
    let names_variable = is_line("node-id-from-env") && !is_line("node-id");
    if let Some(name) = settings.owned("node-id")
        && !names_variable
    {
        return Ok(name);
    }
    let variable = settings.text("node-id-from-env").unwrap_or_default();
    match environment.get(variable).and_then(|value| value.to_str()) {
        Some(name) if !name.is_empty() => Ok(name.to_string()),
        _ => bail!(
            "Must set INFLUXDB3_NODE_IDENTIFIER_PREFIX={variable} to a valid env var value for the node id"
        ),
    }
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

impl Options {
    pub(crate) async fn run(self: Box<Self>, environment: &Environment) -> anyhow::Result<()> {
        let settings = Settings::of(&self.given.0, environment);
        logging::initialize(&log(&settings), environment.refuses_color())?;
        let config = config(&settings, environment, memory_size::available_bytes())?;
        let mut signals = Signals::new()?;
        let mut hang_ups = HangUps::new(config.tls.is_some())?;
        log_start(&settings, &config);
        open_files::raise(config.clients.connections_max);
        let node = tokio::select! {
            started = Node::start(config) => started?,
            () = signals.received() => return Ok(()),
        };
        supervisor::tell(environment, News::Serving);
        let lost = loop {
            tokio::select! {
                fault = node.failed() => break Some(fault),
                () = signals.received() => break None,
                () = hang_ups.received() => node.reload_certificate().await,
            }
        };
        tracing::info!("stopping");
        supervisor::tell(environment, News::Stopping);
        let stopped = tokio::select! {
            stopped = node.stop() => stopped,
            () = signals.received() => bail!("stopped by a second signal before the shutdown was complete"),
        };
        match lost {
            Some(fault) => Err(fault.into()),
            None => Ok(stopped?),
        }
    }
}

fn log_start(settings: &Settings, config: &Config) {
    tracing::info!(
        node_id = config.node_id,
        version = config.version,
        git_hash = REVISION,
        num_cpus = processors(),
        product_name = "InfluxDB 3 Core",
        invocation = settings.text("serve-invocation-method"),
        "server starting"
    );
    tracing::debug!(
        asked_to_disable = settings.switch("disable-telemetry-upload"),
        endpoint = settings.text("telemetry-endpoint"),
        "Initializing TelemetryStore with upload disabled."
    );
    for notice in settings.notices() {
        tracing::info!("{notice}");
    }
    if settings.is_given("data-dir") && settings.word("object-store").as_deref() != Some("file") {
        tracing::warn!("--data-dir has no effect: the object store is not a file store");
    }
}

fn log(settings: &Settings) -> LogOptions {
    LogOptions {
        log_filter: settings.owned("log-filter"),
        verbose: settings.count("verbose"),
        disable_log_filter_noise_reduction: settings.switch("disable-log-filter-noise-reduction"),
        log_destination: settings.word("log-destination"),
        log_format: settings.word("log-format"),
    }
}

/// Whether a server could be started with this, as far as can be told without trying.
pub(crate) fn check(settings: &Settings, environment: &Environment) -> anyhow::Result<()> {
    config(settings, environment, memory_size::available_bytes()).map(drop)
}

/// What the node must know, out of what is in force.
fn config(
    settings: &Settings,
    environment: &Environment,
    available_bytes: u64,
) -> anyhow::Result<Config> {
    Ok(Config {
        node_id: node_id(settings, environment)?,
        tls: tls(settings)?,
        object_store: object_store::kind(settings)?,
        http_bind: settings
            .address("http-bind")
            .context("the address of --http-bind cannot be found any more")?,
        tcp_listener_file_path: settings.path("tcp-listener-file-path"),
        without_auth: settings.switch("without-auth"),
        token_grace_period: duration(settings, "token-grace-period"),
        tokens: TokenSettings {
            admin_token_file: settings.path("admin-token-file"),
            admin_token_file_rotate: settings.switch("admin-token-file-rotate"),
            permission_tokens_file: settings.path("permission-tokens-file"),
            bootstrap_token_file: settings.path("bootstrap-token-file"),
            recovery_bind: settings.address("admin-token-recovery-http-bind"),
            recovery_listener_file_path: settings
                .path("admin-token-recovery-tcp-listener-file-path"),
            failures_per_minute: number(settings, "auth-failures-per-minute"),
            events_retention: duration(settings, "token-events-retention"),
        },
        disable_authz: settings
            .list("disable-authz")
            .into_iter()
            .filter_map(exempt_path)
            .collect(),
        max_http_request_bytes: settings
            .request_size("max-http-request-size")
            .map_or(usize::MAX, |size| bytes_of(size, available_bytes)),
        clients: ClientLimits {
            connections_max: number(settings, "max-connections"),
            idle_max: duration(settings, "connection-idle-timeout"),
            head_max: duration(settings, "request-head-timeout"),
            body_window: duration(settings, "request-body-stall-timeout"),
            body_max: duration(settings, "request-body-timeout"),
        },
        wal_flush_interval: duration(settings, "wal-flush-interval"),
        wal_snapshot_size: number(settings, "wal-files-per-snapshot"),
        wal_replay_fail_on_error: settings.switch("wal-replay-fail-on-error"),
        delete_grace: duration(settings, "delete-grace-period"),
        memory: shares(settings, available_bytes)?,
        query_threads: settings
            .number("num-datafusion-threads")
            .unwrap_or_else(processors),
        queries: queries(settings, available_bytes),
        limits: limits(settings),
        shutdown_timeout: duration(settings, "shutdown-timeout"),
        processors: processors(),
        options: settings.shown(),
        version: env!("CARGO_PKG_VERSION").to_string(),
        // `/ping` tells a short one (spec/http-api.md §3.2).
        revision: REVISION.get(..10).unwrap_or(REVISION).to_string(),
    })
}

/// Of an option that has a default.
fn duration(settings: &Settings, name: &str) -> Duration {
    settings
        .duration(name)
        .expect("the table has a default, and values are checked")
}

/// Of an option that has a default.
fn number<N: std::str::FromStr>(settings: &Settings, name: &str) -> N {
    settings
        .number(name)
        .unwrap_or_else(|| panic!("the table has a default for {name}, and values are checked"))
}

fn limits(settings: &Settings) -> Limits {
    let usual = Limits::default();
    Limits {
        databases: settings
            .number("num-database-limit")
            .unwrap_or(usual.databases),
        tables: settings.number("num-table-limit").unwrap_or(usual.tables),
        columns_per_table: settings
            .number("num-total-columns-per-table-limit")
            .unwrap_or(usual.columns_per_table),
        ..usual
    }
}

fn tls(settings: &Settings) -> anyhow::Result<Option<TlsSettings>> {
    match (settings.path("tls-cert"), settings.path("tls-key")) {
        (Some(certificate_file), Some(key_file)) => Ok(Some(TlsSettings {
            certificate_file,
            key_file,
            minimum_version: match settings.text("tls-minimum-version") {
                Some("tls-1.3") => TlsVersion::Tls13,
                _ => TlsVersion::Tls12,
            },
        })),
        (None, None) => Ok(None),
        _ => bail!("tls requires both a cert and a key file to be passed in to work"),
    }
}

fn queries(settings: &Settings, available_bytes: u64) -> QuerySettings {
    QuerySettings {
        memory_bytes: settings
            .size("query-memory-limit")
            .map(|size| bytes_of(size, available_bytes)),
        concurrent_max: settings.number("max-concurrent-queries"),
        waiting_max: number(settings, "query-queue-size"),
        wait_max: duration(settings, "query-queue-timeout"),
        timeout: Some(duration(settings, "query-timeout")).filter(|timeout| !timeout.is_zero()),
        log_entries: number(settings, "query-log-max-entries"),
        spill_folder: settings.path("query-spill-dir"),
    }
}

/// The memory of all parts.
fn shares(settings: &Settings, available_bytes: u64) -> anyhow::Result<Memory> {
    let bytes = |name| {
        settings
            .size(name)
            .map(|size: MemorySize| size.bytes(available_bytes))
    };
    let asked = AskedMemory {
        buffer_bytes: bytes("force-snapshot-mem-size"),
        query_bytes: bytes("exec-mem-pool-size"),
        cache_bytes: bytes("file-cache-size"),
    };
    let limit =
        bytes("memory-limit").unwrap_or_else(|| memory::limit_by_default(available_bytes, &asked));
    Ok(memory::shares(limit, &asked)?)
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
    use std::path::PathBuf;

    use server::ObjectStoreKind;

    use super::*;
    use crate::commands::{self, Command};

    const GIGABYTE: u64 = 1 << 30;

    fn settings(line: &str) -> Settings {
        let line = format!("influxdb3 serve {line}");
        let line = line.split_whitespace().map(std::ffi::OsString::from);
        match commands::parse(line, &Environment::default())
            .expect("a valid line")
            .command
        {
            Command::Serve(options) => Settings::of(&options.given.0, &Environment::default()),
            other => panic!("serve was asked for, not {other:?}"),
        }
    }

    fn config(line: &str) -> anyhow::Result<Config> {
        super::config(&settings(line), &Environment::default(), 2 * GIGABYTE)
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
            let memory = shares(&settings(&line), available);
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
    }

    #[test]
    fn clients_have_the_limits_of_the_server() {
        let clients = |line: &str| {
            let line = format!("--node-id n --object-store memory {line}");
            config(&line).expect("a complete line").clients
        };
        assert_eq!(clients(""), ClientLimits::default());
        let asked = clients(
            "--max-connections 7 --connection-idle-timeout 1s --request-head-timeout 2s --request-body-stall-timeout 3s \
             --request-body-timeout 4s",
        );
        let expected = ClientLimits {
            connections_max: 7,
            idle_max: Duration::from_secs(1),
            head_max: Duration::from_secs(2),
            body_window: Duration::from_secs(3),
            body_max: Duration::from_secs(4),
        };
        assert_eq!(asked, expected);
    }

    #[test]
    fn limits_are_those_of_the_catalog() {
        let limits = |line: &str| {
            let line = format!("--node-id n --object-store memory {line}");
            let limits = config(&line).expect("a complete line").limits;
            (limits.databases, limits.tables, limits.columns_per_table)
        };
        let usual = Limits::default();
        assert_eq!(
            limits(""),
            (usual.databases, usual.tables, usual.columns_per_table)
        );
        let asked =
            "--num-database-limit 3 --num-table-limit 4 --num-total-columns-per-table-limit 5";
        assert_eq!(limits(asked), (3, 4, 5));
    }

    #[test]
    fn tokens_from_elsewhere() {
        let tokens = |line: &str| {
            let line = format!("--node-id n --object-store memory {line}");
            config(&line).expect("a complete line").tokens
        };
        let plain = tokens("");
        assert_eq!(plain.recovery_bind, None);
        assert_eq!(plain.failures_per_minute, 600);
        assert_eq!(plain.events_retention, Duration::from_secs(90 * 86_400));
        assert!(plain.admin_token_file.is_none() && !plain.admin_token_file_rotate);
        let recovery = |line: &str| tokens(line).recovery_bind.map(|bind| bind.to_string());
        let asked = "--admin-token-recovery-http-bind";
        assert_eq!(recovery(asked).as_deref(), Some("127.0.0.1:8182"));
        let elsewhere = format!("{asked} 0.0.0.0:0 --token-events-retention 1h");
        assert_eq!(recovery(&elsewhere).as_deref(), Some("0.0.0.0:0"));
        let before = format!("{asked} --auth-failures-per-minute 0");
        assert_eq!(recovery(&before).as_deref(), Some("127.0.0.1:8182"));
        assert_eq!(tokens(&before).failures_per_minute, 0);
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
    fn what_is_typed_names_the_node() {
        let name = |line: &str| {
            let environment = Environment::default();
            node_id(&settings(line), &environment).map_err(|fault| fault.to_string())
        };
        assert_eq!(name("--node-id n"), Ok("n".to_string()));
        assert_eq!(
            name("--node-id-from-env NOBODY_SETS_THIS"),
            Err("Must set INFLUXDB3_NODE_IDENTIFIER_PREFIX=NOBODY_SETS_THIS to a valid env var value for the node id".to_string())
        );
    }
}
