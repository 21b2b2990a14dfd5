//! The measurements of a machine beside `cpu`: disks, kernel, memory, network and three services.
//!
//! Tables alone; the order of measurements and fields is that of TSBS, and so is the spelling.

use super::cpu;
use super::measurement::{Field, Measurement, Shown, Start, Step, Walk};
use crate::random::Random;

pub(super) fn measurements() -> Vec<Measurement> {
    vec![
        cpu::measurement(),
        diskio(),
        disk(),
        kernel(),
        mem(),
        net(),
        nginx(),
        postgresl(),
        redis(),
    ]
}

const ZERO: Start = Start::At(0.0);
const GIB: f64 = (1_u64 << 30) as f64;

fn diskio() -> Measurement {
    Measurement {
        name: "diskio",
        tags: |random| {
            let mut digits = || random.below(1_000);
            format!(",serial={:03}-{:03}-{:03}", digits(), digits(), digits())
        },
        fields: [
            ("reads", 50.0),
            ("writes", 50.0),
            ("read_bytes", 100.0),
            ("write_bytes", 100.0),
            ("read_time", 5.0),
            ("write_time", 5.0),
            ("io_time", 5.0),
        ]
        .map(|(name, mean)| Field::rising(name, mean))
        .into(),
    }
}

/// Space and inodes are both derived from the free space, which is the first state.
fn disk() -> Measurement {
    const TOTAL: f64 = 1024.0 * GIB;
    const INODE_BYTES: f64 = 4096.0;
    const INODES: f64 = TOTAL / INODE_BYTES;
    let free = Field::clamped("free", 50.0, (0.0, TOTAL), Start::At(TOTAL / 2.0));
    Measurement {
        name: "disk",
        tags: |random| {
            let path = random.below(10);
            let kind = random.pick(&["ext3", "ext4", "btrfs"]);
            format!(",path=/dev/sda{path},fstype={kind}")
        },
        fields: vec![
            Field::derived("total", |_| TOTAL),
            free,
            Field::derived("used", |states| TOTAL - states[0].trunc()),
            Field::derived("used_percent", |states| {
                100.0 * (TOTAL - states[0].trunc()) / TOTAL
            }),
            Field::derived("inodes_total", |_| INODES),
            Field::derived("inodes_free", |states| states[0].trunc() / INODE_BYTES),
            Field::derived("inodes_used", |states| {
                INODES - (states[0].trunc() / INODE_BYTES).trunc()
            }),
        ],
    }
}

fn kernel() -> Measurement {
    const BOOT_TIMES: f64 = 240.0;
    let boot_time = Field::state("boot_time", Walk::Constant, Start::Between(0.0, BOOT_TIMES));
    let counts = [
        "interrupts",
        "context_switches",
        "processes_forked",
        "disk_pages_in",
        "disk_pages_out",
    ];
    let counts = counts.map(|name| Field::rising(name, 5.0));
    Measurement {
        name: "kernel",
        tags: Measurement::no_tags,
        fields: [boot_time].into_iter().chain(counts).collect(),
    }
}

/// The first state is the memory there is; the others are shares of it that are used, cached and buffered.
fn mem() -> Measurement {
    const TOTALS: [f64; 3] = [8.0 * GIB, 12.0 * GIB, 16.0 * GIB];
    let share = || {
        let step = Step::Normal {
            mean: 0.0,
            deviation: 1.0 / 64.0,
        };
        let (min, max) = (0.0, 1.0);
        Field::hidden(Walk::Clamped { step, min, max }, Start::Between(min, max))
    };
    let available = |states: &[f64]| states[0] * (1.0 - states[1]);
    Measurement {
        name: "mem",
        tags: Measurement::no_tags,
        fields: vec![
            Field::state("total", Walk::Constant, Start::OneOf(&TOTALS)),
            share(),
            share(),
            share(),
            Field::derived("available", available),
            Field::derived("used", |states| states[0] * states[1]),
            Field::derived("free", available),
            Field::derived("cached", |states| states[0] * states[2]),
            Field::derived("buffered", |states| states[0] * states[3]),
            Field::derived("used_percent", |states| 100.0 * states[1]).shown(Shown::Exact),
            Field::derived("available_percent", |states| 100.0 * (1.0 - states[1]))
                .shown(Shown::Exact),
            Field::derived("buffered_percent", |states| 100.0 * states[3]).shown(Shown::Exact),
        ],
    }
}

fn net() -> Measurement {
    Measurement {
        name: "net",
        tags: |random| format!(",interface=eth{}", random.below(4)),
        fields: [
            ("bytes_sent", 50.0),
            ("bytes_recv", 50.0),
            ("packets_sent", 50.0),
            ("packets_recv", 50.0),
            ("err_in", 5.0),
            ("err_out", 5.0),
            ("drop_in", 5.0),
            ("drop_out", 5.0),
        ]
        .map(|(name, mean)| Field::rising(name, mean))
        .into(),
    }
}

fn nginx() -> Measurement {
    let now = |name| Field::clamped(name, 5.0, (0.0, 100.0), ZERO);
    let ever = |name| Field::rising(name, 5.0);
    Measurement {
        name: "nginx",
        tags: |random| service_tags("nginx", random),
        fields: vec![
            ever("accepts"),
            now("active"),
            ever("handled"),
            now("reading"),
            ever("requests"),
            now("waiting"),
            now("writing"),
        ],
    }
}

fn postgresl() -> Measurement {
    let names = [
        "numbackends",
        "xact_commit",
        "xact_rollback",
        "blks_read",
        "blks_hit",
        "tup_returned",
        "tup_fetched",
        "tup_inserted",
        "tup_updated",
        "tup_deleted",
        "conflicts",
        "temp_files",
        "temp_bytes",
        "deadlocks",
        "blk_read_time",
        "blk_write_time",
    ];
    Measurement {
        name: "postgresl",
        tags: Measurement::no_tags,
        fields: names
            .map(|name| match name {
                "temp_bytes" => Field::clamped(name, 1024.0, (0.0, GIB), ZERO),
                _ => Field::clamped(name, 5.0, (0.0, 1_000.0), ZERO),
            })
            .into(),
    }
}

fn redis() -> Measurement {
    const MEMORY_MAX: f64 = 16.0 * GIB;
    let rate = |name| {
        let step = Step::normal(1.0);
        Field::state(name, Walk::Free { step }, ZERO)
    };
    let many = |name| Field::clamped(name, 50.0, (0.0, 10_000.0), ZERO);
    let memory = |name| Field::clamped(name, 50.0, (0.0, MEMORY_MAX), Start::At(MEMORY_MAX / 2.0));
    let few = |name| Field::clamped(name, 5.0, (0.0, 1_000.0), ZERO);
    Measurement {
        name: "redis",
        tags: |random| service_tags("redis", random),
        fields: vec![
            Field::elapsed_seconds("uptime_in_seconds"),
            Field::rising("total_connections_received", 5.0),
            Field::rising("expired_keys", 50.0),
            Field::rising("evicted_keys", 50.0),
            Field::rising("keyspace_hits", 50.0),
            Field::rising("keyspace_misses", 50.0),
            rate("instantaneous_ops_per_sec"),
            rate("instantaneous_input_kbps"),
            rate("instantaneous_output_kbps"),
            many("connected_clients"),
            memory("used_memory"),
            memory("used_memory_rss"),
            memory("used_memory_peak"),
            memory("used_memory_lua"),
            many("rdb_changes_since_last_save"),
            few("sync_full"),
            few("sync_partial_ok"),
            few("sync_partial_err"),
            few("pubsub_channels"),
            few("pubsub_patterns"),
            few("latest_fork_usec"),
            few("connected_slaves"),
            few("master_repl_offset"),
            few("repl_backlog_active"),
            few("repl_backlog_size"),
            few("repl_backlog_histlen"),
            Field::clamped("mem_fragmentation_ratio", 5.0, (0.0, 100.0), ZERO),
            few("used_cpu_sys"),
            few("used_cpu_user"),
            few("used_cpu_sys_children"),
            few("used_cpu_user_children"),
        ],
    }
}

/// Where a service listens and what it is called.
fn service_tags(service: &str, random: &mut Random) -> String {
    let port = 1_024 + random.below(20_000);
    format!(",port={port},server={service}_{}", random.below(100_000))
}
