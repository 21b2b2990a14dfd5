//! Killing a server in the middle of sustained writing, deleting, compacting and expiring, again and again: nothing
//! acknowledged is lost, nothing appears that was not sent, what was deleted does not come back, and a row that was once
//! seen after a restart stays (docs/architecture.md, invariants 5 and 6).
//!
//! `GNOMON_CRASH_ROUNDS` says how often (5), `GNOMON_SEED` repeats the moments of a failed run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::harness::chance::Chance;
use crate::harness::http::Connection;
use crate::harness::{Server, Setup, parquet_files, temporary_folder};

const WRITERS: u64 = 4;

/// A database whose rows are kept for an hour.
const BRIEF: &str = "brief";

/// A row: who wrote it and its number, which is also its time and its field.
type Row = (u64, u64);

/// What one writer knows at the end of a round.
#[derive(Debug, Default)]
struct Told {
    acknowledged: BTreeSet<Row>,
    /// Sent, but the answer never came.
    in_flight: BTreeSet<Row>,
    /// Deleted, and the answer came.
    deleted: BTreeSet<Row>,
    /// To be deleted by a request whose answer never came.
    perhaps_deleted: BTreeSet<Row>,
    /// The first number that was never sent.
    next_number: u64,
}

/// A delete of some of a writer's rows, and which they are.
fn deletion(writer: u64, next_number: u64, chance: &mut Chance) -> (String, BTreeSet<Row>) {
    let from = chance.within(0..next_number.max(1));
    let to = from + chance.within(1..40);
    let (lower, upper) = match chance.within(0..2) {
        // By tags and time, or by a field.
        0 => (
            format!("time >= to_timestamp_nanos({from})"),
            format!("time < to_timestamp_nanos({to})"),
        ),
        _ => (format!("number >= {from}"), format!("number < {to}")),
    };
    let statement = format!("DELETE FROM crash WHERE writer = 'w{writer}' AND {lower} AND {upper}");
    (
        statement,
        (from..to).map(|number| (writer, number)).collect(),
    )
}

/// Writes small batches, and deletes some rows, until the connection breaks.
fn write_until_it_breaks(
    server: std::net::SocketAddr,
    writer: u64,
    first_number: u64,
    mut chance: Chance,
    may_break: &AtomicBool,
) -> Told {
    let mut told = Told {
        next_number: first_number,
        ..Told::default()
    };
    let Ok(mut connection) = Connection::open(server) else {
        assert!(
            may_break.load(Ordering::SeqCst),
            "the server refuses connections"
        );
        return told;
    };
    loop {
        if told.next_number > 1 && chance.within(0..25) == 0 {
            let (statement, rows) = deletion(writer, told.next_number, &mut chance);
            let body = serde_json::json!({"db": "crash", "q": statement, "format": "json"});
            let asked = connection.ask(
                "POST",
                "/api/v3/query_sql",
                None,
                body.to_string().as_bytes(),
            );
            match asked {
                // The first rows may not have been written yet, and with them the table.
                Ok(answer) if told.acknowledged.is_empty() && first_number == 1 => {
                    assert!(answer.status < 500, "{}", answer.text());
                }
                Ok(answer) => assert_eq!(answer.status, 200, "{}", answer.text()),
                Err(_) => {
                    assert!(may_break.load(Ordering::SeqCst), "a delete broke off");
                    told.perhaps_deleted = rows;
                    return told;
                }
            }
            told.acknowledged.retain(|row| !rows.contains(row));
            told.deleted.extend(rows);
        }
        let batch: Vec<Row> = (0..chance.within(1..6))
            .map(|offset| (writer, told.next_number + offset))
            .collect();
        told.next_number += batch.len() as u64;
        let lines: String = batch
            .iter()
            .map(|(writer, number)| {
                format!("crash,writer=w{writer} number={number}i,text=\"row {number}\" {number}\n")
            })
            .collect();
        // Some writers let the connection go from time to time, as real ones do.
        if chance.within(0..50) == 0
            && let Ok(fresh) = Connection::open(server)
        {
            connection = fresh;
        }
        let target = "/api/v3/write_lp?db=crash&precision=nanosecond";
        match connection.ask("POST", target, None, lines.as_bytes()) {
            Ok(answer) => {
                assert_eq!(answer.status, 204, "{}", answer.text());
                told.acknowledged.extend(batch);
            }
            Err(fault) => {
                assert!(
                    may_break.load(Ordering::SeqCst),
                    "a healthy server broke off: {fault}"
                );
                told.in_flight.extend(batch);
                return told;
            }
        }
    }
}

/// Writes rows of now and rows that have expired already until the connection breaks; answers how many of now were acknowledged.
fn write_what_expires(
    server: std::net::SocketAddr,
    first_number: u64,
    may_break: &AtomicBool,
) -> u64 {
    let mut number = first_number;
    let Ok(mut connection) = Connection::open(server) else {
        return number;
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_nanos() as i64;
    loop {
        let fresh = now - 600_000_000_000 + number as i64;
        let expired = now - 7_200_000_000_000 + number as i64;
        let lines = format!(
            "brief,kind=fresh number={number}i {fresh}\nbrief,kind=expired number={number}i {expired}\n"
        );
        let target = format!("/api/v3/write_lp?db={BRIEF}&precision=nanosecond");
        match connection.ask("POST", &target, None, lines.as_bytes()) {
            Ok(answer) => assert_eq!(answer.status, 204, "{}", answer.text()),
            Err(_) => {
                assert!(may_break.load(Ordering::SeqCst), "a write broke off");
                return number;
            }
        }
        number += 1;
    }
}

/// All rows there are; fails on a row that appears twice or does not fit together.
fn rows(server: &Server) -> BTreeSet<Row> {
    let mut found = BTreeSet::new();
    let present = server.query(
        "crash",
        "SELECT table_name FROM information_schema.tables WHERE table_name = 'crash'",
    );
    if present.is_empty() {
        return found;
    }
    for row in server.query("crash", "SELECT writer, number, text, time FROM crash") {
        let writer = row["writer"]
            .as_str()
            .and_then(|name| name.strip_prefix('w'));
        let writer: u64 = writer
            .and_then(|name| name.parse().ok())
            .expect("the name of a writer");
        let number = row["number"].as_u64().expect("a number");
        assert_eq!(row["text"], format!("row {number}"));
        assert!(
            found.insert((writer, number)),
            "row {number} of writer {writer} appears twice"
        );
    }
    let counted = server.query("crash", "SELECT count(*) AS n FROM crash");
    assert_eq!(counted[0]["n"], found.len());
    found
}

#[test]
fn nothing_acknowledged_is_lost() {
    let rounds: u64 = std::env::var("GNOMON_CRASH_ROUNDS").map_or(5, |text| {
        text.parse().expect("GNOMON_CRASH_ROUNDS is a number")
    });
    let mut chance = Chance::announced("crash");
    let folder = temporary_folder();
    let setup = Setup::file(folder.path()).with(&["--wal-snapshot-size", "3"]);

    let mut expected: BTreeSet<Row> = BTreeSet::new();
    let mut next_numbers: BTreeMap<u64, u64> = (0..WRITERS).map(|writer| (writer, 1)).collect();
    let server = Server::start(setup.clone());
    // The first write would create it too, but a first round may end before any.
    server.cli(&["create", "database"], &["crash"]).succeeded();
    server
        .cli(
            &["create", "database"],
            &["--retention-period", "1h", BRIEF],
        )
        .succeeded();
    let mut next_brief = 0;
    let mut server = Some(server);

    for round in 0..rounds {
        let running = server.take().expect("every round leaves a server");
        let may_break = Arc::new(AtomicBool::new(false));
        let address = running.address();
        let writers: Vec<_> = next_numbers
            .iter()
            .map(|(&writer, &first_number)| {
                let may_break = Arc::clone(&may_break);
                let chance = chance.fork();
                std::thread::spawn(move || {
                    write_until_it_breaks(address, writer, first_number, chance, &may_break)
                })
            })
            .collect();
        let brief = {
            let may_break = Arc::clone(&may_break);
            std::thread::spawn(move || write_what_expires(address, next_brief, &may_break))
        };
        let moment = Duration::from_millis(chance.within(20..1500));
        std::thread::sleep(moment);
        may_break.store(true, Ordering::SeqCst);
        running.kill();

        let mut in_flight = BTreeSet::new();
        let mut perhaps_deleted = BTreeSet::new();
        let mut acknowledged_count = 0;
        let mut deleted_count = 0;
        for (writer, handle) in (0..WRITERS).zip(writers) {
            let told = handle.join().expect("a writer's assertions hold");
            acknowledged_count += told.acknowledged.len();
            deleted_count += told.deleted.len();
            expected.retain(|row| !told.deleted.contains(row));
            expected.extend(told.acknowledged);
            perhaps_deleted.extend(told.perhaps_deleted);
            in_flight.extend(told.in_flight);
            next_numbers.insert(writer, told.next_number);
        }
        let acknowledged_brief = brief.join().expect("a writer's assertions hold");

        // Sometimes the machine is so unlucky as to die during the restart too.
        let deaths_at_start = chance.within(0..3);
        for _ in 0..deaths_at_start {
            let launched = Server::spawn(&setup);
            std::thread::sleep(Duration::from_millis(chance.within(0..300)));
            launched.kill();
        }
        let restarted = Server::start(setup.clone());
        let found = rows(&restarted);
        let files = parquet_files(folder.path());
        println!(
            "crash: round {round}: killed after {moment:?}, {acknowledged_count} rows acknowledged, {} in flight, {deleted_count} deleted, \
             {deaths_at_start} deaths at start, {} rows found, {files} files",
            in_flight.len(),
            found.len(),
        );
        let lost: Vec<&Row> = expected
            .difference(&found)
            .filter(|row| !perhaps_deleted.contains(row))
            .take(10)
            .collect();
        assert!(lost.is_empty(), "acknowledged rows are lost: {lost:?}");
        let invented: Vec<&Row> = found
            .iter()
            .filter(|row| !expected.contains(row) && !in_flight.contains(row))
            .take(10)
            .collect();
        assert!(
            invented.is_empty(),
            "rows appeared that were not sent or were gone: {invented:?}"
        );
        let brief = restarted.query(
            BRIEF,
            "SELECT count(*) AS n, max(number) AS last, count(DISTINCT number) AS d FROM brief WHERE kind = 'fresh'",
        );
        if acknowledged_brief > 0 {
            let n = brief[0]["n"].as_u64().expect("a count");
            // One more may have been in flight.
            assert!(
                (acknowledged_brief..=acknowledged_brief + 1).contains(&n),
                "{n} rows of {acknowledged_brief}"
            );
            assert_eq!(brief[0]["n"], brief[0]["d"]);
            let expired = "SELECT count(*) AS n FROM brief WHERE kind = 'expired'";
            assert_eq!(restarted.query(BRIEF, expired)[0]["n"], 0);
            next_brief = n;
        }
        // From now on, what has survived must stay, and what has not must not come back.
        expected = found;
        server = Some(restarted);
    }

    let last = server.take().expect("every round leaves a server");
    assert!(!expected.is_empty(), "nothing was written");
    assert!(
        parquet_files(folder.path()) > 0,
        "no row was persisted during the run"
    );
    let compacted = last.query(
        "crash",
        "SELECT count(*) AS n FROM system.compaction WHERE reason = 'merge'",
    );
    println!("crash: {} merges by the last server", compacted[0]["n"]);
    last.stop();
    let again = Server::start(setup);
    assert_eq!(rows(&again), expected);
}
