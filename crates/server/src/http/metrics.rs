//! What the node counts, and `GET /metrics`, which shows it as Prometheus text.
//!
//! Requests are counted here, as their bodies leave ([`Meter`]); storage keeps its own totals, which are read at each
//! scrape, as is what the operating system knows of the process. Names: spec/http-api.md §3.3, spec/conventions.md §4.

mod prometheus_text;
mod queries;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::{Response, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};

use query::QueryEngine;
use runtime::{Clock, World};
use storage::{Engine, Statistics};
use tonic::{Code, Status};

use self::queries::QueryCollector;
use super::encode::WholeResults;
use super::response::{ResponseBody, typed};
use super::router::ENDPOINTS;
use crate::Error;
use crate::admission::Admission;
use crate::authenticator::Outcome;
use crate::memory::Memory;

/// Outcomes of a request, in the order of [`Series`].
const STATUSES: [&str; 5] = [
    "ok",
    "client_error",
    "server_error",
    "aborted",
    "unexpected_response",
];
const ABORTED: usize = 3;

/// From half a millisecond to a little over half a minute.
const DURATION_BUCKETS_S: [f64; 17] = [
    0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.0, 4.0,
    8.0, 16.0, 32.0,
];

/// From 100 bytes to 100 megabytes.
const SIZE_BUCKETS_BYTES: [f64; 7] = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    method_path: String,
    path: &'static str,
    status: &'static str,
}

/// Never whose token it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AuthenticationLabels {
    outcome: &'static str,
}

/// One endpoint's metrics, by outcome.
#[derive(Debug)]
struct Series {
    requests: [Counter; STATUSES.len()],
    duration_s: [Histogram; STATUSES.len()],
    size_bytes: [Histogram; STATUSES.len()],
}

type HistogramFamily = Family<RequestLabels, Histogram, fn() -> Histogram>;

/// Everything counted by one node.
pub(crate) struct Metrics {
    registry: Registry,
    clock: Arc<dyn Clock>,
    requests: Family<RequestLabels, Counter>,
    duration_s: HistogramFamily,
    size_bytes: HistogramFamily,
    /// By position in [`ENDPOINTS`], made with an endpoint's first request; the last is for everything else.
    series: [OnceLock<Series>; ENDPOINTS.len() + 1],
    /// In the order of [`Outcome::ALL`].
    authentications: [Counter; Outcome::ALL.len()],
    forbidden: Counter,
    connections: Gauge,
    connections_refused: Counter,
    calls: Family<RequestLabels, Counter>,
    calls_duration_s: HistogramFamily,
}

impl Metrics {
    pub(crate) fn new(
        world: &World,
        storage: Arc<Engine>,
        shares: MemoryCollector,
        query_duration_s: Histogram,
        version: &str,
        revision: &str,
    ) -> Self {
        let mut registry = Registry::default();
        let requests = Family::default();
        let duration_s = HistogramFamily::new_with_constructor(duration_histogram);
        let size_bytes = HistogramFamily::new_with_constructor(size_histogram);
        registry.register("http_requests", "HTTP requests answered", requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "From a request's head to the end of its response",
            Unit::Seconds,
            duration_s.clone(),
        );
        registry.register_with_unit(
            "http_response_body_size",
            "Body bytes of responses",
            Unit::Bytes,
            size_bytes.clone(),
        );
        let calls = Family::default();
        let calls_duration_s = HistogramFamily::new_with_constructor(duration_histogram);
        registry.register("grpc_requests", "gRPC calls answered", calls.clone());
        registry.register_with_unit(
            "grpc_request_duration",
            "From a call's head to its trailers",
            Unit::Seconds,
            calls_duration_s.clone(),
        );
        registry.register_with_unit(
            "influxdb3_query_duration",
            "From the receipt of a query to its end",
            Unit::Seconds,
            query_duration_s,
        );
        let authentications: Family<AuthenticationLabels, Counter> = Family::default();
        registry.register(
            "influxdb3_authentications",
            "Requests by what became of them at the gate",
            authentications.clone(),
        );
        let forbidden = Counter::default();
        registry.register(
            "influxdb3_requests_forbidden",
            "Requests with a valid token that did not allow them",
            forbidden.clone(),
        );
        let connections = Gauge::default();
        registry.register(
            "influxdb3_connections",
            "Connections open, those whose handshake is going on included",
            connections.clone(),
        );
        let connections_refused = Counter::default();
        registry.register(
            "influxdb3_connections_refused",
            "Connections that were more than may be open at once",
            connections_refused.clone(),
        );
        registry.register(
            "influxdb3_build",
            "What is running",
            Info::new(vec![
                ("version", version.to_string()),
                ("revision", revision.to_string()),
            ]),
        );
        registry.register_collector(Box::new(StorageCollector(storage)));
        registry.register_collector(Box::new(QueryCollector(Arc::clone(&shares.query))));
        registry.register_collector(Box::new(shares));
        registry.register_collector(Box::new(ProcessCollector {
            started_s: world.clock.now_ms() as f64 / 1e3,
        }));
        Self {
            registry,
            clock: Arc::clone(&world.clock),
            requests,
            duration_s,
            size_bytes,
            series: [const { OnceLock::new() }; ENDPOINTS.len() + 1],
            forbidden,
            connections,
            connections_refused,
            authentications: Outcome::ALL.map(|outcome| {
                authentications.get_or_create_owned(&AuthenticationLabels {
                    outcome: outcome.name(),
                })
            }),
            calls,
            calls_duration_s,
        }
    }

    /// Counts a request by what became of it at the gate.
    pub(crate) fn authenticated(&self, outcome: Outcome) {
        self.authentications[outcome as usize].inc();
    }

    /// Counts a request whose token did not allow it.
    pub(crate) fn forbidden(&self) {
        self.forbidden.inc();
    }

    pub(crate) fn connection_opened(&self) {
        self.connections.inc();
    }

    pub(crate) fn connection_closed(&self) {
        self.connections.dec();
    }

    pub(crate) fn connection_refused(&self) {
        self.connections_refused.inc();
    }

    /// `GET /metrics`.
    pub(crate) fn show(&self) -> Result<Response<ResponseBody>, Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .map_err(|fault| Error::internal("cannot encode metrics").with_source(fault))?;
        Ok(typed(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            ResponseBody::full(prometheus_text::from_open_metrics(&text)),
        ))
    }

    fn series(&self, endpoint: Option<usize>) -> &Series {
        let at = endpoint.unwrap_or(ENDPOINTS.len());
        self.series[at].get_or_init(|| {
            // Arbitrary paths and methods of strangers must not become labels without end.
            let (method, path) = ENDPOINTS.get(at).map_or(("other", "unrouted"), |endpoint| {
                (endpoint.method, endpoint.path)
            });
            let labels = STATUSES.map(|status| RequestLabels {
                method,
                method_path: format!("{method} {path}"),
                path,
                status,
            });
            Series {
                requests: labels
                    .each_ref()
                    .map(|set| self.requests.get_or_create_owned(set)),
                duration_s: labels
                    .each_ref()
                    .map(|set| self.duration_s.get_or_create_owned(set)),
                size_bytes: labels
                    .each_ref()
                    .map(|set| self.size_bytes.get_or_create_owned(set)),
            }
        })
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

pub(crate) fn duration_histogram() -> Histogram {
    Histogram::new(DURATION_BUCKETS_S)
}

fn size_histogram() -> Histogram {
    Histogram::new(SIZE_BUCKETS_BYTES)
}

/// Follows one request; counts it when dropped, as aborted unless it was completed.
pub(crate) struct Meter {
    metrics: Arc<Metrics>,
    endpoint: Option<usize>,
    started: Duration,
    status: Option<StatusCode>,
    sent_bytes: usize,
    complete: bool,
}

impl Meter {
    /// Starts with a request; `endpoint` is a position in [`ENDPOINTS`].
    pub(crate) fn start(metrics: &Arc<Metrics>, endpoint: Option<usize>) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            endpoint,
            started: metrics.clock.monotonic(),
            status: None,
            sent_bytes: 0,
            complete: false,
        }
    }

    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent_bytes += bytes;
    }

    /// The whole response has been handed over.
    pub(crate) fn complete(&mut self) {
        self.complete = true;
    }

    fn outcome(&self) -> usize {
        match self.status {
            Some(status) if self.complete => match status.as_u16() {
                200..=299 => 0,
                400..=499 => 1,
                500..=599 => 2,
                _ => 4,
            },
            _ => ABORTED,
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let outcome = self.outcome();
        let took = self.metrics.clock.monotonic().saturating_sub(self.started);
        let series = self.metrics.series(self.endpoint);
        series.requests[outcome].inc();
        series.duration_s[outcome].observe(took.as_secs_f64());
        series.size_bytes[outcome].observe(self.sent_bytes as f64);
    }
}

/// The calls there are; any other path is nobody's label.
const CALLS: [&str; 10] = [
    "/arrow.flight.protocol.FlightService/Handshake",
    "/arrow.flight.protocol.FlightService/ListFlights",
    "/arrow.flight.protocol.FlightService/GetFlightInfo",
    "/arrow.flight.protocol.FlightService/PollFlightInfo",
    "/arrow.flight.protocol.FlightService/GetSchema",
    "/arrow.flight.protocol.FlightService/DoGet",
    "/arrow.flight.protocol.FlightService/DoPut",
    "/arrow.flight.protocol.FlightService/DoExchange",
    "/arrow.flight.protocol.FlightService/DoAction",
    "/arrow.flight.protocol.FlightService/ListActions",
];

/// Follows one gRPC call; counts it when dropped, as aborted unless it came to an end.
pub(crate) struct CallMeter {
    metrics: Arc<Metrics>,
    path: &'static str,
    started: Duration,
    /// A position in [`STATUSES`].
    outcome: usize,
}

impl CallMeter {
    pub(crate) fn start(metrics: &Arc<Metrics>, path: &str) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            path: CALLS
                .into_iter()
                .find(|known| *known == path)
                .unwrap_or("unrouted"),
            started: metrics.clock.monotonic(),
            outcome: ABORTED,
        }
    }

    /// The call has come to its end with `status`.
    pub(crate) fn ended(&mut self, status: &Status) {
        self.outcome = match status.code() {
            Code::Ok => 0,
            Code::Cancelled => ABORTED,
            Code::Internal | Code::Unknown | Code::DataLoss | Code::Unavailable => 2,
            _ => 1,
        };
    }
}

impl Drop for CallMeter {
    fn drop(&mut self) {
        let labels = RequestLabels {
            method: "POST",
            method_path: format!("POST {}", self.path),
            path: self.path,
            status: STATUSES[self.outcome],
        };
        let took = self.metrics.clock.monotonic().saturating_sub(self.started);
        self.metrics.calls.get_or_create_owned(&labels).inc();
        self.metrics
            .calls_duration_s
            .get_or_create_owned(&labels)
            .observe(took.as_secs_f64());
    }
}

/// Storage's own totals and sizes.
#[derive(Debug)]
struct StorageCollector(Arc<Engine>);

impl Collector for StorageCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        encode_statistics(&self.0.statistics(), encoder)
    }
}

fn encode_statistics(now: &Statistics, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let compaction = &now.compaction;
    let totals = [
        ("influxdb3_write_lines", "Lines written", now.write_lines),
        (
            "influxdb3_write_lines_rejected",
            "Lines refused",
            now.write_lines_rejected,
        ),
        (
            "influxdb3_write_bytes",
            "Bytes of line protocol received",
            now.write_bytes,
        ),
        (
            "influxdb3_wal_flushes",
            "Flushes of the write-ahead log",
            now.wal_flushes,
        ),
        (
            "influxdb3_wal_bytes",
            "Bytes written to the write-ahead log",
            now.wal_bytes,
        ),
        (
            "influxdb3_persists",
            "Times buffered rows became files",
            now.persists,
        ),
        (
            "influxdb3_compaction_jobs",
            "Jobs of compaction, failed ones included",
            compaction.jobs,
        ),
        (
            "influxdb3_compaction_jobs_failed",
            "Jobs of compaction that came to nothing",
            compaction.jobs_failed,
        ),
        (
            "influxdb3_compaction_files_read",
            "Data files that compaction replaced",
            compaction.files_before,
        ),
        (
            "influxdb3_compaction_files_written",
            "Data files that compaction made",
            compaction.files_after,
        ),
        (
            "influxdb3_compaction_bytes_read",
            "Bytes of data files that compaction replaced",
            compaction.bytes_before,
        ),
        (
            "influxdb3_compaction_bytes_written",
            "Bytes of data files that compaction made",
            compaction.bytes_after,
        ),
        (
            "influxdb3_compaction_rows_read",
            "Rows of data files that compaction replaced",
            compaction.rows_before,
        ),
        (
            "influxdb3_compaction_rows_written",
            "Rows of data files that compaction made",
            compaction.rows_after,
        ),
    ];
    for (name, help, value) in totals {
        encode_one(&mut encoder, name, help, &ConstCounter::new(value))?;
    }
    let times = [
        (
            "influxdb3_wal_flush_seconds",
            "Time spent making flushes durable",
            now.wal_flush_time,
        ),
        (
            "influxdb3_ingest_seconds",
            "CPU time spent on parsing and batching lines",
            now.ingest_time,
        ),
        (
            "influxdb3_wal_encode_seconds",
            "Time spent encoding batches for the write-ahead log",
            now.encode_time,
        ),
        (
            "influxdb3_buffer_seconds",
            "Time spent putting batches into the buffer",
            now.buffer_time,
        ),
    ];
    for (name, help, time) in times {
        encode_one(
            &mut encoder,
            name,
            help,
            &ConstCounter::new(time.as_secs_f64()),
        )?;
    }
    let sizes = [
        (
            "influxdb3_buffer_rows",
            "Rows in the buffer",
            now.buffer_rows,
        ),
        (
            "influxdb3_buffer_bytes",
            "Bytes of rows in the buffer",
            now.buffer_bytes,
        ),
        ("influxdb3_files", "Live data files", now.files),
        (
            "influxdb3_file_bytes",
            "Bytes of live data files",
            now.file_bytes,
        ),
        (
            "influxdb3_file_rows",
            "Rows in live data files",
            now.file_rows,
        ),
        (
            "influxdb3_garbage_files",
            "Objects that nothing names any more and that are still to be removed",
            compaction.garbage,
        ),
        (
            "influxdb3_series_bytes",
            "Bytes of the names of series met since the start",
            now.series_bytes,
        ),
    ];
    for (name, help, value) in sizes {
        encode_one(&mut encoder, name, help, &gauge(value))?;
    }
    Ok(())
}

/// How much of each share of the memory budget is in use, and who was refused for want of it.
#[derive(Debug)]
pub(crate) struct MemoryCollector {
    pub(crate) memory: Memory,
    pub(crate) storage: Arc<Engine>,
    pub(crate) query: Arc<QueryEngine>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) whole_results: Arc<WholeResults>,
}

impl Collector for MemoryCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let cache = self.storage.file_cache();
        let used = [
            ("buffer", self.storage.statistics().buffer_bytes),
            ("query", self.query.memory_bytes() as u64),
            ("cache", cache.footer_bytes + cache.page_bytes),
            ("ingest", self.admission.used_bytes()),
            ("results", self.whole_results.used_bytes() as u64),
        ];
        for (name, help, value) in [
            (
                "influxdb3_footer_cache_hits",
                "Footers of data files that were at hand",
                cache.hits,
            ),
            (
                "influxdb3_footer_cache_misses",
                "Footers of data files that had to be read",
                cache.misses,
            ),
            (
                "influxdb3_page_cache_hits",
                "Ranges of pages of data files that were at hand",
                cache.page_hits,
            ),
            (
                "influxdb3_page_cache_misses",
                "Ranges of pages of data files that had to be read",
                cache.page_misses,
            ),
        ] {
            encode_one(&mut encoder, name, help, &ConstCounter::new(value))?;
        }
        encode_shares(&self.memory, &used, self.admission.refused(), encoder)
    }
}

fn encode_shares(
    memory: &Memory,
    used: &[(&'static str, u64)],
    refused: u64,
    mut encoder: DescriptorEncoder<'_>,
) -> fmt::Result {
    encode_one(
        &mut encoder,
        "influxdb3_memory_limit_bytes",
        "The memory budget",
        &gauge(memory.limit_bytes),
    )?;
    let limits = memory.named().map(|(name, bytes)| (name, bytes as u64));
    let families = [
        (
            "influxdb3_memory_share_limit_bytes",
            "Shares of the memory budget; writes wait at twice that of the buffer",
            limits.as_slice(),
        ),
        (
            "influxdb3_memory_share_bytes",
            "What is used of a share of the memory budget",
            used,
        ),
    ];
    for (name, help, shares) in families {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (share, bytes) in shares {
            let labels = [("share", *share)];
            gauge(*bytes).encode(family.encode_family(&labels)?)?;
        }
    }
    encode_one(
        &mut encoder,
        "influxdb3_write_requests_refused",
        "Writes that found no room in the ingest share in time",
        &ConstCounter::new(refused),
    )
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}

/// What the operating system knows of this process; nothing where it has no `/proc`.
#[derive(Debug)]
struct ProcessCollector {
    /// Since the Unix epoch.
    started_s: f64,
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        encode_one(
            &mut encoder,
            "process_start_time_seconds",
            "Start of the process since the Unix epoch",
            &ConstGauge::new(self.started_s),
        )?;
        if let Some(bytes) = resident_memory_bytes() {
            encode_one(
                &mut encoder,
                "process_resident_memory_bytes",
                "Resident memory",
                &ConstGauge::new(bytes),
            )?;
        }
        if let Some(seconds) = cpu_seconds() {
            encode_one(
                &mut encoder,
                "process_cpu_seconds",
                "User and system CPU time",
                &ConstCounter::new(seconds),
            )?;
        }
        if let Some(count) = open_file_descriptors() {
            encode_one(
                &mut encoder,
                "process_open_fds",
                "Open file descriptors",
                &ConstGauge::new(count),
            )?;
        }
        Ok(())
    }
}

fn encode_one<M: EncodeMetric + TypedMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &M,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, M::TYPE)?)
}

fn resident_memory_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Linux counts in hundredths of a second towards programs, whatever the kernel's own tick is.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses and may hold anything; user and system time are fields 14 and 15.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / 100.0)
}

fn open_file_descriptors() -> Option<i64> {
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is the folder being read.
    i64::try_from(count.saturating_sub(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{AskedMemory, shares};

    #[test]
    fn counters_are_totals_and_the_text_ends_properly() {
        #[derive(Debug)]
        struct Fixed;
        impl Collector for Fixed {
            fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
                let statistics = Statistics {
                    write_lines: 3,
                    wal_flush_time: Duration::from_millis(1_500),
                    files: 2,
                    ..Statistics::default()
                };
                encode_statistics(&statistics, encoder)
            }
        }
        #[derive(Debug)]
        struct FixedShares;
        impl Collector for FixedShares {
            fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
                let memory = shares(1 << 30, &AskedMemory::default()).map_err(|_| fmt::Error)?;
                encode_shares(&memory, &[("buffer", 7), ("ingest", 0)], 2, encoder)
            }
        }
        let mut registry = Registry::default();
        registry.register_collector(Box::new(FixedShares));
        registry.register_collector(Box::new(Fixed));
        registry.register_collector(Box::new(ProcessCollector { started_s: 1.5 }));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("encodes");
        for line in [
            "influxdb3_write_lines_total 3",
            "influxdb3_write_lines_rejected_total 0",
            "influxdb3_wal_flush_seconds_total 1.5",
            "influxdb3_files 2",
            "influxdb3_compaction_jobs_total 0",
            "influxdb3_series_bytes 0",
            "process_start_time_seconds 1.5",
            "influxdb3_memory_limit_bytes 1073741824",
            "influxdb3_memory_share_limit_bytes{share=\"compaction\"} 88080384",
            "influxdb3_memory_share_bytes{share=\"buffer\"} 7",
            "influxdb3_write_requests_refused_total 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
