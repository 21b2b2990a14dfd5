//! The commands that guides tell users to type, typed by a shell, in order: every line of code that is indented, and every fenced
//! block of `sh` as a whole (of ``` ```sh no_run ``` nothing).
//!
//! `influxdb3 serve` starts a server (the one before stops) with a folder of its own for each `--data-dir`, `sudo systemctl` stops and
//! starts it; everything else must succeed. Addresses and folders of the guide are replaced by those of the test. Variables live on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::certificates::Certificates;
use crate::harness::{self, Server, Setup, eventually, temporary_folder};

/// What the guides say, and what a test must not take for itself.
const URL: &str = "http://127.0.0.1:8181";
const SECURE_URL: &str = "https://localhost:8181";
const RECOVERY_URL: &str = "http://127.0.0.1:8182";
const SETTINGS: &str = "/etc/influxdb3";
const README: &str = "../../README.md";
const NODE: &str = "node0";
const BACKUPS: &str = "/var/backups";

/// What the harness calls the node.
const NODE_OF_TEST: &str = "test-server";

/// What starts and steers servers here, instead of a shell.
const SERVE: &str = "influxdb3 serve ";
const SYSTEMCTL: &str = "sudo systemctl ";

/// Options of `serve` with a value that the harness gives.
const GIVEN: [&str; 4] = ["--node-id", "--object-store", "--data-dir", "--http-bind"];

/// A reader of a guide, at a machine of their own.
struct Reader {
    folder: TempDir,
    data: BTreeMap<String, PathBuf>,
    server: Option<Server>,
    /// How the server was started last.
    setup: Option<Setup>,
    /// Whether the server speaks TLS.
    is_secure: bool,
    recovery: PathBuf,
}

impl Reader {
    fn new() -> Self {
        let folder = temporary_folder();
        let programs = folder.path().join("programs");
        std::fs::create_dir_all(&programs).expect("a folder");
        let settings = folder.path().join("settings");
        std::fs::create_dir_all(&settings).expect("a folder");
        let certificates = Certificates::new();
        std::fs::create_dir_all(folder.path().join("backups")).expect("a folder");
        for name in ["server.pem", "server.key", "authority.pem"] {
            std::fs::copy(certificates.file(name), settings.join(name)).expect("a copy");
        }
        let binary = env!("CARGO_BIN_EXE_influxdb3");
        std::os::unix::fs::symlink(binary, programs.join("influxdb3")).expect("a link");
        std::fs::write(folder.path().join("variables"), "").expect("a file");
        Self {
            folder,
            data: BTreeMap::new(),
            server: None,
            setup: None,
            is_secure: false,
            recovery: PathBuf::new(),
        }
    }

    fn settings(&self) -> String {
        let folder = self.folder.path().join("settings");
        folder.to_str().expect("a plain path").to_string()
    }

    fn does(&mut self, line: &str) {
        if let Some(options) = line.strip_prefix(SERVE) {
            self.serves(options);
        } else if let Some(words) = line.strip_prefix(SYSTEMCTL) {
            self.has_service_do(words);
        } else {
            self.types(line);
        }
    }

    fn stops(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }

    fn has_service_do(&mut self, words: &str) {
        let action = words.split(' ').next().expect("split gives one at least");
        assert!(["stop", "start", "restart"].contains(&action), "{words}");
        if action != "start" {
            assert!(self.server.is_some(), "{words}: no server runs");
            self.stops();
        }
        if action != "stop" {
            assert!(self.server.is_none(), "{words}: a server runs");
            let setup = self.setup.clone().expect("a server was started before");
            self.server = Some(Server::start(setup));
        }
    }

    /// The folder of the test for one that the guide gives a server; the guide may name it before it starts the server.
    fn data_of(&mut self, name: &str) -> PathBuf {
        let next = self.folder.path().join(format!("data{}", self.data.len()));
        self.data.entry(name.to_string()).or_insert(next).clone()
    }

    fn serves(&mut self, options: &str) {
        self.stops();
        let options = options.replace(SETTINGS, &self.settings());
        let mut data = self.folder.path().join("data");
        let mut arguments = Vec::new();
        let mut words = options.split_whitespace();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .unwrap_or_else(|| panic!("{word} has no value"))
            };
            match word {
                "--data-dir" => {
                    let name = value();
                    data = self.data_of(name);
                }
                _ if GIVEN.contains(&word) => {
                    value();
                }
                "--admin-token-recovery-http-bind" => {
                    assert_eq!(format!("http://{}", value()), RECOVERY_URL);
                    self.recovery = self.folder.path().join("recovery");
                    let file = self.recovery.to_str().expect("a plain path");
                    arguments.extend([word, "127.0.0.1:0"].map(str::to_string));
                    let option = "--admin-token-recovery-tcp-listener-file-path";
                    arguments.extend([option, file].map(str::to_string));
                }
                _ => arguments.push(word.to_string()),
            }
        }
        std::fs::create_dir_all(&data).expect("a folder");
        self.is_secure = arguments.iter().any(|word| word == "--tls-cert");
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let setup = Setup::file(&data).with_auth().with(&arguments);
        self.setup = Some(setup.clone());
        self.server = Some(Server::start(setup));
    }

    fn types(&self, line: &str) {
        let server = self.server.as_ref();
        let url = match server {
            Some(server) if self.is_secure => {
                format!("https://localhost:{}", server.address().port())
            }
            Some(server) => server.url(),
            None => URL.to_string(),
        };
        let mut typed = line
            .replace(URL, &url)
            .replace(SECURE_URL, &url)
            .replace(SETTINGS, &self.settings())
            .replace(
                &format!("--node-id {NODE}"),
                &format!("--node-id {NODE_OF_TEST}"),
            );
        let backups = self.folder.path().join("backups");
        typed = typed.replace(BACKUPS, backups.to_str().expect("a plain path"));
        for (name, data) in &self.data {
            typed = typed.replace(name, data.to_str().expect("a plain path"));
        }
        if typed.contains(RECOVERY_URL) {
            eventually("the recovery listener tells its address", || {
                std::fs::read_to_string(&self.recovery).is_ok_and(|told| !told.is_empty())
            });
            let told = std::fs::read_to_string(&self.recovery).expect("it was there");
            typed = typed.replace(RECOVERY_URL, &format!("http://{told}"));
        }
        let path = std::env::var("PATH").expect("a path to sh");
        let programs = self.folder.path().join("programs");
        let mut shell = Command::new("sh");
        shell
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("HOME", self.folder.path())
            .env("INFLUXDB3_HOST_URL", &url);
        // The server may be another one than that of the line before.
        let typed =
            format!(". ./variables\nINFLUXDB3_HOST_URL={url}\n{typed}\nexport -p > variables");
        shell.args(["-eauc", &typed]);
        let ran = harness::run(shell, b"");
        assert_eq!(ran.code, 0, "{line}\n{ran:?}");
        // What `curl` shows of a refusal has no exit code of its own.
        let refused = ["\"error\"", "Failed to create", "Not found", "not found"];
        let told = refused.iter().find(|words| ran.stdout.contains(**words));
        assert!(told.is_none(), "{line}\n{ran:?}");
    }
}

/// The commands of a guide: lines that are indented by four spaces, those that end with a backslash joined with the next; and blocks
/// fenced as `sh`, cut at the lines that are not for a shell.
fn commands(guide: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut fence: Option<&str> = None;
    let mut continues = false;
    // Whether the next line of a block belongs to the last command.
    let mut in_script = false;
    for line in guide.lines() {
        if let Some(language) = line.strip_prefix("```") {
            fence = match fence {
                Some(_) => None,
                None => Some(language),
            };
            (continues, in_script) = (false, false);
            continue;
        }
        let code = match fence {
            Some("sh") => line,
            Some(_) => continue,
            None => match line.strip_prefix("    ") {
                Some(code) => code,
                None => continue,
            },
        };
        let (text, more) = match code.strip_suffix('\\') {
            Some(text) => (text, true),
            None => (code, false),
        };
        let is_for_shell = ![SERVE, SYSTEMCTL]
            .iter()
            .any(|start| text.starts_with(start));
        match commands.last_mut() {
            Some(last) if continues => last.push_str(text.trim_start()),
            Some(last) if in_script && is_for_shell => {
                last.push('\n');
                last.push_str(text);
            }
            _ => {
                in_script = fence.is_some() && is_for_shell;
                commands.push(text.to_string());
            }
        }
        continues = more;
    }
    commands
}

/// Types all of a guide, which has at least `commands_min` commands.
#[track_caller]
fn follow(name: &str, commands_min: usize) {
    let guides = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide");
    let guide = std::fs::read_to_string(guides.join(name)).expect("the guide");
    let commands = commands(&guide);
    assert!(commands.len() >= commands_min, "{commands:#?}");
    let mut reader = Reader::new();
    if name == README {
        // Its tour begins with a server that runs.
        reader.serves("--data-dir /home/reader/.influxdb");
    }
    for command in &commands {
        let mut words = command.split(' ').filter(|_| command.starts_with(SERVE));
        if let Some(name) = words.find(|word| *word == "--data-dir").and(words.next()) {
            reader.data_of(name);
        }
    }
    for command in &commands {
        reader.does(command);
    }
}

#[test]
fn readme() {
    follow(README, 3);
}

#[test]
fn getting_started() {
    follow("getting-started.md", 11);
}

#[test]
fn operate() {
    follow("operate.md", 14);
}

#[test]
fn migrate() {
    follow("migrate.md", 11);
}

#[test]
fn tokens() {
    follow("tokens.md", 31);
}

#[test]
fn tls() {
    follow("tls.md", 12);
}

#[test]
fn write() {
    follow("write.md", 13);
}

#[test]
fn query() {
    follow("query.md", 11);
}

#[test]
fn configuration() {
    follow("configuration.md", 3);
}

#[test]
fn command_line() {
    follow("command-line.md", 9);
}

#[test]
fn what_counts_as_a_command() {
    let guide = "text\n\n    a b \\\n      c\n    d\n\n```text\n    no command\n```\n    e\n```sh no_run\nno\n```\n";
    assert_eq!(commands(guide), ["a b c", "d", "e"]);
    let guide = "```sh\n# A word\nf \\\n  g\ninfluxdb3 serve \\\n  --x\nsudo systemctl stop y\n\nh\n```\n    i\n```sh\nj\n```\n";
    let expected = [
        "# A word\nf g",
        "influxdb3 serve --x",
        "sudo systemctl stop y",
        "\nh",
        "i",
        "j",
    ];
    assert_eq!(commands(guide), expected);
}

#[test]
fn variables_live_on() {
    let reader = Reader::new();
    reader.types("WORD='two  words'");
    reader.types("test \"$WORD\" = 'two  words'");
}

#[test]
#[should_panic(expected = "influxdb3 show tokens")]
fn a_command_that_fails_is_told() {
    Reader::new().types("influxdb3 show tokens --host http://127.0.0.1:1");
}
