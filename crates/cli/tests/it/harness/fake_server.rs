//! A server that answers everything alike and remembers what it was asked, for tests of the client alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};

/// A request as it arrived; header names in lower case.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// Listens until the test ends.
#[derive(Debug)]
pub(crate) struct FakeServer {
    address: SocketAddr,
    requests: Receiver<Request>,
}

impl FakeServer {
    /// Answers every request with `status` (such as `200 OK`) and `body`.
    pub(crate) fn answering(status: &str, body: &str) -> Self {
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
        Self::sending(vec![answer], false)
    }

    /// Answers with one head after the other (`503 Service Unavailable\r\nretry-after: 1`), without a body; with the last one for ever.
    pub(crate) fn answering_in_turn(heads: &[&str]) -> Self {
        let answer = |head: &&str| format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n");
        Self::sending(heads.iter().map(answer).collect(), false)
    }

    /// Promises more than `body` and then closes the connection.
    pub(crate) fn breaking_off_after(body: &str) -> Self {
        let length = body.len() + 1;
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
        Self::sending(vec![answer], true)
    }

    fn sending(answers: Vec<String>, closes: bool) -> Self {
        let answers = Arc::new(answers);
        let next = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (sender, answers) = (sender.clone(), Arc::clone(&answers));
                let next = Arc::clone(&next);
                std::thread::spawn(move || {
                    let mut stream = BufReader::new(stream);
                    while let Some(request) = read(&mut stream) {
                        // The test may have ended, or the client gone away.
                        let _ = sender.send(request);
                        let turn = next.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
                        let _ = stream.get_mut().write_all(answers[turn].as_bytes());
                        if closes {
                            break;
                        }
                    }
                });
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything asked so far; to be called after the client has ended.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let line = read_line(stream)?;
    let mut headers = Vec::new();
    loop {
        let header = read_line(stream)?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
    }
    let request = Request {
        line,
        headers,
        body: Vec::new(),
    };
    let length = request.header("content-length").unwrap_or("0");
    let mut body = vec![0; length.parse().expect("a length")];
    stream.read_exact(&mut body).ok()?;
    Some(Request { body, ..request })
}

fn read_line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end().to_string())
}
