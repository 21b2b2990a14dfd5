//! The sessions of `compat/commands`: what is typed, and everything that comes of it. The grammar: compat/README.md.
//!
//! Each file has a folder of its own, in which all its commands run, and a server of its own, real or standing in. `UPDATE=1` writes
//! what came of a command into the file where it is not what stands there.

use std::path::{Path, PathBuf};

use hyper::StatusCode;
use tempfile::TempDir;

use crate::harness::fake_server::FakeServer;
use crate::harness::{Ran, Server, Setup, binary, run, temporary_folder};

#[test]
fn sessions_go_as_written() {
    let folder = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../compat/commands"
    ));
    let entries = std::fs::read_dir(folder).expect("a folder of sessions");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    assert!(files.len() > 5, "{files:?}");
    let updates = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    // Sessions mostly wait for programs to start.
    let sessions: Vec<_> = files
        .into_iter()
        .map(|file| {
            std::thread::spawn(move || {
                let text = std::fs::read_to_string(&file).expect("a readable file");
                let (told, faults) = Session::new().follow(&text);
                if updates && told != text {
                    std::fs::write(&file, told).expect("a writable file");
                }
                let name = file.file_name().expect("a name").to_string_lossy();
                let faults = faults.iter().map(|fault| format!("{name}: {fault}"));
                faults.collect::<Vec<_>>()
            })
        })
        .collect();
    let faults: Vec<String> = sessions
        .into_iter()
        .flat_map(|session| session.join().expect("sessions do not panic"))
        .collect();
    assert!(faults.is_empty() || updates, "{}", faults.join("\n\n"));
}

/// A command with what is expected of it.
#[derive(Debug, Default)]
struct Step {
    line_number: usize,
    typed: String,
    input: Vec<String>,
    stdout: Vec<String>,
    stderr: Vec<String>,
    requests: Vec<String>,
    code: i32,
}

impl Step {
    /// Sorts a line of the file into its place.
    fn take(&mut self, line: &str) {
        let marked = |mark: &str| match line.strip_prefix(mark) {
            Some("") => Some(String::new()),
            Some(rest) => rest.strip_prefix(' ').map(str::to_string),
            None => None,
        };
        if let Some(text) = marked("<") {
            self.input.push(text);
        } else if let Some(text) = marked(">") {
            self.requests.push(text);
        } else if let Some(text) = marked("!") {
            self.stderr.push(text);
        } else if let Some(code) = marked("exit") {
            self.code = code.parse().expect("a number after exit");
        } else {
            self.stdout.push(line.to_string());
        }
    }

    /// As it stands in a file.
    fn text(&self) -> String {
        let mut lines = vec![format!("$ {}", self.typed)];
        let marked = |mark: &'static str, lines: &[String]| -> Vec<String> {
            let lines = lines.iter();
            lines
                .map(|line| format!("{mark} {line}").trim_end().to_string())
                .collect()
        };
        lines.extend(marked("<", &self.input));
        lines.extend(self.stdout.clone());
        lines.extend(marked("!", &self.stderr));
        lines.extend(marked(">", &self.requests));
        if self.code != 0 {
            lines.push(format!("exit {}", self.code));
        }
        lines.join("\n") + "\n"
    }
}

enum Peer {
    Nobody,
    Real(Box<Server>),
    StandIn(FakeServer),
}

struct Session {
    folder: TempDir,
    peer: Peer,
}

impl Session {
    fn new() -> Self {
        Self {
            folder: temporary_folder(),
            peer: Peer::Nobody,
        }
    }

    /// Does what the text says; returns the text as it should be, and what was not as it says.
    fn follow(&mut self, text: &str) -> (String, Vec<String>) {
        let mut told = String::new();
        let mut faults = Vec::new();
        let mut lines = text.lines().enumerate().peekable();
        while let Some((at, line)) = lines.next() {
            let Some(typed) = line.strip_prefix("$ ") else {
                told.push_str(line);
                told.push('\n');
                let mut content = String::new();
                while let Some((_, more)) = lines.next_if(|(_, more)| {
                    line.starts_with("file ") && (more.starts_with("  ") || more.is_empty())
                }) {
                    told.push_str(more);
                    told.push('\n');
                    content.push_str(more.strip_prefix("  ").unwrap_or(more));
                    content.push('\n');
                }
                self.prepare(line, &content);
                continue;
            };
            let mut step = Step {
                line_number: at + 1,
                typed: typed.to_string(),
                ..Step::default()
            };
            // An empty line belongs to the output only when more of the output comes after it.
            let mut after = String::new();
            while let Some((_, line)) = lines.next_if(|(_, line)| !starts_something_else(line)) {
                match line.is_empty() {
                    true => after.push('\n'),
                    false => {
                        for _ in after.drain(..) {
                            step.stdout.push(String::new());
                        }
                        step.take(line);
                    }
                }
            }
            let ran = self.run(&step);
            if let Some(fault) = self.compare(&mut step, &ran) {
                faults.push(fault);
            }
            told.push_str(&step.text());
            told.push_str(&after);
        }
        (told, faults)
    }

    /// A line that is no command: what to talk to, or a file.
    fn prepare(&mut self, line: &str, content: &str) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("" | "#", _) => {}
            ("server", options) => {
                let mut setup = Setup::memory();
                if options == "auth" {
                    setup = setup.with_auth();
                }
                let mut server = Server::start(setup);
                if options == "auth" {
                    server.create_token();
                }
                self.peer = Peer::Real(Box::new(server));
            }
            ("answers", told) => {
                let (code, body) = told.split_once(' ').unwrap_or((told, ""));
                let code = code.parse().expect("a status");
                let status = StatusCode::from_u16(code).expect("a status");
                self.peer = Peer::StandIn(FakeServer::answering(&status.to_string(), body));
            }
            ("file", name) => {
                let path = self.folder.path().join(name);
                std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                std::fs::write(path, content).expect("a file");
            }
            _ => panic!("what is {line:?}?"),
        }
    }

    fn url(&self) -> String {
        match &self.peer {
            Peer::Nobody => "http://127.0.0.1:1".to_string(),
            Peer::Real(server) => server.url(),
            Peer::StandIn(server) => server.url(),
        }
    }

    fn run(&self, step: &Step) -> Ran {
        let typed = step.typed.replace("${host}", &self.url());
        let words = words(&typed);
        if let [command, path] = words.as_slice()
            && command == "cat"
        {
            let text = std::fs::read_to_string(self.folder.path().join(path));
            return Ran {
                code: i32::from(text.is_err()),
                stdout_bytes: Vec::new(),
                stdout: text.unwrap_or_default(),
                stderr: String::new(),
            };
        }
        let mut command = binary(self.folder.path());
        command.env("INFLUXDB3_HOST_URL", self.url());
        if let Peer::Real(server) = &self.peer
            && let Some(token) = server.token_if_any()
        {
            command.env("INFLUXDB3_AUTH_TOKEN", token);
        }
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next_if(|word| word != "influxdb3") {
            match word.split_once('=') {
                Some((name, "")) => command.env_remove(name),
                Some((name, value)) => command.env(name, value),
                None => panic!("line {}: what is {word:?}?", step.line_number),
            };
        }
        command.args(words.skip(1));
        let input: String = step.input.iter().map(|line| format!("{line}\n")).collect();
        run(command, input.as_bytes())
    }

    /// What is not as the step says; then the step is made to say it.
    fn compare(&self, step: &mut Step, ran: &Ran) -> Option<String> {
        let folder = self.folder.path().display().to_string();
        let plain = |text: &str| -> Vec<String> {
            let text = text
                .replace(&self.url(), "${host}")
                .replace(&folder, "${folder}");
            text.trim_end().lines().map(str::to_string).collect()
        };
        let (stdout, stderr) = (plain(&ran.stdout), plain(&ran.stderr));
        let requests: Vec<String> = match &self.peer {
            Peer::StandIn(server) => {
                let requests = server.requests();
                requests
                    .iter()
                    .map(|request| {
                        let line = request.line.trim_end_matches(" HTTP/1.1");
                        let body = String::from_utf8_lossy(&request.body);
                        format!("{line} {}", body.replace('\r', "\\r").replace('\n', "\\n"))
                            .trim_end()
                            .to_string()
                    })
                    .collect()
            }
            _ => Vec::new(),
        };
        if matches(&step.stdout, &stdout)
            && matches(&step.stderr, &stderr)
            && matches(&step.requests, &requests)
            && step.code == ran.code
        {
            return None;
        }
        let wanted = step.text();
        (step.stdout, step.stderr, step.requests) = (stdout, stderr, requests);
        step.code = ran.code;
        Some(format!(
            "line {}, wanted\n{wanted}\nbut came\n{}",
            step.line_number,
            step.text()
        ))
    }
}

/// Whether a line of a file ends the output of the command before it.
fn starts_something_else(line: &str) -> bool {
    let beginnings = ["$ ", "# ", "server", "answers ", "file "];
    beginnings
        .iter()
        .any(|beginning| line.starts_with(beginning))
}

/// Whether text is as expected, where `…` stands for anything.
fn matches(expected: &[String], actual: &[String]) -> bool {
    let (expected, actual) = (expected.join("\n"), actual.join("\n"));
    let mut pieces = expected.split('…');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = actual.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for piece in pieces {
        if let Some(piece) = last.replace(piece) {
            match rest.find(piece) {
                Some(found) => rest = &rest[found + piece.len()..],
                None => return false,
            }
        }
    }
    match last {
        Some(last) => rest.ends_with(last),
        None => rest.is_empty(),
    }
}

/// The words of a line, as a shell would see them: quotes of both kinds keep blanks.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), letter) if open == letter => quote = None,
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[test]
fn patterns_and_words() {
    for (expected, actual, fits) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a…", "ab", true),
        ("…b", "ab", true),
        ("a…c…e", "abcde", true),
        ("a…c…e", "abde", false),
        ("…", "", true),
        ("a…a", "a", false),
    ] {
        let lines = |text: &str| vec![text.to_string()];
        assert_eq!(
            matches(&lines(expected), &lines(actual)),
            fits,
            "{expected} {actual}"
        );
    }
    assert_eq!(
        words("a 'b c' \"d 'e'\" f'g' ''"),
        ["a", "b c", "d 'e'", "fg", ""]
    );
}
