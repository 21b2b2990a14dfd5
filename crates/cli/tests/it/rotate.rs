//! Replacing the operator token under load: two thousand requests and more over fifty connections and more, while the
//! token is regenerated twenty times (spec/auth-tokens.md §8).
//!
//! No request fails on the server's side; a request with the current token is refused only when a rotation was under way
//! meanwhile; a token that was replaced is refused from the moment the new one is told.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::harness::chance::Chance;
use crate::harness::http::Connection;
use crate::harness::{Server, Setup, temporary_folder};

const CONNECTIONS: u64 = 50;
const REQUESTS_PER_CONNECTION: u64 = 40;
const ROTATIONS: usize = 20;

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

/// Sends requests until all rotations are over, and at least [`REQUESTS_PER_CONNECTION`].
fn work(
    server: std::net::SocketAddr,
    rotation: &Mutex<Rotation>,
    over: &AtomicBool,
    next_row: &AtomicU64,
    mut chance: Chance,
) -> Tally {
    let mut tally = Tally::default();
    let mut connection = Connection::open(server).expect("a connection");
    let mut sent = 0;
    while sent < REQUESTS_PER_CONNECTION || !over.load(Ordering::SeqCst) {
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
        let (token, ended_at_sending, is_old) = {
            let rotation = rotation.lock().expect("no thread panics with the lock");
            let current = rotation.tokens.len() - 1;
            let is_old = current > 0 && chance.within(0..8) == 0;
            let index = match is_old {
                true => chance.within(0..current as u64) as usize,
                false => current,
            };
            (rotation.tokens[index].clone(), rotation.ended(), is_old)
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
                    !is_old,
                    "a token that was replaced is still good: {method} {target}"
                );
                tally.answered += 1;
                if method == "POST" {
                    tally.written.insert(row);
                }
            }
            401 if is_old => tally.refused_old += 1,
            401 => {
                assert!(
                    begun_at_answer > ended_at_sending,
                    "refused with the current token and no rotation: {method} {target}: {told}"
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

/// Replaces the token once; afterwards the old one must be dead on old connections and on new ones.
fn rotate(server: std::net::SocketAddr, connection: &mut Connection, rotation: &Mutex<Rotation>) {
    let old = {
        let mut rotation = rotation.lock().expect("no thread panics with the lock");
        rotation.begun += 1;
        rotation
            .tokens
            .last()
            .expect("there is a first token")
            .clone()
    };
    let target = "/api/v3/configure/token/admin/regenerate";
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
    let refused = |connection: &mut Connection, (method, target, body): (&str, &str, &[u8])| {
        let answer = connection.ask(method, target, Some(&old), body);
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 401, "{method} {target}: {}", answer.text());
    };
    refused(connection, ("POST", WRITE, b"rows row=0i 0"));
    refused(connection, ("POST", target, b""));
    refused(&mut fresh, ("GET", QUERY, b""));
    let answer = fresh.ask("GET", QUERY, Some(&new), b"").expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn rotation_under_load_refuses_nobody_else() {
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
        let workers: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let chance = chance.fork();
                let (rotation, over, next_row) = (&rotation, &over, &next_row);
                scope.spawn(move || work(address, rotation, over, next_row, chance))
            })
            .collect();
        let rotator = scope.spawn(|| {
            let mut connection = Connection::open(address).expect("a connection");
            for _ in 0..ROTATIONS {
                std::thread::sleep(std::time::Duration::from_millis(10));
                rotate(address, &mut connection, &rotation);
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

    let (mut answered, mut refused, mut refused_old) = (0, 0, 0);
    let mut written = BTreeSet::new();
    let mut refused_writes = BTreeSet::new();
    for tally in tallies {
        answered += tally.answered;
        refused += tally.refused;
        refused_old += tally.refused_old;
        written.extend(tally.written);
        refused_writes.extend(tally.refused_writes);
    }
    println!(
        "rotate: {answered} answered, {refused} refused during a rotation, {refused_old} refused with an old token"
    );
    assert!(answered + refused + refused_old >= CONNECTIONS * REQUESTS_PER_CONNECTION);
    assert!(answered > 0 && refused_old > 0 && !written.is_empty());

    let rotation = rotation
        .into_inner()
        .expect("no thread panics with the lock");
    assert_eq!(rotation.ended(), ROTATIONS);
    server.use_token(rotation.tokens.last().expect("the current token"));
    let found: BTreeSet<u64> = server
        .query("rotate", "SELECT row FROM rows")
        .iter()
        .map(|row| row["row"].as_u64().expect("a number"))
        .collect();
    assert_eq!(found, written, "exactly the acknowledged rows are there");
    assert!(found.is_disjoint(&refused_writes));
    let log = server.log();
    for token in &rotation.tokens {
        assert!(!log.contains(token), "a token is in the log");
    }
}
