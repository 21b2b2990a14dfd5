//! Many clients at once, through the real binary, which is given room for few of them (spec/server-config.md §8.1).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use crate::harness::{self, PATIENCE, say, temporary_folder};

const CONNECTIONS: usize = 1_000;

/// For the connections, and what a process has open besides.
const FILES_NEEDED: u64 = 2_000;

/// A server that ends with its guard.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the process holds in memory.
fn resident_bytes(child: &Child) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{}/statm", child.id())).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4_096)
}

fn asks(connection: &mut TcpStream) -> String {
    connection
        .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        .expect("a request is sent");
    let mut answer = [0; 1_024];
    let length = connection.read(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[test]
fn a_thousand_idle_connections_leave_the_server_unmoved() {
    let allowed = rlimit::increase_nofile_limit(u64::MAX).expect("a limit");
    if allowed < FILES_NEEDED {
        say(&format!(
            "skipped: this system lets a process open {allowed} files"
        ));
        return;
    }
    let folder = temporary_folder();
    let listener = folder.path().join("listener");
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -Sn 256; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_influxdb3"))
        .args(["serve", "--node-id", "n", "--object-store", "memory"])
        .args(["--http-bind", "127.0.0.1:0", "--without-auth"])
        .arg("--tcp-listener-file-path")
        .arg(&listener)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let server = Started(command.spawn().expect("sh starts"));
    harness::eventually("the server tells its address", || {
        std::fs::read_to_string(&listener).is_ok_and(|told| !told.is_empty())
    });
    let told = std::fs::read_to_string(&listener).expect("it was there");
    let address: SocketAddr = told.parse().expect("an address");
    let open = || {
        let connection = TcpStream::connect(address).expect("a connection");
        connection
            .set_read_timeout(Some(PATIENCE))
            .expect("a time limit");
        connection
    };
    let first = asks(&mut open());
    assert!(first.starts_with("HTTP/1.1 200 OK"), "{first}");
    let before = resident_bytes(&server.0);

    let mut idle: Vec<TcpStream> = (0..CONNECTIONS).map(|_| open()).collect();
    let answer = asks(&mut open());
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    for connection in idle.iter_mut().step_by(100) {
        let answer = asks(connection);
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    if let (Some(before), Some(after)) = (before, resident_bytes(&server.0)) {
        let grown = after.saturating_sub(before);
        assert!(
            grown < 64 << 20,
            "{grown} bytes for {CONNECTIONS} connections"
        );
    }
    drop(idle);
    let answer = asks(&mut open());
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}
