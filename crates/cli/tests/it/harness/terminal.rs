//! The binary on a terminal, which the program `script` makes: what a person would type, and what they would see.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{PATIENCE, wait};

/// A session; ends with its guard.
#[derive(Debug)]
pub(crate) struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: Arc<Mutex<String>>,
    /// Up to where the screen was read.
    seen: usize,
}

impl Terminal {
    /// Runs a shell's simple command in `folder`, which is the home too, on a terminal with so many columns. `influxdb3` is the binary.
    pub(crate) fn run(folder: &Path, columns: usize, line: &str) -> Self {
        let binary = env!("CARGO_BIN_EXE_influxdb3");
        let line = line.replace("influxdb3 ", &format!("{binary} "));
        let mut command = Command::new("script");
        command
            .args([
                "-qefc",
                // `exec`, because a shell that still waits is ended by Ctrl-C itself.
                &format!("stty cols {columns} rows 50; exec {line}"),
                "/dev/null",
            ])
            .env("HOME", folder)
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program script");
        let keyboard = child.stdin.take().expect("stdin is a pipe");
        let mut output = child.stdout.take().expect("stdout is a pipe");
        let screen = Arc::new(Mutex::new(String::new()));
        let copy = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
                copy.lock()
                    .expect("no thread panics with the lock")
                    .push_str(&text);
            }
        });
        Self {
            child,
            keyboard,
            screen,
            seen: 0,
        }
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.keyboard
            .write_all(text.as_bytes())
            .expect("somebody listens");
        self.keyboard.flush().expect("somebody listens");
    }

    fn screen(&self) -> String {
        self.screen
            .lock()
            .expect("no thread panics with the lock")
            .clone()
    }

    /// Waits until this appears behind what was waited for before, and returns what came up to there.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) -> String {
        let seen = self.seen;
        let found = || {
            self.screen()[seen..]
                .find(text)
                .map(|at| seen + at + text.len())
        };
        let deadline = Instant::now() + PATIENCE;
        let end = loop {
            if let Some(end) = found() {
                break end;
            }
            let screen = &self.screen()[seen..];
            assert!(
                Instant::now() < deadline,
                "no {text:?} on the screen: {screen:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        self.seen = end;
        self.screen()[seen..end].to_string()
    }

    /// Waits for the end and returns the exit code and the whole screen.
    pub(crate) fn ends(mut self) -> (Option<i32>, String) {
        let status = wait(&mut self.child).expect("the session ends");
        (status.code(), self.screen())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
