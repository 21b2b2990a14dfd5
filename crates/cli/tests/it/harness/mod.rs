//! What every test here stands on: the real binary, as a server that dies with its guard and as a command that ends.
//!
//! Servers listen on a free port of 127.0.0.1 and keep their files in a folder that is removed afterwards. Neither they
//! nor the commands see the variables of the machine that runs the tests.

pub(crate) mod certificates;

pub(crate) mod chance;

pub(crate) mod fake_server;

pub(crate) mod forwarder;

mod grpc;
pub(crate) mod http;

pub(crate) mod s3_server;

#[cfg(target_os = "linux")]
pub(crate) mod terminal;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use certificates::Certificates;
use http::{Answer, Connection};
use tempfile::TempDir;

/// Longest wait for anything that a healthy server does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const BINARY: &str = env!("CARGO_BIN_EXE_influxdb3");

pub(crate) fn temporary_folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Tells whoever runs the tests, even when they all pass; what is printed as usual is only shown of those that fail.
pub(crate) fn say(text: &str) {
    // Nobody need listen.
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
}

/// The binary in an environment of its own, in `folder`.
pub(crate) fn binary(folder: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command
        .env_clear()
        .env("HOME", folder)
        .env("RUST_BACKTRACE", "1")
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

/// What a command that has ended left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout_bytes: Vec<u8>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Asserts success and returns stdout.
    #[track_caller]
    pub(crate) fn succeeded(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// Asserts exit code `code` and returns stderr.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        self.stderr
    }
}

/// Runs a prepared command with `input` as its standard input.
pub(crate) fn run(mut command: Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || {
        // The command may end without reading; that is its right.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("the binary ends");
    feeder.join().expect("the feeder does not panic");
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        stdout_bytes: output.stdout,
    }
}

/// Runs the binary with nothing but arguments.
pub(crate) fn influxdb3(arguments: &[&str]) -> Ran {
    let folder = temporary_folder();
    let mut command = binary(folder.path());
    command.args(arguments);
    run(command, b"")
}

/// What carries requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Plain,
    Tls,
}

/// How a server is started.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// `None` keeps everything in memory.
    pub(crate) data_folder: Option<PathBuf>,
    pub(crate) with_auth: bool,
    pub(crate) arguments: Vec<String>,
    /// `None` speaks in the clear.
    pub(crate) tls: Option<Arc<Certificates>>,
}

impl Setup {
    pub(crate) fn memory() -> Self {
        Self {
            data_folder: None,
            with_auth: false,
            arguments: Vec::new(),
            tls: None,
        }
    }

    pub(crate) fn file(folder: &Path) -> Self {
        Self {
            data_folder: Some(folder.to_path_buf()),
            ..Self::memory()
        }
    }

    pub(crate) fn with_auth(mut self) -> Self {
        self.with_auth = true;
        self
    }

    /// Over TLS, with an authority and certificates of its own.
    pub(crate) fn over(mut self, transport: Transport) -> Self {
        self.tls = (transport == Transport::Tls).then(|| Arc::new(Certificates::new()));
        self
    }

    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|argument| argument.to_string()));
        self
    }

    fn command(&self, folder: &Path, listener: &Path) -> Command {
        let mut command = binary(folder);
        command.args([
            "serve",
            "--node-id",
            "test-server",
            "--http-bind",
            "127.0.0.1:0",
        ]);
        command.args(["--wal-flush-interval", "10ms", "--tcp-listener-file-path"]);
        command.arg(listener);
        match &self.data_folder {
            Some(data) => command
                .args(["--object-store", "file", "--data-dir"])
                .arg(data),
            // A test may bring a store of its own.
            None if self.arguments.iter().any(|word| word == "--object-store") => &mut command,
            None => command.args(["--object-store", "memory"]),
        };
        if !self.with_auth {
            command.arg("--without-auth");
        }
        if let Some(certificates) = &self.tls {
            command.args(certificates.serve_options());
        }
        command.args(&self.arguments);
        command
    }
}

/// A running server; killed when dropped. Then no secret that a command was given or told may stand in its log or its files.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
    data_folder: Option<PathBuf>,
    tls: Option<Arc<Certificates>>,
    token: Option<String>,
    secrets: Mutex<BTreeSet<String>>,
}

impl Server {
    /// Starts a server and waits until it answers.
    #[track_caller]
    pub(crate) fn start(setup: Setup) -> Self {
        Self::launch(&setup).unwrap_or_else(|log| panic!("the server ended at start:\n{log}"))
    }

    /// Starts a server without waiting for anything; the caller decides what becomes of it.
    pub(crate) fn spawn(setup: &Setup) -> Launched {
        let folder = temporary_folder();
        let log = std::fs::File::create(log_path(folder.path())).expect("a log file");
        let mut command = setup.command(folder.path(), &listener_path(folder.path()));
        let child = command
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        Launched {
            child: Some(child),
            folder: Some(folder),
            data_folder: setup.data_folder.clone(),
            tls: setup.tls.clone(),
        }
    }

    /// As [`Server::start`]; a server that ends by itself is an error with its log.
    pub(crate) fn launch(setup: &Setup) -> Result<Self, String> {
        Self::spawn(setup).wait_until_it_answers()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        self.url_of(self.address)
    }

    /// The URL of any port of this server.
    pub(crate) fn url_of(&self, address: SocketAddr) -> String {
        match &self.tls {
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        }
    }

    /// The ports on which the process listens, in order.
    #[cfg(target_os = "linux")]
    pub(crate) fn listening_ports(&self) -> Vec<u16> {
        const LISTENING: &str = "0A";
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let sockets: BTreeSet<String> = std::fs::read_dir(process.join("fd"))
            .expect("a process of ours")
            .flatten()
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .map(|target| target.to_string_lossy().into_owned())
            .collect();
        let mut ports = BTreeSet::new();
        for table in ["net/tcp", "net/tcp6"] {
            let table = std::fs::read_to_string(process.join(table)).unwrap_or_default();
            for line in table.lines().skip(1) {
                let words: Vec<&str> = line.split_whitespace().collect();
                if words[3] == LISTENING && sockets.contains(&format!("socket:[{}]", words[9])) {
                    let (_, port) = words[1].rsplit_once(':').expect("an address and a port");
                    ports.insert(u16::from_str_radix(port, 16).expect("hexadecimal digits"));
                }
            }
        }
        ports.into_iter().collect()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(log_path(self.folder.path())).expect("the log file")
    }

    /// Has the operator token made, which all further commands and requests use.
    #[track_caller]
    pub(crate) fn create_token(&mut self) -> String {
        let text = self.cli(&["create", "token", "--admin"], &[]).succeeded();
        let token = token_in(&text);
        self.token = Some(token.clone());
        token
    }

    pub(crate) fn use_token(&mut self, token: &str) {
        self.token = Some(token.to_string());
    }

    /// What commands and requests present, when they present anything.
    pub(crate) fn token_if_any(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// What commands and requests present.
    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().expect("a token was made")
    }

    /// Asserts that no secret stands in the log or in a file of the server. What is drawn in a test itself can be `added`.
    #[track_caller]
    pub(crate) fn keeps_secrets(&self, added: &[&str]) {
        let mut secrets = self.secrets.lock().map_or_else(
            |poisoned| poisoned.into_inner().clone(),
            |secrets| secrets.clone(),
        );
        secrets.extend(added.iter().map(|secret| secret.to_string()));
        if secrets.is_empty() {
            return;
        }
        let mut places = vec![log_path(self.folder.path())];
        places.extend(
            self.data_folder
                .as_deref()
                .map(files_below)
                .unwrap_or_default(),
        );
        for place in places {
            // The server may remove a file meanwhile.
            let bytes = std::fs::read(&place).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            for secret in &secrets {
                let found = text.contains(secret.as_str());
                assert!(!found, "a secret stands in {}", place.display());
            }
        }
    }

    /// Runs a client command: its words, then the connection options, then the other arguments.
    pub(crate) fn cli(&self, words: &[&str], arguments: &[&str]) -> Ran {
        self.cli_with_input(words, arguments, b"")
    }

    pub(crate) fn cli_with_input(&self, words: &[&str], arguments: &[&str], input: &[u8]) -> Ran {
        let folder = temporary_folder();
        let mut command = binary(folder.path());
        command.args(words).args(["--host", &self.url()]);
        if let Some(certificates) = &self.tls {
            command.args(["--tls-ca", &certificates.file("authority.pem")]);
        }
        if let Some(token) = &self.token {
            command.args(["--token", token]);
        }
        command.args(arguments);
        let ran = run(command, input);
        let mut secrets = self.secrets.lock().expect("no thread panics with the lock");
        secrets.extend(secrets_in(&ran.stdout));
        secrets.extend(self.token.as_deref().into_iter().flat_map(secrets_in));
        ran
    }

    /// Runs the binary with nothing but arguments, where a server over TLS is trusted.
    pub(crate) fn influxdb3(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let folder = temporary_folder();
        let mut command = binary(folder.path());
        if let Some(certificates) = &self.tls {
            command.env("INFLUXDB3_TLS_CA", certificates.file("authority.pem"));
        }
        command.args(arguments);
        run(command, input)
    }

    pub(crate) fn connect(&self) -> Connection {
        self.connect_to(self.address)
            .expect("the server accepts connections")
    }

    /// Calls a method of Arrow Flight with an empty message and these metadata; answers the status as a number.
    pub(crate) fn call_flight(&self, method: &str, metadata: &[(&str, &str)]) -> String {
        let tls = self.tls.as_deref();
        let client = tls.map(|tls| tls.client(rustls::ALL_VERSIONS, &["h2"]));
        grpc::call(self.address, client, method, metadata)
    }

    /// Connects to any port of this server.
    pub(crate) fn connect_to(&self, address: SocketAddr) -> std::io::Result<Connection> {
        connect(address, self.tls.as_deref())
    }

    /// Writes line protocol and asserts that it was acknowledged.
    #[track_caller]
    pub(crate) fn write(&self, database: &str, precision: &str, lines: &str) {
        let target = format!("/api/v3/write_lp?db={database}&precision={precision}");
        let answer = self.ask("POST", &target, lines.as_bytes());
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    /// The rows of a query, one JSON object each.
    #[track_caller]
    pub(crate) fn query(&self, database: &str, sql: &str) -> Vec<serde_json::Value> {
        let body = serde_json::json!({ "db": database, "q": sql, "format": "json" });
        let answer = self.ask("POST", "/api/v3/query_sql", body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
        serde_json::from_slice(&answer.body).expect("rows are a JSON array")
    }

    #[track_caller]
    fn ask(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        self.connect()
            .ask(method, target, self.token.as_deref(), body)
            .expect("the server answers")
    }

    /// What the server speaks TLS with.
    #[track_caller]
    pub(crate) fn certificates(&self) -> &Certificates {
        self.tls.as_deref().expect("a server over TLS")
    }

    /// Has the certificate read again.
    pub(crate) fn hang_up(&self) {
        signal(&self.child, "HUP");
    }

    pub(crate) fn terminate(&self) {
        signal(&self.child, "TERM");
    }

    /// Waits for the process to end by itself.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child).unwrap_or_else(|| panic!("the server does not end:\n{}", self.log()))
    }

    /// Stops cleanly and asserts exit code 0.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        self.terminate();
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }

    /// As [`Server::stop`], with the signal of Ctrl-C.
    #[track_caller]
    pub(crate) fn interrupt(mut self) {
        signal(&self.child, "INT");
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }

    /// Ends the process without any warning.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a process of ours");
        self.child.wait().expect("a process of ours");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            self.keeps_secrets(&[]);
        }
    }
}

/// A server that may not be ready yet; killed when dropped.
#[derive(Debug)]
pub(crate) struct Launched {
    child: Option<Child>,
    folder: Option<TempDir>,
    data_folder: Option<PathBuf>,
    tls: Option<Arc<Certificates>>,
}

impl Launched {
    /// Ends the process without any warning.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// A server that listens, whether or not the test can speak with it.
    #[track_caller]
    pub(crate) fn wait_until_it_listens(self) -> Server {
        self.wait_until(|_| true)
            .unwrap_or_else(|log| panic!("the server ended at start:\n{log}"))
    }

    fn wait_until_it_answers(self) -> Result<Server, String> {
        let tls = self.tls.clone();
        self.wait_until(|address| {
            let health = connect(address, tls.as_deref())
                .and_then(|mut connection| connection.ask("GET", "/health", None, b""));
            health.is_ok()
        })
    }

    fn wait_until(mut self, is_ready: impl Fn(SocketAddr) -> bool) -> Result<Server, String> {
        let mut child = self.child.take().expect("taken only once");
        let folder = self.folder.take().expect("taken only once");
        let deadline = Instant::now() + PATIENCE;
        let log = || std::fs::read_to_string(log_path(folder.path())).unwrap_or_default();
        loop {
            let told = std::fs::read_to_string(listener_path(folder.path())).unwrap_or_default();
            if let Ok(address) = told.parse::<SocketAddr>()
                && is_ready(address)
            {
                return Ok(Server {
                    child,
                    address,
                    folder,
                    data_folder: self.data_folder.take(),
                    tls: self.tls.take(),
                    token: None,
                    secrets: Mutex::default(),
                });
            }
            if child.try_wait().expect("a process of ours").is_some() {
                return Err(log());
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("no answer after {PATIENCE:?}:\n{}", log()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only when the process has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        self.end();
    }
}

fn connect(address: SocketAddr, tls: Option<&Certificates>) -> std::io::Result<Connection> {
    match tls {
        Some(certificates) => {
            let client = certificates.client(rustls::ALL_VERSIONS, &["http/1.1"]);
            Connection::open_tls(address, client)
        }
        None => Connection::open(address),
    }
}

/// Sends a named signal to a process of ours.
pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status()
        .expect("the kill command");
    assert!(status.success(), "process {} has ended", child.id());
}

/// Waits for a process to end, at most [`PATIENCE`].
pub(crate) fn wait(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("a process of ours") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Polls until `condition` holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "still not: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The token in what `create token` printed.
#[track_caller]
pub(crate) fn token_in(text: &str) -> String {
    text.lines()
        .find_map(|line| line.strip_prefix("Token: "))
        .unwrap_or_else(|| panic!("no token in {text}"))
        .to_string()
}

/// Everything in a text that looks like a token.
pub(crate) fn secrets_in(text: &str) -> Vec<String> {
    const LENGTH: usize = 92;
    text.match_indices("apiv3_")
        .filter_map(|(at, _)| text.get(at..at + LENGTH))
        .filter(|found| {
            found
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
        .map(str::to_string)
        .collect()
}

/// All files below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .flat_map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&entry.path()),
            _ => vec![entry.path()],
        })
        .collect()
}

/// How many Parquet files lie below a folder.
pub(crate) fn parquet_files(folder: &Path) -> usize {
    let files = files_below(folder);
    let parquet = files.iter().filter(|file| {
        file.extension()
            .is_some_and(|extension| extension == "parquet")
    });
    parquet.count()
}

fn listener_path(folder: &Path) -> PathBuf {
    folder.join("listener")
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("server.log")
}
