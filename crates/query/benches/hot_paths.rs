//! Microbenchmarks of filling gaps: few rows in, many rows out, so that little else takes time. Run by `cargo xtask perf`.
//!
//! The operator is no part of the crate's interface, so a whole query is timed, from its text to the last row: planning takes some
//! hundredths of it. Not here: queries of the TSBS workload (`influxdb3-bench query`), and whether rows are right (tests).

#[expect(dead_code, reason = "other crates use the rest")]
#[path = "../../line_protocol/benches/cpu/mod.rs"]
mod cpu;

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/node.rs"]
mod node;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

use cpu::Cpu;
use node::Node;

/// As the server has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const HOSTS: usize = 1_000;

/// The workload has a row every ten seconds; bins of one second leave nine of ten to be filled.
const EPOCHS: usize = 6;

const SECONDS: usize = EPOCHS * 10;

const NS_PER_SECOND: i64 = 1_000_000_000;

/// What the rows in the gaps are filled with.
const FILLS: [(&str, &str); 3] = [
    ("gapfill_null", "avg(usage_user)"),
    ("gapfill_locf", "locf(avg(usage_user))"),
    ("gapfill_interpolate", "interpolate(avg(usage_user))"),
];

/// A query with a row for each host and second.
fn query(filled: &str) -> String {
    let from_ns = Cpu::time_ns(0);
    let to_ns = from_ns + SECONDS as i64 * NS_PER_SECOND;
    format!(
        "SELECT hostname, date_bin_gapfill(interval '1 second', time) AS bin, {filled} FROM cpu \
         WHERE time >= to_timestamp_nanos({from_ns}) AND time < to_timestamp_nanos({to_ns}) GROUP BY hostname, bin"
    )
}

async fn rows(node: &Node, text: &str) -> usize {
    let answer = node.query("db", text, Vec::new()).await;
    let (_, batches) = black_box(answer).expect("the query runs");
    batches.iter().map(|batch| batch.num_rows()).sum()
}

fn gapfill(criterion: &mut Criterion) {
    let rows_of_answer = HOSTS * SECONDS;
    let runtime = Runtime::new().expect("a runtime starts");
    let node = runtime.block_on(async {
        let node = Node::without_compaction(1 << 30).await;
        let workload = Cpu::new(HOSTS, EPOCHS);
        // The node takes seconds.
        let lines = workload.lines(0..EPOCHS).replace("000000000\n", "\n");
        node.write("db", &lines).await;
        node
    });
    let mut group = criterion.benchmark_group("query");
    group.throughput(Throughput::Elements(rows_of_answer as u64));
    for (name, filled) in FILLS {
        let text = query(filled);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let rows = runtime.block_on(rows(&node, &text));
                assert_eq!(rows, rows_of_answer, "every bin has a row");
            });
        });
    }
    group.finish();
    runtime.block_on(node.stop());
}

criterion_group!(benches, gapfill);
criterion_main!(benches);
