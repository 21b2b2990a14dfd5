//! One node: what it is made of, in which order it starts and stops.
//!
//! Start: world, store, catalog, storage, query engine, port, listener file. Stop: port and connections, storage, tasks
//! (spec/server-config.md §3). Not here: reading settings (`cli`), answering requests (`http`).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use catalog::Catalog;
use hyper::header::HeaderValue;
use query::{NodeRow, QueryEngine, SpillFolder};
use runtime::{Clock, Random, SystemClock, Tasks, World};
use storage::Engine;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::authenticator::Gate;
use crate::failed_attempts::FailedAttempts;
use crate::flight::Bindings;
use crate::http::body::Pace;
use crate::http::connections::Limits;
use crate::http::encode::{Encoders, WholeResults};
use crate::http::metrics::{self, MemoryCollector, Metrics};
use crate::http::readiness::Readiness;
use crate::http::{Services, connections};
use crate::recovery::Recovery;
use crate::tls::Tls;
use crate::token_events::{self, TokenEvents};
use crate::token_files::TokenFiles;
use crate::{Config, Error, ObjectStoreKind, bootstrap, store};

/// Longest wait for each background task once storage is closed.
const TASKS_DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Segments of the log that a start holds decoded, however many processors there are.
const SEGMENTS_AHEAD_MAX: usize = 4;

/// A running node.
pub struct Node {
    address: SocketAddr,
    world: World,
    storage: Arc<Engine>,
    tls: Option<Arc<Tls>>,
    stop_serving: CancellationToken,
    serving: JoinHandle<()>,
}

impl Node {
    /// Opens everything, binds the port, writes the listener file, serves in the background.
    ///
    /// Errors say which step failed; whatever was opened before it is closed again.
    pub async fn start(config: Config) -> Result<Self, Error> {
        log_settings(&config);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let world = World {
            store: store::open(&config.object_store, &clock)?,
            clock,
            random: Random::System,
            tasks: Tasks::new(),
        };
        let started = Self::start_in(&world, config).await;
        if started.is_err() {
            world.tasks.drain(TASKS_DRAIN_LIMIT).await;
        }
        started
    }

    async fn start_in(world: &World, config: Config) -> Result<Self, Error> {
        let begun = world.clock.monotonic();
        let tls = open_tls(world, &config).await?;
        store::try_out(&config.object_store, &config.node_id, world).await?;
        let catalog = Catalog::open(&config.node_id, world, config.limits)
            .await
            .map(Arc::new)
            .map_err(|cause| explain("failed to initialize catalog", cause))?;
        let events = token_events(world, &config, &catalog).await?;
        let storage = Engine::open(storage_config(&config), Arc::clone(&catalog), world.clone())
            .await
            .map_err(|cause| explain("failed to initialize write buffer", cause))?;
        let served = Self::serve(world, &config, tls, catalog, Arc::clone(&storage), events).await;
        match &served {
            Ok(node) => {
                let took_ms = (world.clock.monotonic().saturating_sub(begun)).as_millis();
                tracing::info!(address = %node.address, "startup time: {took_ms}ms");
            }
            Err(_) => {
                if let Err(fault) = storage.close().await {
                    tracing::warn!(%fault, "cannot close storage after a failed start");
                }
            }
        }
        served
    }

    async fn serve(
        world: &World,
        config: &Config,
        tls: Option<Arc<Tls>>,
        catalog: Arc<Catalog>,
        storage: Arc<Engine>,
        events: TokenEvents,
    ) -> Result<Self, Error> {
        let stop_serving = CancellationToken::new();
        let spill = open_spill_folder(world, config).await?;
        let services = services(
            world,
            config,
            Arc::clone(&catalog),
            Arc::clone(&storage),
            spill,
            events.clone(),
            stop_serving.clone(),
        )?;
        let listener = bind(config.http_bind).await?;
        let address = listener
            .local_addr()
            .map_err(|cause| Error::internal("the bound port has no address").with_source(cause))?;
        open_recovery(world, config, tls.as_ref(), &catalog, &events).await?;
        if !config.without_auth {
            bootstrap::watch(address, world, Arc::clone(&catalog));
        }
        events.watch(catalog);
        if let Some(file) = config.tcp_listener_file_path.clone() {
            world
                .tasks
                .blocking(move || write_listener_file(&file, address))
                .await??;
        }
        if let Some(tls) = &tls {
            tls.watch(&world.tasks);
        }
        let serving = world.tasks.detach(connections::serve(
            Arc::new(services),
            listener,
            tls.clone(),
            stop_serving.clone(),
            Limits {
                clients: config.clients.clone(),
                drain: config.shutdown_timeout,
            },
        ));
        Ok(Self {
            address,
            world: world.clone(),
            storage,
            tls,
            stop_serving,
            serving,
        })
    }

    /// The address actually bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reads the files of the TLS certificate again, where there is one; when they are wrong, the log says so and the old one stays.
    pub async fn reload_certificate(&self) {
        if let Some(tls) = &self.tls {
            tls.reload(&self.world.tasks).await;
        }
    }

    /// Resolves when the node can no longer serve, because another process has taken over what it stores; with the reason.
    ///
    /// Writes are answered with 503 from then on; whoever waits here should stop the node.
    pub async fn failed(&self) -> Error {
        self.storage.lost().await
    }

    /// Stops accepting, drains connections up to the timeout, flushes and closes storage.
    pub async fn stop(self) -> Result<(), Error> {
        tracing::info!("server stopping");
        self.stop_serving.cancel();
        if let Err(fault) = self.serving.await {
            tracing::error!(%fault, "the accept loop failed");
        }
        let closed = self.storage.close().await;
        self.world.tasks.drain(TASKS_DRAIN_LIMIT).await;
        tracing::info!("server stopped");
        closed
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Node")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What `system.nodes` tells of this node. A catalog has one node, so its identity is the node's.
fn node_row(world: &World, config: &Config, catalog: &Catalog) -> NodeRow {
    let options = config.options.iter();
    let options: serde_json::Map<_, _> = options
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    NodeRow {
        node_id: config.node_id.clone(),
        instance_id: catalog.snapshot().uuid().to_string(),
        core_count: config.processors as u64,
        started_at_ms: world.clock.now_ns().div_euclid(1_000_000),
        options: Some(serde_json::Value::Object(options).to_string()),
    }
}

/// Opens the token events, adds what the process before could not tell, and takes in the tokens of files.
async fn token_events(
    world: &World,
    config: &Config,
    catalog: &Catalog,
) -> Result<TokenEvents, Error> {
    let settings = &config.tokens;
    let events = TokenEvents::open(&config.node_id, settings.events_retention, world)
        .await
        .map_err(|cause| explain("failed to read token events", cause))?;
    // Whatever an event tells of is in the catalog by now, whoever has written it.
    catalog.refresh().await?;
    events.catch_up(&token_events::known_tokens(catalog)).await;
    if config.without_auth {
        return Ok(events);
    }
    if let Some(file) = &settings.bootstrap_token_file {
        bootstrap::install_operator_token(file, world, catalog, &events).await?;
    }
    let files = TokenFiles {
        world,
        catalog,
        events: &events,
    };
    if let Some(file) = &settings.admin_token_file {
        let rotate = settings.admin_token_file_rotate;
        files.install_admin_token(file, rotate).await?;
    }
    if let Some(file) = &settings.permission_tokens_file {
        files.install_permission_tokens(file).await?;
    }
    Ok(events)
}

/// Reads certificate and key, where TLS is asked for: before anything else, as nothing else takes back so little.
async fn open_tls(world: &World, config: &Config) -> Result<Option<Arc<Tls>>, Error> {
    let Some(settings) = config.tls.clone() else {
        return Ok(None);
    };
    let tls = world.tasks.blocking(|| Tls::open(settings)).await??;
    Ok(Some(Arc::new(tls)))
}

/// Opens the recovery listener, where one is asked for.
async fn open_recovery(
    world: &World,
    config: &Config,
    tls: Option<&Arc<Tls>>,
    catalog: &Arc<Catalog>,
    events: &TokenEvents,
) -> Result<(), Error> {
    let Some(address) = config.tokens.recovery_bind else {
        return Ok(());
    };
    let listener = bind(address).await?;
    let address = listener
        .local_addr()
        .map_err(|cause| Error::internal("the bound port has no address").with_source(cause))?;
    if let Some(file) = config.tokens.recovery_listener_file_path.clone() {
        world
            .tasks
            .blocking(move || write_listener_file(&file, address))
            .await??;
    }
    let with_auth = !config.without_auth;
    let recovery = Recovery::new(world, Arc::clone(catalog), events.clone(), with_auth);
    recovery.start(listener, address, tls.cloned());
    Ok(())
}

fn query_config(config: &Config) -> query::Config {
    let usual = query::Config::new(config.memory.query_bytes, config.query_threads);
    let asked = &config.queries;
    query::Config {
        query_memory_bytes: asked.memory_bytes.unwrap_or(usual.query_memory_bytes),
        concurrent_max: asked.concurrent_max.unwrap_or(usual.concurrent_max),
        waiting_max: asked.waiting_max,
        wait_max: asked.wait_max,
        timeout: asked.timeout,
        log_entries: asked.log_entries,
        ..usual
    }
}

/// Where queries go on when their memory is full. Without the folder for temporary files they can still do without; one that was
/// asked for has to be there.
async fn open_spill_folder(world: &World, config: &Config) -> Result<Option<SpillFolder>, Error> {
    let random = world.random.clone();
    let asked = config.queries.spill_folder.clone();
    let is_asked_for = asked.is_some();
    let place = asked.unwrap_or_else(std::env::temp_dir);
    let opened = world
        .tasks
        .blocking(move || SpillFolder::open(&place, &random))
        .await?;
    match opened {
        Err(fault) if !is_asked_for => {
            tracing::warn!(%fault, "queries fail that need more than their memory");
            Ok(None)
        }
        opened => opened.map(Some),
    }
}

fn storage_config(config: &Config) -> storage::Config {
    storage::Config {
        node_id: config.node_id.clone(),
        local_folder: local_folder(&config.object_store),
        wal_flush_interval: config.wal_flush_interval,
        wal_snapshot_size: config.wal_snapshot_size,
        log: log_settings_of(config),
        memory: storage::Memory {
            buffer_bytes_max: config.memory.buffer_bytes,
            // Until the log is replayed there are no queries; what is left is for those of the time right after.
            replay_bytes_more: config.memory.query_bytes / 4 * 3,
            cache_bytes_max: config.memory.cache_bytes,
            compaction_bytes_max: config.memory.compaction_bytes,
            ingest_bytes_max: config.memory.ingest_bytes,
            // Beside the shares, in what a limit by default leaves of the machine.
            series_bytes_max: usize::try_from(config.memory.limit_bytes / 4).unwrap_or(usize::MAX),
        },
        delete_grace: config.delete_grace,
    }
}

fn log_settings_of(config: &Config) -> storage::LogSettings {
    let is_remote = matches!(config.object_store, ObjectStoreKind::Remote(_));
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    storage::LogSettings {
        // Every flush is an object, which costs money where the store is somebody else's.
        object_flush_interval: if is_remote {
            config.wal_flush_interval
        } else {
            Duration::ZERO
        },
        fail_on_damage: config.wal_replay_fail_on_error,
        read_ahead: processors.min(SEGMENTS_AHEAD_MAX),
    }
}

pub(crate) fn local_folder(kind: &ObjectStoreKind) -> Option<PathBuf> {
    match kind {
        ObjectStoreKind::File(folder) => Some(folder.clone()),
        ObjectStoreKind::Memory | ObjectStoreKind::MemoryThrottled | ObjectStoreKind::Remote(_) => {
            None
        }
    }
}

fn services(
    world: &World,
    config: &Config,
    catalog: Arc<Catalog>,
    storage: Arc<Engine>,
    spill: Option<SpillFolder>,
    token_events: TokenEvents,
    stopping: CancellationToken,
) -> Result<Services, Error> {
    if config.without_auth {
        tracing::warn!("running without authentication: whoever reaches the port may do anything");
    }
    let mut chance = [0; 16];
    world.random.fill(&mut chance)?;
    let query_duration_s = metrics::duration_histogram();
    let observed_s = query_duration_s.clone();
    let query = QueryEngine::new(
        query_config(config),
        spill,
        Arc::clone(&storage),
        Arc::clone(&catalog),
        world.clone(),
    )?
    .with_token_events(token_events.rows())
    .with_node(node_row(world, config, &catalog))
    .with_authentication_off(config.without_auth)
    .with_observer(Box::new(move |took| observed_s.observe(took.as_secs_f64())));
    let query = Arc::new(query);
    let admission = Arc::new(Admission::new(config.memory.ingest_bytes));
    let whole_results = Arc::new(WholeResults::new(config.memory.results_bytes));
    let shares = MemoryCollector {
        memory: config.memory,
        storage: Arc::clone(&storage),
        query: Arc::clone(&query),
        admission: Arc::clone(&admission),
        whole_results: Arc::clone(&whole_results),
    };
    let readiness = Readiness::new(world, &config.node_id, Arc::clone(&storage), stopping);
    let metrics = Metrics::new(
        world,
        Arc::clone(&storage),
        shares,
        query_duration_s,
        &config.version,
        &config.revision,
    );
    Ok(Services {
        cluster_uuid: header_value("catalog uuid", catalog.snapshot().uuid())?,
        world: world.clone(),
        catalog,
        storage,
        query,
        metrics: Arc::new(metrics),
        gate: Gate::new(config.without_auth, config.disable_authz.clone()),
        token_grace: config.token_grace_period,
        token_events,
        failed_attempts: FailedAttempts::new(
            config.tokens.failures_per_minute,
            Arc::clone(&world.clock),
        ),
        version: header_value("version", &config.version)?,
        version_text: config.version.clone(),
        revision: config.revision.clone(),
        process_id: uuid::Builder::from_random_bytes(chance).into_uuid(),
        request_bytes_max: config.max_http_request_bytes,
        pace: Pace {
            window: config.clients.body_window,
            total: config.clients.body_max,
        },
        admission,
        encoders: Encoders::start(config.query_threads, whole_results, world.tasks.clone())?,
        bindings: Bindings::default(),
        readiness,
    })
}

fn header_value(what: &str, text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text)
        .map_err(|cause| Error::invalid(format!("{what} `{text}` is no header")).with_source(cause))
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|cause| {
        Error::unavailable(format!("Failed to bind address {address}")).with_source(cause)
    })
}

/// Leaves `ip:port` in a file that must not exist before, whole from the moment it has its name.
fn write_listener_file(file: &Path, address: SocketAddr) -> Result<(), Error> {
    let fault = |cause: std::io::Error| {
        Error::unavailable(format!("cannot write listener file {}", file.display()))
            .with_source(cause)
    };
    if file.try_exists().map_err(fault)? {
        return Err(Error::conflict(format!(
            "listener file {} exists already",
            file.display()
        )));
    }
    let mut staged = file.as_os_str().to_owned();
    staged.push(".new");
    std::fs::write(&staged, address.to_string()).map_err(fault)?;
    std::fs::rename(&staged, file).map_err(fault)
}

fn explain(step: &str, cause: Error) -> Error {
    Error::new(cause.kind(), step).with_source(cause)
}

/// Says with which settings the node starts; none of them is secret.
fn log_settings(config: &Config) {
    tracing::info!(
        node_id = %config.node_id,
        version = %config.version,
        revision = %config.revision,
        object_store = ?config.object_store,
        http_bind = %config.http_bind,
        without_auth = config.without_auth,
        disable_authz = ?config.disable_authz,
        tokens = ?config.tokens,
        tls = ?config.tls,
        max_http_request_bytes = config.max_http_request_bytes,
        clients = ?config.clients,
        wal_flush_interval = ?config.wal_flush_interval,
        wal_snapshot_size = config.wal_snapshot_size,
        wal_replay_fail_on_error = config.wal_replay_fail_on_error,
        query_threads = config.query_threads,
        limits = ?config.limits,
        shutdown_timeout = ?config.shutdown_timeout,
        "settings"
    );
    tracing::info!("memory {}", config.memory);
}
