//! The memory budget as operators meet it: a limit too small, the split in the log, the shares in the metrics.

use crate::harness::{Server, Setup};

#[test]
fn a_limit_that_is_too_small_is_refused_with_numbers() {
    let log = Server::launch(&Setup::memory().with(&[
        "--memory-limit",
        "512mb",
        "--exec-mem-pool-size",
        "600mb",
    ]))
    .expect_err("too little");
    assert!(
        log.contains(
            "Serve command failed: a memory limit of 512 MiB is too little: query 600 MiB"
        ),
        "{log}"
    );
}

#[test]
fn the_split_is_told_and_measured() {
    let server = Server::start(Setup::memory().with(&["--memory-limit", "256mb"]));
    let log = server.log();
    assert!(log.contains("memory limit 256 MiB: buffer "), "{log}");
    // Larger than the ingest share: it is let in all the same, alone.
    let lines: String = (0..100_000)
        .map(|time| {
            format!(
                "table_of_rows,host=host_{} value={time}i {time}\n",
                time % 10
            )
        })
        .collect();
    server.write("db", "second", &lines);
    let counted = server.query("db", "SELECT count(*) AS n FROM table_of_rows");
    assert_eq!(counted[0]["n"], 100_000);
    let answer = server
        .connect()
        .ask("GET", "/metrics", None, b"")
        .expect("metrics");
    let metrics = answer.text();
    for line in [
        "influxdb3_memory_limit_bytes 268435456",
        "influxdb3_memory_share_bytes{share=\"ingest\"} 0",
        "influxdb3_write_requests_refused_total 0",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}: {metrics}"
        );
    }
    let buffered = metrics
        .lines()
        .find_map(|line| line.strip_prefix("influxdb3_memory_share_bytes{share=\"buffer\"} "))
        .expect("the buffer's share");
    assert!(buffered.parse::<u64>().expect("a number") > 0);
    server.stop();
}
