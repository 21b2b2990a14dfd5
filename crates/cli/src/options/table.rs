//! Every option of the server, in one table: whatever else knows an option has read it here.
//!
//! Flags, variables, the file, help, docs/reference/config.md and `config show` are made from it. Names, older names, defaults:
//! spec/server-config.md §5, §7, §8, §11; spec/cli.md §2.2. Texts of errors that clients know are in the checks at the end.

use super::setting::{Kind, Setting, inert, setting};
use Kind::{
    Address, Checked, Count, Duration, File, Folder, List, Number, One, RequestSize, Signed, Size,
    Switch, Text, Truth, Url,
};

/// A part of the table with a title.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// Which commands take its options.
    pub(crate) scope: Scope,
    /// What holds for all of them.
    pub(crate) note: &'static str,
    pub(crate) settings: &'static [Setting],
}

/// Which commands take the options of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All, at any place of the line.
    Program,
    /// Those that start a server, or show its configuration.
    Server,
    /// As `Server`, and those that look into a store.
    Store,
}

const NO_PLUGINS: &str = "plugins are not implemented yet";
const NO_CACHES: &str = "last-value and distinct-value caches are not implemented yet";
const ONE_NODE: &str = "more than one node is not implemented yet; this one does everything";
const NO_LICENCE: &str = "there is no licence: everything is free";
const NO_USERS: &str = "users and roles are not implemented yet; tokens have permissions";
const OWN_ENGINE: &str = "the storage engine is another one and chooses for itself";
const COMPACTS_ITSELF: &str = "compaction is always on and plans for itself";
const OWN_BUFFER: &str = "the log and the buffer are bounded by the memory limit";
const OWN_INDEX: &str = "files are found by the manifest, which needs no such cache";
const NO_JAEGER: &str = "traces are not exported yet";
const NO_CONSOLE: &str = "the console for tasks is not built in";
const OWN_THREADS: &str = "the threads of queries have no such setting";
const OWN_TUNING: &str = "the query engine is tuned by the server";
const NO_UPLOAD: &str = "nothing is ever uploaded";

#[rustfmt::skip] // An option a paragraph, names first, or it is no table.
pub(crate) static SECTIONS: &[Section] = &[
    Section { title: "Required", scope: Scope::Server, note: "", settings: &[
        setting("node-id", Text, "Name of this node: the prefix of all it stores, unique among running nodes")
            .called("PREFIX").older(&["host-id"]).older_variables(&["INFLUXDB3_NODE_IDENTIFIER_PREFIX"]).common(),
        setting("node-id-from-env", Text, "Environment variable that has the name of this node, instead of the name itself")
            .called("FROM_ENV_VAR").older_variables(&["INFLUXDB3_NODE_IDENTIFIER_FROM_ENV"]),
    ] },
    Section { title: "Server Configuration", scope: Scope::Server, note: "", settings: &[
        setting("tcp-listener-file-path", File, "File to write the bound address to; must not exist")
            .called("PATH").older_variables(&["INFLUXDB3_TCP_LISTINER_FILE_PATH"]),
        setting("shutdown-timeout", Duration, "Longest wait for open connections at shutdown").default("30s"),
        setting("num-database-limit", Number(0), "Most databases").default("10000"),
        setting("num-table-limit", Number(0), "Most tables in all databases together").default("100000"),
        setting("num-total-columns-per-table-limit", Number(0), "Most columns of a table, without time").default("10000"),
        setting("serve-invocation-method", Text, "Who starts the server, for the log").called("METHOD").default("explicit"),
    ] },
    Section { title: "HTTP Configuration", scope: Scope::Server, note: "", settings: &[
        setting("http-bind", Address, "Address to listen on, for HTTP and Arrow Flight; port 0 takes a free one")
            .variable("INFLUXDB3_HTTP_BIND_ADDR").default("0.0.0.0:8181").common(),
        setting("max-http-request-size", RequestSize, "Largest request body, before and after decompression").default("10485760"),
        setting("max-connections", Number(1), "Connections open at once; whoever comes beyond that is told to come again").default("10000"),
        setting("connection-idle-timeout", Duration, "How long a connection may be idle before it is closed").default("180s"),
        setting("request-head-timeout", Duration, "From the first byte of a request to the end of its head").default("30s"),
        setting("request-body-stall-timeout", Duration, "In each such time some of a body has to come: 4 KiB, or the rest").default("30s"),
        setting("request-body-timeout", Duration, "For a whole body").default("15m"),
    ] },
    Section { title: "TLS & Authentication", scope: Scope::Server, note: "", settings: &[
        setting("tls-cert", File, "PEM file with the certificate of the server and those of the authorities above it; read again when it changes").common(),
        setting("tls-key", File, "PEM file with the private key of the certificate").common(),
        setting("tls-minimum-version", Checked("VERSION", tls_version), "Oldest version of TLS to speak: tls-1.2 or tls-1.3").default("tls-1.2").common(),
        setting("without-auth", Switch, "Let everybody do everything, without tokens").older_variables(&["INFLUXDB3_START_WITHOUT_AUTH"]).common(),
        setting("disable-authz", Checked("LIST", exempt_paths), "Paths that need no token: health, ping, metrics, ready, pprof, node_stop").common(),
        setting("admin-token-file", File, "JSON file with an admin token to create at start, as made by `create token --admin --offline`").common(),
        setting("admin-token-file-rotate", Switch, "Give an admin token that exists the secret of its file, when that is another one; the file is always right"),
        setting("permission-tokens-file", File, "JSON file with databases and tokens to create at start, as made by `create token --offline`"),
        setting("bootstrap-token-file", File, "File with the secret of the operator token of a first start; made with a new secret when it does not exist"),
        setting("admin-token-recovery-http-bind", Address, "Where the operator token can be regenerated once, without any token")
            .variable("INFLUXDB3_ADMIN_TOKEN_RECOVERY_HTTP_BIND_ADDR")
            .older_variables(&["INFLUXDB3_ADMIN_TOKEN_RECOVERY_HTTP_BIND"]).usually("off").alone("127.0.0.1:8182"),
        setting("admin-token-recovery-tcp-listener-file-path", File, "File to write the bound address of the recovery listener to; must not exist")
            .called("PATH").hidden(),
        setting("token-grace-period", Duration, "How long the secret that a rotation replaces lives on, when the request does not say").default("0s"),
        setting("auth-failures-per-minute", Number(0), "Requests with an invalid token that one address (of IPv6: a /64) may make in a minute before it gets 429; 0 for any number").default("600"),
        setting("token-events-retention", Duration, "How long token events are kept").default("90d"),
        inert("user-auth-type", Checked("LIST", user_auth_types), NO_USERS),
        inert("without-user-auth", Truth, NO_USERS).hidden(),
        inert("jwt-key-id", Text, NO_USERS), inert("jwt-private-key", Text, NO_USERS), inert("jwt-issuer", Text, NO_USERS),
        inert("jwt-default-ttl-seconds", Number(0), NO_USERS),
        inert("oauth-issuer", Text, NO_USERS), inert("oauth-audience", Text, NO_USERS), inert("oauth-client-id", Text, NO_USERS), inert("oauth-scopes", Text, NO_USERS),
        inert("rbac-authoring-disabled", Switch, NO_USERS),
    ] },
    Section { title: "Storage", scope: Scope::Store, note: "", settings: &[
        setting("object-store", One(&["memory", "memory-throttled", "file", "s3", "google", "azure"]), "Where to keep data: memory, memory-throttled, file, s3, google or azure")
            .called("STORE").default("file").common(),
        setting("data-dir", Folder, "Folder of the object store file; made when it does not exist").usually("~/.influxdb").older_variables(&["INFLUXDB3_DB_DIR"]).common(),
        setting("bucket", Text, "Bucket of s3 or google, container of azure").called("NAME").common(),
    ] },
    Section { title: "AWS S3", scope: Scope::Store, note: "", settings: &[
        setting("aws-access-key-id", Text, "Access key of s3; without one, the credentials that AWS tools would find").variable("AWS_ACCESS_KEY_ID").called("KEY"),
        setting("aws-secret-access-key", Text, "Secret key of s3").variable("AWS_SECRET_ACCESS_KEY").called("KEY"),
        setting("aws-session-token", Text, "Session token of s3").variable("AWS_SESSION_TOKEN").called("TOKEN"),
        setting("aws-default-region", Text, "Region of s3").variable("AWS_DEFAULT_REGION").called("REGION").usually("us-east-1"),
        setting("aws-endpoint", Url, "Address of a server that speaks like s3").variable("AWS_ENDPOINT"),
        setting("aws-allow-http", Switch, "Let s3 be reached without TLS").variable("AWS_ALLOW_HTTP"),
        setting("aws-skip-signature", Switch, "Send requests to s3 unsigned").variable("AWS_SKIP_SIGNATURE"),
        setting("aws-credentials-file", File, "JSON file with keys of s3, read again before they expire").variable("AWS_CREDENTIALS_FILE"),
        inert("aws-s3-custom-backend", One(&["ceph"]), "it needs nothing special: objects are never replaced by their ETag").variable("AWS_S3_CUSTOM_BACKEND"),
    ] },
    Section { title: "Google Cloud Storage", scope: Scope::Store, note: "", settings: &[
        setting("google-service-account", File, "JSON key file of google; without one, the credentials of the environment").variable("GOOGLE_SERVICE_ACCOUNT"),
    ] },
    Section { title: "Azure Blob Storage", scope: Scope::Store, note: "", settings: &[
        setting("azure-storage-account", Text, "Storage account of azure").variable("AZURE_STORAGE_ACCOUNT").called("NAME"),
        setting("azure-storage-access-key", Text, "Access key of azure; without one, workload identity, then managed identity").variable("AZURE_STORAGE_ACCESS_KEY").called("KEY"),
        setting("azure-endpoint", Url, "Address of a server that speaks like azure").variable("AZURE_ENDPOINT"),
        setting("azure-allow-http", Switch, "Let azure be reached without TLS").variable("AZURE_ALLOW_HTTP"),
    ] },
    Section { title: "Object Store Advanced", scope: Scope::Store, note: "", settings: &[
        setting("object-store-connection-limit", Number(1), "Requests to a remote store at once").default("64").unprefixed(),
        setting("object-store-http2-only", Switch, "Speak HTTP/2 with a remote store, and nothing else").unprefixed(),
        setting("object-store-http2-max-frame-size", Checked("BYTES", frame_bytes), "Largest frame of HTTP/2, in bytes").unprefixed(),
        setting("object-store-request-timeout", Duration, "Longest wait for one answer of a remote store").default("30s").unprefixed(),
        setting("object-store-max-retries", Number(0), "How often a request that failed is repeated; 0 for never").usually("10").unprefixed(),
        setting("object-store-retry-timeout", Duration, "Time after which a request that failed is not repeated any more").usually("3m").unprefixed(),
        inert("object-store-cache-endpoint", Url, "there is no such cache").unprefixed(),
        setting("object-store-tls-allow-insecure", Switch, "Take any certificate of a remote store").unprefixed(),
        setting("object-store-tls-ca", File, "PEM file with certificate authorities to trust beside those of the system").unprefixed(),
    ] },
    Section { title: "Write-Ahead Log (WAL)", scope: Scope::Server, note: "", settings: &[
        setting("wal-flush-interval", Duration, "Unit of the next, and least time between two flushes to a remote store; elsewhere the log is flushed as soon as it can be").default("1s"),
        setting("wal-files-per-snapshot", Checked("N", intervals), "Flush intervals after which buffered rows become files").default("600").older(&["wal-snapshot-size"]),
        setting("wal-replay-fail-on-error", Switch, "Stop the start when the log is damaged, instead of passing over what cannot be read and logging it"),
        inert("wal-max-buffered-writes", Number(0), OWN_BUFFER).older(&["wal-max-write-buffer-size"]),
        inert("snapshotted-wal-files-to-keep", Number(0), "the log is kept as long as it is needed, and no longer").older_variables(&["INFLUXDB3_NUM_WAL_FILES_TO_KEEP"]),
        inert("wal-replay-concurrency-limit", Number(0), "a log is read back by all processors"),
        inert("snapshot-concurrency-limit", Checked("N", snapshots_at_once), OWN_BUFFER),
        inert("checkpoint-interval", Duration, "every start reads one manifest, however much there is"),
        inert("gen1-duration", Checked("DURATION", gen1_duration), COMPACTS_ITSELF),
        inert("gen1-lookback-duration", Duration, "every file is known at any time, however old"),
    ] },
    Section { title: "Memory Management", scope: Scope::Server,
              note: "Sizes are written 20% (of the memory of the machine or the container), 1gb, 512mb, 64kb or 100b.", settings: &[
        setting("memory-limit", Size, "Memory for everything together; the next three are shares of it").usually("70%"),
        setting("force-snapshot-mem-size", Size, "Size of the buffer at which rows become files early; at twice that, writes wait, and after 10 s get 503")
            .older(&["force-snapshot-mem-threshold"]).usually("19 % of the limit, at most 128 MiB"),
        setting("exec-mem-pool-size", Size, "Memory for all running queries together").older(&["exec-mem-pool-bytes"]).usually("25 to 50 % of the limit"),
        setting("file-cache-size", Size, "Memory for what was read of files").older(&["parquet-mem-cache-size"]).usually("9 % of the limit, at most 1 GiB"),
    ] },
    Section { title: "Cache Options", scope: Scope::Server, note: "", settings: &[
        inert("parquet-mem-cache-prune-percentage", Checked("FRACTION", prune_fraction), "what was not used for longest leaves the cache when room is needed"),
        inert("parquet-mem-cache-prune-interval", Duration, "what was not used for longest leaves the cache when room is needed"),
        inert("file-cache-recency", Duration, "what is asked for is cached, however old").older(&["parquet-mem-cache-query-path-duration"]),
        inert("disable-file-cache", Switch, "the cache is bounded by --file-cache-size").older(&["disable-parquet-mem-cache", "disable-data-file-cache"]),
        inert("table-index-cache-max-entries", Number(0), OWN_INDEX), inert("table-index-cache-concurrency-limit", Number(0), OWN_INDEX),
        inert("last-cache-eviction-interval", Duration, NO_CACHES), inert("distinct-cache-eviction-interval", Duration, NO_CACHES),
        inert("last-value-cache-disable-from-history", Switch, NO_CACHES), inert("distinct-value-cache-disable-from-history", Switch, NO_CACHES),
        inert("preemptive-cache-age", Duration, "what is asked for is cached, however old"),
        inert("file-cache-evict-after", Duration, "what was not used for longest leaves the cache when room is needed"),
    ] },
    Section { title: "Queries", scope: Scope::Server, note: "", settings: &[
        setting("max-concurrent-queries", Checked("N", positive), "Queries that run at once, the others wait").usually("64, or 16 per thread where that is more"),
        setting("query-queue-size", Number(0), "Queries that wait for others to end; further ones get 503").default("1000"),
        setting("query-queue-timeout", Duration, "How long a query waits for others to end before it gets 503").default("30s"),
        setting("query-timeout", Duration, "How long a query may take; 0s for as long as it takes").default("0s"),
        setting("query-memory-limit", Size, "Memory for one query").usually("half of --exec-mem-pool-size"),
        setting("query-spill-dir", Folder, "Where queries go on when their memory is full").usually("the folder for temporary files"),
        setting("query-log-max-entries", Number(0), "Queries that system.queries remembers after their end").older(&["query-log-size"]).default("1000"),
        inert("query-file-limit", Number(0), "a query may read any number of files"),
    ] },
    Section { title: "DataFusion", scope: Scope::Server, note: "", settings: &[
        setting("num-datafusion-threads", Number(1), "Threads for running queries").older(&["datafusion-num-threads"]).usually("one per processor"),
        inert("datafusion-runtime-type", One(&["multi-thread", "multi-thread-alt"]), OWN_THREADS),
        inert("datafusion-runtime-disable-lifo-slot", Truth, OWN_THREADS), inert("datafusion-runtime-event-interval", Number(1), OWN_THREADS),
        inert("datafusion-runtime-global-queue-interval", Number(1), OWN_THREADS), inert("datafusion-runtime-max-blocking-threads", Number(1), OWN_THREADS),
        inert("datafusion-runtime-max-io-events-per-tick", Number(1), OWN_THREADS), inert("datafusion-runtime-thread-keep-alive", Duration, OWN_THREADS),
        inert("datafusion-runtime-thread-priority", Signed, OWN_THREADS),
        inert("datafusion-max-parquet-fanout", Number(1), OWN_TUNING), inert("datafusion-use-cached-parquet-loader", Switch, OWN_TUNING),
        inert("datafusion-config", Checked("KEY:VALUE,...", datafusion_pairs), OWN_TUNING),
    ] },
    Section { title: "Data Lifecycle & Retention", scope: Scope::Server, note: "", settings: &[
        setting("delete-grace-period", Duration, "From the moment a deleted table's data goes to the end of its entry in the catalog").default("24h"),
        inert("retention-check-interval", Duration, "expired rows leave every answer at once, and the disk with the next rewrite"),
        inert("hard-delete-default-duration", Duration, "data of what is deleted goes after 72h, or when the request says"),
    ] },
    Section { title: "Processing Engine", scope: Scope::Server, note: "", settings: &[
        inert("plugin-dir", Text, NO_PLUGINS).called("FOLDER"),
        inert("virtual-env-location", Text, NO_PLUGINS).called("FOLDER"),
        inert("package-manager", One(&["discover", "pip", "uv", "disabled"]), NO_PLUGINS),
        inert("disable-package-management", Switch, NO_PLUGINS),
        inert("plugin-repo", Text, NO_PLUGINS).called("URL"),
        inert("restrict-plugin-triggers-to", List(&["wal", "wal_flush", "schedule", "request"]), NO_PLUGINS).several(),
        inert("async-trigger-concurrency-limit", Number(1), NO_PLUGINS), inert("plugin-dir-only", Switch, NO_PLUGINS),
    ] },
    Section { title: "Logging and Tracing", scope: Scope::Server, note: "", settings: &[
        setting("log-filter", Text, "Which events to log: directives such as info,storage=debug").called("FILTER").usually("info").unprefixed().common(),
        setting("verbose", Count, "Log more: -v info, -vv debug, -vvv trace; stronger than --log-filter").short('v').no_variable().common(),
        setting("disable-log-filter-noise-reduction", Switch, "Keep the events of libraries when the filter asks for debug or trace"),
        setting("log-destination", One(&["stdout", "stderr"]), "Where to write the log: stdout or stderr").called("DESTINATION").default("stdout").unprefixed(),
        setting("log-format", One(&["full", "pretty", "json", "logfmt"]), "How to write the log: full, pretty, json or logfmt").called("FORMAT").default("full").unprefixed(),
        inert("traces-exporter", Checked("NAME", traces_exporter), NO_JAEGER).unprefixed(),
        inert("traces-exporter-jaeger-agent-host", Text, NO_JAEGER).unprefixed(), inert("traces-exporter-jaeger-agent-port", Number(0), NO_JAEGER).unprefixed(),
        inert("traces-exporter-jaeger-service-name", Text, NO_JAEGER).unprefixed(),
        inert("traces-exporter-jaeger-trace-context-header-name", Text, NO_JAEGER).unprefixed(),
        inert("traces-jaeger-debug-name", Text, NO_JAEGER).variable("INFLUXDB3_TRACES_EXPORTER_JAEGER_DEBUG_NAME").unprefixed(),
        inert("traces-jaeger-tags", Text, NO_JAEGER).variable("INFLUXDB3_TRACES_EXPORTER_JAEGER_TAGS").unprefixed(),
        inert("traces-jaeger-max-msgs-per-second", Number(0), NO_JAEGER).unprefixed(),
        inert("tokio-console-enabled", Switch, NO_CONSOLE).variable("TOKIO_CONSOLE_ENABLED"),
        inert("tokio-console-event-buffer-capacity", Number(1), NO_CONSOLE).variable("TOKIO_CONSOLE_EVENT_BUFFER_CAPACITY"),
        inert("tokio-console-client-buffer-capacity", Number(1), NO_CONSOLE).variable("TOKIO_CONSOLE_CLIENT_BUFFER_CAPACITY"),
    ] },
    Section { title: "Additional Options", scope: Scope::Server, note: "", settings: &[
        inert("disable-telemetry-upload", Switch, NO_UPLOAD).older_variables(&["INFLUXDB3_TELEMETRY_DISABLE_UPLOAD"]),
        inert("telemetry-endpoint", Text, NO_UPLOAD).called("URL"),
        inert("test-mode", Switch, "there is no telemetry to look at").no_variable().hidden(),
        inert("license-email", Text, NO_LICENCE), inert("license-file", Text, NO_LICENCE), inert("license-type", One(&["home", "trial", "commercial"]), NO_LICENCE),
    ] },
    Section { title: "Cluster", scope: Scope::Server, note: "", settings: &[
        inert("cluster-id", Text, ONE_NODE), inert("mode", List(&["all", "core", "ingest", "query", "compact", "process", "webui"]), ONE_NODE).several(),
        inert("num-cores", Number(1), "the server uses the processors that the system gives it"),
        inert("replication-interval", Duration, ONE_NODE), inert("catalog-sync-interval", Duration, ONE_NODE),
        inert("wait-for-running-ingester", Duration, ONE_NODE).older(&["wait-for-running-ingestor"]), inert("wait-for-running-compactor", Text, ONE_NODE),
        inert("conn-info", Text, ONE_NODE), inert("internode-bind-addr", Text, ONE_NODE),
        inert("internode-tls-cert", Text, ONE_NODE), inert("internode-tls-key", Text, ONE_NODE), inert("internode-tls-ca", Text, ONE_NODE),
        inert("internode-jwt-primary", Text, ONE_NODE), inert("internode-jwt-secondary", Text, ONE_NODE),
        inert("webui-session-secret", Text, "the user interface is not implemented yet"), inert("webui-openai-base-url", Text, "the user interface is not implemented yet"),
    ] },
    Section { title: "Compaction and Engine", scope: Scope::Server, note: "", settings: &[
        inert("compaction-row-limit", Number(0), COMPACTS_ITSELF), inert("compaction-max-num-files-per-plan", Number(0), COMPACTS_ITSELF),
        inert("compaction-gen2-duration", Duration, COMPACTS_ITSELF), inert("compaction-multipliers", Text, COMPACTS_ITSELF),
        inert("compaction-cleanup-wait", Duration, COMPACTS_ITSELF), inert("compaction-check-interval", Duration, COMPACTS_ITSELF),
        inert("compaction-snapshots-limit", Number(0), COMPACTS_ITSELF),
        inert("compacted-data-load-concurrency-limit", Number(0), COMPACTS_ITSELF), inert("compacted-data-skip-file-index", Switch, COMPACTS_ITSELF),
        inert("api-upload-check-interval", Duration, OWN_ENGINE), inert("api-upload-concurrent-status-reads", Number(0), OWN_ENGINE),
        inert("upgrade-pacha-tree", Switch, OWN_ENGINE).older(&["use-pacha-tree"]), inert("upgrade-poll-interval", Duration, OWN_ENGINE),
        inert("engine-path-prefix", Text, OWN_ENGINE), inert("max-total-columns", Number(0), "--num-total-columns-per-table-limit bounds the columns of a table"),
        inert("enable-retention", Truth, "retention is always on"), inert("disable-hybrid-query", Switch, OWN_ENGINE),
        inert("enable-auto-dvc", Switch, NO_CACHES), inert("auto-dvc-max-cardinality", Number(0), NO_CACHES), inert("auto-dvc-refresh-interval", Duration, NO_CACHES),
        inert("row-delete-min-age", Duration, "rows leave every answer as soon as they are deleted"), inert("row-delete-max-jobs-per-tick", Number(0), OWN_ENGINE),
        inert("wal-flush-concurrency", Number(0), OWN_BUFFER), inert("wal-buffer-size", Size, OWN_BUFFER), inert("wal-snapshots-to-keep", Number(0), OWN_BUFFER),
        inert("snapshot-size", Size, OWN_BUFFER), inert("snapshot-duration", Duration, OWN_BUFFER), inert("max-concurrent-snapshots", Number(0), OWN_BUFFER),
        inert("merge-threshold-size", Size, OWN_BUFFER), inert("gen0-max-rows-per-file", Number(0), OWN_BUFFER), inert("gen0-max-file-size", Size, OWN_BUFFER),
        inert("wal-replica-recovery-concurrency", Number(0), ONE_NODE), inert("wal-replica-steady-concurrency", Number(0), ONE_NODE),
        inert("wal-replica-queue-length", Number(0), ONE_NODE), inert("wal-replica-recovery-tail-skip-limit", Number(0), ONE_NODE),
        inert("replica-gen0-load-concurrency", Number(0), ONE_NODE), inert("replica-max-buffer-size", Size, ONE_NODE),
        inert("replica-snapshot-manifest-load-concurrency", Text, ONE_NODE),
        inert("shard-count", Number(0), OWN_ENGINE), inert("compactor-input-size-budget", Size, COMPACTS_ITSELF), inert("final-compaction-age", Duration, COMPACTS_ITSELF),
        inert("compactor-cleanup-cooldown", Duration, COMPACTS_ITSELF), inert("compactor-max-source-run-sets-per-promotion", Number(0), COMPACTS_ITSELF),
        inert("l1-tail-target-size", Size, COMPACTS_ITSELF), inert("l2-tail-target-size", Size, COMPACTS_ITSELF),
        inert("l3-tail-target-size", Size, COMPACTS_ITSELF), inert("l4-tail-target-size", Size, COMPACTS_ITSELF),
        inert("l1-target-file-size", Size, COMPACTS_ITSELF), inert("l2-target-file-size", Size, COMPACTS_ITSELF),
        inert("l3-target-file-size", Size, COMPACTS_ITSELF), inert("l4-target-file-size", Size, COMPACTS_ITSELF),
        inert("l1-promotion-count", Number(0), COMPACTS_ITSELF), inert("l2-promotion-count", Number(0), COMPACTS_ITSELF), inert("l3-promotion-count", Number(0), COMPACTS_ITSELF),
        inert("l1-hot-tail-target-size", Size, COMPACTS_ITSELF), inert("l1-consolidation-target-size", Size, COMPACTS_ITSELF),
        inert("l1-consolidation-min-run-sets", Number(0), COMPACTS_ITSELF), inert("l1-consolidation-min-age", Duration, COMPACTS_ITSELF),
    ] },
    Section { title: "Threads", scope: Scope::Program, note: "Every command takes these, before its name or after.", settings: &[
        setting("num-io-threads", Number(1), "Threads for requests, files and the network").older(&["num-threads"])
            .older_variables(&["INFLUXDB3_IO_NUM_THREADS"]).usually("one per processor"),
        inert("io-runtime-type", One(&["multi-thread", "multi-thread-alt"]), "there is one kind of scheduler"),
        inert("io-runtime-disable-lifo-slot", Truth, "the scheduler has no such switch"),
        setting("io-runtime-event-interval", Number(1), "Steps of the scheduler between two looks at the system"),
        setting("io-runtime-global-queue-interval", Number(1), "Steps of the scheduler between two looks at the common queue"),
        setting("io-runtime-max-blocking-threads", Number(1), "Most threads for work that blocks"),
        setting("io-runtime-max-io-events-per-tick", Number(1), "Events taken from the system at once"),
        setting("io-runtime-thread-keep-alive", Duration, "How long an idle thread for work that blocks is kept"),
        inert("io-runtime-thread-priority", Signed, "threads run as the process does: start it with nice"),
    ] },
];

/// Every setting, in the order of the table.
pub(crate) fn all() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|section| section.settings)
}

/// The settings of commands with `scope`.
pub(crate) fn of_scope(wanted: Scope) -> impl Iterator<Item = &'static Setting> {
    SECTIONS
        .iter()
        .filter(move |section| match wanted {
            Scope::Server => section.scope != Scope::Program,
            other => section.scope == other,
        })
        .flat_map(|section| section.settings)
}

/// The setting with that name.
pub(crate) fn find(name: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.name == name)
}

fn tls_version(text: &str) -> Result<(), String> {
    match text {
        "tls-1.2" | "tls-1.3" => Ok(()),
        _ => Err("Valid minimum version strings are tls-1.2 and tls-1.3".to_string()),
    }
}

/// Paths that can be made to need no token.
const EXEMPT: [&str; 6] = ["health", "ping", "metrics", "ready", "pprof", "node_stop"];

fn exempt_paths(text: &str) -> Result<(), String> {
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    if names.len() > EXEMPT.len() {
        return Err("--disable-authz cannot take more than 6 items".to_string());
    }
    match names.iter().all(|name| EXEMPT.contains(name)) {
        true => Ok(()),
        false => Err("invalid value passed in for --disable-authz, allowed values are health, ping, metrics, ready, pprof, and node_stop".to_string()),
    }
}

fn user_auth_types(text: &str) -> Result<(), String> {
    match text {
        "none" => Ok(()),
        list => List(&["basic", "oauth"]).check(list),
    }
}

/// Of HTTP/2 (RFC 9113 §4.2).
fn frame_bytes(text: &str) -> Result<(), String> {
    text.parse::<u32>()
        .map(drop)
        .map_err(|fault| format!("'{text}' is no number of bytes: {fault}"))
}

fn intervals(text: &str) -> Result<(), String> {
    match text.parse::<u32>() {
        Ok(0) => Err("must be at least 1, got 0".to_string()),
        Ok(_) => Ok(()),
        Err(fault) => Err(format!("'{text}' is no number of intervals: {fault}")),
    }
}

fn snapshots_at_once(text: &str) -> Result<(), String> {
    match text.parse::<usize>() {
        Ok(0) => Err("snapshot concurrency limit must be greater than 0".to_string()),
        Ok(_) => Ok(()),
        Err(fault) => Err(format!("'{text}' is no whole number: {fault}")),
    }
}

fn gen1_duration(text: &str) -> Result<(), String> {
    match text {
        "1m" | "5m" | "10m" => Ok(()),
        _ => Err(format!(
            "invalid gen1 duration {text}. Must be one of 1m, 5m, 10m"
        )),
    }
}

fn prune_fraction(text: &str) -> Result<(), String> {
    match text.parse::<f64>() {
        Ok(fraction) if fraction > 0.0 && fraction < 1.0 => Ok(()),
        Ok(_) => Err("prune percent must be between 0 and 1".to_string()),
        Err(fault) => Err(format!("'{text}' is no fraction: {fault}")),
    }
}

fn positive(text: &str) -> Result<(), String> {
    match text.parse::<usize>() {
        Ok(0) => Err("must be a positive integer, got 0".to_string()),
        Ok(_) => Ok(()),
        Err(fault) => Err(format!("must be a positive integer, got {text}: {fault}")),
    }
}

fn traces_exporter(text: &str) -> Result<(), String> {
    match text {
        "none" | "jaeger" => Ok(()),
        _ => Err(format!(
            "Invalid traces exporter '{text}'. Valid options: none, jaeger"
        )),
    }
}

fn datafusion_pairs(text: &str) -> Result<(), String> {
    let mut known = Vec::new();
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let Some((key, _)) = pair.split_once(':') else {
            return Err(format!(
                "Invalid key value pair - expected 'KEY:VALUE' got '{pair}'"
            ));
        };
        if known.contains(&key) {
            return Err(format!("key '{key}' passed multiple times"));
        }
        known.push(key);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::options::setting::Usual;

    #[test]
    fn names_and_variables_are_unique() {
        let mut names = BTreeSet::new();
        let mut variables = BTreeSet::new();
        for setting in all() {
            for name in std::iter::once(&setting.name).chain(setting.older) {
                assert!(names.insert(*name), "{name} is there twice");
            }
            let own = setting.variable_name().into_iter();
            for name in own.chain(setting.older_variable_names()) {
                assert!(variables.insert(name.clone()), "{name} is there twice");
            }
        }
    }

    #[test]
    fn defaults_are_values() {
        for setting in all() {
            if let Usual::Value(text) = setting.default {
                assert_eq!(setting.kind.check(text), Ok(()), "{}", setting.name);
            }
            if let Some(text) = setting.alone {
                assert_eq!(setting.kind.check(text), Ok(()), "{}", setting.name);
            }
        }
    }

    #[test]
    fn words_of_errors_that_clients_know() {
        for (name, value, expected) in [
            (
                "tls-minimum-version",
                "1",
                "Valid minimum version strings are tls-1.2 and tls-1.3",
            ),
            (
                "disable-authz",
                "a,b,c,d,e,f,g",
                "--disable-authz cannot take more than 6 items",
            ),
            (
                "disable-authz",
                "health,x",
                "invalid value passed in for --disable-authz, allowed values are health, ping, metrics, ready, pprof, and node_stop",
            ),
            (
                "snapshot-concurrency-limit",
                "0",
                "snapshot concurrency limit must be greater than 0",
            ),
            (
                "gen1-duration",
                "2m",
                "invalid gen1 duration 2m. Must be one of 1m, 5m, 10m",
            ),
            (
                "parquet-mem-cache-prune-percentage",
                "1",
                "prune percent must be between 0 and 1",
            ),
            (
                "max-concurrent-queries",
                "0",
                "must be a positive integer, got 0",
            ),
            (
                "traces-exporter",
                "x",
                "Invalid traces exporter 'x'. Valid options: none, jaeger",
            ),
            (
                "datafusion-config",
                "a:1,a:2",
                "key 'a' passed multiple times",
            ),
            (
                "datafusion-config",
                "a",
                "Invalid key value pair - expected 'KEY:VALUE' got 'a'",
            ),
            (
                "exec-mem-pool-size",
                "101%",
                "relative memory size must be in [0, 100] but is 101",
            ),
        ] {
            let setting = find(name).expect("a setting of the table");
            assert_eq!(setting.kind.check(value), Err(expected.to_string()));
        }
        for (name, value) in [
            ("disable-authz", "health, ping"),
            ("datafusion-config", "a:1,b:c:d"),
            ("datafusion-config", ""),
            ("user-auth-type", "none"),
            ("user-auth-type", "basic,oauth"),
        ] {
            let setting = find(name).expect("a setting of the table");
            assert_eq!(setting.kind.check(value), Ok(()), "{name}");
        }
    }
}
