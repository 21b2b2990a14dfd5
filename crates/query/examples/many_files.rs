//! How long queries take over 600 files of ten minutes, and over the same rows compacted.
//!
//!     cargo run --release -p query --example many_files -- 1000
//!
//! The number is that of hosts, each with a row every ten seconds; a word behind it leaves only queries that have it. The store is in
//! memory, and nothing is compacted unless told to. Prints medians.

use std::fmt::Write;
use std::time::Duration;

use runtime::clock::{Clock, SystemClock};

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/node.rs"]
mod node;

use node::{NOW_NS, Node};

/// As the server has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const FILES: i64 = 600;
const ROWS_PER_HOST: i64 = 60;
const INTERVAL_SECONDS: i64 = 10;
const WINDOW_SECONDS: i64 = ROWS_PER_HOST * INTERVAL_SECONDS;

/// Runs of each query, and how many before them do not count.
const RUNS: usize = 21;
const WARM_UP: usize = 3;

fn main() {
    let hosts = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(measure(hosts.unwrap_or(1000)));
}

/// Seconds: the first row of all.
fn first_time() -> i64 {
    NOW_NS / 1_000_000_000 - FILES * WINDOW_SECONDS
}

/// Ten minutes of all hosts.
fn lines(window: i64, hosts: usize) -> String {
    let mut lines = String::new();
    for row in 0..ROWS_PER_HOST {
        let time = first_time() + window * WINDOW_SECONDS + row * INTERVAL_SECONDS;
        for host in 0..hosts {
            let value = (host as i64 * 7 + row * 3 + window) % 100;
            let idle = 100 - value;
            writeln!(
                lines,
                "cpu,host=host_{host},region=r{} usage={value},idle={idle}i,system={} {time}",
                host % 3,
                value / 2
            )
            .expect("text can be written");
        }
    }
    lines
}

async fn measure(hosts: usize) {
    let node = Node::without_compaction(1 << 30).await;
    for window in 0..FILES {
        node.write("db", &lines(window, hosts)).await;
        node.storage.persist().await.expect("the store works");
    }
    let queries = [
        "SELECT count(*), avg(usage), max(idle) FROM cpu",
        "SELECT date_bin(interval '1 hour', time) AS hour, host, avg(usage) FROM cpu GROUP BY 1, 2 ORDER BY 1, 2",
        "SELECT date_bin(interval '1 hour', time) AS hour, max(usage), max(idle) FROM cpu WHERE host = 'host_7' GROUP BY 1 ORDER BY 1",
        "SELECT * FROM cpu WHERE usage > 97",
        "SELECT * FROM cpu ORDER BY time DESC LIMIT 10",
        "SELECT count(*), min(time), max(time) FROM cpu",
    ];
    let word = std::env::args().nth(2).unwrap_or_default();
    let queries = queries.map(|query| query.contains(&word).then_some(query));
    let queries: Vec<&str> = queries.into_iter().flatten().collect();
    let many = times(&node, &queries).await;
    println!("{} files", node.storage.statistics().files);
    node.storage.compact().await.expect("the store works");
    println!("{} files after compaction", node.storage.statistics().files);
    let few = times(&node, &queries).await;
    println!("kept of files: {:?}", node.storage.file_cache());
    println!("many ms, compacted ms, ratio, query");
    for ((query, many), few) in queries.iter().zip(many).zip(few) {
        let (many, few) = (many.as_secs_f64() * 1e3, few.as_secs_f64() * 1e3);
        println!("{many:8.2} {few:8.2} {:6.2}  {query}", many / few);
    }
    node.stop().await;
}

async fn times(node: &Node, queries: &[&str]) -> Vec<Duration> {
    let clock = SystemClock::new();
    let mut medians = Vec::new();
    for query in queries {
        let mut taken = Vec::new();
        for run in 0..WARM_UP + RUNS {
            let began = clock.monotonic();
            let answer = node.query("db", query, Vec::new()).await;
            answer.expect("the query runs");
            if run >= WARM_UP {
                taken.push(clock.monotonic() - began);
            }
        }
        taken.sort_unstable();
        medians.push(taken[taken.len() / 2]);
    }
    medians
}
