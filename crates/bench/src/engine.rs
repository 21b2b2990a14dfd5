//! Servers under measurement: started by the benchmark with a fresh folder and port, watched, stopped, killed.
//!
//! Each kind gets the settings under which it is measured, and these stand in the report. Not here: servers that somebody else started;
//! commands reach those by `--host`.

use crate::Error;
use crate::client::{self, ClientOptions, ServerKind};
use clap::ValueEnum;
use std::fmt;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A program that can be started as a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Engine {
    pub(crate) kind: ServerKind,
    pub(crate) binary: PathBuf,
}

impl FromStr for Engine {
    type Err = String;

    /// `KIND=PATH`, or a path whose file name tells the kind.
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, path) = match text.split_once('=') {
            Some((kind, path)) => (kind_named(kind)?, path),
            None => {
                let name = Path::new(text).file_name().unwrap_or_default();
                let kind = match name.to_string_lossy().as_ref() {
                    "influxd" => ServerKind::Influxdb1,
                    name if name.starts_with("victoria-metrics") => ServerKind::Victoriametrics,
                    name if name.starts_with("influxdb3") => ServerKind::Influxdb3,
                    name => {
                        return Err(format!(
                            "the name {name:?} does not tell which kind of server this is: write KIND={text}"
                        ));
                    }
                };
                (kind, text)
            }
        };
        // Servers run in folders of their own.
        let binary = std::path::absolute(path).map_err(|error| format!("{path}: {error}"))?;
        if !binary.is_file() {
            return Err(format!("there is no program {path}"));
        }
        Ok(Self { kind, binary })
    }
}

/// Whether an option written `--name=value` is given again, with another value.
fn is_set_by(word: &str, more: &[String]) -> bool {
    let name = |word: &str| word.split_once('=').map(|(name, _)| name.to_owned());
    name(word).is_some_and(|named| more.iter().any(|other| name(other) == Some(named.clone())))
}

/// The first line that a program says, if it succeeds.
fn said_by(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().next()?.trim().to_owned();
    (output.status.success() && !line.is_empty()).then_some(line)
}

fn kind_named(name: &str) -> Result<ServerKind, String> {
    <ServerKind as ValueEnum>::from_str(name, false).map_err(|_| {
        let known: Vec<&str> = ServerKind::value_variants()
            .iter()
            .map(|kind| kind.name())
            .collect();
        format!("there is no kind of server {name:?}: {}", known.join(", "))
    })
}

impl fmt::Display for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.kind, self.binary.display())
    }
}

impl Engine {
    /// The arguments that the server is started with, for a page that tells them; `{folder}` and `{port}` are filled in.
    fn arguments(&self, folder: &str, port: &str) -> Vec<String> {
        let text = match self.kind {
            ServerKind::Influxdb3 => {
                "serve --node-id bench --object-store file --data-dir {folder}/data --without-auth \
                 --http-bind 127.0.0.1:{port} --wal-files-per-snapshot=10"
            }
            ServerKind::Influxdb1 => "run -config {folder}/influxdb.conf",
            ServerKind::Victoriametrics => {
                "-storageDataPath={folder}/data -httpListenAddr=127.0.0.1:{port} -retentionPeriod=100y -search.latencyOffset=0s"
            }
        };
        text.split_whitespace()
            .map(|word| word.replace("{folder}", folder).replace("{port}", port))
            .collect()
    }

    /// The command line as a reader would type it.
    pub(crate) fn command_line(&self) -> String {
        let name = self.binary.file_name().unwrap_or_default();
        let arguments = self.arguments("FOLDER", "PORT");
        format!("{} {}", name.to_string_lossy(), arguments.join(" "))
    }

    /// What the program says of its version, or else the system's package, in one line.
    pub(crate) fn version(&self) -> String {
        let argument = match self.kind {
            ServerKind::Influxdb1 => "version",
            ServerKind::Influxdb3 | ServerKind::Victoriametrics => "--version",
        };
        said_by(Command::new(&self.binary).arg(argument))
            .or_else(|| {
                let owner = said_by(Command::new("dpkg-query").arg("--search").arg(&self.binary))?;
                let (package, _) = owner.split_once(':')?;
                let format = "--showformat=${Package} ${Version}";
                said_by(Command::new("dpkg-query").args(["--show", format, package]))
            })
            .unwrap_or_else(|| "unknown".to_owned())
    }

    /// Starts the server on what `folder` holds, with `more` arguments behind its own, and waits until it answers.
    pub(crate) async fn start(&self, folder: &Path, more: &[String]) -> Result<Server, Error> {
        std::fs::create_dir_all(folder.join("data"))?;
        let port = free_port()?;
        if self.kind == ServerKind::Influxdb1 {
            let text = influxdb1_config(folder, port, free_port()?);
            std::fs::write(folder.join("influxdb.conf"), text)?;
        }
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("server.log"))?;
        let mut command = Command::new(&self.binary);
        command
            .args(
                self.arguments(&folder.display().to_string(), &port.to_string())
                    .into_iter()
                    .filter(|word| !is_set_by(word, more)),
            )
            .args(more)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // What is set for somebody's own server is not for this one.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("INFLUXDB") {
                command.env_remove(name);
            }
        }
        let started = Instant::now();
        let child = command
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", self.binary.display()))?;
        let mut server = Server {
            child,
            kind: self.kind,
            port,
            folder: folder.to_owned(),
            ready_after: Duration::ZERO,
        };
        let http = client::http()?;
        let url = format!("{}{}", server.url(), server.kind.health_path());
        loop {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!(
                    "{} ended at its start ({status}): {}",
                    self.binary.display(),
                    server.last_words()
                )
                .into());
            }
            let answer = http.get(&url).send().await;
            if answer.is_ok_and(|response| response.status().is_success()) {
                server.ready_after = started.elapsed();
                return Ok(server);
            }
            if started.elapsed() > PATIENCE {
                return Err(format!(
                    "{} does not answer at {url}: {}",
                    self.binary.display(),
                    server.last_words()
                )
                .into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    kind: ServerKind,
    port: u16,
    folder: PathBuf,
    /// From its start until it answered.
    pub(crate) ready_after: Duration,
}

impl Server {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where its data lie.
    pub(crate) fn data_folder(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How commands reach it.
    pub(crate) fn client_options(&self, database: &str) -> Result<ClientOptions, Error> {
        ClientOptions::of(self.kind, &self.url(), database)
    }

    /// Stops it as an operator would, and waits for its end.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        let id = self.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status()?;
        if !asked.success() {
            return Err(format!("cannot stop process {id}").into());
        }
        let started = Instant::now();
        while self.child.try_wait()?.is_none() {
            if started.elapsed() > PATIENCE {
                return Err(format!("process {id} does not stop: {}", self.last_words()).into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Ends it without warning.
    pub(crate) fn kill(mut self) -> Result<(), Error> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// The end of its log.
    fn last_words(&self) -> String {
        let log = std::fs::read(self.folder.join("server.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody has; somebody else may take it before the server does, which then ends and says so.
fn free_port() -> Result<u16, Error> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The defaults, but for folders, ports, what would report or measure by itself, and when a shard that gets no rows is written and
/// compacted: seconds, not hours, later, so that its size at rest can be seen.
fn influxdb1_config(folder: &Path, port: u16, backup_port: u16) -> String {
    let folder = folder.display();
    format!(
        "reporting-disabled = true
bind-address = \"127.0.0.1:{backup_port}\"
[meta]
  dir = \"{folder}/data/meta\"
[data]
  dir = \"{folder}/data/data\"
  wal-dir = \"{folder}/data/wal\"
  index-version = \"tsi1\"
[http]
  bind-address = \"127.0.0.1:{port}\"
  log-enabled = false
[monitor]
  store-enabled = false
"
    )
}

#[cfg(test)]
mod tests {
    use super::{Engine, is_set_by};
    use crate::client::ServerKind;

    #[test]
    fn the_kind_is_told_or_found_in_the_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, "").expect("a file");
            path.display().to_string()
        };
        let kind = |text: &str| text.parse::<Engine>().map(|engine| engine.kind);
        assert_eq!(kind(&path("influxdb3")), Ok(ServerKind::Influxdb3));
        assert_eq!(kind(&path("influxd")), Ok(ServerKind::Influxdb1));
        assert_eq!(
            kind(&path("victoria-metrics-prod")),
            Ok(ServerKind::Victoriametrics)
        );
        let other = path("server");
        assert_eq!(
            kind(&format!("influxdb1={other}")),
            Ok(ServerKind::Influxdb1)
        );
        assert!(kind(&other).unwrap_err().contains("write KIND="));
        assert!(
            kind("influxdb3=/nowhere/influxdb3")
                .unwrap_err()
                .contains("/nowhere/influxdb3")
        );
        assert!(
            kind(&format!("oracle={other}"))
                .unwrap_err()
                .contains("oracle")
        );
    }

    #[test]
    fn what_is_given_again_is_given_once() {
        let more = ["--wal-files-per-snapshot=1000".to_owned(), "-v".to_owned()];
        assert!(is_set_by("--wal-files-per-snapshot=10", &more));
        assert!(!is_set_by("--node-id=bench", &more));
        assert!(!is_set_by("serve", &more) && !is_set_by("-v", &more));
    }

    #[tokio::test]
    async fn a_program_that_is_no_server_is_told_with_what_it_said() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = Engine {
            kind: ServerKind::Influxdb3,
            binary: "/bin/echo".into(),
        };
        let told = engine
            .start(folder.path(), &[])
            .await
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("ended at its start") && told.contains("serve --node-id"),
            "{told}"
        );
        assert!(engine.command_line().starts_with("echo serve --node-id"));
    }
}
