//! `bench query`: how long a query takes, from the request to the last byte of the answer.

use crate::client::{Client, ClientOptions};
use crate::latencies::Latencies;
use crate::queries::Query;
use crate::random::Random;
use crate::workload::WorkloadOptions;
use crate::{Error, process};

/// Run a query many times
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    client: ClientOptions,

    /// The query; the same each time
    #[arg(long, required_unless_present = "tsbs")]
    sql: Option<String>,

    /// A TSBS query such as single-groupby-1-1-1, with other hosts and times each time; --hosts, --start and --end
    /// tell which are there
    #[arg(long, conflicts_with = "sql")]
    tsbs: Option<Query>,

    #[command(flatten)]
    workload: WorkloadOptions,

    /// How many times to run it
    #[arg(long, default_value_t = 100)]
    count: usize,

    /// How many times to run it first that do not count
    #[arg(long, default_value_t = 3)]
    warm_up: usize,

    /// Format of the answer
    #[arg(long, default_value = "json")]
    format: String,

    /// Show the last answer
    #[arg(long)]
    show: bool,

    /// Process of the server, if on this machine, to see the CPU time it uses
    #[arg(long)]
    server_pid: Option<u32>,
}

pub(crate) async fn run(options: Options) -> Result<(), Error> {
    let client = Client::new(&options.client)?;
    let mut random = Random::new(options.workload.seed, u64::MAX);
    let mut next_sql = || match (&options.tsbs, &options.sql) {
        (Some(query), _) => query.sql(&options.workload, &mut random),
        (None, sql) => Ok(sql.clone().unwrap_or_default()),
    };
    for _ in 0..options.warm_up {
        client.query(&next_sql()?, &options.format).await?;
    }
    let cpu_time = || options.server_pid.map(process::cpu_time).transpose();
    let cpu_before = cpu_time()?;
    let mut durations = Latencies::new();
    let mut bytes = 0;
    let mut last = Default::default();
    for _ in 0..options.count {
        let (answer, duration) = client.query(&next_sql()?, &options.format).await?;
        bytes += answer.len();
        durations.add(duration);
        last = answer;
    }
    let count = options.count.max(1);
    println!(
        "{} queries, {} bytes each: {}",
        durations.count(),
        bytes / count,
        durations
    );
    if let (Some(before), Some(after)) = (cpu_before, cpu_time()?) {
        let used = after.saturating_sub(before).as_secs_f64();
        println!(
            "server: {used:.2} s of CPU time, {:.3} ms per query",
            used / count as f64 * 1e3
        );
    }
    if options.show {
        println!("{}", String::from_utf8_lossy(&last));
    }
    Ok(())
}
