//! An address that stays the same while the server behind it dies and comes back somewhere else.
//!
//! What is sent to it is passed on as it is. While there is no server, connections are closed at once.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Listens until the test ends.
#[derive(Debug)]
pub(crate) struct Forwarder {
    address: SocketAddr,
    server: Arc<Mutex<SocketAddr>>,
    sent_bytes: Arc<AtomicU64>,
}

impl Forwarder {
    pub(crate) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let server = Arc::new(Mutex::new(server));
        let sent_bytes = Arc::new(AtomicU64::new(0));
        let (target, counter) = (Arc::clone(&server), Arc::clone(&sent_bytes));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let target = *target.lock().expect("no thread panics with the lock");
                let Ok(server) = TcpStream::connect(target) else {
                    continue;
                };
                let (Ok(client_half), Ok(server_half)) = (client.try_clone(), server.try_clone())
                else {
                    continue;
                };
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || pass(client, server, Some(&counter)));
                std::thread::spawn(move || pass(server_half, client_half, None));
            }
        });
        Self {
            address,
            server,
            sent_bytes,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, connections go there.
    pub(crate) fn turn_to(&self, server: SocketAddr) {
        *self.server.lock().expect("no thread panics with the lock") = server;
    }

    /// What clients have sent so far.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::SeqCst)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, counter: Option<&AtomicU64>) {
    let mut bytes = [0; 16 << 10];
    while let Ok(read) = from.read(&mut bytes) {
        if read == 0 || to.write_all(&bytes[..read]).is_err() {
            break;
        }
        if let Some(counter) = counter {
            counter.fetch_add(read as u64, Ordering::SeqCst);
        }
    }
    // Either may be closed already.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
