//! Replacing the operator token under load: two thousand requests and more over fifty connections and more, while the
//! token is regenerated twenty times (spec/auth-tokens.md §8); at once, and with an overlap.
//!
//! No request fails on the server's side. At once, a request with the current token is refused only when a rotation was under way
//! meanwhile, and a token that was replaced is refused from the moment the new one is told. With an overlap all that happens one rotation
//! later, so that who learns of a new token in time is never refused.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::harness::chance::Chance;
use crate::harness::http::Connection;
use crate::harness::{Server, Setup, temporary_folder};

/// How much of it there is, and how many rotations a replaced token outlives.
#[derive(Clone, Copy, Debug)]
struct Load {
    connections: u64,
    requests_per_connection: u64,
    rotations: usize,
    outlives: usize,
}

impl Load {
    /// Where rotations are asked for.
    fn target(self) -> &'static str {
        match self.outlives {
            0 => "/api/v3/configure/token/admin/regenerate",
            _ => "/api/v3/configure/token/admin/regenerate?grace_secs=3600",
        }
    }

    /// After as many rotations the token of this index is dead.
    fn deadly(self, index: usize) -> usize {
        index + 1 + self.outlives
    }
}

/// What all threads know about the operator token.
#[derive(Debug)]
struct Rotation {
    /// All tokens that ever were, the current one last.
    tokens: Vec<String>,
    /// Rotations that were asked for; more than were answered while one is under way.
    begun: usize,
}

impl Rotation {
    /// Rotations that were answered.
    fn ended(&self) -> usize {
        self.tokens.len() - 1
    }
}

const WRITE: &str = "/api/v3/write_lp?db=rotate&precision=nanosecond";
const QUERY: &str = "/api/v3/query_sql?db=rotate&q=SELECT+count(*)+AS+n+FROM+seed&format=json";

/// What a worker has found out.
#[derive(Debug, Default)]
struct Tally {
    written: BTreeSet<u64>,
    refused_writes: BTreeSet<u64>,
    answered: u64,
    refused: u64,
    refused_old: u64,
}

/// Sends requests until all rotations are over, and at least [`Load::requests_per_connection`].
fn work(
    server: std::net::SocketAddr,
    load: Load,
    rotation: &Mutex<Rotation>,
    over: &AtomicBool,
    next_row: &AtomicU64,
    mut chance: Chance,
) -> Tally {
    let mut tally = Tally::default();
    let mut connection = Connection::open(server).expect("a connection");
    let mut sent = 0;
    while sent < load.requests_per_connection || !over.load(Ordering::SeqCst) {
        sent += 1;
        let row = next_row.fetch_add(1, Ordering::SeqCst);
        let line = format!("rows,worker=w row={row}i {row}");
        // A query costs a debug build as much as many writes.
        let (method, target, body) = match chance.within(0..8) {
            0 => ("GET", QUERY, &b""[..]),
            _ => ("POST", WRITE, line.as_bytes()),
        };
        if chance.within(0..20) == 0 {
            connection = Connection::open(server).expect("a connection");
        }
        let (token, index, ended_at_sending) = {
            let rotation = rotation.lock().expect("no thread panics with the lock");
            let current = rotation.tokens.len() - 1;
            let is_old = current > 0 && chance.within(0..8) == 0;
            let index = match is_old {
                true => chance.within(0..current as u64) as usize,
                false => current,
            };
            (rotation.tokens[index].clone(), index, rotation.ended())
        };
        let answer = connection
            .ask(method, target, Some(&token), body)
            .expect("every request is answered");
        let begun_at_answer = rotation
            .lock()
            .expect("no thread panics with the lock")
            .begun;
        let told = answer.text();
        match answer.status {
            200 | 204 => {
                assert!(
                    ended_at_sending < load.deadly(index),
                    "a token that was replaced is still good: {method} {target}"
                );
                tally.answered += 1;
                if method == "POST" {
                    tally.written.insert(row);
                }
            }
            // With so many dead tokens from one address, the refusal may be told as 429; a living one is refused by neither.
            401 | 429 if ended_at_sending >= load.deadly(index) => tally.refused_old += 1,
            401 | 429 => {
                assert!(
                    begun_at_answer >= load.deadly(index),
                    "refused with a living token and no rotation: {method} {target}: {told}"
                );
                tally.refused += 1;
                if method == "POST" {
                    tally.refused_writes.insert(row);
                }
            }
            status => panic!("{method} {target}: {status}: {told}"),
        }
    }
    tally
}

/// Replaces the token once; afterwards the token that this has killed must be dead on old connections and on new ones.
fn rotate(
    server: std::net::SocketAddr,
    load: Load,
    connection: &mut Connection,
    rotation: &Mutex<Rotation>,
) {
    let (old, dead) = {
        let mut rotation = rotation.lock().expect("no thread panics with the lock");
        rotation.begun += 1;
        let current = rotation.tokens.len() - 1;
        let dead = current.checked_sub(load.outlives);
        (
            rotation.tokens[current].clone(),
            dead.map(|index| rotation.tokens[index].clone()),
        )
    };
    let target = load.target();
    let answer = connection
        .ask("POST", target, Some(&old), b"")
        .expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.text());
    let created: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    let new = created["token"].as_str().expect("a token").to_string();
    assert_ne!(new, old);
    rotation
        .lock()
        .expect("no thread panics with the lock")
        .tokens
        .push(new.clone());

    let mut fresh = Connection::open(server).expect("a connection");
    if let Some(dead) = dead {
        let refused = |connection: &mut Connection, (method, target, body): (&str, &str, &[u8])| {
            let answer = connection.ask(method, target, Some(&dead), body);
            let answer = answer.expect("an answer");
            let is_refused = matches!(answer.status, 401 | 429);
            assert!(is_refused, "{method} {target}: {}", answer.text());
        };
        refused(connection, ("POST", WRITE, b"rows row=0i 0"));
        refused(connection, ("POST", target, b""));
        refused(&mut fresh, ("GET", QUERY, b""));
    }
    let answer = fresh.ask("GET", QUERY, Some(&new), b"").expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn rotation_under_load_refuses_nobody_else() {
    let tally = check(Load {
        connections: 50,
        requests_per_connection: 40,
        rotations: 20,
        outlives: 0,
    });
    assert!(tally.refused_old > 0);
}

#[test]
fn rotation_under_load_with_an_overlap_refuses_nobody_who_hears_of_it() {
    check(Load {
        connections: 20,
        requests_per_connection: 40,
        rotations: 10,
        outlives: 1,
    });
}

fn check(load: Load) -> Tally {
    let mut chance = Chance::announced("rotate");
    let folder = temporary_folder();
    let mut server = Server::start(Setup::file(folder.path()).with_auth());
    let first = server.create_token();
    server.write("rotate", "nanosecond", "seed a=1 1");
    let address = server.address();
    let rotation = Mutex::new(Rotation {
        tokens: vec![first],
        begun: 0,
    });
    let over = AtomicBool::new(false);
    let next_row = AtomicU64::new(1);

    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..load.connections)
            .map(|_| {
                let chance = chance.fork();
                let (rotation, over, next_row) = (&rotation, &over, &next_row);
                scope.spawn(move || work(address, load, rotation, over, next_row, chance))
            })
            .collect();
        let rotator = scope.spawn(|| {
            let mut connection = Connection::open(address).expect("a connection");
            for _ in 0..load.rotations {
                std::thread::sleep(std::time::Duration::from_millis(10));
                rotate(address, load, &mut connection, &rotation);
            }
        });
        let rotated = rotator.join();
        // Also when a rotation has failed: the workers must end for the failure to be told.
        over.store(true, Ordering::SeqCst);
        let tallies = workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker's assertions hold"))
            .collect();
        rotated.expect("the rotator's assertions hold");
        tallies
    });

    let mut total = Tally::default();
    for tally in tallies {
        total.answered += tally.answered;
        total.refused += tally.refused;
        total.refused_old += tally.refused_old;
        total.written.extend(tally.written);
        total.refused_writes.extend(tally.refused_writes);
    }
    println!(
        "rotate: {} answered, {} refused during a rotation, {} refused with an old token",
        total.answered, total.refused, total.refused_old
    );
    let sent = total.answered + total.refused + total.refused_old;
    assert!(sent >= load.connections * load.requests_per_connection);
    assert!(total.answered > 0 && !total.written.is_empty());

    let rotation = rotation
        .into_inner()
        .expect("no thread panics with the lock");
    assert_eq!(rotation.ended(), load.rotations);
    server.use_token(rotation.tokens.last().expect("the current token"));
    let found: BTreeSet<u64> = server
        .query("rotate", "SELECT row FROM rows")
        .iter()
        .map(|row| row["row"].as_u64().expect("a number"))
        .collect();
    assert_eq!(
        found, total.written,
        "exactly the acknowledged rows are there"
    );
    assert!(found.is_disjoint(&total.refused_writes));
    let tokens: Vec<&str> = rotation.tokens.iter().map(String::as_str).collect();
    server.keeps_secrets(&tokens);
    total
}
